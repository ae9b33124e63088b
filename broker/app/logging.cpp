#include "broker/app/logging.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace fb::app {
namespace {

constexpr std::size_t queued_lines_max = 2048; // 400 bytes each, allocated at once

spdlog::level::level_enum level_of(log_level level) {
    switch (level) {
    case log_level::trace: return spdlog::level::trace;
    case log_level::debug: return spdlog::level::debug;
    case log_level::info: return spdlog::level::info;
    case log_level::warn: return spdlog::level::warn;
    case log_level::error: return spdlog::level::err;
    }
    return spdlog::level::info;
}

/// The message as JSON text: a client id or topic may hold anything.
class json_message final : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
        rapidjson::StringBuffer text;
        rapidjson::Writer<rapidjson::StringBuffer, rapidjson::UTF8<>, rapidjson::ASCII<>> writer(text);
        if (!writer.String(message.payload.data(), static_cast<rapidjson::SizeType>(message.payload.size()))) {
            text.Clear();
            text.Put('"');
            for (const char c : message.payload) text.Put(c >= ' ' && c <= '~' && c != '"' && c != '\\' ? c : '?');
            text.Put('"');
        }
        out.append(text.GetString(), text.GetString() + text.GetSize());
    }
    std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<json_message>(); }
};

/// The message as one line of printable text: nobody may forge a line or steer a terminal by a client id.
class plain_message final : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
        for (const char c : message.payload) {
            out.push_back(static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c);
        }
    }
    std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<plain_message>(); }
};

std::unique_ptr<spdlog::formatter> formatter_of(log_format format) {
    auto out = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    if (format == log_format::json) {
        out->add_flag<json_message>('*');
        out->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
    } else {
        out->add_flag<plain_message>('*');
        out->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l: %*");
    }
    return out;
}

} // namespace

logging::logging(const log_config& settings) {
    spdlog::init_thread_pool(queued_lines_max, 1);
    auto logger =
        std::make_shared<spdlog::async_logger>("fotabroker", std::make_shared<spdlog::sinks::stderr_sink_mt>(),
                                               spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
    logger->set_formatter(formatter_of(settings.format));
    logger->set_level(level_of(settings.level));
    spdlog::set_default_logger(std::move(logger));
}

logging::~logging() { spdlog::shutdown(); }

std::size_t logging::lines_lost() const { return spdlog::thread_pool()->overrun_counter(); }

std::string log_line(log_format format, const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t out;
    formatter_of(format)->format(message, out);
    return std::string(out.data(), out.size() - 1);
}

} // namespace fb::app
