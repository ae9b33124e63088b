// A request target and a Range header, divided by a line end: what is accepted holds what its users rely on.
#include "fuzz_input.hpp"
#include "http/list_query.hpp"
#include "http/range.hpp"
#include "http/router.hpp"

using fb::fuzz::require;
using namespace fb::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto end = std::min(input.find('\n'), input.size());
    if (const auto t = parse_target(input.substr(0, end))) {
        require(t->path.starts_with('/') && !t->segments.empty() && t->query.size() <= query_parameters_max);
        for (const auto& segment : t->segments) {
            require(segment != "." && segment != ".." && segment.find_first_of("/\\") == std::string::npos);
            require(segment.find('\0') == std::string::npos);
        }
        (void)list_query_of(*t);
        static const router routes({{.method = "GET", .pattern = "/api/v1/devices/{device_id}"},
                                    {.method = "POST", .pattern = "/api/v1/devices/{device_id}"},
                                    {.method = "GET", .pattern = "/fw/{firmware_id}/{name}"}});
        const auto route = routes.find("GET", t->segments);
        for (const auto& parameter : route.parameters) require(!parameter.empty());
    }
    const auto range = input.substr(std::min(end + 1, input.size()));
    for (const std::int64_t bytes : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1000}}) {
        const auto part = parse_range(range, bytes);
        if (part.what == byte_range::kind::unsatisfiable) continue;
        require(part.first >= 0 && part.first <= part.end && part.end <= bytes);
        if (part.what == byte_range::kind::part) require(part.first < part.end);
    }
    return 0;
}
