#include "http/peer_file.hpp"

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <array>
#include <charconv>

#include "certs/digest.hpp"
#include "certs/error.hpp"
#include "certs/outgoing.hpp"
#include "http/handlers.hpp"
#include "http/range.hpp"

namespace fb::http {

namespace {

namespace beast = boost::beast;

constexpr std::size_t piece_bytes = 64 * 1024;

struct address {
    bool tls = true;
    std::string host;
    std::uint16_t port = 0;
};

/// "https://host:port", as public_url is written.
std::optional<address> parse_address(std::string_view url) {
    address out;
    out.tls = url.starts_with("https://");
    if (!out.tls && !url.starts_with("http://")) return std::nullopt;
    url.remove_prefix(out.tls ? 8 : 7);
    url = url.substr(0, url.find('/'));
    const bool bracket = url.starts_with('[');
    const auto end = bracket ? url.find(']') : url.find(':');
    if (bracket && end == std::string_view::npos) return std::nullopt;
    out.host = url.substr(bracket ? 1 : 0, end == std::string_view::npos ? end : end - (bracket ? 1 : 0));
    const auto rest = end == std::string_view::npos ? "" : url.substr(end + (bracket ? 1 : 0));
    out.port = out.tls ? 443 : 80;
    if (!rest.empty()) {
        const auto [stop, fault] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), out.port);
        if (fault != std::errc{} || stop != rest.data() + rest.size()) return std::nullopt;
    }
    return out.host.empty() ? std::nullopt : std::optional(out);
}

std::string request_text(const peer_request& r, const address& to) {
    std::string out = "GET /peer/v1/files/" + r.sha256_hex + " HTTP/1.1\r\nHost: " + to.host +
                      "\r\nConnection: close\r\nAuthorization: " + peer_authorization(r.key, r.sha256_hex) + "\r\n";
    if (r.from > 0) out += "Range: bytes=" + std::to_string(r.from) + "-\r\n";
    return out + "\r\n";
}

/// Feeds a parser from the connection. Bytes it could not use yet stay.
class answer_reader {
  public:
    explicit answer_reader(certs::outgoing& from)
        : from_(from) {}

    /// False: cut, or not HTTP.
    template <class Parser>
    bool more(Parser& parser) {
        beast::error_code fault;
        if (unused_ > 0) {
            const auto used = parser.put(boost::asio::buffer(bytes_.data(), unused_), fault);
            drop(used);
            if (fault && fault != beast::http::error::need_more && fault != beast::http::error::need_buffer)
                return false;
            if (used > 0) return true;
        }
        if (unused_ == bytes_.size()) return false; // a header without end
        const auto got = from_.read(std::span(bytes_).subspan(unused_));
        if (!got) return false;
        if (*got == 0) {
            parser.put_eof(fault);
            return !fault && parser.is_done();
        }
        unused_ += *got;
        return true;
    }

  private:
    void drop(std::size_t used) {
        unused_ -= used;
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(used), unused_, bytes_.begin());
    }
    certs::outgoing& from_;
    std::array<char, piece_bytes> bytes_{};
    std::size_t unused_ = 0;
};

std::string receive(certs::outgoing& from, const peer_request& r, const std::function<bool(std::string_view)>& take) {
    beast::http::response_parser<beast::http::buffer_body> parser;
    parser.header_limit(16 * 1024);
    parser.body_limit(static_cast<std::uint64_t>(r.bytes_max));
    auto reader = std::make_unique<answer_reader>(from);
    while (!parser.is_header_done())
        if (!reader->more(parser)) return r.url + ": no answer, or not one in HTTP";
    const auto status = parser.get().result_int();
    if (status == 404) return r.url + ": does not have the file";
    if (status != (r.from > 0 ? 206u : 200u)) return r.url + ": answers " + std::to_string(status);
    std::string block(piece_bytes, '\0');
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = block.data();
        body.size = block.size();
        const bool more = reader->more(parser);
        const std::size_t filled = block.size() - body.size;
        if (filled > 0 && !take(std::string_view(block).substr(0, filled))) return "it could not be written";
        if (!more && !parser.is_done()) return r.url + ": the connection was cut";
    }
    return "";
}

} // namespace

std::string peer_authorization(std::string_view key, std::string_view sha256_hex) {
    return "Bearer " + certs::base64url(certs::hmac_sha256(key, "peer file v1\n" + std::string(sha256_hex)));
}

std::string fetch_from_peer(const peer_request& r, const std::function<bool(std::string_view)>& take) {
    const auto to = parse_address(r.url);
    if (!to) return r.url + ": not an address of a gateway";
    try {
        certs::outgoing connection(to->host, to->port, {to->tls, r.ca});
        if (!connection.write(request_text(r, *to))) return r.url + ": the connection was cut";
        return receive(connection, r, take);
    } catch (const certs::failure& why) {
        return why.what();
    }
}

// ------------------------------------------------------------------------------------------------ serving

namespace {

class plain_source final : public body_source {
  public:
    plain_source(context& ctx, storage::blob_reader blob, byte_range range)
        : ctx_(ctx)
        , blob_(std::move(blob))
        , at_(range.first)
        , end_(range.end)
        , block_(piece_bytes, '\0') {}

    task<std::optional<std::string_view>> next() override {
        const auto wanted = std::min<std::size_t>(block_.size(), static_cast<std::size_t>(end_ - at_));
        if (wanted == 0) co_return std::string_view{};
        auto job = ctx_.on_pool(
            [this, wanted](storage::fota_reader&) { return blob_.read(at_, std::span(block_.data(), wanted)); });
        const auto got = co_await std::move(job);
        if (!got || *got != wanted) co_return std::nullopt;
        at_ += static_cast<std::int64_t>(wanted);
        co_return std::string_view(block_.data(), wanted);
    }

  private:
    context& ctx_;
    storage::blob_reader blob_;
    std::int64_t at_, end_;
    std::string block_;
};

} // namespace

task<response> serve_peer_file(context& ctx, request& r) {
    const std::string& sha256 = r.parameters[0];
    const std::string right = peer_authorization(ctx.config.peer_key, sha256);
    if (ctx.config.peer_key.empty() || !certs::equal_constant_time(right, r.header("authorization")))
        co_return problem_response(unauthorized("this is for gateways on the same database"));
    auto job = ctx.on_pool([&blobs = ctx.blobs, sha256](storage::fota_reader&) { return blobs.open_blob(sha256); });
    auto blob = co_await std::move(job);
    if (!blob) co_return problem_response({404, "unknown_file", "this gateway does not have the file"});
    const auto range = parse_range(r.method == "GET" ? r.header("range") : std::string_view{}, blob->size());
    if (range.what == byte_range::kind::unsatisfiable)
        co_return problem_response({416, "range_not_satisfiable", "the file is shorter"});
    response out;
    out.headers = {{"Content-Type", "application/octet-stream"}};
    if (range.what == byte_range::kind::part) {
        out.status = 206;
        out.headers.emplace_back("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                                      std::to_string(range.end - 1) + "/" +
                                                      std::to_string(blob->size()));
    }
    out.content_length = range.end - range.first;
    if (r.method == "HEAD") co_return out;
    ++ctx.count.downloads;
    out.source = std::make_unique<plain_source>(ctx, std::move(*blob), range);
    co_return out;
}

} // namespace fb::http
