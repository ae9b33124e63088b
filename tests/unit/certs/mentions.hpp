#pragma once

#include <string>

namespace fb::tests {

inline bool mentions(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

} // namespace fb::tests
