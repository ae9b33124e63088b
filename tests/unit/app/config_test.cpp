// The configuration file: what is read, and how each kind of fault is told (file, line, column, key, what is allowed).
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include "broker/app/config.hpp"

using namespace fb::app;

namespace {

/// What parse_config says about a text; empty when it accepts it.
std::string fault_of(std::string_view text) {
    try {
        parse_config(text, "test.toml");
        return {};
    } catch (const config_error& e) {
        return e.what();
    }
}

std::string source_file(const char* name) {
    std::ifstream in(std::string(FB_SOURCE_DIR) + "/" + name);
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TEST_CASE("an empty configuration is the defaults") {
    CHECK(describe(parse_config("", "test.toml")) == describe(config{}));
}

TEST_CASE("the packaged file parses to exactly the built-in defaults") {
    CHECK(describe(load_config(std::string(FB_SOURCE_DIR) + "/packaging/fotabroker.toml")) == describe(config{}));
}

TEST_CASE("the packaged file and the document mention every key") {
    const auto packaged = source_file("packaging/fotabroker.toml");
    const auto document = source_file("docs/configuration.md");
    REQUIRE_FALSE(all_keys().empty());
    for (const auto& key : all_keys()) {
        const auto name = key.substr(key.rfind('.') + 1);
        CAPTURE(key);
        CHECK(packaged.find(name + " = ") != std::string::npos);
        CHECK(document.find("`" + name + "`") != std::string::npos);
    }
}

TEST_CASE("values of every kind are read") {
    const auto c = parse_config(R"(
data_dir = "/srv/fb"
shards = 3
durability = "strict"
[log]
level = "debug"
format = "json"
[[listener]]
url = "mqtt://127.0.0.1:1884"
allow_anonymous = true
device_identity = "client-id"
[[listener]]
url = "mqtts://[::1]"
cert = "/etc/fb/s.crt"
[http]
public_url = "https://gw.example:8443"
metrics_anonymous = true
idle_timeout_s = 7
free_version_types = ["toaster"]
[[http.listener]]
url = "http://localhost:9000"
[fota]
soak_s = 5
deadline_h = 2
[[acl]]
principal = "ops"
publish = ["a/#"]
subscribe = ["b/+/c", "d"]
[[topic]]
filters = ["t/#", "x"]
durability = "none"
[state]
log_bytes = 4194304
[limits]
queued_messages_max = 12
)",
                                "test.toml");
    CHECK(c.data_dir == "/srv/fb");
    CHECK(c.shards == 3);
    CHECK(c.durability == durability_class::strict);
    CHECK(c.log.level == log_level::debug);
    CHECK(c.log.format == log_format::json);
    REQUIRE(c.listeners.size() == 2);
    CHECK(c.listeners[0].url == endpoint{"mqtt", "127.0.0.1", 1884});
    CHECK(c.listeners[0].allow_anonymous);
    CHECK(c.listeners[0].identity == device_identity::client_id);
    CHECK(c.listeners[1].url == endpoint{"mqtts", "::1", 8883});
    CHECK(resolve(c, c.listeners[1].tls.cert) == "/etc/fb/s.crt");
    CHECK(resolve(c, c.listeners[1].tls.key) == "/srv/fb/certs/server.key");
    CHECK(c.http.public_url == "https://gw.example:8443");
    CHECK(c.http.server.metrics_anonymous);
    CHECK(c.http.server.idle_timeout == std::chrono::seconds(7));
    CHECK(c.http.server.free_version_types == std::vector<std::string>{"toaster"});
    REQUIRE(c.http.listeners.size() == 1);
    CHECK(c.http.listeners[0].url == endpoint{"http", "localhost", 9000});
    CHECK(c.fota.soak == std::chrono::seconds(5));
    CHECK(c.fota.deadline == std::chrono::hours(2));
    REQUIRE(c.acl.size() == 1);
    CHECK(c.acl[0].principal == "ops");
    CHECK(c.acl[0].subscribe == std::vector<std::string>{"b/+/c", "d"});
    REQUIRE(c.topics.size() == 1);
    CHECK(c.topics[0].filters == std::vector<std::string>{"t/#", "x"});
    CHECK(c.topics[0].durability == durability_class::none);
    CHECK(c.state.log_bytes == 4194304);
    CHECK(c.limits.queued_messages_max == 12);
}

TEST_CASE("each kind of fault names file, line, column, key and what is allowed") {
    struct row {
        const char* text;
        const char* fault;
    };
    const row rows[] = {
        {"shard = 2", "test.toml:1:1: shard: unknown key, did you mean \"shards\"? (allowed here: data_dir, shards, "},
        {"zzz = 2", "test.toml:1:1: zzz: unknown key (allowed here: "},
        {"\n[log]\nlevle = \"info\"",
         "test.toml:3:1: log.levle: unknown key, did you mean \"level\"? (allowed here: level, format)"},
        {"[[listener]]\nurl = \"mqtt://h:1\"\nallow_anonymous = true\ncertificate = \"x\"",
         "test.toml:4:1: listener.certificate: unknown key"},
        {"shards = \"two\"", "test.toml:1:10: shards: must be a whole number from 0 to 256, not 'two'"},
        {"shards = 2.5", "test.toml:1:10: shards: must be a whole number from 0 to 256, not 2.5"},
        {"shards = 257", "test.toml:1:10: shards: must be a whole number from 0 to 256, not 257"},
        {"shards = -1", "shards: must be a whole number from 0 to 256, not -1"},
        {"data_dir = 5", "test.toml:1:12: data_dir: must be a path in quotes, not 5"},
        {"data_dir = \"\"", "test.toml:1:12: data_dir: must be a path in quotes"},
        {"durability = \"often\"",
         "durability: must be one of \"auto\", \"none\", \"batched\", \"strict\", not 'often'"},
        {"log = 3", "test.toml:1:7: log: must be a table, written [log]"},
        {"listener = 3", "test.toml:1:12: listener: must be a list of tables, written [[listener]]"},
        {"[listener]\nurl = \"mqtt://h:1\"", "listener: must be a list of tables, written [[listener]]"},
        {"[[listener]]\nurl = \"mqtt:/h\"",
         "test.toml:2:7: listener.url: must be \"mqtt://host:port\", \"mqtts://host:port\", \"ws://host:port/path\", \""
         "wss://host:port/path\" or \"unix:///path\" (an IPv6 address in [ ]), not"},
        {"[[listener]]\nmode = \"0680\"", "listener.mode: must be octal rights in quotes, as for chmod: \"0660\", not"},
        {"[[listener]]\nmode = \"1777\"", "listener.mode: must be octal"},
        {"[[listener]]\nmode = 660", "listener.mode: must be octal"},
        {"[[listener]]\nwebsocket_origins = [\"\"]", "listener.websocket_origins: must be an origin in quotes"},
        {"[[listener]]\nwebsocket_origins = [\"https://a\"]", "websocket_origins is for ws:// and wss://"},
        {"[[listener]]\nmode = \"0600\"", "mode is for unix://"},
        {"[[listener]]\nproxy_from = [\"10.0.0.1/8\"]",
         "listener.proxy_from: must be a network like \"10.0.0.0/8\" or an address, in quotes, not '10.0.0.1/8'"},
        {"[[listener]]\nproxy_from = [\"10.0.0.0/8\"]", "it needs proxy_protocol = true"},
        {"[[listener]]\nurl = \"unix:///run/x\"\nallow_anonymous = true\nproxy_protocol = true\nproxy_from = [\"::1\"]",
         "who may use a Unix socket its mode says"},
        {"[[listener]]\nurl = \"unix:///run/x\"", "without TLS nobody has a certificate to show"},
        {"[[listener]]\nurl = \"ws://h:1\"", "without TLS nobody has a certificate to show"},
        {"[[listener]]\nurl = \"https://h:1\"", "listener.url: must be \"mqtt://host:port\""},
        {"[http]\nmetrics_anonymous = 1", "test.toml:2:21: http.metrics_anonymous: must be true or false, not 1"},
        {"[http]\npublic_url = 1", "http.public_url: must be a text in quotes, not 1"},
        {"[http]\npublic_url = \"gw\"", "test.toml: http.public_url: must be \"https://host[:port]\""},
        {"[[acl]]\nprincipal = \"ops\"\npublish = \"a\"",
         "acl.publish: must be a list in [ ], of a topic filter in quotes"},
        {"[[acl]]\nprincipal = \"ops\"\npublish = [\"a#\"]",
         "test.toml:3:12: acl.publish: must be a topic filter in quotes"},
        {"[[topic]]\nfilters = [\"a#\"]", "test.toml:2:12: topic.filters: must be a topic filter in quotes"},
        {"[[topic]]\ndurability = \"none\"", "topic: filters: must have at least one topic filter"},
        {"[[acl]]\npublish = [\"a\"]", "acl: principal: must be a name"},
        {"shards = ", "test.toml:1:10: not TOML: "},
        {"shards = 1\nshards = 2", "test.toml:2:"},
        {"[[listener]]\nurl = \"mqtt://h:1\"", "without TLS nobody has a certificate to show"},
        {"[[listener]]\nclient_ca = \"\"", "without client_ca no client has a certificate to show"},
        {"[[listener]]\ndevice_identity = \"client-id\"", "it needs allow_anonymous = true"},
        {"[[http.listener]]\nurl = \"http://0.0.0.0:80\"", "would cross the network in the clear"},
        {"[limits]\noutput_bytes_high = 2000000", "limits.output_bytes_high: must not be above"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.text);
        const auto fault = fault_of(r.text);
        CAPTURE(fault);
        CHECK(fault.find(r.fault) != std::string::npos);
    }
}

TEST_CASE("all faults of a file are told at once") {
    const auto fault = fault_of("shards = 999\nfoo = 1\n[log]\nlevel = 7");
    CHECK(std::count(fault.begin(), fault.end(), '\n') == 2);
}

TEST_CASE("a file that cannot be read is named") {
    CHECK_THROWS_WITH_AS(load_config("/nonexistent/x.toml"), doctest::Contains("/nonexistent/x.toml"), config_error);
}

TEST_CASE("a client certificate is required with a client CA, optional when anonymous peers are allowed too") {
    using enum fb::certs::client_certificates;
    CHECK(client_certificates_of({}, false) == required);
    CHECK(client_certificates_of({}, true) == optional);
    CHECK(client_certificates_of({"c", "k", ""}, true) == none);
}

TEST_CASE("download links begin with the public URL, or with where the first HTTP listener really listens") {
    config c;
    c.http.listeners[0].url = {"https", "gw.example", 0};
    CHECK(public_url_of(c, 4711) == "https://gw.example:4711");
    c.http.listeners[0].url.host = "0.0.0.0";
    CHECK(public_url_of(c, 4711).find("0.0.0.0") == std::string::npos);
    c.http.public_url = "https://updates.example";
    CHECK(public_url_of(c, 4711) == "https://updates.example");
    c.http = {};
    c.http.listeners.clear();
    CHECK(public_url_of(c, 0).empty());
}

TEST_CASE("endpoints") {
    struct row {
        const char* text;
        std::optional<endpoint> expected;
    };
    const row rows[] = {
        {"mqtt://127.0.0.1:1", endpoint{"mqtt", "127.0.0.1", 1}},
        {"mqtts://gw-1.example", endpoint{"mqtts", "gw-1.example", 8883}},
        {"mqtt://[::]:0", endpoint{"mqtt", "::", 0}},
        {"mqtt://[fe80::1%eth0]", endpoint{"mqtt", "fe80::1%eth0", 1883}},
        {"mqtt://", std::nullopt},
        {"mqtt://:1883", std::nullopt},
        {"mqtt://h:", std::nullopt},
        {"mqtt://h:65536", std::nullopt},
        {"mqtt://h:1x", std::nullopt},
        {"mqtt://h:1/path", std::nullopt},
        {"mqtt://[::1", std::nullopt},
        {"mqtt://[::1]x", std::nullopt},
        {"mqtt://::1:1883", std::nullopt},
        {"ws://h", endpoint{"ws", "h", 8083, "/mqtt"}},
        {"wss://[::]:0", endpoint{"wss", "::", 0, "/mqtt"}},
        {"wss://h/", endpoint{"wss", "h", 8084, "/"}},
        {"ws://h:1/a/b-c", endpoint{"ws", "h", 1, "/a/b-c"}},
        {"unix:///run/mqtt.sock", endpoint{"unix", "", 0, "/run/mqtt.sock"}},
        {"ws://h:1/a?b", std::nullopt},
        {"ws://h:1/a b", std::nullopt},
        {"ws:///a", std::nullopt},
        {"ws://h:1x/a", std::nullopt},
        {"unix://run/mqtt.sock", std::nullopt},
        {"unix:///", std::nullopt},
        {"unix://", std::nullopt},
        {"http://h:1", std::nullopt},
        {"127.0.0.1:1883", std::nullopt},
    };
    for (const auto& r : rows) {
        CAPTURE(r.text);
        CHECK(parse_endpoint(r.text, mqtt_schemes) == r.expected);
    }
    CHECK(to_string(endpoint{"mqtts", "::1", 8883}) == "mqtts://[::1]:8883");
    CHECK(to_string(endpoint{"wss", "h", 1, "/mqtt"}) == "wss://h:1/mqtt");
    CHECK(to_string(endpoint{"unix", "", 0, "/run/x"}) == "unix:///run/x");
    CHECK(endpoint{"wss", "h", 1}.tls());
    CHECK_FALSE(endpoint{"ws", "h", 1}.tls());
}

TEST_CASE("a database is SQLite or a PostgreSQL URL without a password, which no message repeats") {
    const auto database = [](const std::string& keys) { return fault_of("[database]\n" + keys); };
    CHECK(database("url = \"postgresql://fb@db/fleet?sslmode=verify-full\"\npassword_file = \"secret\"") == "");
    CHECK(database("url = \"sqlite\"") == "");
    for (const char* url :
         {"postgresql://fb:s3cret@db/fleet", "postgresql://db/fleet?password=s3cret", "mysql://s3cret"}) {
        const auto fault = database(std::string("url = \"") + url + "\"");
        CHECK(fault.starts_with("test.toml: database.url: "));
        CHECK(fault.find("s3cret") == std::string::npos);
    }
    CHECK(database("password_file = \"secret\"").find("is for PostgreSQL") != std::string::npos);
    CHECK(database("url = \"postgresql://db/fleet\"\nschema = \"\"").find("database.schema") != std::string::npos);
}
