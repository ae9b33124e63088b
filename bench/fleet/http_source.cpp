#include "bench/fleet/http_source.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>

#include "bench/fleet/mqtt_client.hpp"

namespace fb::fleet {
namespace {

constexpr unsigned failures_max = 20;
constexpr std::chrono::seconds answer_wait_max{30};

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::optional<std::uint64_t> leading_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} ? std::optional(value) : std::nullopt;
}

void parse_field(std::string_view line, http_head& out) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    constexpr std::string_view bytes_unit = "bytes ";
    if (same_name(name, "Content-Length")) out.content_bytes = leading_number(value);
    if (same_name(name, "Content-Range") && value.starts_with(bytes_unit))
        out.range_start = leading_number(value.substr(bytes_unit.size()));
    if (same_name(name, "ETag")) out.etag = value;
}

std::string host_field(const url& where) {
    const bool v6 = where.host.find(':') != std::string::npos;
    return (v6 ? '[' + where.host + ']' : where.host) + ':' + std::to_string(where.port);
}

} // namespace

std::optional<http_head> parse_http_head(std::string_view head) {
    constexpr std::string_view version = "HTTP/1.";
    auto line_end = head.find("\r\n");
    const auto first = head.substr(0, line_end);
    if (!first.starts_with(version) || first.size() < version.size() + 5) return std::nullopt;
    const auto status = leading_number(first.substr(version.size() + 2));
    if (!status || *status < 100 || *status > 599) return std::nullopt;
    http_head out;
    out.status = static_cast<int>(*status);
    while (line_end != std::string_view::npos) {
        head.remove_prefix(line_end + 2);
        line_end = head.find("\r\n");
        parse_field(head.substr(0, line_end), out);
    }
    return out;
}

http_source::http_source(loop& l, options o, image_events& events)
    : loop_(l)
    , options_(o)
    , events_(events)
    , throttle_(o.bytes_per_second)
    , stream_(l, *this) {
    if (throttle_.limits()) // ten sips a second
        stream_.set_read_bytes_max(std::clamp<std::uint64_t>(o.bytes_per_second / 10, 256, 64 * 1024));
}

void http_source::start(const update_command& update, std::uint64_t offset) {
    stop();
    const auto where = parse_url(update.url);
    wanted_ = true;
    failures_ = 0;
    offset_ = offset;
    etag_.clear();
    if (!where || (where->scheme != "https" && where->scheme != "http"))
        return fail("bad_url", "the URL is not one of HTTP");
    url_ = *where;
    request();
}

void http_source::stop() {
    wanted_ = false;
    loop_.cancel(timer_);
    stream_.close();
}

void http_source::cut() {
    stream_.close();
    try_again("cut on purpose");
}

void http_source::request() {
    head_.clear();
    body_left_.reset();
    socket_address server;
    try {
        server = resolve(url_);
    } catch (const std::runtime_error& e) {
        return try_again(e.what());
    }
    tls_choice tls;
    if (url_.secure()) tls = {options_.tls, url_.host, options_.credentials, nullptr};
    if (url_.secure() && options_.tls == nullptr) return fail("no_ca", "https needs --ca");
    stream_.open(server, tls);
    timer_ = loop_.after(answer_wait_max, [this] { cut(); });
}

void http_source::try_again(const std::string& why) {
    loop_.cancel(timer_);
    if (!wanted_) return;
    if (++failures_ > failures_max) return fail("download_failed", why);
    timer_ = loop_.after(reconnect_delay(failures_ - 1, random_), [this] { request(); });
}

void http_source::fail(const std::string& code, const std::string& message) {
    // Told from the loop, so that start() never calls back into its caller.
    loop_.cancel(timer_);
    stream_.close();
    timer_ = loop_.after({}, [this, code, message] {
        if (std::exchange(wanted_, false)) events_.on_image_failed(code, message);
    });
}

void http_source::on_open() {
    std::string get = "GET " + url_.target + " HTTP/1.1\r\nHost: " + host_field(url_) +
                      "\r\nAccept-Encoding: identity\r\nConnection: close\r\n";
    if (offset_ > 0) {
        get += "Range: bytes=" + std::to_string(offset_) + "-\r\n";
        if (!etag_.empty()) get += "If-Range: " + etag_ + "\r\n";
    }
    stream_.send(get + "\r\n");
}

void http_source::on_closed(const std::string& why) { try_again(why); }

void http_source::on_bytes(std::string_view bytes) {
    loop_.cancel(timer_);
    timer_ = loop_.after(answer_wait_max, [this] { cut(); });
    if (!body_left_) bytes = take_head(bytes);
    if (body_left_ && !stream_.is_closed()) on_body(bytes);
}

/// Gathers the head; returns what follows it.
std::string_view http_source::take_head(std::string_view bytes) {
    const auto before = head_.size();
    head_.append(bytes);
    const auto end = head_.find("\r\n\r\n");
    if (end == std::string::npos) {
        if (head_.size() > http_head_bytes_max) fail("bad_response", "the response's head is too long");
        return {};
    }
    const auto head = parse_http_head(std::string_view(head_).substr(0, end));
    if (!head)
        fail("bad_response", "not an HTTP response");
    else
        on_head(*head);
    return bytes.substr(end + 4 - before);
}

void http_source::on_head(const http_head& head) {
    if (head.status >= 500 || head.status == 429) {
        stream_.close();
        return try_again("HTTP status " + std::to_string(head.status));
    }
    if (head.status == 416 && offset_ > 0) { // what we hold is no beginning of this image
        offset_ = 0;
        events_.on_image_restarts();
        stream_.close();
        return try_again("range refused");
    }
    if (head.status != 200 && head.status != 206)
        return fail("http_" + std::to_string(head.status), "the server answered " + std::to_string(head.status));
    if (!head.content_bytes) return fail("bad_response", "no Content-Length");
    if (head.status == 206 && head.range_start != offset_) return fail("bad_response", "another range than asked for");
    if (head.status == 200 && offset_ > 0) {
        offset_ = 0;
        events_.on_image_restarts();
    }
    if (*head.content_bytes > image_bytes_max) return fail("bad_response", "the image is too large");
    etag_ = head.etag;
    body_left_ = *head.content_bytes;
    events_.on_image_size(offset_ + *head.content_bytes);
}

void http_source::on_body(std::string_view bytes) {
    bytes = bytes.substr(0, *body_left_);
    if (!bytes.empty()) {
        failures_ = 0;
        offset_ += bytes.size();
        *body_left_ -= bytes.size();
        events_.on_image_bytes(bytes);
        if (!wanted_ || stream_.is_closed()) return; // cut or canceled by what the bytes brought about
    }
    if (*body_left_ == 0) {
        stop();
        return events_.on_image_end();
    }
    if (throttle_.limits()) {
        stream_.pause_reading(true);
        loop_.cancel(timer_);
        timer_ = loop_.after(throttle_.pause_after(bytes.size()), [this] {
            timer_ = loop_.after(answer_wait_max, [this] { cut(); });
            stream_.pause_reading(false);
        });
    }
}

} // namespace fb::fleet
