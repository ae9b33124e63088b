#include "storage/postgres/errors.hpp"

#include <algorithm>
#include <array>

namespace fb::storage::postgres {

namespace {

struct meaning {
    std::string_view sqlstate; // five letters, or the two of a class
    error_kind kind;
    const char* advice;
};

// The first row that fits counts.
constexpr std::array meanings{
    meaning{"23505", error_kind::conflict, nullptr},
    meaning{"22", error_kind::invalid, nullptr},
    meaning{"23", error_kind::invalid, nullptr},
    meaning{"25006", error_kind::unavailable,
            "it is read-only, a standby perhaps: name the primary, or add target_session_attrs=read-write to the URL"},
    meaning{"28P01", error_kind::invalid, "check the role's name and the password"},
    meaning{"28", error_kind::invalid, "check the role's name and the server's pg_hba.conf"},
    meaning{"3D000", error_kind::invalid, "create the database, or correct its name in the URL"},
    meaning{"3F000", error_kind::schema, "there is no such schema"},
    meaning{"40", error_kind::busy, "another transaction was in the way; try again"},
    meaning{"42501", error_kind::invalid, "grant the role what it needs: docs/storage.md has the commands"},
    meaning{"42", error_kind::schema, "the tables are not this program's"},
    meaning{"53100", error_kind::unavailable, "the database server's disk is full"},
    meaning{"53300", error_kind::unavailable, "the server has no connection left: raise its max_connections"},
    meaning{"53", error_kind::unavailable, "the database server is short of resources"},
    meaning{"54", error_kind::invalid, nullptr},
    meaning{"55P03", error_kind::busy, "somebody else holds a lock; try again"},
    meaning{"57014", error_kind::busy, "the statement took longer than its time limit"},
    meaning{"57P03", error_kind::unavailable, "the server is starting or stopping"},
    meaning{"XX001", error_kind::corrupt, "the database is damaged: restore it from a backup"},
    meaning{"XX002", error_kind::corrupt, "an index of the database is damaged: REINDEX it"},
};

const meaning* meaning_of(std::string_view sqlstate) {
    const auto* found = std::find_if(meanings.begin(), meanings.end(),
                                     [&](const meaning& m) { return sqlstate.starts_with(m.sqlstate); });
    return found == meanings.end() ? nullptr : found;
}

bool is_state_letter(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); }

/// "FATAL:  28P01: password ..." has them before the last of the two colons.
std::size_t place_of_sqlstate(std::string_view message) {
    for (std::size_t at = message.find(":  "); at != message.npos; at = message.find(":  ", at + 1)) {
        const std::string_view state = message.substr(at + 3, 5);
        if (state.size() == 5 && std::all_of(state.begin(), state.end(), is_state_letter) &&
            message.substr(at + 8, 2) == ": ")
            return at + 3;
    }
    return message.npos;
}

/// One line, without where in PostgreSQL's sources it comes from.
std::string in_one_line(std::string_view message) {
    std::string out;
    while (!message.empty()) {
        const std::string_view line = message.substr(0, message.find('\n'));
        message.remove_prefix(std::min(line.size() + 1, message.size()));
        const std::size_t begin = line.find_first_not_of(" \t");
        if (begin == line.npos || line.starts_with("LOCATION:")) continue;
        if (!out.empty()) out += "; ";
        out += line.substr(begin);
    }
    return out;
}

/// libpq's own words for a server that is not the one it should be; waiting does not cure that.
bool concerns_trust(std::string_view message) {
    for (const char* words : {"certificate verify failed", "does not match host name", "does not support SSL",
                              "root certificate file", "could not read certificate file", "could not load private key"})
        if (message.find(words) != message.npos) return true;
    return false;
}

} // namespace

error error_of(std::string_view sqlstate, std::string_view message, const std::string& where) {
    const meaning* m = meaning_of(sqlstate);
    std::string text = where + ": " + in_one_line(message);
    if (m != nullptr && m->advice != nullptr) text += std::string(" (") + m->advice + ")";
    return {m == nullptr ? error_kind::unavailable : m->kind, std::move(text)};
}

error connect_error_of(std::string_view message, const std::string& where) {
    const std::size_t at = place_of_sqlstate(message);
    if (at == message.npos && concerns_trust(message)) {
        return {error_kind::invalid, where + ": " + in_one_line(message) +
                                         " (check sslmode and sslrootcert in the URL, and the server's certificate)"};
    }
    if (at == message.npos) return {error_kind::unavailable, where + ": " + in_one_line(message)};
    std::string without_state(message);
    without_state.erase(at, 7);
    return error_of(message.substr(at, 5), without_state, where);
}

bool concerns_one_operation(std::string_view sqlstate) noexcept {
    return sqlstate.starts_with("22") || sqlstate.starts_with("23") || sqlstate.starts_with("54");
}

bool will_pass(std::string_view sqlstate) noexcept { return sqlstate == "40001" || sqlstate == "40P01"; }

bool ends_connection(std::string_view sqlstate) noexcept {
    return sqlstate.starts_with("08") || sqlstate.starts_with("57P") || sqlstate.starts_with("25P03");
}

} // namespace fb::storage::postgres
