#include "broker/app/open_state.hpp"

#include <spdlog/spdlog.h>
#include <stdexcept>

#include "storage/aside.hpp"
#include "storage/open.hpp"

namespace fb::app {
namespace {

void tell_put_aside(const data_directory& data, const std::filesystem::path& aside) {
    spdlog::error("{} was damaged and has been put aside as {}; sessions, queues and retained messages begin anew",
                  data.state_db().string(), aside.string());
}

} // namespace

void put_state_aside(const data_directory& data) {
    const auto aside = storage::put_database_aside(data.state_db());
    if (!aside) throw std::runtime_error(aside.err().text);
    tell_put_aside(data, *aside);
}

std::unique_ptr<storage::redo::redo_store> open_state(const data_directory& data, const state_config& c,
                                                      storage::redo::redo_store::bring_in when) {
    const bool later = when == storage::redo::redo_store::bring_in::later;
    auto base = storage::open_sqlite_session_store(data.state_db(),
                                                   later ? storage::checked::all_but_queues : storage::checked::all);
    if (!base) throw std::runtime_error(base.err().text);
    if (base->put_aside) tell_put_aside(data, *base->put_aside);
    auto files = storage::redo::open_segment_directory(data.redo_log());
    if (!files) throw std::runtime_error(files.err().text);
    storage::redo::settings settings;
    settings.segment_bytes = c.log_bytes / settings.segments_max;
    auto store = std::make_unique<storage::redo::redo_store>(std::move(base->store), std::move(*files), settings);
    const auto damage = store->recover(when);
    if (!damage) throw std::runtime_error(damage.err().text);
    if (!damage->empty()) spdlog::error("{}: {}", data.redo_log().string(), *damage);
    return store;
}

} // namespace fb::app
