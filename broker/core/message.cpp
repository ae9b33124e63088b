#include "broker/core/message.hpp"

#include <algorithm>
#include <new>

#include "broker/core/memory_use.hpp"
#include "broker/core/message_space.hpp"

namespace fb::core {

message::message(const message_parts& parts, bool apart) noexcept
    : properties_bytes_(static_cast<std::uint32_t>(parts.properties.size()))
    , payload_bytes_(static_cast<std::uint32_t>(parts.payload.size()))
    , topic_bytes_(static_cast<std::uint16_t>(parts.topic.size()))
    , quality_(parts.quality)
    , retain_(parts.retain)
    , apart_(apart)
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

message_ptr message::make(const message_parts& parts, message_space* space) {
    const std::size_t bytes = sizeof(message) + parts.topic.size() + parts.properties.size() + parts.payload.size();
    if (space != nullptr) {
        if (void* const at = space->take(sizeof space + bytes)) {
            auto* const owner = new (at) message_space*(space);
            return message_ptr(new (owner + 1) message(parts, true));
        }
    }
    message_ptr m(new (::operator new(bytes)) message(parts, false));
    count_memory(static_cast<std::int64_t>(bytes + memory_use::block_overhead_bytes));
    return m;
}

void intrusive_ptr_release(const message* m) noexcept {
    if (m->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const std::size_t bytes = sizeof(message) + m->bytes();
    const bool apart = m->apart_;
    m->~message();
    if (apart) {
        auto* const owner = reinterpret_cast<message_space**>(const_cast<message*>(m)) - 1;
        return (*owner)->give_back(owner, sizeof *owner + bytes);
    }
    ::operator delete(const_cast<message*>(m));
    count_memory(-static_cast<std::int64_t>(bytes + memory_use::block_overhead_bytes));
}

} // namespace fb::core
