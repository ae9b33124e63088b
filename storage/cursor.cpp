#include "storage/cursor.hpp"

namespace fb::storage {

namespace {

constexpr char separator = '\n'; // in no id and no timestamp
constexpr std::size_t cursor_size_max = 2048;

int digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

std::optional<std::string> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string out;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = digit(hex[i]), low = digit(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out += char(high * 16 + low);
    }
    return out;
}

} // namespace

std::string make_cursor(char list, const std::vector<std::string>& key) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string out(1, list);
    for (const std::string& part : key) {
        for (const char c : part + separator) {
            out += hex[static_cast<unsigned char>(c) >> 4];
            out += hex[static_cast<unsigned char>(c) & 15];
        }
    }
    return out;
}

result<std::vector<std::string>> check_page(const list_query& q, char list, std::size_t columns) {
    if (q.limit < 1 || q.limit > 500) return error{error_kind::invalid, "a list's limit is between 1 and 500"};
    std::vector<std::string> key;
    if (!q.cursor) return key;
    const error unreadable{error_kind::invalid, "this cursor was not given by this list"};
    if (q.cursor->empty() || q.cursor->front() != list || q.cursor->size() > cursor_size_max) return unreadable;
    const auto text = from_hex(std::string_view(*q.cursor).substr(1));
    if (!text) return unreadable;
    for (std::size_t at = 0; at < text->size();) {
        const std::size_t end = text->find(separator, at);
        if (end == std::string::npos) return unreadable;
        key.push_back(text->substr(at, end - at));
        at = end + 1;
    }
    if (key.size() != columns) return unreadable;
    return key;
}

} // namespace fb::storage
