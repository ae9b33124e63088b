// A secret from who runs a command: typed unseen, or piped. Commands only.
#pragma once

#include <string>

namespace fb::app {

/// From a person after `question`, unless `once` a second time; from a pipe its first line. Never empty. Throws
/// std::runtime_error with words for people.
std::string ask_secret(const char* question, bool once = false);

} // namespace fb::app
