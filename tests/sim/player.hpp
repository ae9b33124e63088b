// One client of a plan: what it must remember to keep to MQTT, and its packets on their way between the broker and the
// model.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/model.hpp"
#include "tests/sim/operations.hpp"
#include "tests/support/transcript.hpp"

namespace fb::sim {

inline constexpr std::uint32_t longest_expiry_s = 100'000;

/// What the players of one run share.
struct world {
    world(const plan& p, test::broker_setup setup)
        : broker(std::move(setup))
        , reference(p.shards, p.small_limits)
        , lenient(p.small_limits)
        , wrong(p.wrong)
        , wrong_in(p.wrong_at) {}

    test::broker broker;
    model reference;
    bool lenient;
    bool commits_held = false;
    bool crossings_held = false;
    fault wrong;
    int wrong_in;
    std::vector<std::string> story;
};

class player {
  public:
    player(world& w, int number, std::string name, proto::version v)
        : w_(w)
        , number_(number)
        , name_(std::move(name))
        , version_(v) {}

    // --- what it does; each says whether there was anything to do ---
    void connect(connect_sent c);
    bool disconnect(bool with_will, std::optional<std::uint32_t> expiry_s);
    bool cut();
    bool subscribe(const std::string& filter, subscription s);
    bool unsubscribe(const std::string& filter);
    bool publish(publication p);
    bool acknowledge(int preference, bool refuse);
    bool release();
    bool stop_reading();
    bool read();

    // --- what comes ---
    void take_packets();
    bool was_closed() { return (served_ || connecting_) && !line().online(); }
    /// With nothing held back, everything must have been answered and delivered.
    void check_quiet() const;
    void power_cut();

    bool online() const { return served_; }
    bool version5() const { return version_ == proto::version::v5; }
    bool idle() const { return of().handlings.empty() && sent_.empty(); }
    const session& of() const { return w_.reference.at(number_); }

  private:
    struct sent_publish {
        std::uint16_t id = 0;
        int number = 0;
        int qos = 0;
        bool pubrec_came = false;
        bool released = false;
    };
    struct request {
        std::uint16_t id = 0;
        std::string filter;
        int number = 0; // the model's
        int qos = -1;   // asked for; -1: UNSUBSCRIBE
    };

    test::client& line() { return w_.broker.client(name_ + (second_line_ ? "'" : ""), version_).named(name_); }
    void say(const std::string& text) { w_.story.push_back(name_ + " " + text); }
    std::uint16_t free_id() const;
    void send_publish(const sent_publish& s, bool dup);
    void send_again();
    void forget_connection();
    void finish(const handling& h, bool refuse);

    void handle(const std::string& bytes);
    void on(const proto::connack& p);
    void on(const proto::publish& p);
    void on(const proto::puback& p);
    void on(const proto::pubrec& p);
    void on(const proto::pubrel& p);
    void on(const proto::pubcomp& p);
    void on(const proto::suback& p) { answered(p.id, p.reasons.front()); }
    void on(const proto::unsuback& p) { answered(p.id, proto::reason_code::success); }
    void on(const proto::disconnect&) {}
    template <class Other>
    void on(const Other&) {
        throw divergence{"a packet that a server may send", "another"};
    }
    void answered(std::uint16_t id, proto::reason_code reason);
    void acknowledged(sent_publish& s, proto::reason_code reason);
    void deliver(arrival a);

    world& w_;
    int number_;
    std::string name_;
    proto::version version_;
    bool second_line_ = false; // a take-over needs two
    bool connecting_ = false;
    bool served_ = false;
    std::deque<sent_publish> sent_;
    std::deque<request> requests_;
    std::optional<arrival> swapped_;
    std::uint16_t last_id_ = 0; // of a delivery
};

} // namespace fb::sim
