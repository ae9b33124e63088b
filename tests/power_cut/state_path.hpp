// The way of a commit in the product, without its shards: batches → state_writer → to_storage → redo log, SQLite →
// committed. Each commit is remembered with the place in the disk's log where it began and where it was acknowledged.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "broker/app/state_writer.hpp"
#include "disk.hpp"
#include "storage/session_store.hpp"
#include "tests/support/transcript_client.hpp"

namespace fb::cut {

struct commit {
    std::vector<storage::session_operation> operations;
    std::size_t begun_at = 0;   // so many operations of the disk before it
    std::size_t done_at = 0;    // so many when it was acknowledged
    bool opened_before = false; // the store was opened between the last commit and this one
};

class state_path {
  public:
    state_path(std::filesystem::path file, disk& d)
        : file_(std::move(file))
        , disk_(d) {}
    void open();
    void close();
    /// Returns when the group is committed. In one commit, so that the same seed gives the same log.
    void write(const test::commit_group& group);
    std::vector<commit> take_commits() { return std::move(commits_); }

  private:
    class remembering;

    std::filesystem::path file_;
    disk& disk_;
    std::vector<commit> commits_; // written by the writer's thread while write() waits
    bool just_opened_ = false;
    std::uint64_t submitted_ = 0;

    std::mutex mutex_; // protects durable_
    std::condition_variable committed_;
    std::uint64_t durable_ = 0;

    std::unique_ptr<storage::session_store> store_;
    std::unique_ptr<storage::session_store> remembering_;
    std::unique_ptr<app::state_writer> writer_;
};

} // namespace fb::cut
