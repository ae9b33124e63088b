// Where the standard, or a power cut, leaves a choice, every legal outcome is accepted:
// (a) From SUBSCRIBE to SUBACK the subscription may or may not be there; UNSUBSCRIBE likewise. A connection that ends
//     in between leaves it open for good. So a filter maps to the list of what may hold.
// (b) What was matched before an UNSUBSCRIBE may still be delivered (v5 3.10.4).
// (c) QoS 0 may be lost once the subscriber's connection has ended; it is not owed to an absent client.
// (d) A publication nobody acknowledged may be lost in a power cut. QoS 1 that is sent again may arrive again.
// (e) A restarted broker may deliver QoS 1 again, and without DUP, when it never learned that it had been delivered.
// (f) QoS 2 is exactly once. With several shards a power cut between their commits may double it (ARCHITECTURE.md).
// (g) A message whose delivery was begun before it expired may come later.
// (h) A message of a shared subscription goes to any one member. QoS 1 moves to another when its session ends.
// (i) A session whose making, replacing or ending was not yet known to be stored in a power cut may be the old one, the
//     new one or none: `unknown` until its client starts clean.
// (j) Wills that a power cut may have swallowed, or may repeat, may come whenever; so may one of a CONNECT that a power
//     cut left without CONNACK.
// (k) A retained QoS 2 message that is sent again was stored by any of the attempts.
// (l) Where overlapping subscriptions differ in retain-as-published, either flag is right.
// (m) What a client published itself before a SUBSCRIBE and was not sent yet may be matched by it as well.
// (n) What a power cut ended may count its time from the last start, however often power is lost.
// (o) The retained messages for a subscription come when the client has room; one that is replaced meanwhile may come
//     in either state, or not (then the new one came as it was published).
// (p) A message of a shared subscription that was queued before a power cut ends with that member's session.
// Less is accepted than the standard allows in one place: overlapping subscriptions get one merged copy.
#include "tests/sim/model.hpp"

#include <algorithm>

