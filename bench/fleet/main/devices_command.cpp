#include <cstdio>
#include <ctime>
#include <memory>
#include <stdexcept>

#include "bench/fleet/json.hpp"
#include "bench/fleet/main/commands.hpp"
#include "bench/fleet/simulated_device.hpp"

namespace fb::fleet {
namespace {

struct devices_arguments {
    std::string broker = "mqtts://127.0.0.1:8883";
    std::string ca;
    std::string certificates;
    std::vector<std::string> ids;
    unsigned count = 0;
    std::string id_pattern = "dev{}";
    std::string type = "sensor";
    std::string version = "1.0.0";
    std::string state_directory;
    std::string mqtt = "5";
    std::string via = "http";
    std::string until_version;
    double timeout_s = 0;
    double fail_rate = 0;
    std::uint64_t bytes_per_second = 0;
    std::uint64_t drop_after_bytes = 0;
    unsigned chunk_bytes = 4096;
    bool confirm = false;
    bool json = false;
};

std::vector<std::string> device_ids(const devices_arguments& a) {
    if (!a.ids.empty()) return a.ids;
    const auto hole = a.id_pattern.find("{}");
    if (a.count == 0 || hole == std::string::npos)
        throw std::runtime_error("give --ids, or --count and an --id-pattern with {}");
    std::vector<std::string> out;
    for (unsigned i = 1; i <= a.count; ++i)
        out.push_back(std::string(a.id_pattern).replace(hole, 2, std::to_string(i)));
    return out;
}

std::string clock_text() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    localtime_r(&now.tv_sec, &parts);
    char text[32];
    std::snprintf(text, sizeof text, "%02d:%02d:%02d.%03d", parts.tm_hour, parts.tm_min, parts.tm_sec,
                  static_cast<int>(now.tv_nsec / 1'000'000));
    return text;
}

void print_line(bool json, const std::string& id, const std::string& version, const effects::notice& n) {
    if (json) {
        json_object o;
        o.add("time", clock_text()).add("device", id).add("version", version).add("state", n.state);
        if (n.percent >= 0) o.add("percent", static_cast<std::uint64_t>(n.percent));
        std::printf("%s\n", o.add_unless_empty("detail", n.detail).str().c_str());
    } else {
        const auto percent = n.percent < 0 ? "" : ' ' + std::to_string(n.percent) + " %";
        const auto detail = n.detail.empty() ? "" : "  (" + n.detail + ')';
        std::printf("%s  %-12s %-8s %s%s%s\n", clock_text().c_str(), id.c_str(), version.c_str(), n.state.c_str(),
                    percent.c_str(), detail.c_str());
    }
    std::fflush(stdout);
}

/// The fleet of one run: the devices, what they share, and when it is over.
class fleet {
  public:
    explicit fleet(const devices_arguments& a)
        : arguments_(a) {
        const auto broker = parse_url(a.broker);
        if (!broker || !broker->scheme.starts_with("mqtt"))
            throw std::runtime_error("not an mqtt(s):// URL: " + a.broker);
        broker_ = *broker;
        address_ = resolve(broker_);
        if (!a.ca.empty()) tls_ = std::make_unique<tls_client>(a.ca);
        if (broker_.secure() && !tls_) throw std::runtime_error("mqtts needs --ca");
        for (const auto& id : device_ids(a)) add(id);
    }

    int run() {
        for (auto& device : devices_) device->power_on();
        if (arguments_.timeout_s > 0)
            loop_.after(std::chrono::milliseconds(static_cast<std::int64_t>(arguments_.timeout_s * 1000)),
                        [this] { loop_.stop(); });
        if (!arguments_.until_version.empty()) look_whether_done();
        loop_.run(&interrupt_seen);
        for (auto& device : devices_) device->power_off();
        return arguments_.until_version.empty() || unsettled() == 0 ? 0 : report_unsettled();
    }

