// Paho C++, and with it Paho C's asynchronous API (MQTTAsync), against a broker:
//
//     paho_cpp URI VERSION CLIENT_ID TOPIC [CA CERTIFICATE KEY]
//
// VERSION is 4 or 5; client ids begin with CLIENT_ID/, topics with TOPIC/. Each check says "ok NAME"; the first that
// fails says why and ends the program.
#include <mqtt/async_client.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr auto patience = std::chrono::seconds(60);
constexpr int flood_messages = 500;

struct target {
    std::string uri;
    int version = 5;
    std::string id_prefix;
    std::string topic_prefix;
    std::string ca, certificate, key; // empty: no TLS

    std::string topic(const std::string& name) const { return topic_prefix + "/" + name; }
};

void check(bool good, const std::string& what) {
    if (!good) throw std::runtime_error("not so: " + what);
}

class client {
  public:
    client(const target& to, const std::string& name, bool persistent = false)
        : to_(to)
        , client_(to.uri, to.id_prefix + "/" + name, mqtt::create_options(to.version, flood_messages))
        , persistent_(persistent) {
        client_.start_consuming();
        connect();
    }
    ~client() {
        try {
            if (client_.is_connected()) client_.disconnect()->wait_for(patience);
        } catch (const mqtt::exception& e) {
            std::cerr << "disconnect: " << e.what() << "\n";
        }
    }

    void connect() {
        auto builder = mqtt::connect_options_builder();
        builder.mqtt_version(to_.version).keep_alive_interval(std::chrono::seconds(60));
        if (to_.version == 5) {
            builder.clean_start(!persistent_)
                .properties({{mqtt::property::SESSION_EXPIRY_INTERVAL, persistent_ ? 600 : 0}});
        } else {
            builder.clean_session(!persistent_);
        }
        if (!to_.ca.empty()) {
            builder.ssl(mqtt::ssl_options(to_.ca, to_.certificate, to_.key, "", "", true));
        }
        const auto token = client_.connect(builder.finalize());
        check(token->wait_for(patience), "connected");
        session_present = token->get_connect_response().is_session_present();
    }
    void disconnect() { check(client_.disconnect()->wait_for(patience), "disconnected"); }
    /// The session is not to outlive the connection any more.
    void forget() {
        disconnect();
        persistent_ = false;
        connect();
    }
    void subscribe(const std::string& filter, int qos, mqtt::subscribe_options options = {},
                   mqtt::properties properties = {}) {
        const auto token = client_.subscribe(filter, qos, options, properties);
        check(token->wait_for(patience), "subscribed to " + filter);
        check(static_cast<int>(token->get_reason_code()) < 0x80, "allowed to subscribe to " + filter);
    }
    mqtt::delivery_token_ptr start_publish(const std::string& topic, const std::string& payload, int qos,
                                           bool retained = false, const mqtt::properties& properties = {}) {
        return client_.publish(mqtt::message::create(topic, payload, qos, retained, properties));
    }
    void publish(const std::string& topic, const std::string& payload, int qos, bool retained = false,
                 const mqtt::properties& properties = {}) {
        check(start_publish(topic, payload, qos, retained, properties)->wait_for(patience), "published to " + topic);
    }
    /// The next message, which must be this one.
    mqtt::const_message_ptr expect(const std::string& payload, int qos, bool retained = false) {
        mqtt::const_message_ptr m;
        check(client_.try_consume_message_for(&m, patience) && m, "\"" + payload.substr(0, 40) + "\" comes");
        check(m->to_string() == payload, "\"" + payload.substr(0, 40) + "\", and not \"" + m->to_string() + "\"");
        check(m->get_qos() == qos && m->is_retained() == retained, "QoS and retained of " + payload.substr(0, 40));
        return m;
    }

    bool session_present = false;

  private:
    const target& to_;
    mqtt::async_client client_;
    bool persistent_;
};

// --- checks for both versions ---

