// The keys of the configuration file with their ranges: one list of fields per table. Start-up only.
#pragma once

#include "broker/app/config.hpp"
#include "broker/app/config_field.hpp"

namespace fb::app {

/// All top-level keys; refers to `c`.
fields fields_of(config& c);

} // namespace fb::app
