// Whole sessions: four connections over two shards, driven by the input: packets (made and raw bytes), partial reads,
// lost connections, time, held commits and crossings, a stop. Checked all along: what the engines send are well-formed
// packets with CONNACK first; bounds hold; gauges fit; and when everybody has gone and time has passed, nothing is
// left.
#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "broker/core/engine.hpp"
#include "fuzz_input.hpp"
#include "tests/support/any_packet.hpp"

using fb::fuzz::require;
using namespace fb;

namespace {

constexpr core::shard_id shard_count = 2;
constexpr std::array<std::string_view, 8> filters{"a", "a/b", "a/+", "#", "+/b", "$x", "$share/g/a", "a/#"};
constexpr std::array<std::string_view, 4> topics{"a", "a/b", "$x", "a/b/c"};

class input {
  public:
    input(const std::uint8_t* data, std::size_t size)
        : data_(data)
        , left_(size) {}
    bool empty() const { return left_ == 0; }
    std::uint8_t byte() {
        if (left_ == 0) return 0;
        --left_;
        return *data_++;
    }
    std::string_view bytes(std::size_t n) {
        n = std::min(n, left_);
        const std::string_view taken(reinterpret_cast<const char*>(data_), n);
        data_ += n;
        left_ -= n;
        return taken;
    }

  private:
    const std::uint8_t* data_;
    std::size_t left_;
};

core::limits small_limits() {
    core::limits l;
    l.packet_bytes_max = 2000;
    l.connect_packet_bytes_max = 500;
    l.subscriptions_max = 4;
    l.receive_maximum = 3;
    l.pending_acks_max = 4;
    l.inflight_max = 3;
    l.queued_messages_max = 4;
    l.queued_bytes_max = 1000;
    l.backlog_messages_max = 3;
    l.output_bytes_high = 200;
    l.output_bytes_max = 400;
    l.session_expiry_max_s = 1000;
    l.retained_messages_max = 3;
    l.match_cache_entries_max = 3;
    return l;
}

/// What the data says: 'y' is right, 'c' asks once more, anything else is wrong.
class exchange final : public core::auth_exchange {
  public:
    core::auth_verdict step(std::string_view data) override {
        if (data == "y") {
            auto who = std::make_shared<core::principal>();
            who->name = "anonymous"; // so that sessions of both kinds of peers meet
            return {core::auth_verdict::kind::accepted, std::move(who), "well", {}};
        }
        if (data == "c") return {core::auth_verdict::kind::challenge, nullptr, "and?", {}};
        return {core::auth_verdict::kind::refused, nullptr, {}, "wrong"};
    }
};

class authenticator final : public core::authenticator {
  public:
    std::shared_ptr<core::auth_exchange> by_password(std::string_view) const override {
        return std::make_shared<exchange>();
    }
    std::shared_ptr<core::auth_exchange> by_method(std::string_view method) const override {
        return method == "M" ? std::make_shared<exchange>() : nullptr;
    }
};

struct shard : core::crossing_port {
    std::array<std::unique_ptr<shard>, shard_count>* all = nullptr;
    core::effects effects;
    std::deque<core::crossing> inbox;
    std::deque<core::persist_batch> batches;
    std::unique_ptr<core::engine> engine;
    void send(core::shard_id to, core::crossing what) override { (*all)[to]->inbox.push_back(std::move(what)); }
    void deliver_sent() override {}
};

struct peer {
    core::connection_handle handle;
    core::shard_id on = 0;
    bool placed = false;
    proto::version version = proto::version::v5;
    std::string unsent;
    std::string received;
    bool greeted = false;
};

class world {
  public:
    world() {
        for (core::shard_id i = 0; i < shard_count; ++i) {
            shards_[i] = std::make_unique<shard>();
            shards_[i]->all = &shards_;
            core::engine_config config;
            config.shard = i;
            config.shard_count = shard_count;
            config.limits = limits_;
            config.authentication = std::make_shared<authenticator>();
            config.durability_rules = {{"a/b/c", core::durability::none}, {"$x", core::durability::batched}};
            shards_[i]->engine = std::make_unique<core::engine>(config, core::shared_state{index_, retained_, counts_},
                                                                *shards_[i], shards_[i]->effects);
        }
        index_.subscribe("a/b", core::engine::local_subscriber(proto::qos::exactly_once));
    }

