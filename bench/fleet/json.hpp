// JSON objects written member by member, and members read with their type checked. A thin layer over RapidJSON.
#pragma once

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <optional>
#include <string>

namespace fb::fleet {

class json_object {
  public:
    json_object() { writer_.StartObject(); }
    json_object& add(const char* key, const std::string& value);
    json_object& add(const char* key, std::uint64_t value);
    json_object& add_unless_empty(const char* key, const std::string& value);
    json_object& add_flag(const char* key, bool value);
    json_object& add_real(const char* key, double value);
    json_object& open(const char* key); // a nested object, until close()
    json_object& close();
    std::string str(); // ends the object

  private:
    rapidjson::StringBuffer buffer_;
    rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

/// "" when it is missing or no string.
std::string json_text(const rapidjson::Value& object, const char* key);

/// `absent` when it is missing or null; nothing when it is no integer from 0 upwards.
std::optional<std::uint64_t> json_number(const rapidjson::Value& object, const char* key, std::uint64_t absent);

} // namespace fb::fleet
