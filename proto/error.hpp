// Why bytes are not a packet: the reason code to answer with, the normative statement that was broken, and words.
#pragma once

#include <boost/system/result.hpp>

#include <stdexcept>
#include <string>

#include "proto/reason_code.hpp"

namespace fb::proto {

/// All members have static lifetime. `statement` is "v5[MQTT-3.1.2-3]" or "v311[MQTT-3.1.2-3]"; where the standards
/// state a rule without an id it names the section: "v5 2.1.4".
struct decode_error {
    reason_code reason = reason_code::malformed_packet;
    const char* statement = "";
    const char* what = "";

    friend bool operator==(const decode_error&, const decode_error&) = default;
};

/// Reached only by calling value() on an error, which is a programmer's mistake.
[[noreturn]] inline void throw_exception_from_error(const decode_error& e, const boost::source_location&) {
    throw std::logic_error(std::string("proto::decode_error not handled: ") + e.what);
}

template <class T>
using result = boost::system::result<T, decode_error>;

} // namespace fb::proto
