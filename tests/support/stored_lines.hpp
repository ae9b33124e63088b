// What a session store holds, as text: one line per call of the loader, in its order.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "storage/session_store.hpp"

namespace fb::test {

inline std::string text_of(const storage::message_record& m) {
    return std::to_string(m.id) + ' ' + std::string(m.topic) + '=' + std::string(m.payload) + '/' +
           std::string(m.properties) + " q" + std::to_string(m.quality) + " x" + std::to_string(m.expires_at) + " by " +
           std::to_string(m.publisher);
}

inline std::string text_of(const storage::session_record& s) {
    std::string out = "session " + std::to_string(s.number) + ' ' + s.client_id + ' ' + s.principal + " v" +
                      std::to_string(s.protocol) + ' ' + std::to_string(s.expiry_s) + ' ' + std::to_string(s.ended_at);
    if (s.will) {
        out += " will " + text_of(*s.will) + (s.will_retain ? " retained " : " ") + std::to_string(s.will_delay_s);
    }
    return out;
}

inline std::string text_of(const storage::queue_record& r, const storage::message_record& m) {
    std::string out = "queue " + std::to_string(r.session) + ' ' + std::to_string(r.sequence) + " q" +
                      std::to_string(r.quality) + (r.retain ? " retain" : "") + " id " + std::to_string(r.packet_id) +
                      " state " + std::to_string(int(r.state)) + " subs";
    for (const auto id : r.subscription_ids) out += ' ' + std::to_string(id);
    CHECK(r.message == m.id);
    return out + ": " + text_of(m);
}

struct loaded {
    std::vector<std::string> lines;
    storage::session_counters counters;
};

/// A loader that writes all but queues into `out`.
inline storage::session_loader loader_into(std::vector<std::string>& out) {
    storage::session_loader loader;
    loader.on_session = [&](const storage::session_record& s) { out.push_back(text_of(s)); };
    loader.on_subscription = [&](const storage::subscription_record& s) {
        out.push_back("sub " + std::to_string(s.session) + ' ' + s.filter + ' ' + std::to_string(s.options) + ' ' +
                      std::to_string(s.subscription_id));
    };
    loader.on_received = [&](std::uint64_t session, std::uint16_t packet_id) {
        out.push_back("received " + std::to_string(session) + ' ' + std::to_string(packet_id));
    };
    loader.on_retained = [&](std::uint64_t version, const storage::message_record& m) {
        out.push_back("retained " + std::to_string(version) + ' ' + text_of(m));
    };
    return loader;
}

inline loaded load(storage::session_store& store) {
    loaded out;
    storage::session_loader loader = loader_into(out.lines);
    loader.on_queued = [&](const storage::queue_record& r, const storage::message_record& m) {
        out.lines.push_back(text_of(r, m));
    };
    const auto counters = store.load(loader);
    REQUIRE(counters);
    out.counters = *counters;
    return out;
}

/// In two parts, the second of which may come later; sorted, for the order is not promised.
struct first_part {
    loaded all; // but the queues
    std::vector<storage::waiting_record> waiting;
};
inline first_part load_first_part(storage::session_store& store) {
    first_part out;
    storage::session_loader loader = loader_into(out.all.lines);
    loader.on_waiting = [&](storage::waiting_record w) { out.waiting.push_back(w); };
    const auto counters = store.load(loader);
    REQUIRE(counters);
    out.all.counters = *counters;
    return out;
}
inline std::vector<std::string> with_queues(storage::session_store& store, first_part part) {
    for (const storage::waiting_record& w : part.waiting) {
        const auto read = store.load_queue(w.session, [&](const storage::queue_record& r, const auto& m) {
            CHECK(r.session == w.session);
            CHECK(r.sequence <= w.last_sequence);
            part.all.lines.push_back(text_of(r, m));
        });
        REQUIRE(read);
    }
    std::sort(part.all.lines.begin(), part.all.lines.end());
    return part.all.lines;
}
inline std::vector<std::string> sorted(std::vector<std::string> lines) {
    std::sort(lines.begin(), lines.end());
    return lines;
}

} // namespace fb::test
