// The program's version, from the build.
#pragma once

namespace fb::app {

inline constexpr const char* program_version = "0.1.0";

} // namespace fb::app
