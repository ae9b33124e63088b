#include "certs/issued_index.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>

#include "certs/pem_files.hpp"

namespace fb::certs {

namespace fs = std::filesystem;

namespace {

struct field {
    std::string_view name;
    std::string issued::*value;
};

constexpr field fields[] = {
    {"serial", &issued::serial},
    {"kind", &issued::kind},
    {"name", &issued::name},
    {"not_after", &issued::not_after},
    {"fingerprint", &issued::fingerprint},
};

fs::path index_of(const fs::path& authority) { return authority / "issued.jsonl"; }

std::string to_line(const issued& entry) {
    std::string line;
    for (const auto& [name, value] : fields) {
        line += line.empty() ? "{\"" : ",\"";
        line.append(name).append("\":\"").append(entry.*value).append("\"");
    }
    return line + "}";
}

std::optional<issued> from_line(std::string_view line) {
    issued entry;
    std::string_view before = "{\"";
    for (const auto& [name, value] : fields) {
        for (const std::string_view expected : {before, name, std::string_view("\":\"")}) {
            if (!line.starts_with(expected)) return std::nullopt;
            line.remove_prefix(expected.size());
        }
        const auto end = line.find('"');
        if (end == line.npos) return std::nullopt;
        entry.*value = line.substr(0, end);
        line.remove_prefix(end + 1);
        before = ",\"";
    }
    return line == "}" ? std::optional(std::move(entry)) : std::nullopt;
}

} // namespace

void append_issued(const fs::path& authority, const issued& entry) { append_line(index_of(authority), to_line(entry)); }

std::vector<issued> read_issued(const fs::path& authority) {
    std::error_code error;
    if (!fs::exists(index_of(authority), error) && !error) return {}; // a CA that has issued nothing yet
    std::ifstream file(index_of(authority));
    if (!file) throw failure(index_of(authority).string() + ": cannot read: " + std::strerror(errno));
    std::vector<issued> entries;
    for (std::string line; std::getline(file, line);)
        if (auto entry = from_line(line)) entries.push_back(std::move(*entry));
    return entries;
}

void retire_index(const fs::path& authority) {
    std::error_code error;
    fs::rename(index_of(authority), index_of(authority).string() + ".old", error);
    if (error && error != std::errc::no_such_file_or_directory)
        throw failure(index_of(authority).string() + ": cannot put it aside: " + error.message());
}

} // namespace fb::certs
