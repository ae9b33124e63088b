// MQTT 5 properties (v5 2.2.2): one plain struct per packet that can carry any, as views into the decoded bytes.
//
// Invariants of a decoded struct: every id in the block is allowed in that packet, appears at most once unless the
// standard allows more, has a value of the right type and range, and every string is valid UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/types.hpp"

namespace fb::proto {

enum class property_id : std::uint8_t {
    payload_format_indicator = 0x01,
    message_expiry_interval = 0x02,
    content_type = 0x03,
    response_topic = 0x08,
    correlation_data = 0x09,
    subscription_identifier = 0x0B,
    session_expiry_interval = 0x11,
    assigned_client_identifier = 0x12,
    server_keep_alive = 0x13,
    authentication_method = 0x15,
    authentication_data = 0x16,
    request_problem_information = 0x17,
    will_delay_interval = 0x18,
    request_response_information = 0x19,
    response_information = 0x1A,
    server_reference = 0x1C,
    reason_string = 0x1F,
    receive_maximum = 0x21,
    topic_alias_maximum = 0x22,
    topic_alias = 0x23,
    maximum_qos = 0x24,
    retain_available = 0x25,
    user_property = 0x26,
    maximum_packet_size = 0x27,
    wildcard_subscription_available = 0x28,
    subscription_identifier_available = 0x29,
    shared_subscription_available = 0x2A,
};

/// Session Expiry Interval "never".
inline constexpr std::uint32_t session_never_expires = 0xFFFF'FFFF;

/// The user properties of a packet, in order. When decoding it is a lazy walk over the validated property block (the
/// block without its length); when encoding, the pairs of `list` are written. Holds views only.
class user_properties {
  public:
    using pair = std::pair<std::string_view, std::string_view>;

    user_properties() = default;
    /// REQUIRES: `block` is a property block that a decoder accepted.
    explicit user_properties(std::string_view block) noexcept
        : block_(block) {}
    user_properties(std::initializer_list<pair> pairs)
        : list_(pairs) {}

    void add(std::string_view name, std::string_view value) { list_.emplace_back(name, value); }
    bool empty() const;
    std::size_t count() const;           // without allocating
    std::vector<pair> to_vector() const; // decoded ones first, then added ones
    std::optional<std::string_view> find(std::string_view name) const;
    /// What was decoded and what was added, for encoders that visit the pairs without a vector.
    std::string_view block() const noexcept { return block_; }
    const std::vector<pair>& added() const noexcept { return list_; }

  private:
    std::string_view block_;
    std::vector<pair> list_;
};

struct connect_properties {
    std::uint32_t session_expiry_s = 0;
    std::uint16_t receive_maximum = 65535;
    std::uint32_t maximum_packet_size = varint_max + 5; // bytes; absent = no limit beyond the protocol's
    std::uint16_t topic_alias_maximum = 0;
    bool request_response_information = false;
    bool request_problem_information = true;
    std::optional<std::string_view> authentication_method;
    std::optional<std::string_view> authentication_data;
    user_properties user;
};

/// Of a PUBLISH, and of a will (which has no alias and no subscription identifiers, but a delay of its own).
struct publish_properties {
    std::optional<std::uint8_t> payload_format; // 0 or 1
    std::optional<std::uint32_t> message_expiry_s;
    std::optional<std::uint16_t> topic_alias;
    std::optional<std::string_view> response_topic;
    std::optional<std::string_view> correlation_data;
    std::optional<std::string_view> content_type;
    std::vector<std::uint32_t> subscription_ids; // only ever sent by a server; does not allocate when there are none
    user_properties user;
    /// The block as received, without its length. Encoders ignore it: they write the fields and `user`.
    std::string_view block;
};

struct connack_properties {
    std::optional<std::uint32_t> session_expiry_s;
    std::optional<std::uint16_t> receive_maximum;
    std::optional<std::uint8_t> maximum_qos;
    std::optional<bool> retain_available;
    std::optional<std::uint32_t> maximum_packet_size;
    std::optional<std::string_view> assigned_client_identifier;
    std::optional<std::uint16_t> topic_alias_maximum;
    std::optional<std::string_view> reason_string;
    std::optional<bool> wildcard_subscription_available;
    std::optional<bool> subscription_identifier_available;
    std::optional<bool> shared_subscription_available;
    std::optional<std::uint16_t> server_keep_alive_s;
    std::optional<std::string_view> response_information;
    std::optional<std::string_view> server_reference;
    std::optional<std::string_view> authentication_method;
    std::optional<std::string_view> authentication_data;
    user_properties user;
};

/// Of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK.
struct ack_properties {
    std::optional<std::string_view> reason_string;
    user_properties user;
};

struct subscribe_properties {
    std::optional<std::uint32_t> subscription_id; // 1 to varint_max
    user_properties user;
};

struct disconnect_properties {
    std::optional<std::uint32_t> session_expiry_s;
    std::optional<std::string_view> reason_string;
    std::optional<std::string_view> server_reference;
    user_properties user;
};

struct auth_properties {
    std::optional<std::string_view> authentication_method;
    std::optional<std::string_view> authentication_data;
    std::optional<std::string_view> reason_string;
    user_properties user;
};

} // namespace fb::proto
