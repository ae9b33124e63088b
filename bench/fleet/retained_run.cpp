#include "bench/fleet/retained_run.hpp"

#include <algorithm>

#include "bench/fleet/message_head.hpp"

namespace fb::fleet {
namespace {

constexpr std::uint64_t second_levels = 97;

peer_options named(peer_options peer, const char* name) {
    peer.client_id += name;
    return peer;
}

} // namespace

retained_run::retained_run(retained_options options)
    : options_(std::move(options))
    , broker_(options_.broker_pid)
    , feed_(loop_, with_topics(), *this)
    , subscriber_(loop_, named(options_.feed.peer, "reader"), 0, *this)
    , reading_(loop_, broker_, options_.feed.messages, [this] { end(""); })
    , seen_(options_.feed.messages) {}

feed_options retained_run::with_topics() const {
    auto out = options_.feed;
    out.retain = true;
    out.topic_of = [prefix = options_.topic_prefix](std::uint64_t message) {
        return prefix + '/' + std::to_string(message % second_levels) + '/' + std::to_string(message);
    };
    return out;
}

retained_report retained_run::run(const volatile int* interrupted) {
    if (options_.part == stored_part::collect)
        subscriber_.open();
    else
        feed_.connect();
    loop_.after(from_seconds(options_.timeout_seconds), [this] { end("timed out"); });
    loop_.run(interrupted);
    if (!ended_) report_.error = "interrupted";
    report_.read = reading_.measured();
    report_.checked.refused = feed_.refused();
    if (options_.part != stored_part::fill)
        report_.checked.lost = static_cast<std::uint64_t>(std::count(seen_.begin(), seen_.end(), false));
    return report_;
}

void retained_run::on_feed_done() {
    feed_.close();
    if (options_.part == stored_part::fill) return end("");
    loop_.after(phase::settle, [this] { subscriber_.open(); });
}

void retained_run::on_ready(load_peer&) {
    reading_.begin();
    subscriber_.subscribe({options_.topic_prefix + "/#"}, options_.quality);
}

void retained_run::on_delivery(load_peer&, std::string_view payload) {
    const auto head = read_head(payload, options_.feed.payload_bytes);
    if (!head || head->sequence >= seen_.size()) {
        ++report_.checked.strays;
    } else if (seen_[head->sequence]) {
        ++report_.checked.doubled;
    } else {
        seen_[head->sequence] = true;
        reading_.came();
    }
}

void retained_run::end(const std::string& error) {
    if (ended_) return;
    ended_ = true;
    report_.error = error;
    loop_.stop();
}

} // namespace fb::fleet
