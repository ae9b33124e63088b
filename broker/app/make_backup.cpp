#include "broker/app/make_backup.hpp"

#include <fcntl.h>
#include <fstream>
#include <set>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "broker/app/control_socket.hpp"
#include "broker/app/database_copy.hpp"
#include "broker/app/open_database.hpp"
#include "broker/app/state_copy.hpp"
#include "broker/app/version.hpp"
#include "broker/backup/writer.hpp"
#include "storage/blob_files.hpp"
#include "storage/sqlite/online_copy.hpp"

namespace fb::app {
namespace {

namespace fs = std::filesystem;
using backup::descriptor;
using progress = std::function<void(std::string_view what, std::uint64_t done, std::uint64_t all)>;

template <class T>
T value_of(storage::result<T> r) {
    if (!r) throw std::runtime_error(r.err().text);
    return std::move(*r);
}

/// A file without a name, so that nothing stays whatever happens.
descriptor taken_from(const fs::path& file) {
    descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) backup::disk_failure("read", file);
    ::unlink(file.c_str());
    return fd;
}

descriptor copy_of(const config& c, const std::string& name, const progress& told) {
    const auto file = c.data_dir / copy_name(name);
    auto copy = storage::sqlite::copy_of_now(c.data_dir / name, file);
    if (!copy) throw std::runtime_error(copy.err().text);
    for (auto more = (*copy)->step();; more = (*copy)->step()) {
        told("copying " + name, (*copy)->bytes_done(), (*copy)->bytes_all());
        if (more && *more) continue;
        if (more) return taken_from(file);
        ::unlink(file.c_str());
        throw std::runtime_error(more.err().text);
    }
}

descriptor export_of_database(const config& c, const progress& told) {
    const auto file = c.data_dir / copy_name("fota.db");
    descriptor fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd.get() < 0) backup::disk_failure("create", file);
    std::ofstream out(file, std::ios::binary);
    ::unlink(file.c_str());
    export_database(*open_raw_tables(c), out, [&](const std::string& table, std::int64_t rows) {
        told("exporting " + table + ", " + std::to_string(rows) + " rows", 0, 0);
    });
    out.close();
    if (!out) throw std::runtime_error("the database's export cannot be written: is the disk full?");
    return fd;
}

/// Everything but the databases: the name in the backup, and where it is now.
struct file_list {
    std::vector<std::pair<std::string, fs::path>> files;
    std::vector<std::pair<std::string, std::string>> outside; // of them, what is not of the data directory
    std::set<fs::path> known;

    void add(const std::string& name, const fs::path& file) {
        if (known.insert(file).second) files.emplace_back(name, file);
    }

    void add_outside(const std::string& folder, const fs::path& file) {
        if (!known.insert(file).second) return;
        const std::string number = std::to_string(outside.size() + 1); // names from several folders may be the same
        files.emplace_back(folder + "/" + number + "-" + file.filename().string(), file);
        outside.emplace_back(files.back().first, file.string());
    }
};

std::string data_name(const fs::path& below_data_dir) {
    return std::string(backup::data_prefix) + below_data_dir.generic_string();
}

void add_folder(file_list& all, const fs::path& data_dir, const char* folder) {
    std::error_code ec;
    fs::recursive_directory_iterator each(data_dir / folder, ec);
    if (ec == std::errc::no_such_file_or_directory) return;
    for (; !ec && each != fs::recursive_directory_iterator(); each.increment(ec)) {
        if (each->is_regular_file()) all.add(data_name(each->path().lexically_relative(data_dir)), each->path());
    }
    if (ec) throw std::runtime_error((data_dir / folder).string() + ": " + ec.message());
}

/// A file that the configuration names; without one, the default is often not there.
void add_named(file_list& all, const config& c, const fs::path& data_dir, const fs::path& named) {
    if (named.empty()) return;
    const auto file = fs::absolute(resolve(c, named)).lexically_normal();
    if (!fs::is_regular_file(file)) return;
    const auto below = file.lexically_relative(data_dir);
    if (!below.empty() && *below.begin() != "..")
        all.add(data_name(below), file);
    else
        all.add_outside("outside", file);
}

void add_tls(file_list& all, const config& c, const fs::path& data_dir, const tls_files& files) {
    for (const auto& file : {files.cert, files.key, files.client_ca}) add_named(all, c, data_dir, file);
    if (files.client_ca.empty()) return;
    for (const char* beside : {"ca.key", "issued.jsonl"}) // when it is a CA of `fotabroker cert`
        add_named(all, c, data_dir, fs::path(files.client_ca).replace_filename(beside));
}

