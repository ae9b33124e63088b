// put(sink, properties, keep) for each packet's properties: a property with its default value is left out, user
// properties come last.
#pragma once

#include "proto/encode_body.hpp"

namespace fb::proto {

template <class Sink>
void put_id(Sink& sink, property_id id) {
    sink.u8(static_cast<unsigned>(id));
}

template <class Sink>
void put_byte(Sink& sink, property_id id, unsigned value) {
    put_id(sink, id);
    sink.u8(value);
}

template <class Sink>
void put_byte(Sink& sink, property_id id, const std::optional<bool>& value) {
    if (value) put_byte(sink, id, *value ? 1u : 0u);
}

template <class Sink>
void put_byte(Sink& sink, property_id id, const std::optional<std::uint8_t>& value) {
    if (value) put_byte(sink, id, unsigned{*value});
}

template <class Sink>
void put_u16(Sink& sink, property_id id, const std::optional<std::uint16_t>& value) {
    if (!value) return;
    put_id(sink, id);
    sink.u16(*value);
}

template <class Sink>
void put_u32(Sink& sink, property_id id, const std::optional<std::uint32_t>& value) {
    if (!value) return;
    put_id(sink, id);
    sink.u32(*value);
}

template <class Sink>
void put_string(Sink& sink, property_id id, const std::optional<std::string_view>& value) {
    if (!value) return;
    put_id(sink, id);
    sink.string(*value);
}

template <class Sink>
void put_user(Sink& sink, const user_properties& user) {
    const auto put_pair = [&sink](std::string_view name, std::string_view value) {
        put_id(sink, property_id::user_property);
        sink.string(name);
        sink.string(value);
    };
    if (user.block().empty() && user.added().empty()) return;
    cursor accepted(user.block(), version::v5);
    for (property p; next_user_property(accepted, p);) put_pair(p.text, p.value);
    for (const auto& [name, value] : user.added()) put_pair(name, value);
}

/// Reason string and user properties as far as they are kept.
template <class Sink, class Properties>
void put_diagnostics(Sink& sink, const Properties& p, keep kept) {
    if (kept != keep::neither) put_string(sink, property_id::reason_string, p.reason_string);
    if (kept == keep::everything) put_user(sink, p.user);
}

template <class Sink>
void put(Sink& sink, const connect_properties& p, keep) {
    using id = property_id;
    const connect_properties defaults;
    if (p.session_expiry_s != 0) put_u32(sink, id::session_expiry_interval, p.session_expiry_s);
    if (p.receive_maximum != defaults.receive_maximum) put_u16(sink, id::receive_maximum, p.receive_maximum);
    if (p.maximum_packet_size != defaults.maximum_packet_size)
        put_u32(sink, id::maximum_packet_size, p.maximum_packet_size);
    if (p.topic_alias_maximum != 0) put_u16(sink, id::topic_alias_maximum, p.topic_alias_maximum);
    if (p.request_response_information) put_byte(sink, id::request_response_information, 1u);
    if (!p.request_problem_information) put_byte(sink, id::request_problem_information, 0u);
    put_string(sink, id::authentication_method, p.authentication_method);
    put_string(sink, id::authentication_data, p.authentication_data);
    put_user(sink, p.user);
}

template <class Sink>
void put(Sink& sink, const connack_properties& p, keep kept) {
    using id = property_id;
    put_u32(sink, id::session_expiry_interval, p.session_expiry_s);
    put_u16(sink, id::receive_maximum, p.receive_maximum);
    put_byte(sink, id::maximum_qos, p.maximum_qos);
    put_byte(sink, id::retain_available, p.retain_available);
    put_u32(sink, id::maximum_packet_size, p.maximum_packet_size);
    put_string(sink, id::assigned_client_identifier, p.assigned_client_identifier);
    put_u16(sink, id::topic_alias_maximum, p.topic_alias_maximum);
    put_byte(sink, id::wildcard_subscription_available, p.wildcard_subscription_available);
    put_byte(sink, id::subscription_identifier_available, p.subscription_identifier_available);
    put_byte(sink, id::shared_subscription_available, p.shared_subscription_available);
    put_u16(sink, id::server_keep_alive, p.server_keep_alive_s);
    put_string(sink, id::response_information, p.response_information);
    put_string(sink, id::server_reference, p.server_reference);
    put_string(sink, id::authentication_method, p.authentication_method);
    put_string(sink, id::authentication_data, p.authentication_data);
    put_diagnostics(sink, p, kept);
}

/// What append_forward_block describes.
template <class Sink>
void put_forwarded(Sink& sink, const publish_properties& p) {
    using id = property_id;
    put_byte(sink, id::payload_format_indicator, rule<"v5[MQTT-3.3.2-4]">(p.payload_format));
    put_string(sink, id::response_topic, rule<"v5[MQTT-3.3.2-15]">(p.response_topic));
    put_string(sink, id::correlation_data, rule<"v5[MQTT-3.3.2-16]">(p.correlation_data));
    put_string(sink, id::content_type, rule<"v5[MQTT-3.3.2-20]">(p.content_type));
    if (rule<"v5[MQTT-3.3.2-17]", "v5[MQTT-3.3.2-18]", "v5[MQTT-3.1.3-10]">(true)) put_user(sink, p.user);
}

template <class Sink>
void put(Sink& sink, const will& w, keep) {
    if (w.delay_s != 0) put_u32(sink, property_id::will_delay_interval, w.delay_s);
    put_u32(sink, property_id::message_expiry_interval, w.properties.message_expiry_s);
    put_forwarded(sink, w.properties);
}

template <class Sink>
void put(Sink& sink, const ack_properties& p, keep kept) {
    put_diagnostics(sink, p, kept);
}

template <class Sink>
void put(Sink& sink, const subscribe_properties& p, keep) {
    if (p.subscription_id) {
        put_id(sink, property_id::subscription_identifier);
        sink.varint(*p.subscription_id);
    }
    put_user(sink, p.user);
}

template <class Sink>
void put(Sink& sink, const user_properties& p, keep) {
    put_user(sink, p);
}

template <class Sink>
void put(Sink& sink, const disconnect_properties& p, keep kept) {
    put_u32(sink, property_id::session_expiry_interval, p.session_expiry_s);
    put_string(sink, property_id::server_reference, p.server_reference);
    put_diagnostics(sink, p, kept);
}

template <class Sink>
void put(Sink& sink, const auth_properties& p, keep kept) {
    put_string(sink, property_id::authentication_method, p.authentication_method);
    put_string(sink, property_id::authentication_data, p.authentication_data);
    put_diagnostics(sink, p, kept);
}

} // namespace fb::proto
