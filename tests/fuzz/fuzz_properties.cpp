// A property block in each packet that can carry one. What is accepted gives the same forward block twice over, and
// user properties that can be walked.
#include <array>

#include "fuzz_input.hpp"
#include "proto/property_reader.hpp"
#include "tests/support/any_packet.hpp"

using fb::fuzz::require;
using namespace fb::proto;

namespace {

void check_publish(cursor& in, bool from_client) {
    publish_properties p;
    read_properties(in, p, from_client);
    if (!in.ok()) return;
    std::string block;
    append_forward_block(p, block);
    require(block.size() <= p.block.size());
    require(p.user.empty() == p.user.to_vector().empty());
    user_properties copy;
    for (const auto& [name, value] : p.user.to_vector()) copy.add(name, value);
    p.user = copy;
    std::string again;
    append_forward_block(p, again);
    require(again == block);
}

template <class Properties>
void check(cursor& in) {
    Properties p;
    read_properties(in, p);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    cursor in({reinterpret_cast<const char*>(data) + 1, size - 1}, version::v5);
    will w;
    ack_properties ack;
    switch (data[0] % 11) {
    case 0: check_publish(in, true); break;
    case 1: check_publish(in, false); break;
    case 2: read_will_properties(in, w); break;
    case 3: check<connect_properties>(in); break;
    case 4: check<connack_properties>(in); break;
    case 5: check<subscribe_properties>(in); break;
    case 6: check<user_properties>(in); break;
    case 7: check<disconnect_properties>(in); break;
    case 8: check<auth_properties>(in); break;
    case 9: read_properties(in, ack, packet_type::puback); break;
    default: read_properties(in, ack, packet_type::suback); break;
    }
    require(in.ok() || is_error(in.error().reason));
    return 0;
}
