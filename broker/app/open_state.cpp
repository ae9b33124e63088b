#include "broker/app/open_state.hpp"

#include <spdlog/spdlog.h>
#include <stdexcept>

#include "storage/open.hpp"

namespace fb::app {

std::unique_ptr<storage::redo::redo_store> open_state(const data_directory& data, const state_config& c) {
    auto base = storage::open_sqlite_session_store(data.state_db());
    if (!base) throw std::runtime_error(base.err().text);
    if (base->put_aside) {
        spdlog::error("{} was damaged and has been put aside as {}; sessions, queues and retained messages begin anew",
                      data.state_db().string(), base->put_aside->string());
    }
    auto files = storage::redo::open_segment_directory(data.redo_log());
    if (!files) throw std::runtime_error(files.err().text);
    storage::redo::settings settings;
    settings.segment_bytes = c.log_bytes / settings.segments_max;
    auto store = std::make_unique<storage::redo::redo_store>(std::move(base->store), std::move(*files), settings);
    const auto damage = store->recover();
    if (!damage) throw std::runtime_error(damage.err().text);
    if (!damage->empty()) spdlog::error("{}: {}", data.redo_log().string(), *damage);
    return store;
}

} // namespace fb::app
