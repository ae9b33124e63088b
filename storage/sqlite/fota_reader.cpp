#include "storage/sqlite/fota_reader.hpp"

#include "storage/sql_fota_reader.hpp"
#include "storage/sqlite/query.hpp"

namespace fb::storage::sqlite {

namespace {

constexpr std::chrono::seconds query_time_max{5};

} // namespace

result<std::unique_ptr<fota_reader>> open_fota_reader(const std::filesystem::path& file) {
    auto db = connection::open(file, {.time_limit = query_time_max, .query_only = true});
    if (!db) return db.err();
    return std::unique_ptr<fota_reader>(std::make_unique<sql_fota_reader<connection, query>>(std::move(*db)));
}

} // namespace fb::storage::sqlite
