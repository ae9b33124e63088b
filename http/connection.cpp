#include "http/connection.hpp"

#include <algorithm>
#include <array>

#include <boost/beast/http/read.hpp>
#include <spdlog/spdlog.h>

#include "certs/identity.hpp"
#include "http/dispatch.hpp"

namespace fb::http {

namespace beast_http = boost::beast::http;

namespace {

constexpr std::size_t header_bytes_max = 16 * 1024;
constexpr std::size_t buffer_bytes_max = 64 * 1024;
constexpr std::size_t idle_buffer_bytes_max = 4 * 1024;
constexpr std::chrono::seconds handshake_time{10};
constexpr std::chrono::seconds goodbye_time{2};
constexpr std::chrono::seconds slow_window{30};
constexpr std::chrono::seconds drain_time{5};
constexpr std::uint64_t drain_bytes_max = 32ull << 20;

/// The peer's message is at fault, not its connection.
bool is_malformed(const error_code& error) {
    return error.category() == make_error_code(beast_http::error::bad_method).category() &&
           error != beast_http::error::end_of_stream && error != beast_http::error::partial_message;
}

problem describe(const error_code& error) {
    if (error == beast_http::error::header_limit || error == beast_http::error::buffer_overflow)
        return {431, "header_too_long", "the request's header is longer than 16384 bytes"};
    return {400, "malformed_request", "this is not a valid HTTP/1.1 request: " + error.message()};
}

bool is_chunked_only(std::string_view encoding) {
    constexpr std::string_view chunked = "chunked";
    return std::equal(encoding.begin(), encoding.end(), chunked.begin(), chunked.end(),
                      [](char a, char b) { return (a | 0x20) == b; });
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

} // namespace

connection::connection(context& ctx, const router& table, net::async_stream stream, std::string remote_address)
    : ctx_(ctx)
    , table_(table)
    , stream_(std::move(stream))
    , remote_address_(std::move(remote_address))
    , buffer_(buffer_bytes_max) {}

task<void> connection::serve(std::shared_ptr<connection> self) {
    // Not `while (co_await ...)`: g++ 12 lays out the frame of a loop whose condition awaits wrongly, and crashes.
    bool more = co_await self->begin();
    while (more) more = co_await self->one_request();
    co_await self->end();
}

void connection::check(steady::time_point now) {
    if (now >= deadline_) close();
}

void connection::stop_soon() {
    stopping_ = true;
    if (waiting_for_request_) close();
}

task<bool> connection::begin() {
    patience(handshake_time);
    const auto [error] = co_await stream_.async_handshake(as_values);
    no_deadline();
    if (error) {
        spdlog::debug("http: {}: TLS handshake failed: {}", remote_address_, stream_.error_text());
        close();
        co_return false;
    }
    if (auto* certificate = stream_.secure() ? stream_.tls().peer_certificate() : nullptr)
        if (auto who = certs::identity_of(certificate)) certificate_device_id_ = std::move(who->device_id);
    co_return true;
}

/// Reads a request, answers it. False: the connection is to end.
task<bool> connection::one_request() {
    if (stopping_) co_return false;
    if (buffer_.size() == 0 && buffer_.capacity() > idle_buffer_bytes_max) buffer_.shrink_to_fit();
    parser_.emplace();
    parser_->header_limit(header_bytes_max);
    parser_->body_limit(boost::none); // each route has a limit of its own
    waiting_for_request_ = true;
    patience(ctx_.config.idle_timeout); // for the whole header: dribbling does not help
    const auto [error, bytes] = co_await beast_http::async_read_header(stream_, buffer_, *parser_, as_values);
    waiting_for_request_ = false;
    no_deadline();
    if (is_malformed(error)) co_return co_await refuse(describe(error));
    if (error) co_return false;
    auto r = make_request();
    if (!r) co_return co_await refuse(r.why());
    auto answered = co_await answer(*r);
    spdlog::log(r->method == "GET" || r->method == "HEAD" ? spdlog::level::debug : spdlog::level::info,
                "http: {} {} {} {} {}", remote_address_, r->who ? r->who->name : "-", r->method, r->target.path,
                answered.status);
    if (answered.no_answer) co_return false;
    co_return co_await send(answered, *r);
}

/// A handler that throws (memory is out, say) costs its request, not the server.
task<response> connection::answer(request& r) {
    std::string what;
    try {
        co_return co_await dispatch(ctx_, table_, r);
    } catch (const std::exception& e) {
        what = e.what();
    }
    spdlog::error("http: {} {}: {}", r.method, r.target.path, what);
    co_return problem_response({500, "internal_error", "the request failed unexpectedly; the log says more"});
}

std::optional<problem> connection::refuse_framing() const {
    const auto& head = parser_->get();
    const auto hosts = head.count(beast_http::field::host);
    if (hosts > 1 || (hosts == 0 && head.version() >= 11))
        return problem{400, "malformed_request", "an HTTP/1.1 request has exactly one Host header"};
    if (head.count(beast_http::field::transfer_encoding) > 0 &&
        (!is_chunked_only(view(head[beast_http::field::transfer_encoding])) || head.version() < 11))
        return problem{400, "malformed_request", "the only transfer coding understood is chunked, in HTTP/1.1"};
    return std::nullopt;
}

or_problem<request> connection::make_request() {
    if (auto refused = refuse_framing()) return std::move(*refused);
    const auto& head = parser_->get();
    auto parsed = parse_target(view(head.target()));
    if (!parsed) return std::move(parsed.why());
    request r;
    r.method = view(head.method_string());
    r.target = std::move(*parsed);
    for (const auto& field : head) r.headers.emplace_back(view(field.name_string()), view(field.value()));
    r.remote_address = remote_address_;
    r.certificate_device_id = certificate_device_id_;
    r.chunked = parser_->chunked();
    if (const auto length = parser_->content_length()) r.content_length = *length;
    r.body = this;
    wants_continue_ = head.version() >= 11 && boost::beast::iequals(head[beast_http::field::expect], "100-continue");
    slow_bytes_ = 0;
    slow_waited_ = {};
    return r;
}

/// Whether the peer has kept its body below the least rate for a whole window. Only waiting counts: a slow disk of ours
/// is not the peer's fault.
bool connection::too_slow(std::size_t bytes, steady::duration waited) {
    slow_bytes_ += bytes;
    slow_waited_ += waited;
    if (slow_waited_ < slow_window) return false;
    const auto least = ctx_.config.upload_bytes_per_second_min * static_cast<std::uint64_t>(slow_window.count());
    const bool slow = slow_bytes_ < least;
    slow_bytes_ = 0;
    slow_waited_ = {};
    return slow;
}

task<body_stream::piece> connection::read(std::span<char> into) {
    if (std::exchange(wants_continue_, false) && buffer_.size() == 0) {
        if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n")) co_return piece{status::broken};
    }
    while (!parser_->is_done()) {
        auto& body = parser_->get().body();
        body.data = into.data();
        body.size = into.size();
        body.more = true;
        patience(ctx_.config.idle_timeout);
        const auto begun = steady::now();
        const auto [error, bytes] = co_await beast_http::async_read_some(stream_, buffer_, *parser_, as_values);
        no_deadline();
        const auto got = into.size() - body.size;
        ctx_.count.bytes_in += got;
        if (error && error != beast_http::error::need_buffer)
            co_return piece{is_malformed(error) ? status::malformed : status::broken};
        if (too_slow(got, steady::now() - begun)) {
            spdlog::info("http: {}: the body came too slowly; closed", remote_address_);
            close();
            co_return piece{status::broken};
        }
        if (got > 0) co_return piece{status::data, got};
    }
    co_return piece{status::end};
}

task<bool> connection::write(std::string_view bytes) {
    while (!bytes.empty()) {
        patience(ctx_.config.idle_timeout); // a reader that takes nothing for so long is cut
        const auto buffer = asio::buffer(bytes.data(), bytes.size());
        const auto [error, written] = co_await stream_.async_write_some(buffer, as_values);
        no_deadline();
        if (error) co_return false;
        bytes.remove_prefix(written);
    }
    co_return true;
}

/// For requests that have no proper head: the answer, then the end.
task<bool> connection::refuse(const problem& p) {
    auto r = problem_response(p);
    ++ctx_.count.answers[static_cast<std::size_t>(r.status / 100)];
    const auto server = "fotabroker/" + ctx_.config.version;
    const auto text = head_of(r, {server, stream_.secure(), true, false, false}) + r.body;
    co_await write(text);
    co_return false;
}

task<bool> connection::send(response& r, const request& to) {
    ++ctx_.count.answers[static_cast<std::size_t>(r.status / 100)];
    const bool ends_with_connection = r.source && !r.content_length;
    const bool body_read = parser_->is_done();
    const bool keep = parser_->keep_alive() && body_read && !stopping_ && !ends_with_connection;
    const auto server = "fotabroker/" + ctx_.config.version;
    const head_context head{server, stream_.secure(), to.target.path.starts_with("/api/"), keep,
                            parser_->get().version() < 11};
    auto text = head_of(r, head);
    if (to.method != "HEAD" && !r.source) {
        text += r.body;
        ctx_.count.bytes_out += r.body.size();
    }
    if (!co_await write(text)) co_return false;
    if (r.source && !co_await send_source(*r.source)) co_return false;
    if (!body_read) co_await drain();
    co_return keep;
}

task<bool> connection::send_source(body_source& source) {
    while (true) {
        const auto block = co_await source.next();
        if (!block) {
            close();
            co_return false;
        }
        if (block->empty()) co_return true;
        if (!co_await write(*block)) co_return false;
        ctx_.count.bytes_out += block->size();
    }
}

/// A client that is still sending when the refusal comes reads it only when it has sent all: within reason, let it.
task<void> connection::drain() {
    if (wants_continue_) co_return; // it waits, and now knows not to send
    const auto until = steady::now() + drain_time;
    std::array<char, 8192> ignored;
    std::uint64_t bytes = 0;
    while (bytes < drain_bytes_max && steady::now() < until) {
        const auto got = co_await read(ignored);
        if (got.what != status::data) co_return;
        bytes += got.bytes;
    }
}

task<void> connection::end() {
    patience(goodbye_time);
    co_await stream_.async_shutdown(as_values);
    no_deadline();
    close();
}

} // namespace fb::http
