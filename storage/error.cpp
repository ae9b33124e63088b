#include "storage/error.hpp"

namespace fb::storage {

const char* to_string(error_kind kind) noexcept {
    switch (kind) {
    case error_kind::conflict: return "conflict";
    case error_kind::not_found: return "not_found";
    case error_kind::invalid: return "invalid";
    case error_kind::busy: return "busy";
    case error_kind::unavailable: return "unavailable";
    case error_kind::corrupt: return "corrupt";
    case error_kind::schema: return "schema";
    }
    return "unknown";
}

} // namespace fb::storage
