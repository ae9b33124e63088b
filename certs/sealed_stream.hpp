// Bytes encrypted with a passphrase, as a stream: nobody reads them without it, and nobody changes, cuts, reorders or
// lengthens them unnoticed.
//
//   head   "fbseal1\n"  log2(N) 1  r 1  p 1  check 5  salt 16
//          scrypt(passphrase, salt, N, r, p) is the key, 32 bytes, and the check, which tells a wrong passphrase from
//          damage
//   chunk  AES-256-GCM of 65536 bytes, of the last one 0 to 65536, then its tag of 16. Nonce: the chunk's number, 11
//          bytes, big-endian, and 1 byte that is 1 in the last one. The head is authenticated with each chunk.
//
// One thread each. Deriving the key takes about a third of a second and 32 MiB. Throws failure when OpenSSL cannot.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "certs/error.hpp"

namespace fb::certs {

/// What was read is not what a sealer wrote: the words say what it looks like.
class unsealing_failure : public failure {
  public:
    using failure::failure;
};
class wrong_passphrase : public unsealing_failure {
  public:
    using unsealing_failure::unsealing_failure;
};

inline constexpr std::string_view sealed_mark = "fbseal1\n"; // what such a stream begins with

class sealer {
  public:
    using sink = std::function<void(std::string_view)>;
    sealer(std::string_view passphrase, sink out);
    void write(std::string_view bytes);
    /// Once, at the end: without it the stream counts as cut.
    void finish();

  private:
    void put_chunk(std::string_view bytes, bool last);

    sink out_;
    std::string head_;
    std::string key_;
    std::string waiting_; // at most a chunk
    std::uint64_t number_ = 0;
};

class unsealer {
  public:
    /// Fills the span from its front; fewer bytes than asked for only at the end.
    using source = std::function<std::size_t(std::span<char>)>;
    unsealer(std::string_view passphrase, source in);
    /// The next bytes; empty at the end, which has been verified then.
    std::string next();

  private:
    source in_;
    std::string head_;
    std::string key_;
    std::string waiting_; // read, not decrypted
    std::uint64_t number_ = 0;
    bool ended_ = false;
};

} // namespace fb::certs