  private:
    void add(const std::string& id) {
        simulation_options o;
        o.device = {id,
                    arguments_.type,
                    arguments_.confirm,
                    arguments_.via == "http",
                    arguments_.chunk_bytes,
                    arguments_.fail_rate};
        o.initial_version = arguments_.version;
        o.directory = std::filesystem::path(arguments_.state_directory) / id;
        o.mqtt.broker = address_;
        o.mqtt.version = arguments_.mqtt == "5" ? proto::version::v5 : proto::version::v3_1_1;
        o.drop_after_bytes = arguments_.drop_after_bytes;
        o.http.tls = tls_.get();
        o.http.bytes_per_second = arguments_.bytes_per_second;
        if (!arguments_.certificates.empty()) {
            const auto base = arguments_.certificates + '/' + id;
            o.http.credentials =
                credentials_
                    .emplace_back(std::make_unique<tls_credentials>(load_credentials(base + ".crt", base + ".key")))
                    .get();
        }
        if (broker_.secure()) o.mqtt.tls = {tls_.get(), broker_.host, o.http.credentials, nullptr};
        const bool json = arguments_.json;
        devices_.push_back(std::make_unique<simulated_device>(
            loop_, std::move(o), [json](const std::string& who, const std::string& version, const effects::notice& n) {
                print_line(json, who, version, n);
            }));
    }

    std::size_t unsettled() const {
        std::size_t count = 0;
        for (const auto& device : devices_) count += device->settled_at(arguments_.until_version) ? 0 : 1;
        return count;
    }

    int report_unsettled() const {
        std::fprintf(stderr, "%zu of %zu devices have not reached %s\n", unsettled(), devices_.size(),
                     arguments_.until_version.c_str());
        return 2;
    }

    void look_whether_done() {
        if (unsettled() == 0) return loop_.stop();
        loop_.after(std::chrono::milliseconds(100), [this] { look_whether_done(); });
    }

    const devices_arguments& arguments_;
    loop loop_;
    url broker_;
    socket_address address_;
    std::unique_ptr<tls_client> tls_;
    std::vector<std::unique_ptr<tls_credentials>> credentials_;
    std::vector<std::unique_ptr<simulated_device>> devices_;
};

} // namespace

void add_devices_command(CLI::App& app, int& exit_code) {
    auto a = std::make_shared<devices_arguments>();
    auto* c = app.add_subcommand("devices", "Run simulated devices that take firmware updates");
    c->add_option("--broker", a->broker, "mqtt:// or mqtts:// and host:port")->capture_default_str();
    c->add_option("--ca", a->ca, "CA certificate that the broker's and the download server's must come from");
    c->add_option("--certs", a->certificates, "directory with <id>.crt and <id>.key of every device");
    c->add_option("--ids", a->ids, "device ids, separated by commas")->delimiter(',');
    c->add_option("--count", a->count, "or: so many devices, named by --id-pattern");
    c->add_option("--id-pattern", a->id_pattern, "{} is the device's number from 1")->capture_default_str();
    c->add_option("--type", a->type, "device type")->capture_default_str();
    c->add_option("--version", a->version, "what runs before the first update")->capture_default_str();
    c->add_option("--state-dir", a->state_directory, "the devices' flash: one directory per id")->required();
    c->add_option("--mqtt", a->mqtt, "protocol version")->check(CLI::IsMember({"5", "3.1.1"}))->capture_default_str();
    c->add_option("--via", a->via, "how to download")->check(CLI::IsMember({"http", "mqtt"}))->capture_default_str();
    c->add_option("--chunk-bytes", a->chunk_bytes, "with --via mqtt")
        ->check(CLI::Range(256, 65536))
        ->capture_default_str();
    c->add_option("--until-version", a->until_version, "end well once every device runs this and the gateway knows");
    c->add_option("--timeout", a->timeout_s, "seconds, then end in any case");
    c->add_option("--fail", a->fail_rate, "share of attempts that fail while installing")->check(CLI::Range(0.0, 1.0));
    c->add_option("--slow-bytes-per-second", a->bytes_per_second, "download no faster than this, per device");
    c->add_option("--drop-after-bytes", a->drop_after_bytes, "cut every device's download once, after so many bytes");
    c->add_flag("--confirm", a->confirm, "announce caps.confirm and confirm after the update");
    c->add_flag("--json", a->json, "JSON lines");
    c->callback([a, &exit_code] { exit_code = fleet(*a).run(); });
}

} // namespace fb::fleet
