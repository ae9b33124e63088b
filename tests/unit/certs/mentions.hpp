// For messages that people read: a test asks for the words that matter.
#pragma once

#include <string>

namespace fb::tests {

inline bool mentions(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

} // namespace fb::tests
