#include "broker/app/state_metrics.hpp"

#include <string_view>

namespace fb::app {

namespace {

void append(std::string& out, std::string_view name, std::string_view type, std::string_view help,
            std::uint64_t value) {
    out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" ");
    out.append(type).append("\n").append(name).append(" ").append(std::to_string(value)).append("\n");
}

} // namespace

void append_metrics(std::string& out, const state_writer& writer) {
    append(out, "fotabroker_state_commits_total", "counter", "Commits of sessions, queues and retained messages",
           writer.commits());
    append(out, "fotabroker_state_operations_total", "counter", "Operations in them", writer.operations());
}

void append_metrics(std::string& out, const storage::redo::redo_store& store) {
    const auto c = store.count();
    append(out, "fotabroker_state_log_written_bytes_total", "counter", "Bytes written to the redo log", c.bytes);
    append(out, "fotabroker_state_checkpoints_total", "counter", "Segments of the redo log brought into state.db",
           c.checkpoints);
    append(out, "fotabroker_state_checkpoint_operations_total", "counter", "Operations that state.db got from them",
           c.operations);
    append(out, "fotabroker_state_segments_due", "gauge", "Full segments of the redo log that state.db does not have",
           c.segments_due);
}

} // namespace fb::app
