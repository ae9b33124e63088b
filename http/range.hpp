// The Range request header (RFC 9110 14): one range of bytes. Several ranges, other units and what does not parse are
// ignored, as the RFC allows: the answer is then the whole. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace fb::http {

struct byte_range {
    enum class kind { whole, part, unsatisfiable };
    kind what = kind::whole;
    std::int64_t first = 0;
    std::int64_t end = 0; // one past the last

    friend bool operator==(const byte_range&, const byte_range&) = default;
};

/// For a representation of `size` bytes. An empty header asks for the whole.
byte_range parse_range(std::string_view header, std::int64_t size);

} // namespace fb::http
