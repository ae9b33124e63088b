#include "broker/auth/scram.hpp"

#include <algorithm>

#include "certs/digest.hpp"

namespace fb::auth {
namespace {

constexpr std::size_t message_bytes_max = 4096;
constexpr std::size_t salt_bytes = 16;

bool printable(std::string_view text) { // RFC 5802 section 7: printable, without ','
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~' && c != ','; });
}

/// The value of the attribute `name` at the front of `text`; it and its comma are taken away.
std::optional<std::string_view> take_attribute(std::string_view& text, char name) {
    if (text.size() < 2 || text[0] != name || text[1] != '=') return std::nullopt;
    const auto end = std::min(text.find(','), text.size());
    const auto value = text.substr(2, end - 2);
    text.remove_prefix(std::min(end + 1, text.size()));
    return value;
}

/// "=2C" is a comma and "=3D" an equals sign; no other '=' may be there.
std::optional<std::string> decode_name(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '=') {
            out += text[i];
        } else if (text.substr(i, 3) == "=2C") {
            out += ',';
            i += 2;
        } else if (text.substr(i, 3) == "=3D") {
            out += '=';
            i += 2;
        } else {
            return std::nullopt;
        }
    }
    if (out.empty()) return std::nullopt;
    return out;
}

std::string exclusive_or(std::string a, std::string_view b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<char>(a[i] ^ b[i]);
    return a;
}

} // namespace

scram_server::scram_server(lookup find, std::string nonce, std::string decoy_key)
    : find_(std::move(find))
    , nonce_(std::move(nonce))
    , decoy_key_(std::move(decoy_key)) {}

std::optional<std::string> scram_server::first(std::string_view message) {
    if (message.size() > message_bytes_max || !server_first_.empty()) return std::nullopt;
    // gs2-header: "n" or "y" (no channel binding), then who to act for, which is nobody but oneself.
    if (!message.starts_with("n,") && !message.starts_with("y,")) return std::nullopt;
    std::string_view rest = message.substr(2);
    std::optional<std::string> acts_for;
    if (const auto value = take_attribute(rest, 'a')) {
        acts_for = decode_name(*value);
        if (!acts_for) return std::nullopt;
    } else if (rest.starts_with(',')) {
        rest.remove_prefix(1);
    } else {
        return std::nullopt;
    }
    gs2_header_ = message.substr(0, message.size() - rest.size());
    client_first_bare_ = rest;
    const auto name = take_attribute(rest, 'n'); // an extension we must know ("m=") would stand before it
    const auto nonce = take_attribute(rest, 'r');
    const auto user = name ? decode_name(*name) : std::nullopt;
    if (!user || !nonce || !printable(*nonce) || (acts_for && acts_for != user)) return std::nullopt;
    user_ = *user;

    if (const auto secret = find_(user_)) {
        secret_ = *secret;
        known_ = true;
    } else {
        secret_.iterations = iterations_default;
        secret_.salt = certs::hmac_sha256(decoy_key_, user_).substr(0, salt_bytes);
        secret_.stored_key = certs::random_bytes(32);
    }
    nonce_ = std::string(*nonce) + nonce_;
    server_first_ = "r=" + nonce_ + ",s=" + certs::base64(secret_.salt) + ",i=" + std::to_string(secret_.iterations);
    return server_first_;
}

std::optional<std::string> scram_server::final(std::string_view message) {
    if (message.size() > message_bytes_max || server_first_.empty()) return std::nullopt;
    const auto proof_at = message.rfind(",p=");
    if (proof_at == std::string_view::npos) return std::nullopt;
    const auto proof = certs::from_base64(message.substr(proof_at + 3));
    const std::string_view without_proof = message.substr(0, proof_at);
    std::string_view rest = without_proof;
    const auto binding = take_attribute(rest, 'c');
    const auto nonce = take_attribute(rest, 'r');
    if (!proof || !binding || !nonce) return std::nullopt;
    if (*binding != certs::base64(gs2_header_) || *nonce != nonce_) return std::nullopt;

    const std::string auth_message = client_first_bare_ + "," + server_first_ + "," + std::string(without_proof);
    const std::string signature = certs::hmac_sha256(secret_.stored_key, auth_message);
    if (proof->size() != signature.size()) return std::nullopt;
    const std::string client_key = exclusive_or(*proof, signature);
    if (!certs::equal_constant_time(certs::sha256(client_key), secret_.stored_key) || !known_) return std::nullopt;
    return "v=" + certs::base64(certs::hmac_sha256(secret_.server_key, auth_message));
}

} // namespace fb::auth
