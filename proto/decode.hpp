// Bytes to structs. Each function takes a complete frame of its type and judges everything the standards say about the
// packet by itself: reserved flags, lengths, UTF-8, properties, topic rules. What depends on state (is the packet id
// known, is the alias set) is the broker's business.
//
// `v` is the version the connection speaks; decode_connect finds it in the packet. Views point into frame.body.
#pragma once

#include "proto/error.hpp"
#include "proto/frame.hpp"
#include "proto/packets.hpp"

namespace fb::proto {

/// Errors carry unsupported_protocol_version for a well-known name with another level, so that the server can answer.
result<connect> decode_connect(const frame& f);
result<connack> decode_connack(const frame& f, version v);
/// A topic must be a valid topic name (no wildcards) or, in v5 with an alias, empty. Subscription ids are refused
/// with `from_client` (v5[MQTT-3.3.4-6]).
result<publish> decode_publish(const frame& f, version v, bool from_client = true);
result<puback> decode_puback(const frame& f, version v);
result<pubrec> decode_pubrec(const frame& f, version v);
result<pubrel> decode_pubrel(const frame& f, version v);
result<pubcomp> decode_pubcomp(const frame& f, version v);
/// Filters are checked by their syntax ($share included); an invalid one is malformed per the standard.
result<subscribe> decode_subscribe(const frame& f, version v);
result<suback> decode_suback(const frame& f, version v);
result<unsubscribe> decode_unsubscribe(const frame& f, version v);
result<unsuback> decode_unsuback(const frame& f, version v);
result<pingreq> decode_pingreq(const frame& f);
result<pingresp> decode_pingresp(const frame& f);
/// In 3.1.1 a DISCONNECT has no body; AUTH does not exist there (malformed).
result<disconnect> decode_disconnect(const frame& f, version v);
result<auth> decode_auth(const frame& f, version v);

/// The inverse of append_forward_block (encode.hpp): what a kept message says about itself. The views point into
/// `block`.
result<publish_properties> decode_forward_block(std::string_view block);

/// Any of them, for tools, tests and fuzzing; the broker calls the one it expects.
result<packet> decode(const frame& f, version v, bool from_client = true);

} // namespace fb::proto
