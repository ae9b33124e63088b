#include "fota/fota_thread.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <stdexcept>
#include <utility>

#include "storage/async_store.hpp"

namespace fb::fota {
namespace {

constexpr std::size_t batch_max = 512;
constexpr std::chrono::hours sleep_max{1};
constexpr std::chrono::seconds try_again{2};

// Small differences are the measurement's.
constexpr std::chrono::milliseconds clock_step_min{500};

} // namespace

struct fota_thread::impl final : store_port {
    impl(settings s, broker_port& b, storage::fota_store& st, storage::blob_files files)
        : limits(std::move(s))
        , broker(b)
        , store(st)
        , blobs(std::move(files))
        , writer("fb-fota-store", batch_max,
                 [this](const std::vector<storage::fota_operation>& batch) { return apply(batch); }) {}

    /// The wall clock is read here and nowhere else in this folder.
    timestamp wall_clock() const {
        return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()) +
               std::chrono::milliseconds(clock_ahead);
    }

    /// On the writer's thread. Remembers whether the store could be written, for health().
    std::vector<storage::fota_outcome> apply(const std::vector<storage::fota_operation>& batch) {
        auto outcomes = store.apply(batch);
        std::string fault;
        for (const auto& o : outcomes)
            if (!o && o.err().kind != storage::error_kind::conflict && o.err().kind != storage::error_kind::not_found &&
                o.err().kind != storage::error_kind::invalid)
                fault = o.err().text;
        if (note_trouble(std::move(fault))) push([](service&, timestamp) {}); // do not sleep over it
        return outcomes;
    }

    /// True when this is news.
    bool note_trouble(std::string fault) {
        std::lock_guard lock(mutex);
        const bool begins = trouble.empty() && !fault.empty();
        trouble = std::move(fault);
        return begins;
    }

    // store_port: completions come on the writer's thread and go through the same queue as everything else.
    void submit(storage::fota_operation op, std::function<void(storage::fota_outcome)> done) override {
        ++in_flight; // on this thread
        writer.submit(std::move(op), [this, done = std::move(done)](storage::fota_outcome outcome) {
            push([this, done, outcome = std::move(outcome)](service&, timestamp) {
                --in_flight;
                done(outcome);
            });
        });
    }
    storage::fota_reader& reader() override { return *queries; }

    void push(call c) {
        std::lock_guard lock(mutex);
        queue.push_back(std::move(c));
        wake.notify_one();
    }

    void run(std::promise<std::string>& started) {
        pthread_setname_np(pthread_self(), "fb-fota");
        const bool shared = limits.shared;
        service fota(std::move(limits), broker, *this, std::move(blobs));
        if (spool != nullptr) fota.use_spool(*spool);
        const auto ok = fota.start(wall_clock());
        drain(fota); // what the start writes is in the database before anybody is served
        std::string fault = ok ? "" : ok.err().text;
        if (ok && shared && !fota.registered()) fault = "this gateway's row could not be stored";
        started.set_value(fault);
        if (!fault.empty()) return;
        for (;;) {
            auto calls = wait(fota.next_deadline());
            if (calls.empty() && finished()) return;
            fota.on_time(wall_clock());
            for (auto& c : calls) c(fota, wall_clock());
            if (in_trouble()) write_something();
            std::lock_guard lock(mutex);
            in_hand = 0;
        }
    }

    bool in_trouble() {
        std::lock_guard lock(mutex);
        return !trouble.empty();
    }

    /// A disk that is well again is noticed by a write, and the next report may be hours away: a row that comes and
    /// goes.
    void write_something() {
        const auto now = std::chrono::steady_clock::now();
        if (now < next_try) return;
        next_try = now + try_again;
        submit(storage::save_idempotency{{"disk-check", "", 0, "", timestamp{}}}, [](const storage::fota_outcome&) {});
        submit(storage::prune_idempotency{timestamp{} + try_again}, [](const storage::fota_outcome&) {});
    }

    /// Waits for what has been submitted.
    void drain(service& fota) {
        while (in_flight > 0)
            for (auto& c : wait(std::nullopt)) c(fota, wall_clock());
    }

    std::deque<call> wait(std::optional<timestamp> deadline) {
        std::chrono::milliseconds nap = sleep_max;
        if (deadline) nap = std::clamp<std::chrono::milliseconds>(*deadline - wall_clock(), {}, sleep_max);
        std::unique_lock lock(mutex);
        if (!trouble.empty()) nap = std::min<std::chrono::milliseconds>(nap, try_again);
        wake.wait_for(lock, nap, [&] { return !queue.empty() || (stopping && in_flight == 0); });
        in_hand = queue.size();
        return std::exchange(queue, {});
    }

    bool finished() {
        std::lock_guard lock(mutex);
        return stopping && queue.empty() && in_flight == 0;
    }

    settings limits;
    broker_port& broker;
    storage::fota_store& store;
    storage::blob_files blobs;
    report_spool* spool = nullptr;
    std::unique_ptr<storage::fota_reader> queries;
    std::size_t in_flight = 0; // writes; touched by the FOTA thread only, as is next_try
    std::chrono::steady_clock::time_point next_try{};

    std::atomic<std::int64_t> clock_ahead{0}; // ms

    mutable std::mutex mutex; // protects the next five
    std::condition_variable wake;
    std::deque<call> queue;
    std::size_t in_hand = 0;
    bool stopping = false;
    std::string trouble; // what the store last refused to write; empty: well

    storage::group_commit<storage::fota_operation, storage::fota_outcome> writer; // stops before what it completes into
    std::thread thread;
};

fota_thread::fota_thread(settings s, broker_port& broker, storage::fota_store& store, storage::blob_files blobs,
                         report_spool* spool)
    : impl_(std::make_unique<impl>(std::move(s), broker, store, std::move(blobs))) {
    impl_->spool = spool;
    auto queries = store.open_reader();
    if (!queries) throw std::runtime_error("fota: " + queries.err().text);
    impl_->queries = std::move(*queries);
    std::promise<std::string> started;
    impl_->thread = std::thread([this, &started] { impl_->run(started); });
    const auto fault = started.get_future().get();
    if (fault.empty()) return;
    impl_->thread.join();
    throw std::runtime_error("fota: " + fault);
}

fota_thread::~fota_thread() { stop(); }

void fota_thread::stop() {
    {
        std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
        impl_->wake.notify_one();
    }
    if (impl_->thread.joinable()) impl_->thread.join();
}

void fota_thread::post(call c) { impl_->push(std::move(c)); }

void fota_thread::set_clock_ahead(std::chrono::milliseconds ahead) {
    if (std::chrono::abs(ahead - std::chrono::milliseconds(impl_->clock_ahead)) > clock_step_min)
        impl_->clock_ahead = ahead.count();
}

void fota_thread::submit(storage::fota_operation op, std::function<void(storage::fota_outcome)> done) {
    impl_->writer.submit(std::move(op), std::move(done));
}

std::pair<bool, std::string> fota_thread::health() const {
    std::lock_guard lock(impl_->mutex);
    return {impl_->trouble.empty(), impl_->trouble.empty() ? "writing" : impl_->trouble};
}

std::size_t fota_thread::pending() const {
    std::lock_guard lock(impl_->mutex);
    return impl_->queue.size() + impl_->in_hand;
}

} // namespace fb::fota
