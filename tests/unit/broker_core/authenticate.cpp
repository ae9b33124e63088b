// User names, passwords and enhanced authentication. Method: transcripts with an authenticator whose only secret is
// "sesame" and whose method "RIDDLE" asks once.
#include <doctest/doctest.h>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::auth_verdict;
using core::close_cause;
using proto::reason_code;

namespace {

core::principal_ptr user(const std::string& name) {
    return std::make_shared<core::principal>(core::principal{core::principal_kind::password, name, {}, {}});
}

auth_verdict accepted(const std::string& name, std::string data) {
    return {auth_verdict::kind::accepted, user(name), std::move(data), {}};
}

class password_check final : public core::auth_exchange {
  public:
    explicit password_check(std::string_view name)
        : name_(name) {}
    auth_verdict step(std::string_view data) override {
        if (data == "sesame") return accepted(name_, {});
        return {auth_verdict::kind::refused, nullptr, {}, "wrong user name or password"};
    }

  private:
    std::string name_;
};

/// First step: the user's name. Second: the answer.
class riddle final : public core::auth_exchange {
  public:
    auth_verdict step(std::string_view data) override {
        if (name_.empty()) {
            name_ = data;
            return {auth_verdict::kind::challenge, nullptr, "what opens?", {}};
        }
        if (data == "sesame") return accepted(name_, "well done");
        return {auth_verdict::kind::refused, nullptr, {}, "that is not it"};
    }

  private:
    std::string name_;
};

class fake_authenticator final : public core::authenticator {
  public:
    std::shared_ptr<core::auth_exchange> by_password(std::string_view name) const override {
        return std::make_shared<password_check>(name);
    }
    std::shared_ptr<core::auth_exchange> by_method(std::string_view method) const override {
        return method == "RIDDLE" ? std::make_shared<riddle>() : nullptr;
    }
};

broker_setup with_secrets(core::shard_id shards = 1) {
    broker_setup setup;
    setup.shards = shards;
    setup.configure = [](core::engine_config& c) { c.authentication = std::make_shared<fake_authenticator>(); };
    return setup;
}

connect_options by_password(std::string_view name, std::string_view password) {
    connect_options o;
    o.user_name = name;
    o.password = password;
    return o;
}

connect_options by_riddle(std::string_view name) {
    connect_options o;
    o.method = "RIDDLE";
    o.data = name;
    return o;
}

proto::auth auth(reason_code reason, std::string_view data, std::string_view method = "RIDDLE") {
    proto::auth p;
    p.reason = reason;
    if (!method.empty()) p.properties.authentication_method = method;
    p.properties.authentication_data = data;
    return p;
}

} // namespace

TEST_CASE("a right password lets a client in as that user, a wrong one does not") {
    fail_at_every_step(with_secrets(4), [](broker& b) {
        auto& c = b.client("c").needs_proof().connect(by_password("ann", "sesame")).expect("CONNACK 00");
        c.publish("a", "x", 1).expect("PUBACK #1 87"); // no rule gives a user rights
        auto& wrong = b.client("wrong").needs_proof().connect(by_password("ann", "simsim"));
        wrong.expect("CONNACK 86").expect_closed(close_cause::refused);
        auto& none = b.client("none").needs_proof().connect();
        none.expect("CONNACK 87").expect_closed(close_cause::refused);
        b.client("no password").needs_proof().connect({.user_name = "ann"}).expect("CONNACK 86");
        auto& old = b.client_v311("old").needs_proof().connect(by_password("ann", "simsim"));
        old.expect("CONNACK 86").expect_closed(close_cause::refused);
    });
}

TEST_CASE("where anonymous clients are allowed, a wrong password is still refused") {
    broker b(with_secrets());
    b.client("nobody").connect().expect("CONNACK 00");
    b.client("ann").connect(by_password("ann", "simsim")).expect("CONNACK 86");
    CHECK(b.total(&core::counters::authentications_failed) == 1);
}

TEST_CASE("a certificate makes a password needless") {
    broker b(with_secrets());
    b.client("dev1").device("dev1").connect(by_password("ann", "simsim")).expect("CONNACK 00");
}

TEST_CASE("the session of one user is not another's") {
    broker b(with_secrets());
    auto o = by_password("ann", "sesame");
    o.clean = false;
    o.expiry_s = 3600;
    b.client("c").connect(o).expect("CONNACK 00").cut();
    o.user_name = "bob";
    b.client("c").connect(o).expect("CONNACK 87");
    o.user_name = "ann";
    b.client("c").connect(o).expect("CONNACK 00 present");
}

TEST_CASE("while a password is checked nothing else of the client is read, and what it sent is not lost") {
    broker b(with_secrets());
    b.hold_auth();
    auto& c = b.client("c").connect(by_password("ann", "sesame")).ping().expect_nothing();
    CHECK(c.paused());
    b.release_auth();
    c.expect("CONNACK 00").expect("PINGRESP");
}

