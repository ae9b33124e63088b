// Reads the properties of one packet (v5 2.2.2) and judges what can be judged from a table: which property may appear
// where, how often, of which type and within which range.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/cursor.hpp"
#include "proto/packets.hpp"

namespace fb::proto {

struct property {
    property_id id{};
    std::uint32_t number = 0; // of an integer property
    std::string_view text;    // of a string, a binary, or the name of a user property
    std::string_view value;   // of a user property
};

/// Where a block of properties stands: in a packet (numbered like its type) or with the will of a CONNECT.
enum class property_place : std::uint8_t { will = 0 };

constexpr property_place place_of(packet_type type) noexcept { return static_cast<property_place>(type); }

class property_reader {
  public:
    /// Takes the length and the block off `outer`; failures are reported there.
    property_reader(cursor& outer, property_place place) noexcept;
    /// Reads a block that stands by itself, without its length; failures are reported to `outer`.
    property_reader(cursor& outer, std::string_view block, property_place place) noexcept;

    bool next(property& p) noexcept;
    std::string_view block() const noexcept { return block_; }

  private:
    bool allowed_here(const property& p) noexcept;

    cursor& outer_;
    property_place place_;
    std::string_view block_;
    cursor rest_;
    std::uint64_t seen_ = 0; // one bit per id
};

/// The next user property of a block that a decoder accepted; false when there is none left.
bool next_user_property(cursor& accepted, property& p) noexcept;

// The properties of each packet; every one of them ends with nothing read in MQTT 3.1.1.
void read_properties(cursor& in, connect_properties& p) noexcept;
void read_properties(cursor& in, connack_properties& p) noexcept;
void read_properties(cursor& in, publish_properties& p, bool from_client);
void read_forward_block(cursor& in, std::string_view block, publish_properties& p);
void read_properties(cursor& in, ack_properties& p, packet_type type) noexcept;
void read_properties(cursor& in, subscribe_properties& p) noexcept;
void read_properties(cursor& in, user_properties& p) noexcept; // of an UNSUBSCRIBE
void read_properties(cursor& in, disconnect_properties& p) noexcept;
void read_properties(cursor& in, auth_properties& p) noexcept;
void read_will_properties(cursor& in, will& w) noexcept;

} // namespace fb::proto
