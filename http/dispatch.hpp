// From a request whose head has been read to its answer: route, token, role, query, JSON body, idempotency, handler.
#pragma once

#include <functional>
#include <string>

#include "http/context.hpp"
#include "http/router.hpp"

namespace fb::http {

task<response> dispatch(context& ctx, const router& table, request& r);

/// Runs `work` at most once per Idempotency-Key and caller: a repetition with the same `request_hash` gets the stored
/// answer, another one 422. Without that header it just runs. Answers below 500 are kept for 24 h, but for those about
/// the caller and not the request (401, 403, 408, 413, 429).
task<response> once(context& ctx, const request& r, std::string request_hash,
                    const std::function<task<response>()>& work);

} // namespace fb::http
