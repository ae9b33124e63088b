// Frames of any bytes: cut anywhere they decode to the same payload or fail alike, nothing that waits to be sent grows
// without bound, and the same payload framed by us decodes to itself. The first byte chooses the cut.
#include <string>

#include "broker/net/websocket_frames.hpp"
#include "fuzz_input.hpp"
#include "tests/support/websocket_client.hpp"

using fb::fuzz::require;
using fb::net::websocket_frames;

namespace {

constexpr std::size_t control_bytes_max = 3 * 127; // a pong, a Close, a pong that waits

std::string decoded(websocket_frames& f, std::string bytes, std::size_t each) {
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t part = std::min(each, bytes.size() - at);
        const std::size_t payload = f.decode({bytes.data() + at, part});
        require(payload <= part);
        out.append(bytes.data() + at, payload);
        at += part;
        require(f.prepare(0).size() <= control_bytes_max);
    }
    return out;
}

void sent_is_received(std::string_view payload, std::size_t each) {
    websocket_frames f;
    std::string wire;
    std::string_view left = payload;
    while (!left.empty()) {
        std::string next(f.prepare(left.size()));
        next += left.substr(0, std::min<std::size_t>(each, f.frame_left()));
        next.resize(std::min(each, next.size()));
        wire += next;
        left.remove_prefix(f.sent(next.size()));
    }
    std::string back;
    while (const auto frame = fb::test::ws_take(wire)) back += frame->payload;
    require(back == payload && wire.empty() && f.idle());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t each = data[0] + std::size_t{1};
    const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    websocket_frames whole, cut;
    const std::string payload = decoded(whole, bytes, bytes.size());
    require(decoded(cut, bytes, each) == payload);
    require(whole.ended() == cut.ended() && whole.fault() == cut.fault());
    sent_is_received(bytes, each);
    return 0;
}
