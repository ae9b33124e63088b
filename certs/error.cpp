#include "certs/error.hpp"

#include <openssl/err.h>

#include "certs/handles.hpp"

namespace fb::certs {

std::string openssl_errors() {
    std::string text;
    while (const unsigned long code = ERR_get_error()) {
        const char* reason = ERR_reason_error_string(code);
        if (!text.empty()) text += "; ";
        text += reason ? reason : "error " + std::to_string(code);
    }
    return text.empty() ? "unknown TLS error" : text;
}

void require(bool worked, const char* what) {
    if (!worked) throw failure(std::string(what) + ": " + openssl_errors());
}

} // namespace fb::certs
