#include "bench/fleet/json.hpp"

namespace fb::fleet {

json_object& json_object::add(const char* key, const std::string& value) {
    writer_.Key(key);
    writer_.String(value);
    return *this;
}

json_object& json_object::add(const char* key, std::uint64_t value) {
    writer_.Key(key);
    writer_.Uint64(value);
    return *this;
}

json_object& json_object::add_unless_empty(const char* key, const std::string& value) {
    return value.empty() ? *this : add(key, value);
}

json_object& json_object::add_flag(const char* key, bool value) {
    writer_.Key(key);
    writer_.Bool(value);
    return *this;
}

json_object& json_object::add_real(const char* key, double value) {
    writer_.Key(key);
    writer_.Double(value);
    return *this;
}

json_object& json_object::open(const char* key) {
    writer_.Key(key);
    writer_.StartObject();
    return *this;
}

json_object& json_object::close() {
    writer_.EndObject();
    return *this;
}

std::string json_object::str() {
    writer_.EndObject();
    return {buffer_.GetString(), buffer_.GetSize()};
}

std::string json_text(const rapidjson::Value& object, const char* key) {
    const auto found = object.FindMember(key);
    if (found == object.MemberEnd() || !found->value.IsString()) return {};
    return {found->value.GetString(), found->value.GetStringLength()};
}

std::optional<std::uint64_t> json_number(const rapidjson::Value& object, const char* key, std::uint64_t absent) {
    const auto found = object.FindMember(key);
    if (found == object.MemberEnd() || found->value.IsNull()) return absent;
    if (!found->value.IsUint64()) return std::nullopt;
    return found->value.GetUint64();
}

} // namespace fb::fleet
