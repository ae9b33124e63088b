// What a device does about updates, as a value: events come in, effects go out. No socket, no file, no clock; the shell
// around it is simulated_device. This is the part to read when writing a device's firmware.
//
// 1. What must survive a power cut is in device_record; a save effect comes before every effect that relies on it.
// 2. The version that runs is decided by the installed image alone; nothing here claims another one.
// 3. A result is said again after every reconnect until the gateway has acknowledged it.
// 4. A command that arrives twice (same update id and attempt) starts nothing twice.
//
// The way of an update:   idle -> downloading -> downloaded -> installing -> rebooting -> idle
// with a failed result:          from any of the first three back to idle, the old version keeps running.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bench/fleet/wire.hpp"

namespace fb::fleet {

enum class update_phase {
    idle,        // nothing to do, though a result may still wait for its acknowledgement
    downloading, // the slot holds a part of the image
    downloaded,  // the slot holds the image, its checksum was right
    installing,  // the image is being written over the running one: cannot be canceled any more
    rebooting,   // written; the next boot runs it
};

std::string_view to_string(update_phase phase);

/// What a device remembers over a power cut.
struct device_record {
    update_phase phase = update_phase::idle;
    update_command update;   // the one being worked on, unless idle
    update_command finished; // the last one that ended
    std::string slot_sha256; // the image that the bytes in the slot belong to
    result_report result;    // of `finished`
    bool result_unacknowledged = false;
};

struct device_config {
    std::string id;
    std::string type;
    bool confirm = false;        // the gateway shall wait for a second word after the update
    bool http = true;            // downloads by URL, else by fw/get
    unsigned chunk_bytes = 4096; // of fw/get
    double fail_rate = 0;        // share of attempts that fail while installing, for rehearsals
};

namespace effects {

enum class topic { status, progress, result };

/// `tag` comes back with the acknowledgement; 0: nobody waits for it.
struct say {
    effects::topic topic;
    std::string json;
    bool acknowledged = true; // QoS 1
    int tag = 0;
    friend bool operator==(const say&, const say&) = default;
};
struct save {
    friend bool operator==(const save&, const save&) = default;
};
struct fetch {
    friend bool operator==(const fetch&, const fetch&) = default;
}; // from the slot's end on
struct stop_fetch {
    friend bool operator==(const stop_fetch&, const stop_fetch&) = default;
};
struct discard_slot {
    friend bool operator==(const discard_slot&, const discard_slot&) = default;
};
struct install {
    friend bool operator==(const install&, const install&) = default;
};
struct reboot {
    friend bool operator==(const reboot&, const reboot&) = default;
};

/// For the person who watches.
struct notice {
    std::string state;
    int percent = -1;
    std::string detail;
    friend bool operator==(const notice&, const notice&) = default;
};

} // namespace effects

using effect = std::variant<effects::say, effects::save, effects::fetch, effects::stop_fetch, effects::discard_slot,
                            effects::install, effects::reboot, effects::notice>;

class device {
  public:
    device(device_config config, device_record record)
        : config_(std::move(config))
        , record_(std::move(record)) {}

    /// Power came, or a reboot ended: `version` is what the installed image says. Takes up what was interrupted.
    std::vector<effect> on_boot(const std::string& version, const std::string& boot_id);
    /// The broker accepted the connection. Says everything that is still true.
    std::vector<effect> on_connected();
    std::vector<effect> on_command(std::string_view json);
    std::vector<effect> on_fetch_progress(std::uint64_t done_bytes, std::uint64_t total_bytes);
    std::vector<effect> on_fetched(bool checksum_right);
    std::vector<effect> on_fetch_failed(const std::string& code, const std::string& message);
    std::vector<effect> on_installed();
    std::vector<effect> on_install_failed(const std::string& code, const std::string& message);
    std::vector<effect> on_acknowledged(int tag, bool refused);

    const device_record& record() const { return record_; }
    const std::string& version() const { return version_; }
    /// Runs `version`, and the gateway has acknowledged a status that says so and every result.
    bool settled_at(const std::string& version) const;

  private:
    using list = std::vector<effect>;

    void accept(update_command update, list& out);
    void again(const update_command& update, list& out);
    void cancel(const cancel_command& cancel, list& out);
    void begin_install(list& out);
    void finish(const std::string& status, const std::string& code, const std::string& message, list& out);
    void enter(update_phase phase, list& out);
    bool shall_fail() const;

    void say_status(list& out);
    void say_progress(const std::string& update_id, std::string_view state, list& out);
    void say_result(list& out);

    device_config config_;
    device_record record_;
    std::string version_;
    std::string boot_id_;
    bool status_acknowledged_ = false;
    int percent_said_ = -1;
    int result_tag_ = 2; // grows with each result, so that an old one's acknowledgement is not taken for it
};

} // namespace fb::fleet
