// A gateway on a table: a FOTA service with a list instead of a broker, the memory store behind a commit that can be
// held back or made to fail, and a clock that tests turn by hand. Tests read as transcripts: do something, look at what
// was published, acknowledged and stored.
#pragma once

#include <deque>
#include <doctest/doctest.h>
#include <map>
#include <string>
#include <vector>

#include "fota/service.hpp"
#include "storage/open.hpp"
#include "tests/support/scratch_dir.hpp"

namespace fb::test {

using namespace std::chrono_literals;
using fota::verdict;
using storage::timestamp;
using storage::update_state;

/// A report of a device: the members in `rest` and the update's id.
inline std::string with(const std::string& update_id, const std::string& rest) {
    return R"({"update_id":")" + update_id + "\"," + rest + "}";
}

struct published {
    std::string topic, payload;
    std::uint32_t expiry_s = 0;
};

class fake_broker final : public fota::broker_port {
  public:
    void publish_live(std::string_view topic, std::string payload, std::uint32_t expiry_s) override {
        messages.push_back({std::string(topic), std::move(payload), expiry_s});
    }
    void deliver(chunk c) override { chunks.push_back(std::move(c)); }
    void acknowledge(fota::ack_token token, verdict v, std::string_view) override { acks[token.value].push_back(v); }

    std::vector<published> messages;
    std::vector<chunk> chunks;
    std::map<std::uint64_t, std::vector<verdict>> acks;
};

enum class disk { well, held, failing };

class fake_store final : public fota::store_port {
  public:
    explicit fake_store(storage::fota_store& store);
    void submit(storage::fota_operation op, std::function<void(storage::fota_outcome)> done) override;
    storage::fota_reader& reader() override { return *reader_; }

    /// Commits (or fails) what was submitted, and what that leads to; nothing while the disk is held.
    void work();
    void work_one();
    std::size_t waiting() const { return queue_.size(); }
    std::size_t commits = 0;
    disk state = disk::well;
    std::vector<storage::hint> told; // to other gateways, committed

  private:
    struct item {
        storage::fota_operation op;
        std::function<void(storage::fota_outcome)> done;
    };
    storage::fota_store& store_;
    std::unique_ptr<storage::fota_reader> reader_;
    std::deque<item> queue_;
};

fota::settings test_settings();

/// What is kept while the database is away, and a disk that may be full.
class fake_spool final : public fota::report_spool {
  public:
    void keep(const fota::report& r, std::function<void(bool)> done) override;
    std::vector<fota::report> oldest() override;
    bool forget() override;
    std::unordered_map<std::string, std::size_t> devices() override;

    std::deque<fota::report> reports;
    bool full = false;

  private:
    std::size_t given_ = 0;
};

/// One gateway with one data directory; restart() is a power cut. Several may share a database (settings.shared).
class world {
  public:
    explicit world(fota::settings s = test_settings(),
                   std::shared_ptr<storage::fota_store> db = storage::make_memory_fota_store(),
                   fota::report_spool* spool = nullptr);

    // The world's doings. Each lets the store work afterwards, unless it is held.
    void connect(const std::string& device, std::uint64_t session = 1);
    void ready(const std::string& device, std::uint64_t session = 1);
    void come(const std::string& device, const std::string& version = "1.0.0"); // connect, subscribe, status
    void disconnect(const std::string& device, std::uint64_t session = 1);
    std::uint64_t status(const std::string& device, const std::string& json);
    std::uint64_t progress(const std::string& device, const std::string& json);
    std::uint64_t result(const std::string& device, const std::string& json);
    std::uint64_t fetch(const std::string& device, const std::string& json, const std::string& response_topic = "");
    std::uint64_t publish(const std::string& device, const std::string& topic, const std::string& payload);
    void wait(std::chrono::milliseconds time); // all time-outs on the way fire at their time
    void restart();
    void work() { store.work(); }
    void hear(world& other); // what it had to say to this gateway; everything else is for a third one
    void database(bool away);

    // Operators.
    std::string add_firmware(const std::string& version, const std::string& bytes = "image",
                             const std::string& type = "sensor");
    fota::trigger_answer trigger(const std::string& firmware_id, const std::vector<std::string>& devices,
                                 bool allow_downgrade = false);
    std::string update_to(const std::string& version, const std::string& device); // add_firmware + trigger: the id
    int cancel(const std::string& update_id);                                     // the HTTP status
    std::string explain(const std::string& device);                               // the first reason's code

    // What can be seen.
    std::vector<published> commands();          // published since the last call
    std::string command();                      // the only one since the last call, else an empty string
    bool acked(std::uint64_t token, verdict v); // exactly once, with this verdict
    bool silent(std::uint64_t token);           // not acknowledged
    storage::update_view update(const std::string& update_id);
    update_state state(const std::string& update_id) { return *update(update_id).row.state; }
    storage::device device(const std::string& id);
    std::vector<storage::result_view> results(const std::string& device);
    std::vector<std::string> history(const std::string& update_id); // "offered" ... by event

    scratch_dir directory;
    std::shared_ptr<storage::fota_store> stored;
    fake_broker broker;
    fake_store store{*stored};
    storage::blob_files blobs;
    fota::settings limits;
    timestamp now = storage::parse_timestamp("2026-03-01T08:00:00.000Z").value();
    std::unique_ptr<fota::service> fota;

  private:
    void begin();
    fota::peer peer_of(const std::string& device, std::uint64_t session);

    fota::report_spool* spool_;
    std::uint64_t next_token_ = 1;
    std::uint64_t next_epoch_ = 1;
    std::map<std::pair<std::string, std::uint64_t>, std::uint64_t> epochs_;
    std::size_t seen_messages_ = 0;
};

/// The value of a string member of flat JSON: enough to read our own commands.
std::string member(const std::string& json, const std::string& key);

} // namespace fb::test
