// The names that appear in our certificates, shared by who writes them (authority) and who reads them (identity).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

typedef struct x509_st X509;

namespace fb::certs {

inline constexpr std::string_view device_uri_prefix = "urn:fotabroker:device:";
inline constexpr std::size_t common_name_chars_max = 64; // X.520 ub-common-name

/// Lower-case hex SHA-256 of the DER certificate.
std::string fingerprint_of(X509* certificate);

/// A host name as it may stand in a certificate: labels of letters, digits, '-' and '_', the first may be '*'. Not an
/// IP address, and nothing that looks like a failed one ("10.0.0.300").
bool valid_dns_name(std::string_view name) noexcept;

/// A refused name for an error text: in quotes, control characters as '?'.
std::string quoted(std::string name);

} // namespace fb::certs
