// A session store in front of another: a commit is one write and one sync at the end of a log, and the database gets
// later, in large transactions, what of it still matters (fold.hpp). Most queued messages come and go in the log.
//
// The log is a few files of `segment_bytes`. When half of them are full the oldest gets its checkpoint, on a thread of
// its own, and is used again after it. apply() waits when all are full, and gives an error when it is the database that
// refuses. A start brings what the log has into the database; so does destruction, so that a start after an orderly end
// finds the log empty. One thread calls load() and apply(), another may read the queues meanwhile; count(), trouble()
// and copy_to() may be called by any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "storage/redo/checkpoint.hpp"
#include "storage/redo/overlay.hpp"
#include "storage/session_store.hpp"

namespace fb::storage::redo {

struct settings {
    std::uint64_t segment_bytes = 16 << 20;
    std::size_t segments_max = 4;
    bool thread = true; // false: each apply() does a step of the checkpoint that is due, so that tests are repeatable
};

struct counters {
    std::uint64_t bytes = 0;        // written to the log
    std::uint64_t checkpoints = 0;  // segments brought into the database
    std::uint64_t operations = 0;   // that the database got from them
    std::uint64_t segments_due = 0; // waiting for it
};

/// Bytes done and in all, now and then; false ends the copy.
using copy_progress = std::function<bool(std::uint64_t done, std::uint64_t all)>;

class redo_store final : public session_store {
  public:
    redo_store(std::unique_ptr<checkpointed_store> base, std::unique_ptr<segment_directory> files, settings s);
    ~redo_store() override;

    /// First of all, once: what the log has goes into the database, now or, when nothing is wrong with it, after load()
    /// with on_waiting. Words about damage, empty when there is none.
    enum class bring_in { now, later };
    result<std::string> recover(bring_in when = bring_in::now);
    result<session_counters> load(const session_loader& loader) override;
    /// After load() with on_waiting: verifies the database, and brings in what the log had at the start. The database
    /// gets nothing newer before end_loading(), so the queues stay there as they were. An error: as before, try again.
    status prepare_queues();
    status load_queue(std::uint64_t session, const queue_reader& read) override;
    status end_loading() override;
    /// Instead: the queues that are not read stay where they are.
    void give_up_loading();
    status apply(std::span<const session_operation> operations) override;

    /// Copies the database into a new file while commits go on: all that was committed before this call, and nothing of
    /// a later commit without the earlier ones. Waits until it is done, and for end_loading() before; an error leaves
    /// no file. One at a time.
    status copy_to(const std::filesystem::path& file, const copy_progress& progress);

    std::uint64_t written_bytes() const noexcept override { return base_->written_bytes(); } // without the log
    counters count() const;
    /// What keeps the database from getting a segment, or was lost on the way; empty: nothing.
    std::string trouble() const;

  private:
    struct segment {
        std::unique_ptr<segment_file> file;
        segment_head head;
        std::uint64_t end_serial = 0; // of sealed ones
        std::uint64_t used = 0;
    };

    struct copy_job {
        const std::filesystem::path& file;
        const copy_progress& progress;
        std::uint64_t needed = 0; // the segment that must be in the database before it begins
        std::unique_ptr<online_copy> going_on{};
        std::optional<status> outcome{};
    };

    status append();
    status begin_segment();
    result<std::unique_ptr<segment_file>> take_file();
    void seal();

    struct found {
        std::vector<segment> live; // what the database does not have, the oldest first
        bool foreign = false;      // of another database
    };
    result<found> look_at_files(const redo_mark& mark);
    result<std::string> begin_anew();
    status bring_in_now(found& there, std::string& said);
    result<bool> look_into(found& there);
    result<bool> step_front();
    bool step_copy();
    bool copy_is_next() const;
    void end_copy(status outcome);
    status settle();
    bool is_due() const;
    void run();

    const settings settings_;
    const std::unique_ptr<checkpointed_store> base_;
    const std::unique_ptr<segment_directory> directory_;
    std::mutex
        committing_; // held by apply() and load(), and by copy_to() to end the active segment; protects what follows
    std::unique_ptr<segment> active_;
    std::uint64_t log_ = 0;
    std::uint64_t last_number_ = 0;
    std::uint64_t last_found_ = 0; // at the start
    std::uint64_t next_serial_ = 1;
    std::size_t files_ = 0;
    std::size_t next_name_ = 0;
    std::string frame_;
    overlay unapplied_; // what load() has to know of due_
    // Of the thread, or without one, or before end_loading(), of who calls apply() or prepare_queues().
    std::unique_ptr<checkpoint> going_on_; // of the front of due_

    std::atomic<std::uint64_t> bytes_{0}, checkpoints_{0}, operations_{0};
    mutable std::mutex mutex_; // protects what follows
    std::condition_variable changed_;
    copy_job* copy_ = nullptr;
    std::deque<segment> due_; // sealed, the oldest first; the front is the checkpoint's own
    std::vector<std::unique_ptr<segment_file>> free_;
    std::string trouble_; // while the database refuses
    std::string damage_;
    bool loading_ = false; // the thread leaves the database alone
    bool hurry_ = false;   // whatever is full goes into the database, not only what is too much
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace fb::storage::redo
