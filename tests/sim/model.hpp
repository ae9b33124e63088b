// What MQTT promises, as sets and lists: the reference that random runs of the engine are compared with (runner.hpp).
// It is told what each client sends and is sent; whatever the standard does not allow throws `divergence`. It knows
// nothing of shards, queues or packets, and prefers being plain to being fast.
//
// model.cpp lists where the standard leaves a choice, by the letters that mark it in the code: (a) and so on.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fb::sim {

inline constexpr std::int64_t never_ms = std::numeric_limits<std::int64_t>::max();
inline constexpr std::uint32_t never_s = 0xFFFF'FFFF;

struct divergence {
    std::string expected;
    std::string came;
};

struct subscription {
    int qos = 0;
    bool no_local = false;
    bool as_published = false;
    int retain_handling = 0;
    std::uint32_t id = 0; // 100 and above: shared subscriptions, one number per group
    friend bool operator==(const subscription&, const subscription&) = default;
};
/// What one filter of a session may be: as one of several requests left it.
struct possibility {
    int request = 0;                // 0: as it was at first
    std::optional<subscription> is; // none: not subscribed
};
using possibilities = std::vector<possibility>; // one of these, the latest last

struct publication {
    int number = 0;
    int publisher = 0; // client
    std::string topic;
    std::string payload; // its own; empty only where it clears a retained message
    int qos = 0;
    bool retain = false;
    std::uint32_t expiry_s = 0; // 0: none
    std::int64_t expires_ms = never_ms;
    int attempts = 1;      // times the client sent it
    bool accepted = false; // acknowledged to the publisher
    bool maybe_lost = false;
    bool whenever = false; // (j)
    bool owed = false;     // somebody must get it
};

/// What a PUBLISH to a subscriber looks like.
struct form {
    int qos = 0;
    bool retain = false;
    std::vector<std::uint32_t> ids; // sorted
    friend bool operator==(const form&, const form&) = default;
};

struct arrival {
    std::string topic;
    std::string payload;
    form how;
    bool dup = false;
    std::uint16_t id = 0;
    bool version5 = true;
    std::optional<std::uint32_t> expiry_s;
};

/// What became of a copy that a client was sent.
struct sight {
    bool seen = false;          // by the client
    int connection = 0;         // in which it was seen last
    arrival as{};               // how it came first
    bool finished = false;      // the client acknowledged it: PUBACK or PUBREC
    bool refused = false;       // with a PUBREC
    bool finish_stored = false; // and the broker has stored that
    bool maybe_again = false;   // (e)
    bool abandoned = false;     // (h)
};

/// One publication on its way to one session, or to one member of a group.
struct copy : sight {
    int publication = 0;
    int client = -1;              // of a group: who had it last; -1: nobody
    std::string group;            // the filter of a shared subscription
    std::vector<form> forms;      // one of them
    bool of_retained = false;     // sent because of a SUBSCRIBE
    bool must = false;            // or it is a divergence at the end
    bool was_must = false;        // when it was made
    bool maybe_sent = false;      // though not seen: DUP is right
    bool after_power_cut = false; // it was queued before one: (p)
    bool maybe_late = false;      // (g)
};

inline constexpr int dead = -2; // copy::client when its session has ended

/// A QoS 1 or 2 message that the client has not finished.
struct handling {
    enum stage : std::uint8_t { publish_came, pubrec_sent, pubrel_came };
    std::uint16_t id = 0;
    int copy = -1; // index; -1: unknown, after a power cut
    int qos = 0;
    stage at = publish_came;
    bool counts = true; // its PUBLISH came on this connection: takes a place in Receive Maximum
};

struct will_message {
    std::string topic;
    std::string payload;
    int qos = 0;
    std::uint32_t delay_s = 0;
    std::int64_t due_ms = never_ms;
};

struct connect_sent {
    bool clean = true;
    std::uint32_t expiry_s = 0;
    int receive_maximum = 65535;
    std::optional<will_message> will{};
};

struct session {
    enum existence : std::uint8_t { none, there, unknown };
    existence is = none;
    bool online = false; // from CONNACK on
    bool reading = true;
    bool stored = true;              // what `is` says would survive a power cut
    bool ended_by_power_cut = false; // its connection
    bool lossy = false;              // a power cut took acknowledgements of the client along
    int connection = 0;
    int receive_maximum = 65535;
    std::uint32_t expiry_s = 0;
    std::int64_t ends_min_ms = never_ms; // while offline: not before, and not after
    std::int64_t ends_max_ms = never_ms;
    std::map<std::string, possibilities> filters;
    std::map<std::string, std::vector<subscription>> groups_ever; // of this session
    std::map<std::string, subscription> replaying;                // filters whose retained messages are on their way
    std::optional<will_message> will;
    std::vector<handling> handlings;        // in the order they came
    std::optional<connect_sent> connecting; // until CONNACK
};

