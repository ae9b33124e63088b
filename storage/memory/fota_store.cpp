// The FOTA store in memory: for tests, and as the reference that every engine must agree with.
// One mutex around the tables, for readers live on other threads.
#include "storage/fota_store.hpp"

#include <algorithm>
#include <mutex>

#include "storage/cursor.hpp"
#include "storage/memory/reports.hpp"
#include "storage/memory/tables.hpp"
#include "storage/open.hpp"

namespace fb::storage {

namespace memory {

namespace {

struct shared_tables {
    std::mutex mutex;
    tables rows;
};

template <class T>
bool passes(const std::optional<std::string>& filter, const T& value) {
    return !filter || value == *filter;
}

template <class Enum>
bool passes_name(const std::optional<std::string>& filter, const std::optional<Enum>& value) {
    return !filter || (value && to_string(*value) == *filter);
}

/// Sorts `rows` by their keys, cuts what the cursor has given already, and makes the page.
template <class Row, class Key, class Before>
result<page<Row>> page_of(std::vector<Row> rows, const list_query& q, char list, std::size_t columns, Key key_of,
                          Before before) {
    const auto after = check_page(q, list, columns);
    if (!after) return after.err();
    std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return before(key_of(a), key_of(b)); });
    if (!after->empty()) std::erase_if(rows, [&](const Row& row) { return !before(*after, key_of(row)); });
    page<Row> out;
    if (rows.size() > std::size_t(q.limit)) {
        rows.resize(std::size_t(q.limit));
        out.next = make_cursor(list, key_of(rows.back()));
    }
    out.items = std::move(rows);
    return out;
}

using sort_key = std::vector<std::string>;

class memory_fota_reader final : public fota_reader {
  public:
    explicit memory_fota_reader(std::shared_ptr<shared_tables> shared)
        : shared_(std::move(shared)) {}

    result<std::optional<device>> find_device(const std::string& device_id) override {
        const std::lock_guard lock(shared_->mutex);
        return find(rows().devices, device_id);
    }
    result<std::optional<device>> find_device(const device_uuid& id) override {
        const std::lock_guard lock(shared_->mutex);
        return copied(rows().find_device(id));
    }
    result<std::optional<firmware>> find_firmware(const firmware_uuid& id) override {
        const std::lock_guard lock(shared_->mutex);
        return find(rows().firmwares, id);
    }
    result<std::optional<firmware>> find_firmware(const std::string& device_type, const std::string& version) override {
        const std::lock_guard lock(shared_->mutex);
        return copied(rows().find_firmware(device_type, version));
    }
    result<std::optional<update_view>> find_update(const update_uuid& id) override {
        const std::lock_guard lock(shared_->mutex);
        const auto found = rows().updates.find(id);
        return found == rows().updates.end() ? std::nullopt : std::optional(rows().view_of(found->second));
    }
    result<std::optional<update_view>> find_open_update(const std::string& device_id) override {
        return newest_update(device_id, [](const update& u) { return is_open(*u.state); });
    }
    result<std::optional<update_view>> find_latest_update(const std::string& device_id) override {
        return newest_update(device_id, [](const update&) { return true; });
    }
    result<std::vector<update_view>> open_updates(const std::optional<gateway_uuid>& of) override {
        return collect<update_view>(
            rows().updates, [&](const update& u) { return rows().view_of(u); },
            [&](const update_view& v) {
                return v.row.state && is_open(*v.row.state) &&
                       (!of || rows().find_device(v.row.device_id)->gateway_id == of);
            });
    }

    result<page<device>> list_devices(const list_query& q) override {
        auto found = collect<device>(rows().devices, same, [&](const device& d) {
            return passes(q.device_id, d.device_id) && passes(q.device_type, d.type);
        });
        return page_of(
            std::move(found), q, device_list, 1, [](const device& d) { return sort_key{d.device_id}; },
            std::less<sort_key>());
    }
    result<page<firmware>> list_firmwares(const list_query& q) override {
        auto found = collect<firmware>(rows().firmwares, same, [&](const firmware& f) {
            return f.state && passes(q.device_type, f.device_type) && passes_name(q.state, f.state) &&
                   passes(q.firmware_id, to_string(f.id));
        });
        return page_of(
            std::move(found), q, firmware_list, 1, [](const firmware& f) { return sort_key{to_string(f.id)}; },
            std::greater<sort_key>());
    }
    result<page<update_view>> list_updates(const list_query& q) override {
        auto found = collect<update_view>(
            rows().updates, [&](const update& u) { return rows().view_of(u); },
            [&](const update_view& v) {
                return v.row.state && passes(q.device_id, v.device_id) && passes_name(q.state, v.row.state) &&
                       passes(q.firmware_id, to_string(v.row.firmware_id)) &&
                       passes(q.device_type, device_type_of(v.row.firmware_id));
            });
        return page_of(
            std::move(found), q, update_list, 1, [](const update_view& v) { return sort_key{to_string(v.row.id)}; },
            std::greater<sort_key>());
    }
    result<page<result_view>> list_results(const list_query& q) override {
        auto found = collect<result_view>(
            rows().results,
            [&](const update_result& r) {
                return result_view{r, rows().find_device(r.device_id)->device_id};
            },
            [&](const result_view& v) {
                return passes(q.device_id, v.device_id) &&
                       passes(q.device_type, rows().find_device(v.row.device_id)->type) &&
                       passes_name(q.status, std::optional(v.row.status)) &&
                       passes(q.firmware_id, firmware_of(v.row.update_id));
            });
        return page_of(
            std::move(found), q, result_list, 2,
            [](const result_view& v) {
                return sort_key{format_timestamp(v.row.received_at), to_string(v.row.id)};
            },
            std::greater<sort_key>());
    }

