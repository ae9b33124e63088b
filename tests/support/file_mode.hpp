// What a test says about the rights of a file it has had made.
#pragma once

#include <sys/stat.h>

#include <doctest/doctest.h>
#include <filesystem>

namespace fb::test {

/// The permission bits of a file or directory that must exist.
inline unsigned mode_of(const std::filesystem::path& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_mode & 0777;
}

} // namespace fb::test
