// FOTA's data as a file of JSON lines, out of any database and into any other.
//
// The first line says what the file is: {"fotabroker_export":1,"schema_version":3}. Then one line for each row:
// {"table":"devices","row":{"id":"...",...}}. The last line says that it is the last: {"rows":{"devices":7,...},
// "sha256":"..."}, the SHA-256 of all lines before it. Tools may make such files, too.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "storage/raw_tables.hpp"

namespace fb::app {

struct copied {
    std::vector<std::pair<std::string, std::int64_t>> rows; // of each table
    std::string sha256;
};
/// Told now and then: a table, and how many of its rows are done.
using copy_progress = std::function<void(const std::string& table, std::int64_t rows)>;

/// All of one moment, while others write. Throws std::runtime_error with words for people; what is in `out` then is not
/// an export, for it has no last line.
copied export_database(storage::raw_tables& from, std::ostream& out, const copy_progress& progress);

/// Into empty tables of the same schema version, whole or not at all: counts and checksum are compared before the
/// commit. Throws std::runtime_error that names the line.
copied import_database(std::istream& in, storage::raw_tables& to, const copy_progress& progress);

} // namespace fb::app
