// Devices and firmwares that operators take out of the books. Authority was checked by the caller.
#include <spdlog/spdlog.h>

#include "fota/service_impl.hpp"

namespace fb::fota {
namespace {

problem no_device(const std::string& id) { return {404, "not_found", "there is no device " + id}; }

} // namespace

void service::delete_device(const std::string& device_id, bool force, const std::string& by, timestamp now,
                            reply<storage::device> done) {
    auto& self = *impl_;
    self.see(now);
    self.enqueue(self.obtain(device_id),
                 [&self, force, by, done = std::move(done)](slot& s) { self.delete_device(s, force, by, done); });
}

void service::impl::delete_device(slot& s, bool force, const std::string& by, const reply<storage::device>& done) {
    if (!ensure_loaded(s)) return done(std::nullopt, unavailable("it cannot be read"));
    if (!s.row) return done(std::nullopt, no_device(s.device_id));
    std::optional<storage::update_uuid> told; // that it shall install something, and may still be stopped
    if (s.open) {
        const storage::update& u = s.open->view.row;
        if (!force && *u.state > update_state::accepted)
            return done(std::nullopt, {409, "busy",
                                       "update " + to_string(u.id) + " is " + storage::to_string(*u.state) +
                                           "; cancel it, wait for its end, or ask with force=1"});
        if (next_state(*u.state, stimulus::cancel) && *u.state >= update_state::offered) told = u.id;
    }
    auto entry = audit(by, "device.delete", s.device_id, "and its history");
    if (s.open) *entry.detail += ", update " + to_string(s.open->view.row.id) + " included";
    write(s, storage::delete_device{s.device_id, true, std::move(entry)},
          [this, row = *s.row, told, done](slot& self, written w) {
              if (w != written::done)
                  return done(std::nullopt, self.row ? unavailable("it was not deleted") : no_device(self.device_id));
              if (told && self.ready()) publish_cancel(self.device_id, *told);
              spdlog::warn("fota: device {} and its history are deleted", self.device_id);
              done(row, {});
          });
}

void service::delete_firmware(const std::string& firmware_id, const std::string& by, timestamp now,
                              reply<storage::firmware> done) {
    auto& self = *impl_;
    self.see(now);
    problem why;
    const auto row = self.find_firmware(firmware_id, why);
    if (!row) return done(std::nullopt, why);
    auto entry = self.audit(by, "firmware.delete", *row);
    self.store.submit(storage::delete_firmware{row->id, std::move(entry)},
                      [row = *row, done](storage::fota_outcome outcome) {
                          if (outcome) {
                              spdlog::warn("fota: firmware {} {} is deleted", row.device_type, row.version);
                              return done(row, {});
                          }
                          switch (outcome.err().kind) {
                          case storage::error_kind::conflict:
                              return done(std::nullopt, {409, "in_use",
                                                         "an open update, a rollout or a device of type " +
                                                             row.device_type + " needs version " + row.version});
                          case storage::error_kind::not_found:
                              return done(std::nullopt, {404, "not_found", "it is deleted already"});
                          default: return done(std::nullopt, unavailable(outcome.err().text));
                          }
                      });
}

} // namespace fb::fota
