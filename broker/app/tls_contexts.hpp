// TLS contexts of listeners as the configuration names them. Start-up only.
#pragma once

#include <memory>

#include "broker/app/config.hpp"
#include "certs/tls_context.hpp"

namespace fb::app {

/// Throws std::runtime_error whose text names the file at fault. Says so in the log when others can read the key.
std::shared_ptr<certs::tls_context> tls_context_of(const config& c, const tls_files& files,
                                                   certs::client_certificates clients);

} // namespace fb::app
