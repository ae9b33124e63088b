// Runs the broker until SIGTERM or SIGINT. Everything it owns ends before it returns.
#pragma once

#include "broker/app/config.hpp"

namespace fb::app {

/// The process's exit status: 0 after a clean stop. A start that fails throws std::runtime_error, whose text names the
/// thing at fault.
int serve(const config& c);

} // namespace fb::app
