#include "broker/net/websocket_upgrade.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <sstream>

#include "certs/digest.hpp"
#include "proto/rule.hpp"

namespace fb::net {
namespace {

namespace http = boost::beast::http;
using request = http::request_parser<http::empty_body>::value_type;
using response = http::response<http::string_body>;

constexpr std::string_view end_of_header = "\r\n\r\n";
constexpr std::string_view accept_suffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3
constexpr std::size_t key_bytes = 16;

struct refusal {
    http::status status{};
    std::string why;
};

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::string as_text(const response& r) {
    std::ostringstream out;
    out << r;
    return out.str();
}

upgrade_answer refuse(const refusal& r) {
    response out{r.status, 11};
    out.set(http::field::content_type, "text/plain");
    out.set(http::field::connection, "close");
    if (r.status == http::status::upgrade_required) {
        out.set(http::field::upgrade, "websocket");
        out.set(http::field::sec_websocket_version, "13");
    }
    if (r.status == http::status::method_not_allowed) out.set(http::field::allow, "GET");
    out.body() = r.why + "\n";
    out.prepare_payload();
    return {as_text(out), r.why};
}

/// In all fields of that name.
bool lists(const request& r, http::field name, boost::beast::string_view token) {
    const auto [begin, end] = r.equal_range(name);
    return std::any_of(begin, end, [token](const auto& f) { return http::token_list{f.value()}.exists(token); });
}

bool valid_key(std::string_view key) {
    const auto bytes = certs::from_base64(key);
    return bytes && bytes->size() == key_bytes;
}

std::optional<refusal> wrong_address(const request& r, const websocket_settings& s) {
    const std::string_view target = view(r.target());
    if (target.substr(0, target.find('?')) != s.path) {
        return refusal{http::status::not_found, "MQTT over WebSocket is at " + s.path + "."};
    }
    if (r.method() != http::verb::get) {
        return refusal{http::status::method_not_allowed, "A WebSocket begins with GET."};
    }
    if (s.origins.empty() || r.count(http::field::origin) == 0) return std::nullopt;
    if (std::find(s.origins.begin(), s.origins.end(), view(r[http::field::origin])) != s.origins.end())
        return std::nullopt;
    return refusal{http::status::forbidden, "Pages of this origin may not connect (websocket_origins)."};
}

std::optional<refusal> no_websocket(const request& r) {
    if (r.version() < 11 || !lists(r, http::field::connection, "upgrade") ||
        !lists(r, http::field::upgrade, "websocket")) {
        return refusal{http::status::upgrade_required, "This address speaks MQTT over WebSocket, not plain HTTP."};
    }
    if (r.count(http::field::host) != 1) return refusal{http::status::bad_request, "There must be one Host."};
    if (r.count(http::field::sec_websocket_version) == 0)
        return refusal{http::status::bad_request, "Sec-WebSocket-Version is missing."};
    if (r[http::field::sec_websocket_version] != "13")
        return refusal{http::status::upgrade_required, "Only version 13 of WebSocket is spoken here."};
    if (r.count(http::field::sec_websocket_key) != 1 || !valid_key(view(r[http::field::sec_websocket_key])))
        return refusal{http::status::bad_request, "Sec-WebSocket-Key must be 16 bytes in base64."};
    return std::nullopt;
}

/// Clients of MQTT 3.1 say "mqttv3.1".
const char* subprotocol(const request& r) {
    if (rule<"v5[MQTT-6.0.0-4]", "v311[MQTT-6.0.0-4]">(lists(r, http::field::sec_websocket_protocol, "mqtt")))
        return "mqtt";
    return lists(r, http::field::sec_websocket_protocol, "mqttv3.1") ? "mqttv3.1" : nullptr;
}

std::string accept_of(std::string_view key) {
    std::string text(key);
    text += accept_suffix;
    return certs::base64(certs::sha1(text));
}

upgrade_answer judge(const request& r, const websocket_settings& s) {
    if (const auto no = wrong_address(r, s)) return refuse(*no);
    if (const auto no = no_websocket(r)) return refuse(*no);
    const char* protocol = subprotocol(r);
    if (rule<"v5[MQTT-6.0.0-3]", "v311[MQTT-6.0.0-3]">(protocol == nullptr))
        return refuse({http::status::bad_request, "The sub-protocol \"mqtt\" must be offered."});
    response out{http::status::switching_protocols, 11};
    out.set(http::field::upgrade, "websocket");
    out.set(http::field::connection, "Upgrade");
    out.set(http::field::sec_websocket_accept, accept_of(view(r[http::field::sec_websocket_key])));
    out.set(http::field::sec_websocket_protocol, protocol);
    return {as_text(out), {}};
}

} // namespace

std::optional<upgrade_answer> answer_upgrade(std::string_view bytes, std::size_t seen, const websocket_settings& s) {
    const std::size_t from = seen - std::min(seen, end_of_header.size() - 1);
    const std::size_t end = bytes.find(end_of_header, from);
    if (end == std::string_view::npos) {
        if (bytes.size() >= upgrade_bytes_max)
            return refuse({http::status::request_header_fields_too_large, "The request is larger than 8 KiB."});
        if (!bytes.empty() && (bytes[0] < 'A' || bytes[0] > 'Z'))
            return refuse({http::status::bad_request, "This is no HTTP request."});
        return std::nullopt;
    }
    http::request_parser<http::empty_body> parser;
    parser.header_limit(upgrade_bytes_max);
    boost::beast::error_code error;
    parser.put(boost::asio::buffer(bytes.data(), end + end_of_header.size()), error);
    if (error || !parser.is_header_done()) return refuse({http::status::bad_request, "This is no HTTP request."});
    if (bytes.size() != end + end_of_header.size() || parser.chunked() || parser.content_length().value_or(0) != 0)
        return refuse({http::status::bad_request, "Nothing may follow the request before its answer."});
    return judge(parser.get(), s);
}

} // namespace fb::net
