// A connection that this program makes, to another gateway: TCP, or TLS whose certificate must be of `ca` and of the
// host that was asked for. Blocks, each call at most `patience`. One thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fb::certs {

struct outgoing_settings {
    bool tls = true;
    std::filesystem::path ca; // PEM; empty: what this machine trusts
    std::chrono::seconds patience{10};
};

class outgoing {
  public:
    /// Throws failure with words for people: who could not be reached, or is not who it should be.
    outgoing(const std::string& host, std::uint16_t port, const outgoing_settings& s);
    ~outgoing();
    outgoing(const outgoing&) = delete;
    outgoing& operator=(const outgoing&) = delete;

    /// False: cut, or no progress within the patience.
    bool write(std::string_view bytes);
    /// 0 at the end of the stream; nothing: cut, or silent for longer than the patience.
    std::optional<std::size_t> read(std::span<char> into);

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace fb::certs
