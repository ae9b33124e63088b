#include "storage/records.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fb::storage {

namespace {

template <class Enum>
using names = std::pair<Enum, const char*>;

constexpr names<update_state> update_states[] = {
    {update_state::scheduled, "scheduled"},     {update_state::pending, "pending"},
    {update_state::offered, "offered"},         {update_state::accepted, "accepted"},
    {update_state::downloading, "downloading"}, {update_state::downloaded, "downloaded"},
    {update_state::installing, "installing"},   {update_state::verifying, "verifying"},
    {update_state::succeeded, "succeeded"},     {update_state::failed, "failed"},
    {update_state::rejected, "rejected"},       {update_state::canceled, "canceled"},
    {update_state::expired, "expired"},         {update_state::superseded, "superseded"},
    {update_state::skipped, "skipped"},
};
constexpr names<firmware_state> firmware_states[] = {
    {firmware_state::draft, "draft"},
    {firmware_state::approved, "approved"},
    {firmware_state::revoked, "revoked"},
};
constexpr names<result_status> result_statuses[] = {
    {result_status::success, "success"},
    {result_status::failed, "failed"},
    {result_status::partial, "partial"},
};

template <class Enum, std::size_t Count>
const char* name_in(const names<Enum> (&table)[Count], Enum value) noexcept {
    const auto* found = std::find_if(std::begin(table), std::end(table), [&](auto& row) { return row.first == value; });
    return found == std::end(table) ? "unknown" : found->second;
}

template <class Enum, std::size_t Count>
std::optional<Enum> value_in(const names<Enum> (&table)[Count], std::string_view text) noexcept {
    const auto* found = std::find_if(std::begin(table), std::end(table), [&](auto& row) { return row.second == text; });
    if (found == std::end(table)) return std::nullopt;
    return found->first;
}

} // namespace

const char* to_string(update_state s) noexcept { return name_in(update_states, s); }
std::optional<update_state> parse_update_state(std::string_view text) noexcept { return value_in(update_states, text); }

const char* to_string(firmware_state s) noexcept { return name_in(firmware_states, s); }
std::optional<firmware_state> parse_firmware_state(std::string_view text) noexcept {
    return value_in(firmware_states, text);
}

const char* to_string(result_status s) noexcept { return name_in(result_statuses, s); }
std::optional<result_status> parse_result_status(std::string_view text) noexcept {
    return value_in(result_statuses, text);
}

} // namespace fb::storage