TEST_CASE("an answer for a connection that is gone changes nothing") {
    broker b(with_secrets());
    b.hold_auth();
    auto& c = b.client("c").connect(by_password("ann", "sesame")).expect_nothing().cut();
    c.connect().expect("CONNACK 00");
    b.release_auth();
    c.expect_nothing().ping().expect("PINGRESP");
}

TEST_CASE("a check that takes too long ends the connection, and so many at a time are refused") {
    auto setup = with_secrets();
    setup.limits.authenticating_max = 2;
    broker b(setup);
    b.hold_auth();
    auto& one = b.client("one").connect(by_password("ann", "sesame"));
    b.client("two").connect(by_password("ann", "sesame"));
    b.client("three").connect(by_password("ann", "sesame")).expect("CONNACK 89");
    b.client("three").connect().expect("CONNACK 00");
    b.after(setup.limits.connect_timeout_s + 1);
    one.expect_closed(close_cause::connect_timeout);
    b.release_auth();
    b.client("four").connect(by_password("ann", "sesame")).expect("CONNACK 00");
}

TEST_CASE("v5[MQTT-4.12.0-2] v5[MQTT-4.12.0-5] enhanced authentication asks by AUTH and answers in CONNACK") {
    fail_at_every_step(with_secrets(), [](broker& b) {
        std::string keep;
        auto& c = b.client("c").needs_proof().connect(by_riddle("ann"));
        const auto question = c.take_as<proto::auth>(keep);
        if (!b.muted()) {
            CHECK(question.reason == reason_code::continue_authentication);
            CHECK(question.properties.authentication_method == "RIDDLE");
            CHECK(question.properties.authentication_data == "what opens?");
        }
        c.send(auth(reason_code::continue_authentication, "sesame"));
        const auto answer = c.take_as<proto::connack>(keep);
        if (b.muted()) return;
        CHECK(answer.reason == reason_code::success);
        CHECK(answer.properties.authentication_method == "RIDDLE");
        CHECK(answer.properties.authentication_data == "well done");
    });
}

TEST_CASE("v5[MQTT-4.12.0-4] a wrong proof is refused in CONNACK and the connection closed") {
    broker b(with_secrets());
    auto& c = b.client("c").connect(by_riddle("ann"));
    c.take();
    c.send(auth(reason_code::continue_authentication, "simsim")).expect("CONNACK 87");
    c.expect_closed(close_cause::refused);
    CHECK(b.total(&core::counters::authentications_failed) == 1);
}

TEST_CASE("v5[MQTT-4.12.0-1] a method that is not offered is refused") {
    broker b(with_secrets());
    connect_options o;
    o.method = "SPHINX";
    b.client("c").connect(o).expect("CONNACK 8c").expect_closed(close_cause::refused);
    broker without;
    o.method = "RIDDLE";
    without.client("c").connect(o).expect("CONNACK 8c").expect_closed(close_cause::refused);
}

TEST_CASE("v5[MQTT-4.12.0-6] without a method in CONNECT there is none in CONNACK, and no AUTH") {
    broker b(with_secrets());
    std::string keep;
    const auto k = b.client("c").connect(by_password("ann", "sesame")).take_as<proto::connack>(keep);
    CHECK(k.reason == reason_code::success);
    CHECK_FALSE(k.properties.authentication_method);
    CHECK_FALSE(k.properties.authentication_data);
}

TEST_CASE("v5[MQTT-3.15.2-1] before CONNACK only AUTH that goes on and DISCONNECT are taken") {
    broker b(with_secrets());
    auto& c = b.client("c").connect(by_riddle("ann"));
    c.take();
    c.ping().expect("CONNACK 82").expect_closed(close_cause::refused);
    auto& d = b.client("d").connect(by_riddle("ann"));
    d.take();
    d.disconnect().expect_closed(close_cause::client_disconnect);
    auto& e = b.client("e").connect(by_riddle("ann"));
    e.take();
    e.send(auth(reason_code::reauthenticate, "sesame")).expect("CONNACK 82");
    auto& f = b.client("f").connect(by_riddle("ann"));
    f.take();
    f.send(auth(reason_code::continue_authentication, "sesame", "SPHINX")).expect("CONNACK 82");
    auto& g = b.client("g").connect(by_riddle("ann"));
    g.take();
    g.send(auth(reason_code::continue_authentication, "sesame")).expect("CONNACK 00");
}

