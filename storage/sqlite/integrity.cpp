#include "storage/sqlite/integrity.hpp"

#include "storage/sqlite/query.hpp"

namespace fb::storage::sqlite {

status quick_check(connection& db, const std::string& what) {
    query q(db, "PRAGMA quick_check(" + what + ")");
    std::string verdict;
    if (q.next()) q >> verdict;
    if (auto ended = q.ended(); !ended) return ended;
    if (verdict != "ok") return error{error_kind::corrupt, db.file().string() + ": " + verdict};
    return done{};
}

} // namespace fb::storage::sqlite
