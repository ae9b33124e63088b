// A device from power-on to power-off: joins the decisions (device), the flash (device_files), the MQTT session and an
// image source. Performs effects in their order; nothing is decided here.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "bench/fleet/chunk_source.hpp"
#include "bench/fleet/device.hpp"
#include "bench/fleet/device_files.hpp"
#include "bench/fleet/http_source.hpp"
#include "bench/fleet/mqtt_client.hpp"

namespace fb::fleet {

struct simulation_options {
    device_config device;
    std::string initial_version;
    std::filesystem::path directory;
    mqtt_options mqtt; // the topics and the client id are filled in by the device
    http_source::options http;
    std::uint64_t drop_after_bytes = 0; // cut the download's link once, after so many bytes; 0: never
};

class simulated_device final : mqtt_events, image_events {
  public:
    /// Told of everything a person may want to see. `version` is the one that runs.
    using observer =
        std::function<void(const std::string& id, const std::string& version, const effects::notice& notice)>;

    simulated_device(loop& l, simulation_options options, observer observe);

    void power_on();
    void power_off();
    bool settled_at(const std::string& version) const { return device_.settled_at(version); }

  private:
    void boot();
    void reboot();
    void perform(std::vector<effect> list);
    void perform_one(const effect& e);
    void say(const effects::say& s);
    void fetch();
    void install();
    void note(const effects::notice& n) { observe_(options_.device.id, device_.version(), n); }
    std::string topic(std::string_view rest) const { return "device/" + options_.device.id + '/' + std::string(rest); }

    void on_connected() override;
    void on_message(std::string_view topic, std::string_view payload) override;
    void on_acknowledged(int tag, proto::reason_code reason) override;
    void on_disconnected(const std::string& why) override;
    void on_image_bytes(std::string_view bytes) override;
    void on_image_restarts() override;
    void on_image_size(std::uint64_t bytes) override;
    void on_image_end() override;
    void on_image_failed(const std::string& code, const std::string& message) override;

    loop& loop_;
    simulation_options options_;
    observer observe_;
    device_files files_;
    device device_;
    mqtt_client mqtt_;
    std::unique_ptr<image_source> source_;
    chunk_source* chunks_ = nullptr; // source_, when it is that one
    std::uint64_t image_bytes_ = 0;  // of the image being fetched; 0: unknown
    bool dropped_ = false;
    loop::timer_id booting_ = 0;
    loop::timer_id step_ = 0; // an install that takes its time
};

} // namespace fb::fleet
