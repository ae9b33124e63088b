#include "storage/spool_store.hpp"

#include <atomic>
#include <mutex>

#include "storage/aside.hpp"
#include "storage/sqlite/migrate.hpp"
#include "storage/sqlite/query.hpp"

namespace fb::storage {

namespace sqlite {

namespace {

constexpr char spooled_reports[] = R"sql(
CREATE TABLE reports (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at             TEXT NOT NULL,
    device_id               TEXT NOT NULL,
    topic                   TEXT NOT NULL,
    payload                 BLOB NOT NULL,
    address                 TEXT NOT NULL,
    certificate_fingerprint TEXT
);
)sql";
constexpr migration spool_migrations[] = {{1, "reports", spooled_reports}};

class sqlite_spool final : public spool_store {
  public:
    explicit sqlite_spool(std::unique_ptr<connection> db)
        : db_(std::move(db)) {}

    status measure() {
        query q(*db_, "SELECT coalesce(sum(length(payload) + ?), 0) FROM reports");
        q.with(spooled_row_bytes);
        std::int64_t bytes = 0;
        if (q.next()) q >> bytes;
        bytes_ = bytes;
        return q.ended();
    }

    status append(std::span<const spooled_report> reports) override {
        const std::lock_guard lock(mutex_);
        auto kept = insert(reports);
        if (!kept) db_->rollback();
        return kept;
    }

    result<std::vector<spooled_report>> oldest(int limit) override {
        const std::lock_guard lock(mutex_);
        query q(*db_,
                "SELECT id, received_at, device_id, topic, payload, address, certificate_fingerprint FROM reports "
                "ORDER BY id LIMIT ?");
        q.with(limit);
        std::vector<spooled_report> out;
        while (q.next()) {
            spooled_report& r = out.emplace_back();
            q >> r.id >> r.received_at >> r.device_id >> r.topic >> r.payload >> r.address >> r.certificate_fingerprint;
        }
        if (auto ended = q.ended(); !ended) return ended.err();
        return out;
    }

    status forget(std::int64_t up_to_id) override {
        const std::lock_guard lock(mutex_);
        if (auto gone = query(*db_, "DELETE FROM reports WHERE id <= ?").with(up_to_id).run(); !gone) return gone;
        return measure();
    }

    result<std::unordered_map<std::string, std::size_t>> counts_by_device() override {
        const std::lock_guard lock(mutex_);
        query q(*db_, "SELECT device_id, count(*) FROM reports GROUP BY device_id");
        std::unordered_map<std::string, std::size_t> out;
        while (q.next()) {
            std::string id;
            std::size_t count = 0;
            q >> id >> count;
            out[id] = count;
        }
        if (auto ended = q.ended(); !ended) return ended.err();
        return out;
    }

    /// Without the lock, which is held while the disk syncs: a shard may ask.
    std::int64_t bytes() const override { return bytes_; }

  private:
    status insert(std::span<const spooled_report> reports) {
        if (auto begun = query(*db_, "BEGIN IMMEDIATE").run(); !begun) return begun;
        std::int64_t bytes = 0;
        for (const spooled_report& r : reports) {
            query q(*db_, "INSERT INTO reports (received_at, device_id, topic, payload, address, "
                          "certificate_fingerprint) VALUES (?, ?, ?, ?, ?, ?)");
            q.with(r.received_at, r.device_id, r.topic, blob{r.payload}, r.address, r.certificate_fingerprint);
            if (auto inserted = q.run(); !inserted) return inserted;
            bytes += static_cast<std::int64_t>(r.payload.size()) + spooled_row_bytes;
        }
        if (auto committed = query(*db_, "COMMIT").run(); !committed) return committed;
        bytes_ += bytes;
        return done{};
    }

    const std::unique_ptr<connection> db_;
    std::mutex mutex_; // protects the connection
    std::atomic<std::int64_t> bytes_{0};
};

result<std::unique_ptr<spool_store>> open_checked(const std::filesystem::path& file) {
    auto db = connection::open(file, {});
    if (!db) return db.err();
    if (auto configured = (*db)->configure_writer(); !configured) return configured.err();
    if (auto migrated = migrate(**db, spool_migrations); !migrated) return migrated.err();
    auto out = std::make_unique<sqlite_spool>(std::move(*db));
    if (auto measured = out->measure(); !measured) return measured.err();
    return std::unique_ptr<spool_store>(std::move(out));
}

} // namespace

} // namespace sqlite

result<opened_spool> open_sqlite_spool(const std::filesystem::path& file) {
    opened_spool out;
    auto store = sqlite::open_checked(file);
    if (!store && store.err().kind == error_kind::corrupt) {
        auto aside = put_database_aside(file);
        if (!aside) return aside.err();
        out.put_aside = *aside;
        store = sqlite::open_checked(file);
    }
    if (!store) return store.err();
    out.store = std::move(*store);
    return out;
}

} // namespace fb::storage
