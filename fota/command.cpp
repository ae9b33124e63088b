#include "fota/command.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "fota/signed_url.hpp"

namespace fb::fota {
namespace {

class object_writer {
  public:
    object_writer() { out_.StartObject(); }
    void text(const char* key, const std::string& value) {
        out_.Key(key);
        out_.String(value);
    }
    void number(const char* key, std::int64_t value) {
        out_.Key(key);
        out_.Int64(value);
    }
    std::string finish() {
        out_.EndObject();
        return {buffer_.GetString(), buffer_.GetSize()};
    }

  private:
    rapidjson::StringBuffer buffer_;
    rapidjson::Writer<rapidjson::StringBuffer> out_{buffer_};
};

} // namespace

storage::timestamp url_expiry(const storage::update& row) {
    return row.deadline.value_or(row.created_at) + std::chrono::hours(1);
}

std::string download_url(const settings& s, const storage::update_view& update, const storage::firmware& firmware) {
    const auto expires = std::chrono::floor<std::chrono::seconds>(url_expiry(update.row)).time_since_epoch().count();
    const url_claim claim{to_string(firmware.id), update.device_id, to_string(update.row.id),
                          std::to_string(update.row.attempt), std::to_string(expires)};
    return s.public_url + firmware.url + "?" + url_query(s.url_key, claim);
}

std::string encode_install(const settings& s, const storage::update_view& update, const storage::firmware& firmware) {
    object_writer out;
    out.text("version", firmware.version);
    out.text("url", download_url(s, update, firmware));
    out.text("checksum", firmware.checksum);
    out.text("update_id", to_string(update.row.id));
    out.number("attempt", update.row.attempt);
    out.text("action", "install");
    out.number("size", firmware.size);
    out.text("mode", "forced");
    if (update.row.deadline) out.text("deadline", storage::format_timestamp(*update.row.deadline));
    if (firmware.release_notes) out.text("release_notes", *firmware.release_notes);
    return out.finish();
}

std::string encode_cancel(const storage::update_uuid& update_id) {
    object_writer out;
    out.text("action", "cancel");
    out.text("update_id", to_string(update_id));
    return out.finish();
}

} // namespace fb::fota
