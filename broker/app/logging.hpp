// The program's log: one line per message to standard error, as text or JSON. Asynchronous and bounded: any thread logs
// through spdlog's default logger without waiting; when the queue is full the oldest lines go, and are counted.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <spdlog/spdlog.h>

#include "broker/app/config.hpp"

namespace fb::app {

/// Sets spdlog's default logger for as long as it lives; the end writes what is queued. One at a time.
class logging {
  public:
    explicit logging(const log_config& settings);
    ~logging();
    logging(const logging&) = delete;
    logging& operator=(const logging&) = delete;

    /// Lines that were lost because the queue was full.
    std::size_t lines_lost() const;
};

/// One line of the log, without its end, as it is written in the given format.
std::string log_line(log_format format, const spdlog::details::log_msg& message);

} // namespace fb::app