    void step(input& in) {
        const std::uint8_t what = in.byte();
        peer& p = peers_[what >> 6];
        switch (what & 15) {
        case 0: return connect(p, in.byte(), what & 48 ? std::uint8_t{0} : in.byte());
        case 1:
        case 2: return publish(p, in.byte());
        case 3: return authenticate(p, in.byte());
        case 4: return subscribe(p, in.byte());
        case 5:
        case 6: return acknowledge(p, in.byte());
        case 7: return send(p, in.bytes(in.byte()));
        case 8: return read(p, in.byte());
        case 9: return close(p);
        case 10: return pass((in.byte() + 1) * 500);
        case 11: return commit();
        case 12: return cross();
        case 13: return verdict(in.byte());
        case 14: return leave(p, in.byte());
        default: return in_process(in.byte());
        }
    }

    void settle() {
        for (auto& s : shards_) turn(*s);
        std::size_t online = 0;
        for (auto& s : shards_) {
            const auto& n = s->engine->statistics();
            require(n.sessions.get() == s->engine->session_count());
            online += n.connections.get();
        }
        require(counts_.connections == online && online <= peers_.size());
        for (peer& p : peers_) require(shards_[p.on]->engine->output_size(p.handle) < 8000);
    }

    void end() {
        for (peer& p : peers_) close(p);
        drain();
        pass((limits_.session_expiry_max_s + 1) * 1000ll);
        drain();
        for (auto& s : shards_) {
            require(s->engine->session_count() == 0);
            require(s->engine->next_deadline_ms() == core::never);
        }
        require(counts_.connections == 0 && counts_.sessions == 0 && index_.subscription_count() == 1);
    }

  private:
    void turn(shard& s) {
        core::persist_batch batch;
        if (s.engine->take_persist(batch)) s.batches.push_back(std::move(batch));
        for (const auto& d : s.effects.local)
            if (d.token) tokens_.push_back(d.token);
        for (auto& step : s.effects.auth) steps_.emplace_back(&s, std::move(step));
        const auto closes = std::move(s.effects.closes);
        const auto resumed = std::move(s.effects.resumed);
        s.effects.clear();
        for (const auto& c : closes)
            if (peer* p = find(s, c.connection)) {
                read(*p, 255);
                close(*p);
            }
        for (const auto& h : resumed)
            if (peer* p = find(s, h)) feed(*p);
    }

    peer* find(shard& s, core::connection_handle h) {
        for (peer& p : peers_)
            if (p.handle == h && shards_[p.on].get() == &s) return &p;
        return nullptr;
    }

    void close(peer& p) {
        if (!p.handle) return;
        shards_[p.on]->engine->closed(p.handle, now_);
        p = peer{};
    }

    void connect(peer& p, std::uint8_t how, std::uint8_t proof) {
        if (!p.handle) {
            p.version = how & 1 ? proto::version::v3_1_1 : proto::version::v5;
            p.handle = shards_[0]->engine->open({who_, "x"}, now_);
        }
        proto::connect c;
        c.protocol = p.version;
        c.clean_start = how & 2;
        c.client_id = std::array<std::string_view, 4>{"one", "two", "three", ""}[(how >> 2) & 3];
        c.properties.session_expiry_s = how & 16 ? 500 : 0;
        c.properties.receive_maximum = how & 32 ? 2 : 65535;
        c.properties.maximum_packet_size = how & 64 ? 40 : proto::no_size_limit;
        c.properties.topic_alias_maximum = how & 64 ? 2 : 0;
        c.keep_alive_s = how & 32 ? 5 : 0;
        if (proof & 1) c.user_name = "ann";
        if (proof & 2 && c.user_name) c.password = proof & 4 ? "y" : "n";
        if (proof & 8 && p.version == proto::version::v5) {
            c.properties.authentication_method = proof & 16 ? "M" : "other";
            c.properties.authentication_data = proof & 32 ? "c" : "y";
        }
        if (how & 128) {
            c.last_will.emplace();
            c.last_will->topic = "a";
            c.last_will->payload = "gone";
            c.last_will->quality = proto::qos::at_least_once;
            c.last_will->retain = how & 64;
            c.last_will->delay_s = how & 4 ? 0 : 100;
        }
        make(p, c);
    }

