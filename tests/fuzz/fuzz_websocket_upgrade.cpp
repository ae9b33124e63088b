// The request with which a WebSocket begins, whole and in two pieces: the same answer, and always a whole one.
#include "broker/net/websocket_upgrade.hpp"
#include "fuzz_input.hpp"

using fb::fuzz::require;
using namespace fb::net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > upgrade_bytes_max) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const websocket_settings settings{"/mqtt", data[0] % 2 == 0 ? std::vector<std::string>{}
                                                                : std::vector<std::string>{"https://console.example"}};
    const auto whole = answer_upgrade(bytes, 0, settings);
    const std::size_t split = bytes.size() * data[0] / 256;
    if (!answer_upgrade(bytes.substr(0, split), 0, settings)) {
        const auto later = answer_upgrade(bytes, split, settings);
        require(later.has_value() == whole.has_value());
        require(!whole || later->response == whole->response);
    }
    if (!whole) return 0;
    require(whole->response.starts_with("HTTP/1.1 ") && whole->response.find("\r\n\r\n") != std::string::npos);
    require(whole->refusal.empty() == whole->response.starts_with("HTTP/1.1 101 "));
    return 0;
}
