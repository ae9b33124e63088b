// Batches of operations in one transaction each: everything in one round trip, COMMIT in a second one. What happens
// when something goes wrong in between is the larger part of this file.
#include <poll.h>

#include <algorithm>
#include <utility>

#include "storage/postgres/audit_log.hpp"
#include "storage/postgres/errors.hpp"
#include "storage/postgres/fota_writes.hpp"
#include "storage/postgres/gateway_store.hpp"
#include "storage/postgres/link.hpp"
#include "storage/postgres/migrate.hpp"
#include "storage/postgres/query.hpp"
#include "storage/sql_fota_reader.hpp"

namespace fb::storage::postgres {

namespace {

constexpr int tries_max = 5; // of a batch that is in somebody's way, or whose connection was cut before COMMIT
constexpr std::chrono::milliseconds reader_statement_max{5000};
constexpr std::chrono::milliseconds look_again{50}; // at a transaction that is still running
constexpr std::chrono::hours forgotten{30 * 24};    // a writer that was killed, and whose row is not needed any more

void nap(std::chrono::milliseconds t) { ::poll(nullptr, 0, static_cast<int>(t.count())); }

/// As an outcome of a whole batch: whatever is wrong is not one operation's fault and may be well again later.
error of_the_database(error why) {
    if (why.kind == error_kind::conflict || why.kind == error_kind::not_found || why.kind == error_kind::invalid)
        why.kind = error_kind::unavailable;
    return why;
}

command plain(std::string sql) { return {std::move(sql), {}, false}; }

bool tells_somebody(std::span<const fota_operation> operations) {
    return std::ranges::any_of(operations, [](const fota_operation& operation) {
        return std::visit(
            [](const auto& op) {
                if constexpr (requires { op.tell; }) return op.tell.has_value();
                return false;
            },
            operation);
    });
}

/// Wakes the gateways that the batch has words for, once; they would find them a second later anyway.
command call() { return {std::string("SELECT pg_notify(") + channel_sql + ", '')", {}}; }

using outcomes_known = std::vector<std::optional<fota_outcome>>;

class postgres_fota_store final : public fota_store {
  public:
    postgres_fota_store(settings s, std::unique_ptr<connection> db)
        : link_(std::move(s), access::writing, std::move(db))
        , writer_(to_string(new_id<writer_uuid>(timestamp{}))) {}

    ~postgres_fota_store() override {
        if (connection* db = link_.standing(); db != nullptr && batches_ > 0)
            db->run(command{"DELETE FROM store_writers WHERE id = $1::uuid", {writer_}, false});
    }

    std::vector<fota_outcome> apply(std::span<const fota_operation> operations) override;

    result<std::unique_ptr<fota_reader>> open_reader() override {
        settings s = link_.how();
        s.statement_timeout = std::min(s.statement_timeout, reader_statement_max);
        return std::unique_ptr<fota_reader>(
            std::make_unique<sql_fota_reader<link, query>>(std::make_unique<link>(std::move(s), access::reading)));
    }

  private:
    using writer_uuid = uuid<struct writer_tag>;

    /// How a try ended.
    enum class ended {
        committed,
        again,     // nothing was applied: the same once more
        carefully, // nothing was applied: an operation failed; the others again without it
        given_up,  // nothing was applied: `why_`
    };

    ended together(std::span<const fota_operation> operations, outcomes_known& outcomes);
    ended one_by_one(std::span<const fota_operation> operations, outcomes_known& outcomes);
    ended log_and_commit(connection& db, std::span<const fota_operation> operations, const outcomes_known& outcomes,
                         const std::string& transaction);
    ended commit(connection& db, const std::string& transaction);
    ended what_became_of(const std::string& transaction);
    std::optional<bool> committed(connection& db, const std::string& transaction);
    ended after(connection& db, const failure& f);
    ended give_up(error why) {
        why_ = of_the_database(std::move(why));
        return ended::given_up;
    }
    command mark() const;