    result<std::vector<update_event>> events_of(const update_uuid& id) override {
        return collect<update_event>(rows().events, same, [&](const update_event& e) { return e.update_id == id; });
    }
    result<std::vector<std::string>> devices_of_type(const std::string& device_type) override {
        std::vector<std::string> ids;
        for (const device& d :
             collect<device>(rows().devices, same, [&](const device& row) { return row.type == device_type; })) {
            ids.push_back(d.device_id);
        }
        return ids;
    }
    result<page<fleet_version>> report_fleet(const list_query& q) override {
        return report(
            fleet_versions, q, fleet_list, [&](const fleet_version& v) { return passes(q.device_type, v.device_type); },
            [](const fleet_version& v) {
                return sort_key{v.device_type.value_or(""), v.firmware_version.value_or("")};
            },
            std::less<sort_key>());
    }
    result<page<firmware_success>> report_firmwares(const list_query& q) override {
        return report_by_firmware(firmware_successes, q);
    }
    result<page<update_durations>> report_durations(const list_query& q) override {
        return report_by_firmware(durations, q);
    }
    result<page<stuck_device>> report_stuck_devices(const list_query& q) override {
        return report(
            stuck_devices, q, stuck_list,
            [&](const stuck_device& s) {
                return passes(q.device_type, s.device_type) && passes(q.firmware_id, to_string(s.firmware_id));
            },
            [](const stuck_device& s) { return sort_key{s.device_id}; }, std::less<sort_key>());
    }

    result<prunable_rows<result_uuid>> prunable_results(const prunable_query<result_uuid>& q) override {
        const std::lock_guard lock(shared_->mutex);
        const auto newer = [&](const update_result& r) {
            return std::any_of(rows().results.begin(), rows().results.end(), [&](const auto& other) {
                const update_result& n = other.second;
                return n.device_id == r.device_id && std::pair(n.received_at, n.id) > std::pair(r.received_at, r.id);
            });
        };
        prunable_rows<result_uuid> out;
        for (const auto& [id, r] : rows().results) {
            if (newer(r) && !(r.update_id && rows().is_open_update(*r.update_id))) out.emplace_back(r.received_at, id);
        }
        std::sort(out.begin(), out.end());
        return oldest_of(std::move(out), q, [&](const auto& key) { return q.after && key <= *q.after; });
    }
    result<prunable_rows<event_uuid>> prunable_events(const prunable_query<event_uuid>& q) override {
        const std::lock_guard lock(shared_->mutex);
        prunable_rows<event_uuid> out;
        for (const auto& [id, e] : rows().events) { // by id
            if (!rows().is_open_update(e.update_id)) out.emplace_back(e.at, id);
        }
        return oldest_of(std::move(out), q, [&](const auto& key) { return q.after && key.second <= q.after->second; });
    }
    result<std::optional<timestamp>> time_of_result(std::int64_t newer_ones) override {
        const std::lock_guard lock(shared_->mutex);
        std::vector<timestamp> times;
        for (const auto& [id, r] : rows().results) times.push_back(r.received_at);
        return newest_but(std::move(times), newer_ones);
    }
    result<std::optional<timestamp>> time_of_event(std::int64_t newer_ones) override {
        const std::lock_guard lock(shared_->mutex);
        std::vector<timestamp> times;
        for (const auto& [id, e] : rows().events) times.push_back(e.at);
        return newest_but(std::move(times), newer_ones);
    }
    result<std::vector<audit_row>> audit_rows(std::int64_t after_seq, int limit) override {
        auto out = collect<audit_row>(rows().audit, same, [&](const audit_row& r) { return r.seq > after_seq; });
        if (out.size() > std::size_t(limit)) out.resize(std::size_t(limit));
        return out;
    }
    result<std::optional<audit_row>> newest_audit_row() override {
        const std::lock_guard lock(shared_->mutex);
        return rows().newest_audit_row();
    }
    result<std::vector<std::string>> needed_checksums() override {
        return collect<std::string>(
            rows().firmwares, [](const firmware& f) { return !f.state || !f.url.empty() ? f.checksum : std::string(); },
            [](const std::string& checksum) { return !checksum.empty(); });
    }

