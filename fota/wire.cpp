#include "fota/wire.hpp"

#include <algorithm>
#include <cmath>

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace fb::fota {
namespace {

using rapidjson::Value;

constexpr int depth_max = 16;
constexpr std::size_t version_length_max = 64;
constexpr std::size_t name_length_max = 128;
constexpr std::size_t message_length_max = 16 * 1024;
constexpr std::int64_t retry_after_max_s = 30 * 24 * 3600;

/// Counted before parsing, so that no recursive walk over the document can be made deep.
bool too_deep(std::string_view json) {
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > depth_max) return true;
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
    return false;
}

/// Escapes can spell what the UTF-8 check of the raw bytes cannot see: NUL and single surrogates.
bool storable(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == 0) return false;
        if (c == 0xED && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) >= 0xA0) return false;
    }
    return true;
}

std::string_view view_of(const Value& v) { return {v.GetString(), v.GetStringLength()}; }

/// Reads known keys of one object and remembers the first fault; after one, nothing more is read.
class reader {
  public:
    explicit reader(std::string_view payload) {
        if (too_deep(payload)) {
            fail("nested too deeply");
            return;
        }
        constexpr unsigned flags = rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag;
        document_.Parse<flags>(payload.data(), payload.size());
        if (document_.HasParseError())
            fail("not JSON in UTF-8");
        else if (!document_.IsObject())
            fail("not a JSON object");
    }

    const Value* find(const char* key) const {
        if (!fault_.empty()) return nullptr;
        const auto member = document_.FindMember(key);
        return member == document_.MemberEnd() ? nullptr : &member->value;
    }

    std::optional<std::string> text(const char* key, std::size_t length_max = name_length_max) {
        const Value* v = find(key);
        if (!v) return std::nullopt;
        if (!v->IsString()) return wrong(key, "must be a string");
        return checked(key, view_of(*v), length_max);
    }

    /// Clients write codes, boot counters and times as numbers too.
    std::optional<std::string> text_or_number(const char* key) {
        const Value* v = find(key);
        if (!v || v->IsString()) return text(key);
        if (v->IsInt64()) return std::to_string(v->GetInt64());
        if (v->IsUint64()) return std::to_string(v->GetUint64());
        if (v->IsDouble()) return to_json(*v);
        return wrong(key, "must be a string or a number");
    }

    std::optional<std::int64_t> integer(const char* key, std::int64_t least, std::int64_t most) {
        const Value* v = find(key);
        if (!v) return std::nullopt;
        if (!v->IsNumber()) return wrong(key, "must be a number");
        if (!v->IsInt64() || v->GetInt64() < least || v->GetInt64() > most) return wrong(key, "is out of range");
        return v->GetInt64();
    }

    std::optional<double> number(const char* key, double least, double most) {
        const Value* v = find(key);
        if (!v) return std::nullopt;
        if (!v->IsNumber()) return wrong(key, "must be a number");
        const double value = v->GetDouble();
        if (!(value >= least && value <= most)) return wrong(key, "is out of range");
        return value;
    }

    std::optional<bool> boolean(const char* key) {
        const Value* v = find(key);
        if (!v) return std::nullopt;
        if (!v->IsBool()) return wrong(key, "must be true or false");
        return v->GetBool();
    }

    std::nullopt_t wrong(const std::string& key, const char* what) {
        fail(key + " " + what);
        return std::nullopt;
    }
    void fail(std::string fault) {
        if (fault_.empty()) fault_ = std::move(fault);
    }

    static std::string to_json(const Value& v) {
        rapidjson::StringBuffer buffer;
        rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
        v.Accept(writer);
        return {buffer.GetString(), buffer.GetSize()};
    }

    template <class T>
    decoded<T> finish(T&& value) {
        if (!fault_.empty()) return {std::nullopt, std::move(fault_)};
        return {std::forward<T>(value), {}};
    }

  private:
    std::optional<std::string> checked(const char* key, std::string_view text, std::size_t length_max) {
        if (text.size() > length_max) return wrong(key, "is too long");
        if (!storable(text)) return wrong(key, "holds characters that cannot be stored");
        return std::string(text);
    }

    rapidjson::Document document_;
    std::string fault_;
};

std::optional<std::string> required(reader& in, const char* key, std::size_t length_max = name_length_max) {
    auto value = in.text(key, length_max);
    if (!value)
        in.wrong(key, "is missing");
    else if (value->empty())
        in.wrong(key, "is empty");
    return value;
}

std::optional<std::string> read_version(reader& in) {
    auto version = in.text("version", version_length_max);
    auto alias = in.text("firmware_version", version_length_max); // checked even when `version` wins
    if (!version) version = std::move(alias);
    if (version && version->empty()) return in.wrong("version", "is empty");
    return version;
}

