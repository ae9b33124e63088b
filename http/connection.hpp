// One TCP or TLS connection: reads requests one after the other (pipelined ones wait in the buffer), has each answered,
// writes the answer. The only file pair that knows Beast.
//
// HTTP thread only. Owned by its own coroutine, serve(). Invariants:
// 1. One request at a time; an answer sent while its request's body is unread ends the connection.
// 2. Every wait for the peer has a deadline, which check() enforces.
#pragma once

#include <memory>
#include <string>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "broker/net/tls/async_tls_stream.hpp"
#include "http/context.hpp"
#include "http/router.hpp"

namespace fb::http {

class connection : public body_stream {
  public:
    connection(context& ctx, const router& table, net::async_stream stream, std::string remote_address);

    static task<void> serve(std::shared_ptr<connection> self);

    /// Called now and then: closes when the peer has let a deadline pass.
    void check(steady::time_point now);
    /// Ends after the request under way, at once when there is none.
    void stop_soon();
    void close() { stream_.close(); }

    task<piece> read(std::span<char> into) override;

  private:
    using parser = boost::beast::http::request_parser<boost::beast::http::buffer_body>;

    task<bool> begin();
    task<bool> one_request();
    task<response> answer(request& r);
    or_problem<request> make_request();
    std::optional<problem> refuse_framing() const;
    task<bool> refuse(const problem& p);
    task<bool> send(response& r, const request& to);
    task<bool> send_source(body_source& source);
    task<bool> write(std::string_view bytes);
    task<void> drain();
    task<void> end();
    void patience(std::chrono::milliseconds for_peer) { deadline_ = steady::now() + for_peer; }
    void no_deadline() { deadline_ = steady::time_point::max(); }
    bool too_slow(std::size_t bytes, steady::duration waited);

    context& ctx_;
    const router& table_;
    net::async_stream stream_;
    const std::string remote_address_;
    std::optional<std::string> certificate_device_id_;
    boost::beast::flat_buffer buffer_;
    std::optional<parser> parser_;
    steady::time_point deadline_ = steady::time_point::max();
    bool waiting_for_request_ = false;
    bool stopping_ = false;
    bool wants_continue_ = false;
    std::size_t slow_bytes_ = 0; // of the body, within the present window of waiting
    steady::duration slow_waited_{};
};

} // namespace fb::http
