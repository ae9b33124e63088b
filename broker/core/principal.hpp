// Who a peer is, as the transport established it: fixed for the life of a connection, shared read-only between threads.
#pragma once

#include <memory>
#include <string>

namespace fb::core {

enum class principal_kind { anonymous, certificate, password, local };

struct principal {
    principal_kind kind = principal_kind::anonymous;
    std::string name;        // device id, user name, or "anonymous"
    std::string device_id;   // empty: not a device
    std::string fingerprint; // of the client certificate, hex SHA-256

    bool is_device() const noexcept { return !device_id.empty(); }
    /// What a session belongs to: another identity may neither resume nor end it (CVE-2026-33215's class).
    std::string identity() const {
        switch (kind) {
        case principal_kind::anonymous: return "anonymous";
        case principal_kind::certificate: return "certificate:" + name;
        case principal_kind::password: return "user:" + name;
        case principal_kind::local: return "local";
        }
        return {};
    }
};

using principal_ptr = std::shared_ptr<const principal>;

} // namespace fb::core
