#include "storage/aside.hpp"

#include <chrono>
#include <string>

#include "storage/values.hpp"

namespace fb::storage {

std::filesystem::path aside_name(const std::filesystem::path& damaged) {
    std::string time =
        format_timestamp(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
    std::erase(time, ':'); // not in file names that may be copied elsewhere
    return damaged.string() + ".corrupt-" + time;
}

} // namespace fb::storage
