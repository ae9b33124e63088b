// The command line: which flags make which configuration, exit statuses, and the commands that need no running broker.
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "broker/app/command_line.hpp"
#include "broker/app/serve.hpp"
#include "broker/app/serve_flags.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb::app;
using fb::test::scratch_dir;
namespace fs = std::filesystem;

namespace {

/// Takes what goes to a stream while it lives.
class captured {
  public:
    explicit captured(std::ostream& stream)
        : stream_(stream)
        , before_(stream.rdbuf(text_.rdbuf())) {}
    ~captured() { stream_.rdbuf(before_); }
    std::string text() const { return text_.str(); }

  private:
    std::ostringstream text_;
    std::ostream& stream_;
    std::streambuf* before_;
};

struct outcome {
    int status = 0;
    std::string out, err;
};

outcome run(std::vector<std::string> words) {
    words.insert(words.begin(), "fotabroker");
    std::vector<char*> argv;
    for (auto& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    captured out(std::cout), err(std::cerr);
    const int status = run_command_line(static_cast<int>(words.size()), argv.data());
    return {status, out.text(), err.text()};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("without flags the default listeners are opened") {
    const auto c = make_config({});
    CHECK(describe(c) == describe(config{}));
}

TEST_CASE("listeners from flags alone: exactly those, and no HTTP that was not asked for") {
    serve_flags f;
    f.listen = {"mqtt://127.0.0.1:1883", "mqtt://[::1]:1883"};
    f.allow_anonymous = true;
    f.data_dir = "/tmp/d";
    const auto c = make_config(f);
    REQUIRE(c.listeners.size() == 2);
    CHECK(c.listeners[1].url == endpoint{"mqtt", "::1", 1883});
    CHECK(c.listeners[0].allow_anonymous);
    CHECK(c.http.listeners.empty());
    CHECK(c.data_dir == "/tmp/d");
}

TEST_CASE("a flag wins over the file, what no flag names stays") {
    scratch_dir dir;
    std::ofstream(dir / "c.toml") << "shards = 2\n[log]\nlevel = \"warn\"\n";
    serve_flags f;
    f.config_file = dir / "c.toml";
    f.shards = 4;
    f.listen = {"mqtts://127.0.0.1:0"};
    const auto c = make_config(f);
    CHECK(c.shards == 4);
    CHECK(c.log.level == log_level::warn);
    REQUIRE(c.listeners.size() == 1);
    CHECK(c.http.listeners.size() == 1); // the default one
}

TEST_CASE("certificates named by flags are relative to where the command was given, and bring no client CA along") {
    serve_flags f;
    f.listen = {"mqtts://127.0.0.1:0"};
    f.cert = "s.crt";
    f.key = "s.key";
    f.allow_anonymous = true;
    auto c = make_config(f);
    CHECK(c.listeners[0].tls.cert == fs::current_path() / "s.crt");
    CHECK(client_certificates_of(c.listeners[0].tls, true) == fb::certs::client_certificates::none);
    f.client_ca = "/pki/ca.crt";
    c = make_config(f);
    CHECK(c.listeners[0].tls.client_ca == "/pki/ca.crt");
}

TEST_CASE("flags that cannot work together are refused in words") {
    serve_flags f;
    f.listen = {"mqtt://127.0.0.1:1883"};
    CHECK_THROWS_WITH_AS(make_config(f), doctest::Contains("nobody could connect"), config_error);
    f.listen = {"ftp://127.0.0.1"};
    CHECK_THROWS_WITH_AS(make_config(f), doctest::Contains("--listen: must be \"mqtt://host:port\""), config_error);
    f.listen = {};
    f.cert = "s.crt";
    CHECK_THROWS_WITH_AS(make_config(f), doctest::Contains("--cert and --key"), config_error);
    f = {};
    f.http = {"http://0.0.0.0:80"};
    CHECK_THROWS_WITH_AS(make_config(f), doctest::Contains("in the clear"), config_error);
}

TEST_CASE("serve without certificates says which commands make them") {
    scratch_dir dir;
    const auto r = run({"serve", "--listen", "mqtts://127.0.0.1:0", "--data-dir", dir.path().string(), "--durability",
                        "strict", "--log-level", "warn", "--log-format", "json", "--device-identity", "certificate"});
    CHECK(r.status == 1);
    CHECK(contains(r.err, (dir / "certs/server.crt").string() + " does not exist"));
    CHECK(contains(r.err, "fotabroker cert init --out " + (dir / "certs").string()));
    CHECK(contains(r.err, "fotabroker cert server --ca " + (dir / "certs").string()));
}

TEST_CASE("wrong usage is exit status 2, help and version are 0") {
    CHECK(run({}).status == 2);
    CHECK(run({"fly"}).status == 2);
    CHECK(run({"serve", "--shards", "many"}).status == 2);
    CHECK(run({"serve", "--durability", "often"}).status == 2);
    CHECK(run({"token", "create", "x", "--role", "king"}).status == 2);
    CHECK(run({"check-config"}).status == 2);
    CHECK(run({"version"}).out.starts_with("fotabroker "));
    for (const char* command : {"serve", "check-config", "cert", "token", "version"}) {
        const auto r = run({command, "--help"});
        CHECK(r.status == 0);
        CHECK_FALSE(r.out.empty());
        CHECK(contains(run({"--help"}).out, command));
    }
}

TEST_CASE("check-config says good, or where the fault is with exit status 2") {
    scratch_dir dir;
    const auto file = (dir / "c.toml").string();
    std::ofstream(file) << "shards = 2\n";
    CHECK(run({"check-config", file}).out == file + ": good\n");
    CHECK(contains(run({"check-config", file, "--print"}).out, "shards = 2\n"));
    std::ofstream(file) << "shards = 2\nhalves = 1\n";
    const auto r = run({"check-config", file});
    CHECK(r.status == 2);
    CHECK(r.err.starts_with(file + ":2:1: halves: unknown key"));
}

TEST_CASE("cert makes a CA, a server and device certificates, and lists them") {
    scratch_dir dir;
    const auto out = dir.path().string();
    REQUIRE(run({"cert", "init", "--out", out}).status == 0);
    REQUIRE(run({"cert", "server", "--ca", out, "--name", "localhost", "--name", "127.0.0.1", "--out", out}).status ==
            0);
    REQUIRE(run({"cert", "device", "pump-7", "--ca", out, "--out", out}).status == 0);
    for (const char* name : {"ca.crt", "ca.key", "server.crt", "server.key", "pump-7.crt", "pump-7.key"}) {
        CAPTURE(name);
        CHECK(fs::exists(dir / name));
    }
    struct stat key {};
    REQUIRE(stat((dir / "pump-7.key").c_str(), &key) == 0);
    CHECK((key.st_mode & 0777) == 0600);
    CHECK(contains(run({"cert", "list", "--ca", out}).out, "pump-7"));
    CHECK(contains(run({"cert", "list", "--ca", out, "--json"}).out, R"("kind":"device","name":"pump-7")"));

    const auto again = run({"cert", "init", "--out", out});
    CHECK(again.status == 1);
    CHECK(contains(again.err, "ca.crt"));
    CHECK(run({"cert", "device", "not/valid", "--ca", out, "--out", out}).status == 1);
}

TEST_CASE("token prints the secret once, lists without it, and revokes") {
    scratch_dir dir;
    const auto data = dir.path().string();
    const auto made = run({"token", "create", "ci", "--role", "operator", "--expires", "30", "--data-dir", data});
    REQUIRE(made.status == 0);
    CHECK(made.out.starts_with("fb_"));
    const auto secret = made.out.substr(0, made.out.size() - 1);

    const auto listed = run({"token", "list", "--data-dir", data});
    CHECK(contains(listed.out, "ci\toperator"));
    CHECK_FALSE(contains(listed.out, secret));
    CHECK(contains(run({"token", "list", "--json", "--data-dir", data}).out, R"("name":"ci","role":"operator")"));

    const auto twice = run({"token", "create", "ci", "--data-dir", data});
    CHECK(twice.status == 1);
    CHECK(contains(twice.err, "\"ci\" exists"));

    CHECK(run({"token", "revoke", "ci", "--data-dir", data}).status == 0);
    CHECK(contains(run({"token", "list", "--data-dir", data}).out, "revoked"));
    const auto gone = run({"token", "revoke", "ci", "--data-dir", data});
    CHECK(gone.status == 1);
    CHECK(contains(gone.err, "no token named \"ci\" is in force"));
}

TEST_CASE("token in a directory that does not exist says so") {
    const auto r = run({"token", "list", "--data-dir", "/nonexistent"});
    CHECK(r.status == 1);
    CHECK(contains(r.err, "/nonexistent"));
}
