// One connection to PostgreSQL. Everything waits by poll() until a deadline; nothing blocks for longer, but for the
// look-up of a host's name, which libpq does by itself. Lives on one thread at a time.
//
// Commands go out together in libpq's pipeline mode and their answers are read afterwards: one round trip, however many
// there are. After a failure of the connection itself (`lost`) the object is good for nothing but its destruction.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/error.hpp"
#include "storage/postgres/open.hpp"

namespace fb::storage::postgres {

using parameter = std::optional<std::string>; // empty: NULL; else valid UTF-8 without NUL

struct command {
    std::string sql;
    std::vector<parameter> values{};
    bool prepare = true; // and keep it for the next time
};

/// What one command answered.
class rows {
  public:
    explicit rows(PGresult* answer)
        : answer_(answer, &PQclear) {}
    int count() const { return PQntuples(answer_.get()); }
    int columns() const { return PQnfields(answer_.get()); }
    /// Empty: NULL. Valid as long as this object.
    std::optional<std::string_view> at(int row, int column) const;

  private:
    std::unique_ptr<PGresult, decltype(&PQclear)> answer_;
};

struct failure {
    error why;
    std::string sqlstate; // empty: the connection's own
    std::size_t at = 0;   // which command; those before it ran
    bool lost = false;    // the connection is gone, and what became of the command is unknown
};

struct answers {
    std::vector<rows> of; // one for each command that ran
    std::optional<failure> failed;
};

enum class access {
    writing, // few rows, by their keys, with the same statements over and over
    reading, // cannot write
    tools,   // whole tables
};

class connection {
  public:
    static result<std::unique_ptr<connection>> open(const settings& s, access a);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    answers run(std::span<const command> commands) { return run(commands, answer_max_); }
    answers run(std::span<const command> commands, std::chrono::milliseconds patience);
    answers run(command c) { return run({&c, 1}); }
    /// Several statements in one text, without parameters: for migrations.
    std::optional<failure> script(const std::string& text, std::chrono::milliseconds patience);
    /// Waits for a notification of a channel that is listened to, and forgets it. False: the connection is lost.
    bool wait_notified(std::chrono::milliseconds patience);
    /// Gives up the open transaction, if there is one and the connection is well.
    void rollback();

    /// The database in words, for messages: without a password.
    const std::string& name() const noexcept { return name_; }

  private:
    using clock = std::chrono::steady_clock;

    connection(const settings& s, access a);
    status establish();
    status set_up(const settings& s, access a);
    status to_pipeline();
    bool send(const command& c, std::size_t at);
    void receive(answers& out);
    bool wait(short events);
    bool pump();
    /// The next result, null at the end of a command. False: lost.
    bool next(PGresult*& out);
    failure failure_of(const PGresult* result, std::size_t at) const;
    failure lost(std::size_t at);

    struct expected {
        std::size_t command;
        std::string prepares; // the statement's text, when this is the answer to its preparation
    };

    PGconn* handle_ = nullptr;
    std::string name_;
    std::chrono::milliseconds answer_max_;
    clock::time_point deadline_{};
    bool late_ = false;
    std::map<std::string, std::string, std::less<>> prepared_; // text -> name
    unsigned names_ = 0;
    std::vector<expected> expected_;
};

} // namespace fb::storage::postgres
