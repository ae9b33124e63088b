// Any packet of any version and sender: what decodes can be encoded, decodes again, and is then encoded as the same
// bytes, no longer than the first.
#include "fuzz_input.hpp"
#include "proto/decode.hpp"
#include "tests/support/any_packet.hpp"

using fb::fuzz::require;
using namespace fb::proto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto choice = fb::fuzz::choice_of(data[0]);
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto f = next_frame(bytes, no_size_limit);
    if (!f || !f->complete()) return 0;

    const auto decoded = decode(*f, choice.version, choice.from_client);
    if (!decoded) {
        require(is_error(decoded.error().reason));
        require(*decoded.error().statement != '\0' && *decoded.error().what != '\0');
        return 0;
    }
    const auto once = fb::test::encode_any(*decoded, choice.version);
    require(!once.empty() && once.size() <= f->size);
    const auto again = fb::test::decode_one(once, choice.version, choice.from_client);
    require(again.has_value());
    require(fb::test::encode_any(*again, choice.version) == once);
    return 0;
}
