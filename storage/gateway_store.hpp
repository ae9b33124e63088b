// What gateways that share one database ask of it, besides what each stores (fota_store.hpp): who is there, what they
// have to say to each other, whose work a dead one leaves behind. Times are the database's; gateways' clocks are not
// compared with each other.
//
// One thread; calls block up to the store's time limits. unavailable: the database is away, the same again later.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/error.hpp"
#include "storage/records.hpp"

namespace fb::storage {

/// A hint as its reader needs it.
struct hint_view {
    hint_uuid id;
    std::string device_id; // the text id
    std::string kind;
    std::optional<update_uuid> update_id;
};

struct taken_devices {
    int devices = 0;
    std::vector<std::string> with_work; // the text ids of those that have an open update
};

struct heartbeat {
    bool replaced = false; // another process has begun to run under this gateway's id
    timestamp at{};        // by the database's clock
};

/// A gateway that has not been heard of for `dead_after` is dead: its devices may be taken.
class gateway_store {
  public:
    virtual ~gateway_store() = default;

    /// This process speaks for the gateway from now on. Its row is there (gateway_started).
    virtual result<heartbeat> join(const gateway_uuid& self) = 0;
    /// Alive. To be called several times within `dead_after`.
    virtual result<heartbeat> beat() = 0;
    /// An orderly stop: others need not wait for `dead_after`.
    virtual status leave() = 0;

    /// Waits until somebody has something to say, at most so long. An error says so at once.
    virtual status wait(std::chrono::milliseconds patience) = 0;
    /// Hints for this gateway, oldest first. They stay until they are forgotten, when their work is done.
    virtual result<std::vector<hint_view>> hints(int limit) = 0;
    virtual status forget(const std::vector<hint_uuid>& hints) = 0;

    /// Takes up to `limit` devices of the dead, and of nobody: they are this gateway's, offline, with a new epoch.
    /// Several gateways at once do not get in each other's way.
    virtual result<taken_devices> take_over(std::chrono::seconds dead_after, int limit) = 0;

    /// The other gateways that are alive and can be asked for files, in no order.
    virtual result<std::vector<gateway>> peers(std::chrono::seconds dead_after) = 0;
    /// The secret all gateways know by this name: the one that is stored, or `ours`, which then is.
    virtual result<std::string> shared_secret(const std::string& name, const std::string& ours) = 0;
    /// Takes or renews a lease. False: another gateway holds it.
    virtual result<bool> lease(const std::string& name, std::chrono::seconds duration) = 0;
};

} // namespace fb::storage
