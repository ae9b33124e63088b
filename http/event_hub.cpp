#include "http/event_hub.hpp"

#include "http/json.hpp"

namespace fb::http {

event_hub::subscription::subscription(event_hub& hub, executor where)
    : hub_(hub)
    , over_(hub.closed_)
    , wake_(where) {
    hub_.subscribers_.insert(this);
}

event_hub::subscription::~subscription() { hub_.subscribers_.erase(this); }

task<std::optional<std::string>> event_hub::subscription::next(std::chrono::milliseconds patience) {
    if (queue_.empty() && !over_) {
        wake_.expires_after(patience);
        co_await wake_.async_wait(as_values);
    }
    if (over_) co_return std::nullopt;
    std::string joined;
    for (const auto& event : queue_) joined += event;
    queue_.clear();
    co_return joined;
}

void event_hub::publish(const fota::update_notice& notice) {
    if (subscribers_.empty()) return;
    json_text out;
    out.begin_object();
    out.member("update_id", storage::to_string(notice.update_id));
    out.member("device_id", notice.device_id);
    out.member("state", storage::to_string(notice.state));
    out.member("percent", notice.percent);
    out.end_object();
    const auto event = "event: update\ndata: " + out.take() + "\n\n";
    for (subscription* to : subscribers_) {
        if (to->queue_.size() == queue_max)
            to->over_ = true;
        else
            to->queue_.push_back(event);
        to->wake_.cancel();
    }
}

void event_hub::close() {
    closed_ = true;
    for (subscription* each : subscribers_) {
        each->over_ = true;
        each->wake_.cancel();
    }
}

} // namespace fb::http
