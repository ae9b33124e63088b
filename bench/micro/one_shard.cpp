#include "bench/micro/one_shard.hpp"

#include <stdexcept>

#include "bench/micro/operation.hpp"
#include "proto/encode.hpp"

namespace fb::micro {
namespace {

constexpr auto v5 = proto::version::v5;

core::engine_config config_of(core::durability kept, const core::limits& limits) {
    core::engine_config c;
    c.limits = limits;
    c.otherwise = kept;
    c.valid_device_id = [](std::string_view) { return true; };
    return c;
}

} // namespace

one_shard::one_shard(core::durability kept, const core::limits& limits)
    : retained_(limits.retained_messages_max, limits.retained_bytes_max)
    , engine_(config_of(kept, limits), {index_, retained_, counts_}, *this, effects_) {}

core::connection_handle one_shard::connect(std::string_view client_id, std::uint32_t expiry_s) {
    static const auto anonymous =
        std::make_shared<const core::principal>(core::principal{core::principal_kind::anonymous, "anonymous", {}, {}});
    proto::connect p;
    p.client_id = client_id;
    p.clean_start = expiry_s == 0;
    if (expiry_s != 0) p.properties.session_expiry_s = expiry_s;
    std::string bytes;
    proto::encode(p, bytes);
    const auto before = counted().connects_accepted.get();
    const auto c = engine_.open({anonymous, "192.0.2.1"}, now_);
    receive(c, bytes);
    end_turn();
    must(counted().connects_accepted.get() == before + 1, "CONNECT");
    return c;
}

void one_shard::disconnect(core::connection_handle c) {
    std::string bytes;
    proto::encode(proto::disconnect{}, v5, bytes);
    receive(c, bytes);
    end_turn();
}

void one_shard::subscribe(core::connection_handle c, std::string_view filter, proto::qos quality) {
    proto::subscribe p;
    p.id = 1;
    p.requests.push_back({filter, {.maximum_qos = quality}});
    std::string bytes;
    proto::encode(p, v5, bytes);
    receive(c, bytes);
    end_turn();
}

void one_shard::unsubscribe(core::connection_handle c, std::string_view filter) {
    proto::unsubscribe p;
    p.id = 1;
    p.filters.push_back(filter);
    std::string bytes;
    proto::encode(p, v5, bytes);
    receive(c, bytes);
    end_turn();
}

void one_shard::receive(core::connection_handle c, std::string_view bytes) {
    must(engine_.receive(c, bytes, now_) == bytes.size(), "taking all that came");
}

void one_shard::end_turn() {
    for (core::persist_batch batch; engine_.take_persist(batch);) engine_.on_committed(batch.serial, now_);
    flush();
    close_ended();
    effects_.clear();
}

/// What was written makes room, and there may be more for it.
void one_shard::flush() {
    while (!effects_.touched.empty()) {
        touched_.swap(effects_.touched);
        for (const auto c : touched_) {
            std::string_view pieces[16];
            std::size_t bytes = 0;
            for (std::size_t i = engine_.gather(c, pieces); i > 0; --i) bytes += pieces[i - 1].size();
            engine_.written(c, bytes, now_);
        }
        touched_.clear();
    }
}

void one_shard::close_ended() {
    for (const auto& r : effects_.closes) {
        must(r.cause == core::close_cause::client_disconnect, "staying connected: " + r.detail);
        engine_.closed(r.connection, now_);
    }
}

void one_shard::send(core::shard_id, core::crossing) { throw std::logic_error("there is one shard"); }

} // namespace fb::micro
