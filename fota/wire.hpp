// What devices say, as JSON, turned into plain structs; nothing is believed that was not checked here.
//
// Rules: UTF-8, one object, nesting at most 16 deep, a wrong type or an impossible value in a known key refuses the
// whole report, unknown keys are ignored, of a doubled key the first one counts. The caller bounds the size.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/records.hpp"

namespace fb::fota {

template <class T>
struct decoded {
    std::optional<T> value;
    std::string fault; // when there is no value: what is wrong, for the log and the reason string
};

struct status_report {
    std::optional<std::string> version; // or "firmware_version"; absent only when the report just says `online`
    std::optional<std::string> type, name, hw_rev, ip, boot_id;
    std::optional<double> battery;
    std::optional<std::string> caps; // the object as JSON text
    std::optional<bool> online;
};

enum class progress_state { accepted, downloading, downloaded, installing, rebooting, rejected, deferred };

struct progress_report {
    std::optional<std::string> update_id;
    progress_state state{};
    std::optional<int> attempt;
    std::optional<int> percent;
    std::optional<std::int64_t> offset;
    std::optional<std::chrono::seconds> retry_after; // of deferred
    std::optional<std::string> code, message;        // of rejected
};

struct result_report {
    storage::result_status status{};
    std::string version;
    std::optional<std::string> update_id, code, message;
    std::optional<int> attempt;
    std::optional<std::string> device_time; // as told
};

/// A request for chunks: fw/get.
struct fetch_request {
    std::uint32_t rid = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0; // of one chunk
    std::uint32_t count = 1;
    std::optional<std::string> update_id;
};

decoded<status_report> decode_status(std::string_view payload);
decoded<progress_report> decode_progress(std::string_view payload);
decoded<result_report> decode_result(std::string_view payload);
decoded<fetch_request> decode_fetch(std::string_view payload);
/// The rid of a request that is otherwise wrong, so that the error can name it.
std::optional<std::uint32_t> salvage_rid(std::string_view payload);

/// {"rid","code","message"}
std::string encode_fetch_error(std::optional<std::uint32_t> rid, std::string_view code, std::string_view message);

} // namespace fb::fota