TEST_CASE("v5[MQTT-4.12.1-1] a client authenticates again while its traffic goes on") {
    broker b(with_secrets());
    auto& c = b.client("c").connect(by_riddle("ann"));
    c.take();
    c.send(auth(reason_code::continue_authentication, "sesame")).expect("CONNACK 00");
    for (int i = 0; i < 2; ++i) {
        std::string keep;
        c.send(auth(reason_code::reauthenticate, "ann"));
        CHECK(c.take_as<proto::auth>(keep).reason == reason_code::continue_authentication);
        c.ping().expect("PINGRESP");
        c.send(auth(reason_code::continue_authentication, "sesame"));
        const auto done = c.take_as<proto::auth>(keep);
        CHECK(done.reason == reason_code::success);
        CHECK(done.properties.authentication_method == "RIDDLE");
        CHECK(done.properties.authentication_data == "well done");
    }
    c.send(auth(reason_code::continue_authentication, "sesame")).expect("DISCONNECT 82");
}

TEST_CASE("v5[MQTT-4.12.1-2] who fails to authenticate again is disconnected") {
    const auto enter = [](broker& b) -> client& {
        auto& c = b.client("c").connect(by_riddle("ann"));
        c.take();
        c.send(auth(reason_code::continue_authentication, "sesame")).expect("CONNACK 00");
        return c.send(auth(reason_code::reauthenticate, "ann"));
    };
    SUBCASE("by a wrong proof") {
        broker b(with_secrets());
        auto& c = enter(b);
        c.take();
        c.send(auth(reason_code::continue_authentication, "simsim")).expect("DISCONNECT 87");
        c.expect_closed(close_cause::refused);
    }
    SUBCASE("as somebody else") {
        broker b(with_secrets());
        auto& c = b.client("c").connect(by_riddle("ann"));
        c.take();
        c.send(auth(reason_code::continue_authentication, "sesame")).expect("CONNACK 00");
        c.send(auth(reason_code::reauthenticate, "bob"));
        c.take();
        c.send(auth(reason_code::continue_authentication, "sesame")).expect("DISCONNECT 87");
    }
    SUBCASE("by another method") {
        broker b(with_secrets());
        auto& c = enter(b);
        c.take();
        c.send(auth(reason_code::continue_authentication, "sesame", "SPHINX")).expect("DISCONNECT 82");
    }
    SUBCASE("by taking too long") {
        broker b(with_secrets());
        auto& c = enter(b);
        c.take();
        b.after(core::limits{}.connect_timeout_s + 1);
        c.expect("DISCONNECT 87");
    }
}

TEST_CASE("MQTT 3.1 clients are served when the configuration says so") {
    broker_setup setup;
    setup.configure = [](core::engine_config& c) { c.accept_mqtt_31 = true; };
    broker b(setup);
    auto& old = b.client("old").speaking(proto::version::v3_1);
    connect_options o;
    o.clean = false;
    old.connect(o).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
    b.client("p").connect().expect("CONNACK 00").publish("a", "x", 2).expect("PUBREC #1");
    old.connect(o).expect("CONNACK 00").expect("PUBLISH a 'x' q1 #1"); // 3.1 knows no Session Present
}

TEST_CASE("who finds no room is told where to go") {
    broker_setup setup;
    setup.limits.connections_max = 1;
    setup.configure = [](core::engine_config& c) { c.server_reference = "gw2.example:8883"; };
    broker b(setup);
    b.client("first").connect().expect("CONNACK 00");
    std::string keep;
    const auto k = b.client("second").connect().take_as<proto::connack>(keep);
    CHECK(k.reason == reason_code::use_another_server);
    CHECK(k.properties.server_reference == "gw2.example:8883");
    b.client_v311("old").connect().expect("CONNACK 88");
}

TEST_CASE("a gateway that has moved sends everybody on") {
    broker_setup setup;
    setup.configure = [](core::engine_config& c) {
        c.server_moved = true;
        c.server_reference = "gw2.example:8883";
    };
    broker b(setup);
    std::string keep;
    const auto k = b.client("c").connect().take_as<proto::connack>(keep);
    CHECK(k.reason == reason_code::server_moved);
    CHECK(k.properties.server_reference == "gw2.example:8883");
    b.client_v311("old").connect().expect("CONNACK 88").expect_closed(close_cause::refused);
}

TEST_CASE("payloads that say they are UTF-8 are checked when the configuration says so") {
    const auto send = [](client& c, std::string_view payload, std::uint8_t format) -> client& {
        proto::publish p;
        p.topic = "a";
        p.payload = payload;
        p.quality = proto::qos::at_least_once;
        p.id = 1;
        p.properties.payload_format = format;
        return c.send(p);
    };
    broker_setup setup;
    setup.configure = [](core::engine_config& c) { c.check_payload_format = true; };
    broker b(setup);
    auto& c = b.client("c").connect().expect("CONNACK 00");
    send(c, "gr\xc3\xbc\xc3\x9f", 1).expect("PUBACK #1 10");
    send(c, "\xff", 0).expect("PUBACK #1 10");
    send(c, "\xff", 1).expect("PUBACK #1 99");
    broker lax;
    send(lax.client("c").connect().expect("CONNACK 00"), "\xff", 1).expect("PUBACK #1 10");
}
