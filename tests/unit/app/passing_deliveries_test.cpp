// What comes and goes within a group is not written; everything else is.
#include "broker/app/passing_deliveries.hpp"

#include <doctest/doctest.h>

using namespace fb;
using namespace fb::core;

namespace {

persist::enqueue begin(std::uint64_t session, std::uint64_t sequence) {
    persist::enqueue e;
    e.session = session;
    e.sequence = sequence;
    return e;
}

} // namespace

TEST_CASE("a delivery that begins and ends in a group is passed over, in whichever batches") {
    persist_batch one, two;
    one.operations = {begin(1, 7), begin(1, 8), persist::set_delivery{1, 7, 3, delivery_phase::sent}};
    two.operations = {persist::dequeue{1, 7}};
    app::passing_deliveries p;
    p.look_at(one);
    p.look_at(two);
    CHECK(p.cover(one.operations[0]));
    CHECK_FALSE(p.cover(one.operations[1]));
    CHECK(p.cover(one.operations[2]));
    CHECK(p.cover(two.operations[0]));
}

TEST_CASE("what began in an earlier group, or is no delivery, is written") {
    persist_batch b;
    b.operations = {
        persist::dequeue{1, 7},     persist::dequeue{2, 9},     begin(1, 9), persist::set_delivery{1, 5, 3, {}},
        persist::delete_session{1}, persist::put_received{1, 9}};
    app::passing_deliveries p;
    p.look_at(b);
    for (const persist_operation& op : b.operations) CHECK_FALSE(p.cover(op));
}
