// JSON out and in. json_text writes one document into a string; json_object reads a request's body strictly: valid
// UTF-8, an object at the top, no unknown keys, the wanted types. Values only; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "http/problem.hpp"
#include "storage/values.hpp"

namespace fb::http {

class json_text {
  public:
    void begin_object() { writer_.StartObject(); }
    void end_object() { writer_.EndObject(); }
    void begin_array() { writer_.StartArray(); }
    void end_array() { writer_.EndArray(); }
    void key(std::string_view name);

    void value(std::string_view text);
    void value(const char* text) { value(std::string_view(text)); }
    void value(const std::string& text) { value(std::string_view(text)); }
    void value(bool b) { writer_.Bool(b); }
    void value(int n) { writer_.Int(n); }
    void value(std::int64_t n) { writer_.Int64(n); }
    void value(std::uint64_t n) { writer_.Uint64(n); }
    void value(double d) { writer_.Double(d); }
    void value(storage::timestamp t) { value(storage::format_timestamp(t)); }
    void value(std::nullptr_t) { writer_.Null(); }
    template <class T>
    void value(const std::optional<T>& maybe) {
        if (maybe)
            value(*maybe);
        else
            writer_.Null();
    }
    template <class T>
    void member(std::string_view name, const T& content) {
        key(name);
        value(content);
    }
    /// A value that is JSON already and has been checked to be.
    void raw(std::string_view json);
    /// JSON text out of the database, which others may write too: `otherwise` stands in for what does not parse as
    /// the type that `otherwise` has.
    void stored(std::string_view json, std::string_view otherwise);

    std::string take() { return {buffer_.GetString(), buffer_.GetSize()}; }

  private:
    rapidjson::StringBuffer buffer_;
    rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

bool valid_utf8(std::string_view text);
/// ["a","b"]
std::string to_json(const std::vector<std::string>& texts);

class json_object {
  public:
    /// 400 with the place of the mistake.
    static or_problem<json_object> parse(std::string_view body);

    /// 400 when the body holds a key that is not among `known`.
    std::optional<problem> refuse_unknown(std::initializer_list<std::string_view> known) const;
    bool has(const char* key) const { return document_.HasMember(key); }
    /// An absent key is an empty optional; a wrong type and a text that is too long or holds control characters are a
    /// 400.
    or_problem<std::optional<std::string>> text(const char* key, std::size_t length_max) const;
    or_problem<bool> boolean(const char* key, bool otherwise) const;
    or_problem<std::optional<std::vector<std::string>>> texts(const char* key, std::size_t count_max,
                                                              std::size_t length_max) const;

  private:
    rapidjson::Document document_;
};

} // namespace fb::http
