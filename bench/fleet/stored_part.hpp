// Runs about what a broker keeps have two halves. They can be run apart, with the same options, so that the broker can
// be ended and started again between them.
#pragma once

namespace fb::fleet {

enum class stored_part { all, fill, collect };

} // namespace fb::fleet
