#include "proto/encode_properties.hpp"

namespace fb::proto {
namespace {

// The lengths that stand in front of the parts of a PUBLISH.
struct publish_lengths {
    std::size_t properties = 0; // without its own length
    std::size_t remaining = 0;
};

template <class Sink>
void put_own_properties(Sink& sink, const publish_head& h) {
    if (h.has_expiry) put_u32(sink, property_id::message_expiry_interval, h.message_expiry_s);
    if (h.topic_alias != 0) put_u16(sink, property_id::topic_alias, h.topic_alias);
    for (std::size_t i = 0; i < h.subscription_id_count; ++i) {
        put_id(sink, property_id::subscription_identifier);
        sink.varint(h.subscription_ids[i]);
    }
}

bool has_packet_id(const publish_head& h) noexcept {
    return rule<"v5[MQTT-2.2.1-2]", "v311[MQTT-2.3.1-5]">(h.quality != qos::at_most_once);
}

// `forwarded` is the size of the forward block, whether h holds it or it is written some other way.
publish_lengths lengths_of(const publish_head& h, version v, std::size_t forwarded) noexcept {
    publish_lengths lengths;
    lengths.remaining = 2 + h.topic.size() + (has_packet_id(h) ? 2u : 0u) + h.payload_size;
    if (v != version::v5) return lengths;
    byte_counter own;
    put_own_properties(own, h);
    lengths.properties = own.size() + forwarded;
    lengths.remaining += varint_size(lengths.properties) + lengths.properties;
    return lengths;
}

unsigned publish_flags(const publish_head& h) noexcept {
    return (h.dup ? 8u : 0u) | static_cast<unsigned>(h.quality) << 1 | (h.retain ? 1u : 0u);
}

std::size_t packet_size(const publish_lengths& lengths) noexcept {
    return 1 + varint_size(lengths.remaining) + lengths.remaining;
}

// Writes everything up to the forward block; returns where the packet id is.
char* put_head(byte_writer& writer, const publish_head& h, version v, const publish_lengths& lengths) {
    writer.u8(first_byte(packet_type::publish, publish_flags(h)));
    writer.varint(lengths.remaining);
    writer.string(h.topic);
    char* const id = writer.position();
    if (has_packet_id(h)) writer.u16(h.id);
    if (v == version::v5) {
        writer.varint(lengths.properties);
        put_own_properties(writer, h);
    }
    return id;
}

publish_head head_of(const publish& p) {
    return {
        .topic = p.topic,
        .quality = p.quality,
        .retain = p.retain,
        .dup = p.dup,
        .id = p.id,
        .topic_alias = p.properties.topic_alias.value_or(0),
        .message_expiry_s = p.properties.message_expiry_s.value_or(0),
        .has_expiry = p.properties.message_expiry_s.has_value(),
        .subscription_ids = p.properties.subscription_ids.data(),
        .subscription_id_count = p.properties.subscription_ids.size(),
        .forward_block = {},
        .payload_size = p.payload.size(),
    };
}

} // namespace

void append_forward_block(const publish_properties& p, std::string& out) {
    byte_counter counter;
    put_forwarded(counter, p);
    const auto start = out.size();
    out.resize(start + counter.size());
    byte_writer writer(out.data() + start);
    put_forwarded(writer, p);
}

std::size_t publish_size(const publish_head& h, version v) noexcept {
    return packet_size(lengths_of(h, v, h.forward_block.size()));
}

std::size_t append_publish_head(const publish_head& h, version v, std::string& out) {
    const auto lengths = lengths_of(h, v, h.forward_block.size());
    const auto start = out.size();
    out.resize(start + packet_size(lengths) - h.payload_size);
    byte_writer writer(out.data() + start);
    const char* const id = put_head(writer, h, v, lengths);
    if (v == version::v5) writer.raw(h.forward_block);
    return has_packet_id(h) ? static_cast<std::size_t>(id - out.data()) : 0;
}

bool encode(const publish& p, version v, std::string& out, std::uint32_t packet_size_max) {
    const auto head = head_of(p);
    byte_counter forwarded;
    if (v == version::v5) put_forwarded(forwarded, p.properties);
    const auto lengths = lengths_of(head, v, forwarded.size());
    if (lengths.remaining > varint_max || packet_size(lengths) > packet_size_max) return false;
    const auto start = out.size();
    out.resize(start + packet_size(lengths));
    byte_writer writer(out.data() + start);
    put_head(writer, head, v, lengths);
    if (v == version::v5) put_forwarded(writer, p.properties);
    writer.raw(p.payload);
    return true;
}

} // namespace fb::proto
