// One peer as a shard sees it: the stream, how far it has come, and what waits for the descriptor. The rules are in
// shard_accept.cpp and shard_preamble.cpp (until the first packet) and shard_io.cpp (from then on).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cstdint>
#include <string>

#include "broker/core/handles.hpp"
#include "broker/core/session.hpp"
#include "broker/net/address_counts.hpp"
#include "broker/net/settings.hpp"
#include "broker/net/transport.hpp"

namespace fb::net {

using executor = boost::asio::io_context::executor_type;
using descriptor = boost::asio::posix::basic_stream_descriptor<executor>;

enum class stage : std::uint8_t {
    free,
    proxy_header, // the PROXY protocol's, before everything else
    handshaking,  // TLS: between steps, or a step is with the pool
    upgrading,    // gathering the HTTP request with which a WebSocket begins
    first_packet, // gathering CONNECT, which decides on the home shard
    serving,      // open in the engine
    closing,      // the engine is done with it, its last words are not all sent yet
    lingering,    // we have said our last word; the peer may still be reading it
};

/// Has not said who it is: bounded in number and in time.
constexpr bool is_pending(stage s) noexcept { return s >= stage::proxy_header && s <= stage::first_packet; }

struct connection {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    stage at = stage::free;
    bool read_armed = false;       // readable() is to be called when there is something to read
    bool write_armed = false;      // flush() when there is room to write
    bool input_ready = false;      // there is, as far as we know
    bool input_ended = false;      // no event will tell of the end: read until it comes
    bool in_pool = false;          // a handshake step runs: the pool owns the stream
    bool read_wants_write = false; // TLS: reading goes on when the descriptor is writable
    bool write_wants_read = false; // TLS: writing goes on when it is readable
    transport stream;
    core::connection_handle engine; // while serving and closing
    address_lease address;
    const listener_settings* listener = nullptr; // until the first packet is here
    core::connection_info info;                  // until it is given to the engine
    std::string partial;                         // bytes of a packet or preamble that is not complete
};

/// For readiness: names this connection, not another in the same slot.
inline std::uint64_t key_of(const connection& c) noexcept { return std::uint64_t{c.generation} << 32 | c.slot; }

} // namespace fb::net
