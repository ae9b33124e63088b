// What a random sequence is made of. An operation names a client and some numbers; what they mean depends on where
// things stand when it is carried out (runner.cpp), so that a sequence stays valid when operations are removed.
#pragma once

#include <cstdint>
#include <vector>

namespace fb::sim {

struct operation {
    enum kind : std::uint8_t {
        connect,
        disconnect,
        cut,
        subscribe,
        unsubscribe,
        publish,
        acknowledge,
        acknowledge_all,
        release, // PUBREL
        stop_reading,
        read,
        pass_time,
        hold_commits,
        commit_oldest,
        release_commits,
        hold_crossings,
        cross_one,
        release_crossings,
        power_cut,
        store_fails, // clients are sent away
        store_works,
        read_queues, // those that a start left for later
    };
    kind what = publish;
    std::uint8_t client = 0;
    std::uint8_t a = 0, b = 0, c = 0, d = 0;
};

/// Something wrong in the broker, for tests of the comparison.
enum class fault : std::uint8_t {
    none,
    drop,       // a delivery
    repeat,     // a QoS 2 delivery under a new packet id
    swap,       // two deliveries to one client
    retain_bit, // set where it should not be, or not set where it should
    reuse_id,   // of the delivery before
    forget_row, // the store loses a message it said it had
};

struct plan {
    std::uint64_t seed = 0;
    int shards = 1;
    bool small_limits = false;
    std::vector<operation> operations;
    fault wrong = fault::none;
    int wrong_at = 0; // the how-manieth delivery (or stored message) it hits
};

/// Every fourth seed plays with small limits.
plan make_plan(std::uint64_t seed, int operation_count, int shards);

} // namespace fb::sim
