#include "broker/backup/restore.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "storage/open.hpp"

namespace fb::backup {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view blobs = "data/blobs/";
constexpr std::string_view aside_prefix = "before-restore-";

/// In a data directory, and of one process or one restore only.
constexpr std::array<std::string_view, 5> never_restored{"lock", "control.sock", "redo", staging_folder,
                                                         outside_folder};

std::string_view first_part(std::string_view name) { return name.substr(0, name.find('/')); }

bool stays(const fs::path& entry) {
    const std::string name = entry.filename().string();
    return name == "lock" || name == "control.sock" || name == staging_folder || name.starts_with(aside_prefix);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
    std::vector<fs::path> out;
    std::error_code ec;
    for (fs::directory_iterator each(folder, ec); !ec && each != fs::directory_iterator(); each.increment(ec))
        out.push_back(each->path());
    if (ec && ec != std::errc::no_such_file_or_directory)
        throw failure(fault::not_done, "cannot list " + folder.string() + ": " + ec.message());
    return out;
}

void make_folder(const fs::path& folder) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) disk_failure("create", folder);
}

void move(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) disk_failure("move", from);
}

void check_names(const std::vector<member>& members) {
    for (const member& m : members) {
        const std::string_view name = m.name;
        if (name.starts_with(blobs) && name.substr(blobs.size()) != m.sha256)
            throw failure(fault::unusable,
                          "the backup is damaged: the firmware file " + m.name + " has another content");
        if (!name.starts_with(data_prefix)) continue;
        const auto top = first_part(name.substr(data_prefix.size()));
        if (std::find(never_restored.begin(), never_restored.end(), top) != never_restored.end() ||
            top.starts_with(aside_prefix))
            throw failure(fault::unusable, "the backup holds " + m.name + ", which no backup of fotabroker does");
    }
}

/// As a start would open them, the migrations of an older program's included.
void open_databases(const fs::path& data, bool fota) {
    if (!fs::exists(data / "state.db")) throw failure(fault::unusable, "the backup holds no state.db");
    const auto state = storage::open_sqlite_session_store(data / "state.db");
    if (!state) throw failure(fault::unusable, state.err().text);
    if (state->put_aside) throw failure(fault::unusable, "the backup is damaged: SQLite cannot read its state.db");
    if (!fota) return;
    if (!fs::exists(data / "fota.db")) throw failure(fault::unusable, "the backup holds no fota.db");
    if (const auto store = storage::open_sqlite_fota_store(data / "fota.db"); !store)
        throw failure(fault::unusable, store.err().text);
}

/// Root restores for the user whose directory it is; and the names of all files are on the disk before any is moved.
void settle(const fs::path& staging, const fs::path& data_dir) {
    struct stat owner {};
    if (::stat(data_dir.c_str(), &owner) != 0) disk_failure("examine", data_dir);
    const bool give = ::geteuid() == 0 && owner.st_uid != 0;
    const auto hand_over = [&](const fs::path& path) {
        if (give && ::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) disk_failure("change the owner of", path);
    };
    for (const auto& each : fs::recursive_directory_iterator(staging)) {
        hand_over(each.path());
        if (each.is_directory()) sync_directory(each.path());
    }
    hand_over(staging);
    sync_directory(staging);
}

void put_everything_aside(const fs::path& data_dir, const fs::path& aside) {
    make_folder(aside);
    for (const fs::path& each : entries_of(data_dir)) {
        if (!stays(each)) move(each, aside / each.filename());
    }
    sync_directory(aside);
}

restored move_into_place(const fs::path& staging, const fs::path& data_dir, const description& about) {
    restored out;
    for (const fs::path& each : entries_of(staging / "data")) move(each, data_dir / each.filename());
    fs::remove(staging / "data");
    const auto rest = entries_of(staging);
    if (rest.empty()) return out;
    make_folder(data_dir / outside_folder);
    for (const fs::path& each : rest) move(each, data_dir / outside_folder / each.filename());
    for (const auto& [name, path] : about.outside) {
        const auto now = data_dir / outside_folder / name;
        if (safe_name(name) && fs::exists(now)) out.outside.emplace_back(now, path);
    }
    return out;
}

} // namespace

bool holds_data(const fs::path& data_dir) {
    const auto entries = entries_of(data_dir);
    return !std::all_of(entries.begin(), entries.end(), stays);
}

restored restore(backup_reader& from, const fs::path& data_dir, const std::optional<std::string>& aside) {
    const bool full = holds_data(data_dir);
    if (full && !aside)
        throw failure(fault::directory, data_dir.string() + " is not empty; --force puts what is there aside");
    const fs::path staging = data_dir / staging_folder;
    fs::remove_all(staging); // of a restore that did not come to its end
    make_folder(staging);
    std::vector<member> members;
    try {
        members = from.extract_to(staging);
        check_names(members);
        open_databases(staging / "data", from.about().engine == "sqlite");
        settle(staging, data_dir);
    } catch (...) {
        std::error_code ignored;
        fs::remove_all(staging, ignored);
        throw;
    }
    const fs::path old = data_dir / (std::string(aside_prefix) + aside.value_or(""));
    if (full) put_everything_aside(data_dir, old);
    restored out = move_into_place(staging, data_dir, from.about());
    sync_directory(data_dir);
    fs::remove_all(staging);
    sync_directory(data_dir);
    out.members = std::move(members);
    if (full) out.put_aside = old;
    return out;
}

} // namespace fb::backup
