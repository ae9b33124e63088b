// Numbers and strings of a frame: 7 bits a byte, the lowest first; strings after their length. Fixed 4 and 8 bytes,
// little-endian, where a place must be known beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace fb::storage::redo {

inline void put_fixed(std::string& out, std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) out += char(value >> (8 * i));
}

inline void put_number(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out += char(value | 0x80);
    out += char(value);
}

inline void put_text(std::string& out, std::string_view text) {
    put_number(out, text.size());
    out.append(text);
}

/// Reads what the above wrote. After anything that is not there ok() is false, and all further values are 0 or empty.
class byte_reader {
  public:
    explicit byte_reader(std::string_view bytes)
        : rest_(bytes) {}
    bool ok() const noexcept { return ok_; }
    bool at_end() const noexcept { return rest_.empty(); }

    std::uint64_t fixed(std::size_t size) {
        if (rest_.size() < size) return fail();
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t(static_cast<unsigned char>(rest_[i])) << (8 * i);
        rest_.remove_prefix(size);
        return value;
    }
    std::uint64_t number() {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < 10 && i < rest_.size(); ++i) {
            const auto byte = static_cast<unsigned char>(rest_[i]);
            if (i == 9 && byte > 1) return fail();
            value |= std::uint64_t(byte & 0x7f) << (7 * i);
            if (byte >= 0x80) continue;
            rest_.remove_prefix(i + 1);
            return value;
        }
        return fail();
    }
    /// A number that T can hold.
    template <class T>
    T small() {
        const std::uint64_t value = number();
        if (value > std::uint64_t(std::numeric_limits<T>::max())) return static_cast<T>(fail());
        return static_cast<T>(value);
    }
    /// Refers to the bytes given.
    std::string_view text() {
        const std::uint64_t size = number();
        if (size > rest_.size()) return fail(), std::string_view{};
        const std::string_view value = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return value;
    }
    std::uint64_t fail() {
        ok_ = false;
        rest_ = {};
        return 0;
    }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

} // namespace fb::storage::redo