namespace fb::sim {
namespace {

std::vector<std::string> levels_of(const std::string& text) {
    std::vector<std::string> levels{""};
    for (const char c : text) {
        if (c == '/')
            levels.emplace_back();
        else
            levels.back() += c;
    }
    return levels;
}

} // namespace

bool matches(const std::string& filter, const std::string& topic) {
    const auto f = levels_of(filter);
    const auto t = levels_of(topic);
    for (std::size_t i = 0; i < f.size(); ++i) {
        if (f[i] == "#") return true;
        if (i >= t.size() || (f[i] != "+" && f[i] != t[i])) return false;
        if (i + 1 == t.size() && i + 2 == f.size() && f[i + 1] == "#") return true; // "a/#" matches "a"
    }
    return f.size() == t.size();
}

std::string plain_filter(const std::string& filter) {
    if (!is_shared(filter)) return filter;
    return filter.substr(filter.find('/', filter.find('/') + 1) + 1);
}

// --- what clients send ---

void model::connect(int client, const connect_sent& c) {
    session& s = of(client);
    if (c.clean) {
        end_session(client);
        s.is = session::unknown;
    }
    cancel_will(client);
    s.connecting = c;
}

int model::subscribe(int client, const std::string& filter, const subscription& s) {
    possibilities& may_be = of(client).filters[filter];
    if (may_be.empty()) may_be.push_back({});
    const auto absent = std::count_if(may_be.begin(), may_be.end(), [](const auto& x) { return !x.is; });
    const bool surely_new = absent == static_cast<std::ptrdiff_t>(may_be.size());
    const bool maybe_new = absent > 0;
    may_be.push_back({++last_request_, s});
    for (copy& c : copies_) {
        if (c.client != client || !c.group.empty()) continue;
        if (c.of_retained && matches(filter, of(c).topic)) c.must = false;        // begins anew
        if (!c.of_retained && of(c).publisher == client && !c.seen) add_forms(c); // (m)
    }
    if (is_shared(filter)) { // v5 4.8.2: no retained messages
        of(client).groups_ever[filter].push_back(s);
    } else if (s.retain_handling == 0 || (s.retain_handling == 1 && maybe_new)) {
        send_retained(client, filter, s, s.retain_handling == 0 || surely_new);
    }
    return last_request_;
}

int model::unsubscribe(int client, const std::string& filter) {
    possibilities& may_be = of(client).filters[filter];
    if (may_be.empty()) may_be.push_back({});
    may_be.push_back({++last_request_, {}});
    if (is_shared(filter)) member_left(client, filter);
    for (copy& c : copies_) { // (b)
        if (c.client == client && c.group.empty() && matches(filter, of(c).topic)) c.must = c.was_must = false;
    }
    return last_request_;
}

int model::publish(publication p) {
    p.number = next_number();
    if (p.expiry_s != 0) p.expires_ms = now_ms_ + p.expiry_s * 1000ll;
    publications_.push_back(p);
    route(p.number, false);
    return p.number;
}

void model::publish_again(int number) {
    publication& p = publications_[static_cast<std::size_t>(number)];
    ++p.attempts;
    if (p.expiry_s != 0) { // which of the two times counts is open
        p.expires_ms = now_ms_ + p.expiry_s * 1000ll;
        for (copy& c : copies_)
            if (c.publication == number) c.must = c.was_must = false, c.maybe_late = true;
    }
    if (p.qos == 1 || p.maybe_lost) route(number, true); // else QoS 2 that the broker knows
    p.maybe_lost = false;
}

void model::finish(int client, std::uint16_t id, bool refused) {
    auto& all = of(client).handlings;
    const auto h = std::find_if(all.begin(), all.end(), [&](const handling& x) { return x.id == id; });
    if (h->copy >= 0) {
        copy& c = copies_[static_cast<std::size_t>(h->copy)];
        c.finished = true;
        c.refused = refused;
        c.finish_stored = false;
    }
    if (h->qos == 2 && h->at == handling::publish_came && !refused)
        h->at = handling::pubrec_sent;
    else
        all.erase(h);
}

void model::disconnected(int client, bool will_goes, std::optional<std::uint32_t> expiry_s) {
    session& s = of(client);
    if (!s.online) { // before CONNACK: (i)
        if (s.connecting && s.connecting->will) cancelled_wills_.emplace_back(client, *s.connecting->will);
        s.connecting.reset();
        if (s.is == session::unknown) s.stored = false;
        return;
    }
    s.online = false;
    if (expiry_s && *expiry_s != s.expiry_s) {
        s.expiry_s = *expiry_s;
        s.stored = false;
    }
    const bool unseen_may_be_sent = !s.reading || held_;
    s.reading = true;
    for (copy& c : copies_) {
        if (c.seen || (c.group.empty() ? c.client != client : !maybe_member(client, c.group))) continue;
        c.maybe_sent |= unseen_may_be_sent;
        bool maybe_qos0 = std::any_of(c.forms.begin(), c.forms.end(), [](const form& f) { return f.qos == 0; });
        for (const subscription& sub : s.groups_ever[c.group]) maybe_qos0 |= std::min(sub.qos, of(c).qos) == 0;
        if (maybe_qos0) c.must = false; // (c)
    }
    if (!will_goes) cancel_will(client);
    const bool for_ever = s.expiry_s == never_s;
    s.ends_min_ms = s.ends_max_ms = for_ever ? never_ms : now_ms_ + s.expiry_s * 1000ll;
    if (s.expiry_s == 0) return end_session(client);
    if (!s.will) return;
    s.will->due_ms = std::min<std::int64_t>(now_ms_ + s.will->delay_s * 1000ll, s.ends_max_ms);
    if (s.will->due_ms <= now_ms_) publish_will(client);
}

// --- what clients are sent ---

void model::connack(int client, bool present) {
    session& s = of(client);
    if (!s.connecting) throw divergence{"no CONNACK", "one"};
    const connect_sent c = *s.connecting;
    const bool expected = !c.clean && s.is == session::there;
    if (present != expected && (c.clean || s.is != session::unknown)) {
        throw divergence{expected ? "the session is present" : "no session is present", present ? "present" : "new"};
    }
    s.connecting.reset();
    s.ended_by_power_cut = false;
    s.is = session::there;
    s.online = true;
    s.reading = true;
    s.stored = false;
    ++s.connection;
    s.expiry_s = c.expiry_s;
    s.receive_maximum = c.receive_maximum;
    s.will = c.will;
    s.ends_min_ms = s.ends_max_ms = never_ms;
    std::erase_if(s.handlings, [](const handling& h) { return h.qos == 1; }); // comes again
    for (handling& h : s.handlings) {
        h.counts = false;
        if (h.at == handling::pubrel_came) h.at = handling::pubrec_sent; // PUBREL comes again
    }
}

void model::answered(int client, const std::string& filter, int request) {
    session& s = of(client);
    possibilities& may_be = s.filters[filter];
    std::erase_if(may_be, [&](const possibility& x) { return x.request < request; });
    if (may_be.front().is && s.expiry_s != 0) s.stored = true; // SUBACK waited for the disk
}

void model::acknowledged(int number, bool said_nobody) {
    publication& p = publications_[static_cast<std::size_t>(number)];
    if (said_nobody && p.owed && p.attempts == 1) throw divergence{"somebody to get '" + p.payload + "'", "code 0x10"};
    p.accepted = true;
    p.maybe_lost = false;
    if (!p.retain) return;
    auto& since = retained_since_[p.topic];
    if (p.qos == 2 && p.attempts > 1) return; // (k)
    if (lenient_) return;                     // the retained store may have been full
    const auto last = std::find(since.rbegin(), since.rend(), number);
    if (last != since.rend()) since.erase(since.begin(), last.base() - 1); // nothing older may come back
}

// --- the world ---

void model::advance(std::int64_t ms) {
    const std::int64_t end = now_ms_ + ms;
    for (;;) {
        std::int64_t first = never_ms;
        int whose = -1;
        bool ends = false;
        for (int i = 0; i < client_count; ++i) {
            const session& s = at(i);
            if (s.is != session::there || s.online) continue;
            if (s.will && s.will->due_ms < first) first = s.will->due_ms, whose = i, ends = false;
            if (s.ends_min_ms <= first && s.ends_min_ms != never_ms) first = s.ends_min_ms, whose = i, ends = true;
        }
        if (whose < 0 || first > end) break;
        now_ms_ = std::max(now_ms_, first);
        if (!ends)
            publish_will(whose);
        else if (at(whose).ends_max_ms > first)
            lose_track(whose);
        else
            end_session(whose);
    }
    now_ms_ = end;
}

void model::reading(int client, bool yes) { of(client).reading = yes; }

void model::forget(int client) {
    disconnected(client, false);
    lose_track(client);
}

void model::step_done(bool commits_held, bool all_committed) {
    held_ = commits_held;
    bool all_read = true;
    for (const session& s : sessions_) all_read &= s.reading;
    for (copy& c : copies_) {
        if (!c.seen && (held_ || !all_read)) c.maybe_late = true;
        if (c.finished && all_committed) c.finish_stored = true;
    }
    for (session& s : sessions_) {
        const bool has_room = static_cast<int>(s.handlings.size()) < s.receive_maximum;
        if (s.online && s.reading && has_room && !held_) s.replaying.clear();
    }
    if (!all_committed) return;
    for (session& s : sessions_) s.stored = s.stored || s.is != session::unknown;
    for (const int number : wills_not_stored_) publications_[static_cast<std::size_t>(number)].accepted = true;
    wills_not_stored_.clear();
    cancelled_wills_.clear();
    retained_since_ = retained_;
}

void model::power_cut(bool all_committed) {
    for (int i = 0; i < client_count; ++i) power_cut_session(i, all_committed);
    power_cut_copies(all_committed);
    for (publication& p : publications_) p.maybe_lost |= !p.accepted && p.qos > 0;
    if (all_committed) return;
    for (const int number : wills_not_stored_) publications_[static_cast<std::size_t>(number)].whenever = true; // (j)
    for (const auto& [client, will] : cancelled_wills_) may_come_whenever(will, client);
    wills_not_stored_.clear();
    cancelled_wills_.clear();
    retained_ = retained_since_;
}

void model::power_cut_session(int client, bool all_committed) {
    session& s = of(client);
    const bool was_online = s.online;
    const bool known = s.stored || all_committed;
    if (s.will && (!all_committed || s.expiry_s == 0)) {
        may_come_whenever(*s.will, client);
        s.will.reset();
    }
    s.online = false;
    s.reading = true;
    s.lossy |= !all_committed;
    s.connecting.reset();
    if (s.is == session::none) {
        if (!known) s.is = session::unknown;
        return;
    }
    if (!known || s.is == session::unknown) return lose_track(client);
    if (s.expiry_s == 0) return end_session(client);
    const std::int64_t end_ms = s.expiry_s == never_s ? never_ms : now_ms_ + s.expiry_s * 1000ll;
    if (s.ended_by_power_cut && s.will) { // (n)
        may_come_whenever(*s.will, client);
        s.will.reset();
    }
    s.ended_by_power_cut |= was_online;
    if (was_online) s.ends_min_ms = end_ms;
    if (s.ended_by_power_cut || !all_committed) s.ends_max_ms = end_ms;
    if (was_online && s.will) s.will->due_ms = std::min<std::int64_t>(now_ms_ + s.will->delay_s * 1000ll, end_ms);
}

void model::power_cut_copies(bool all_committed) {
    for (copy& c : copies_) {
        if (c.client == dead) continue;
        if (!c.seen) {
            c.maybe_sent = c.after_power_cut = true;
            if (!survives_power_cut(c)) c.must = false;
        } else if (!all_committed && !c.finish_stored) {
            c.maybe_again = true;
        }
    }
}

bool model::survives_power_cut(const copy& c) const {
    if (c.of_retained || !of(c).accepted) return false; // (d)
    if (c.group.empty()) return std::none_of(c.forms.begin(), c.forms.end(), [](const form& f) { return f.qos == 0; });
    for (int i = 0; i < client_count; ++i) {
        if (!maybe_member(i, c.group)) continue;
        const session& s = at(i);
        if (s.is != session::there || s.expiry_s == 0) return false;
        for (const subscription& sub : s.groups_ever.at(c.group))
            if (std::min(sub.qos, of(c).qos) == 0) return false;
    }
    return true;
}

// --- sessions ---

void model::end_session(int client) {
    session& s = of(client);
    if (s.will) publish_will(client);
    for (copy& c : copies_) {
        if (c.client != client) continue;
        if (c.group.empty())
            c.client = dead;
        else
            c.abandoned |= c.seen && !c.finished; // (h)
    }
    const auto filters = std::move(s.filters);
    const int connection = s.connection;
    const bool stored = s.stored && s.expiry_s == 0; // nothing to delete
    s = session{};
    s.connection = connection;
    s.stored = stored;
    for (const auto& [filter, sub] : filters)
        if (is_shared(filter)) member_left(client, filter);
}

/// (i)
void model::lose_track(int client) {
    session& s = of(client);
    s.is = session::unknown;
    if (s.will) may_come_whenever(*s.will, client);
    s.will.reset();
    for (copy& c : copies_) {
        if (c.client == client || (!c.group.empty() && maybe_member(client, c.group))) c.must = c.was_must = false;
        c.abandoned |= c.client == client && !c.group.empty() && c.seen && !c.finished;
    }
}

/// What it was to get goes to another, except QoS 2 that may have been sent already (v5[MQTT-4.8.2-5]).
void model::member_left(int client, const std::string& group) {
    for (copy& c : copies_) {
        if (c.group != group || c.client == dead) continue;
        if (of(c).qos == 2 || c.after_power_cut || !sure_taker(group, of(c))) c.must = c.was_must = false;
        if (c.client == client && c.seen && !c.finished) c.abandoned = true;
    }
}

bool model::maybe_member(int client, const std::string& group) const { return at(client).groups_ever.contains(group); }

bool model::sure_taker(const std::string& group, const publication& p) const {
    bool found = false;
    for (const session& s : sessions_) {
        const auto f = s.filters.find(group);
        if (f == s.filters.end()) continue;
        if (s.is == session::unknown) return false;
        if (f->second.size() != 1 || !f->second.front().is) continue;
        found |= s.online || std::min(f->second.front().is->qos, p.qos) > 0;
    }
    return found;
}

void model::cancel_will(int client) {
    auto& will = of(client).will;
    if (will) cancelled_wills_.emplace_back(client, *will);
    will.reset();
}

void model::publish_will(int client) {
    const will_message w = *of(client).will;
    of(client).will.reset();
    publication p;
    p.publisher = client;
    p.topic = w.topic;
    p.payload = w.payload;
    p.qos = w.qos;
    wills_not_stored_.insert(publish(p));
}

void model::may_come_whenever(const will_message& w, int client) {
    publication p;
    p.number = next_number();
    p.publisher = client;
    p.topic = w.topic;
    p.payload = w.payload;
    p.qos = w.qos;
    p.whenever = true;
    publications_.push_back(p);
}

} // namespace fb::sim
