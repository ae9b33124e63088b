// A whole HTTP side for one test: store, FOTA with a list for a broker, server on a free loopback port, one token per
// role. Devices are made by reporting their status, as real ones are.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fota/fota_thread.hpp"
#include "http/server.hpp"
#include "http/tokens.hpp"
#include "http_client.hpp"
#include "storage/blob_files.hpp"
#include "storage/fota_store.hpp"
#include "tests/support/scratch_dir.hpp"

namespace fb::test {

/// What FOTA published and acknowledged.
class recording_broker : public fota::broker_port {
  public:
    void publish_live(std::string_view topic, std::string payload, std::uint32_t expiry_s) override;
    void deliver(chunk c) override;
    void acknowledge(fota::ack_token token, fota::verdict v, std::string_view reason) override;

    void wait_for_acknowledgement(std::uint64_t token);
    /// The first command to this device.
    std::string wait_for_command(const std::string& device_id);

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::pair<std::string, std::string>> published_;
    std::vector<std::uint64_t> acknowledged_;
};

inline storage::timestamp now() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

class gateway {
  public:
    using configure = std::function<void(http::settings&)>;
    explicit gateway(configure change = {}, const std::string& store = "memory");
    ~gateway();

    std::uint16_t port(std::size_t listener = 0) const;
    const std::string& token(http::role r) const { return tokens_[static_cast<std::size_t>(r)]; }
    void apply(storage::fota_operation op);
    std::vector<storage::audit_row> audit_log();

    /// One request on a connection of its own. A token's header is added unless `who` is empty.
    http_answer ask(http_request r, std::optional<http::role> who = http::role::admin);
    http_answer get(const std::string& target, std::optional<http::role> who = http::role::admin);
    http_answer post(const std::string& target, const std::string& json,
                     std::map<std::string, std::string> headers = {},
                     std::optional<http::role> who = http::role::admin);
    http_answer upload(const std::string& version, const std::string& file, const std::string& type = "sensor");

    void add_device(const std::string& id, const std::string& version = "1.0.0", const std::string& type = "sensor");
    /// Connects, subscribes; the open command's payload.
    std::string command_for(const std::string& id);
    void report(const std::string& id, const std::string& what, const std::string& json);
    /// Every call posted to FOTA so far has run.
    void settle();

    std::size_t files() const; // in the directory of blobs, temporary ones included
    recording_broker broker;
    scratch_dir directory;

  private:
    fota::peer peer_of(const std::string& id) const;

    std::unique_ptr<storage::fota_store> store_;
    std::unique_ptr<fota::fota_thread> fota_;
    std::unique_ptr<http::server> server_;
    std::vector<std::string> tokens_;
    std::uint64_t next_token_ = 0;
};

/// A form with these fields, then the file; `boundary` is "xyz".
std::string form(const std::vector<std::pair<std::string, std::string>>& fields, const std::string& file,
                 const std::string& filename = "app.bin");
http_request upload_request(std::string body);
/// A member of a JSON object, as text; nested by dots ("items.0.id").
std::string member(const std::string& json, const std::string& path);

} // namespace fb::test
