// The engines' persist operations as the state store's, and back. Pure.
#pragma once

#include <vector>

#include "broker/core/clock.hpp"
#include "broker/core/engine.hpp"
#include "broker/core/persist.hpp"
#include "storage/session_store.hpp"

namespace fb::app {

/// Message expiry is monotonic in memory and UTC on disk; `now` joins the two.
storage::session_operation to_storage(const core::persist_operation& op, const core::instant& now);

core::message_ptr to_message(const storage::message_record& m, bool retain, const core::instant& now,
                             core::message_space* space = nullptr);
core::restored_session to_session(const storage::session_record& s);
core::subscription to_subscription(const storage::subscription_record& s);
core::delivery to_delivery(const storage::queue_record& q, core::message_ptr message);

} // namespace fb::app
