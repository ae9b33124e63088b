#include "broker/auth/stored_password.hpp"

#include <charconv>

#include "certs/digest.hpp"

namespace fb::auth {
namespace {

constexpr std::string_view scram_name = "SCRAM-SHA-256$";
constexpr std::size_t scram_key_bytes = 32;
constexpr std::size_t sha512_bytes = 64;
constexpr std::size_t salt_bytes_max = 256;

/// The text up to `end`, which is taken away with it; nothing when it does not come.
std::optional<std::string_view> take_until(std::string_view& text, char end) {
    const auto at = text.find(end);
    if (at == std::string_view::npos) return std::nullopt;
    const auto part = text.substr(0, at);
    text.remove_prefix(at + 1);
    return part;
}

std::optional<unsigned> iterations_of(const std::optional<std::string_view>& text) {
    unsigned value = 0;
    if (!text) return std::nullopt;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size() || value == 0 || value > iterations_max) {
        return std::nullopt;
    }
    return value;
}

std::optional<std::string> bytes_of(const std::optional<std::string_view>& text, std::size_t min, std::size_t max) {
    auto out = text ? certs::from_base64(*text) : std::nullopt;
    if (!out || out->size() < min || out->size() > max) return std::nullopt;
    return out;
}

std::optional<stored_password> parse_scram(std::string_view text) {
    const auto iterations = iterations_of(take_until(text, ':'));
    const auto salt = bytes_of(take_until(text, '$'), 1, salt_bytes_max);
    const auto stored_key = bytes_of(take_until(text, ':'), scram_key_bytes, scram_key_bytes);
    const auto server_key = bytes_of(text, scram_key_bytes, scram_key_bytes);
    if (!iterations || !salt || !stored_key || !server_key) return std::nullopt;
    return scram_secret{*iterations, *salt, *stored_key, *server_key};
}

std::optional<stored_password> parse_pbkdf2(std::string_view text) {
    const auto iterations = iterations_of(take_until(text, '$'));
    const auto salt = bytes_of(take_until(text, '$'), 1, salt_bytes_max);
    const auto hash = bytes_of(text, sha512_bytes, sha512_bytes);
    if (!iterations || !salt || !hash) return std::nullopt;
    return pbkdf2_hash{*iterations, *salt, *hash};
}

std::optional<stored_password> parse_salted(std::string_view text) {
    const auto salt = bytes_of(take_until(text, '$'), 1, salt_bytes_max);
    const auto hash = bytes_of(text, sha512_bytes, sha512_bytes);
    if (!salt || !hash) return std::nullopt;
    return salted_hash{*salt, *hash};
}

std::string hash_of(const salted_hash& p, std::string_view password) {
    certs::digest sum(certs::digest_kind::sha512);
    sum.update(password);
    sum.update(p.salt);
    return sum.finish();
}

struct matcher {
    std::string_view password;
    bool operator()(const scram_secret& p) const {
        return certs::equal_constant_time(make_scram_secret(password, p.iterations, p.salt).stored_key, p.stored_key);
    }
    bool operator()(const pbkdf2_hash& p) const {
        return certs::equal_constant_time(make_pbkdf2_hash(password, p.iterations, p.salt).hash, p.hash);
    }
    bool operator()(const salted_hash& p) const { return certs::equal_constant_time(hash_of(p, password), p.hash); }
};

struct writer {
    std::string operator()(const scram_secret& p) const {
        return std::string(scram_name) + std::to_string(p.iterations) + ":" + certs::base64(p.salt) + "$" +
               certs::base64(p.stored_key) + ":" + certs::base64(p.server_key);
    }
    std::string operator()(const pbkdf2_hash& p) const {
        return "$7$" + std::to_string(p.iterations) + "$" + certs::base64(p.salt) + "$" + certs::base64(p.hash);
    }
    std::string operator()(const salted_hash& p) const {
        return "$6$" + certs::base64(p.salt) + "$" + certs::base64(p.hash);
    }
};

} // namespace

std::optional<stored_password> parse_stored_password(std::string_view text) {
    const auto after = [&text](std::string_view prefix) { return text.substr(prefix.size()); };
    if (text.starts_with(scram_name)) return parse_scram(after(scram_name));
    if (text.starts_with("$7$")) return parse_pbkdf2(after("$7$"));
    if (text.starts_with("$6$")) return parse_salted(after("$6$"));
    return std::nullopt;
}

std::string to_text(const stored_password& p) { return std::visit(writer{}, p); }

scram_secret make_scram_secret(std::string_view password, unsigned iterations, std::string_view salt) {
    const std::string salted = certs::pbkdf2(certs::digest_kind::sha256, password, salt, iterations, scram_key_bytes);
    return {iterations, std::string(salt), certs::sha256(certs::hmac_sha256(salted, "Client Key")),
            certs::hmac_sha256(salted, "Server Key")};
}

pbkdf2_hash make_pbkdf2_hash(std::string_view password, unsigned iterations, std::string_view salt) {
    return {iterations, std::string(salt),
            certs::pbkdf2(certs::digest_kind::sha512, password, salt, iterations, sha512_bytes)};
}

bool matches(const stored_password& p, std::string_view password) { return std::visit(matcher{password}, p); }

} // namespace fb::auth
