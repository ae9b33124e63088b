// A redo log on files in memory that can refuse to be written, in front of a database in memory that can refuse to be
// written. A crash drops the store and keeps the files.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "storage/open.hpp"
#include "storage/redo/redo_store.hpp"
#include "tests/support/stored_lines.hpp"

namespace fb::test {

struct redo_files {
    std::map<std::string, std::shared_ptr<std::string>> bytes;
    bool refuse = false;           // writes and syncs
    bool write_and_refuse = false; // the write is there, its sync fails
    bool full = false;             // no new files
    int put_aside = 0;
};

class redo_file final : public storage::redo::segment_file {
  public:
    redo_file(redo_files& all, std::shared_ptr<std::string> bytes)
        : all_(all)
        , bytes_(std::move(bytes)) {}
    storage::status write(std::uint64_t offset, std::string_view bytes) override {
        if (all_.refuse) return refusal();
        if (bytes_->size() < offset + bytes.size()) bytes_->resize(offset + bytes.size());
        bytes_->replace(offset, bytes.size(), bytes);
        return storage::done{};
    }
    storage::status sync() override {
        if (all_.refuse || all_.write_and_refuse) return refusal();
        return storage::done{};
    }
    storage::result<std::size_t> read(std::uint64_t offset, std::span<char> into) override {
        return offset >= bytes_->size() ? std::size_t{0} : bytes_->copy(into.data(), into.size(), offset);
    }

  private:
    static storage::error refusal() { return {storage::error_kind::unavailable, "the disk is broken"}; }

    redo_files& all_;
    std::shared_ptr<std::string> bytes_;
};

class redo_directory final : public storage::redo::segment_directory {
  public:
    explicit redo_directory(redo_files& all)
        : all_(all) {}
    storage::result<std::vector<std::string>> names() override {
        std::vector<std::string> out;
        for (const auto& [name, bytes] : all_.bytes) out.push_back(name);
        return out;
    }
    storage::result<std::unique_ptr<storage::redo::segment_file>> open(const std::string& name) override {
        return std::unique_ptr<storage::redo::segment_file>(std::make_unique<redo_file>(all_, all_.bytes.at(name)));
    }
    storage::result<std::unique_ptr<storage::redo::segment_file>> create(const std::string& name,
                                                                         std::uint64_t bytes) override {
        if (all_.full) return storage::error{storage::error_kind::unavailable, "the disk is full"};
        all_.bytes[name] = std::make_shared<std::string>(bytes, '\0');
        return open(name);
    }
    storage::result<std::string> put_aside() override {
        ++all_.put_aside;
        all_.bytes.clear();
        return std::string("elsewhere");
    }

  private:
    redo_files& all_;
};

/// What outlives the store in front of it.
struct redo_database {
    std::unique_ptr<storage::session_store> rows = storage::make_memory_session_store();
    std::uint64_t log = 1;
    std::uint64_t applied = 0;
    std::vector<std::size_t> batches; // their sizes
    std::atomic<bool> refuse{false};
};

class redo_base final : public storage::checkpointed_store {
  public:
    explicit redo_base(redo_database& d)
        : d_(d) {}
    storage::result<storage::session_counters> load(const storage::session_loader& loader) override {
        return d_.rows->load(loader);
    }
    storage::status apply(std::span<const storage::session_operation> operations) override {
        return apply_redo(operations, 0);
    }
    storage::result<storage::redo_mark> redo_state() override { return storage::redo_mark{d_.log, d_.applied}; }
    storage::status apply_redo(std::span<const storage::session_operation> operations, std::uint64_t segment) override {
        if (d_.refuse) return storage::error{storage::error_kind::unavailable, "the database is full"};
        d_.batches.push_back(operations.size());
        if (segment != 0) d_.applied = segment;
        return d_.rows->apply(operations);
    }
    storage::result<std::unique_ptr<storage::online_copy>> begin_copy(const std::filesystem::path&) override {
        return storage::error{storage::error_kind::invalid, "there is no file to copy"};
    }

  private:
    redo_database& d_;
};

class redo_world {
  public:
    explicit redo_world(storage::redo::settings s = {16 * 1024, 4, false})
        : settings_(s) {
        start();
    }
    ~redo_world() { database.refuse = false; }

    /// The store goes without its last words: what it would still bring into the database is in the files only.
    void crash() {
        redo_files left = copy();
        database.refuse = true;
        store.reset();
        database.refuse = false;
        files = std::move(left);
    }
    std::string start(storage::redo::redo_store::bring_in when = storage::redo::redo_store::bring_in::now) {
        store = std::make_unique<storage::redo::redo_store>(std::make_unique<redo_base>(database),
                                                            std::make_unique<redo_directory>(files), settings_);
        const auto said = store->recover(when);
        REQUIRE(said);
        return *said;
    }
    std::vector<std::string> content() { return load(*store).lines; }
    storage::status apply(const std::vector<storage::session_operation>& operations) {
        return store->apply(operations);
    }

    redo_files files;
    redo_database database;
    std::unique_ptr<storage::redo::redo_store> store;

  private:
    redo_files copy() const {
        redo_files out;
        for (const auto& [name, bytes] : files.bytes) out.bytes[name] = std::make_shared<std::string>(*bytes);
        return out;
    }

    storage::redo::settings settings_;
};

} // namespace fb::test
