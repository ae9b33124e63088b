#include "world.hpp"

#include "certs/digest.hpp"

namespace fb::test {

fake_store::fake_store(storage::fota_store& store)
    : store_(store)
    , reader_(std::move(*store.open_reader())) {}

void fake_store::submit(storage::fota_operation op, std::function<void(storage::fota_outcome)> done) {
    queue_.push_back({std::move(op), std::move(done)});
}

void fake_store::work() {
    while (state != disk::held && !queue_.empty()) work_one();
}

void fake_store::work_one() {
    auto next = std::move(queue_.front());
    queue_.pop_front();
    if (state == disk::failing) return next.done(storage::error{storage::error_kind::unavailable, "no space left"});
    ++commits;
    const std::vector<storage::fota_operation> batch{std::move(next.op)};
    auto outcome = store_.apply(batch).front();
    if (outcome)
        std::visit(
            [this](const auto& op) {
                if constexpr (requires { op.tell; })
                    if (op.tell) told.push_back(*op.tell);
            },
            batch.front());
    next.done(std::move(outcome));
}

void fake_spool::keep(const fota::report& r, std::function<void(bool)> done) {
    if (!full) reports.push_back(r);
    done(!full);
}

std::vector<fota::report> fake_spool::oldest() {
    given_ = std::min<std::size_t>(reports.size(), 2);
    std::vector<fota::report> out(reports.begin(), reports.begin() + static_cast<std::ptrdiff_t>(given_));
    for (auto& r : out) {
        r.wants_ack = false;
        r.from.connection = {};
    }
    return out;
}

bool fake_spool::forget() {
    reports.erase(reports.begin(), reports.begin() + static_cast<std::ptrdiff_t>(given_));
    return true;
}

std::unordered_map<std::string, std::size_t> fake_spool::devices() {
    std::unordered_map<std::string, std::size_t> out;
    for (const auto& r : reports) ++out[r.from.device_id];
    return out;
}

fota::settings test_settings() {
    fota::settings s;
    s.public_url = "https://gateway:8443";
    s.url_key = std::string(32, 'k');
    return s;
}

world::world(fota::settings s, std::shared_ptr<storage::fota_store> db, fota::report_spool* spool)
    : stored(std::move(db))
    , blobs(*storage::blob_files::open(directory / "blobs"))
    , limits(std::move(s))
    , spool_(spool) {
    begin();
}

void world::begin() {
    fota = std::make_unique<fota::service>(limits, broker, store, blobs);
    if (spool_ != nullptr) fota->use_spool(*spool_);
    REQUIRE(fota->start(now));
    work();
}

void world::restart() { begin(); }

void world::hear(world& other) {
    std::vector<storage::hint_view> hints;
    for (const auto& h : std::exchange(other.store.told, {}))
        if (h.gateway_id == limits.self.id)
            hints.push_back({h.id, store.reader().find_device(h.device_id)->value().device_id, h.kind, h.update_id});
    std::size_t done = 0;
    const std::size_t all = hints.size();
    fota->attend(std::move(hints), now, [&done](const auto& seen) { done = seen.size(); });
    work();
    CHECK(done == all);
}

void world::database(bool away) {
    store.state = away ? disk::failing : disk::well;
    fota->database_away(away, now);
    work();
}

fota::peer world::peer_of(const std::string& device, std::uint64_t session) {
    return {device, {session, epochs_[{device, session}]}, "192.0.2.7", "fingerprint-of-" + device};
}

void world::connect(const std::string& device, std::uint64_t session) {
    epochs_[{device, session}] = next_epoch_++;
    fota->device_connected(peer_of(device, session), now);
    work();
}

void world::ready(const std::string& device, std::uint64_t session) {
    fota->device_ready(peer_of(device, session), now);
    work();
}

void world::come(const std::string& device, const std::string& version) {
    connect(device);
    ready(device);
    status(device, R"({"type":"sensor","version":")" + version + "\"}");
}

void world::disconnect(const std::string& device, std::uint64_t session) {
    fota->device_disconnected(peer_of(device, session), now);
    work();
}

std::uint64_t world::publish(const std::string& device, const std::string& topic, const std::string& payload) {
    fota::report r{peer_of(device, 1), topic, payload, true, {next_token_}, "", ""};
    fota->on_report(std::move(r), now);
    work();
    return next_token_++;
}

