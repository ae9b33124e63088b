// What the disk's error numbers mean to who runs the gateway: the system's words, and what to do.
#pragma once

#include <string>

namespace fb::storage {

/// "No space left on device (free some space on this disk)".
std::string words_of_disk_error(int code);

} // namespace fb::storage
