// Counters of the broker's own state, in Prometheus' text format.
#pragma once

#include <string>

#include "broker/app/state_writer.hpp"
#include "storage/redo/redo_store.hpp"

namespace fb::app {

void append_metrics(std::string& out, const state_writer& writer);
void append_metrics(std::string& out, const storage::redo::redo_store& store);

} // namespace fb::app
