#include "load.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "tests/support/transcript.hpp"

namespace fb::cut {
namespace {

constexpr std::uint32_t session_expiry_s = 86'400;
constexpr std::size_t publisher_count = 6, subscriber_count = 12, topic_count = 8, filters_max = 3, flights_max = 40;
constexpr int restarts = 3;

struct flight {
    int number = 0; // in the order of sending
    std::string topic, payload, word;
    int quality = 1;
    bool retain = false;
    int turn = 0; // among the publications to its retained topic
    bool received = false;
    bool released = false;
    std::vector<std::pair<std::size_t, int>> owed_to; // subscriber, its life
};

struct publisher {
    std::string name;
    test::client* client = nullptr;
    proto::version version{};
    bool ready = false;
    std::map<proto::packet_id, flight> flights;
};

struct subscriber {
    std::string name;
    test::client* client = nullptr;
    proto::version version{};
    bool ready = false;
    bool durable = true;
    int life = 0;                        // a message on its way is owed to the life in which it was sent
    std::map<std::string, bool> filters; // acknowledged?
    std::string waiting_filter;          // one SUBSCRIBE or UNSUBSCRIBE at a time
    std::vector<std::string> ended;      // with the session that a clean start took away
    std::set<std::string> taken;         // messages
};

class day {
  public:
    day(disk& d, const std::filesystem::path& file, std::uint64_t seed);
    void run(int messages);
    recording finish(const disk& d);

  private:
    friend struct publisher_reads;
    friend struct subscriber_reads;
    std::size_t below(std::size_t n) { return random_() % n; }

    void act();
    void commit();
    void restart();
    void read_everything();
    template <class Who, class Reads>
    bool read(Who& who);

    void publish_some(publisher& p);
    void publish_one(publisher& p);
    void send(publisher& p, proto::packet_id id, const flight& f, bool again);
    void send_again(publisher& p);
    void release(publisher& p, proto::packet_id id, flight& f);
    void acknowledged(const flight& f);

    void come_or_go(subscriber& s);
    void go(subscriber& s);
    void subscribe_or_not(subscriber& s);
    void start_clean(subscriber& s);

