#include "broker/app/config_keys.hpp"

#include "broker/net/network_prefix.hpp"
#include "proto/topic.hpp"

namespace fb::app {
namespace {

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t year_s = 365 * day_s;
constexpr std::int64_t ten_years_h = 10 * 365 * 24;
constexpr std::int64_t mib = 1 << 20;
constexpr std::int64_t gib = 1 << 30;
constexpr std::int64_t u32_max = 0xFFFF'FFFF;

bool any_text(std::string_view text) { return !text.empty(); }

bool network(std::string_view text) { return net::network_prefix::parse(text).has_value(); }

fields fields_of(log_config& c) {
    return {word("level", c.level, {"trace", "debug", "info", "warn", "error"}),
            word("format", c.format, {"text", "json"})};
}

fields fields_of(mqtt_listener& c) {
    return {url("url", c.url, mqtt_schemes),
            path_text("cert", c.tls.cert, false),
            path_text("key", c.tls.key, false),
            path_text("client_ca", c.tls.client_ca, true),
            boolean("allow_anonymous", c.allow_anonymous),
            word("device_identity", c.identity, {"certificate", "client-id"}),
            texts("websocket_origins", c.websocket_origins, any_text, "an origin in quotes"),
            file_mode("mode", c.mode),
            boolean("proxy_protocol", c.proxy_protocol),
            texts("proxy_from", c.proxy_from, network, "a network like \"10.0.0.0/8\" or an address, in quotes")};
}

fields fields_of(http_listener& c) {
    return {url("url", c.url, http_schemes), path_text("cert", c.tls.cert, false), path_text("key", c.tls.key, false),
            path_text("client_ca", c.tls.client_ca, true), boolean("plain_beyond_loopback", c.plain_beyond_loopback)};
}

field durability(durability_class& target) { return word("durability", target, {"auto", "none", "batched", "strict"}); }

fields fields_of(topic_rule& c) {
    return {texts("filters", c.filters, proto::valid_topic_filter, "a topic filter in quotes"),
            durability(c.durability)};
}

fields fields_of(state_config& c) { return {number("log_bytes", c.log_bytes, 4 * mib, 16 * gib)}; }

fields fields_of(database_config& c) {
    return {text("url", c.url),
            path_text("password_file", c.password_file, true),
            text("schema", c.schema),
            duration("connect_timeout_s", c.connect_timeout, 1, 300),
            duration("statement_timeout_s", c.statement_timeout, 1, 3600),
            duration("start_wait_s", c.start_wait, 0, day_s),
            number("spool_bytes_max", c.spool_bytes_max, 0, 1024 * gib)};
}

fields fields_of(gateway_config& c) {
    return {text("name", c.name), text("peer_url", c.peer_url), path_text("peer_ca", c.peer_ca, true),
            duration("dead_after_s", c.dead_after, 4, 3600)};
}

fields fields_of(disk_config& c) {
    return {number("write_budget_bytes_per_day", c.write_budget_bytes_per_day, 0, 1024 * gib)};
}

fields fields_of(auth_config& c) {
    return {path_text("password_file", c.password_file, true), boolean("users_are_devices", c.users_are_devices)};
}

fields fields_of(mqtt_config& c) {
    return {boolean("accept_mqtt_31", c.accept_mqtt_31), boolean("check_payload_format", c.check_payload_format),
            text("server_reference", c.server_reference), boolean("server_moved", c.server_moved),
            number("sys_interval_s", c.sys_interval_s, 0, day_s)};
}

fields fields_of(core::acl_rule& c) {
    return {text("principal", c.principal),
            texts("publish", c.publish, proto::valid_topic_filter, "a topic filter in quotes"),
            texts("subscribe", c.subscribe, proto::valid_topic_filter, "a topic filter in quotes")};
}

fields fields_of(core::limits& c) {
    return {number("packet_bytes_max", c.packet_bytes_max, 1024, 268'435'460),
            number("connect_packet_bytes_max", c.connect_packet_bytes_max, 1024, 16 * mib),
            number("topic_bytes_max", c.topic_bytes_max, 64, 65'535),
            number("topic_levels_max", c.topic_levels_max, 4, 65'535),
            number("user_properties_max", c.user_properties_max, 0, 100'000),

            number("subscriptions_max", c.subscriptions_max, 1, 10'000'000),
            number("receive_maximum", c.receive_maximum, 1, 65'535),
            number("pending_acks_max", c.pending_acks_max, 1, 1'000'000),
            number("inflight_max", c.inflight_max, 1, 65'535),
            number("topic_alias_in_max", c.topic_alias_in_max, 0, 65'535),
            number("topic_alias_out_max", c.topic_alias_out_max, 0, 65'535),
            number("queued_messages_max", c.queued_messages_max, 1, 100'000'000),
            number("queued_bytes_max", c.queued_bytes_max, 65'536, 1024 * gib),
            number("backlog_messages_max", c.backlog_messages_max, 1, 100'000'000),
            number("backlog_bytes_max", c.backlog_bytes_max, 4096, u32_max),
            number("output_bytes_high", c.output_bytes_high, 4096, u32_max),
            number("output_bytes_max", c.output_bytes_max, 4096, u32_max),
            number("authenticating_max", c.authenticating_max, 1, 1'000'000),

            number("connect_timeout_s", c.connect_timeout_s, 1, 3600),
            number("keep_alive_max_s", c.keep_alive_max_s, 0, 65'535),
            number("session_expiry_max_s", c.session_expiry_max_s, 0, u32_max),
            number("ack_wait_max_s", c.ack_wait_max_s, 1, 3600),

            number("connections_max", c.connections_max, 1, 10'000'000),
            number("connections_per_address_max", c.connections_per_address_max, 0, 10'000'000),
            number("sessions_max", c.sessions_max, 1, 10'000'000),
            number("retained_messages_max", c.retained_messages_max, 0, 1'000'000'000),
            number("retained_bytes_max", c.retained_bytes_max, 0, 1024 * gib),
            number("match_cache_entries_max", c.match_cache_entries_max, 1, 10'000'000),
            number("memory_bytes_max", c.memory_bytes_max, 0, 1024 * gib),
            number("spill_bytes_max", c.spill_bytes_max, 0, 1024 * gib)};
}

fields fields_of(http_config& c) {
    auto& s = c.server;
    return {tables<http_listener>("listener", c.listeners, [](http_listener& l) { return fields_of(l); }),
            text("public_url", c.public_url),
            number("upload_bytes_max", s.upload_bytes_max, 1, 1024 * gib),
            number("free_bytes_min", s.free_bytes_min, 0, 1024 * gib),
            number("body_bytes_max", s.body_bytes_max, 1024, gib),
            number("connections_max", s.connections_max, 1, 1'000'000),
            duration("idle_timeout_s", s.idle_timeout, 1, 3600),
            number("upload_bytes_per_second_min", s.upload_bytes_per_second_min, 0, gib),
            boolean("metrics_anonymous", s.metrics_anonymous),
            texts("free_version_types", s.free_version_types, any_text, "a device type in quotes")};
}

fields fields_of(retention_config& c) {
    constexpr std::int64_t century_d = 36'500;
    constexpr std::int64_t rows_most = 1'000'000'000'000;
    return {duration("results_days", c.results, 0, century_d), number("results_max", c.results_max, 0, rows_most),
            duration("events_days", c.events, 0, century_d),   number("events_max", c.events_max, 0, rows_most),
            duration("audit_days", c.audit, 0, century_d),     number("audit_max", c.audit_max, 0, rows_most)};
}

fields fields_of(fota::settings& c) {
    return {boolean("auto_register", c.auto_register),
            boolean("auto_register_without_certificate", c.auto_register_without_certificate),
            duration("offer_timeout_s", c.offer_timeout, 1, year_s),
            number("offers_max", c.offers_max, 1, 1000),
            duration("accepted_timeout_s", c.accepted_timeout, 1, year_s),
            duration("download_idle_timeout_s", c.download_idle_timeout, 1, year_s),
            duration("downloaded_timeout_s", c.downloaded_timeout, 1, year_s),
            duration("install_timeout_s", c.install_timeout, 1, year_s),
            duration("verify_timeout_s", c.verify_timeout, 1, year_s),
            duration("soak_s", c.soak, 0, year_s),
            duration("deadline_h", c.deadline, 1, ten_years_h),
            number("attempts_max", c.attempts_max, 1, 100),
            duration("retry_backoff_s", c.retry_backoff, 0, year_s),
            duration("deferred_default_s", c.deferred_default, 1, year_s),
            number("fail_streak_max", c.fail_streak_max, 1, 1000),
            duration("penalty_h", c.penalty, 0, ten_years_h),
            duration("last_seen_interval_s", c.last_seen_interval, 0, day_s),
            number("payload_bytes_max", c.payload_bytes_max, 256, mib),
            number("transfers_max", c.transfers_max, 1, 1'000'000),
            number("block_cache_bytes", c.block_cache_bytes, 65'536, u32_max)};
}

} // namespace

fields fields_of(config& c) {
    return {path_text("data_dir", c.data_dir, false),
            number("shards", c.shards, 0, 256),
            durability(c.durability),
            table("log", fields_of(c.log)),
            tables<mqtt_listener>("listener", c.listeners, [](mqtt_listener& l) { return fields_of(l); }),
            tables<topic_rule>("topic", c.topics, [](topic_rule& r) { return fields_of(r); }),
            table("state", fields_of(c.state)),
            table("database", fields_of(c.database)),
            table("gateway", fields_of(c.gateway)),
            table("disk", fields_of(c.disk)),
            table("retention", fields_of(c.retention)),
            table("auth", fields_of(c.auth)),
            table("mqtt", fields_of(c.mqtt)),
            table("http", fields_of(c.http)),
            table("fota", fields_of(c.fota)),
            tables<core::acl_rule>("acl", c.acl, [](core::acl_rule& r) { return fields_of(r); }),
            table("limits", fields_of(c.limits))};
}

} // namespace fb::app
