// The strings MQTT allows: well-formed UTF-8 without surrogates (v5[MQTT-1.5.4-1]) and without U+0000
// (v5[MQTT-1.5.4-2]). A byte order mark is an ordinary character (v5[MQTT-1.5.4-3]).
#pragma once

#include <string_view>

namespace fb::proto {

/// The rule for every UTF-8 string in a packet.
bool valid_utf8_string(std::string_view text) noexcept;

/// Well-formed UTF-8; U+0000 is allowed. The rule for a payload whose format indicator is 1.
bool valid_utf8(std::string_view text) noexcept;

} // namespace fb::proto
