#include "bench/fleet/outgoing.hpp"

#include "bench/fleet/message_head.hpp"
#include "bench/fleet/phase.hpp"

namespace fb::fleet {
namespace {

constexpr std::uint32_t packet_ids = 65535;

proto::packet_id id_of(std::uint64_t sequence) { return static_cast<proto::packet_id>(sequence % packet_ids + 1); }

} // namespace

outgoing::outgoing(load_peer& peer, std::uint32_t number, outgoing_options options)
    : peer_(peer)
    , number_(number)
    , options_(std::move(options))
    , awaited_(options_.window) {
    peer_.prepare_publish(options_.topic, proto::qos::at_least_once, options_.payload_bytes);
}

void outgoing::start() {
    for (; next_ < options_.messages && next_ - first_ < options_.window; ++next_) {
        awaited_[next_ % options_.window] = options_.awaited_each + 1;
        const message_head head{.sequence = next_, .sent_ns = clock_ns(), .publisher = number_};
        peer_.publish(id_of(next_), head.bytes());
    }
}

void outgoing::arrived(std::uint64_t sequence) {
    if (sequence < first_ || sequence >= next_) return;
    --awaited_[sequence % options_.window];
    while (first_ < next_ && awaited_[first_ % options_.window] == 0) ++first_;
    start();
}

void outgoing::acknowledged(proto::packet_id id) { arrived(first_ + (id + packet_ids - id_of(first_)) % packet_ids); }

} // namespace fb::fleet