std::optional<std::string> read_caps(reader& in) {
    const Value* caps = in.find("caps");
    if (!caps) return std::nullopt;
    if (!caps->IsObject()) return in.wrong("caps", "must be an object");
    for (const auto& [name, value] : caps->GetObject()) {
        const auto key = view_of(name);
        if (key == "chunk" && !value.IsUint()) return in.wrong("caps.chunk", "must be a whole number");
        if ((key == "http" || key == "resume" || key == "confirm") && !value.IsBool())
            return in.wrong("caps." + std::string(key), "must be true or false");
        if (key != "sig") continue;
        if (!value.IsArray()) return in.wrong("caps.sig", "must be a list");
        for (const auto& algorithm : value.GetArray())
            if (!algorithm.IsString()) return in.wrong("caps.sig", "must be a list of strings");
    }
    auto json = reader::to_json(*caps);
    if (!storable(json)) return in.wrong("caps", "holds characters that cannot be stored");
    return json;
}

std::optional<progress_state> parse_progress_state(std::string_view text) {
    constexpr std::string_view names[] = {"accepted",  "downloading", "downloaded", "installing",
                                          "rebooting", "rejected",    "deferred"};
    for (std::size_t i = 0; i < std::size(names); ++i)
        if (names[i] == text) return static_cast<progress_state>(i);
    return std::nullopt;
}

std::optional<int> read_attempt(reader& in) {
    const auto attempt = in.integer("attempt", 1, 1000);
    return attempt ? std::optional(static_cast<int>(*attempt)) : std::nullopt;
}

} // namespace

decoded<status_report> decode_status(std::string_view payload) {
    reader in(payload);
    status_report out;
    out.version = read_version(in);
    out.type = in.text("type");
    out.name = in.text("name");
    out.hw_rev = in.text("hw_rev");
    out.ip = in.text("ip");
    out.boot_id = in.text_or_number("boot_id");
    out.battery = in.number("battery", -1e9, 1e9);
    out.caps = read_caps(in);
    out.online = in.boolean("online");
    const bool says_more = out.type || out.name || out.hw_rev || out.ip || out.boot_id || out.battery || out.caps;
    if (!out.version && (says_more || !out.online)) in.wrong("version", "is missing");
    return in.finish(std::move(out));
}

decoded<progress_report> decode_progress(std::string_view payload) {
    reader in(payload);
    progress_report out;
    const auto name = required(in, "state");
    const auto state = parse_progress_state(name.value_or(""));
    if (state)
        out.state = *state;
    else
        in.wrong("state", "is unknown");
    out.update_id = in.text("update_id");
    out.attempt = read_attempt(in);
    if (const auto percent = in.number("percent", 0, 100)) out.percent = static_cast<int>(std::floor(*percent));
    out.offset = in.integer("offset", 0, INT64_MAX);
    if (const auto wait = in.integer("retry_after_s", 0, retry_after_max_s))
        out.retry_after = std::chrono::seconds(*wait);
    out.code = in.text_or_number("code");
    out.message = in.text("message", message_length_max);
    return in.finish(std::move(out));
}

decoded<result_report> decode_result(std::string_view payload) {
    reader in(payload);
    result_report out;
    const auto name = required(in, "status");
    const auto status = storage::parse_result_status(name.value_or(""));
    if (status)
        out.status = *status;
    else
        in.wrong("status", "is unknown");
    const auto version = read_version(in);
    if (version)
        out.version = *version;
    else
        in.wrong("version", "is missing");
    out.update_id = in.text("update_id");
    out.attempt = read_attempt(in);
    out.code = in.text_or_number("code");
    out.message = in.text("message", message_length_max);
    out.device_time = in.text_or_number("timestamp");
    return in.finish(std::move(out));
}

decoded<fetch_request> decode_fetch(std::string_view payload) {
    reader in(payload);
    fetch_request out;
    const auto rid = in.integer("rid", 0, UINT32_MAX);
    if (!rid) in.wrong("rid", "is missing");
    const auto offset = in.integer("offset", 0, INT64_MAX);
    if (!offset) in.wrong("offset", "is missing");
    const auto length = in.integer("length", 256, 65536);
    if (!length) in.wrong("length", "is missing");
    const auto count = in.integer("count", 1, INT64_MAX);
    out.update_id = in.text("update_id");
    out.rid = static_cast<std::uint32_t>(rid.value_or(0));
    out.offset = static_cast<std::uint64_t>(offset.value_or(0));
    out.length = static_cast<std::uint32_t>(length.value_or(0));
    out.count = static_cast<std::uint32_t>(std::min<std::int64_t>(count.value_or(1), UINT32_MAX));
    return in.finish(std::move(out));
}

std::optional<std::uint32_t> salvage_rid(std::string_view payload) {
    reader in(payload);
    const auto rid = in.integer("rid", 0, UINT32_MAX);
    return rid ? std::optional(static_cast<std::uint32_t>(*rid)) : std::nullopt;
}

std::string encode_fetch_error(std::optional<std::uint32_t> rid, std::string_view code, std::string_view message) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> out(buffer);
    const auto text = [&](std::string_view s) { out.String(s.data(), static_cast<rapidjson::SizeType>(s.size())); };
    out.StartObject();
    out.Key("rid");
    if (rid)
        out.Uint(*rid);
    else
        out.Null();
    out.Key("code");
    text(code);
    out.Key("message");
    text(message);
    out.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

} // namespace fb::fota