    result<std::optional<api_token>> find_token(const std::string& hash) override {
        const std::lock_guard lock(shared_->mutex);
        return copied(rows().find_token(hash));
    }
    result<std::vector<api_token>> list_tokens() override {
        return collect<api_token>(rows().tokens, same, [](const api_token&) { return true; });
    }
    result<std::optional<idempotency_record>> find_idempotency(const std::string& key) override {
        const std::lock_guard lock(shared_->mutex);
        return find(rows().idempotency, key);
    }

  private:
    static constexpr auto same = [](const auto& row) { return row; };

    const tables& rows() const { return shared_->rows; }

    /// Of sorted keys, what the query asks for.
    template <class Id, class Given>
    static prunable_rows<Id> oldest_of(prunable_rows<Id> keys, const prunable_query<Id>& q, Given given) {
        std::erase_if(keys, [&](const auto& key) { return key.first >= q.older_than || given(key); });
        if (keys.size() > std::size_t(q.limit)) keys.resize(std::size_t(q.limit));
        return keys;
    }
    static std::optional<timestamp> newest_but(std::vector<timestamp> times, std::int64_t newer_ones) {
        if (std::int64_t(times.size()) <= newer_ones) return std::nullopt;
        std::sort(times.begin(), times.end(), std::greater<>());
        return times[std::size_t(newer_ones)];
    }

    template <class Row>
    static std::optional<Row> copied(const Row* row) {
        return row == nullptr ? std::nullopt : std::optional<Row>(*row);
    }
    template <class Map>
    static std::optional<typename Map::mapped_type> find(const Map& map, const typename Map::key_type& key) {
        const auto found = map.find(key);
        return found == map.end() ? std::nullopt : std::optional(found->second);
    }

    /// What `make` makes of each row of the table, if `wanted` wants it; takes the lock.
    template <class Out, class Map, class Make, class Wanted>
    std::vector<Out> collect(const Map& map, Make make, Wanted wanted) const {
        const std::lock_guard lock(shared_->mutex);
        std::vector<Out> out;
        for (const auto& [id, row] : map) {
            Out made = make(row);
            if (wanted(made)) out.push_back(std::move(made));
        }
        return out;
    }

    template <class Row>
    using counter = std::vector<Row> (*)(const tables&);

    template <class Row, class Wanted, class Key, class Before>
    result<page<Row>> report(counter<Row> count, const list_query& q, char list, Wanted wanted, Key key_of,
                             Before before) const {
        std::unique_lock lock(shared_->mutex);
        auto found = count(rows());
        lock.unlock();
        std::erase_if(found, [&](const Row& row) { return !wanted(row); });
        const auto columns = key_of(Row{}).size();
        return page_of(std::move(found), q, list, columns, key_of, before);
    }
    template <class Row>
    result<page<Row>> report_by_firmware(counter<Row> count, const list_query& q) const {
        return report(
            count, q, firmware_list,
            [&](const Row& row) {
                return passes(q.device_type, row.device_type) && passes(q.firmware_id, to_string(row.firmware_id));
            },
            [](const Row& row) { return sort_key{to_string(row.firmware_id)}; }, std::greater<sort_key>());
    }

    template <class Wanted>
    result<std::optional<update_view>> newest_update(const std::string& device_id, Wanted wanted) const {
        const std::lock_guard lock(shared_->mutex);
        std::optional<update_view> newest;
        const auto owner = rows().devices.find(device_id);
        if (owner == rows().devices.end()) return newest;
        for (const auto& [id, row] : rows().updates) { // by id: the last one is the newest
            if (row.device_id == owner->second.id && row.state && wanted(row)) newest = rows().view_of(row);
        }
        return newest;
    }

    std::string device_type_of(const firmware_uuid& id) const {
        const auto found = rows().firmwares.find(id);
        return found == rows().firmwares.end() ? std::string() : found->second.device_type;
    }
    std::string firmware_of(const std::optional<update_uuid>& id) const {
        return id ? to_string(rows().updates.at(*id).firmware_id) : std::string();
    }

    std::shared_ptr<shared_tables> shared_;
};

class memory_fota_store final : public fota_store {
  public:
    std::vector<fota_outcome> apply(std::span<const fota_operation> operations) override {
        const std::lock_guard lock(shared_->mutex);
        std::vector<fota_outcome> outcomes;
        for (const fota_operation& operation : operations) outcomes.push_back(perform(shared_->rows, operation));
        return outcomes;
    }
    result<std::unique_ptr<fota_reader>> open_reader() override {
        return std::unique_ptr<fota_reader>(std::make_unique<memory_fota_reader>(shared_));
    }

  private:
    std::shared_ptr<shared_tables> shared_ = std::make_shared<shared_tables>();
};

} // namespace

} // namespace memory

std::unique_ptr<fota_store> make_memory_fota_store() { return std::make_unique<memory::memory_fota_store>(); }

} // namespace fb::storage
