#include "broker/core/wall_time.hpp"

#include <chrono>
#include <cstdio>

namespace fb::core {

std::string rfc3339(std::int64_t unix_ms) {
    using namespace std::chrono;
    const sys_seconds at = floor<seconds>(sys_time<milliseconds>(milliseconds(unix_ms)));
    const sys_days day = floor<days>(at);
    const year_month_day date(day);
    const hh_mm_ss time(at - day);
    char text[40];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", int(date.year()), unsigned(date.month()),
                  unsigned(date.day()), int(time.hours().count()), int(time.minutes().count()),
                  int(time.seconds().count()));
    return text;
}

} // namespace fb::core
