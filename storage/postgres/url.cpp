#include <libpq-fe.h>

#include <string_view>

#include "storage/postgres/open.hpp"

namespace fb::storage::postgres {

std::string fault_of_url(const std::string& url) {
    if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) return "must begin with postgresql://";
    char* words = nullptr; // libpq's; may repeat a password
    PQconninfoOption* parts = PQconninfoParse(url.c_str(), &words);
    PQfreemem(words);
    if (parts == nullptr) return "cannot be read: postgresql://user@host:port/database?key=value is the form";
    bool secret = false;
    for (const PQconninfoOption* p = parts; p->keyword != nullptr; ++p)
        secret = secret || (p->val != nullptr && std::string_view(p->keyword).ends_with("password"));
    PQconninfoFree(parts);
    if (secret) return "holds a password, which others may see there: put it into a file and name that";
    return "";
}

} // namespace fb::storage::postgres
