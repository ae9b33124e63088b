#include "http/dispatch.hpp"

#include <algorithm>
#include <array>

#include <spdlog/spdlog.h>

#include "certs/digest.hpp"

namespace fb::http {

namespace {

/// The API is strict about parameters, because a misspelt filter would otherwise answer too much.
std::optional<problem> refuse_query(const route& to, const request& r) {
    if (!to.pattern.starts_with("/api/")) return std::nullopt;
    std::vector<std::string_view> seen;
    for (const auto& [name, value] : r.target.query) {
        if (std::find(to.query.begin(), to.query.end(), name) == to.query.end()) {
            std::string known;
            for (const auto& each : to.query) known += (known.empty() ? "" : ", ") + std::string(each);
            return problem{400, "unknown_parameter",
                           "the query parameter \"" + name.substr(0, 64) + "\" is unknown here" +
                               (known.empty() ? "" : "; known are: " + known)};
        }
        if (std::find(seen.begin(), seen.end(), name) != seen.end())
            return problem{400, "repeated_parameter", "the query parameter \"" + name + "\" is there twice"};
        seen.push_back(name);
    }
    return std::nullopt;
}

bool is_json(std::string_view content_type) {
    auto type = std::string(content_type.substr(0, content_type.find(';')));
    while (type.ends_with(' ')) type.pop_back();
    std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
    return type.empty() || type == "application/json";
}

problem too_large(std::uint64_t limit) {
    return {413, "too_large", "the body is longer than " + std::to_string(limit) + " bytes"};
}

/// Reads a JSON body into request.body_text.
task<std::optional<response>> read_body(context& ctx, const route& to, request& r) {
    if (!r.has_body()) {
        if (to.body == body_kind::optional_json) co_return std::nullopt;
        if (r.content_length) co_return problem_response({400, "no_body", "this needs a JSON object as its body"});
        co_return problem_response({411, "length_required", "this needs a body, with Content-Length or chunked"});
    }
    if (!is_json(r.header("content-type")))
        co_return problem_response({415, "wrong_type", "the body must be application/json"});
    const std::uint64_t limit = ctx.config.body_bytes_max;
    if (r.content_length.value_or(0) > limit) co_return problem_response(too_large(limit));
    std::array<char, 8192> buffer;
    while (true) {
        const auto piece = co_await r.body->read(buffer);
        if (piece.what == body_stream::status::end) co_return std::nullopt;
        if (piece.what == body_stream::status::malformed)
            co_return problem_response({400, "malformed_body", "the body's chunked framing is broken"});
        if (piece.what == body_stream::status::broken) {
            response gone;
            gone.no_answer = true;
            co_return gone;
        }
        if (r.body_text.size() + piece.bytes > limit) co_return problem_response(too_large(limit));
        r.body_text.append(buffer.data(), piece.bytes);
    }
}

task<std::optional<response>> admit(context& ctx, const router::match& match, request& r) {
    if (!match.found) {
        if (match.allow.empty())
            co_return problem_response({404, "not_found", "there is nothing at " + r.target.path.substr(0, 256)});
        co_return problem_response(
            {405, "method_not_allowed", "this path knows " + match.allow, {{"Allow", match.allow}}});
    }
    if (match.found->who == access::token) {
        if (auto refused = co_await authenticate(ctx, r)) co_return problem_response(*refused);
        if (auto refused = require(r, match.found->least)) co_return problem_response(*refused);
    }
    if (auto refused = refuse_query(*match.found, r)) co_return problem_response(*refused);
    if (match.found->body == body_kind::json || match.found->body == body_kind::optional_json)
        co_return co_await read_body(ctx, *match.found, r);
    co_return std::nullopt;
}

bool worth_keeping(const response& r) {
    switch (r.status) {
    case 401:
    case 403:
    case 408:
    case 413:
    case 429: return false;
    default: return r.status < 500 && !r.no_answer && !r.source && r.body.size() <= 1024 * 1024;
    }
}

response replayed(const storage::idempotency_record& row) {
    auto again = json_response(row.status, row.body);
    if (row.status >= 400) again.headers = {{"Content-Type", "application/problem+json"}};
    again.headers.emplace_back("Idempotency-Replayed", "true");
    return again;
}

constexpr std::chrono::hours keys_kept{24};

/// Old keys go once an hour, and at once when one stands in the way.
task<void> prune(context& ctx, storage::timestamp now, bool at_once) {
    if (!at_once && now - ctx.keys_pruned_at < std::chrono::hours(1)) co_return;
    ctx.keys_pruned_at = now;
    storage::fota_operation old_keys = storage::prune_idempotency{now - keys_kept};
    co_await ctx.commit(std::move(old_keys));
}

struct key_in_work {
    std::set<std::string>& keys;
    const std::string& key;
    key_in_work(std::set<std::string>& all, const std::string& mine)
        : keys(all)
        , key(mine) {
        keys.insert(key);
    }
    ~key_in_work() { keys.erase(key); }
    key_in_work(const key_in_work&) = delete;
    key_in_work& operator=(const key_in_work&) = delete;
};

task<void> keep(context& ctx, const std::string& key, const std::string& hash, const response& r,
                storage::timestamp now) {
    if (!worth_keeping(r)) co_return;
    storage::fota_operation save = storage::save_idempotency{{key, hash, r.status, r.body, now}};
    const auto outcome = co_await ctx.commit(std::move(save));
    if (!outcome || !*outcome)
        spdlog::warn("http: an Idempotency-Key could not be stored: {}",
                     outcome ? outcome->err().text : std::string("the database did not answer in time"));
}

} // namespace

task<response> once(context& ctx, const request& r, std::string request_hash,
                    const std::function<task<response>()>& work) {
    const auto given = r.header("idempotency-key");
    if (given.empty()) co_return co_await work();
    if (given.size() > 128 || !std::all_of(given.begin(), given.end(), [](char c) { return c > ' ' && c < 0x7f; }))
        co_return problem_response({400, "invalid_key", "an Idempotency-Key is 1 to 128 visible ASCII characters"});
    const auto key = storage::to_string(r.who->token_id) + ":" + std::string(given);
    if (ctx.keys_in_work.contains(key))
        co_return problem_response({409,
                                    "in_progress",
                                    "the first request with this Idempotency-Key is still running",
                                    {{"Retry-After", "1"}}});
    const key_in_work guard(ctx.keys_in_work, key);
    const auto now = wall_clock();
    auto job = ctx.on_pool([key](storage::fota_reader& reader) { return reader.find_idempotency(key); });
    auto found = co_await std::move(job);
    if (!found) co_return problem_response(from_storage(found.err()));
    const bool expired = *found && now - (**found).created_at >= keys_kept;
    if (*found && !expired) {
        if ((**found).request_hash == request_hash) co_return replayed(**found);
        co_return problem_response({422, "key_reused", "this Idempotency-Key came with another request before"});
    }
    co_await prune(ctx, now, expired);
    auto answer = co_await work();
    co_await keep(ctx, key, request_hash, answer, now);
    co_return answer;
}

task<response> dispatch(context& ctx, const router& table, request& r) {
    auto match = table.find(r.method, r.target.segments);
    r.parameters = std::move(match.parameters);
    auto refused = co_await admit(ctx, match, r);
    if (refused) co_return std::move(*refused);
    const auto run = match.found->run;
    if (r.method != "POST" || match.found->body == body_kind::stream) co_return co_await run(ctx, r);
    auto hash = certs::sha256_hex(r.method + "\n" + r.target.path + "\n" + r.body_text);
    const std::function<task<response>()> work = [&ctx, &r, run] { return run(ctx, r); };
    co_return co_await once(ctx, r, std::move(hash), work);
}

} // namespace fb::http
