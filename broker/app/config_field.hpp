// One key of the configuration file: its name, what is allowed, how it is read and shown. A list of fields describes a
// table; reading, listing all keys and describing a configuration are walks over that list. Start-up only.
//
// A field holds a reference to the member it is about: it must not outlive the struct it was made for.
#pragma once

#include <chrono>
#include <concepts>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "broker/app/endpoint.hpp"

namespace fb::app {

/// Gathers the faults of one file.
struct fault_list {
    std::string file;
    std::vector<std::string> lines;

    /// "file:line:column: key: text"
    void add(const toml::source_region& at, std::string_view key, std::string_view text);
    void add(const toml::node& at, std::string_view key, std::string_view text) { add(at.source(), key, text); }
};

struct field {
    std::string key;
    std::function<void(const toml::node&, const std::string& path, fault_list&)> read;
    std::function<void(const std::string& path, std::vector<std::string>& out)> show; // "path = value" lines
    std::vector<field> inner{}; // of a table, or of one element of a list of tables
};
using fields = std::vector<field>;

/// Reads `from` into what `known` refers to; an unknown key is a fault that names the nearest known one.
void read_table(const toml::table& from, const fields& known, const std::string& path, fault_list& faults);
void show_fields(const fields& all, const std::string& path, std::vector<std::string>& out);
void list_keys(const fields& all, const std::string& path, std::vector<std::string>& out);

// The kinds of fields.
field integer_field(std::string key, std::int64_t min, std::int64_t max, std::function<std::int64_t()> get,
                    std::function<void(std::int64_t)> set);
field boolean(std::string key, bool& target);
field text(std::string key, std::string& target);
field texts(std::string key, std::vector<std::string>& target, bool (*valid)(std::string_view), std::string allowed);
field path_text(std::string key, std::filesystem::path& target, bool may_be_empty);
field file_mode(std::string key, unsigned& target);
field url(std::string key, endpoint& target, std::span<const std::string_view> schemes);
field word_field(std::string key, std::vector<std::string> words, std::function<std::size_t()> get,
                 std::function<void(std::size_t)> set);
field table(std::string key, fields inner);

template <std::integral T>
field number(std::string key, T& target, std::int64_t min, std::int64_t max) {
    return integer_field(
        std::move(key), min, max, [&target] { return static_cast<std::int64_t>(target); },
        [&target](std::int64_t v) { target = static_cast<T>(v); });
}

/// The key's name says the unit: the duration's own.
template <class Rep, class Period>
field duration(std::string key, std::chrono::duration<Rep, Period>& target, std::int64_t min, std::int64_t max) {
    return integer_field(
        std::move(key), min, max, [&target] { return static_cast<std::int64_t>(target.count()); },
        [&target](std::int64_t v) { target = std::chrono::duration<Rep, Period>(static_cast<Rep>(v)); });
}

/// An enum whose values count from 0 in the order of `words`.
template <class Enum>
field word(std::string key, Enum& target, std::vector<std::string> words) {
    return word_field(
        std::move(key), std::move(words), [&target] { return static_cast<std::size_t>(target); },
        [&target](std::size_t v) { target = static_cast<Enum>(v); });
}

/// [[key]]: the elements in the file, if any, replace the default ones. `fields_of(Element&)` describes one.
template <class Element, class FieldsOf>
field tables(std::string key, std::vector<Element>& target, FieldsOf fields_of) {
    field out{key, {}, {}, {}};
    out.read = [&target, fields_of](const toml::node& node, const std::string& path, fault_list& faults) {
        const auto* list = node.as_array();
        if (!list || !list->is_array_of_tables()) {
            return faults.add(node, path, "must be a list of tables, written [[" + path + "]]");
        }
        target.clear();
        for (const auto& item : *list) {
            Element element{};
            read_table(*item.as_table(), fields_of(element), path, faults);
            target.push_back(std::move(element));
        }
    };
    out.show = [&target, fields_of](const std::string& path, std::vector<std::string>& lines) {
        for (std::size_t i = 0; i < target.size(); ++i) {
            show_fields(fields_of(target[i]), path + "[" + std::to_string(i) + "]", lines);
        }
    };
    static Element example{};
    out.inner = fields_of(example);
    return out;
}

} // namespace fb::app
