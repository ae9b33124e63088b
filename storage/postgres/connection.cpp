#include "storage/postgres/connection.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "storage/postgres/errors.hpp"

namespace fb::storage::postgres {

namespace {

constexpr std::size_t statements_max = 200; // prepared ones; beyond, and in no foreseen use, they are sent as text

void ignore_notice(void*, const char*) {}

std::string milliseconds_text(std::chrono::milliseconds t) { return std::to_string(t.count()); }

std::string state_of(const PGresult* result) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state == nullptr ? "" : state;
}

std::string named(const PGconn* c) {
    const auto text = [](const char* t) { return std::string(t == nullptr ? "" : t); };
    return "postgresql://" + text(PQuser(c)) + "@" + text(PQhost(c)) + ":" + text(PQport(c)) + "/" + text(PQdb(c));
}

} // namespace

std::optional<std::string_view> rows::at(int row, int column) const {
    if (PQgetisnull(answer_.get(), row, column) != 0) return std::nullopt;
    return std::string_view(PQgetvalue(answer_.get(), row, column),
                            static_cast<std::size_t>(PQgetlength(answer_.get(), row, column)));
}

connection::connection(const settings& s, access)
    : answer_max_(s.statement_timeout + s.answer_grace)
    , deadline_(clock::now() + s.connect_timeout) {
    const char* password = s.password.empty() ? nullptr : s.password.c_str(); // what is null is not set
    const std::array keys{"dbname", "password", "client_encoding", "fallback_application_name",
                          static_cast<const char*>(nullptr)};
    const std::array values{s.url.c_str(), password, "UTF8", "fotabroker", static_cast<const char*>(nullptr)};
    handle_ = PQconnectStartParams(keys.data(), values.data(), 1);
}

connection::~connection() { PQfinish(handle_); }

result<std::unique_ptr<connection>> connection::open(const settings& s, access a) {
    std::unique_ptr<connection> self(new connection(s, a));
    if (self->handle_ == nullptr) return error{error_kind::unavailable, "PostgreSQL: no memory for a connection"};
    PQsetErrorVerbosity(self->handle_, PQERRORS_VERBOSE); // only so is the SQLSTATE of a refusal told
    PQsetNoticeProcessor(self->handle_, ignore_notice, nullptr);
    self->name_ = named(self->handle_);
    if (auto up = self->establish(); !up) return up.err();
    PQsetErrorVerbosity(self->handle_, PQERRORS_DEFAULT);
    self->name_ = named(self->handle_);
    if (auto ready = self->set_up(s, a); !ready) return ready.err();
    return self;
}

status connection::establish() {
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (state == PGRES_POLLING_FAILED || PQstatus(handle_) == CONNECTION_BAD)
            return connect_error_of(PQerrorMessage(handle_), name_);
        if (!wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT)) {
            return error{error_kind::unavailable,
                         name_ + ": no connection within the time limit (check the address, and what is in between)"};
        }
        state = PQconnectPoll(handle_);
    }
    return done{};
}

status connection::to_pipeline() {
    if (PQsetnonblocking(handle_, 1) == 0 && PQenterPipelineMode(handle_) == 1) return done{};
    return error{error_kind::unavailable, name_ + ": " + PQerrorMessage(handle_)};
}

/// What a session must be like, whatever the server's and the role's own settings are.
status connection::set_up(const settings& s, access a) {
    if (auto switched = to_pipeline(); !switched) return switched;
    std::vector<command> all{{"SELECT set_config('search_path', quote_ident($1) || ', pg_temp', false), "
                              "set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false), "
                              "set_config('statement_timeout', $2, false), "
                              "set_config('idle_in_transaction_session_timeout', $2, false), "
                              "set_config('default_transaction_isolation', 'read committed', false), "
                              "set_config('jit', 'off', false), "
                              "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
                              "WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
                              {s.schema, milliseconds_text(s.statement_timeout)},
                              false}};
    if (a == access::reading)
        all.push_back({"SELECT set_config('default_transaction_read_only', 'on', false)", {}, false});
    // A statement is planned once, whatever its values: planning a batch anew takes longer than carrying it out. And it
    // goes by the indexes even while the tables are small, for its plan is still in use when they are large.
    if (a == access::writing)
        all.push_back({"SELECT set_config('plan_cache_mode', 'force_generic_plan', false), "
                       "set_config('enable_seqscan', 'off', false)",
                       {},
                       false});
    const auto set = run(all);
    if (set.failed) return set.failed->why;
    return done{};
}

bool connection::wait(short events) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock::now());
        pollfd fd{PQsocket(handle_), events, 0};
        const int ready = left.count() <= 0 ? 0 : ::poll(&fd, 1, static_cast<int>(left.count()));
        if (ready > 0) return true;
        if (ready < 0 && errno == EINTR) continue;
        late_ = true;
        return false;
    }
}

