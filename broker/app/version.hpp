// The program's version, as CMakeLists.txt says it.
#pragma once

namespace fb::app {

inline constexpr const char* program_version = FB_VERSION;

} // namespace fb::app
