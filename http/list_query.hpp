// What a list is asked for: limit, cursor and filters of the query part. Pure.
#pragma once

#include "http/problem.hpp"
#include "http/target.hpp"
#include "storage/fota_store.hpp"

namespace fb::http {

/// 400 for what is no limit, cursor, state, status or id.
or_problem<storage::list_query> list_query_of(const target& t);

} // namespace fb::http
