#include "storage/values.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <sys/random.h>

namespace fb::storage {

namespace {

// The 60 leading bits of the last UUID made: 48 of milliseconds and 12 that count within one. When more than 4096 are
// made in a millisecond, or the clock goes back, the count carries over into the milliseconds: order is worth more
// than the exact time (RFC 9562 section 6.2, method 1).
std::atomic<std::uint64_t> last_tick{0};

constexpr int count_bits = 12;
constexpr std::int64_t year_10000_ms = 253'402'300'800'000;

std::uint64_t next_tick(std::uint64_t now) {
    std::uint64_t previous = last_tick.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
        next = std::max(now, previous + 1);
    } while (!last_tick.compare_exchange_weak(previous, next, std::memory_order_relaxed));
    return next;
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

constexpr bool dash_at(std::size_t i) noexcept { return i == 8 || i == 13 || i == 18 || i == 23; }

/// A decimal number of exactly text.size() digits, or -1.
int digits(std::string_view text) noexcept {
    int value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

} // namespace

std::string format_timestamp(timestamp t) {
    using namespace std::chrono;
    // Years outside 0-9999 would not sort as text.
    const timestamp first{sys_days{year{0} / 1 / 1}};
    t = std::clamp(t, first, timestamp{milliseconds{year_10000_ms - 1}});
    const auto day = floor<days>(t);
    const year_month_day date{day};
    const hh_mm_ss time{t - day};
    char out[64];
    std::snprintf(out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", int(date.year()), unsigned(date.month()),
                  unsigned(date.day()), int(time.hours().count()), int(time.minutes().count()),
                  int(time.seconds().count()), int(time.subseconds().count()));
    return out;
}

std::optional<timestamp> parse_timestamp(std::string_view text) {
    using namespace std::chrono;
    if (text.size() != 24 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
        text[16] != ':' || text[19] != '.' || text[23] != 'Z')
        return std::nullopt;
    const int y = digits(text.substr(0, 4)), mo = digits(text.substr(5, 2)), d = digits(text.substr(8, 2));
    const int h = digits(text.substr(11, 2)), mi = digits(text.substr(14, 2)), s = digits(text.substr(17, 2));
    const int ms = digits(text.substr(20, 3));
    if (y < 0 || mo < 0 || d < 0 || h < 0 || h > 23 || mi < 0 || mi > 59 || s < 0 || s > 59 || ms < 0)
        return std::nullopt;
    const year_month_day date{year{y}, month{unsigned(mo)}, day{unsigned(d)}};
    if (!date.ok()) return std::nullopt;
    return timestamp{sys_days{date}} + hours{h} + minutes{mi} + seconds{s} + milliseconds{ms};
}

std::array<std::uint8_t, 16> make_uuid_v7(timestamp now) {
    const std::int64_t ms = std::clamp<std::int64_t>(now.time_since_epoch().count(), 0, year_10000_ms);
    const std::uint64_t tick = next_tick(std::uint64_t(ms) << count_bits);
    std::array<std::uint8_t, 16> bytes{};
    // Up to 256 bytes are never cut short once the kernel's generator is seeded, and then it cannot fail either.
    if (::getrandom(bytes.data() + 8, 8, 0) != 8) std::abort();
    for (std::size_t i = 0; i < 6; ++i) bytes[i] = std::uint8_t(tick >> (count_bits + 40 - 8 * i));
    bytes[6] = std::uint8_t(0x70 | ((tick >> 8) & 0x0f)); // version 7
    bytes[7] = std::uint8_t(tick);
    bytes[8] = std::uint8_t(0x80 | (bytes[8] & 0x3f)); // variant
    return bytes;
}

void raise_uuid_floor(const std::array<std::uint8_t, 16>& bytes) {
    if ((bytes[6] >> 4) != 7) return;
    std::uint64_t ms = 0;
    for (std::size_t i = 0; i < 6; ++i) ms = ms << 8 | bytes[i];
    if (ms > std::uint64_t(year_10000_ms)) return;
    const std::uint64_t tick = ms << count_bits | std::uint64_t(bytes[6] & 0x0f) << 8 | bytes[7];
    std::uint64_t previous = last_tick.load(std::memory_order_relaxed);
    while (previous < tick && !last_tick.compare_exchange_weak(previous, tick, std::memory_order_relaxed)) {
    }
}

std::string format_uuid(const std::array<std::uint8_t, 16>& bytes) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string out;
    out.reserve(36);
    for (const std::uint8_t byte : bytes) {
        if (dash_at(out.size())) out += '-';
        out += hex[byte >> 4];
        out += hex[byte & 15];
    }
    return out;
}

std::optional<std::array<std::uint8_t, 16>> parse_uuid(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    std::array<std::uint8_t, 16> bytes{};
    std::size_t nibble = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (dash_at(i)) {
            if (text[i] != '-') return std::nullopt;
            continue;
        }
        const int value = hex_digit(text[i]);
        if (value < 0) return std::nullopt;
        bytes[nibble / 2] = std::uint8_t(bytes[nibble / 2] << 4 | value);
        ++nibble;
    }
    return bytes;
}

} // namespace fb::storage
