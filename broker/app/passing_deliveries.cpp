#include "broker/app/passing_deliveries.hpp"

namespace fb::app {

using namespace core;

void passing_deliveries::look_at(const persist_batch& batch) {
    for (const persist_operation& op : batch.operations) {
        if (const auto* begin = std::get_if<persist::enqueue>(&op)) {
            begun_.insert_or_assign({begin->session, begin->sequence}, false);
        } else if (const auto* end = std::get_if<persist::dequeue>(&op)) {
            const auto at = begun_.find({end->session, end->sequence});
            if (at != begun_.end()) at->second = true;
        }
    }
}

bool passing_deliveries::cover(const persist_operation& operation) const {
    if (const auto* x = std::get_if<persist::enqueue>(&operation)) return ended(x->session, x->sequence);
    if (const auto* x = std::get_if<persist::set_delivery>(&operation)) return ended(x->session, x->sequence);
    if (const auto* x = std::get_if<persist::dequeue>(&operation)) return ended(x->session, x->sequence);
    return false;
}

bool passing_deliveries::ended(std::uint64_t session, std::uint64_t sequence) const {
    const auto at = begun_.find({session, sequence});
    return at != begun_.end() && at->second;
}

} // namespace fb::app
