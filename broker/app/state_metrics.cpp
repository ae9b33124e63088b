#include "broker/app/state_metrics.hpp"

#include "broker/core/memory_use.hpp"

namespace fb::app {

void append_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                   std::uint64_t value) {
    out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ");
    out.append(type).append("\n").append(name).append(" ").append(std::to_string(value)).append("\n");
}

void append_metrics(std::string& out, const state_writer& writer) {
    append_metric(out, "fotabroker_state_commits_total", "counter", "Commits of sessions, queues and retained messages",
                  writer.commits());
    append_metric(out, "fotabroker_state_operations_total", "counter", "Operations in them", writer.operations());
    append_metric(out, "fotabroker_state_waiting_bytes", "gauge", "What waits for the state store, about",
                  writer.waiting_bytes());
    append_metric(out, "fotabroker_state_refusing", "gauge",
                  "1: the state store fails, and what would have to be stored is refused", writer.refusing() ? 1 : 0);
}

void append_metrics(std::string& out, const storage::redo::redo_store& store) {
    const auto c = store.count();
    append_metric(out, "fotabroker_state_checkpoints_total", "counter",
                  "Segments of the redo log brought into state.db", c.checkpoints);
    append_metric(out, "fotabroker_state_checkpoint_operations_total", "counter",
                  "Operations that state.db got from them", c.operations);
    append_metric(out, "fotabroker_state_segments_due", "gauge",
                  "Full segments of the redo log that state.db does not have", c.segments_due);
}

void append_memory_metrics(std::string& out, const message_spill* spill) {
    append_metric(out, "fotabroker_memory_bytes", "gauge", "In memory: messages, queues and unsent output",
                  static_cast<std::uint64_t>(core::memory_in_use()));
    append_metric(out, "fotabroker_spill_bytes", "gauge", "Messages in a file for want of memory",
                  spill != nullptr ? spill->message_bytes() : 0);
    append_metric(out, "fotabroker_spill_file_bytes", "gauge", "What that file takes on the disk",
                  spill != nullptr ? spill->file_bytes() : 0);
    append_metric(out, "fotabroker_spill_refused_total", "counter", "Messages it had no room for, left in memory",
                  spill != nullptr ? spill->refused() : 0);
}

void append_written_bytes(std::string& out, const storage::redo::redo_store& state, const storage::fota_store& fota) {
    constexpr std::string_view name = "fotabroker_written_bytes_total";
    out.append("# HELP ").append(name).append(" Bytes written to files, by feature\n# TYPE ").append(name);
    out.append(" counter\n");
    const auto row = [&](std::string_view what, std::uint64_t bytes) {
        out.append(name).append("{what=\"").append(what).append("\"} ").append(std::to_string(bytes)).append("\n");
    };
    row("state_log", state.count().bytes);
    row("state_db", state.written_bytes());
    row("fota_db", fota.written_bytes());
}

} // namespace fb::app
