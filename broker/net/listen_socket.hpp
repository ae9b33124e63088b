// Opens listening sockets: name resolution at start, SO_REUSEPORT (one per shard), clear errors.
#pragma once

#include <cstdint>
#include <string>

namespace fb::net {

/// A listening, non-blocking descriptor. `port` 0 takes a free one and is set to it. Throws std::runtime_error that
/// names the address and what is wrong ("address already in use: another broker? ...").
/// With `probe` the port must be free of other processes' sockets too: SO_REUSEPORT alone would share it silently.
int open_listener(const std::string& host, std::uint16_t& port, bool probe);

/// The peer's address as text, without port; IPv4-mapped IPv6 addresses as IPv4. Of a Unix socket: "unix:<uid>".
std::string peer_address(int fd);

/// Raises the limit of open files to its hard limit; returns it.
std::uint64_t raise_file_limit();

} // namespace fb::net
