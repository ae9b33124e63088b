#include "proto/property_reader.hpp"
#include "proto/topic.hpp"

namespace fb::proto {
namespace {

// The properties a PUBLISH and a will have in common; false for any other.
bool store_message_property(cursor& in, const property& p, publish_properties& out) noexcept {
    switch (p.id) {
    case property_id::payload_format_indicator: out.payload_format = static_cast<std::uint8_t>(p.number); return true;
    case property_id::message_expiry_interval: out.message_expiry_s = p.number; return true;
    case property_id::content_type: out.content_type = p.text; return true;
    case property_id::correlation_data: out.correlation_data = p.text; return true;
    case property_id::response_topic:
        in.protocol_error_if(!valid_topic_name(p.text), rule_ids::v5_only("v5[MQTT-3.3.2-14]"),
                             "response topic is no topic name");
        out.response_topic = p.text;
        return true;
    default: return false;
    }
}

} // namespace

void read_properties(cursor& in, connect_properties& out) noexcept {
    if (!in.is_v5()) return;
    property_reader reader(in, place_of(packet_type::connect));
    for (property p; reader.next(p);) {
        switch (p.id) {
        case property_id::session_expiry_interval: out.session_expiry_s = p.number; break;
        case property_id::receive_maximum: out.receive_maximum = static_cast<std::uint16_t>(p.number); break;
        case property_id::maximum_packet_size: out.maximum_packet_size = p.number; break;
        case property_id::topic_alias_maximum: out.topic_alias_maximum = static_cast<std::uint16_t>(p.number); break;
        case property_id::request_response_information: out.request_response_information = p.number != 0; break;
        case property_id::request_problem_information: out.request_problem_information = p.number != 0; break;
        case property_id::authentication_method: out.authentication_method = p.text; break;
        case property_id::authentication_data: out.authentication_data = p.text; break;
        case property_id::user_property: out.user = user_properties(reader.block()); break;
        default: break;
        }
    }
    if (out.authentication_data && !out.authentication_method)
        in.protocol_error(rule_ids::v5_only("v5 3.1.2.11.10"), "authentication data without a method");
}

void read_properties(cursor& in, connack_properties& out) noexcept {
    if (!in.is_v5()) return;
    property_reader reader(in, place_of(packet_type::connack));
    for (property p; reader.next(p);) {
        const auto small = static_cast<std::uint16_t>(p.number);
        const bool flag = p.number != 0;
        switch (p.id) {
        case property_id::session_expiry_interval: out.session_expiry_s = p.number; break;
        case property_id::receive_maximum: out.receive_maximum = small; break;
        case property_id::maximum_qos: out.maximum_qos = static_cast<std::uint8_t>(p.number); break;
        case property_id::retain_available: out.retain_available = flag; break;
        case property_id::maximum_packet_size: out.maximum_packet_size = p.number; break;
        case property_id::assigned_client_identifier: out.assigned_client_identifier = p.text; break;
        case property_id::topic_alias_maximum: out.topic_alias_maximum = small; break;
        case property_id::reason_string: out.reason_string = p.text; break;
        case property_id::wildcard_subscription_available: out.wildcard_subscription_available = flag; break;
        case property_id::subscription_identifier_available: out.subscription_identifier_available = flag; break;
        case property_id::shared_subscription_available: out.shared_subscription_available = flag; break;
        case property_id::server_keep_alive: out.server_keep_alive_s = small; break;
        case property_id::response_information: out.response_information = p.text; break;
        case property_id::server_reference: out.server_reference = p.text; break;
        case property_id::authentication_method: out.authentication_method = p.text; break;
        case property_id::authentication_data: out.authentication_data = p.text; break;
        case property_id::user_property: out.user = user_properties(reader.block()); break;
        default: break;
        }
    }
}

void read_properties(cursor& in, publish_properties& out, bool from_client) {
    if (!in.is_v5()) return;
    property_reader reader(in, place_of(packet_type::publish));
    out.block = reader.block();
    for (property p; reader.next(p);) {
        if (store_message_property(in, p, out)) continue;
        if (p.id == property_id::topic_alias) out.topic_alias = static_cast<std::uint16_t>(p.number);
        if (p.id == property_id::user_property) out.user = user_properties(reader.block());
        if (p.id != property_id::subscription_identifier) continue;
        constexpr auto* what = "PUBLISH of a client with a subscription identifier";
        if (in.protocol_error_if(from_client, rule_ids::v5_only("v5[MQTT-3.3.4-6]"), what)) return;
        out.subscription_ids.push_back(p.number);
    }
}

void read_forward_block(cursor& in, std::string_view block, publish_properties& out) {
    property_reader reader(in, block, place_of(packet_type::publish));
    out.block = reader.block();
    for (property p; reader.next(p);) {
        if (!store_message_property(in, p, out)) out.user = user_properties(reader.block());
    }
}

void read_will_properties(cursor& in, will& out) noexcept {
    if (!in.is_v5()) return;
    property_reader reader(in, property_place::will);
    out.properties.block = reader.block();
    for (property p; reader.next(p);) {
        if (store_message_property(in, p, out.properties)) continue;
        if (p.id == property_id::will_delay_interval) out.delay_s = p.number;
        if (p.id == property_id::user_property) out.properties.user = user_properties(reader.block());
    }
}

void read_properties(cursor& in, ack_properties& out, packet_type type) noexcept {
    if (!in.is_v5()) return;
    property_reader reader(in, place_of(type));
    for (property p; reader.next(p);) {
        if (p.id == property_id::reason_string) out.reason_string = p.text;
        if (p.id == property_id::user_property) out.user = user_properties(reader.block());
    }
}

void read_properties(cursor& in, subscribe_properties& out) noexcept {
    if (!in.is_v5()) return;
    property_reader reader(in, place_of(packet_type::subscribe));
    for (property p; reader.next(p);) {
        if (p.id == property_id::subscription_identifier) out.subscription_id = p.number;
        if (p.id == property_id::user_property) out.user = user_properties(reader.block());
    }
}

void read_properties(cursor& in, user_properties& out) noexcept {
    if (!in.is_v5()) return;
    property_reader reader(in, place_of(packet_type::unsubscribe));
    for (property p; reader.next(p);) out = user_properties(reader.block());
}

void read_properties(cursor& in, disconnect_properties& out) noexcept {
    if (!in.is_v5()) return;
    property_reader reader(in, place_of(packet_type::disconnect));
    for (property p; reader.next(p);) {
        if (p.id == property_id::session_expiry_interval) out.session_expiry_s = p.number;
        if (p.id == property_id::reason_string) out.reason_string = p.text;
        if (p.id == property_id::server_reference) out.server_reference = p.text;
        if (p.id == property_id::user_property) out.user = user_properties(reader.block());
    }
}

void read_properties(cursor& in, auth_properties& out) noexcept {
    if (!in.is_v5()) return;
    property_reader reader(in, place_of(packet_type::auth));
    for (property p; reader.next(p);) {
        if (p.id == property_id::authentication_method) out.authentication_method = p.text;
        if (p.id == property_id::authentication_data) out.authentication_data = p.text;
        if (p.id == property_id::reason_string) out.reason_string = p.text;
        if (p.id == property_id::user_property) out.user = user_properties(reader.block());
    }
}

} // namespace fb::proto
