#include "gateway.hpp"

#include <csignal>
#include <filesystem>
#include <future>

#include <doctest/doctest.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "storage/open.hpp"

namespace fb::test {

namespace {

std::unique_ptr<storage::fota_store> open_store(const std::string& kind, const std::filesystem::path& directory) {
    if (kind == "memory") return storage::make_memory_fota_store();
    auto store = storage::open_sqlite_fota_store(directory / "fota.db");
    REQUIRE(store);
    return std::move(*store);
}

} // namespace

void recording_broker::publish_live(std::string_view topic, std::string payload, std::uint32_t) {
    const std::lock_guard lock(mutex_);
    published_.emplace_back(topic, std::move(payload));
    changed_.notify_all();
}

void recording_broker::deliver(chunk) {}

void recording_broker::acknowledge(fota::ack_token token, fota::verdict v, std::string_view reason) {
    CAPTURE(std::string(reason));
    CHECK(v == fota::verdict::accepted);
    const std::lock_guard lock(mutex_);
    acknowledged_.push_back(token.value);
    changed_.notify_all();
}

void recording_broker::wait_for_acknowledgement(std::uint64_t token) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), [&] {
        return std::find(acknowledged_.begin(), acknowledged_.end(), token) != acknowledged_.end();
    }));
}

std::string recording_broker::wait_for_command(const std::string& device_id) {
    std::string payload;
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), [&] {
        for (const auto& [topic, text] : published_) {
            if (topic != "device/" + device_id + "/update") continue;
            payload = text;
            return true;
        }
        return false;
    }));
    return payload;
}

gateway::gateway(configure change, const std::string& store)
    : store_(open_store(store, directory.path())) {
    std::signal(SIGPIPE, SIG_IGN);
    auto blobs = storage::blob_files::open(directory / "blobs");
    REQUIRE(blobs);
    fota::settings updates;
    updates.url_key = std::string(32, 'k');
    fota_ = std::make_unique<fota::fota_thread>(updates, broker, *store_, *blobs);
    for (const auto r : {http::role::viewer, http::role::operator_, http::role::approver, http::role::admin}) {
        const auto made = http::make_token(to_string(r), r, now(), std::nullopt);
        apply(storage::save_token{made.row});
        tokens_.push_back(made.secret);
    }
    http::settings s;
    s.version = "9.9.9";
    s.free_bytes_min = 0;
    s.listeners.push_back({"127.0.0.1", 0, nullptr});
    if (change) change(s);
    server_ = std::make_unique<http::server>(
        std::move(s), *fota_, *store_, *blobs,
        [this](storage::fota_operation op, auto done) { fota_->submit(std::move(op), std::move(done)); });
    server_->start();
}

gateway::~gateway() = default; // in the order of the members: the server first

std::uint16_t gateway::port(std::size_t listener) const {
    const auto url = server_->urls().at(listener);
    return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

void gateway::apply(storage::fota_operation op) {
    std::promise<bool> done;
    fota_->submit(std::move(op), [&](storage::fota_outcome outcome) { done.set_value(static_cast<bool>(outcome)); });
    REQUIRE(done.get_future().get());
}

std::vector<storage::audit_row> gateway::audit_log() {
    const auto reader = store_->open_reader();
    REQUIRE(reader);
    const auto rows = (*reader)->audit_rows(0, 1000);
    REQUIRE(rows);
    return *rows;
}

http_answer gateway::ask(http_request r, std::optional<http::role> who) {
    if (who) r.headers["Authorization"] = "Bearer " + token(*who);
    http_client client(port());
    client.send(r.text());
    return client.receive(r.method == "HEAD");
}

http_answer gateway::get(const std::string& target, std::optional<http::role> who) {
    return ask({"GET", target, {}, {}}, who);
}

http_answer gateway::post(const std::string& target, const std::string& json,
                          std::map<std::string, std::string> headers, std::optional<http::role> who) {
    headers["Content-Type"] = "application/json";
    return ask({"POST", target, std::move(headers), json}, who);
}

http_answer gateway::upload(const std::string& version, const std::string& file, const std::string& type) {
    return ask(upload_request(form({{"device_type", type}, {"version", version}}, file)));
}

fota::peer gateway::peer_of(const std::string& id) const {
    fota::peer who;
    who.device_id = id;
    who.connection = {1, 1};
    who.address = "10.0.0.9";
    who.certificate_fingerprint = std::string(64, 'f');
    return who;
}

void gateway::report(const std::string& id, const std::string& what, const std::string& json) {
    const auto number = ++next_token_;
    fota_->post([who = peer_of(id), id, what, json, number](fota::service& service, storage::timestamp at) {
        fota::report r;
        r.from = who;
        r.topic = "device/" + id + "/" + what;
        r.payload = json;
        r.wants_ack = true;
        r.token.value = number;
        service.on_report(std::move(r), at);
    });
    broker.wait_for_acknowledgement(number);
}

void gateway::add_device(const std::string& id, const std::string& version, const std::string& type) {
    fota_->post(
        [who = peer_of(id)](fota::service& service, storage::timestamp at) { service.device_connected(who, at); });
    report(id, "status", "{\"version\":\"" + version + "\",\"type\":\"" + type + "\"}");
}

std::string gateway::command_for(const std::string& id) {
    fota_->post([who = peer_of(id)](fota::service& service, storage::timestamp at) { service.device_ready(who, at); });
    return broker.wait_for_command(id);
}

void gateway::settle() {
    std::promise<void> done;
    fota_->post([&](fota::service&, storage::timestamp) { done.set_value(); });
    done.get_future().get();
}

std::size_t gateway::files() const {
    const std::filesystem::directory_iterator all(directory / "blobs");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::string form(const std::vector<std::pair<std::string, std::string>>& fields, const std::string& file,
                 const std::string& filename) {
    std::string body;
    for (const auto& [name, value] : fields)
        body += "--xyz\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
    body += "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + filename +
            "\"\r\nContent-Type: application/octet-stream\r\n\r\n" + file + "\r\n";
    return body + "--xyz--\r\n";
}

http_request upload_request(std::string body) {
    return {"POST", "/api/v1/firmwares", {{"Content-Type", "multipart/form-data; boundary=xyz"}}, std::move(body)};
}

std::string member(const std::string& json, const std::string& path) {
    rapidjson::Document document;
    document.Parse(json);
    REQUIRE_MESSAGE(!document.HasParseError(), json);
    const rapidjson::Value* at = &document;
    std::string_view rest = path;
    while (!rest.empty()) {
        const std::string name(rest.substr(0, rest.find('.')));
        rest.remove_prefix(std::min(rest.size(), name.size() + 1));
        if (at->IsArray()) {
            REQUIRE_MESSAGE(at->Size() > std::stoul(name), json);
            at = &(*at)[static_cast<rapidjson::SizeType>(std::stoul(name))];
        } else {
            REQUIRE_MESSAGE((at->IsObject() && at->HasMember(name.c_str())), json);
            at = &(*at)[name.c_str()];
        }
    }
    if (at->IsString()) return at->GetString();
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    at->Accept(writer);
    return buffer.GetString();
}

} // namespace fb::test
