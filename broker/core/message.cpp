#include "broker/core/message.hpp"

#include <algorithm>
#include <new>

namespace fb::core {

message::message(const message_parts& parts) noexcept
    : properties_bytes_(static_cast<std::uint32_t>(parts.properties.size()))
    , payload_bytes_(static_cast<std::uint32_t>(parts.payload.size()))
    , topic_bytes_(static_cast<std::uint16_t>(parts.topic.size()))
    , quality_(parts.quality)
    , retain_(parts.retain)
    , expires_mono_ms_(parts.expires_mono_ms)
    , publisher_(parts.publisher)
    , id_(parts.id) {
    char* to = reinterpret_cast<char*>(this + 1);
    for (std::string_view part : {parts.topic, parts.properties, parts.payload}) {
        to = std::copy(part.begin(), part.end(), to);
    }
}

std::uint64_t publisher_of(std::string_view client_id) noexcept {
    std::uint64_t h = 0xcbf29ce484222325; // FNV-1a
    for (const unsigned char c : client_id) h = (h ^ c) * 0x100000001b3;
    return std::max<std::uint64_t>(1, h >> 1);
}

message_ptr message::make(const message_parts& parts) {
    const std::size_t tail = parts.topic.size() + parts.properties.size() + parts.payload.size();
    return message_ptr(new (::operator new(sizeof(message) + tail)) message(parts));
}

void intrusive_ptr_release(const message* m) noexcept {
    if (m->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    m->~message();
    ::operator delete(const_cast<message*>(m));
}

} // namespace fb::core
