// What all handlers share: settings, the ways to FOTA, to the database and to firmware files, tokens, events, counters.
// Made by the server, used on the HTTP thread; outlives every connection.
#pragma once

#include <array>
#include <functional>
#include <set>
#include <type_traits>

#include "http/auth.hpp"
#include "http/blocking_pool.hpp"
#include "http/bridge.hpp"
#include "http/event_hub.hpp"
#include "http/server.hpp"

namespace fb::http {

struct http_counters {
    std::array<std::uint64_t, 6> answers{}; // by hundreds of the status
    std::uint64_t connections = 0, connections_refused = 0;
    std::uint64_t bytes_in = 0, bytes_out = 0; // of bodies
    std::uint64_t uploads = 0, downloads = 0;
};

struct context {
    const settings& config;
    fota::fota_thread& fota;
    storage::blob_files& blobs;
    std::function<void(storage::fota_operation, std::function<void(storage::fota_outcome)>)> submit;
    std::vector<health_check>& checks;
    std::vector<metrics_source>& sources;
    bridge& to;
    blocking_pool& pool;
    event_hub& events;
    http_counters count{};
    std::uint32_t connections_open = 0;
    std::set<std::string> keys_in_work{}; // idempotency keys whose first request is still running
    storage::timestamp keys_pruned_at{};
    token_cache tokens;

    context(const settings& s, fota::fota_thread& f, storage::blob_files& b,
            std::function<void(storage::fota_operation, std::function<void(storage::fota_outcome)>)> sub,
            std::vector<health_check>& c, std::vector<metrics_source>& m, bridge& br, blocking_pool& p, event_hub& e)
        : config(s)
        , fota(f)
        , blobs(b)
        , submit(std::move(sub))
        , checks(c)
        , sources(m)
        , to(br)
        , pool(p)
        , events(e) {}

    /// Runs on a pool thread: `job(reader)`. To be awaited in a statement of its own: g++ 12 copies a closure bit by
    /// bit that is a temporary of an awaiting expression, and destroys it twice.
    template <class Job>
    task<std::invoke_result_t<Job&, storage::fota_reader&>> on_pool(Job job) {
        using value = std::invoke_result_t<Job&, storage::fota_reader&>;
        auto shared = std::make_shared<Job>(std::move(job));
        std::function<void(bridge::answer<value>)> start = [this, shared](bridge::answer<value> done) {
            pool.post([shared, done](storage::fota_reader& reader) { done((*shared)(reader)); });
        };
        return to.wait_for_ever<value>(std::move(start));
    }

    /// Asks the service: `call(service, now, reply)`. 503 when it does not answer in time.
    template <class T>
    task<or_problem<T>> ask(std::function<void(fota::service&, storage::timestamp, fota::reply<T>)> call);

    /// One operation through the group-commit writer; nothing when it takes too long.
    task<std::optional<storage::fota_outcome>> commit(storage::fota_operation op);
};

storage::timestamp wall_clock();

template <class T>
task<or_problem<T>> context::ask(std::function<void(fota::service&, storage::timestamp, fota::reply<T>)> call) {
    using result = std::pair<std::optional<T>, fota::problem>;
    if (fota.pending() > 10'000) {
        co_return or_problem<T>(
            problem{503, "overloaded", "firmware updates are busy; try again", {{"Retry-After", "2"}}});
    }
    std::function<void(bridge::answer<result>)> start = [this, call = std::move(call)](bridge::answer<result> done) {
        fota.post([call, done](fota::service& service, storage::timestamp now) {
            call(service, now,
                 [done](std::optional<T> value, fota::problem why) { done(result(std::move(value), std::move(why))); });
        });
    };
    auto answered = co_await to.wait<result>(std::chrono::seconds(30), std::move(start));
    if (!answered)
        co_return or_problem<T>(problem{
            503, "no_answer", "no answer in time; what was asked for may still happen", {{"Retry-After", "5"}}});
    if (!answered->first) co_return or_problem<T>(from_fota(std::move(answered->second)));
    co_return or_problem<T>(std::move(*answered->first));
}

} // namespace fb::http
