// Who a client certificate says the peer is. A SAN URI `urn:fotabroker:device:<id>` wins over the subject's CN.
#pragma once

#include <optional>
#include <string>
#include <string_view>

typedef struct x509_st X509;

namespace fb::certs {

/// 1-128 characters of [A-Za-z0-9._:-]: nothing that could be a wildcard, a level or a path.
bool valid_device_id(std::string_view id) noexcept;

struct identity {
    std::string device_id;
    std::string fingerprint; // lower-case hex SHA-256 of the DER certificate
};

/// Nothing when neither the SAN nor the CN is a valid device id (CN with an embedded NUL, several CNs, too long...).
std::optional<identity> identity_of(X509* certificate);

} // namespace fb::certs
