// Downloads an image with HTTP/1.1: one GET, resumed with Range after a cut, until every byte is here.
//
// The header parser is sans-I/O and bounded; a body must have a Content-Length. Failures that may pass (a cut, 5xx,
// 429) are tried again with backoff, the others end the download.
#pragma once

#include <optional>
#include <random>

#include "bench/fleet/image_source.hpp"
#include "bench/fleet/stream.hpp"

namespace fb::fleet {

struct http_head {
    int status = 0;
    std::optional<std::uint64_t> content_bytes;
    std::optional<std::uint64_t> range_start; // of Content-Range
    std::string etag;
};

inline constexpr std::size_t http_head_bytes_max = 16 * 1024;

/// A response's head, without the empty line that ends it. Nothing when it is not HTTP/1.x.
std::optional<http_head> parse_http_head(std::string_view head);

class http_source final : public image_source, stream_events {
  public:
    struct options {
        const tls_client* tls = nullptr; // for https; the server is verified by the same CA as the broker
        const tls_credentials* credentials = nullptr;
        std::uint64_t bytes_per_second = 0;
    };

    http_source(loop& l, options o, image_events& events);
    ~http_source() override { stop(); }

    void start(const update_command& update, std::uint64_t offset) override;
    void stop() override;
    void cut() override;

  private:
    void request();
    void try_again(const std::string& why);
    void fail(const std::string& code, const std::string& message);

    void on_open() override;
    void on_bytes(std::string_view bytes) override;
    void on_closed(const std::string& why) override;
    std::string_view take_head(std::string_view bytes);
    void on_head(const http_head& head);
    void on_body(std::string_view bytes);

    loop& loop_;
    options options_;
    image_events& events_;
    byte_throttle throttle_;
    stream stream_;
    bool wanted_ = false;
    url url_;
    std::uint64_t offset_ = 0;
    std::string etag_;
    std::string head_;                       // of the response, as far as it has come
    std::optional<std::uint64_t> body_left_; // set once the head is complete
    unsigned failures_ = 0;                  // since the last byte
    loop::timer_id timer_ = 0;
    std::minstd_rand random_{std::random_device{}()};
};

} // namespace fb::fleet
