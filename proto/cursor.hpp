// Reads the body of one packet from front to back, never past its end.
//
// The first failure is kept and ends the reading: from then on every read returns zero or nothing, the cursor is at its
// end, and later failures change nothing. So a decoder reads and judges its fields in a row without asking ok().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proto/error.hpp"
#include "proto/rule.hpp"
#include "proto/types.hpp"

namespace fb::proto {

inline constexpr rule_ids rule_remaining_length{"v5 2.1.4", "v311 2.2.3"};

class cursor {
  public:
    cursor(std::string_view bytes, version v) noexcept
        : bytes_(bytes)
        , version_(v) {}

    bool ok() const noexcept { return !failed_; }
    const decode_error& error() const noexcept { return error_; }
    bool at_end() const noexcept { return bytes_.empty(); }
    version protocol() const noexcept { return version_; }
    bool is_v5() const noexcept { return version_ == version::v5; }
    void set_protocol(version v) noexcept { version_ = v; }

    void fail(reason_code reason, rule_ids broken, const char* what) noexcept {
        fail(decode_error{reason, is_v5() ? broken.v5 : broken.v311, what});
    }
    void fail(const decode_error& error) noexcept;
    /// `value`, which decides about `r` in the version of this connection.
    bool decide(rule_ids r, bool value) const noexcept { return r.decide(value, is_v5()); }
    /// Fails where the rule is broken, and says whether it is.
    bool malformed_if(bool broken, rule_ids r, const char* what) noexcept {
        const bool decided = decide(r, broken);
        if (decided) malformed(r, what);
        return decided;
    }
    bool protocol_error_if(bool broken, rule_ids r, const char* what) noexcept {
        const bool decided = decide(r, broken);
        if (decided) protocol_error(r, what);
        return decided;
    }
    void malformed(rule_ids broken, const char* what) noexcept { fail(reason_code::malformed_packet, broken, what); }
    void protocol_error(rule_ids broken, const char* what) noexcept { fail(reason_code::protocol_error, broken, what); }

    std::uint8_t u8(rule_ids required = rule_remaining_length) noexcept {
        const auto bytes = take(1, required);
        return bytes.empty() ? std::uint8_t{0} : byte(bytes, 0);
    }
    std::uint16_t u16(rule_ids required = rule_remaining_length) noexcept {
        const auto bytes = take(2, required);
        return bytes.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(byte(bytes, 0) << 8 | byte(bytes, 1));
    }
    std::uint32_t u32() noexcept {
        const std::uint32_t high = u16();
        return high << 16 | u16();
    }
    /// A variable byte integer in its shortest form.
    std::uint32_t varint(rule_ids required = rule_remaining_length) noexcept;
    /// Two bytes of length and that many bytes. `required` is the rule that says the field must be there.
    std::string_view binary(rule_ids required = rule_remaining_length) noexcept {
        return take(u16(required), required);
    }
    /// The same, and it is a UTF-8 string that MQTT allows. `is_text` is the rule that wants one here.
    std::string_view string(rule_ids required = rule_remaining_length, rule_ids is_text = {"", ""}) noexcept;
    std::string_view take(std::size_t size, rule_ids required = rule_remaining_length) noexcept {
        if (malformed_if(bytes_.size() < size, required, "packet ends too early")) return {};
        const auto taken = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return taken;
    }
    /// Everything that is left.
    std::string_view rest() noexcept { return take(bytes_.size()); }
    void expect_end(rule_ids broken = rule_remaining_length) noexcept {
        malformed_if(!at_end(), broken, "bytes left over at the end of the packet");
    }

  private:
    static std::uint8_t byte(std::string_view bytes, std::size_t i) noexcept {
        return static_cast<std::uint8_t>(bytes[i]);
    }

    std::string_view bytes_; // still to be read; empty after a failure
    version version_;
    bool failed_ = false;
    decode_error error_;
};

} // namespace fb::proto
