// Session operations as bytes and back. A message's content is written once per commit, however many queues it is in.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "storage/redo/bytes.hpp"
#include "storage/session_store.hpp"

namespace fb::storage::redo {

/// Appends the operations of one commit.
void encode(std::span<const session_operation> operations, std::string& out);

/// The operations of one commit, one after the other. Texts in messages are views of `bytes`, which `owner` keeps
/// alive; it becomes the messages' owner.
class operation_reader {
  public:
    explicit operation_reader(std::string_view bytes, std::shared_ptr<const void> owner = {});
    /// Nothing at the end, and when the bytes are none of encode()'s: ok() tells.
    std::optional<session_operation> next();
    bool ok() const noexcept { return in_.ok(); }

  private:
    session_operation read(std::uint8_t tag);
    session_record read_session();
    queue_record read_delivery();
    message_record read_message();

    byte_reader in_;
    std::shared_ptr<const void> owner_;
    boost::unordered_flat_map<std::uint64_t, message_record> messages_; // read so far, by id
};

} // namespace fb::storage::redo
