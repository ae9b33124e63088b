#include "http/json.hpp"

#include <algorithm>

#include <rapidjson/error/en.h>

namespace fb::http {

namespace {

// Iterative: depth costs heap that the body's size bounds, not stack.
constexpr unsigned strict = rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag;

bool fits(const rapidjson::Value& value, std::size_t length_max) {
    if (!value.IsString() || value.GetStringLength() > length_max) return false;
    return std::none_of(value.GetString(), value.GetString() + value.GetStringLength(),
                        [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

problem wrong_type(const char* key, const std::string& wanted) {
    return {400, "invalid_body", "\"" + std::string(key) + "\" must be " + wanted};
}

} // namespace

void json_text::key(std::string_view name) { writer_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size())); }

void json_text::value(std::string_view text) {
    writer_.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void json_text::raw(std::string_view json) { writer_.RawValue(json.data(), json.size(), rapidjson::kObjectType); }

void json_text::stored(std::string_view json, std::string_view otherwise) {
    rapidjson::Document document;
    document.Parse<strict>(json.data(), json.size());
    const bool array = otherwise.starts_with('[');
    const bool fits = !document.HasParseError() && (array ? document.IsArray() : document.IsObject());
    raw(fits ? json : otherwise);
}

bool valid_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        const unsigned lead = byte(i);
        const std::size_t length = lead < 0x80   ? 1
                                   : lead < 0xc2 ? 0
                                   : lead < 0xe0 ? 2
                                   : lead < 0xf0 ? 3
                                   : lead < 0xf5 ? 4
                                                 : 0;
        if (length == 0 || text.size() - i < length) return false;
        for (std::size_t k = 1; k < length; ++k)
            if ((byte(i + k) & 0xc0) != 0x80) return false;
        if (length >= 3) { // overlong forms, surrogates, beyond U+10FFFF
            const unsigned second = byte(i + 1);
            if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
                (lead == 0xf4 && second > 0x8f))
                return false;
        }
        i += length;
    }
    return true;
}

std::string to_json(const std::vector<std::string>& texts) {
    json_text out;
    out.begin_array();
    for (const auto& text : texts) out.value(text);
    out.end_array();
    return out.take();
}

or_problem<json_object> json_object::parse(std::string_view body) {
    json_object object;
    object.document_.Parse<strict>(body.data(), body.size());
    if (object.document_.HasParseError()) {
        return problem{400, "invalid_json",
                       "the body is not valid JSON: " +
                           std::string(rapidjson::GetParseError_En(object.document_.GetParseError())) + " (at byte " +
                           std::to_string(object.document_.GetErrorOffset()) + ")"};
    }
    if (!object.document_.IsObject()) return problem{400, "invalid_body", "the body must be a JSON object"};
    return object;
}

std::optional<problem> json_object::refuse_unknown(std::initializer_list<std::string_view> known) const {
    std::vector<std::string_view> seen;
    for (const auto& member : document_.GetObject()) {
        const std::string_view name(member.name.GetString(), member.name.GetStringLength());
        if (std::find(known.begin(), known.end(), name) == known.end())
            return problem{400, "unknown_key", "the body's key \"" + std::string(name.substr(0, 64)) + "\" is unknown"};
        if (std::find(seen.begin(), seen.end(), name) != seen.end())
            return problem{400, "repeated_key", "the body's key \"" + std::string(name) + "\" is there twice"};
        seen.push_back(name);
    }
    return std::nullopt;
}

or_problem<std::optional<std::string>> json_object::text(const char* key, std::size_t length_max) const {
    const auto found = document_.FindMember(key);
    if (found == document_.MemberEnd()) return std::optional<std::string>{};
    const auto wanted = "a text of at most " + std::to_string(length_max) + " bytes without control characters";
    if (!fits(found->value, length_max)) return wrong_type(key, wanted);
    return std::optional(std::string(found->value.GetString(), found->value.GetStringLength()));
}

or_problem<bool> json_object::boolean(const char* key, bool otherwise) const {
    const auto found = document_.FindMember(key);
    if (found == document_.MemberEnd()) return otherwise;
    if (!found->value.IsBool()) return wrong_type(key, "true or false");
    return found->value.GetBool();
}

or_problem<std::optional<std::vector<std::string>>> json_object::texts(const char* key, std::size_t count_max,
                                                                       std::size_t length_max) const {
    const auto found = document_.FindMember(key);
    if (found == document_.MemberEnd()) return std::optional<std::vector<std::string>>{};
    const auto wanted = "an array of at most " + std::to_string(count_max) + " texts of at most " +
                        std::to_string(length_max) + " bytes";
    if (!found->value.IsArray() || found->value.Size() > count_max) return wrong_type(key, wanted);
    std::vector<std::string> texts;
    for (const auto& element : found->value.GetArray()) {
        if (!fits(element, length_max)) return wrong_type(key, wanted);
        texts.emplace_back(element.GetString(), element.GetStringLength());
    }
    return std::optional(std::move(texts));
}

} // namespace fb::http
