// The handlers behind the routes (routes.cpp), one file per resource. Each is called with a request that has passed its
// route's role, query and body checks.
#pragma once

#include <map>

#include "http/context.hpp"
#include "http/json.hpp"
#include "http/list_query.hpp"
#include "http/router.hpp"

namespace fb::http {

// handlers_firmware.cpp, upload.cpp, download.cpp
task<response> upload_firmware(context& ctx, request& r);
task<response> list_firmwares(context& ctx, request& r);
task<response> get_firmware(context& ctx, request& r);
task<response> revoke_firmware(context& ctx, request& r);
task<response> download_firmware(context& ctx, request& r);
task<response> serve_peer_file(context& ctx, request& r); // peer_file.cpp

// handlers_devices.cpp
task<response> list_devices(context& ctx, request& r);
task<response> get_device(context& ctx, request& r);
task<response> patch_device(context& ctx, request& r);
task<response> explain_device(context& ctx, request& r);

// handlers_deletions.cpp
task<response> delete_device(context& ctx, request& r);
task<response> delete_firmware(context& ctx, request& r);

// handlers_updates.cpp
task<response> trigger_updates(context& ctx, request& r);
task<response> list_updates(context& ctx, request& r);
task<response> get_update(context& ctx, request& r);
task<response> cancel_update(context& ctx, request& r);
task<response> list_results(context& ctx, request& r);

// handlers_reports.cpp
task<response> report_fleet(context& ctx, request& r);
task<response> report_firmwares(context& ctx, request& r);
task<response> report_durations(context& ctx, request& r);
task<response> report_stuck(context& ctx, request& r);

// events.cpp, health.cpp, openapi.cpp
task<response> watch_events(context& ctx, request& r);
task<response> healthz(context& ctx, request& r);
task<response> readyz(context& ctx, request& r);
task<response> metrics(context& ctx, request& r);
task<response> openapi(context& ctx, request& r);

/// The whole table.
const router& api();
/// The OpenAPI 3.1 document of a table.
std::string openapi_document(const router& table, const std::string& version);

// Shared by the lists (lists.cpp).

/// What memory knows of these devices, by device id.
using live_devices = std::map<std::string, fota::live_device>;
task<or_problem<live_devices>> live_of(context& ctx, std::vector<std::string> device_ids);
/// The view as memory knows it, when it is its device's open update.
const storage::update_view& freshest(const storage::update_view& view, const live_devices& live);

/// {"items":[...],"next":...}; `write_item(out, row)`.
template <class Row, class Write>
response page_response(const storage::page<Row>& page, Write write_item) {
    json_text out;
    out.begin_object();
    out.key("items");
    out.begin_array();
    for (const auto& row : page.items) write_item(out, row);
    out.end_array();
    out.member("next", page.next);
    out.end_object();
    return json_response(200, out.take());
}

} // namespace fb::http
