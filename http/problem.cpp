#include "http/problem.hpp"

#include "http/json.hpp"

namespace fb::http {

std::string to_json(const problem& p) {
    json_text out;
    out.begin_object();
    out.member("type", "urn:fotabroker:problem:" + (p.reason.empty() ? std::string("other") : p.reason));
    out.member("title", reason_phrase(p.status));
    out.member("status", p.status);
    out.member("reason", p.reason);
    out.member("detail", p.detail);
    out.end_object();
    std::string text = out.take();
    if (!p.members.empty()) text.insert(text.size() - 1, "," + p.members);
    return text;
}

problem from_fota(fota::problem p) { return {p.status, std::move(p.reason), std::move(p.detail)}; }

problem from_storage(const storage::error& e) {
    switch (e.kind) {
    case storage::error_kind::conflict: return {409, "conflict", e.text};
    case storage::error_kind::not_found: return {404, "not_found", e.text};
    case storage::error_kind::invalid: return {400, "invalid_value", e.text};
    case storage::error_kind::busy:
    case storage::error_kind::unavailable: return {503, "storage_unavailable", e.text, {{"Retry-After", "2"}}};
    case storage::error_kind::corrupt:
    case storage::error_kind::schema: break;
    }
    return {500, "storage_failed", e.text};
}

const char* reason_phrase(int status) noexcept {
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
    }
}

} // namespace fb::http
