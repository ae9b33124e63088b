#include "bench/fleet/wire.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <optional>

#include "bench/fleet/json.hpp"

namespace fb::fleet {
namespace {

constexpr std::size_t version_chars_max = 64;
constexpr std::size_t sha256_hex_chars = 64;

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/// The digits of "sha256:<64 lower-case hex>", or "".
std::string parse_checksum(const std::string& checksum) {
    constexpr std::string_view prefix = "sha256:";
    if (!checksum.starts_with(prefix)) return {};
    auto digits = checksum.substr(prefix.size());
    if (digits.size() != sha256_hex_chars || !std::all_of(digits.begin(), digits.end(), is_lower_hex)) return {};
    return digits;
}

command parse_install(const rapidjson::Value& object, std::string update_id) {
    const auto refuse = [&](const char* why) { return refused_command{update_id, why}; };
    update_command out;
    out.update_id = update_id;
    out.version = json_text(object, "version");
    if (out.version.empty() || out.version.size() > version_chars_max) return refuse("no usable version");
    out.sha256 = parse_checksum(json_text(object, "checksum"));
    if (out.sha256.empty()) return refuse("checksum is not sha256:<64 lower-case hex digits>");
    out.url = json_text(object, "url");
    const auto size = json_number(object, "size", 0);
    if (!size || *size > image_bytes_max) return refuse("size is no size or too large");
    out.size = *size;
    const auto attempt = json_number(object, "attempt", 1);
    if (!attempt || *attempt == 0 || *attempt > 1000) return refuse("attempt is no attempt");
    out.attempt = static_cast<unsigned>(*attempt);
    out.download_only = json_text(object, "mode") == "download_only";
    return out;
}

} // namespace

bool update_command::same_offer(const update_command& other) const {
    return update_id == other.update_id && attempt == other.attempt && sha256 == other.sha256 &&
           version == other.version;
}

command parse_command(std::string_view json) {
    if (json.size() > command_bytes_max) return unreadable_command{"command longer than 16 KiB"};
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (document.HasParseError() || !document.IsObject()) return unreadable_command{"command is not a JSON object"};
    auto update_id = json_text(document, "update_id");
    const auto action = json_text(document, "action");
    if (action == "cancel") return cancel_command{std::move(update_id)};
    if (!action.empty() && action != "install") return refused_command{std::move(update_id), "unknown action"};
    return parse_install(document, std::move(update_id));
}

std::string to_json(const status_report& r) {
    json_object o;
    o.add("version", r.version).add_unless_empty("type", r.type).add_unless_empty("name", r.name);
    o.add("boot_id", r.boot_id).open("caps").add("chunk", r.chunk_bytes).add_flag("http", r.http);
    o.add_flag("resume", true);
    if (r.confirm) o.add_flag("confirm", true);
    return o.close().str();
}

std::string to_json(const progress_report& r) {
    json_object o;
    o.add_unless_empty("update_id", r.update_id).add("state", r.state);
    if (r.percent >= 0) o.add("percent", static_cast<std::uint64_t>(r.percent)).add("offset", r.offset);
    return o.str();
}

std::string to_json(const result_report& r) {
    json_object o;
    o.add("status", r.status).add("version", r.version);
    if (!r.update_id.empty()) o.add("update_id", r.update_id).add("attempt", r.attempt);
    return o.add_unless_empty("code", r.code).add_unless_empty("message", r.message).str();
}

std::string chunk_request_json(std::uint32_t rid, const std::string& update_id, std::uint64_t offset, unsigned length,
                               unsigned count) {
    json_object o;
    o.add("rid", rid).add_unless_empty("update_id", update_id);
    return o.add("offset", offset).add("length", length).add("count", count).str();
}

std::string parse_chunk_error(std::string_view json) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (document.HasParseError() || !document.IsObject()) return "unreadable error";
    return json_text(document, "code") + ": " + json_text(document, "message");
}

} // namespace fb::fleet