class model {
  public:
    static constexpr int client_count = 5;

    /// `shards` for (f). Lenient: limits may be hit, so nothing is owed; what comes must still be legal.
    model(int shards, bool lenient)
        : shards_(shards)
        , lenient_(lenient) {}

    // --- what clients send ---
    void connect(int client, const connect_sent& c);
    int subscribe(int client, const std::string& filter, const subscription& s); // returns a number for the answer
    int unsubscribe(int client, const std::string& filter);
    int publish(publication p); // returns its number
    void publish_again(int number);
    void finish(int client, std::uint16_t id, bool refused); // PUBACK, PUBREC or PUBCOMP
    /// The connection is gone. With `expiry_s`: said in DISCONNECT.
    void disconnected(int client, bool will_goes, std::optional<std::uint32_t> expiry_s = {});

    // --- what clients are sent ---
    void connack(int client, bool present);
    void answered(int client, const std::string& filter, int request); // SUBACK or UNSUBACK
    void acknowledged(int number, bool said_nobody);                   // PUBACK or PUBREC
    void arrived(int client, const arrival& a);
    void released(int client, std::uint16_t id); // PUBREL came

    // --- the world ---
    void advance(std::int64_t ms);
    void reading(int client, bool yes);
    /// After each step. `commits_held`: something is begun and not told; `all_committed`: nothing waits.
    void step_done(bool commits_held, bool all_committed);
    void power_cut(bool all_committed);
    /// The broker closed the connection, at a time we do not know: lenient only.
    void forget(int client);

    // --- what must have come by now ---
    void check_nothing_missing(int client) const;
    void check_shared_delivered() const;

    const session& at(int client) const { return sessions_[static_cast<std::size_t>(client)]; }
    const publication& published(int number) const { return publications_[static_cast<std::size_t>(number)]; }
    int next_number() const { return static_cast<int>(publications_.size()); }

  private:
    session& of(int client) { return sessions_[static_cast<std::size_t>(client)]; }
    const publication& of(const copy& c) const { return published(c.publication); }
    bool expired(const publication& p) const { return p.expires_ms <= now_ms_; }
    bool maybe_member(int client, const std::string& group) const;
    bool sure_taker(const std::string& group, const publication& p) const;
    bool survives_power_cut(const copy& c) const;

    void store_retained(const publication& p, bool again);
    static copy retained_copy(int client, const subscription& s, const publication& p);
    void send_retained(int client, const std::string& filter, const subscription& s, bool sure);
    void route(int number, bool again);
    void route_to(int client, publication& p, bool again);
    bool add_forms(copy& c) const;
    void route_to_groups(publication& p, bool again);
    void add_copy(copy c, publication& p, bool again);

    void cancel_will(int client);
    void publish_will(int client);
    void may_come_whenever(const will_message& w, int client);
    void end_session(int client);
    void lose_track(int client);
    void member_left(int client, const std::string& group);
    void power_cut_session(int client, bool all_committed);
    void power_cut_copies(bool all_committed);

    bool looks_right(int client, const copy& c, const arrival& a) const;
    bool may_come(int client, const copy& c, const arrival& a) const;
    copy* find_copy(int client, const arrival& a);
    copy* mistaken_copy(int client, const arrival& a);
    copy* stray_copy(int client, const arrival& a);
    bool came_again(int client, const arrival& a);
    void check_window(int client) const;
    void check_order(int client, const copy& c, const arrival& a);
    void check_expiry(int client, const copy& c, const arrival& a) const;
    std::string known_of(int client, const arrival& a) const;

    int shards_;
    bool lenient_;
    bool held_ = false; // commits, at the moment
    std::int64_t now_ms_ = 0;
    int last_request_ = 0;
    std::array<session, client_count> sessions_;
    std::vector<publication> publications_;
    std::vector<copy> copies_;
    std::map<std::string, std::vector<int>> retained_;          // topic -> one of these; -1, or an empty one: nothing
    std::map<std::string, std::vector<int>> retained_since_;    // what a power cut may bring back, oldest first
    std::set<int> wills_not_stored_;                            // published since everything was committed
    std::vector<std::pair<int, will_message>> cancelled_wills_; // since then; of this client
    std::map<std::string, int> last_in_order_;                  // per connection, publisher, topic and QoS
};

bool matches(const std::string& filter, const std::string& topic);
/// The filter in "$share/<name>/<filter>", else the filter itself.
std::string plain_filter(const std::string& filter);
inline bool is_shared(const std::string& filter) { return filter.starts_with("$share/"); }

} // namespace fb::sim
