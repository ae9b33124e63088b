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

result<std::filesystem::path> put_database_aside(const std::filesystem::path& file) {
    const auto aside = aside_name(file);
    std::error_code ec;
    std::filesystem::rename(file, aside, ec);
    if (ec)
        return error{error_kind::unavailable, "cannot put the damaged " + file.string() + " aside: " + ec.message()};
    for (const char* suffix : {"-wal", "-shm"}) {
        std::filesystem::rename(file.string() + suffix, aside.string() + suffix, ec);
        if (ec && ec != std::errc::no_such_file_or_directory) {
            return error{error_kind::unavailable, "cannot put " + file.string() + suffix + " aside: " + ec.message()};
        }
    }
    return aside;
}

} // namespace fb::storage