std::uint64_t world::status(const std::string& device, const std::string& json) {
    return publish(device, "device/" + device + "/status", json);
}
std::uint64_t world::progress(const std::string& device, const std::string& json) {
    return publish(device, "device/" + device + "/update/progress", json);
}
std::uint64_t world::result(const std::string& device, const std::string& json) {
    return publish(device, "device/" + device + "/update/result", json);
}
std::uint64_t world::fetch(const std::string& device, const std::string& json, const std::string& response_topic) {
    fota::report r{
        peer_of(device, 1), "device/" + device + "/fw/get", json, true, {next_token_}, response_topic, "corr"};
    fota->on_report(std::move(r), now);
    work();
    return next_token_++;
}

void world::wait(std::chrono::milliseconds time) {
    const auto end = now + time;
    for (int rounds = 0;; ++rounds) {
        REQUIRE(rounds < 10000); // a deadline that stays in the past would spin
        const auto deadline = fota->next_deadline();
        if (!deadline || *deadline > end) break;
        now = std::max(now, *deadline);
        fota->on_time(now);
        work();
    }
    now = end;
    fota->on_time(now);
    work();
}

std::string world::add_firmware(const std::string& version, const std::string& bytes, const std::string& type) {
    storage::firmware row;
    row.id = storage::new_id<storage::firmware_uuid>(now);
    row.device_type = type;
    row.version = version;
    row.filename = "image.bin";
    row.url = "/fw/" + to_string(row.id) + "/image.bin";
    row.checksum = "sha256:" + certs::sha256_hex(bytes);
    row.uploaded_at = now;
    row.size = static_cast<std::int64_t>(bytes.size());
    row.state = storage::firmware_state::approved;
    auto writer = blobs.create();
    REQUIRE(writer);
    REQUIRE(writer->write(bytes));
    REQUIRE(writer->commit(certs::sha256_hex(bytes)));
    int status = 0;
    fota->add_firmware(row, now, [&](auto stored, const fota::problem& why) { status = stored ? 201 : why.status; });
    work();
    REQUIRE(status == 201);
    return to_string(row.id);
}

// The answers below may come after the call returned, when the store is held: what they write to is shared.

fota::trigger_answer world::trigger(const std::string& firmware_id, const std::vector<std::string>& devices,
                                    bool allow_downgrade) {
    auto out = std::make_shared<fota::trigger_answer>();
    fota->trigger({firmware_id, devices, std::nullopt, allow_downgrade, "olga"}, now, [out](auto answer, const auto&) {
        if (answer) *out = std::move(*answer);
    });
    work();
    return *out;
}

std::string world::update_to(const std::string& version, const std::string& device) {
    const auto answer = trigger(add_firmware(version), {device});
    REQUIRE(answer.updates.size() == 1);
    return to_string(answer.updates.front().row.id);
}

int world::cancel(const std::string& update_id) {
    auto status = std::make_shared<int>(0);
    fota->cancel(update_id, "olga", now,
                 [status](auto view, const fota::problem& why) { *status = view ? 200 : why.status; });
    work();
    return *status;
}

std::string world::explain(const std::string& device) {
    auto code = std::make_shared<std::string>();
    fota->explain(device, now,
                  [code](auto out, const fota::problem& why) { *code = out ? out->reasons.at(0).code : why.reason; });
    return *code;
}

std::vector<published> world::commands() {
    std::vector<published> fresh(broker.messages.begin() + static_cast<std::ptrdiff_t>(seen_messages_),
                                 broker.messages.end());
    seen_messages_ = broker.messages.size();
    return fresh;
}

std::string world::command() {
    const auto fresh = commands();
    return fresh.size() == 1 ? fresh.front().payload : "";
}

bool world::acked(std::uint64_t token, verdict v) { return broker.acks[token] == std::vector{v}; }
bool world::silent(std::uint64_t token) { return !broker.acks.contains(token); }

storage::update_view world::update(const std::string& update_id) {
    auto found = store.reader().find_update(storage::parse_id<storage::update_uuid>(update_id).value());
    REQUIRE(found);
    REQUIRE(*found);
    return **found;
}

storage::device world::device(const std::string& id) {
    auto found = store.reader().find_device(id);
    REQUIRE(found);
    REQUIRE(*found);
    return **found;
}

std::vector<storage::result_view> world::results(const std::string& device) {
    storage::list_query q;
    q.device_id = device;
    return store.reader().list_results(q)->items;
}

std::vector<std::string> world::history(const std::string& update_id) {
    std::vector<std::string> out;
    const auto events = store.reader().events_of(storage::parse_id<storage::update_uuid>(update_id).value());
    REQUIRE(events);
    for (const auto& e : *events) out.push_back(storage::to_string(e.to_state));
    return out;
}

std::string member(const std::string& json, const std::string& key) {
    const auto at = json.find("\"" + key + "\":\"");
    if (at == std::string::npos) return "";
    const auto begin = at + key.size() + 4;
    return json.substr(begin, json.find('"', begin) - begin);
}

} // namespace fb::test