file_list files_of(const backup_request& r) {
    const config& c = r.c;
    const auto data_dir = fs::absolute(c.data_dir).lexically_normal();
    file_list all;
    for (const char* file : {"admin.token", "gateway.id"})
        if (fs::exists(data_dir / file)) all.add(data_name(file), data_dir / file);
    for (const char* folder : {"keys", "certs"}) add_folder(all, data_dir, folder);
    for (const auto& l : c.listeners) add_tls(all, c, data_dir, l.tls);
    for (const auto& l : c.http.listeners) add_tls(all, c, data_dir, l.tls);
    add_named(all, c, data_dir, c.auth.password_file);
    add_named(all, c, data_dir, c.database.password_file);
    if (r.config_file) all.add_outside("config", fs::absolute(*r.config_file).lexically_normal());
    return all;
}

std::uint64_t size_of(const descriptor& fd) {
    struct stat info {};
    return fd.get() >= 0 && ::fstat(fd.get(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

backup::description about(const backup_request& r, const file_list& files, std::chrono::system_clock::time_point now) {
    backup::description d;
    d.program_version = program_version;
    d.created_at = storage::format_timestamp(std::chrono::floor<std::chrono::milliseconds>(now));
    d.data_dir = fs::absolute(r.c.data_dir).string();
    d.outside = files.outside;
    if (r.c.database.sqlite()) return d;
    d.engine = "postgresql";
    d.database = r.c.database.url;
    d.note = r.with_database
                 ? "devices, firmwares, updates and results are in fota.jsonl: `fotabroker db import` brings "
                   "them into an empty database"
                 : "devices, firmwares, updates and results are in PostgreSQL and not in this file: save "
                   "them with `pg_dump --schema=" +
                       r.c.database.schema + " " + r.c.database.url + "`, or with `fotabroker backup --with-database`";
    return d;
}

/// The copies of the databases; -1: there is none to be.
struct copies {
    descriptor state, spool, fota, exported;
};

copies copy_databases(const backup_request& r, const progress& told) {
    copies out;
    // state.db first: what is acknowledged before the backup begins is in it, whenever its copy ends.
    out.state = copy_of_state(r.c, [&](std::uint64_t done, std::uint64_t all) { told("copying state.db", done, all); });
    // What goes from the spool into the database meanwhile is in both, and is known by its event key.
    if (fs::exists(r.c.data_dir / "spool.db")) out.spool = copy_of(r.c, "spool.db", told);
    if (r.c.database.sqlite())
        out.fota = copy_of(r.c, "fota.db", told);
    else if (r.with_database)
        out.exported = export_of_database(r.c, told);
    return out;
}

} // namespace

backup_made make_backup(const backup_request& r, const progress& told) {
    const auto blobs = value_of(storage::blob_files::present(r.c.data_dir / "blobs"));
    const auto hold = value_of(storage::blob_hold::of(r.c.data_dir / "blobs")); // what the rows name stays until then
    const copies databases = copy_databases(r, told);
    file_list files = files_of(r);
    for (const std::string& name : value_of(blobs.names())) files.add(data_name("blobs/" + name), blobs.path_of(name));

    std::uint64_t all =
        size_of(databases.state) + size_of(databases.spool) + size_of(databases.fota) + size_of(databases.exported);
    for (const auto& [name, file] : files.files) all += fs::file_size(file);
    const auto now = std::chrono::system_clock::now();
    const backup::description d = about(r, files, now);
    backup::backup_writer out(r.file, r.passphrase, d, std::chrono::system_clock::to_time_t(now),
                              [&](std::uint64_t done) { told("writing the backup", done, all); });
    out.add_descriptor(data_name("state.db"), databases.state.get());
    if (databases.spool.get() >= 0) out.add_descriptor(data_name("spool.db"), databases.spool.get());
    if (databases.fota.get() >= 0) out.add_descriptor(data_name("fota.db"), databases.fota.get());
    if (databases.exported.get() >= 0) out.add_descriptor("fota.jsonl", databases.exported.get());
    for (const auto& [name, file] : files.files) out.add_file(name, file);
    out.finish();

    backup_made made{out.members().size(), 0, out.file_bytes(), d.note};
    for (const auto& m : out.members()) made.member_bytes += m.size;
    return made;
}

} // namespace fb::app
