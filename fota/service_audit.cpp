// What operators did, in the words of the audit log. Rows are stored with the change itself (storage::audit_entry).
#include "fota/service_impl.hpp"

namespace fb::fota {
namespace {

constexpr std::size_t listed_bytes_max = 1024; // of the devices of one trigger

std::string listed(const std::vector<std::string>& ids) {
    std::string out;
    for (const auto& id : ids) {
        if (out.size() + id.size() > listed_bytes_max) return out + ", ...";
        out += (out.empty() ? "" : ", ") + id;
    }
    return out;
}

std::string devices(std::size_t count) { return std::to_string(count) + (count == 1 ? " device" : " devices"); }

} // namespace

storage::audit_entry service::impl::audit(std::string by, std::string action, std::string subject,
                                          std::string detail) const {
    return {now, std::move(by), std::move(action), std::move(subject), std::move(detail)};
}

storage::audit_entry service::impl::audit(std::string by, std::string action, const storage::firmware& f) const {
    return audit(std::move(by), std::move(action), to_string(f.id),
                 f.device_type + " " + f.version + ", " + f.checksum);
}

storage::audit_entry service::impl::audit(const std::string& by, const storage::patch_device& change) const {
    std::string detail;
    const auto add = [&](const char* what, const std::optional<std::string>& value) {
        if (value) detail.append(detail.empty() ? "" : ", ").append(what).append(": ").append(*value);
    };
    add("name", change.name);
    add("type", change.type);
    add("tags", change.tags);
    return audit(by, "device.patch", change.device_id, std::move(detail));
}

storage::audit_entry service::impl::audit_trigger(const trigger_request& request, const storage::firmware& f,
                                                  const std::vector<std::string>& device_ids) const {
    auto detail = f.device_type + " " + f.version + " to " + devices(device_ids.size());
    detail += request.device_type ? ": all of type " + *request.device_type : ": " + listed(device_ids);
    if (request.allow_downgrade) detail += "; downgrades allowed";
    return audit(request.requested_by, "update.trigger", to_string(f.id), std::move(detail));
}

/// A device that finished before its cancel arrived has succeeded. Nothing: it is not that.
std::optional<storage::audit_entry> service::impl::audit_lost_cancel(const slot& s, const step& st) const {
    for (const auto& event : st.events)
        if (event.from_state == update_state::canceled && event.to_state == update_state::succeeded)
            return audit("fotabroker", "update.cancel_lost", to_string(st.wanted.id),
                         "device " + s.device_id + " had installed it before the cancel arrived");
    return std::nullopt;
}

} // namespace fb::fota
