// The model's publications: to whom each is owed and how it must look, and whether what came was owed.
#include <algorithm>
#include <utility>

#include "tests/sim/model.hpp"

namespace fb::sim {
namespace {

template <class T>
void add_once(std::vector<T>& list, const T& value) {
    if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

/// One way in which the matching subscriptions of a session may be.
struct merged {
    bool any = false;
    bool flag_kept = false;    // of the retain flag, by some of them
    bool flag_cleared = false; // by others
    form how;
    friend bool operator==(const merged&, const merged&) = default;
};

merged add(merged m, const subscription& s, const publication& p) {
    m.any = true;
    m.how.qos = std::max(m.how.qos, std::min(s.qos, p.qos));
    (s.as_published && p.retain ? m.flag_kept : m.flag_cleared) = true;
    if (s.id != 0) m.how.ids.push_back(s.id);
    return m;
}

/// Every way in which `s` may get `p` by its ordinary subscriptions.
std::vector<merged> outcomes(const session& s, bool own, const publication& p) {
    std::vector<merged> all{{}};
    for (const auto& [filter, may_be] : s.filters) {
        if (is_shared(filter) || !matches(filter, p.topic)) continue;
        std::vector<merged> next;
        for (const merged& m : all) {
            for (const possibility& x : may_be) {
                add_once(next, x.is && !(own && x.is->no_local) ? add(m, *x.is, p) : m);
            }
        }
        all = std::move(next);
    }
    return all;
}

std::string text_of(const form& f) {
    std::string text = "q" + std::to_string(f.qos) + (f.retain ? " retain" : "");
    for (const auto id : f.ids) text += " id=" + std::to_string(id);
    return text;
}

} // namespace

// --- to whom ---

void model::route(int number, bool again) {
    publication& p = publications_[static_cast<std::size_t>(number)];
    if (p.retain) store_retained(p, again);
    for (int i = 0; i < client_count; ++i) route_to(i, p, again);
    route_to_groups(p, again);
}

void model::store_retained(const publication& p, bool again) {
    auto& since = retained_since_[p.topic];
    if (since.empty()) since.push_back(-1);
    auto& now = retained_[p.topic];
    if (now.empty()) now.push_back(-1);
    const bool sure = !lenient_ && !(again && (p.qos == 2 || p.expiry_s != 0));
    if (sure) now.clear();
    add_once(now, p.number);
    since.push_back(p.number);
    for (copy& c : copies_)
        if (c.of_retained && of(c).topic == p.topic) c.must = false; // (o)
    for (int i = 0; i < client_count; ++i) {
        for (const auto& [filter, sub] : at(i).replaying)
            if (matches(filter, p.topic) && !p.payload.empty() && !(sub.no_local && p.publisher == i))
                copies_.push_back(retained_copy(i, sub, p));
    }
}

copy model::retained_copy(int client, const subscription& s, const publication& p) {
    copy c;
    c.publication = p.number;
    c.client = client;
    c.of_retained = true;
    c.forms.push_back({std::min(s.qos, p.qos), true, {}});
    if (s.id != 0) c.forms.back().ids.push_back(s.id);
    c.maybe_late = p.attempts > 1;
    return c;
}

void model::send_retained(int client, const std::string& filter, const subscription& s, bool sure) {
    of(client).replaying[filter] = s;
    for (const auto& [topic, may_be] : retained_) {
        if (!matches(filter, topic)) continue;
        for (const int number : may_be) {
            if (number < 0) continue;
            const publication& p = published(number);
            if (p.payload.empty() || (expired(p) && p.attempts == 1)) continue;
            if (s.no_local && p.publisher == client) continue;
            copy c = retained_copy(client, s, p);
            const bool again = p.attempts > 1 && p.expiry_s != 0; // which of them is stored?
            c.must = sure && may_be.size() == 1 && !again && !lenient_ && !expired(p);
            copies_.push_back(c);
        }
    }
}

void model::route_to(int client, publication& p, bool again) {
    const session& s = at(client);
    if (s.is != session::there) return;
    copy c;
    c.publication = p.number;
    c.client = client;
    c.must = add_forms(c) && !lenient_;
    if (!c.forms.empty()) add_copy(c, p, again);
}

/// As the client's subscriptions are now. True when it is certain to get it.
bool model::add_forms(copy& c) const {
    const session& s = at(c.client);
    bool sure = true;
    for (merged& m : outcomes(s, of(c).publisher == c.client, of(c))) {
        if (!m.any || (m.how.qos == 0 && !s.online)) sure = false; // (a) (c)
        if (!m.any) continue;
        std::sort(m.how.ids.begin(), m.how.ids.end());
        for (const bool retain : {false, true}) { // (l)
            if (!(retain ? m.flag_kept : m.flag_cleared)) continue;
            m.how.retain = retain;
            add_once(c.forms, m.how);
        }
    }
    return sure;
}

void model::route_to_groups(publication& p, bool again) {
    std::set<std::string> groups;
    for (const session& s : sessions_) {
        for (const auto& [filter, may_be] : s.filters)
            if (is_shared(filter) && matches(plain_filter(filter), p.topic)) groups.insert(filter);
    }
    for (const std::string& group : groups) {
        copy c;
        c.publication = p.number;
        c.group = group;
        c.must = !lenient_ && sure_taker(group, p);
        add_copy(c, p, again);
    }
}

/// `again`: the publisher sent it once more, and the broker may have forgotten the first or not.
void model::add_copy(copy c, publication& p, bool again) {
    if (p.payload.empty()) { // which of several that clear a topic it is cannot be seen
        for (copy& e : copies_) {
            if (!of(e).payload.empty() || of(e).topic != p.topic || e.seen) continue;
            e.must = e.was_must = c.must = false;
        }
    }
    c.was_must = c.must;
    c.maybe_late = p.attempts > 1;
    if (!again) {
        p.owed |= c.must;
        copies_.push_back(std::move(c));
        return;
    }
    bool met = false; // by an earlier one
    for (copy& e : copies_) {
        const bool same = e.publication == c.publication && !e.of_retained && e.client != dead && e.group == c.group &&
                          (!c.group.empty() || e.client == c.client);
        if (!same) continue;
        met = true;
        if (p.qos == 1) {
            if (e.must || e.seen) c.must = false;
            const bool maybe_qos_0 =
                std::any_of(c.forms.begin(), c.forms.end(), [](const form& f) { return f.qos == 0; });
            if (!e.seen && maybe_qos_0) e.must = false; // the first may not have left; what left later needs no storing
            continue;
        }
        if (!e.seen) {
            for (const form& f : c.forms) add_once(e.forms, f);
            const bool kept = std::none_of(e.forms.begin(), e.forms.end(), [](const form& f) { return f.qos == 0; });
            e.must = e.was_must && c.must && kept; // else the first may have been lost at QoS 0
        }
        const bool once = shards_ == 1 && c.group.empty(); // a member's session may be gone with the power
        if (once && (!e.seen || e.as.how.qos == 2)) return;
        c.must = false; // (f)
    }
    if (p.qos == 2 && !met) c.must = false;
    if (p.expiry_s != 0) c.must = false;
    copies_.push_back(std::move(c));
}

// --- what came ---

void model::arrived(int client, const arrival& a) {
    session& s = of(client);
    if (!s.online) throw divergence{"CONNACK first", "PUBLISH '" + a.payload + "'"};
    if (a.how.qos > 0 && came_again(client, a)) return;
    copy* c = find_copy(client, a);
    if (c == nullptr) c = mistaken_copy(client, a);
    if (c == nullptr) c = stray_copy(client, a);
    if (c == nullptr) throw divergence{known_of(client, a), "PUBLISH " + a.topic + " '" + a.payload + "'"};
    check_expiry(client, *c, a);
    check_order(client, *c, a);
    c->client = client;
    static_cast<sight&>(*c) = {.seen = true, .connection = s.connection, .as = a};
    if (a.how.qos == 0) return;
    s.handlings.push_back({a.id, static_cast<int>(c - copies_.data()), a.how.qos, handling::publish_came, true});
    check_window(client);
}

void model::released(int client, std::uint16_t id) {
    session& s = of(client);
    const auto h = std::find_if(s.handlings.begin(), s.handlings.end(), [&](const handling& x) { return x.id == id; });
    if (h == s.handlings.end() && s.lossy) {
        s.handlings.push_back({id, -1, 2, handling::pubrel_came, false});
        return;
    }
    if (h == s.handlings.end() || h->qos != 2 || h->at == handling::publish_came)
        throw divergence{"PUBREL after PUBREC only", "PUBREL #" + std::to_string(id)};
    h->at = handling::pubrel_came;
}

void model::check_window(int client) const {
    const session& s = at(client);
    const auto open = std::count_if(s.handlings.begin(), s.handlings.end(), [](const auto& h) { return h.counts; });
    if (open > s.receive_maximum)
        throw divergence{"no more than Receive Maximum", std::to_string(open) + " unfinished"};
}

/// QoS 2 that the client has begun, or an id that is in use.
bool model::came_again(int client, const arrival& a) {
    session& s = of(client);
    const auto h = std::find_if(s.handlings.begin(), s.handlings.end(), [&](const auto& x) { return x.id == a.id; });
    if (h == s.handlings.end()) return false;
    copy* c = h->copy < 0 ? nullptr : &copies_[static_cast<std::size_t>(h->copy)];
    const bool same =
        c != nullptr && of(*c).payload == a.payload && of(*c).topic == a.topic && c->as.how.qos == a.how.qos;
    if (!same || h->counts || !a.dup || (h->at != handling::publish_came && !s.lossy)) {
        throw divergence{"id #" + std::to_string(a.id) + " to be in use" + (c ? " for '" + of(*c).payload + "'" : ""),
                         "PUBLISH " + a.topic + " '" + a.payload + "'" + (a.dup ? " dup" : "")};
    }
    check_order(client, *c, a);
    c->connection = s.connection;
    c->finished = c->finish_stored = false;
    h->counts = true;
    h->at = handling::publish_came;
    check_window(client);
    return true;
}

bool model::looks_right(int client, const copy& c, const arrival& a) const {
    const publication& p = of(c);
    if (a.payload != p.payload || a.topic != p.topic) return false;
    if (c.group.empty()) {
        return c.client == client && std::find(c.forms.begin(), c.forms.end(), a.how) != c.forms.end();
    }
    const auto ever = at(client).groups_ever.find(c.group);
    if (ever == at(client).groups_ever.end()) return false;
    return std::any_of(ever->second.begin(), ever->second.end(), [&](const subscription& s) {
        return a.how == form{std::min(s.qos, p.qos), p.retain && s.as_published, {s.id}};
    });
}

bool model::may_come(int client, const copy& c, const arrival& a) const {
    if (!looks_right(client, c, a)) return false;
    if (!c.seen) {
        if (a.dup) return c.maybe_sent || of(c).attempts > 1; // of two copies one cannot tell which it is
        return !expired(of(c)) || c.maybe_late || c.maybe_sent;
    }
    if (c.abandoned && c.as.how.qos == 1) return true; // (h)
    if (a.how.qos == 0) return false;
    if (a.how.qos == 2) return c.maybe_again && c.refused && a.dup; // that the client refused it was lost
    if (c.maybe_again) return true;
    return c.client == client && !c.finished && c.connection != at(client).connection && a.dup;
}

copy* model::find_copy(int client, const arrival& a) {
    copy* found = nullptr;
    const auto rank = [&](const copy& c) { // with DUP one that was seen already; of two one that is owed
        return (c.seen == a.dup ? 4 : 0) + (c.of_retained ? 2 : 0) + (c.must ? 1 : 0);
    };
    for (copy& c : copies_) {
        if (c.client == dead || !may_come(client, c, a)) continue;
        if (found == nullptr || rank(c) > rank(*found)) found = &c;
    }
    if (found == nullptr || !found->of_retained) return found;
    for (copy& c : copies_) // the two look the same: either may be the one
        if (&c != found && !c.seen && c.client == client && may_come(client, c, a)) c.must = c.was_must = false;
    return found;
}

/// Of several that look the same an earlier one may have been taken for this: then they change places.
copy* model::mistaken_copy(int client, const arrival& a) {
    for (copy& c : copies_) {
        if (!c.seen || c.client == dead) continue;
        copy unseen = c;
        static_cast<sight&>(unseen) = {};
        if (!may_come(client, unseen, a)) continue;
        for (copy& real : copies_) {
            if (real.seen || real.client == dead || !looks_right(c.client, real, c.as)) continue;
            for (handling& h : of(c.client).handlings)
                if (h.copy == &c - copies_.data()) h.copy = static_cast<int>(&real - copies_.data());
            real.client = c.client;
            static_cast<sight&>(real) = std::exchange(static_cast<sight&>(c), {});
            return &c;
        }
    }
    return nullptr;
}

/// (j)
copy* model::stray_copy(int client, const arrival& a) {
    for (const publication& p : publications_) {
        if (!p.whenever || p.payload != a.payload || p.topic != a.topic || a.how.qos > p.qos) continue;
        copy c;
        c.publication = p.number;
        c.client = client;
        c.forms.push_back(a.how);
        return &copies_.emplace_back(c);
    }
    return nullptr;
}

/// v5[MQTT-4.6.0-6]: per publisher, topic and QoS.
void model::check_order(int client, const copy& c, const arrival& a) {
    const publication& p = of(c);
    if (!c.group.empty() || p.attempts > 1 || p.whenever || p.payload.empty()) return;
    for (const copy& x : copies_) // one that a SUBSCRIBE brought along cannot be told from it
        if (x.publication == c.publication && x.client == client && x.of_retained) return;
    std::string key = std::to_string(client);
    for (const int part : {at(client).connection, p.publisher, p.qos, a.how.qos}) key += "/" + std::to_string(part);
    int& last = last_in_order_.try_emplace(key + "/" + p.topic, -1).first->second;
    if (p.number <= last) {
        throw divergence{"nothing older than '" + published(last).payload + "'",
                         "PUBLISH " + p.topic + " '" + p.payload + "'"};
    }
    last = p.number;
}

void model::check_expiry(int client, const copy& c, const arrival& a) const {
    const publication& p = of(c);
    if (!a.version5 || p.attempts > 1 || a.payload.empty()) return; // without payload we may take it for another
    if ((p.expiry_s != 0) != a.expiry_s.has_value()) {
        throw divergence{"the Message Expiry Interval of '" + p.payload + "' passed on", "another property"};
    }
    if (!a.expiry_s) return;
    const std::int64_t left = std::max<std::int64_t>(1, (p.expires_ms - now_ms_ + 999) / 1000);
    const bool exact = !c.maybe_late && at(client).reading;
    if (*a.expiry_s > p.expiry_s || *a.expiry_s < left || (exact && *a.expiry_s != left)) {
        throw divergence{"expiry=" + std::to_string(left), "expiry=" + std::to_string(*a.expiry_s)};
    }
}

std::string model::known_of(int client, const arrival& a) const {
    std::string text = "not " + text_of(a.how) + (a.dup ? " dup" : "") + "; to come:";
    for (const copy& c : copies_) {
        if (of(c).payload != a.payload || of(c).topic != a.topic) continue;
        if (c.group.empty() && c.client != client) continue;
        text += "\n      " + (c.group.empty() ? std::string(c.of_retained ? "retained" : "live") : c.group);
        for (const form& f : c.forms) text += " (" + text_of(f) + ")";
        text += std::string(c.must ? " owed" : "") + (c.seen ? " seen" : "") + (c.finished ? " finished" : "") +
                (expired(of(c)) ? " expired" : "");
    }
    return text;
}

// --- what did not come ---

void model::check_nothing_missing(int client) const {
    const session& s = at(client);
    const bool window_open = static_cast<int>(s.handlings.size()) < s.receive_maximum;
    for (const copy& c : copies_) {
        if (c.client != client || !c.group.empty() || !c.must || c.seen || expired(of(c))) continue;
        const bool waits =
            c.of_retained || std::any_of(c.forms.begin(), c.forms.end(), [](const form& f) { return f.qos > 0; });
        if (waits && !window_open) continue;
        throw divergence{"PUBLISH " + of(c).topic + " '" + of(c).payload + "' " + text_of(c.forms.front()), "nothing"};
    }
}

void model::check_shared_delivered() const {
    for (const copy& c : copies_) {
        if (c.group.empty() || !c.must || c.seen || expired(of(c)) || c.maybe_late) continue;
        throw divergence{"a member of " + c.group + " gets '" + of(c).payload + "'", "nobody got it"};
    }
}

} // namespace fb::sim
