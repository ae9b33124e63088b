#include "http/shapes.hpp"

namespace fb::http {

void write(json_text& out, const storage::device& row, const fota::live_device* live) {
    out.begin_object();
    out.member("id", storage::to_string(row.id));
    out.member("device_id", row.device_id);
    out.member("type", row.type);
    out.member("name", row.name);
    out.member("firmware_version", row.firmware_version);
    out.member("last_seen", live && live->last_seen ? live->last_seen : row.last_seen);
    out.member("ip", row.ip);
    out.member("online", live ? live->online : row.online);
    out.key("tags");
    out.stored(row.tags, "[]");
    out.member("hw_rev", row.hw_rev);
    out.key("attributes");
    out.stored(row.attributes, "{}");
    out.member("cert_fingerprint", row.cert_fingerprint);
    out.member("first_seen", row.first_seen);
    out.member("updates_blocked_until", row.updates_blocked_until);
    out.member("fail_streak", row.fail_streak);
    out.key("open_update");
    if (live && live->open_update)
        write(out, *live->open_update);
    else
        out.value(nullptr);
    out.end_object();
}

void write(json_text& out, const storage::firmware& row, const std::string& public_url) {
    out.begin_object();
    out.member("id", storage::to_string(row.id));
    out.member("device_type", row.device_type);
    out.member("version", row.version);
    out.key("url");
    if (row.url.empty()) // deleted
        out.value(nullptr);
    else
        out.value(row.url.starts_with('/') ? public_url + row.url : row.url);
    out.member("checksum", row.checksum);
    out.member("size", row.size);
    out.member("filename", row.filename);
    out.key("state");
    out.value(row.state ? storage::to_string(*row.state) : "");
    out.member("uploaded_by", row.uploaded_by);
    out.member("uploaded_at", row.uploaded_at);
    out.member("sha1", row.sha1);
    out.member("md5", row.md5);
    out.member("min_from_version", row.min_from_version);
    out.key("hw_revs");
    out.stored(row.hw_revs, "[]");
    out.member("release_notes", row.release_notes);
    out.end_object();
}

void write_members(json_text& out, const storage::update_view& view) {
    const auto& row = view.row;
    out.member("id", storage::to_string(row.id));
    out.member("device_id", view.device_id);
    out.member("firmware_id", storage::to_string(row.firmware_id));
    out.member("version", view.firmware_version);
    out.key("state");
    out.value(row.state ? storage::to_string(*row.state) : "");
    out.member("attempt", row.attempt);
    out.member("percent", row.percent);
    out.member("bytes_sent", row.bytes_sent);
    out.member("created_at", row.created_at);
    out.member("sent_at", row.sent_at);
    out.member("error_code", row.error_code);
    out.member("error_text", row.error_text);
    out.member("state_at", row.state_at);
    out.member("from_version", row.from_version);
    out.member("requested_by", row.requested_by);
    out.member("not_before", row.not_before);
    out.member("deadline", row.deadline);
    out.member("allow_downgrade", row.allow_downgrade);
}

void write(json_text& out, const storage::update_view& view) {
    out.begin_object();
    write_members(out, view);
    out.end_object();
}

void write(json_text& out, const storage::result_view& view) {
    const auto& row = view.row;
    out.begin_object();
    out.member("id", storage::to_string(row.id));
    out.key("update_id");
    if (row.update_id)
        out.value(storage::to_string(*row.update_id));
    else
        out.value(nullptr);
    out.member("device_id", view.device_id);
    out.member("firmware_version", row.firmware_version);
    out.key("status");
    out.value(storage::to_string(row.status));
    out.member("timestamp", row.received_at);
    out.member("attempt", row.attempt);
    out.member("code", row.code);
    out.member("message", row.message);
    out.member("device_time", row.device_time);
    out.member("late", row.late);
    out.end_object();
}

void write(json_text& out, const storage::update_event& event) {
    out.begin_object();
    out.member("at", event.at);
    out.key("from_state");
    if (event.from_state)
        out.value(storage::to_string(*event.from_state));
    else
        out.value(nullptr);
    out.key("to_state");
    out.value(storage::to_string(event.to_state));
    out.member("attempt", event.attempt);
    out.member("cause", event.cause);
    out.member("detail", event.detail);
    out.end_object();
}

} // namespace fb::http
