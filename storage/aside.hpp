// The name that something damaged gets when it is put aside: <name>.corrupt-<time>.
#pragma once

#include <filesystem>

namespace fb::storage {

std::filesystem::path aside_name(const std::filesystem::path& damaged);

} // namespace fb::storage
