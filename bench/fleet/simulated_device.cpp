#include "bench/fleet/simulated_device.hpp"

#include <random>

namespace fb::fleet {
namespace {

constexpr std::chrono::milliseconds install_time{200};
constexpr std::chrono::milliseconds boot_time{500};

std::string random_boot_id() {
    std::random_device random;
    const auto value = std::uint64_t{random()} << 32 | random();
    std::string out;
    for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[value >> shift & 15];
    return out;
}

mqtt_options with_identity(mqtt_options options, const std::string& id) {
    options.client_id = id;
    options.will_topic = "device/" + id + "/status";
    options.will_payload = R"({"online":false})";
    return options;
}

} // namespace

simulated_device::simulated_device(loop& l, simulation_options options, observer observe)
    : loop_(l)
    , options_(std::move(options))
    , observe_(std::move(observe))
    , files_(options_.directory)
    , device_(options_.device, files_.load_record())
    , mqtt_(l, with_identity(options_.mqtt, options_.device.id), *this) {
    if (options_.device.http) {
        source_ = std::make_unique<http_source>(loop_, options_.http, static_cast<image_events&>(*this));
        return;
    }
    chunk_source::options o;
    o.chunk_bytes = options_.device.chunk_bytes;
    o.bytes_per_second = options_.http.bytes_per_second;
    o.ask = [this](const std::string& json) { mqtt_.publish(topic("fw/get"), json, proto::qos::at_most_once, 0); };
    o.cut_link = [this] { mqtt_.cut(); };
    auto source = std::make_unique<chunk_source>(loop_, std::move(o), static_cast<image_events&>(*this));
    chunks_ = source.get();
    source_ = std::move(source);
}

void simulated_device::power_on() { boot(); }

void simulated_device::power_off() {
    loop_.cancel(booting_);
    loop_.cancel(step_);
    source_->stop();
    mqtt_.stop();
}

void simulated_device::boot() {
    perform(device_.on_boot(files_.installed_version(options_.initial_version), random_boot_id()));
    mqtt_.start();
}

void simulated_device::reboot() {
    // From the loop, so that the last report before it leaves first.
    booting_ = loop_.after(std::chrono::milliseconds(50), [this] {
        source_->stop();
        mqtt_.stop();
        booting_ = loop_.after(boot_time, [this] { boot(); });
    });
}

void simulated_device::perform(std::vector<effect> list) {
    for (const auto& e : list) perform_one(e);
}

void simulated_device::perform_one(const effect& e) {
    if (const auto* s = std::get_if<effects::say>(&e)) return say(*s);
    if (const auto* n = std::get_if<effects::notice>(&e)) return note(*n);
    if (std::holds_alternative<effects::save>(e)) return files_.save_record(device_.record());
    if (std::holds_alternative<effects::fetch>(e)) return fetch();
    if (std::holds_alternative<effects::stop_fetch>(e)) return source_->stop();
    if (std::holds_alternative<effects::discard_slot>(e)) return files_.truncate_part();
    if (std::holds_alternative<effects::install>(e)) return install();
    if (std::holds_alternative<effects::reboot>(e)) return reboot();
}

void simulated_device::say(const effects::say& s) {
    constexpr std::string_view names[] = {"status", "update/progress", "update/result"};
    const auto quality = s.acknowledged ? proto::qos::at_least_once : proto::qos::at_most_once;
    // Refused while offline: device says it again once connected.
    mqtt_.publish(topic(names[static_cast<int>(s.topic)]), s.json, quality, s.tag);
}

void simulated_device::fetch() {
    const auto& update = device_.record().update;
    image_bytes_ = update.size;
    auto offset = files_.open_part();
    if (update.size != 0 && offset > update.size) {
        files_.truncate_part();
        offset = 0;
    }
    if (update.size != 0 && offset == update.size) return on_image_end(); // cut between the last byte and the check
    if (offset > 0) note({"resuming", -1, "at byte " + std::to_string(offset)});
    source_->start(update, offset);
}

void simulated_device::install() {
    step_ = loop_.after(install_time, [this] {
        const auto& update = device_.record().update;
        if (files_.install(update.sha256, update.version))
            perform(device_.on_installed());
        else
            perform(device_.on_install_failed("slot_damaged", "the image in the slot is not the one downloaded"));
    });
}

void simulated_device::on_connected() {
    std::vector<std::string> filters = {topic("update")};
    if (chunks_ != nullptr) {
        filters.push_back(topic("fw/data/+/+"));
        filters.push_back(topic("fw/error"));
    }
    mqtt_.subscribe(filters);
    note({"connected", -1, ""});
    perform(device_.on_connected());
    if (chunks_ != nullptr) chunks_->on_connected();
}

void simulated_device::on_disconnected(const std::string& why) { note({"disconnected", -1, why}); }

void simulated_device::on_message(std::string_view full_topic, std::string_view payload) {
    const auto prefix = topic("");
    if (!full_topic.starts_with(prefix)) return;
    const auto name = full_topic.substr(prefix.size());
    constexpr std::string_view data = "fw/data/";
    if (name == "update") return perform(device_.on_command(payload));
    if (chunks_ == nullptr) return;
    if (name.starts_with(data)) return chunks_->on_chunk(name.substr(data.size()), payload);
    if (name == "fw/error") return chunks_->on_error(payload);
}

void simulated_device::on_acknowledged(int tag, proto::reason_code reason) {
    perform(device_.on_acknowledged(tag, is_error(reason)));
}

void simulated_device::on_image_bytes(std::string_view bytes) {
    files_.append(bytes);
    perform(device_.on_fetch_progress(files_.part_bytes(), image_bytes_));
    if (dropped_ || options_.drop_after_bytes == 0 || files_.part_bytes() < options_.drop_after_bytes) return;
    dropped_ = true;
    note({"link cut", -1, "after " + std::to_string(files_.part_bytes()) + " bytes"});
    source_->cut();
}

void simulated_device::on_image_restarts() { files_.truncate_part(); }

void simulated_device::on_image_size(std::uint64_t bytes) { image_bytes_ = bytes; }

void simulated_device::on_image_end() {
    const bool right = files_.seal_part(device_.record().update.sha256);
    perform(device_.on_fetched(right));
}

void simulated_device::on_image_failed(const std::string& code, const std::string& message) {
    perform(device_.on_fetch_failed(code, message));
}

} // namespace fb::fleet
