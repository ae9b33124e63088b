// A PROXY header of any bytes: what is accepted is accepted at its last byte and not before, with a short plain source.
#include "broker/net/proxy_header.hpp"
#include "fuzz_input.hpp"

using fb::fuzz::require;
using namespace fb::net;
using state = proxy_header::state;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const proxy_header whole = read_proxy_header(bytes);
    if (whole.what == state::refused) {
        require(*whole.why != '\0');
        return 0;
    }
    const std::size_t end = whole.what == state::complete ? whole.size : size;
    require(end <= size && end <= proxy_header_bytes_max);
    for (std::size_t part = 0; part < end; ++part)
        require(read_proxy_header(bytes.substr(0, part)).what == state::incomplete);
    require(whole.source.size() < 46);
    require(whole.source.find_first_not_of("0123456789abcdef.:") == std::string::npos);
    if (whole.what == state::complete) require(read_proxy_header(bytes.substr(0, end)).source == whole.source);
    return 0;
}
