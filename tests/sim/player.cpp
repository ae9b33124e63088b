#include "tests/sim/player.hpp"

#include <algorithm>

namespace fb::sim {

// --- what it does ---

void player::connect(connect_sent c) {
    if (!version5()) c.receive_maximum = 65535;
    if (served_ || connecting_) {
        w_.reference.disconnected(number_, true);
        second_line_ = !second_line_;
        forget_connection();
    }
    if (of().is == session::unknown) c.clean = true;
    if (!version5()) c.expiry_s = c.clean ? 0 : longest_expiry_s;
    test::connect_options o;
    o.clean = c.clean;
    o.expiry_s = c.expiry_s;
    o.receive_maximum = static_cast<std::uint16_t>(c.receive_maximum);
    if (c.will) {
        proto::will w;
        w.topic = c.will->topic;
        w.payload = c.will->payload;
        w.quality = static_cast<proto::qos>(c.will->qos);
        w.delay_s = c.will->delay_s;
        o.will = w;
    }
    say("connects" + std::string(c.clean ? " clean" : "") + " expiry=" + std::to_string(c.expiry_s) +
        (version5() ? " receive_maximum=" + std::to_string(c.receive_maximum) : " (3.1.1)") +
        (c.will ? " will '" + c.will->payload + "' on " + c.will->topic + " q" + std::to_string(c.will->qos) +
                      " after " + std::to_string(c.will->delay_s) + " s"
                : ""));
    w_.reference.connect(number_, c);
    connecting_ = true;
    line().connect(o);
}

bool player::disconnect(bool with_will, std::optional<std::uint32_t> expiry_s) {
    if (!served_) return false;
    if (!version5()) with_will = false;
    if (!version5() || of().expiry_s == 0) expiry_s.reset();
    say(std::string("disconnects") + (with_will ? " with its will" : "") +
        (expiry_s ? " expiry=" + std::to_string(*expiry_s) : ""));
    w_.reference.disconnected(number_, with_will, expiry_s);
    const auto reason = with_will ? proto::reason_code::disconnect_with_will : proto::reason_code::success;
    line().disconnect(reason, expiry_s);
    forget_connection();
    return true;
}

bool player::cut() {
    if (!served_ && !connecting_) return false;
    say("is cut off");
    w_.reference.disconnected(number_, true);
    line().cut();
    forget_connection();
    return true;
}

void player::forget_connection() {
    served_ = connecting_ = false;
    requests_.clear();
    swapped_.reset();
}

void player::power_cut() {
    forget_connection();
    second_line_ = false;
}

std::uint16_t player::free_id() const {
    for (std::uint16_t id = 1;; ++id) {
        const bool of_sent = std::any_of(sent_.begin(), sent_.end(), [&](const auto& s) { return s.id == id; });
        const bool of_request =
            std::any_of(requests_.begin(), requests_.end(), [&](const auto& r) { return r.id == id; });
        if (!of_sent && !of_request) return id;
    }
}

bool player::subscribe(const std::string& filter, subscription s) {
    if (!served_ || (is_shared(filter) && !version5())) return false;
    if (is_shared(filter)) s.no_local = false; // v5[MQTT-3.8.3-4]
    if (!version5()) s = {.qos = s.qos};
    proto::subscribe p;
    p.id = free_id();
    proto::subscription_options o;
    o.maximum_qos = static_cast<proto::qos>(s.qos);
    o.no_local = s.no_local;
    o.retain_as_published = s.as_published;
    o.retained = static_cast<proto::retain_handling>(s.retain_handling);
    p.requests = {{filter, o}};
    if (s.id != 0) p.properties.subscription_id = s.id;
    say("subscribes to " + filter + " q" + std::to_string(s.qos) + (s.no_local ? " no-local" : "") +
        (s.as_published ? " retain-as-published" : "") + " retain-handling=" + std::to_string(s.retain_handling) +
        " id=" + std::to_string(s.id));
    requests_.push_back({p.id, filter, w_.reference.subscribe(number_, filter, s), s.qos});
    line().send(p);
    return true;
}

bool player::unsubscribe(const std::string& filter) {
    if (!served_ || (is_shared(filter) && !version5())) return false;
    proto::unsubscribe p;
    p.id = free_id();
    p.filters = {filter};
    say("unsubscribes from " + filter);
    requests_.push_back({p.id, filter, w_.reference.unsubscribe(number_, filter)});
    line().send(p);
    return true;
}

bool player::publish(publication p) {
    if (!served_ || sent_.size() >= 15) return false;
    if (!version5() || (p.payload.empty() && p.retain)) p.expiry_s = 0;
    p.publisher = number_;
    if (!p.payload.empty() || !p.retain) p.payload = "m" + std::to_string(w_.reference.next_number());
    sent_publish s{p.qos == 0 ? std::uint16_t{0} : free_id(), 0, p.qos};
    s.number = w_.reference.publish(p);
    if (p.qos > 0) sent_.push_back(s);
    send_publish(s, false);
    return true;
}

void player::send_publish(const sent_publish& s, bool dup) {
    const publication& p = w_.reference.published(s.number);
    test::publish_options o;
    o.retain = p.retain;
    o.dup = dup;
    o.id = s.id;
    if (p.expiry_s != 0) o.expiry_s = p.expiry_s;
    say("publishes " + p.topic + " '" + p.payload + "' q" + std::to_string(p.qos) + " #" + std::to_string(s.id) +
        (p.retain ? " retain" : "") + (p.expiry_s != 0 ? " expiry=" + std::to_string(p.expiry_s) : "") +
        (dup ? " again" : ""));
    line().publish(std::string(p.topic), std::string(p.payload), p.qos, o);
}

/// v5[MQTT-4.4.0-1]
void player::send_again() {
    for (std::size_t i = 0; i < sent_.size(); ++i) {
        sent_publish& s = sent_[i];
        if (s.pubrec_came) {
            s.released = true;
            say("releases #" + std::to_string(s.id) + " again");
            line().pubrel(s.id);
        } else {
            w_.reference.publish_again(s.number);
            send_publish(s, true);
        }
    }
}

/// Within a kind in the order in which they came (v5[MQTT-4.6.0-2] v5[MQTT-4.6.0-3]).
bool player::acknowledge(int preference, bool refuse) {
    if (!served_) return false;
    for (int i = 0; i < 3; ++i) {
        const int kind = (preference + i) % 3;
        for (const handling& h : of().handlings) {
            const int its = h.at == handling::pubrel_came ? 2 : h.qos - 1;
            const bool due = h.at == handling::pubrel_came || (h.at == handling::publish_came && h.counts);
            if (its != kind || !due) continue;
            finish(handling(h), refuse && version5() && kind == 1);
            return true;
        }
    }
    return false;
}

void player::finish(const handling& h, bool refuse) {
    const std::string id = " #" + std::to_string(h.id);
    w_.reference.finish(number_, h.id, refuse);
    if (h.at == handling::pubrel_came) {
        say("sends PUBCOMP" + id);
        line().pubcomp(h.id);
    } else if (h.qos == 1) {
        say("sends PUBACK" + id);
        line().puback(h.id);
    } else {
        say("sends PUBREC" + id + (refuse ? " refusing" : ""));
        line().pubrec(h.id, refuse ? proto::reason_code::quota_exceeded : proto::reason_code::success);
    }
}

/// In the order of the PUBRECs: v5[MQTT-4.6.0-4].
bool player::release() {
    if (!served_) return false;
    for (sent_publish& s : sent_) {
        if (!s.pubrec_came || s.released) continue;
        s.released = true;
        say("releases #" + std::to_string(s.id));
        line().pubrel(s.id);
        return true;
    }
    return false;
}

bool player::stop_reading() {
    if (!served_ || !of().reading) return false;
    say("stops reading");
    w_.reference.reading(number_, false);
    line().stop_reading();
    return true;
}

bool player::read() {
    if (!served_ || of().reading) return false;
    say("reads again");
    line().start_reading();
    return true;
}

void player::check_quiet() const {
    if (!served_ && !connecting_) return;
    if (connecting_) throw divergence{name_ + " gets CONNACK", "nothing"};
    if (!of().reading) return;
    if (!requests_.empty()) throw divergence{name_ + "'s SUBACK or UNSUBACK for " + requests_[0].filter, "nothing"};
    for (const sent_publish& s : sent_) {
        if (s.qos == 1 || !s.pubrec_came || s.released)
            throw divergence{name_ + "'s acknowledgement of #" + std::to_string(s.id), "nothing"};
    }
    w_.reference.check_nothing_missing(number_);
}

// --- what comes ---

void player::take_packets() {
    if (!served_ && !connecting_) return;
    for (std::string bytes = line().take_bytes(); !bytes.empty(); bytes = line().take_bytes()) handle(bytes);
    if (served_ && line().read_budget() > 0) w_.reference.reading(number_, true);
    if (line().online()) return;
    if (!w_.lenient) throw divergence{name_ + " stays connected", "closed"};
    say("was closed");
    if (served_) w_.reference.forget(number_);
    forget_connection();
}

void player::handle(const std::string& bytes) {
    w_.story.push_back("    -> " + name_ + ": " + test::describe(bytes, version_));
    const auto p = test::decode_one(bytes, version_, false);
    if (!p) throw divergence{"a packet that can be read", p.error().what};
    std::visit([&](const auto& one) { on(one); }, *p);
}

void player::on(const proto::connack& p) {
    if (p.reason != proto::reason_code::success) {
        if (!w_.lenient) throw divergence{"to be let in", "CONNACK " + test::code(p.reason)};
        return;
    }
    w_.reference.connack(number_, p.session_present);
    connecting_ = false;
    served_ = true;
    if (!p.session_present) sent_.clear();
    send_again();
}

void player::acknowledged(sent_publish& s, proto::reason_code reason) {
    if (is_error(reason) && !w_.lenient) throw divergence{"no refusal", test::code(reason)};
    w_.reference.acknowledged(s.number, reason == proto::reason_code::no_matching_subscribers);
    if (s.qos == 2 && !is_error(reason))
        s.pubrec_came = true;
    else
        std::erase_if(sent_, [id = s.id](const auto& x) { return x.id == id; });
}

void player::on(const proto::puback& p) {
    const auto s = std::find_if(sent_.begin(), sent_.end(), [](const auto& x) { return x.qos == 1; });
    if (s == sent_.end() || s->id != p.id) throw divergence{"PUBACKs in their order", "#" + std::to_string(p.id)};
    acknowledged(*s, p.reason);
}

void player::on(const proto::pubrec& p) {
    const auto s = std::find_if(sent_.begin(), sent_.end(), [](const auto& x) { return x.qos == 2 && !x.pubrec_came; });
    if (s == sent_.end() || s->id != p.id) throw divergence{"PUBRECs in their order", "#" + std::to_string(p.id)};
    acknowledged(*s, p.reason);
}

void player::on(const proto::pubcomp& p) {
    const auto s = std::find_if(sent_.begin(), sent_.end(), [&](const auto& x) { return x.id == p.id && x.released; });
    if (s == sent_.end()) throw divergence{"PUBCOMP after PUBREL", "#" + std::to_string(p.id)};
    sent_.erase(s);
}

void player::on(const proto::pubrel& p) { w_.reference.released(number_, p.id); }

void player::answered(std::uint16_t id, proto::reason_code reason) {
    if (requests_.empty() || requests_.front().id != id) throw divergence{"answers in order", std::to_string(id)};
    const request r = requests_.front();
    requests_.pop_front();
    if (r.qos >= 0 && static_cast<int>(reason) != r.qos) throw divergence{"the QoS asked for", test::code(reason)};
    w_.reference.answered(number_, r.filter, r.number);
}

void player::on(const proto::publish& p) {
    arrival a;
    a.topic = p.topic;
    a.payload = p.payload;
    a.how.qos = static_cast<int>(p.quality);
    a.how.retain = p.retain;
    a.how.ids = p.properties.subscription_ids;
    std::sort(a.how.ids.begin(), a.how.ids.end());
    a.dup = p.dup;
    a.id = p.id;
    a.version5 = version5();
    a.expiry_s = p.properties.message_expiry_s;
    deliver(a);
    last_id_ = a.id;
}

/// To the model, unless something is to be wrong.
void player::deliver(arrival a) {
    const bool fits = w_.wrong != fault::none && w_.wrong != fault::forget_row && a.how.qos > 0 && !swapped_ &&
                      (w_.wrong != fault::repeat || a.how.qos == 2) && (w_.wrong != fault::reuse_id || last_id_ != 0);
    const fault now = fits && w_.wrong_in-- == 0 ? w_.wrong : fault::none;
    if (now == fault::drop) return;
    if (now == fault::swap) {
        swapped_ = a;
        return;
    }
    if (now == fault::retain_bit) a.how.retain = !a.how.retain;
    if (now == fault::reuse_id) a.id = last_id_;
    w_.reference.arrived(number_, a);
    if (now == fault::repeat) {
        a.id = static_cast<std::uint16_t>(a.id + 1000);
        w_.reference.arrived(number_, a);
    }
    if (swapped_) w_.reference.arrived(number_, *std::exchange(swapped_, std::nullopt));
}

} // namespace fb::sim
