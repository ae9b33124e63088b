#include "broker/net/proxy_header.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace fb::net {
namespace {

using state = proxy_header::state;

constexpr std::string_view v1_start = "PROXY ";
constexpr std::size_t v1_bytes_max = 107;
constexpr std::string_view v2_start("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t v2_fixed_bytes = 16;

proxy_header refused(const char* why) { return {state::refused, 0, {}, why}; }

std::string address_text(int family, const void* address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(family, address, text.data(), text.size());
    return text.data();
}

std::string v6_text(const in6_addr& a) {
    return IN6_IS_ADDR_V4MAPPED(&a) ? address_text(AF_INET, a.s6_addr + 12) : address_text(AF_INET6, &a);
}

/// As inet_ntop would write it, so that one address is one text; nothing when it is none of that family.
std::optional<std::string> canonical(int family, std::string_view text) {
    in6_addr address{};
    if (text.find('\0') != std::string_view::npos) return std::nullopt; // where inet_pton would stop
    if (::inet_pton(family, std::string(text).c_str(), &address) != 1) return std::nullopt;
    return family == AF_INET6 ? v6_text(address) : address_text(family, &address);
}

bool valid_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && (text.size() == 1 || text[0] != '0');
}

/// What is before the next blank, which goes too.
std::string_view next_word(std::string_view& rest) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
}

proxy_header read_v1(std::string_view bytes) {
    const std::size_t end = bytes.substr(0, v1_bytes_max).find("\r\n");
    if (end == std::string_view::npos) {
        if (bytes.size() >= v1_bytes_max) return refused("its line is longer than 107 bytes");
        return {};
    }
    std::string_view rest = bytes.substr(v1_start.size(), end - v1_start.size());
    const std::string_view family = next_word(rest);
    if (family == "UNKNOWN") return {state::complete, end + 2, {}, ""};
    if (family != "TCP4" && family != "TCP6") return refused("it names neither TCP4, TCP6 nor UNKNOWN");
    const int af = family == "TCP4" ? AF_INET : AF_INET6;
    const auto source = canonical(af, next_word(rest));
    const auto destination = canonical(af, next_word(rest));
    const bool ports = valid_port(next_word(rest)) && valid_port(rest);
    if (!source || !destination || !ports) return refused("its addresses or ports are not valid");
    return {state::complete, end + 2, *source, ""};
}

proxy_header read_v2(std::string_view bytes) {
    constexpr std::size_t source_at = v2_fixed_bytes;
    const auto byte = [bytes](std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); };
    if (bytes.size() < v2_fixed_bytes) return {};
    const int command = byte(12);
    const int family = byte(13) >> 4;
    const int protocol = byte(13) & 0x0F;
    const std::size_t length = std::size_t{byte(14)} << 8 | byte(15);
    if (command != 0x20 && command != 0x21) return refused("it is of an unknown version or command");
    if (family > 3 || protocol > 2) return refused("it is of an unknown address family or protocol");
    if (v2_fixed_bytes + length > proxy_header_bytes_max) return refused("it is longer than 1040 bytes");
    constexpr std::size_t needed[] = {0, 2 * 4 + 2 * 2, 2 * 16 + 2 * 2, 2 * 108}; // of unspecified, IPv4, IPv6, Unix
    const bool local = command == 0x20;
    if (!local && length < needed[family]) return refused("it is too short for its addresses");
    if (bytes.size() < v2_fixed_bytes + length) return {};
    proxy_header out{state::complete, v2_fixed_bytes + length, {}, ""}; // behind the addresses: TLVs, not looked at
    if (local) return out;
    if (family == 1) out.source = address_text(AF_INET, bytes.data() + source_at);
    if (family == 2) {
        in6_addr address;
        std::copy_n(bytes.data() + source_at, sizeof address, reinterpret_cast<char*>(&address));
        out.source = v6_text(address);
    }
    return out;
}

bool may_begin(std::string_view bytes, std::string_view start) {
    const std::size_t common = std::min(bytes.size(), start.size());
    return bytes.substr(0, common) == start.substr(0, common);
}

} // namespace

proxy_header read_proxy_header(std::string_view bytes) {
    if (may_begin(bytes, v1_start)) return bytes.size() < v1_start.size() ? proxy_header{} : read_v1(bytes);
    if (may_begin(bytes, v2_start)) return read_v2(bytes);
    return refused("there is none");
}

} // namespace fb::net
