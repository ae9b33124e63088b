#include "storage/postgres/gateway_store.hpp"

#include "storage/postgres/fota_writes.hpp"
#include "storage/postgres/link.hpp"
#include "storage/postgres/row_set.hpp"
#include "storage/postgres/values.hpp"

namespace fb::storage::postgres {

namespace {

using instance_uuid = uuid<struct instance_tag>;

std::string seconds_text(std::chrono::seconds s) { return std::to_string(s.count()) + " seconds"; }

class postgres_gateway_store final : public gateway_store {
  public:
    explicit postgres_gateway_store(settings s)
        : link_(std::move(s), access::writing)
        , instance_(to_string(new_id<instance_uuid>(timestamp{}))) {}

    result<heartbeat> join(const gateway_uuid& self) override {
        self_ = to_string(self);
        return say("UPDATE gateways SET instance = $2::uuid, seen_at = clock_timestamp() WHERE id = $1::uuid");
    }

    result<heartbeat> beat() override {
        return say("UPDATE gateways SET seen_at = clock_timestamp() WHERE id = $1::uuid AND instance = $2::uuid");
    }

    status leave() override {
        auto gone = run({"WITH g AS (UPDATE gateways SET seen_at = NULL WHERE id = $1::uuid AND instance = $2::uuid "
                         "RETURNING id) UPDATE devices SET online = false FROM g WHERE gateway_id = g.id AND online",
                         {self_, instance_}});
        if (!gone) return gone.err();
        return done{};
    }

    status wait(std::chrono::milliseconds patience) override {
        auto db = listening();
        if (!db) return db.err();
        if ((*db)->wait_notified(patience)) return done{};
        const std::string name = (*db)->name();
        lose();
        return error{error_kind::unavailable, name + ": the connection was cut"};
    }

    result<std::vector<hint_view>> hints(int limit) override {
        auto found = run({"SELECT o.id, d.device_id, o.kind, o.update_id FROM outbox o JOIN devices d ON d.id = "
                          "o.device_id WHERE o.gateway_id = $1::uuid ORDER BY o.id LIMIT $2::integer",
                          {self_, std::to_string(limit)}});
        if (!found) return found.err();
        std::vector<hint_view> out;
        for (int row = 0; row < found->count(); ++row) {
            hint_view& h = out.emplace_back();
            from_text(found->at(row, 0), h.id);
            from_text(found->at(row, 1), h.device_id);
            from_text(found->at(row, 2), h.kind);
            from_text(found->at(row, 3), h.update_id);
        }
        return out;
    }

    status forget(const std::vector<hint_uuid>& hints) override {
        if (hints.empty()) return done{};
        std::string ids;
        for (const hint_uuid& id : hints) ids += (ids.empty() ? "{" : ",") + to_string(id);
        auto gone = run({"DELETE FROM outbox WHERE id = ANY ($1::uuid[])", {ids + "}"}});
        if (!gone) return gone.err();
        return done{};
    }

    result<taken_devices> take_over(std::chrono::seconds dead_after, int limit) override {
        // Two looks, each by the index: for those of nobody, and for those of the dead.
        static const std::string sql =
            "WITH picked AS (SELECT d.id FROM devices d WHERE d.gateway_id IS NULL OR d.gateway_id = ANY (ARRAY"
            "(SELECT id FROM gateways WHERE id <> $1::uuid AND (seen_at IS NULL OR seen_at < now() - $2::interval))) "
            "LIMIT $3::integer FOR NO KEY UPDATE SKIP LOCKED), taken AS (UPDATE devices d SET gateway_id = $1::uuid, "
            "session_epoch = d.session_epoch + 1, online = false FROM picked WHERE d.id = picked.id "
            "RETURNING d.id, d.device_id) SELECT device_id, EXISTS (SELECT FROM updates u WHERE u.device_id = taken.id "
            "AND u.state IN " +
            std::string(open_states) + " OFFSET 0) FROM taken";
        auto found = run({sql, {self_, seconds_text(dead_after), std::to_string(limit)}});
        if (!found) return found.err();
        taken_devices out{found->count(), {}};
        for (int row = 0; row < found->count(); ++row)
            if (found->at(row, 1) == "t") out.with_work.emplace_back(found->at(row, 0).value_or(""));
        return out;
    }

    result<std::vector<gateway>> peers(std::chrono::seconds dead_after) override {
        auto found = run({"SELECT " + std::string(gateway_columns) +
                              " FROM gateways WHERE id <> $1::uuid AND peer_url IS NOT "
                              "NULL AND seen_at >= now() - $2::interval",
                          {self_, seconds_text(dead_after)}});
        if (!found) return found.err();
        std::vector<gateway> out;
        for (int row = 0; row < found->count(); ++row) {
            gateway& g = out.emplace_back();
            from_text(found->at(row, 0), g.id);
            from_text(found->at(row, 1), g.name);
            from_text(found->at(row, 2), g.peer_url);
            from_text(found->at(row, 3), g.version);
        }
        return out;
    }

    result<std::string> shared_secret(const std::string& name, const std::string& ours) override {
        // The second look sees what a rival stored in between.
        if (auto kept = run({"INSERT INTO shared_secrets (name, secret, created_at) VALUES ($1::text, $2::text, now()) "
                             "ON CONFLICT DO NOTHING",
                             {name, ours}});
            !kept)
            return kept.err();
        auto found = run({"SELECT secret FROM shared_secrets WHERE name = $1::text", {name}});
        if (!found) return found.err();
        if (found->count() == 0) return error{error_kind::unavailable, "shared_secrets: no " + name};
        return std::string(found->at(0, 0).value_or(""));
    }

    result<bool> lease(const std::string& name, std::chrono::seconds duration) override {
        auto taken = run({"INSERT INTO leases (name, holder, expires_at) VALUES ($1::text, $2::uuid, now() + "
                          "$3::interval) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = "
                          "excluded.expires_at WHERE leases.holder = excluded.holder OR leases.expires_at < now() "
                          "RETURNING name",
                          {name, self_, seconds_text(duration)}});
        if (!taken) return taken.err();
        return taken->count() == 1;
    }

  private:
    /// One statement in its own transaction. Each of them may be carried out twice, so a cut connection does no harm.
    result<rows> run(command c) {
        const auto db = link_.get();
        if (!db) return db.err();
        answers ran = (*db)->run(std::move(c));
        if (!ran.failed) return std::move(ran.of.at(0));
        if (ran.failed->lost) lose();
        return ran.failed->why;
    }

    result<heartbeat> say(const std::string& update) {
        auto said = run({update + " RETURNING seen_at", {self_, instance_}});
        if (!said) return said.err();
        heartbeat out;
        out.replaced = said->count() == 0;
        if (out.replaced) return out;
        from_text(said->at(0, 0), out.at);
        return out;
    }

    /// The connection, told to listen. A new one has to be told again.
    result<connection*> listening() {
        const auto db = link_.get();
        if (!db || listens_) return db;
        auto channel = run({std::string("SELECT ") + channel_sql, {}, false});
        if (!channel) return channel.err();
        auto set = run({"LISTEN " + std::string(channel->at(0, 0).value_or("")), {}, false});
        if (!set) return set.err();
        listens_ = true;
        return link_.get();
    }

    void lose() {
        link_.drop();
        listens_ = false;
    }

    link link_;
    std::string self_;
    const std::string instance_; // of this process
    bool listens_ = false;       // the present connection
};

} // namespace

std::unique_ptr<gateway_store> make_gateway_store(const settings& s) {
    return std::make_unique<postgres_gateway_store>(s);
}

} // namespace fb::storage::postgres
