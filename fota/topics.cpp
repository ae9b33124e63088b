#include "fota/topics.hpp"

#include "certs/identity.hpp"

namespace fb::fota {
namespace {

constexpr std::string_view prefix = "device/";

struct suffix_row {
    std::string_view suffix;
    report_kind kind;
};
constexpr suffix_row suffixes[] = {
    {"status", report_kind::status},
    {"update/progress", report_kind::progress},
    {"update/result", report_kind::result},
    {"fw/get", report_kind::fetch},
};

std::string below(std::string_view device_id, std::string_view rest) {
    std::string topic;
    topic.reserve(prefix.size() + device_id.size() + 1 + rest.size());
    return topic.append(prefix).append(device_id).append("/").append(rest);
}

} // namespace

std::optional<report_topic> parse_report_topic(std::string_view topic) {
    if (!topic.starts_with(prefix)) return std::nullopt;
    topic.remove_prefix(prefix.size());
    const auto slash = topic.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto device_id = topic.substr(0, slash);
    if (!certs::valid_device_id(device_id)) return std::nullopt;
    for (const auto& row : suffixes)
        if (topic.substr(slash + 1) == row.suffix) return report_topic{device_id, row.kind};
    return std::nullopt;
}

std::string update_topic(std::string_view device_id) { return below(device_id, "update"); }
std::string fetch_error_topic(std::string_view device_id) { return below(device_id, "fw/error"); }

std::string fetch_data_topic(std::string_view device_id, std::uint32_t rid, std::uint64_t offset) {
    return below(device_id, "fw/data/" + std::to_string(rid) + "/" + std::to_string(offset));
}

bool own_response_topic(std::string_view device_id, std::string_view topic) {
    const auto own = below(device_id, "");
    return topic.size() > own.size() && topic.starts_with(own) &&
           topic.find_first_of(std::string_view("+#\0", 3)) == std::string_view::npos;
}

} // namespace fb::fota
