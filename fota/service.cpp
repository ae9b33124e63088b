// The service's start, its clock and the coming and going of devices; the rest of its calls are in service_*.cpp.
#include "fota/service.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "fota/service_impl.hpp"

namespace fb::fota {

service::service(settings s, broker_port& broker, store_port& store, storage::blob_files blobs)
    : impl_(std::make_unique<impl>(std::move(s), broker, store, std::move(blobs))) {}
service::~service() = default;

storage::status service::start(timestamp now) {
    auto& self = *impl_;
    self.now = now;
    const auto& limits = self.limits;
    auto updates = self.store.reader().open_updates(limits.shared ? std::optional(limits.self.id) : std::nullopt);
    if (!updates) return updates.err();
    self.store.submit(storage::gateway_started{limits.self, !limits.shared}, [&self](storage::fota_outcome outcome) {
        if (outcome)
            self.self = self.limits.self.id;
        else
            spdlog::error("fota: devices could not be set offline: {}", outcome.err().text);
    });
    for (auto& view : *updates) {
        auto& s = self.obtain(view.device_id);
        const auto behind = view.row.state_at - now; // the clock may have lost its time while we were away
        s.open.emplace();
        s.open->view = std::move(view);
        if (behind > std::chrono::milliseconds(0)) shift_timers(s.open->view.row, behind);
        self.by_update[s.open->view.row.id] = &s;
        self.rearm(s);
    }
    return storage::done{};
}

bool service::registered() const { return impl_->self.has_value(); }

void service::device_connected(const peer& who, timestamp now) {
    auto& self = *impl_;
    self.see(now);
    auto& s = self.obtain(who.device_id);
    const auto stale = [&](const connection& c) { return c.ref.session == who.connection.session; };
    for (const auto& c : s.connections)
        if (stale(c) && c.ref.epoch >= who.connection.epoch) return; // told late or twice
    for (const auto& c : s.connections)
        if (stale(c)) self.transfers -= s.transfers.forget(c.ref);
    std::erase_if(s.connections, stale);
    s.claim_due |= s.connections.empty() || !self.ours(s);
    s.connections.push_back({who.connection});
    s.address = who.address;
    if (who.certificate_fingerprint) s.fingerprint = who.certificate_fingerprint;
    s.last_seen = now;
    s.said_offline = false;
    if (s.open && s.open->away) s.open->returned = true;
    self.request_settle(s);
}

void service::device_ready(const peer& who, timestamp now) {
    auto& self = *impl_;
    self.see(now);
    auto* s = self.peek(who.device_id);
    if (!s) return;
    const auto own =
        std::find_if(s->connections.begin(), s->connections.end(), [&](auto& c) { return c.ref == who.connection; });
    if (own == s->connections.end()) return;
    own->ready = true;
    s->mailbox.push_back([&self](slot& ready) {
        ready.announce_due = true;
        if (!ready.claim_due || self.away) self.announce(ready);
    });
    self.request_settle(*s);
}

void service::device_not_ready(const peer& who, timestamp now) {
    impl_->see(now);
    auto* s = impl_->peek(who.device_id);
    if (!s) return;
    for (auto& c : s->connections)
        if (c.ref == who.connection) c.ready = false;
    impl_->rearm(*s);
}

void service::device_disconnected(const peer& who, timestamp now) {
    auto& self = *impl_;
    self.see(now);
    auto* s = self.peek(who.device_id);
    if (!s || !s->holds(who.connection)) return;
    std::erase_if(s->connections, [&](const auto& c) { return c.ref == who.connection; });
    self.transfers -= s->transfers.forget(who.connection);
    s->said_offline = false;
    s->last_seen = now;
    if (s->connections.empty()) {
        s->connection_lost = true;
        if (s->open && s->open->view.row.state == update_state::verifying) s->open->away = true;
    }
    self.request_settle(*s);
}

void service::attend(std::vector<storage::hint_view> hints, timestamp now,
                     std::function<void(std::vector<storage::hint_uuid>)> done) {
    auto& self = *impl_;
    self.see(now);
    struct round {
        std::size_t left;
        std::vector<storage::hint_uuid> seen;
        std::function<void(std::vector<storage::hint_uuid>)> done;
    };
    auto all = std::make_shared<round>(round{hints.size(), {}, std::move(done)});
    if (hints.empty()) return all->done({});
    for (auto& h : hints) {
        auto& s = self.obtain(h.device_id);
        s.mailbox.push_back([&self, all, h = std::move(h)](slot& looked) {
            if (self.reload(looked)) {
                all->seen.push_back(h.id);
                if (h.kind == "cancel" && h.update_id && looked.ready()) self.publish_cancel(h.device_id, *h.update_id);
            }
            if (--all->left == 0) all->done(std::move(all->seen));
        });
        self.request_settle(s);
    }
}

void service::look_around(timestamp now) {
    auto& self = *impl_;
    self.see(now);
    std::vector<slot*> elsewhere;
    for (const auto& [id, s] : self.slots)
        if (!s->connections.empty() && !self.ours(*s)) elsewhere.push_back(s.get());
    for (auto* s : elsewhere) self.request_settle(*s);
}

void service::on_report(report r, timestamp now) {
    impl_->see(now);
    impl_->on_report(std::move(r));
}

void service::on_time(timestamp now) {
    auto& self = *impl_;
    self.see(now);
    if (self.away) return;
    std::vector<slot*> due;
    for (const auto& [at, s] : self.timers) {
        if (at > now) break;
        due.push_back(s);
    }
    for (auto* s : due) { // settling one slot never drops another
        s->retry_at.reset();
        self.request_settle(*s);
    }
}

std::optional<timestamp> service::next_deadline() const {
    if (impl_->away || impl_->timers.empty()) return std::nullopt;
    return impl_->timers.begin()->first;
}

void service::on_notice(std::function<void(const update_notice&)> listener) { impl_->listener = std::move(listener); }
const counters& service::statistics() const { return impl_->count; }

} // namespace fb::fota
