#include "http/auth.hpp"

#include <algorithm>

#include "http/context.hpp"

namespace fb::http {

namespace {

/// Flash wear: a token's last use is written once an hour.
void note_use(context& ctx, const storage::api_token& row) {
    constexpr std::chrono::hours interval{1};
    const auto now = wall_clock();
    auto& touched = ctx.tokens.touched[row.id];
    const auto last = std::max(touched, row.last_used_at.value_or(storage::timestamp{}));
    if (now - last < interval) return;
    touched = now;
    if (ctx.tokens.touched.size() > token_cache::tokens_max) ctx.tokens.touched.clear();
    ctx.submit(storage::touch_token{row.id, now}, [](storage::fota_outcome) {}); // losing one does no harm
}

std::string_view bearer(std::string_view header) {
    constexpr std::string_view scheme = "bearer ";
    if (header.size() <= scheme.size()) return {};
    const bool same = std::equal(scheme.begin(), scheme.end(), header.begin(),
                                 [](char a, char b) { return a == b || a == (b | 0x20); });
    return same ? header.substr(header.find_first_not_of(' ', scheme.size() - 1)) : std::string_view{};
}

} // namespace

problem unauthorized(std::string detail) {
    return {401, "unauthorized", std::move(detail), {{"WWW-Authenticate", "Bearer realm=\"fotabroker\""}}};
}

task<std::optional<problem>> authenticate(context& ctx, request& r) {
    const auto header = r.header("authorization");
    if (header.empty()) co_return std::nullopt;
    const auto secret = bearer(header);
    if (secret.empty()) co_return unauthorized("only \"Authorization: Bearer <token>\" is understood");

    const auto now = steady::now();
    const auto hash = token_hash(secret);
    const auto* known = ctx.tokens.find(hash, now);
    if ((!known || !known->row) && ctx.tokens.failures.exhausted(r.remote_address, now))
        co_return problem{429,
                          "too_many_failures",
                          "too many wrong tokens from this address; wait a minute",
                          {{"Retry-After", "60"}}};
    std::optional<storage::api_token> row;
    if (known) {
        row = known->row;
    } else {
        auto job = ctx.on_pool([hash](storage::fota_reader& reader) { return reader.find_token(hash); });
        auto found = co_await std::move(job);
        if (!found) co_return from_storage(found.err());
        row = *found;
        ctx.tokens.put(hash, row, now);
    }
    const auto wall = wall_clock();
    const auto rights = row ? parse_role(row->role) : std::nullopt;
    if (!rights || row->revoked_at || (row->expires_at && *row->expires_at <= wall)) {
        ctx.tokens.failures.failed(r.remote_address, now);
        co_return unauthorized(!rights           ? "the token is not known"
                               : row->revoked_at ? "the token has been revoked"
                                                 : "the token has expired");
    }
    r.who = caller{row->id, row->name, *rights};
    note_use(ctx, *row);
    co_return std::nullopt;
}

std::optional<problem> require(const request& r, role least) {
    if (!r.who) return unauthorized("this needs a token: \"Authorization: Bearer <token>\"");
    if (r.who->rights >= least) return std::nullopt;
    return problem{403, "forbidden",
                   "this needs the role " + std::string(to_string(least)) + ", the token \"" + r.who->name + "\" has " +
                       to_string(r.who->rights)};
}

failure_limiter::bucket& failure_limiter::bucket_of(const std::string& address, steady::time_point now) {
    const auto refilled = [&](const bucket& b) {
        return std::min(burst, b.left + per_second * std::chrono::duration<double>(now - b.at).count());
    };
    auto found = buckets_.find(address);
    if (found == buckets_.end()) {
        if (buckets_.size() >= addresses_max)
            std::erase_if(buckets_, [&](const auto& each) { return refilled(each.second) >= burst; });
        // Still too many: the newcomers share one bucket.
        const auto& key = buckets_.size() >= addresses_max ? std::string() : address;
        found = buckets_.try_emplace(key, bucket{burst, now}).first;
    }
    found->second.left = refilled(found->second);
    found->second.at = now;
    return found->second;
}

bool failure_limiter::exhausted(const std::string& address, steady::time_point now) {
    const bool known = buckets_.contains(address) || buckets_.size() >= addresses_max;
    return known && bucket_of(address, now).left < 1;
}

void failure_limiter::failed(const std::string& address, steady::time_point now) {
    auto& left = bucket_of(address, now).left;
    left = std::max(0.0, left - 1);
}

const token_cache::entry* token_cache::find(const std::string& hash, steady::time_point now) const {
    const auto found = entries_.find(hash);
    return found != entries_.end() && now < found->second.until ? &found->second : nullptr;
}

void token_cache::put(const std::string& hash, std::optional<storage::api_token> row, steady::time_point now) {
    if (entries_.size() >= tokens_max) entries_.clear(); // they come back with one query each
    entries_[hash] = {std::move(row), now + kept};
}

} // namespace fb::http
