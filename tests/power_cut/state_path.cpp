#include "state_path.hpp"

#include <doctest/doctest.h>

#include <utility>

#include "segments.hpp"

namespace fb::cut {

class state_path::remembering final : public storage::session_store {
  public:
    explicit remembering(state_path& owner)
        : owner_(owner) {}
    storage::result<storage::session_counters> load(const storage::session_loader& loader) override {
        return owner_.store_->load(loader);
    }
    storage::status apply(std::span<const storage::session_operation> operations) override {
        const std::size_t begun_at = owner_.disk_.log().size();
        auto applied = owner_.store_->apply(operations);
        if (applied) {
            commit& c = owner_.commits_.emplace_back();
            c.operations.assign(operations.begin(), operations.end());
            c.begun_at = begun_at;
            c.done_at = owner_.disk_.log().size();
            c.opened_before = std::exchange(owner_.just_opened_, false);
        }
        return applied;
    }

  private:
    state_path& owner_;
};

void state_path::open() {
    auto opened = open_store(disk_, file_);
    REQUIRE(opened);
    store_ = std::move(*opened);
    just_opened_ = true;
    storage::session_loader start;
    start.on_session = [](const storage::session_record&) {};
    REQUIRE(store_->load(start));
    remembering_ = std::make_unique<remembering>(*this);
    writer_ = std::make_unique<app::state_writer>(*remembering_);
    writer_->on_committed([this](core::shard_id, std::uint64_t serial) {
        const std::lock_guard lock(mutex_);
        durable_ = serial;
        committed_.notify_one();
    });
}

void state_path::close() {
    writer_.reset();
    remembering_.reset();
    store_.reset();
}

void state_path::write(const test::commit_group& group) {
    core::persist_batch all;
    all.serial = ++submitted_;
    all.urgent = true;
    for (const auto& [shard, batch] : group)
        all.operations.insert(all.operations.end(), batch.operations.begin(), batch.operations.end());
    writer_->submit(0, std::move(all));
    std::unique_lock lock(mutex_);
    committed_.wait(lock, [this] { return durable_ == submitted_; });
}

} // namespace fb::cut
