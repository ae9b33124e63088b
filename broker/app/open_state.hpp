// The broker's own state in a data directory: state.db behind its redo log. What is damaged is put aside, and the log
// says so; a broker must start.
#pragma once

#include <memory>

#include "broker/app/config.hpp"
#include "broker/app/data_directory.hpp"
#include "storage/redo/redo_store.hpp"

namespace fb::app {

/// Throws std::runtime_error that names the file and what to do. With `later`, the file is verified and the log brought
/// in by redo_store::prepare_queues().
std::unique_ptr<storage::redo::redo_store> open_state(const data_directory& data, const state_config& c,
                                                      storage::redo::redo_store::bring_in when);
/// When it was opened, and turned out to be damaged later. Throws like open_state().
void put_state_aside(const data_directory& data);

} // namespace fb::app
