// The table of everything that exists over HTTP.
#include "http/handlers.hpp"

namespace fb::http {

namespace {

route get(std::string_view pattern, handler run, std::string_view operation, std::string_view summary,
          std::string_view answers_with) {
    route r;
    r.method = "GET";
    r.pattern = pattern;
    r.run = run;
    r.operation = operation;
    r.summary = summary;
    r.answers_with = answers_with;
    r.problems = {401, 403, 429, 503};
    return r;
}

route list_of(route r, std::vector<std::string_view> filters) {
    r.query = std::move(filters);
    r.query.insert(r.query.begin(), {"limit", "cursor"});
    r.problems.push_back(400);
    return r;
}

route or_404(route r) {
    r.problems.push_back(404);
    return r;
}

route open_to(route r, access who) {
    r.who = who;
    if (who == access::anyone) r.problems = {};
    return r;
}

route change(std::string_view method, route r, body_kind body, std::vector<int> problems) {
    r.method = method;
    r.least = role::operator_;
    r.body = body;
    r.problems.insert(r.problems.end(), problems.begin(), problems.end());
    return r;
}

route gone(route r) {
    r.success = 204;
    return r;
}

route created(route r) {
    r.success = 201;
    return r;
}

void add_firmware_routes(std::vector<route>& t) {
    t.push_back(created(change("POST",
                               get("/api/v1/firmwares", upload_firmware, "uploadFirmware",
                                   "Upload a firmware; the file is hashed as it arrives", "Firmware"),
                               body_kind::stream, {400, 409, 411, 413, 415, 422, 507})));
    t.push_back(
        list_of(get("/api/v1/firmwares", list_firmwares, "listFirmwares", "Firmwares, newest first", "FirmwareList"),
                {"device_type", "state", "firmware_id"}));
    t.push_back(
        or_404(get("/api/v1/firmwares/{firmware_id}", get_firmware, "getFirmware", "One firmware", "Firmware")));
    t.push_back(or_404(change("POST",
                              get("/api/v1/firmwares/{firmware_id}/revoke", revoke_firmware, "revokeFirmware",
                                  "Never offer it again; its downloads answer 410", "Firmware"),
                              body_kind::optional_json, {409, 422})));
    t.push_back(or_404(gone(change("DELETE",
                                   get("/api/v1/firmwares/{firmware_id}", delete_firmware, "deleteFirmware",
                                       "Delete its file, and its row unless updates name it; those that do show it as "
                                       "revoked",
                                       ""),
                                   body_kind::none, {409}))));
}

void add_device_routes(std::vector<route>& t) {
    t.push_back(list_of(get("/api/v1/devices", list_devices, "listDevices", "Devices by device_id", "DeviceList"),
                        {"device_id", "device_type"}));
    t.push_back(or_404(get("/api/v1/devices/{device_id}", get_device, "getDevice", "One device", "Device")));
    t.push_back(
        or_404(change("PATCH",
                      get("/api/v1/devices/{device_id}", patch_device, "patchDevice",
                          "Set name, type or tags; the device's own reports then leave name and type alone", "Device"),
                      body_kind::json, {400, 411, 413, 415})));
    t.push_back(or_404(gone(change("DELETE",
                                   get("/api/v1/devices/{device_id}", delete_device, "deleteDevice",
                                       "Delete a device and its history; with its next status it is registered anew. "
                                       "force=1: even while it is being updated",
                                       ""),
                                   body_kind::none, {400, 409}))));
    t.back().query = {"force"};
    t.push_back(or_404(get("/api/v1/devices/{device_id}/explain", explain_device, "explainDevice",
                           "Why this device is, or is not, being updated, in words", "Explanation")));
}

void add_update_routes(std::vector<route>& t) {
    t.push_back(or_404(created(change("POST",
                                      get("/api/v1/updates", trigger_updates, "triggerUpdates",
                                          "Give devices a firmware: one update per device", "TriggerAnswer"),
                                      body_kind::json, {400, 409, 411, 413, 415, 422}))));
    t.push_back(list_of(get("/api/v1/updates", list_updates, "listUpdates", "Updates, newest first", "UpdateList"),
                        {"device_id", "device_type", "state", "firmware_id"}));
    t.push_back(or_404(
        get("/api/v1/updates/{update_id}", get_update, "getUpdate", "One update and its history", "UpdateWithEvents")));
    t.push_back(or_404(change("POST",
                              get("/api/v1/updates/{update_id}/cancel", cancel_update, "cancelUpdate",
                                  "Cancel an update that is not being installed yet", "Update"),
                              body_kind::optional_json, {409, 422})));
    t.push_back(list_of(get("/api/v1/update-results", list_results, "listUpdateResults",
                            "What devices reported, newest first", "UpdateResultList"),
                        {"device_id", "device_type", "status", "firmware_id"}));
    t.push_back(list_of(get("/api/v1/reports/fleet", report_fleet, "reportFleet",
                            "Devices by type and version, both as texts", "FleetReport"),
                        {"device_type"}));
    t.push_back(list_of(get("/api/v1/reports/firmwares", report_firmwares, "reportFirmwares",
                            "What became of each firmware's updates, newest firmware first", "FirmwareReport"),
                        {"device_type", "firmware_id"}));
    t.push_back(list_of(get("/api/v1/reports/durations", report_durations, "reportDurations",
                            "From trigger to success, newest firmware first", "DurationReport"),
                        {"device_type", "firmware_id"}));
    t.push_back(list_of(get("/api/v1/reports/stuck", report_stuck, "reportStuck",
                            "Devices whose open update does not get on, by device_id", "StuckReport"),
                        {"device_type", "firmware_id"}));
}

void add_other_routes(std::vector<route>& t) {
    t.push_back(get("/api/v1/events", watch_events, "watchEvents", "Server-sent events: every transition and progress",
                    "text/event-stream"));
    t.push_back(open_to(get("/api/v1/openapi.json", openapi, "getOpenapi", "This document", "application/json"),
                        access::anyone));
    t.push_back(open_to(get("/healthz", healthz, "getHealth", "Is the process well?", "Health"), access::anyone));
    t.back().problems = {503};
    t.push_back(open_to(get("/readyz", readyz, "getReadiness", "Do the database and updates answer?", "Health"),
                        access::anyone));
    t.back().problems = {503};
    t.push_back(open_to(get("/metrics", metrics, "getMetrics", "Prometheus text", "text/plain"), access::own));
    t.push_back(open_to(or_404(get("/fw/{firmware_id}/{file}", download_firmware, "downloadFirmware",
                                   "A firmware's bytes; ranges are honoured", "application/octet-stream")),
                        access::own));
    t.back().query = {"u", "a", "e", "s"};
    t.back().problems.insert(t.back().problems.end(), {410, 416});
    t.push_back(
        open_to(or_404(get("/peer/v1/files/{sha256}", serve_peer_file, "getPeerFile",
                           "A firmware file, for the other gateways on the same database", "application/octet-stream")),
                access::own));
    t.back().problems.push_back(416);
}

std::vector<route> all_routes() {
    std::vector<route> t;
    add_firmware_routes(t);
    add_device_routes(t);
    add_update_routes(t);
    add_other_routes(t);
    return t;
}

} // namespace

const router& api() {
    static const router table(all_routes());
    return table;
}

} // namespace fb::http