    void authenticate(peer& p, std::uint8_t how) {
        if (how & 1) return answer_step();
        constexpr std::array reasons{proto::reason_code::continue_authentication, proto::reason_code::reauthenticate,
                                     proto::reason_code::success};
        proto::auth a;
        a.reason = reasons[(how >> 1 & 3) % 3];
        a.properties.authentication_method = how & 8 ? "other" : "M";
        a.properties.authentication_data = std::array<std::string_view, 4>{"y", "c", "n", ""}[how >> 4 & 3];
        send(p, fb::test::encode_any(a, proto::version::v5)); // also to those who speak 3.1.1
    }

    void answer_step() {
        if (steps_.empty()) return;
        auto [on, step] = std::move(steps_.front());
        steps_.pop_front();
        on->engine->on_auth_verdict(step.connection, step.exchange->step(step.data), now_);
    }

    void publish(peer& p, std::uint8_t how) {
        proto::publish m;
        m.topic = topics[how & 3];
        m.quality = static_cast<proto::qos>(((how >> 2) & 3) % 3);
        if (m.quality != proto::qos::at_most_once) m.id = static_cast<proto::packet_id>(1 + (how >> 4 & 3));
        m.retain = how & 64;
        const std::string large(600, 'x');
        m.payload = how & 128 ? std::string_view(large) : how & 64 ? "" : "x";
        if (how & 16) m.properties.message_expiry_s = 10;
        if (how & 32) m.properties.topic_alias = std::uint16_t{1};
        make(p, m);
    }

    void subscribe(peer& p, std::uint8_t how) {
        if (how & 128) {
            proto::unsubscribe u;
            u.id = 1;
            u.filters = {filters[how & 7]};
            return make(p, u);
        }
        proto::subscribe s;
        s.id = 1;
        proto::subscription_options o;
        o.maximum_qos = static_cast<proto::qos>((how >> 3 & 3) % 3);
        o.no_local = how & 32 && (how & 7) != 6; // forbidden with $share
        o.retain_as_published = how & 64;
        s.requests = {{filters[how & 7], o}, {filters[(how + 1) & 7], o}};
        s.requests[1].options.no_local = false;
        if (how & 64) s.properties.subscription_id = 5;
        make(p, s);
    }

    void acknowledge(peer& p, std::uint8_t how) {
        const auto fill = [&](auto ack) {
            ack.id = static_cast<proto::packet_id>(1 + (how >> 2 & 7));
            if (how & 128) ack.reason = proto::reason_code::unspecified_error;
            make(p, ack);
        };
        switch (how & 3) {
        case 0: return fill(proto::puback{});
        case 1: return fill(proto::pubrec{});
        case 2: how &= 127; return fill(proto::pubrel{});
        default: how &= 127; return fill(proto::pubcomp{});
        }
    }

    void leave(peer& p, std::uint8_t how) {
        proto::disconnect d;
        if (how & 1) d.reason = proto::reason_code::disconnect_with_will;
        if (how & 2) d.properties.session_expiry_s = how & 4 ? 0 : 700;
        make(p, d);
    }

    template <class Packet>
    void make(peer& p, const Packet& packet) {
        send(p, fb::test::encode_any(packet, p.version));
    }

