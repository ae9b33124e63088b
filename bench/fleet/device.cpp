#include "bench/fleet/device.hpp"

#include <algorithm>
#include <functional>

namespace fb::fleet {
namespace {

constexpr int percent_step = 10;
constexpr int status_tag = 1;

template <class... F>
struct overloaded : F... {
    using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

} // namespace

std::string_view to_string(update_phase phase) {
    switch (phase) {
    case update_phase::idle: return "idle";
    case update_phase::downloading: return "downloading";
    case update_phase::downloaded: return "downloaded";
    case update_phase::installing: return "installing";
    case update_phase::rebooting: return "rebooting";
    }
    return "idle";
}

std::vector<effect> device::on_boot(const std::string& version, const std::string& boot_id) {
    list out;
    version_ = version;
    boot_id_ = boot_id;
    status_acknowledged_ = false;
    out.push_back(effects::notice{"booted", -1, "version " + version});
    switch (record_.phase) {
    case update_phase::idle: break;
    case update_phase::downloading: out.push_back(effects::fetch{}); break;
    case update_phase::downloaded:
        if (!record_.update.download_only) begin_install(out);
        break;
    case update_phase::installing: out.push_back(effects::install{}); break; // writing it twice does no harm
    case update_phase::rebooting:
        if (version_ == record_.update.version)
            finish("success", "", "", out);
        else
            finish("failed", "rolled_back", "the new image did not boot", out);
        break;
    }
    return out;
}

std::vector<effect> device::on_connected() {
    list out;
    say_status(out);
    if (record_.phase != update_phase::idle) say_progress(record_.update.update_id, to_string(record_.phase), out);
    if (record_.result_unacknowledged) say_result(out);
    return out;
}

std::vector<effect> device::on_command(std::string_view json) {
    list out;
    auto parsed = parse_command(json);
    std::visit(overloaded{
                   [&](update_command& update) { accept(std::move(update), out); },
                   [&](const cancel_command& c) { cancel(c, out); },
                   [&](const refused_command& refused) {
                       out.push_back(effects::notice{"rejected", -1, refused.why});
                       say_progress(refused.update_id, "rejected", out);
                   },
                   [&](const unreadable_command& u) {
                       out.push_back(effects::notice{"ignored", -1, u.why});
                   },
               },
               parsed);
    return out;
}

void device::accept(update_command update, list& out) {
    if (record_.phase != update_phase::idle && update.same_offer(record_.update)) return again(update, out);
    if (update.same_offer(record_.finished)) return say_result(out);
    if (record_.phase == update_phase::installing || record_.phase == update_phase::rebooting) {
        out.push_back(effects::notice{"deferred", -1, "busy installing " + record_.update.version});
        return say_progress(update.update_id, "deferred", out);
    }
    if (record_.phase != update_phase::idle) out.push_back(effects::stop_fetch{});
    // What was downloaded before is of use only when it is a part of the same image.
    if (update.sha256 != record_.slot_sha256) out.push_back(effects::discard_slot{});
    record_.slot_sha256 = update.sha256;
    record_.update = std::move(update);
    if (record_.update.version == version_) {
        out.push_back(effects::notice{"installed already", -1, record_.update.version});
        return finish("success", "", "was installed already", out);
    }
    percent_said_ = -1;
    record_.phase = update_phase::downloading;
    out.push_back(effects::save{});
    out.push_back(effects::notice{"accepted", -1, record_.update.version});
    say_progress(record_.update.update_id, "accepted", out);
    out.push_back(effects::fetch{});
}

void device::again(const update_command& update, list& out) {
    const bool may_install_now = record_.update.download_only && !update.download_only;
    record_.update.download_only = update.download_only;
    record_.update.url = update.url; // the newer one expires later
    out.push_back(effects::save{});
    if (record_.phase == update_phase::downloaded && may_install_now) return begin_install(out);
    say_progress(record_.update.update_id, to_string(record_.phase), out);
}

void device::cancel(const cancel_command& cancel, list& out) {
    const bool in_time = record_.phase == update_phase::downloading || record_.phase == update_phase::downloaded;
    if (!in_time || cancel.update_id != record_.update.update_id) {
        out.push_back(effects::notice{"cancel ignored", -1, "nothing to cancel any more"});
        return;
    }
    record_.phase = update_phase::idle;
    record_.update = {};
    out.push_back(effects::stop_fetch{});
    out.push_back(effects::discard_slot{});
    out.push_back(effects::save{});
    out.push_back(effects::notice{"canceled", -1, ""});
}

std::vector<effect> device::on_fetch_progress(std::uint64_t done_bytes, std::uint64_t total_bytes) {
    if (record_.phase != update_phase::downloading || total_bytes == 0) return {};
    const int percent = static_cast<int>(std::min<std::uint64_t>(100, done_bytes * 100 / total_bytes));
    if (percent_said_ >= 0 && percent < percent_said_ + percent_step) return {};
    percent_said_ = percent - percent % percent_step;
    const progress_report report{record_.update.update_id, "downloading", percent, done_bytes};
    return {effects::say{effects::topic::progress, to_json(report), false, 0},
            effects::notice{"downloading", percent, ""}};
}

std::vector<effect> device::on_fetched(bool checksum_right) {
    list out;
    if (record_.phase != update_phase::downloading) return out;
    if (!checksum_right) {
        out.push_back(effects::discard_slot{});
        finish("failed", "checksum_mismatch", "the image's SHA-256 is not the one announced", out);
        return out;
    }
    enter(update_phase::downloaded, out);
    if (!record_.update.download_only) begin_install(out);
    return out;
}

std::vector<effect> device::on_fetch_failed(const std::string& code, const std::string& message) {
    list out;
    if (record_.phase == update_phase::downloading) finish("failed", code, message, out);
    return out;
}

void device::begin_install(list& out) {
    enter(update_phase::installing, out);
    if (shall_fail())
        finish("failed", "simulated_failure", "chosen to fail by --fail", out);
    else
        out.push_back(effects::install{});
}

std::vector<effect> device::on_installed() {
    list out;
    if (record_.phase != update_phase::installing) return out;
    enter(update_phase::rebooting, out);
    out.push_back(effects::reboot{});
    return out;
}

std::vector<effect> device::on_install_failed(const std::string& code, const std::string& message) {
    list out;
    if (record_.phase == update_phase::installing) finish("failed", code, message, out);
    return out;
}

std::vector<effect> device::on_acknowledged(int tag, bool refused) {
    list out;
    if (tag == status_tag) status_acknowledged_ = status_acknowledged_ || !refused;
    if (!record_.result_unacknowledged || tag != result_tag_) return out;
    // A refusal is an answer too: the gateway will refuse it the next time as well.
    record_.result_unacknowledged = false;
    out.push_back(effects::save{});
    out.push_back(effects::notice{refused ? "result refused" : "result acknowledged", -1, record_.result.status});
    if (config_.confirm && record_.result.status == "success") say_status(out);
    return out;
}

bool device::settled_at(const std::string& version) const {
    return version_ == version && status_acknowledged_ && record_.phase == update_phase::idle &&
           !record_.result_unacknowledged;
}

void device::enter(update_phase phase, list& out) {
    record_.phase = phase;
    out.push_back(effects::save{});
    out.push_back(effects::notice{std::string(to_string(phase)), -1, record_.update.version});
    say_progress(record_.update.update_id, to_string(phase), out);
}

void device::finish(const std::string& status, const std::string& code, const std::string& message, list& out) {
    record_.phase = update_phase::idle;
    record_.finished = std::move(record_.update);
    record_.update = {};
    record_.result = {status, record_.finished.version, record_.finished.update_id, record_.finished.attempt, code,
                      message};
    record_.result_unacknowledged = true;
    ++result_tag_;
    out.push_back(effects::save{});
    out.push_back(effects::notice{status, -1, code.empty() ? record_.result.version : code});
    say_result(out);
}

bool device::shall_fail() const {
    // Drawn from the offer's own names: the same offer fails the same way after a restart.
    const auto draw = std::hash<std::string>{}(config_.id + '/' + record_.update.update_id + '/' +
                                               std::to_string(record_.update.attempt));
    return static_cast<double>(draw % 10'000) < config_.fail_rate * 10'000;
}

void device::say_status(list& out) {
    const status_report report{version_,     config_.type,   config_.id, boot_id_, config_.chunk_bytes,
                               config_.http, config_.confirm};
    out.push_back(effects::say{effects::topic::status, to_json(report), true, status_tag});
}

void device::say_progress(const std::string& update_id, std::string_view state, list& out) {
    out.push_back(effects::say{effects::topic::progress, to_json(progress_report{update_id, std::string(state)})});
}

void device::say_result(list& out) {
    record_.result_unacknowledged = true;
    out.push_back(effects::say{effects::topic::result, to_json(record_.result), true, result_tag_});
}

} // namespace fb::fleet
