// Errors of certificates, keys and TLS, in words that name the file and what to do. Thrown only during start-up and by
// the command line (certs::failure); running connections get values.
#pragma once

#include <stdexcept>
#include <string>

namespace fb::certs {

class failure : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The newest messages of OpenSSL's error queue of this thread, joined; empties the queue.
std::string openssl_errors();

} // namespace fb::certs
