#include "storage/redo/checkpoint.hpp"

#include "storage/redo/operations.hpp"

namespace fb::storage::redo {

status read_operations(segment_reader& from, const std::function<void(const session_operation&)>& look,
                       const std::function<void(const frame&)>& passed) {
    while (true) {
        auto f = from.next();
        if (!f) return f.err();
        if (!*f) return done{};
        operation_reader in(*(*f)->payload, (*f)->payload);
        while (auto op = in.next()) look(*op);
        if (passed) passed(**f);
        if (!in.ok())
            return error{error_kind::corrupt, "a frame of the redo log has a good checksum and cannot be read: it is "
                                              "of another version of this program"};
    }
}

checkpoint::checkpoint(checkpointed_store& base, segment_file& file, const segment_head& head, std::uint64_t end)
    : base_(base)
    , file_(file)
    , head_(head)
    , end_(end)
    , reader_(file, head, end) {}

result<bool> checkpoint::step() {
    if (!looked_) {
        if (auto seen = look(); !seen) return seen.err();
        looked_ = true;
        return true;
    }
    std::vector<session_operation> operations;
    bool more = true;
    while (more && operations.size() < operations_per_step) {
        auto f = reader_.next();
        if (!f) return f.err();
        more = f->has_value();
        // A disk may read now and not then, and the fold knows nothing of other frames than it has seen.
        const bool as_seen =
            more ? passed_ < serials_.size() && (*f)->serial == serials_[passed_] : passed_ == serials_.size();
        if (!as_seen) return error{error_kind::unavailable, "the redo log reads differently than a moment ago"};
        if (!more) break;
        ++passed_;
        operation_reader in(*(*f)->payload, (*f)->payload);
        while (auto op = in.next()) {
            if (fold_.needed(*op)) operations.push_back(std::move(*op));
        }
    }
    if (auto done = base_.apply_redo(operations, more ? 0 : head_.number); !done) return done.err();
    applied_ += operations.size();
    return more;
}

status checkpoint::look() {
    segment_reader reader(file_, head_, end_);
    const auto read = read_operations(
        reader, [this](const auto& op) { fold_.look_at(op); },
        [this](const frame& f) { serials_.push_back(f.serial); });
    if (!read) return read;
    next_serial_ = reader.next_serial();
    missing_ = reader.missing();
    return done{};
}

} // namespace fb::storage::redo
