// Proving who one is: a user name and password, or enhanced authentication (v5 4.12), before CONNACK and again later.
#include "broker/core/engine.hpp"
#include "proto/rule.hpp"

namespace fb::core {
namespace {

std::string whole_packet(const proto::frame& f) { return std::string(f.body.data() + f.body.size() - f.size, f.size); }

} // namespace

/// True when CONNECT waits for an exchange (or was refused): finish_authentication() goes on with it.
bool engine::begin_authentication(connection& c, const proto::connect& p, const proto::frame& f) {
    using proto::reason_code;
    const authenticator* source = config_.authentication.get();
    auto next = std::make_unique<authentication>();
    std::string_view data;
    if (p.properties.authentication_method) {
        next->method = *p.properties.authentication_method;
        if (source != nullptr) next->exchange = source->by_method(next->method);
        if (rule<"v5[MQTT-4.12.0-1]">(!next->exchange)) {
            refuse_connect(c, &p, reason_code::bad_authentication_method, "this authentication method is not offered");
            return true;
        }
        data = p.properties.authentication_data.value_or(std::string_view{});
    } else if (source != nullptr && p.user_name && c.info.who->kind == principal_kind::anonymous) {
        next->exchange = source->by_password(*p.user_name);
        data = p.password.value_or(std::string_view{});
    } else {
        if (!c.info.refuse_all) return false;
        refuse_connect(c, &p, reason_code::not_authorized,
                       source != nullptr ? "this listener admits only clients with a user name and password"
                                         : "this listener admits only clients with a certificate");
        return true;
    }
    if (authenticating_ >= config_.limits.authenticating_max) {
        refuse_connect(c, &p, reason_code::server_busy,
                       {"too many clients are proving who they are; try again", "authenticating_max"});
        return true;
    }
    ++authenticating_;
    next->connect_packet = whole_packet(f);
    c.auth = std::move(next);
    c.phase = connection_phase::authenticating;
    take_auth_step(c, data);
    return true;
}

void engine::take_auth_step(connection& c, std::string_view data) {
    c.auth->stepping = true;
    effects_.auth.push_back({handle_of(c), c.auth->exchange, std::string(data)});
}

void engine::on_auth(connection& c, const proto::frame& f) {
    using proto::reason_code;
    const auto p = proto::decode_auth(f, c.protocol);
    if (!p) return violation(c, p.error());
    const auto wrong = [&](const char* statement, const char* what) {
        violation(c, {reason_code::protocol_error, statement, what});
    };
    if (rule<"v5[MQTT-4.12.0-7]">(!c.auth || c.auth->method.empty())) {
        return wrong("v5[MQTT-4.12.0-7]", "AUTH without an authentication method in CONNECT");
    }
    if (rule<"v5[MQTT-4.12.0-5]">(p->properties.authentication_method != c.auth->method)) {
        return wrong("v5[MQTT-4.12.0-5]", "AUTH with another authentication method than CONNECT");
    }
    const bool begins = p->reason == reason_code::reauthenticate;
    const bool expected = begins == !c.auth->exchange && p->reason != reason_code::success && !c.auth->stepping;
    if (rule<"v5[MQTT-3.15.2-1]">(!expected)) {
        return wrong("v5[MQTT-3.15.2-1]", "AUTH with a reason code that does not belong here");
    }
    if (rule<"v5[MQTT-4.12.1-1]">(begins)) {
        c.auth->exchange = config_.authentication->by_method(c.auth->method);
        c.auth->ends_ms = now_.mono_ms + config_.limits.connect_timeout_s * 1000ll;
        connection_deadlines_.arm(c.slot, c.auth->ends_ms);
    }
    take_auth_step(c, p->properties.authentication_data.value_or(std::string_view{}));
}

void engine::on_auth_verdict(connection_handle h, const auth_verdict& v, const instant& now) {
    now_ = now;
    connection* c = find(h);
    if (c == nullptr || !c->auth || !c->auth->stepping || c->phase == connection_phase::closing) return;
    c->auth->stepping = false;
    const bool before_connack = c->phase == connection_phase::authenticating;
    switch (v.what) {
    case auth_verdict::kind::challenge:
        send_auth(*c, rule<"v5[MQTT-4.12.0-2]">(proto::reason_code::continue_authentication), v.data);
        break;
    case auth_verdict::kind::refused:
        counters_.authentications_failed.add();
        if (rule<"v5[MQTT-4.12.0-4]", "v5[MQTT-4.12.1-2]">(before_connack)) return refuse_authentication(*c, v.text);
        return disconnect(*c, proto::reason_code::not_authorized, close_cause::refused, v.text);
    case auth_verdict::kind::accepted:
        if (before_connack)
            finish_authentication(*c, v);
        else
            finish_reauthentication(*c, v);
        break;
    }
    if (c->phase != connection_phase::closing) resume_if_possible(*c);
}

void engine::refuse_authentication(connection& c, std::string_view text) {
    const std::string packet = std::move(c.auth->connect_packet);
    const bool enhanced = !c.auth->method.empty();
    end_authentication(c);
    const auto f = proto::next_frame(packet, config_.limits.connect_packet_bytes_max);
    const auto p = proto::decode_connect(*f);
    refuse_connect(c, &*p,
                   enhanced ? proto::reason_code::not_authorized : proto::reason_code::bad_user_name_or_password, text);
}

/// Goes on with CONNECT as if the transport had said who the peer is.
void engine::finish_authentication(connection& c, const auth_verdict& v) {
    const std::string packet = std::move(c.auth->connect_packet);
    c.auth->answer = v.data;
    if (c.info.who->kind == principal_kind::anonymous) c.info.who = v.who; // else a certificate has said so
    c.auth->who = v.who;
    end_authentication(c);
    const auto f = proto::next_frame(packet, config_.limits.connect_packet_bytes_max);
    const auto p = proto::decode_connect(*f);
    serve_connect(c, *p);
}

/// The phase, not the method: that stays with the connection.
void engine::end_authentication(connection& c) {
    --authenticating_;
    c.phase = connection_phase::awaiting_connect;
    c.auth->exchange.reset();
    if (c.auth->method.empty()) c.auth.reset();
}

void engine::finish_reauthentication(connection& c, const auth_verdict& v) {
    if (v.who->identity() != c.auth->who->identity()) {
        return disconnect(c, proto::reason_code::not_authorized, close_cause::refused,
                          "authenticated again as somebody else");
    }
    c.auth->exchange.reset();
    c.auth->ends_ms = never;
    send_auth(c, proto::reason_code::success, v.data);
}

void engine::send_auth(connection& c, proto::reason_code reason, std::string_view data) {
    proto::auth p;
    p.reason = reason;
    if (rule<"v5[MQTT-4.12.0-5]">(true)) p.properties.authentication_method = c.auth->method;
    if (!data.empty()) p.properties.authentication_data = data;
    if (proto::encode(p, c.protocol, out(c), c.packet_bytes_max)) return;
    disconnect(c, proto::reason_code::packet_too_large, close_cause::refused,
               "the client's Maximum Packet Size leaves no room for AUTH");
}

} // namespace fb::core