    link link_;
    std::string writer_;       // our row in store_writers
    std::int64_t batches_ = 0; // the number of the one at hand
    error why_;
};

std::vector<fota_outcome> postgres_fota_store::apply(std::span<const fota_operation> operations) {
    outcomes_known checked(operations.size());
    for (std::size_t i = 0; i < operations.size(); ++i) {
        if (auto fault = fault_of(operations[i])) checked[i] = fota_outcome(std::move(*fault));
    }
    ended how = ended::again;
    bool careful = false;
    outcomes_known outcomes;
    for (int tries = 0; tries < tries_max && (how == ended::again || how == ended::carefully); ++tries) {
        outcomes = checked;
        careful = careful || how == ended::carefully;
        ++batches_;
        how = careful ? one_by_one(operations, outcomes) : together(operations, outcomes);
    }
    std::vector<fota_outcome> out;
    for (auto& outcome : outcomes) {
        if (how != ended::committed)
            out.emplace_back(why_);
        else
            out.push_back(
                outcome.value_or(fota_outcome(error{error_kind::unavailable, "no answer to this operation"})));
    }
    return out;
}

/// Says with the batch that it is there: our number in our row, which outlives a crash of the server only if the batch
/// does. A transaction's id alone would not do: a server that crashes may hand out the same one again.
command postgres_fota_store::mark() const {
    return {"INSERT INTO store_writers (id, batches, seen_at) VALUES ($1::uuid, $2::bigint, now()) ON CONFLICT (id) DO "
            "UPDATE SET batches = excluded.batches, seen_at = excluded.seen_at RETURNING pg_current_xact_id()::text",
            {writer_, std::to_string(batches_)}};
}

postgres_fota_store::ended postgres_fota_store::together(std::span<const fota_operation> operations,
                                                         outcomes_known& outcomes) {
    const auto db = link_.get();
    if (!db) return give_up(db.err());
    const std::vector<work> works = plan(operations, outcomes);
    std::vector<command> commands{plain("BEGIN")};
    for (const work& w : works) commands.push_back(w.sql);
    if (tells_somebody(operations)) commands.push_back(call());
    commands.push_back(mark());
    const answers ran = (*db)->run(commands);
    if (ran.failed) return after(**db, *ran.failed);
    for (std::size_t i = 0; i < works.size(); ++i) read_outcomes(works[i], ran.of.at(i + 1), operations, outcomes);
    return log_and_commit(**db, operations, outcomes, std::string(ran.of.back().at(0, 0).value_or("")));
}

/// A savepoint and a round trip for each operation. An error is its own outcome, and only its own.
postgres_fota_store::ended postgres_fota_store::one_by_one(std::span<const fota_operation> operations,
                                                           outcomes_known& outcomes) {
    const auto db = link_.get();
    if (!db) return give_up(db.err());
    const auto begun = (*db)->run(plain("BEGIN"));
    if (begun.failed) return after(**db, *begun.failed);
    for (std::size_t i = 0; i < operations.size(); ++i) {
        const outcomes_known none(1);
        if (outcomes[i]) continue;
        work w = plan(operations.subspan(i, 1), none).at(0);
        w.operations = {i};
        const command commands[] = {plain("SAVEPOINT operation"), w.sql, plain("RELEASE operation")};
        const answers ran = (*db)->run(commands);
        if (!ran.failed) {
            read_outcomes(w, ran.of.at(1), operations, outcomes);
            continue;
        }
        if (ran.failed->lost || !concerns_one_operation(ran.failed->sqlstate)) return after(**db, *ran.failed);
        outcomes[i] = fota_outcome(ran.failed->why);
        const auto undone = (*db)->run(plain("ROLLBACK TO operation"));
        if (undone.failed) return after(**db, *undone.failed);
    }
    std::vector<command> last{mark()};
    if (tells_somebody(operations)) last.insert(last.begin(), call());
    const answers marked = (*db)->run(last);
    if (marked.failed) return after(**db, *marked.failed);
    return log_and_commit(**db, operations, outcomes, std::string(marked.of.back().at(0, 0).value_or("")));
}

/// Of a failure before COMMIT was sent: nothing was applied, whatever it was.
postgres_fota_store::ended postgres_fota_store::after(connection& db, const failure& f) {
    why_ = of_the_database(f.why);
    if (f.lost) {
        link_.drop();
        return ended::again;
    }
    db.rollback();
    if (will_pass(f.sqlstate)) return ended::again;
    return concerns_one_operation(f.sqlstate) ? ended::carefully : ended::given_up;
}

/// The audit log comes last, when it is known what was done.
postgres_fota_store::ended postgres_fota_store::log_and_commit(connection& db,
                                                               std::span<const fota_operation> operations,
                                                               const outcomes_known& outcomes,
                                                               const std::string& transaction) {
    if (const auto entries = audit_commands(operations, outcomes); !entries.empty()) {
        const answers logged = db.run(entries);
        if (logged.failed) return after(db, *logged.failed);
    }
    return commit(db, transaction);
}

postgres_fota_store::ended postgres_fota_store::commit(connection& db, const std::string& transaction) {
    const answers ran = db.run(plain("COMMIT"));
    if (!ran.failed) return ended::committed;
    if (!ran.failed->lost) return after(db, *ran.failed);
    link_.drop();
    return what_became_of(transaction);
}

/// The answer to COMMIT is lost. Asks until somebody knows, for as long as the settings allow.
postgres_fota_store::ended postgres_fota_store::what_became_of(const std::string& transaction) {
    const auto end = std::chrono::steady_clock::now() + link_.how().doubt_max;
    while (std::chrono::steady_clock::now() < end) {
        if (const auto db = link_.get()) {
            if (const auto known = committed(**db, transaction)) return *known ? ended::committed : ended::again;
        } else {
            why_ = db.err();
        }
        nap(look_again);
    }
    return give_up({error_kind::unavailable, "whether the last transaction was committed is not known: " + why_.text});
}

/// Empty: not known yet.
std::optional<bool> postgres_fota_store::committed(connection& db, const std::string& transaction) {
    const auto state = db.run(command{"SELECT pg_xact_status($1::xid8)", {transaction}, false});
    if (state.failed && state.failed->lost) {
        why_ = state.failed->why;
        link_.drop();
        return std::nullopt;
    }
    // An error says that the server has never seen this transaction: it crashed before anything of it was on disk.
    if (!state.failed && state.of.at(0).at(0, 0) == "in progress") return std::nullopt;
    const auto marked = db.run(command{"SELECT 1 FROM store_writers WHERE id = $1::uuid AND batches >= $2::bigint",
                                       {writer_, std::to_string(batches_)},
                                       false});
    if (!marked.failed) return marked.of.at(0).count() > 0;
    why_ = marked.failed->why;
    if (marked.failed->lost) link_.drop();
    return std::nullopt;
}

/// New ids must sort after those stored, even if the clock was set back since.
status raise_floor_from(connection& db) {
    for (const char* sql : {"SELECT id FROM updates WHERE state IS NOT NULL ORDER BY id DESC LIMIT 1",
                            "SELECT id FROM firmwares WHERE state IS NOT NULL ORDER BY id DESC LIMIT 1",
                            "SELECT id FROM update_events ORDER BY id DESC LIMIT 1"}) {
        const auto highest = db.run(plain(sql));
        if (highest.failed) return highest.failed->why;
        if (highest.of.at(0).count() == 0) continue;
        if (const auto id = parse_uuid(highest.of.at(0).at(0, 0).value_or(""))) raise_uuid_floor(*id);
    }
    return done{};
}

status forget_old_writers(connection& db) {
    const auto ran = db.run(command{"DELETE FROM store_writers WHERE seen_at < now() - $1::interval",
                                    {std::to_string(forgotten.count()) + " hours"},
                                    false});
    if (ran.failed) return ran.failed->why;
    return done{};
}

} // namespace

result<std::unique_ptr<fota_store>> open_fota_store(const settings& s) {
    auto db = connection::open(s, access::writing);
    if (!db) return db.err();
    if (auto migrated = migrate(**db, s.schema, fota_migrations()); !migrated) return migrated.err();
    if (auto forgot = forget_old_writers(**db); !forgot) return forgot.err();
    if (auto raised = raise_floor_from(**db); !raised) return raised.err();
    return std::unique_ptr<fota_store>(std::make_unique<postgres_fota_store>(s, std::move(*db)));
}

} // namespace fb::storage::postgres
