// Framing of any bytes, whole and byte by byte: both ways find the same packets or the same error.
#include "fuzz_input.hpp"
#include "proto/frame.hpp"

using fb::fuzz::require;
using namespace fb::proto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    constexpr std::uint32_t limit = 1000;
    while (!rest.empty()) {
        const auto whole = next_frame(rest, limit);
        std::size_t seen = 1;
        auto part = next_frame(rest.substr(0, seen), limit);
        while (part && !part->complete() && seen < rest.size()) part = next_frame(rest.substr(0, ++seen), limit);
        require(part.has_value() == whole.has_value());
        if (!whole) {
            require(whole.error() == part.error());
            break;
        }
        require(part->size == whole->size && part->needed == whole->needed && part->body == whole->body);
        if (!whole->complete()) {
            require(whole->needed == 0 || (whole->needed > rest.size() && whole->needed <= limit));
            break;
        }
        require(whole->size == seen && whole->size <= limit && whole->body.size() < whole->size);
        rest.remove_prefix(whole->size);
    }
    return 0;
}
