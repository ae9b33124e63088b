#include "fota/device_attributes.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace fb::fota {
namespace {

using rapidjson::Document;
using rapidjson::Value;

Document parse_object(const std::string& text) {
    Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(text);
    if (document.HasParseError() || !document.IsObject()) document.SetObject();
    return document;
}

/// Puts a member in; true when that changed something.
bool put(Document& document, const char* key, Value value) {
    if (!document.HasMember(key)) {
        document.AddMember(Value(key, document.GetAllocator()), value, document.GetAllocator());
        return true;
    }
    auto& held = document[key];
    if (held == value) return false;
    held = value;
    return true;
}

bool put_text(Document& document, const char* key, const std::optional<std::string>& text) {
    return text && put(document, key, Value(*text, document.GetAllocator()));
}

bool put_json(Document& document, const char* key, const std::optional<std::string>& json) {
    if (!json) return false;
    Document value(&document.GetAllocator());
    value.Parse<rapidjson::kParseIterativeFlag>(*json);
    return put(document, key, std::move(static_cast<Value&>(value)));
}

} // namespace

std::string merge_attributes(const std::string& attributes, const status_report& report) {
    auto document = parse_object(attributes);
    bool changed = put_text(document, "boot_id", report.boot_id);
    changed |= put_text(document, "ip", report.ip);
    changed |= report.battery && put(document, "battery", Value(*report.battery));
    changed |= put_json(document, "caps", report.caps);
    if (!changed) return attributes;
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    document.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

std::optional<std::string> boot_id_of(const std::string& attributes) {
    const auto document = parse_object(attributes);
    const auto found = document.FindMember("boot_id");
    if (found == document.MemberEnd() || !found->value.IsString()) return std::nullopt;
    return std::string(found->value.GetString(), found->value.GetStringLength());
}

bool wants_confirmation(const std::string& attributes) {
    const auto document = parse_object(attributes);
    const auto caps = document.FindMember("caps");
    if (caps == document.MemberEnd() || !caps->value.IsObject()) return false;
    const auto confirm = caps->value.FindMember("confirm");
    return confirm != caps->value.MemberEnd() && confirm->value.IsTrue();
}

bool list_holds(const std::string& json_list, const std::string& value) {
    Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json_list);
    if (document.HasParseError() || !document.IsArray()) return false;
    for (const auto& item : document.GetArray())
        if (item.IsString() && value == std::string_view(item.GetString(), item.GetStringLength())) return true;
    return false;
}

bool list_empty(const std::string& json_list) {
    Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json_list);
    return document.HasParseError() || !document.IsArray() || document.Empty();
}

} // namespace fb::fota