bool connection::pump() {
    const int unsent = PQflush(handle_);
    if (unsent < 0) return false;
    if (!wait(unsent > 0 ? POLLIN | POLLOUT : POLLIN)) return false;
    return PQconsumeInput(handle_) == 1;
}

bool connection::next(PGresult*& out) {
    while (PQisBusy(handle_) != 0) {
        if (!pump()) return false;
    }
    out = PQgetResult(handle_);
    return PQstatus(handle_) != CONNECTION_BAD || out != nullptr;
}

failure connection::failure_of(const PGresult* result, std::size_t at) const {
    const std::string state = state_of(result);
    const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    failure out{error_of(state, message == nullptr ? PQresultErrorMessage(result) : message, name_), state, at, false};
    out.lost = PQstatus(handle_) == CONNECTION_BAD || ends_connection(state);
    return out;
}

failure connection::lost(std::size_t at) {
    const std::string message = late_ ? "no answer within the time limit" : PQerrorMessage(handle_);
    return {error_of("", message.empty() ? "the connection was cut" : message, name_), "", at, true};
}

bool connection::send(const command& c, std::size_t at) {
    std::vector<const char*> values;
    for (const parameter& p : c.values) values.push_back(p ? p->c_str() : nullptr);
    const int count = static_cast<int>(values.size());
    auto known = prepared_.find(c.sql);
    if (known == prepared_.end() && (!c.prepare || prepared_.size() >= statements_max)) {
        expected_.push_back({at, ""});
        return PQsendQueryParams(handle_, c.sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0) == 1;
    }
    if (known == prepared_.end()) {
        const std::string name = "s" + std::to_string(names_++);
        known = prepared_.emplace(c.sql, name).first;
        expected_.push_back({at, c.sql});
        if (PQsendPrepare(handle_, name.c_str(), c.sql.c_str(), 0, nullptr) != 1) return false;
    }
    expected_.push_back({at, ""});
    return PQsendQueryPrepared(handle_, known->second.c_str(), count, values.data(), nullptr, nullptr, 0) == 1;
}

answers connection::run(std::span<const command> commands, std::chrono::milliseconds patience) {
    answers out;
    deadline_ = clock::now() + patience;
    late_ = false;
    expected_.clear();
    for (std::size_t i = 0; i < commands.size(); ++i) {
        if (!send(commands[i], i)) {
            out.failed = lost(i);
            return out;
        }
    }
    if (PQpipelineSync(handle_) != 1)
        out.failed = lost(0);
    else
        receive(out);
    return out;
}

void connection::receive(answers& out) {
    const auto cut = [&](std::size_t at) {
        if (!out.failed) out.failed = lost(at);
        out.failed->lost = true;
    };
    for (const expected& e : expected_) {
        PGresult* result = nullptr;
        if (!next(result) || result == nullptr) return cut(e.command);
        rows answer(result);
        const ExecStatusType kind = PQresultStatus(result);
        const bool good = kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK;
        if (!good && !out.failed) out.failed = failure_of(result, e.command);
        if (!good && !e.prepares.empty()) prepared_.erase(e.prepares);
        if (good && e.prepares.empty()) out.of.push_back(std::move(answer));
        if (out.failed && out.failed->lost) return;
        PGresult* end = nullptr;
        if (!next(end)) return cut(e.command);
        if (end != nullptr) PQclear(end); // never: a command has one result
    }
    PGresult* sync = nullptr;
    if (!next(sync) || sync == nullptr) return cut(expected_.size());
    PQclear(sync);
}

std::optional<failure> connection::script(const std::string& text, std::chrono::milliseconds patience) {
    deadline_ = clock::now() + patience;
    late_ = false;
    if (PQexitPipelineMode(handle_) != 1 || PQsendQuery(handle_, text.c_str()) != 1) return lost(0);
    std::optional<failure> failed;
    for (;;) {
        PGresult* result = nullptr;
        if (!next(result)) return failed ? failed : lost(0);
        if (result == nullptr) break;
        if (PQresultStatus(result) == PGRES_FATAL_ERROR && !failed) failed = failure_of(result, 0);
        PQclear(result);
        if (failed && failed->lost) return failed;
    }
    if (PQenterPipelineMode(handle_) != 1) return lost(0);
    return failed;
}

bool connection::wait_notified(std::chrono::milliseconds patience) {
    deadline_ = clock::now() + patience;
    late_ = false;
    const auto told = [this] {
        bool any = false;
        while (PGnotify* n = PQnotifies(handle_)) {
            any = true;
            PQfreemem(n);
        }
        return any;
    };
    while (!told() && wait(POLLIN)) {
        if (PQconsumeInput(handle_) != 1) return false;
    }
    return PQstatus(handle_) == CONNECTION_OK;
}

void connection::rollback() {
    if (PQstatus(handle_) == CONNECTION_OK && PQtransactionStatus(handle_) != PQTRANS_IDLE)
        run(command{"ROLLBACK", {}, false});
}

} // namespace fb::storage::postgres