    std::mt19937_64 random_;
    promise_book book_;
    state_path path_;
    test::broker broker_;
    std::vector<publisher> publishers_;
    std::vector<subscriber> subscribers_;
    struct retained_topic {
        int turn = 0;
        std::string promised;
    };
    std::map<std::string, retained_topic> retained_;
    int sent_ = 0;
    int acknowledged_ = 0;
};

// --- what clients hear ---

/// What no client here expects.
struct reads_nothing_else {
    template <class Other>
    void operator()(const Other&) const {
        FAIL("a packet that this client does not expect");
    }
};

struct publisher_reads : reads_nothing_else {
    publisher_reads(day& d, publisher& who)
        : today(d)
        , p(who) {}
    using reads_nothing_else::operator();
    void operator()(const proto::connack& c) const {
        REQUIRE(c.reason == proto::reason_code::success);
        p.ready = true;
        today.send_again(p);
    }
    void operator()(const proto::puback& a) const {
        const auto at = p.flights.find(a.id);
        REQUIRE(at != p.flights.end());
        today.acknowledged(at->second);
        p.flights.erase(at);
    }
    void operator()(const proto::pubrec& a) const {
        flight& f = p.flights.at(a.id);
        today.acknowledged(f);
        today.book_.present(thing::received(p.name, a.id));
        f.received = true;
        if (today.below(5) != 0) today.release(p, a.id, f); // or later
    }
    void operator()(const proto::pubcomp& a) const {
        // If it came back, the next message with this id would be taken for the last one.
        today.book_.absent(thing::received(p.name, a.id));
        p.flights.erase(a.id);
    }
    day& today;
    publisher& p;
};

struct subscriber_reads : reads_nothing_else {
    subscriber_reads(day& d, subscriber& who)
        : today(d)
        , s(who) {}
    using reads_nothing_else::operator();
    void operator()(const proto::connack& c) const {
        REQUIRE(c.reason == proto::reason_code::success);
        s.ready = true;
        for (const std::string& one : std::exchange(s.ended, {})) today.book_.absent(one);
    }
    void operator()(const proto::publish& m) const {
        if (today.below(4) == 0) return; // it comes again with the next connection
        s.taken.insert(thing::word_of(m.payload));
        today.book_.open(thing::queued(s.name, m.payload));
        if (m.quality == proto::qos::at_least_once)
            s.client->puback(m.id);
        else
            s.client->pubrec(m.id);
    }
    void operator()(const proto::pubrel& m) const { s.client->pubcomp(m.id); }
    void operator()(const proto::suback&) const {
        const std::string filter = std::exchange(s.waiting_filter, {});
        s.filters[filter] = true;
        if (!s.durable) return;
        today.book_.present(thing::session(s.name));
        today.book_.present(thing::subscribed(s.name, filter));
    }
    void operator()(const proto::unsuback&) const {
        today.book_.absent(thing::subscribed(s.name, std::exchange(s.waiting_filter, {})));
    }
    day& today;
    subscriber& s;
};

// --- the course of the day ---

day::day(disk& d, const std::filesystem::path& file, std::uint64_t seed)
    : random_(seed)
    , book_(d)
    , path_(file, d)
    , broker_([this] {
        test::broker_setup setup;
        setup.shards = 2;
        setup.keep = [this](const test::commit_group& group) { path_.write(group); };
        return setup;
    }()) {
    const auto version = [](std::size_t i) { return i % 3 == 2 ? proto::version::v3_1_1 : proto::version::v5; };
    for (std::size_t i = 0; i < publisher_count; ++i) {
        const std::string name = "p" + std::to_string(i);
        publishers_.push_back({name, &broker_.client(name, version(i)), version(i), false, {}});
    }
    for (std::size_t i = 0; i < subscriber_count; ++i) {
        subscriber& s = subscribers_.emplace_back();
        s.name = "s" + std::to_string(i);
        s.version = version(i);
        s.client = &broker_.client(s.name, s.version);
    }
    broker_.hold_commits();
}

void day::run(int messages) {
    path_.open();
    int next_restart = messages / (restarts + 1);
    while (acknowledged_ < messages) {
        for (std::size_t actions = 1 + below(24); actions > 0; --actions) {
            act();
            read_everything();
        }
        commit();
        if (acknowledged_ < next_restart) continue;
        restart();
        next_restart += messages / (restarts + 1);
    }
    commit();
    path_.close();
}

recording day::finish(const disk& d) { return {d.log(), path_.take_commits(), book_.take(), acknowledged_}; }

void day::act() {
    const std::size_t what = below(100);
    publisher& p = publishers_[below(publishers_.size())];
    subscriber& s = subscribers_[below(subscribers_.size())];
    if (what < 70) return publish_some(p);
    if (what < 84) return come_or_go(s);
    if (what < 92) return subscribe_or_not(s);
    if (what < 94) return start_clean(s);
    if (what < 96) {
        p.client->cut();
        p.ready = false;
        return;
    }
    if (!p.ready) return;
    for (auto& [id, f] : p.flights)
        if (f.received && !f.released) release(p, id, f);
}

void day::commit() {
    broker_.commit();
    read_everything();
}

/// The engine loses what is not committed; the store is closed and opened.
void day::restart() {
    broker_.restart();
    path_.close();
    path_.open();
    for (publisher& p : publishers_) p.ready = false;
    for (subscriber& s : subscribers_) {
        go(s);
        s.ended.clear();
    }
}

template <class Who, class Reads>
bool day::read(Who& who) {
    bool any = false;
    for (std::string bytes = who.client->take_bytes(); !bytes.empty(); bytes = who.client->take_bytes()) {
        const auto packet = test::decode_one(bytes, who.version, false);
        REQUIRE(packet.has_value());
        std::visit(Reads(*this, who), *packet);
        any = true;
    }
    return any;
}

void day::read_everything() {
    for (bool busy = true; busy;) {
        busy = false;
        for (publisher& p : publishers_) busy |= read<publisher, publisher_reads>(p);
        for (subscriber& s : subscribers_) busy |= read<subscriber, subscriber_reads>(s);
    }
}

// --- publishers ---

void day::publish_some(publisher& p) {
    if (!p.client->online()) p.client->resume(session_expiry_s);
    if (!p.ready) return;
    for (std::size_t n = 1 + below(4); n > 0 && p.flights.size() < flights_max; --n) publish_one(p);
}

void day::publish_one(publisher& p) {
    auto id = static_cast<proto::packet_id>(1 + below(100));
    while (p.flights.contains(id)) ++id;
    flight& f = p.flights[id];
    f.number = ++sent_;
    f.word = "m" + std::to_string(sent_);
    f.payload = f.word + std::string(sent_ % 50 == 0 ? 5000 : static_cast<std::size_t>(sent_ % 7) * 20, '.');
    f.retain = below(8) == 0;
    if (f.retain) {
        const std::size_t which = below(10);
        f.topic = "r/" + p.name + "/" + std::to_string(which);
        f.quality = 1 + int(which % 2); // always the same on one topic: sending again must not change the order
        if (below(6) == 0) f.payload.clear();
        retained_topic& r = retained_[f.topic];
        f.turn = ++r.turn;
        book_.open(r.promised);
    } else {
        f.topic = "t/" + std::to_string(below(topic_count));
        f.quality = 1 + int(below(2));
        for (std::size_t i = 0; i < subscribers_.size(); ++i) {
            const subscriber& s = subscribers_[i];
            const auto matches = [&](const auto& x) { return x.second && (x.first == "t/+" || x.first == f.topic); };
            if (s.durable && std::any_of(s.filters.begin(), s.filters.end(), matches)) f.owed_to.push_back({i, s.life});
        }
    }
    send(p, id, f, false);
}

void day::send(publisher& p, proto::packet_id id, const flight& f, bool again) {
    if (f.quality == 2) book_.open(thing::received(p.name, id));
    test::publish_options o;
    o.retain = f.retain;
    o.dup = again;
    o.id = id;
    p.client->publish(f.topic, f.payload, f.quality, o);
}

/// After a reconnection, in the order of the first time.
void day::send_again(publisher& p) {
    std::map<int, proto::packet_id> in_order;
    for (const auto& [id, f] : p.flights) in_order[f.number] = id;
    for (const auto& [number, id] : in_order) {
        flight& f = p.flights.at(id);
        if (f.received)
            release(p, id, f);
        else
            send(p, id, f, true);
    }
}

void day::release(publisher& p, proto::packet_id id, flight& f) {
    book_.open(thing::received(p.name, id));
    f.released = true;
    p.client->pubrel(id);
}

void day::acknowledged(const flight& f) {
    ++acknowledged_;
    if (f.retain && f.turn == retained_[f.topic].turn) {
        std::string& promised = retained_[f.topic].promised;
        promised = f.payload.empty() ? thing::retained(f.topic) : thing::retained(f.topic, f.word);
        if (f.payload.empty())
            book_.absent(promised);
        else
            book_.present(promised);
    }
    for (const auto& [which, life] : f.owed_to) {
        const subscriber& s = subscribers_[which];
        if (s.life == life && !s.taken.contains(f.word)) book_.present(thing::queued(s.name, f.word));
    }
}

// --- subscribers ---

void day::come_or_go(subscriber& s) {
    if (!s.client->online()) {
        book_.open_absent(thing::session(s.name));
        s.durable = true;
        s.client->resume(session_expiry_s);
    } else if (s.ready) {
        if (below(2) == 0) s.client->disconnect();
        s.client->cut();
        go(s);
    }
}

/// What was not acknowledged until then, and what ends with the connection, the client counts on no more.
void day::go(subscriber& s) {
    s.ready = false;
    s.waiting_filter.clear();
    std::erase_if(s.filters, [&](const auto& x) { return !x.second || !s.durable; });
}

void day::subscribe_or_not(subscriber& s) {
    if (!s.ready || !s.waiting_filter.empty()) return;
    if (s.filters.size() == filters_max || (!s.filters.empty() && below(3) == 0)) {
        s.waiting_filter = s.filters.begin()->first;
        s.filters.erase(s.filters.begin());
        ++s.life;
        book_.open(thing::subscribed(s.name, s.waiting_filter));
        s.client->unsubscribe({s.waiting_filter});
        return;
    }
    s.waiting_filter = below(4) == 0 ? "t/+" : "t/" + std::to_string(below(topic_count));
    s.filters[s.waiting_filter] = false;
    book_.open(thing::subscribed(s.name, s.waiting_filter));
    s.client->subscribe(s.waiting_filter, 1 + int(below(2)));
}

/// The session ends with all that is in it; a new one begins, for good or for this connection only.
void day::start_clean(subscriber& s) {
    if (s.client->online() && !s.ready) return; // still waits for an earlier CONNACK
    s.client->cut();
    go(s);
    ++s.life;
    s.filters.clear();
    s.ended = book_.present_of(s.name);
    for (const std::string& one : s.ended) book_.open(one);
    s.durable = s.version == proto::version::v5 && below(2) == 0;
    if (s.durable) {
        std::erase(s.ended, thing::session(s.name));
        book_.open_absent(thing::session(s.name));
    }
    test::connect_options o;
    o.expiry_s = s.durable ? session_expiry_s : 0;
    s.client->connect(o);
}

} // namespace

recording record_load(disk& d, const std::filesystem::path& file, std::uint64_t seed, int messages) {
    day today(d, file, seed);
    today.run(messages);
    return today.finish(d);
}

} // namespace fb::cut
