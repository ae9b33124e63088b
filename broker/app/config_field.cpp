#include "broker/app/config_field.hpp"

#include <algorithm>
#include <charconv>
#include <iomanip>
#include <optional>
#include <sstream>

namespace fb::app {
namespace {

std::string joined(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

std::string in_words(const toml::node& node) {
    if (node.is_table()) return "a table";
    if (node.is_array()) return "a list";
    std::ostringstream out;
    out << toml::node_view<const toml::node>(node);
    return out.str();
}

std::string listed(const std::vector<std::string>& words, const char* separator) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : separator) + word;
    return out;
}

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const auto above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

/// The known key that was probably meant.
std::optional<std::string> nearest(std::string_view wrong, const fields& known) {
    std::optional<std::string> best;
    std::size_t best_distance = 1 + wrong.size() / 3;
    for (const auto& f : known) {
        const auto distance = edit_distance(wrong, f.key);
        if (distance > best_distance) continue;
        best_distance = distance;
        best = f.key;
    }
    return best;
}

std::string unknown_key(std::string_view key, const fields& known) {
    std::vector<std::string> allowed;
    for (const auto& f : known) allowed.push_back(f.key);
    std::string out = "unknown key";
    if (const auto meant = nearest(key, known)) out += ", did you mean " + in_quotes(*meant) + "?";
    return out + " (allowed here: " + listed(allowed, ", ") + ")";
}

} // namespace

void fault_list::add(const toml::source_region& at, std::string_view key, std::string_view text) {
    std::ostringstream out;
    out << file << ':' << at.begin.line << ':' << at.begin.column << ": " << key << ": " << text;
    lines.push_back(out.str());
}

void read_table(const toml::table& from, const fields& known, const std::string& path, fault_list& faults) {
    for (const auto& [key, node] : from) {
        const auto full = joined(path, std::string(key.str()));
        const auto found =
            std::find_if(known.begin(), known.end(), [&key = key](const field& f) { return f.key == key.str(); });
        if (found != known.end())
            found->read(node, full, faults);
        else
            faults.add(key.source(), full, unknown_key(key.str(), known));
    }
}

void show_fields(const fields& all, const std::string& path, std::vector<std::string>& out) {
    for (const auto& f : all) f.show(joined(path, f.key), out);
}

void list_keys(const fields& all, const std::string& path, std::vector<std::string>& out) {
    for (const auto& f : all) {
        if (f.inner.empty())
            out.push_back(joined(path, f.key));
        else
            list_keys(f.inner, joined(path, f.key), out);
    }
}

field integer_field(std::string key, std::int64_t min, std::int64_t max, std::function<std::int64_t()> get,
                    std::function<void(std::int64_t)> set) {
    field out{std::move(key), {}, {}, {}};
    out.read = [min, max, set](const toml::node& node, const std::string& path, fault_list& faults) {
        const auto value = node.value_exact<std::int64_t>();
        if (value && *value >= min && *value <= max) return set(*value);
        faults.add(node, path,
                   "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max) + ", not " +
                       in_words(node));
    };
    out.show = [get](const std::string& path, std::vector<std::string>& lines) {
        lines.push_back(path + " = " + std::to_string(get()));
    };
    return out;
}

field boolean(std::string key, bool& target) {
    field out{std::move(key), {}, {}, {}};
    out.read = [&target](const toml::node& node, const std::string& path, fault_list& faults) {
        if (const auto value = node.value_exact<bool>())
            target = *value;
        else
            faults.add(node, path, "must be true or false, not " + in_words(node));
    };
    out.show = [&target](const std::string& path, std::vector<std::string>& lines) {
        lines.push_back(path + (target ? " = true" : " = false"));
    };
    return out;
}

field text(std::string key, std::string& target) {
    field out{std::move(key), {}, {}, {}};
    out.read = [&target](const toml::node& node, const std::string& path, fault_list& faults) {
        if (const auto value = node.value_exact<std::string>())
            target = *value;
        else
            faults.add(node, path, "must be a text in quotes, not " + in_words(node));
    };
    out.show = [&target](const std::string& path, std::vector<std::string>& lines) {
        lines.push_back(path + " = " + in_quotes(target));
    };
    return out;
}

