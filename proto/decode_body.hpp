// The frame every decoder has in common: a cursor over the body, the packet built in place, the first failure returned.
#pragma once

#include <memory>

#include "proto/cursor.hpp"
#include "proto/decode.hpp"
#include "proto/property_reader.hpp"

namespace fb::proto {

/// `read(cursor&, Packet&)` reads the whole body and reports what is wrong with it to the cursor.
template <class Packet, class Read>
result<Packet> decode_body(const frame& f, version v, const Read& read) {
    result<Packet> out{boost::system::in_place_value};
    cursor in(f.body, v);
    read(in, *out);
    in.expect_end();
    if (!in.ok()) { // a single return of `out` builds it where the caller keeps it: no packet is moved
        std::destroy_at(&out);
        std::construct_at(&out, in.error());
    }
    return out;
}

/// The flags of every packet but PUBLISH are fixed.
inline void require_flags(cursor& in, unsigned flags, unsigned expected, rule_ids broken) noexcept {
    in.malformed_if(flags != expected, broken, "reserved flags of the fixed header");
}

inline constexpr rule_ids rule_reserved_flags{"v5[MQTT-2.1.3-1]", "v311[MQTT-2.2.2-2]"};

/// PUBREL, SUBSCRIBE and UNSUBSCRIBE carry 0010. MQTT 3.1 sends them again with the DUP flag set.
inline void require_flags_0010(cursor& in, const frame& f, rule_ids broken) noexcept {
    const bool dup_allowed = in.protocol() == version::v3_1;
    require_flags(in, dup_allowed ? f.flags & 0x07u : f.flags, 0x02, broken);
}

/// A packet identifier that its sender had to choose: never 0.
inline packet_id read_packet_id(cursor& in) noexcept {
    const auto id = in.u16();
    in.protocol_error_if(id == 0, {"v5[MQTT-2.2.1-3]", "v311[MQTT-2.3.1-1]"}, "packet identifier 0");
    return id;
}

} // namespace fb::proto
