// A PostgreSQL server of the test program's own: made by initdb in a temporary directory, reached through a Unix
// socket, with fsync on as in earnest. It can be stopped, killed and started again. It ends with the program, however
// that ends.
//
// PostgreSQL refuses to run as root; then the server is the user postgres. Debian's own service is neither used nor
// touched. Without a server on this machine the tests fail: nothing is skipped in silence.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/scratch_dir.hpp"

namespace fb::test {

/// Runs `sql` as psql would; the rows as lines, columns parted by '|', NULL as "NULL"; or "error: " and the words.
inline std::string raw_postgres(const std::string& url, const std::string& sql) {
    PGconn* db = PQconnectdb(url.c_str());
    PQsetNoticeProcessor(
        db, [](void*, const char*) {}, nullptr);
    std::string out;
    PGresult* answer = PQexec(db, sql.c_str());
    const auto state = PQresultStatus(answer);
    if (state != PGRES_TUPLES_OK && state != PGRES_COMMAND_OK) {
        out = std::string("error: ") + PQerrorMessage(db);
    } else {
        for (int row = 0; row < PQntuples(answer); ++row) {
            if (row > 0) out += '\n';
            for (int column = 0; column < PQnfields(answer); ++column) {
                if (column > 0) out += '|';
                out += PQgetisnull(answer, row, column) ? "NULL" : PQgetvalue(answer, row, column);
            }
        }
    }
    PQclear(answer);
    PQfinish(db);
    return out;
}

class postgres_server {
  public:
    /// The program's one server, started at the first call.
    static postgres_server& shared() {
        static postgres_server server;
        return server;
    }
    ~postgres_server() { stop(); }
    postgres_server(const postgres_server&) = delete;
    postgres_server& operator=(const postgres_server&) = delete;

    /// The directory of the socket .s.PGSQL.5432.
    const std::filesystem::path& sockets() const { return directory_.path(); }
    std::string url() const { return url_at(sockets()); }
    static std::string url_at(const std::filesystem::path& sockets, const std::string& user = "fotabroker",
                              const std::string& database = "postgres") {
        return "postgresql://" + user + "@/" + database + "?host=" + sockets.string();
    }
    std::string sql(const std::string& text) const { return raw_postgres(url(), text); }
    /// A name that no schema of this program has had.
    std::string fresh_schema() { return "test_" + std::to_string(++schemas_); }

    void start() {
        // After a crash a child of the old server may live for a moment, and the new one refuses to start beside it.
        await([&] {
            if (server_ < 0) server_ = spawn_server();
            return !ended() && PQping(url().c_str()) == PQPING_OK;
        });
        REQUIRE_MESSAGE(server_ > 0, "PostgreSQL does not start:\n" << log());
    }
    /// Fast: whoever is connected is thrown out.
    void stop() { end_with(SIGINT); }
    /// As by kill -9, of the server and of each of its children.
    void crash() {
        const std::string task = "/proc/" + std::to_string(server_) + "/task/" + std::to_string(server_);
        const auto children = lines(task + "/children");
        end_with(SIGKILL);
        for (const std::string& child : children)
            if (!child.empty()) ::kill(std::stoi(child), SIGKILL);
    }

  private:
    postgres_server() {
        programs_ = find_programs();
        REQUIRE_MESSAGE(!programs_.empty(), "no PostgreSQL server on this machine: apt-get install postgresql");
        if (::geteuid() == 0) {
            user_ = ::getpwnam("postgres");
            if (user_ == nullptr) user_ = ::getpwnam("nobody");
            REQUIRE(::chown(directory_.path().c_str(), user_->pw_uid, user_->pw_gid) == 0);
        }
        REQUIRE(::chmod(directory_.path().c_str(), 0755) == 0);
        const pid_t made = spawn({programs_ + "/initdb", "-D", data(), "-U", "fotabroker", "-A", "trust", "-E", "UTF8",
                                  "--no-locale", "--no-sync", "--wal-segsize=1"});
        int status = -1;
        ::waitpid(made, &status, 0);
        REQUIRE_MESSAGE(status == 0, "initdb failed:\n" << log());
        std::ofstream(data() + "/pg_hba.conf") << "local all with_password scram-sha-256\nlocal all all trust\n";
        start();
    }

    static std::string find_programs() {
        std::error_code none;
        std::vector<std::string> found;
        for (const auto& version : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
            const auto programs = version.path() / "bin";
            if (std::filesystem::exists(programs / "initdb", none)) found.push_back(programs.string());
        }
        return found.empty() ? "" : *std::max_element(found.begin(), found.end());
    }

    std::string data() const { return (directory_ / "data").string(); }
    std::string log() const {
        std::string out;
        for (const std::string& line : lines(directory_ / "log")) out += line + '\n';
        return out;
    }
    static std::vector<std::string> lines(const std::filesystem::path& file) {
        std::ifstream in(file);
        std::vector<std::string> out;
        std::string word;
        while (std::getline(in, word, file.filename() == "children" ? ' ' : '\n')) out.push_back(word);
        return out;
    }

    pid_t spawn(std::vector<std::string> words) const {
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        const std::string log_file = (directory_ / "log").string();
        const pid_t child = ::fork();
        if (child != 0) return child;
        const int log_fd = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (::dup2(log_fd, 1) < 0 || ::dup2(log_fd, 2) < 0) ::_exit(126);
        ::setenv("LC_ALL", "C", 1);
        if (user_ != nullptr && (::setgroups(0, nullptr) != 0 || ::setgid(user_->pw_gid) != 0 ||
                                 ::setuid(user_->pw_uid) != 0 || ::chdir("/") != 0))
            ::_exit(126);
        ::prctl(PR_SET_PDEATHSIG, SIGQUIT); // after the change of user, which clears it
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }

    pid_t spawn_server() const {
        return spawn({programs_ + "/postgres", "-D", data(), "-k", sockets().string(), "-c", "listen_addresses=", "-c",
                      "shared_buffers=8MB", "-c", "max_connections=40", "-c", "autovacuum=off", "-c",
                      "recovery_init_sync_method=syncfs"});
    }

    bool ended() {
        if (::waitpid(server_, nullptr, WNOHANG) != server_) return false;
        server_ = -1;
        return true;
    }
    void end_with(int signal) {
        if (server_ <= 0) return;
        ::kill(server_, signal);
        ::waitpid(server_, nullptr, 0);
        server_ = -1;
    }

    template <class Condition>
    static void await(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
        while (!condition() && std::chrono::steady_clock::now() < end) ::poll(nullptr, 0, 10);
    }

    scratch_dir directory_;
    std::string programs_;
    const passwd* user_ = nullptr;
    pid_t server_ = -1;
    int schemas_ = 0;
};

} // namespace fb::test
