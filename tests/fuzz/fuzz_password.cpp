// Password files and SCRAM messages, any bytes: what is accepted is read back as it is written, and no message proves
// what it does not know.
#include "broker/auth/password_file.hpp"
#include "broker/auth/scram.hpp"
#include "fuzz_input.hpp"

#include <stdexcept>

using fb::fuzz::require;
using namespace fb::auth;

namespace {

void check_file(std::string_view text) {
    try {
        password_file::parse(text, "fuzz");
    } catch (const std::runtime_error& e) {
        require(std::string_view(e.what()).starts_with("fuzz:"));
    }
}

void check_stored(std::string_view text) {
    const auto stored = parse_stored_password(text);
    if (stored) require(to_text(*parse_stored_password(to_text(*stored))) == to_text(*stored));
}

void check_scram(std::string_view text) {
    static const scram_secret secret = make_scram_secret("not in any input, hopefully", 1, "salt");
    const auto line = text.find('\n');
    scram_server s([](std::string_view) { return std::optional(secret); }, "nonce", "decoy");
    const auto challenge = s.first(text.substr(0, line));
    if (challenge) require(challenge->starts_with("r=") && !s.user().empty());
    if (line != std::string_view::npos) require(!s.final(text.substr(line + 1)));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 3) {
    case 0: check_file(text); break;
    case 1: check_stored(text); break;
    default: check_scram(text); break;
    }
    return 0;
}
