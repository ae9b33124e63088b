#include "proto/utf8.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "proto/rule.hpp"

namespace fb::proto {
namespace {

constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080;
constexpr std::uint64_t low_bits = 0x0101'0101'0101'0101;

// Eight bytes that are ASCII and not U+0000: what nearly every topic and client id consists of.
bool plain_ascii_word(const char* p) noexcept {
    std::uint64_t word;
    std::memcpy(&word, p, sizeof word);
    return ((word | (word - low_bits)) & high_bits) == 0;
}

bool continuation(unsigned char byte) noexcept { return (byte & 0xC0) == 0x80; }

// The length of the multi-byte character at p, or 0 when it is ill-formed: the rows of the Unicode standard's table of
// well-formed sequences, in which only the second byte's range depends on the first.
std::size_t character_size(const unsigned char* p, std::size_t left) noexcept {
    const unsigned char first = p[0];
    if (first < 0xC2 || first > 0xF4) return 0; // a continuation, an overlong form, or above U+10FFFF
    const std::size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (left < size || !continuation(p[1])) return 0;
    if (first == 0xE0 && p[1] < 0xA0) return 0; // overlong
    if (first == 0xED && p[1] > 0x9F) return 0; // surrogates U+D800 to U+DFFF
    if (first == 0xF0 && p[1] < 0x90) return 0; // overlong
    if (first == 0xF4 && p[1] > 0x8F) return 0; // above U+10FFFF
    for (std::size_t i = 2; i < size; ++i)
        if (!continuation(p[i])) return 0;
    return size;
}

bool well_formed(std::string_view text, bool nul_allowed) noexcept {
    const char* p = text.data();
    const char* const end = p + text.size();
    while (p != end) {
        if (end - p >= 8 && plain_ascii_word(p)) {
            p += 8;
            continue;
        }
        const auto byte = static_cast<unsigned char>(*p);
        if (rule<"v5[MQTT-1.5.4-2]", "v311[MQTT-1.5.3-2]">(byte == 0 && !nul_allowed)) return false;
        if (byte < 0x80) {
            ++p;
            continue;
        }
        const auto size = character_size(reinterpret_cast<const unsigned char*>(p), static_cast<std::size_t>(end - p));
        if (rule<"v5[MQTT-1.5.4-1]", "v311[MQTT-1.5.3-1]">(size == 0)) return false;
        p += size;
    }
    return true;
}

} // namespace

bool valid_utf8_string(std::string_view text) noexcept { return well_formed(text, false); }

bool valid_utf8(std::string_view text) noexcept { return well_formed(text, true); }

} // namespace fb::proto
