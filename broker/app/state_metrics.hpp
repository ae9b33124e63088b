// Counters of the broker's own state, and of bytes written, in Prometheus' text format.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/app/message_spill.hpp"
#include "broker/app/state_writer.hpp"
#include "storage/fota_store.hpp"
#include "storage/redo/redo_store.hpp"

namespace fb::app {

void append_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                   std::uint64_t value);
void append_metrics(std::string& out, const state_writer& writer);
void append_metrics(std::string& out, const storage::redo::redo_store& store);

/// `spill` may be null.
void append_memory_metrics(std::string& out, const message_spill* spill);

/// By feature: the redo log and both databases.
void append_written_bytes(std::string& out, const storage::redo::redo_store& state, const storage::fota_store& fota);

} // namespace fb::app
