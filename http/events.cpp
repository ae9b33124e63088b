// GET /api/v1/events: server-sent events. A comment every 15 s keeps proxies awake, shows that the client still is
// there, and is the moment at which its token is looked at again.
#include "http/handlers.hpp"

namespace fb::http {

namespace {

constexpr std::chrono::seconds heartbeat{15};

class event_source : public body_source {
  public:
    event_source(context& ctx, const request& r)
        : ctx_(ctx)
        , subscription_(ctx.events, ctx.to.get_executor()) {
        who_.headers.emplace_back("Authorization", std::string(r.header("authorization")));
        who_.remote_address = r.remote_address;
    }

    task<std::optional<std::string_view>> next() override {
        if (!greeted_) {
            greeted_ = true;
            co_return std::string_view(": connected\n\n"); // the client knows that nothing is missed from here on
        }
        auto events = co_await subscription_.next(heartbeat);
        if (!events) co_return std::string_view{};
        text_ = events->empty() ? ": still here\n\n" : std::move(*events);
        if (steady::now() - checked_at_ >= heartbeat) {
            checked_at_ = steady::now();
            who_.who.reset();
            if (co_await authenticate(ctx_, who_)) co_return std::string_view{};
        }
        co_return std::string_view(text_);
    }

  private:
    context& ctx_;
    event_hub::subscription subscription_;
    request who_; // as much of the request as authentication needs
    steady::time_point checked_at_ = steady::now();
    bool greeted_ = false;
    std::string text_;
};

} // namespace

task<response> watch_events(context& ctx, request& r) {
    response answer;
    answer.headers = {{"Content-Type", "text/event-stream"}};
    if (r.method == "HEAD") co_return answer;
    if (ctx.events.full())
        co_return problem_response(
            {503, "too_many_subscribers", "too many clients watch events already", {{"Retry-After", "30"}}});
    answer.source = std::make_unique<event_source>(ctx, r);
    co_return answer;
}

} // namespace fb::http
