// The broker's counters: in Prometheus' text format, and as totals for $SYS.
#include "broker/net/broker.hpp"

namespace fb::net {
namespace {

struct row {
    const char* name;
    const char* type;
    const char* help;
    core::counter core::counters::*value;
};

constexpr row engine_rows[] = {
    {"fotabroker_connections", "gauge", "Clients connected", &core::counters::connections},
    {"fotabroker_sessions", "gauge", "Sessions, connected or not", &core::counters::sessions},
    {"fotabroker_connects_accepted_total", "counter", "CONNECTs accepted", &core::counters::connects_accepted},
    {"fotabroker_connects_refused_total", "counter", "CONNECTs refused", &core::counters::connects_refused},
    {"fotabroker_authentications_failed_total", "counter", "Wrong user names, passwords or proofs",
     &core::counters::authentications_failed},
    {"fotabroker_takeovers_total", "counter", "Sessions taken over by a new connection", &core::counters::takeovers},
    {"fotabroker_protocol_violations_total", "counter", "Malformed packets and protocol errors",
     &core::counters::protocol_violations},
    {"fotabroker_publishes_received_total", "counter", "PUBLISH packets received", &core::counters::publishes_received},
    {"fotabroker_publishes_sent_total", "counter", "PUBLISH packets sent", &core::counters::publishes_sent},
    {"fotabroker_publishes_refused_total", "counter", "PUBLISH packets refused by ACL or limit",
     &core::counters::publishes_refused},
    {"fotabroker_reports_refused_total", "counter", "Device reports refused", &core::counters::reports_refused},
    {"fotabroker_crossings_total", "counter", "Messages handed to another shard", &core::counters::crossings_sent},
    {"fotabroker_dropped_slow_reader_total", "counter", "QoS 0 messages dropped for slow readers",
     &core::counters::dropped_slow_reader},
    {"fotabroker_dropped_queue_full_total", "counter", "QoS 1 and 2 messages refused by a full session queue",
     &core::counters::dropped_queue_full},
    {"fotabroker_publishers_held_total", "counter", "Times a publisher was not read because memory was short",
     &core::counters::publishers_held},
    {"fotabroker_dropped_no_member_total", "counter", "Messages no member of a shared subscription could take",
     &core::counters::dropped_no_member},
    {"fotabroker_dropped_expired_total", "counter", "Messages that expired in a queue",
     &core::counters::dropped_expired},
    {"fotabroker_dropped_too_large_total", "counter", "Messages larger than the client allows",
     &core::counters::dropped_too_large},
    {"fotabroker_retained_refused_total", "counter", "Retained messages not kept: the store is full",
     &core::counters::retained_refused},
    {"fotabroker_store_refusals_total", "counter",
     "Publications, subscriptions and sessions refused because the state store fails", &core::counters::store_refusals},
    {"fotabroker_wills_published_total", "counter", "Wills published", &core::counters::wills_published},
    {"fotabroker_sessions_expired_total", "counter", "Sessions that expired", &core::counters::sessions_expired},
    {"fotabroker_packets_received_total", "counter", "Packets received", &core::counters::packets_received},
    {"fotabroker_packets_sent_total", "counter", "Packets sent", &core::counters::packets_sent},
    {"fotabroker_received_bytes_total", "counter", "Bytes of packets received", &core::counters::bytes_received},
    {"fotabroker_sent_bytes_total", "counter", "Bytes sent", &core::counters::bytes_sent},
};

struct net_row {
    const char* name;
    const char* help;
    core::counter net_counters::*value;
};

constexpr net_row net_rows[] = {
    {"fotabroker_accepted_total", "Connections accepted", &net_counters::accepted},
    {"fotabroker_accept_no_descriptors_total", "Connections refused for want of file descriptors",
     &net_counters::accept_no_descriptors},
    {"fotabroker_accept_per_address_total", "Connections refused by connections_per_address_max",
     &net_counters::address_refused},
    {"fotabroker_accept_pending_dropped_total", "Connections dropped before CONNECT to let others in",
     &net_counters::pending_dropped},
    {"fotabroker_tls_handshakes_total", "TLS handshakes done", &net_counters::tls_handshakes},
    {"fotabroker_tls_handshake_steps_total", "Times the pool went on with a TLS handshake", &net_counters::tls_steps},
    {"fotabroker_tls_resumed_total", "TLS handshakes that resumed a session", &net_counters::tls_resumed},
    {"fotabroker_tls_failed_total", "TLS handshakes failed", &net_counters::tls_failed},
    {"fotabroker_proxy_refused_total", "Connections refused: no valid PROXY header", &net_counters::proxy_refused},
    {"fotabroker_websocket_upgrades_total", "WebSockets begun", &net_counters::websocket_upgrades},
    {"fotabroker_websocket_refused_total", "HTTP requests that began no WebSocket", &net_counters::websocket_refused},
    {"fotabroker_websocket_broken_total", "WebSockets ended for breaking the rules of frames",
     &net_counters::websocket_broken},
    {"fotabroker_connections_moved_total", "Connections handed to their home shard", &net_counters::moved},
    {"fotabroker_turns_total", "Turns of the shards' loops", &net_counters::turns},
};

void append(std::string& out, const char* name, const char* type, const char* help, std::uint64_t value) {
    out += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n" + name + " " +
           std::to_string(value) + "\n";
}

} // namespace

std::uint64_t broker::sum(core::counter core::counters::*which) const {
    std::uint64_t total = 0;
    for (const auto& s : shards_) total += (s->statistics().*which).get();
    return total;
}

std::vector<system_value> broker::system_values(std::int64_t mono_ms) {
    using core::counters;
    system_totals t;
    t.connected = sum(&counters::connections);
    t.sessions = sum(&counters::sessions);
    t.sessions_expired = sum(&counters::sessions_expired);
    for (const auto& s : shards_) t.sockets += s->net_statistics().accepted.get();
    t.connections = sum(&counters::connects_accepted);
    t.packets_received = sum(&counters::packets_received);
    t.packets_sent = sum(&counters::packets_sent);
    t.publishes_received = sum(&counters::publishes_received);
    t.publishes_sent = sum(&counters::publishes_sent);
    t.publishes_dropped = sum(&counters::dropped_slow_reader) + sum(&counters::dropped_queue_full) +
                          sum(&counters::dropped_no_member) + sum(&counters::dropped_expired) +
                          sum(&counters::dropped_too_large) + sum(&counters::publishes_refused);
    t.bytes_received = sum(&counters::bytes_received);
    t.bytes_sent = sum(&counters::bytes_sent);
    t.subscriptions = index_.subscription_count();
    t.retained = retained_.message_count();
    if (!system_topics_) system_topics_.emplace(settings_.version, mono_ms);
    return system_topics_->update(t, mono_ms);
}

void broker::append_metrics(std::string& out) const {
    for (const row& r : engine_rows) append(out, r.name, r.type, r.help, sum(r.value));
    for (const net_row& r : net_rows) {
        std::uint64_t total = 0;
        for (const auto& s : shards_) total += (s->net_statistics().*r.value).get();
        append(out, r.name, "counter", r.help, total);
    }
    append(out, "fotabroker_retained_messages", "gauge", "Retained messages", retained_.message_count());
    append(out, "fotabroker_retained_bytes", "gauge", "Bytes of retained messages", retained_.bytes());
    append(out, "fotabroker_subscriptions", "gauge", "Subscriptions", index_.subscription_count());
}

} // namespace fb::net
