// This gateway among the others on the same PostgreSQL: says that it lives, carries their hints to FOTA, takes over the
// devices of those that died, and notices when the database is away. A thread of its own, with a connection of its own.
//
// Nothing here is needed for correctness: whoever acts on a device has checked its owner in the same transaction
// (storage/fota_store.hpp). This is what makes it quick.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fota/fota_thread.hpp"
#include "storage/gateway_store.hpp"

namespace fb::app {

class neighbours {
  public:
    struct settings {
        storage::gateway_uuid self;
        std::chrono::seconds dead_after{20};
    };

    /// FOTA has started, so this gateway's row is there. `fota` outlives this object.
    neighbours(std::unique_ptr<storage::gateway_store> store, settings s, fota::fota_thread& fota);
    ~neighbours();
    /// Ends the thread and tells the others that they need not wait. FOTA may finish its calls into this object
    /// afterwards, so it goes before this object and after this call.
    void stop();

    /// The others that can be asked for files, as of a few seconds ago. Any thread.
    std::vector<storage::gateway> peers() const;
    /// Whether this gateway is the one that does what one of them has to do. Any thread.
    bool leads() const noexcept { return leads_.load(std::memory_order_relaxed); }
    /// False with words while the database is away, or another process runs as this gateway. Any thread.
    std::pair<bool, std::string> health() const;
    void append_metrics(std::string& out) const;

  private:
    using clock = std::chrono::steady_clock;

    void run();
    bool stopped() const;
    void pause();
    bool turn();
    bool beat();
    bool deliver_hints();
    bool take_over();
    void heed_clock(std::chrono::milliseconds ahead);
    void tell_away(bool away);
    bool failed(const storage::error& why);
    void set_trouble(std::string text);

    const std::unique_ptr<storage::gateway_store> store_; // used by the thread alone
    const settings settings_;
    fota::fota_thread& fota_;
    bool joined_ = false;
    bool clocks_apart_ = false;
    bool away_told_ = false;
    clock::time_point next_beat_{}, next_look_{};
    std::set<storage::hint_uuid> in_hand_; // with FOTA
    std::atomic<bool> leads_{false};
    std::atomic<std::uint64_t> hints_{0}, taken_{0};

    mutable std::mutex mutex_; // protects what follows
    std::condition_variable wake_;
    bool stopping_ = false;
    std::string trouble_ = "not joined yet";
    std::vector<storage::gateway> peers_;
    std::vector<storage::hint_uuid> seen_, unseen_; // FOTA is done with them: well, or not
    std::thread thread_;
};

} // namespace fb::app
