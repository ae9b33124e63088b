#include "http/message.hpp"

#include <algorithm>
#include <cctype>

namespace fb::http {

namespace {

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

void add(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
}

bool has(const response& r, std::string_view name) {
    return std::any_of(r.headers.begin(), r.headers.end(), [&](const auto& h) { return same_name(h.first, name); });
}

} // namespace

std::string_view request::header(std::string_view name) const {
    for (const auto& [key, value] : headers)
        if (same_name(key, name)) return value;
    return {};
}

response json_response(int status, std::string body) {
    response r;
    r.status = status;
    r.headers = {{"Content-Type", "application/json"}};
    r.body = std::move(body);
    return r;
}

response no_content() {
    response r;
    r.status = 204;
    return r;
}

response problem_response(const problem& p) {
    response r;
    r.status = p.status;
    r.headers = p.headers;
    r.headers.emplace_back("Content-Type", "application/problem+json");
    r.body = to_json(p);
    return r;
}

std::string head_of(const response& r, const head_context& context) {
    std::string out = "HTTP/1.1 " + std::to_string(r.status) + " " + reason_phrase(r.status) + "\r\n";
    add(out, "Server", context.server);
    for (const auto& [name, value] : r.headers) add(out, name, value);
    if (r.content_length || (!r.source && r.status != 304 && r.status != 204))
        add(out, "Content-Length", std::to_string(r.content_length.value_or(static_cast<std::int64_t>(r.body.size()))));
    add(out, "X-Content-Type-Options", "nosniff");
    if (context.api && !has(r, "Cache-Control")) add(out, "Cache-Control", "no-store");
    if (context.secure) add(out, "Strict-Transport-Security", "max-age=31536000");
    if (!context.keep_alive)
        add(out, "Connection", "close");
    else if (context.http_1_0)
        add(out, "Connection", "keep-alive");
    return out + "\r\n";
}

} // namespace fb::http
