#include "broker/app/json_text.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace fb::app {
namespace {

using writer = rapidjson::Writer<rapidjson::StringBuffer>;

void write(writer& w, const json_row& row) {
    w.StartObject();
    for (const auto& [key, value] : row) {
        w.Key(key);
        if (value)
            w.String(*value);
        else
            w.Null();
    }
    w.EndObject();
}

} // namespace

std::string json_object(const json_row& row) {
    rapidjson::StringBuffer out;
    writer w(out);
    write(w, row);
    return out.GetString();
}

std::string json_array(const std::vector<json_row>& rows) {
    rapidjson::StringBuffer out;
    writer w(out);
    w.StartArray();
    for (const auto& row : rows) write(w, row);
    w.EndArray();
    return out.GetString();
}

} // namespace fb::app