field texts(std::string key, std::vector<std::string>& target, bool (*valid)(std::string_view), std::string allowed) {
    field out{std::move(key), {}, {}, {}};
    out.read = [&target, valid, allowed](const toml::node& node, const std::string& path, fault_list& faults) {
        const auto* list = node.as_array();
        if (!list) return faults.add(node, path, "must be a list in [ ], of " + allowed + ", not " + in_words(node));
        target.clear();
        for (const auto& item : *list) {
            const auto value = item.value_exact<std::string>();
            if (value && valid(*value))
                target.push_back(*value);
            else
                faults.add(item, path, "must be " + allowed + ", not " + in_words(item));
        }
    };
    out.show = [&target](const std::string& path, std::vector<std::string>& lines) {
        std::vector<std::string> items;
        for (const auto& item : target) items.push_back(in_quotes(item));
        lines.push_back(path + " = [" + listed(items, ", ") + "]");
    };
    return out;
}

field path_text(std::string key, std::filesystem::path& target, bool may_be_empty) {
    field out{std::move(key), {}, {}, {}};
    out.read = [&target, may_be_empty](const toml::node& node, const std::string& path, fault_list& faults) {
        const auto value = node.value_exact<std::string>();
        if (value && (may_be_empty || !value->empty()))
            target = *value;
        else
            faults.add(node, path, "must be a path in quotes, not " + in_words(node));
    };
    out.show = [&target](const std::string& path, std::vector<std::string>& lines) {
        lines.push_back(path + " = " + in_quotes(target.string()));
    };
    return out;
}

field url(std::string key, endpoint& target, std::span<const std::string_view> schemes) {
    field out{std::move(key), {}, {}, {}};
    out.read = [&target, schemes](const toml::node& node, const std::string& path, fault_list& faults) {
        const auto value = node.value_exact<std::string>();
        const auto parsed = value ? parse_endpoint(*value, schemes) : std::nullopt;
        if (parsed) {
            target = *parsed;
            return;
        }
        faults.add(node, path, "must be " + endpoint_forms(schemes) + ", not " + in_words(node));
    };
    out.show = [&target](const std::string& path, std::vector<std::string>& lines) {
        lines.push_back(path + " = " + in_quotes(to_string(target)));
    };
    return out;
}

field file_mode(std::string key, unsigned& target) {
    constexpr unsigned mode_max = 0777;
    field out{std::move(key), {}, {}, {}};
    out.read = [&target](const toml::node& node, const std::string& path, fault_list& faults) {
        const auto value = node.value_exact<std::string>().value_or("");
        unsigned mode = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mode, 8);
        if (error == std::errc{} && end == value.data() + value.size() && mode <= mode_max)
            target = mode;
        else
            faults.add(node, path, "must be octal rights in quotes, as for chmod: \"0660\", not " + in_words(node));
    };
    out.show = [&target](const std::string& path, std::vector<std::string>& lines) {
        std::ostringstream digits;
        digits << std::oct << std::setw(4) << std::setfill('0') << target;
        lines.push_back(path + " = " + in_quotes(digits.str()));
    };
    return out;
}

field word_field(std::string key, std::vector<std::string> words, std::function<std::size_t()> get,
                 std::function<void(std::size_t)> set) {
    field out{std::move(key), {}, {}, {}};
    out.read = [words, set](const toml::node& node, const std::string& path, fault_list& faults) {
        const auto found = std::find(words.begin(), words.end(), node.value_exact<std::string>().value_or(""));
        if (found != words.end()) return set(static_cast<std::size_t>(found - words.begin()));
        std::vector<std::string> choices;
        for (const auto& w : words) choices.push_back(in_quotes(w));
        faults.add(node, path, "must be one of " + listed(choices, ", ") + ", not " + in_words(node));
    };
    out.show = [words, get](const std::string& path, std::vector<std::string>& lines) {
        lines.push_back(path + " = " + in_quotes(words[get()]));
    };
    return out;
}

field table(std::string key, fields inner) {
    field out{key, {}, {}, inner};
    out.read = [inner, key](const toml::node& node, const std::string& path, fault_list& faults) {
        if (const auto* t = node.as_table())
            read_table(*t, inner, path, faults);
        else
            faults.add(node, path, "must be a table, written [" + path + "]");
    };
    out.show = [inner](const std::string& path, std::vector<std::string>& lines) { show_fields(inner, path, lines); };
    return out;
}

} // namespace fb::app