void each_qos(const target& to) {
    client in(to, "in"), out(to, "out");
    in.subscribe(to.topic("qos"), 2);
    for (int qos = 0; qos <= 2; ++qos) {
        out.publish(to.topic("qos"), "hello", qos);
        in.expect("hello", qos);
    }
    const std::string large(200'000, 'x');
    out.publish(to.topic("qos"), large, 1);
    in.expect(large, 1);
}

void many_at_a_time(const target& to) {
    client in(to, "in"), out(to, "out");
    for (int qos = 1; qos <= 2; ++qos) {
        const std::string topic = to.topic("flood" + std::to_string(qos));
        in.subscribe(topic, qos);
        std::vector<mqtt::delivery_token_ptr> tokens;
        for (int i = 0; i < flood_messages; ++i) tokens.push_back(out.start_publish(topic, std::to_string(i), qos));
        for (const auto& token : tokens) check(token->wait_for(patience), "published");
        for (int i = 0; i < flood_messages; ++i) in.expect(std::to_string(i), qos);
    }
}

void retained(const target& to) {
    client out(to, "out");
    out.publish(to.topic("retained"), "kept", 1, true);
    {
        client in(to, "in");
        in.subscribe(to.topic("retained"), 1);
        in.expect("kept", 1, true);
    }
    out.publish(to.topic("retained"), "", 1, true);
    client late(to, "late");
    late.subscribe(to.topic("retained"), 1);
    out.publish(to.topic("retained"), "live", 1);
    late.expect("live", 1);
}

void persistent_session(const target& to) {
    client sleeper(to, "sleeper", true);
    check(!sleeper.session_present, "no session at first");
    for (int qos = 1; qos <= 2; ++qos) sleeper.subscribe(to.topic("offline" + std::to_string(qos)), 2);
    client out(to, "out");
    for (int qos = 1; qos <= 2; ++qos) {
        sleeper.disconnect();
        for (int i = 0; i < 20; ++i) out.publish(to.topic("offline" + std::to_string(qos)), std::to_string(i), qos);
        sleeper.connect();
        check(sleeper.session_present, "the session is present");
        for (int i = 0; i < 20; ++i) sleeper.expect(std::to_string(i), qos);
    }
    sleeper.forget();
}

// --- checks for version 5 ---

void request_and_response(const target& to) {
    using mqtt::property;
    client asking(to, "asking"), answering(to, "answering");
    answering.subscribe(to.topic("questions"), 2);
    asking.subscribe(to.topic("answers"), 2);
    asking.publish(to.topic("questions"), "?", 2, false,
                   {{property::RESPONSE_TOPIC, to.topic("answers")},
                    {property::CORRELATION_DATA, "number 1"},
                    {property::USER_PROPERTY, "same", "first"},
                    {property::USER_PROPERTY, "same", "second"},
                    {property::MESSAGE_EXPIRY_INTERVAL, 1000}});
    const auto asked = answering.expect("?", 2)->get_properties();
    check(mqtt::get<std::string>(asked, property::CORRELATION_DATA) == "number 1", "the correlation data");
    check(mqtt::get<mqtt::string_pair>(asked, property::USER_PROPERTY, 1) == mqtt::string_pair("same", "second"),
          "both user properties, in order");
    check(mqtt::get<std::uint32_t>(asked, property::MESSAGE_EXPIRY_INTERVAL) <= 1000, "what is left of the expiry");
    answering.publish(mqtt::get<std::string>(asked, property::RESPONSE_TOPIC), "!", 1, false,
                      {{property::CORRELATION_DATA, "number 1"}});
    const auto answered = asking.expect("!", 1)->get_properties();
    check(mqtt::get<std::string>(answered, property::CORRELATION_DATA) == "number 1", "the answer's correlation data");
}

void topic_alias(const target& to) {
    client in(to, "in"), out(to, "out");
    in.subscribe(to.topic("alias"), 1);
    out.publish(to.topic("alias"), "by name", 1, false, {{mqtt::property::TOPIC_ALIAS, 1}});
    out.publish("", "by number", 1, false, {{mqtt::property::TOPIC_ALIAS, 1}});
    in.expect("by name", 1);
    in.expect("by number", 1);
}

void subscription_options(const target& to) {
    client own(to, "own"), other(to, "other");
    other.publish(to.topic("options"), "old", 1, true);
    own.subscribe(to.topic("options"), 1,
                  mqtt::subscribe_options(true, true, mqtt::subscribe_options::DONT_SEND_RETAINED),
                  {{mqtt::property::SUBSCRIPTION_IDENTIFIER, 77}});
    own.publish(to.topic("options"), "mine", 1);
    other.publish(to.topic("options"), "theirs", 1, true);
    const auto properties = own.expect("theirs", 1, true)->get_properties();
    check(mqtt::get<std::uint32_t>(properties, mqtt::property::SUBSCRIPTION_IDENTIFIER) == 77, "the identifier");
    other.publish(to.topic("options"), "", 1, true);
}

struct named_check {
    const char* name;
    int version_min;
    void (*run)(const target&);
};

constexpr named_check checks[] = {
    {"each QoS, a large message", 4, each_qos},
    {"many at a time", 4, many_at_a_time},
    {"retained", 4, retained},
    {"persistent session", 4, persistent_session},
    {"request and response", 5, request_and_response},
    {"topic alias", 5, topic_alias},
    {"subscription options", 5, subscription_options},
};

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() != 4 && words.size() != 7) {
        std::cerr << "usage: paho_cpp URI VERSION CLIENT_ID TOPIC [CA CERTIFICATE KEY]\n";
        return 2;
    }
    target to{words[0], std::stoi(words[1]), words[2], words[3], {}, {}, {}};
    if (words.size() == 7) {
        to.ca = words[4];
        to.certificate = words[5];
        to.key = words[6];
    }
    for (const named_check& c : checks) {
        if (to.version < c.version_min) continue;
        try {
            c.run(to);
        } catch (const std::exception& e) {
            std::cerr << c.name << ": " << e.what() << "\n";
            return 1;
        }
        std::cout << "ok " << c.name << std::endl;
    }
}
