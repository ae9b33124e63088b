#include "proto/property_reader.hpp"

#include <array>
#include <limits>

namespace fb::proto {
namespace {

enum class value_type : std::uint8_t { none, byte, two_bytes, four_bytes, varint, string, binary, string_pair };

constexpr std::uint32_t any = std::numeric_limits<std::uint32_t>::max();

struct property_rule {
    value_type type = value_type::none;
    std::uint16_t places = 0; // a bit per property_place
    std::uint32_t minimum = 0;
    std::uint32_t maximum = any;
    const char* says_so = ""; // the statement about the range, or that it is a string
};

template <class... Types>
constexpr std::uint16_t at(Types... types) {
    return static_cast<std::uint16_t>((0u | ... | (1u << static_cast<unsigned>(types))));
}

using pt = packet_type;

constexpr std::uint16_t will_only = at(property_place::will);
constexpr std::uint16_t publish_or_will = at(pt::publish, property_place::will);
constexpr std::uint16_t greetings = at(pt::connect, pt::connack);
constexpr std::uint16_t replies = at(pt::connack, pt::puback, pt::pubrec, pt::pubrel, pt::pubcomp, pt::suback,
                                     pt::unsuback, pt::disconnect, pt::auth);
constexpr std::uint16_t everywhere = replies | publish_or_will | at(pt::connect, pt::subscribe, pt::unsubscribe);

// v5 2.2.2.2, table 2-4, with the ranges of the sections that define each property.
constexpr auto rules = [] {
    using id = property_id;
    using t = value_type;
    std::array<property_rule, 0x2B> table{};
    const auto row = [&table](id property, property_rule r) { table[static_cast<std::size_t>(property)] = r; };
    row(id::payload_format_indicator, {t::byte, publish_or_will, 0, 1, "v5 3.3.2.3.2"});
    row(id::message_expiry_interval, {t::four_bytes, publish_or_will});
    row(id::content_type, {t::string, publish_or_will, 0, any, "v5[MQTT-3.3.2-19]"});
    row(id::response_topic, {t::string, publish_or_will, 0, any, "v5[MQTT-3.3.2-13]"});
    row(id::correlation_data, {t::binary, publish_or_will});
    row(id::subscription_identifier, {t::varint, at(pt::publish, pt::subscribe), 1, any, "v5 3.8.2.1.2"});
    row(id::session_expiry_interval, {t::four_bytes, greetings | at(pt::disconnect)});
    row(id::assigned_client_identifier, {t::string, at(pt::connack)});
    row(id::server_keep_alive, {t::two_bytes, at(pt::connack)});
    row(id::authentication_method, {t::string, greetings | at(pt::auth)});
    row(id::authentication_data, {t::binary, greetings | at(pt::auth)});
    row(id::request_problem_information, {t::byte, at(pt::connect), 0, 1, "v5 3.1.2.11.7"});
    row(id::will_delay_interval, {t::four_bytes, will_only});
    row(id::request_response_information, {t::byte, at(pt::connect), 0, 1, "v5 3.1.2.11.6"});
    row(id::response_information, {t::string, at(pt::connack)});
    row(id::server_reference, {t::string, at(pt::connack, pt::disconnect)});
    row(id::reason_string, {t::string, replies});
    row(id::receive_maximum, {t::two_bytes, greetings, 1, any, "v5 3.1.2.11.3"});
    row(id::topic_alias_maximum, {t::two_bytes, greetings});
    row(id::topic_alias, {t::two_bytes, at(pt::publish), 1, any, "v5[MQTT-3.3.2-8]"});
    row(id::maximum_qos, {t::byte, at(pt::connack), 0, 1, "v5 3.2.2.3.4"});
    row(id::retain_available, {t::byte, at(pt::connack), 0, 1, "v5 3.2.2.3.5"});
    row(id::user_property, {t::string_pair, everywhere});
    row(id::maximum_packet_size, {t::four_bytes, greetings, 1, any, "v5 3.1.2.11.4"});
    row(id::wildcard_subscription_available, {t::byte, at(pt::connack), 0, 1, "v5 3.2.2.3.11"});
    row(id::subscription_identifier_available, {t::byte, at(pt::connack), 0, 1, "v5 3.2.2.3.12"});
    row(id::shared_subscription_available, {t::byte, at(pt::connack), 0, 1, "v5 3.2.2.3.13"});
    return table;
}();

// The sections that say "it is a Protocol Error to include it more than once", by property_place.
constexpr std::array<const char*, 16> once_sections{
    "v5 3.1.3.2", "v5 3.1.2.11", "v5 3.2.2.3",  "v5 3.3.2.3",  "v5 3.4.2.2", "v5 3.5.2.2", "v5 3.6.2.2",  "v5 3.7.2.2",
    "v5 3.8.2.1", "v5 3.9.2.1",  "v5 3.10.2.1", "v5 3.11.2.1", "",           "",           "v5 3.14.2.2", "v5 3.15.2.2",
};

const property_rule& rule_of(property_id id) noexcept { return rules[static_cast<std::size_t>(id)]; }

void read_id(cursor& block, property& p) noexcept {
    const auto id = block.varint();
    if (!block.ok()) return;
    if (id >= rules.size() || rules[id].type == value_type::none)
        return block.malformed(rule_ids::v5_only("v5 2.2.2.2"), "unknown property"); // v5 2.2.2.2
    p.id = static_cast<property_id>(id);
}

void read_value(cursor& block, property& p) noexcept {
    switch (rule_of(p.id).type) {
    case value_type::byte: p.number = block.u8(); break;
    case value_type::two_bytes: p.number = block.u16(); break;
    case value_type::four_bytes: p.number = block.u32(); break;
    case value_type::varint: p.number = block.varint(); break;
    case value_type::string:
        p.text = block.string(rule_remaining_length, rule_ids::v5_only(rule_of(p.id).says_so));
        break;
    case value_type::binary: p.text = block.binary(); break;
    case value_type::string_pair:
        p.text = block.string(rule_remaining_length, rule_ids::v5_only("v5[MQTT-1.5.7-1]"));
        p.value = block.string(rule_remaining_length, rule_ids::v5_only("v5[MQTT-1.5.7-1]"));
        break;
    case value_type::none: break;
    }
}

// As read_value, for a block whose strings have been checked before.
void skip_value(cursor& block, property& p) noexcept {
    const auto type = rule_of(p.id).type;
    if (type != value_type::string && type != value_type::string_pair) return read_value(block, p);
    p.text = block.binary();
    if (type == value_type::string_pair) p.value = block.binary();
}

} // namespace

property_reader::property_reader(cursor& outer, property_place place) noexcept
    : property_reader(outer,
                      outer.take(outer.varint(rule_ids::v5_only("v5[MQTT-2.2.2-1]")), rule_ids::v5_only("v5 2.2.2.1")),
                      place) {}

property_reader::property_reader(cursor& outer, std::string_view block, property_place place) noexcept
    : outer_(outer)
    , place_(place)
    , block_(block)
    , rest_(block_, version::v5) {}

bool property_reader::next(property& p) noexcept {
    if (rest_.at_end()) return false;
    read_id(rest_, p);
    if (rest_.ok() && allowed_here(p)) read_value(rest_, p);
    const auto& known = rule_of(p.id);
    const bool out_of_range = p.number < known.minimum || p.number > known.maximum;
    if (rest_.ok() && rest_.decide(rule_ids::v5_only(known.says_so), out_of_range)) {
        const bool alias = p.id == property_id::topic_alias;
        rest_.fail(alias ? reason_code::topic_alias_invalid : reason_code::protocol_error,
                   rule_ids::v5_only(known.says_so), "property value out of its range");
    }
    if (!rest_.ok()) outer_.fail(rest_.error());
    return rest_.ok();
}

bool property_reader::allowed_here(const property& p) noexcept {
    const auto place = static_cast<unsigned>(place_);
    if ((rule_of(p.id).places >> place & 1u) == 0) {
        rest_.malformed(rule_ids::v5_only("v5 2.2.2.2"), "property not allowed in this packet"); // v5 2.2.2.2
        return false;
    }
    const bool many = p.id == property_id::user_property ||
                      (p.id == property_id::subscription_identifier && place_ == place_of(packet_type::publish));
    const auto bit = std::uint64_t{1} << static_cast<unsigned>(p.id);
    if (!many && (seen_ & bit) != 0)
        rest_.protocol_error(rule_ids::v5_only(once_sections[place]), "property given twice");
    seen_ |= bit;
    return rest_.ok();
}

bool next_user_property(cursor& accepted, property& p) noexcept {
    while (!accepted.at_end()) {
        p = {};
        read_id(accepted, p);
        if (!accepted.ok()) return false;
        skip_value(accepted, p);
        if (p.id == property_id::user_property) return accepted.ok();
    }
    return false;
}

} // namespace fb::proto
