#include "broker/app/peer_files.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include "broker/app/state_metrics.hpp"
#include "certs/digest.hpp"
#include "http/peer_file.hpp"

namespace fb::app {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t wanted_max = 1000; // different files
constexpr int tries_max = 60;            // then it has to be wanted again
constexpr std::chrono::seconds pause_first{1}, pause_max{30};
constexpr int resumes_max = 5; // of one transfer that is cut

std::chrono::seconds pause_after(int tries) { return std::min(pause_first * (1 << std::min(tries, 5)), pause_max); }

std::string digest_of(const storage::firmware& f) {
    constexpr std::string_view prefix = "sha256:";
    return f.checksum.starts_with(prefix) ? f.checksum.substr(prefix.size()) : "";
}

} // namespace

peer_files::peer_files(settings s, storage::blob_files blobs, const neighbours& others, fota::fota_thread& fota)
    : settings_(std::move(s))
    , blobs_(std::move(blobs))
    , others_(others)
    , fota_(fota)
    , thread_([this] { run(); }) {
    fota_.post([this](fota::service& service, fota::timestamp) {
        service.on_missing_file([this](const storage::firmware& f) { want(f); });
    });
}

peer_files::~peer_files() { stop(); }

void peer_files::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void peer_files::want(const storage::firmware& f) {
    const std::string digest = digest_of(f);
    if (digest.empty()) return;
    const std::lock_guard lock(mutex_);
    if (wanted_.size() >= wanted_max && !wanted_.contains(digest)) return;
    if (wanted_.try_emplace(digest, wish{f.size}).second) wake_.notify_all();
}

void peer_files::run() {
    ::pthread_setname_np(::pthread_self(), "fb-peer-files");
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const auto next = std::min_element(wanted_.begin(), wanted_.end(), [](const auto& a, const auto& b) {
            return a.second.next_try < b.second.next_try;
        });
        if (next == wanted_.end()) {
            wake_.wait(lock);
            continue;
        }
        if (next->second.next_try > clock::now()) {
            wake_.wait_until(lock, next->second.next_try);
            continue;
        }
        const auto [digest, size] = std::pair(next->first, next->second.size);
        lock.unlock();
        const bool here = blobs_.exists(digest) || fetch(digest, size);
        lock.lock();
        auto& wish = wanted_.at(digest);
        if (!here && ++wish.tries < tries_max) {
            wish.next_try = clock::now() + pause_after(wish.tries);
            continue;
        }
        wanted_.erase(digest);
        if (here)
            fota_.post([digest](fota::service& s, fota::timestamp now) { s.file_arrived(digest, now); });
        else
            spdlog::error("firmware file {}: no other gateway could give it", digest);
    }
}

bool peer_files::fetch(const std::string& sha256, std::int64_t size) {
    if (size > settings_.file_bytes_max || blobs_.bytes_free() - size < settings_.free_bytes_min) {
        spdlog::error("firmware file {}: no room for its {} bytes", sha256, size);
        return false;
    }
    for (const storage::gateway& peer : others_.peers()) {
        if (stopped()) return false;
        auto file = blobs_.create();
        if (!file) {
            spdlog::error("firmware file {}: {}", sha256, file.err().text);
            return false;
        }
        certs::digest hash(certs::digest_kind::sha256);
        std::string why = "?";
        for (int i = 0; !why.empty() && i <= resumes_max && !stopped(); ++i) {
            const std::int64_t before = file->size();
            why = http::fetch_from_peer(
                {*peer.peer_url, sha256, settings_.key, settings_.ca, before, size}, [&](std::string_view bytes) {
                    hash.update(bytes);
                    return !stopped() && file->size() + std::ssize(bytes) <= size && bool(file->write(bytes));
                });
            if (file->size() == before) break; // no progress: somebody else perhaps
        }
        if (why.empty() && hash.finish_hex() != sha256) why = *peer.peer_url + ": sent something else than this file";
        if (why.empty()) {
            if (const auto kept = file->commit(sha256); !kept) why = kept.err().text;
        }
        if (why.empty()) {
            ++fetched_;
            spdlog::info("firmware file {} fetched from {} ({})", sha256, peer.name, *peer.peer_url);
            return true;
        }
        ++failed_;
        spdlog::warn("firmware file {} not fetched: {}", sha256, why);
    }
    return false;
}

bool peer_files::stopped() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

void peer_files::append_metrics(std::string& out) const {
    append_metric(out, "fotabroker_peer_files_fetched_total", "counter", "Firmware files fetched from other gateways",
                  fetched_);
    append_metric(out, "fotabroker_peer_files_failures_total", "counter", "Attempts to fetch one that failed", failed_);
}

} // namespace fb::app
