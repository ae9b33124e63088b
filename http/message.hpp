// What a handler sees of a request, and what it answers with. Everything here belongs to the HTTP thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/problem.hpp"
#include "http/target.hpp"
#include "http/task.hpp"
#include "http/tokens.hpp"

namespace fb::http {

/// A request's body as it arrives.
class body_stream {
  public:
    enum class status {
        data,     // `bytes` of it, at least one
        end,      // all has been read
        broken,   // the peer is gone, too slow or stopped: nobody is there for an answer
        malformed // the chunked framing is wrong
    };
    struct piece {
        status what = status::end;
        std::size_t bytes = 0;
    };
    virtual ~body_stream() = default;
    /// Sends "100 Continue" first when the client waits for it.
    virtual task<piece> read(std::span<char> into) = 0;
};

/// A response's body, made piece by piece.
class body_source {
  public:
    virtual ~body_source() = default;
    /// Called again once the piece before has been written; valid until then. Empty: the end. Nothing: the connection
    /// is cut, because what was announced cannot be kept.
    virtual task<std::optional<std::string_view>> next() = 0;
};

/// Who asks, by token.
struct caller {
    storage::token_uuid token_id;
    std::string name;
    role rights = role::viewer;
};

struct request {
    std::string method; // HEAD arrives as HEAD
    http::target target;
    header_list headers;
    std::vector<std::string> parameters; // the path's, in the pattern's order
    std::string remote_address;
    std::optional<std::string> certificate_device_id; // a verified client certificate's
    std::optional<std::uint64_t> content_length;      // none: no body or a chunked one
    bool chunked = false;
    std::optional<caller> who;
    body_stream* body = nullptr; // never null in a handler
    std::string body_text;       // of routes that take JSON: read by the dispatcher

    /// Names are compared without case; empty when absent.
    std::string_view header(std::string_view name) const;
    bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

struct response {
    int status = 200;
    header_list headers;
    std::string body;
    std::unique_ptr<body_source> source; // instead of `body`
    std::optional<std::int64_t>
        content_length;     // with `source`, or for HEAD; a source without it ends with the connection
    bool no_answer = false; // the peer is gone
};

response json_response(int status, std::string body);
response no_content();
response problem_response(const problem& p);

/// What every answer says besides: Server, nosniff, HSTS over TLS, no-store below /api.
struct head_context {
    std::string_view server;
    bool secure = false;
    bool api = false;
    bool keep_alive = true;
    bool http_1_0 = false;
};
std::string head_of(const response& r, const head_context& context);

} // namespace fb::http
