#include "storage/redo/checkpoint.hpp"

#include <vector>

#include "storage/redo/operations.hpp"

namespace fb::storage::redo {

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
        if (!more) break;
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
    while (true) {
        auto f = reader.next();
        if (!f) return f.err();
        if (!*f) break;
        operation_reader in(*(*f)->payload, (*f)->payload);
        while (auto op = in.next()) fold_.look_at(*op);
        if (!in.ok())
            return error{error_kind::corrupt, "a frame of the redo log has a good checksum and cannot be read: it is "
                                              "of another version of this program"};
    }
    next_serial_ = reader.next_serial();
    missing_ = reader.missing();
    return done{};
}

} // namespace fb::storage::redo