    void send(peer& p, std::string_view bytes) {
        if (!p.handle || p.unsent.size() > 10'000) return;
        p.unsent += bytes;
        feed(p);
    }

    void feed(peer& p) {
        if (!p.placed) place(p);
        auto& e = *shards_[p.on]->engine;
        if (e.paused(p.handle)) return;
        const std::size_t used = e.receive(p.handle, p.unsent, now_);
        require(used <= p.unsent.size());
        p.unsent.erase(0, used);
    }

    void place(peer& p) {
        const auto f = proto::next_frame(p.unsent, limits_.connect_packet_bytes_max);
        if (!f || !f->complete()) return;
        p.placed = true;
        const auto home = core::route_connect(*f, shard_count);
        if (!home || *home == p.on) return;
        shards_[p.on]->engine->closed(p.handle, now_);
        p.on = *home;
        p.handle = shards_[p.on]->engine->open({who_, "x"}, now_);
    }

    /// Takes part of the output, and looks at every whole packet.
    void read(peer& p, std::uint8_t how_much) {
        if (!p.handle) return;
        std::size_t left = how_much == 255 ? 1'000'000 : how_much;
        auto& e = *shards_[p.on]->engine;
        std::array<std::string_view, 2> pieces;
        for (std::size_t n = e.gather(p.handle, pieces); n > 0 && left > 0; n = e.gather(p.handle, pieces)) {
            const std::string_view part = pieces[0].substr(0, left);
            p.received += part;
            left -= part.size();
            e.written(p.handle, part.size(), now_);
        }
        for (;;) {
            const auto f = proto::next_frame(p.received, proto::no_size_limit);
            require(f.has_value());
            if (!f->complete()) return;
            const bool asks = f->type == proto::packet_type::auth;
            require(asks || (f->type == proto::packet_type::connack) == !p.greeted); // first, and once
            p.greeted |= !asks;
            // A refusal before the version is known may speak the other one.
            if (f->type != proto::packet_type::connack) require(proto::decode(*f, p.version, false).has_value());
            p.received.erase(0, f->size);
        }
    }

    void pass(std::int64_t ms) {
        now_.mono_ms += ms;
        now_.unix_ms += ms;
        for (auto& s : shards_) s->engine->on_time(now_);
    }

    void commit() {
        for (auto& s : shards_) {
            if (s->batches.empty()) continue;
            const auto serial = s->batches.front().serial;
            s->batches.pop_front();
            s->engine->on_committed(serial, now_);
        }
    }

    void cross() {
        for (auto& s : shards_) {
            if (s->inbox.empty()) continue;
            core::crossing what = std::move(s->inbox.front());
            s->inbox.pop_front();
            s->engine->on_crossed(std::move(what), now_);
        }
    }

    void verdict(std::uint8_t how) {
        if (tokens_.empty()) return;
        const core::ack_token token = tokens_[how % tokens_.size()]; // stale and repeated ones too
        const auto reason = how & 128  ? proto::reason_code::quota_exceeded
                            : how & 64 ? proto::reason_code::not_authorized
                                       : proto::reason_code::success;
        shards_[token.session.shard]->engine->on_local_verdict(token, reason, "", now_);
    }

    void in_process(std::uint8_t how) {
        auto& e = *shards_[how & 1]->engine;
        if (how & 2)
            return e.publish_live(
                {std::string(topics[how >> 2 & 3]), "live", static_cast<proto::qos>((how >> 4 & 3) % 3), 0}, now_);
        core::direct_delivery d;
        if (!tokens_.empty()) {
            d.to = tokens_.back().session;
            d.epoch = tokens_.back().epoch;
        }
        d.topic = topics[how >> 2 & 3];
        d.payload = "direct";
        e.deliver(d, now_);
    }

    void drain() {
        for (bool busy = true; busy;) {
            busy = false;
            for (auto& s : shards_) {
                turn(*s);
                busy |= !s->batches.empty() || !s->inbox.empty();
            }
            busy |= !steps_.empty();
            answer_step();
            commit();
            cross();
        }
    }

    const core::limits limits_ = small_limits();
    core::routing_index index_;
    core::retained retained_{limits_.retained_messages_max, limits_.retained_bytes_max};
    core::shared_counts counts_;
    std::array<std::unique_ptr<shard>, shard_count> shards_;
    core::instant now_{1000, 1'795'341'600'000};
    core::principal_ptr who_ = std::make_shared<core::principal>();
    std::array<peer, 4> peers_;
    std::vector<core::ack_token> tokens_;
    std::deque<std::pair<shard*, core::auth_step>> steps_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    input in(data, size);
    world w;
    while (!in.empty()) {
        w.step(in);
        w.settle();
    }
    w.end();
    return 0;
}
