// Operations for tests of stores, and random ones.
#pragma once

#include <array>
#include <random>
#include <string>
#include <vector>

#include "storage/session_store.hpp"

namespace fb::test {

inline storage::enqueue queued(std::uint64_t session, std::uint64_t sequence, std::uint64_t id,
                               std::string_view payload = "p") {
    storage::enqueue op;
    op.row.session = session;
    op.row.sequence = sequence;
    op.row.message = id;
    op.row.quality = 1;
    op.message.id = id;
    op.message.topic = "t";
    op.message.payload = payload;
    return op;
}

inline storage::put_session a_session(std::uint64_t number) {
    storage::put_session op;
    op.row.number = number;
    op.row.client_id = "c" + std::to_string(number);
    return op;
}

/// As a broker would make them: nothing is dequeued that is not there, no sequence is used twice.
class random_life {
  public:
    explicit random_life(unsigned seed)
        : random_(seed) {}

    std::vector<storage::session_operation> some() {
        std::vector<storage::session_operation> out;
        for (std::size_t n = 1 + below(12); n > 0; --n) out.push_back(one());
        return out;
    }

  private:
    std::size_t below(std::size_t n) { return random_() % n; }

    storage::session_operation one() {
        const std::uint64_t session = 1 + below(4);
        const auto id = static_cast<std::uint16_t>(1 + below(3));
        switch (below(9)) {
        case 0: return a_session(session);
        case 1: return storage::delete_session{session};
        case 2: return storage::put_subscription{{session, "f" + std::to_string(below(3)), 1, 0}};
        case 3: return storage::delete_subscription{session, "f" + std::to_string(below(3))};
        case 4: return storage::put_received{session, id};
        case 5: return storage::delete_received{session, id};
        case 6: {
            storage::put_retained op;
            op.version = ++version_;
            const char* const topic = std::array{"r0", "r1", "r2"}[below(3)];
            op.topic = topic;
            if (below(3) != 0) op.message = queued(0, 0, 1'000'000 + version_).message;
            op.message.topic = topic;
            return op;
        }
        case 7: {
            const std::uint64_t at = 1 + below(sequence_);
            if (below(2) == 0) return storage::set_delivery{session_of(at), at, id, storage::delivery_state::sent};
            return storage::dequeue{session_of(at), at};
        }
        default: ++sequence_; return queued(session_of(sequence_), sequence_, below(3) != 0 ? ++message_ : message_);
        }
    }
    static std::uint64_t session_of(std::uint64_t sequence) { return 1 + sequence % 4; }

    std::mt19937 random_;
    std::uint64_t sequence_ = 1, message_ = 1, version_ = 0;
};

} // namespace fb::test
