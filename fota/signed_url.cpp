#include "fota/signed_url.hpp"

#include <charconv>

#include "certs/digest.hpp"

namespace fb::fota {

std::string sign_url(std::string_view key, const url_claim& c) {
    const std::string text =
        "v1\n" + c.firmware_id + "\n" + c.device_id + "\n" + c.update_id + "\n" + c.attempt + "\n" + c.expires;
    return certs::base64url(certs::hmac_sha256(key, text));
}

bool url_signature_valid(std::string_view key, const url_claim& claim, std::string_view signature) noexcept {
    return certs::equal_constant_time(sign_url(key, claim), signature);
}

bool url_unexpired(std::string_view expires, storage::timestamp now) noexcept {
    std::int64_t seconds = 0;
    const auto* end = expires.data() + expires.size();
    const auto [stop, fault] = std::from_chars(expires.data(), end, seconds);
    if (fault != std::errc{} || stop != end) return false;
    return std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count() <= seconds;
}

std::string url_query(std::string_view key, const url_claim& c) {
    return "u=" + c.update_id + "&a=" + c.attempt + "&e=" + c.expires + "&s=" + sign_url(key, c);
}

} // namespace fb::fota
