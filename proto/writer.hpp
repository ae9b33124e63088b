// Where encoders write to. An encoder is written once, as a template over the sink: byte_counter says how long the
// result will be, then byte_writer fills exactly that many bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "proto/rule.hpp"
#include "proto/types.hpp"

namespace fb::proto {

constexpr std::size_t varint_size(std::size_t value) noexcept {
    return value < 128 ? 1 : value < 16'384 ? 2 : value < 2'097'152 ? 3 : 4;
}

class byte_counter {
  public:
    std::size_t size() const noexcept { return size_; }

    void u8(unsigned) noexcept { size_ += 1; }
    void u16(unsigned) noexcept { size_ += 2; }
    void u32(std::uint32_t) noexcept { size_ += 4; }
    void varint(std::size_t value) noexcept { size_ += varint_size(value); }
    void raw(std::string_view bytes) noexcept { size_ += bytes.size(); }
    void string(std::string_view text) noexcept { size_ += 2 + text.size(); }

  private:
    std::size_t size_ = 0;
};

/// REQUIRES: room for everything that is written; the caller has counted.
class byte_writer {
  public:
    explicit byte_writer(char* at) noexcept
        : at_(at) {}
    char* position() const noexcept { return at_; }

    void u8(unsigned value) noexcept { *at_++ = static_cast<char>(value); }
    void u16(unsigned value) noexcept {
        u8(value >> 8);
        u8(value);
    }
    void u32(std::uint32_t value) noexcept {
        u16(value >> 16);
        u16(value & 0xFFFF);
    }
    void varint(std::size_t value) noexcept {
        for (; value >= 128; value >>= 7) u8(static_cast<unsigned>(value & 0x7F) | 0x80u);
        u8(rule<"v5[MQTT-1.5.5-1]">(static_cast<unsigned>(value)));
    }
    void raw(std::string_view bytes) noexcept {
        if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
        at_ += bytes.size();
    }
    /// A string or binary: its length in two bytes, then itself.
    void string(std::string_view text) noexcept {
        u16(static_cast<unsigned>(text.size()));
        raw(text);
    }

  private:
    char* at_;
};

} // namespace fb::proto
