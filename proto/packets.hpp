// One plain struct per control packet, as views into the decoded bytes; the same structs are what encoders take.
// Fields that MQTT 3.1.1 does not have keep their defaults when such a packet is decoded and are not encoded for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/properties.hpp"
#include "proto/reason_code.hpp"
#include "proto/types.hpp"

namespace fb::proto {

struct will {
    std::string_view topic;
    std::string_view payload;
    qos quality = qos::at_most_once;
    bool retain = false;
    std::uint32_t delay_s = 0;
    publish_properties properties;
};

struct connect {
    version protocol = version::v5;
    bool clean_start = true; // "clean session" in 3.1.1
    std::uint16_t keep_alive_s = 0;
    std::string_view client_id;
    std::optional<will> last_will;
    std::optional<std::string_view> user_name;
    std::optional<std::string_view> password;
    connect_properties properties;
};

struct connack {
    bool session_present = false;
    reason_code reason = reason_code::success;
    connack_properties properties;
};

struct publish {
    std::string_view topic; // empty where a topic alias stands for it
    std::string_view payload;
    qos quality = qos::at_most_once;
    bool retain = false;
    bool dup = false;
    packet_id id = 0; // 0 at QoS 0
    publish_properties properties;
};

struct puback {
    packet_id id = 0;
    reason_code reason = reason_code::success;
    ack_properties properties;
};
struct pubrec : puback {};
struct pubrel : puback {};
struct pubcomp : puback {};

/// 0: as always; 1: only when the subscription is new; 2: never. v5 3.8.3.1.
enum class retain_handling : std::uint8_t { send = 0, send_if_new = 1, never = 2 };

struct subscription_options {
    qos maximum_qos = qos::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    retain_handling retained = retain_handling::send;

    friend bool operator==(const subscription_options&, const subscription_options&) = default;
};

struct topic_request {
    std::string_view filter;
    subscription_options options;
};

struct subscribe {
    packet_id id = 0;
    std::vector<topic_request> requests; // at least one
    subscribe_properties properties;
};

struct suback {
    packet_id id = 0;
    std::vector<reason_code> reasons;
    ack_properties properties;
};

struct unsubscribe {
    packet_id id = 0;
    std::vector<std::string_view> filters; // at least one
    user_properties user;
};

struct unsuback {
    packet_id id = 0;
    std::vector<reason_code> reasons; // not encoded for 3.1.1
    ack_properties properties;
};

struct pingreq {};
struct pingresp {};

struct disconnect {
    reason_code reason = reason_code::success;
    disconnect_properties properties;
};

struct auth {
    reason_code reason = reason_code::success;
    auth_properties properties;
};

using packet = std::variant<connect, connack, publish, puback, pubrec, pubrel, pubcomp, subscribe, suback, unsubscribe,
                            unsuback, pingreq, pingresp, disconnect, auth>;

} // namespace fb::proto
