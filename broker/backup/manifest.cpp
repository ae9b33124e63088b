#include "broker/backup/manifest.hpp"

#include <algorithm>
#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include "broker/backup/failure.hpp"

namespace fb::backup {

namespace {

using json_writer = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

constexpr std::size_t name_bytes_max = 4096;
constexpr std::size_t part_bytes_max = 255;

[[noreturn]] void no_backup(std::string_view name) {
    throw failure(fault::unusable, "not a backup of fotabroker: its " + std::string(name) + " cannot be read");
}

rapidjson::Document parsed(const std::string& text, std::string_view name) {
    rapidjson::Document d;
    d.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
    if (d.HasParseError() || !d.IsObject()) no_backup(name);
    return d;
}

std::string text_in(const rapidjson::Value& object, const char* key) {
    const auto found = object.FindMember(key);
    if (found == object.MemberEnd() || !found->value.IsString()) return {};
    return {found->value.GetString(), found->value.GetStringLength()};
}

void put(json_writer& w, const char* key, const std::string& value) {
    if (value.empty()) return;
    w.Key(key);
    w.String(value);
}

} // namespace

std::string to_json(const description& d) {
    rapidjson::StringBuffer out;
    json_writer w(out);
    w.StartObject();
    w.Key("fotabroker_backup");
    w.Int(format_version);
    put(w, "program_version", d.program_version);
    put(w, "created_at", d.created_at);
    put(w, "data_dir", d.data_dir);
    put(w, "engine", d.engine);
    put(w, "database", d.database);
    put(w, "note", d.note);
    w.Key("outside");
    w.StartObject();
    for (const auto& [name, path] : d.outside) put(w, name.c_str(), path);
    w.EndObject();
    w.EndObject();
    return std::string(out.GetString(), out.GetSize()) + "\n";
}

std::string to_json(const std::vector<member>& members) {
    rapidjson::StringBuffer out;
    json_writer w(out);
    w.StartObject();
    w.Key("members");
    w.StartArray();
    for (const member& m : members) {
        w.StartObject();
        put(w, "name", m.name);
        w.Key("size");
        w.Uint64(m.size);
        put(w, "sha256", m.sha256);
        w.EndObject();
    }
    w.EndArray();
    w.EndObject();
    return std::string(out.GetString(), out.GetSize()) + "\n";
}

description parse_description(const std::string& text) {
    const rapidjson::Document d = parsed(text, description_name);
    const auto format = d.FindMember("fotabroker_backup");
    if (format == d.MemberEnd() || !format->value.IsInt()) no_backup(description_name);
    description out;
    out.program_version = text_in(d, "program_version");
    if (format->value.GetInt() > format_version)
        throw failure(fault::unusable, "the backup was made by fotabroker " + out.program_version + " in format " +
                                           std::to_string(format->value.GetInt()) + ", this program knows " +
                                           std::to_string(format_version) + ": restore it with a newer program");
    out.created_at = text_in(d, "created_at");
    out.data_dir = text_in(d, "data_dir");
    out.engine = text_in(d, "engine");
    out.database = text_in(d, "database");
    out.note = text_in(d, "note");
    if (const auto outside = d.FindMember("outside"); outside != d.MemberEnd() && outside->value.IsObject()) {
        for (const auto& each : outside->value.GetObject()) {
            if (each.value.IsString()) out.outside.emplace_back(each.name.GetString(), each.value.GetString());
        }
    }
    return out;
}

std::vector<member> parse_members(const std::string& text) {
    const rapidjson::Document d = parsed(text, manifest_name);
    const auto list = d.FindMember("members");
    if (list == d.MemberEnd() || !list->value.IsArray()) no_backup(manifest_name);
    std::vector<member> out;
    for (const auto& each : list->value.GetArray()) {
        if (!each.IsObject()) no_backup(manifest_name);
        const auto size = each.FindMember("size");
        if (size == each.MemberEnd() || !size->value.IsUint64()) no_backup(manifest_name);
        out.push_back({text_in(each, "name"), size->value.GetUint64(), text_in(each, "sha256")});
    }
    return out;
}

bool safe_name(std::string_view name) {
    if (name.empty() || name.size() > name_bytes_max) return false;
    const auto printable = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\\'; };
    if (!std::all_of(name.begin(), name.end(), printable)) return false;
    while (true) {
        const auto slash = name.find('/');
        const std::string_view part = name.substr(0, slash);
        if (part.empty() || part == "." || part == ".." || part.size() > part_bytes_max) return false;
        if (slash == std::string_view::npos) return true;
        name.remove_prefix(slash + 1);
    }
}

} // namespace fb::backup
