#include "bench/fleet/process_meter.hpp"

#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace fb::fleet {
namespace {

/// First number of /proc/<pid>/task/<tid>/schedstat; 0 on a kernel without it.
std::uint64_t scheduled_ns(const std::filesystem::path& task) {
    std::ifstream file(task / "schedstat");
    std::uint64_t ns = 0;
    file >> ns;
    return ns;
}

std::uint64_t ticks_ns(const std::filesystem::path& process) {
    std::ifstream file(process / "stat");
    std::string line;
    std::getline(file, line);
    const auto end_of_name = line.rfind(')'); // a name may hold spaces and parentheses
    if (end_of_name == std::string::npos) return 0;
    std::istringstream fields(line.substr(end_of_name + 1));
    std::string skipped;
    for (int i = 0; i < 11; ++i) fields >> skipped; // state to cmajflt: fields 3 to 13 of proc(5)
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    fields >> user >> system;
    return (user + system) * (1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

} // namespace

std::uint64_t process_meter::cpu_ns() const {
    if (pid_ == 0) return 0;
    const auto process = std::filesystem::path("/proc") / std::to_string(pid_);
    std::uint64_t sum = 0;
    std::error_code ignored; // a thread or the process may be gone by now
    for (const auto& task : std::filesystem::directory_iterator(process / "task", ignored))
        sum += scheduled_ns(task.path());
    return sum != 0 ? sum : ticks_ns(process);
}

std::uint64_t process_meter::resident_bytes() const {
    if (pid_ == 0) return 0;
    std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
    std::uint64_t total_pages = 0;
    std::uint64_t resident_pages = 0;
    file >> total_pages >> resident_pages;
    return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t own_cpu_ns() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000ULL + static_cast<std::uint64_t>(t.tv_nsec);
}

} // namespace fb::fleet
