#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <memory>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <stdexcept>
#include <unistd.h>

#include "broker/app/commands.hpp"
#include "broker/app/database_copy.hpp"
#include "broker/app/open_database.hpp"
#include "broker/app/store_flags.hpp"
#include "storage/audit.hpp"

namespace fb::app {
namespace {

constexpr int audit_rows_at_once = 1000;
constexpr std::size_t audit_faults_max = 20; // said; one would do

struct db_options {
    store_flags store;
    bool json = false;
    std::string file;
};

using json_writer = rapidjson::Writer<rapidjson::StringBuffer>;

storage::database_state state_of(const config& c) {
    auto state = open_raw_tables(c)->state();
    if (!state) throw std::runtime_error(state.err().text);
    return *state;
}

void write_rows(json_writer& w, const std::vector<std::pair<std::string, std::int64_t>>& rows) {
    w.Key("rows");
    w.StartObject();
    for (const auto& [name, count] : rows) {
        w.Key(name.c_str());
        w.Int64(count);
    }
    w.EndObject();
}

void print_json(const std::function<void(json_writer&)>& members) {
    rapidjson::StringBuffer out;
    json_writer w(out);
    w.StartObject();
    members(w);
    w.EndObject();
    std::cout << out.GetString() << '\n';
}

void write_state(json_writer& w, const storage::database_state& s) {
    w.Key("database");
    w.String(s.place);
    w.Key("engine");
    w.String(s.engine);
    w.Key("schema_version");
    w.Int(s.version);
    w.Key("program_version");
    w.Int(s.known);
    w.Key("bytes");
    w.Int64(s.size_bytes);
    write_rows(w, s.rows);
}

int show_status(const db_options& o) {
    const auto s = state_of(config_of(o.store));
    if (o.json) {
        print_json([&](json_writer& w) { write_state(w, s); });
        return 0;
    }
    std::cout << "database          " << s.place << "\nengine            " << s.engine << "\nschema version    "
              << s.version;
    if (s.version < s.known) std::cout << ", to be migrated to " << s.known;
    if (s.version > s.known) std::cout << ", of a newer program: this one knows " << s.known;
    std::cout << "\nsize              " << s.size_bytes << " bytes\n";
    for (const auto& [name, count] : s.rows)
        std::cout << name << std::string(18 - name.size(), ' ') << count << " rows\n";
    return 0;
}

int migrate(const db_options& o) {
    const config c = config_of(o.store);
    int before = 0;
    if (!c.database.sqlite() || std::filesystem::exists(c.data_dir / "fota.db")) before = state_of(c).version;
    if (auto opened = open_database(c); !opened) throw std::runtime_error(opened.err().text);
    const auto s = state_of(c);
    if (o.json) {
        print_json([&](json_writer& w) {
            w.Key("before");
            w.Int(before);
            write_state(w, s);
        });
    } else if (before == s.version) {
        std::cout << s.place << ": schema version " << s.version << ", nothing to do\n";
    } else {
        std::cout << s.place << ": schema version " << before << " became " << s.version << '\n';
    }
    return 0;
}

storage::audit_row audit_row_of(const storage::raw_row& row) {
    storage::audit_row out;
    out.seq = std::stoll(row.at(0).value_or("0"));
    // A time that is none leaves 1970, which does not fit the hash.
    out.entry = {storage::parse_timestamp(row.at(1).value_or("")).value_or(storage::timestamp{}),
                 row.at(2).value_or(""), row.at(3).value_or(""), row.at(4), row.at(5)};
    out.previous_hash = row.at(6).value_or("");
    out.hash = row.at(7).value_or("");
    return out;
}

/// In one transaction: the broker may delete rows meanwhile.
void append_audit_faults(storage::raw_tables& db, std::vector<std::string>& faults) {
    const auto& tables = storage::fota_tables();
    const auto log = std::ranges::find(tables, std::string_view("audit_log"), &storage::table::name);
    storage::audit_chain chain;
    storage::raw_row last;
    if (const auto begun = db.begin(false); !begun) throw std::runtime_error(begun.err().text);
    for (std::size_t found = 0;;) {
        const auto rows = db.read(*log, last, audit_rows_at_once);
        if (!rows) throw std::runtime_error(rows.err().text);
        if (rows->empty()) return;
        for (const auto& row : *rows) {
            const auto fault = chain.fault_in(audit_row_of(row));
            if (!fault) continue;
            if (++found > audit_faults_max) return faults.push_back("audit_log: and more of the same");
            faults.push_back(*fault);
        }
        last = rows->back();
    }
}

int check(const db_options& o) {
    const auto db = open_raw_tables(config_of(o.store));
    const auto state = db->state();
    if (!state) throw std::runtime_error(state.err().text);
    std::vector<std::string> faults;
    if (state->version != state->known) {
        faults.push_back("schema version " + std::to_string(state->version) + ", this program knows " +
                         std::to_string(state->known));
    } else {
        auto found = db->faults();
        if (!found) throw std::runtime_error(found.err().text);
        faults = std::move(*found);
        append_audit_faults(*db, faults);
    }
    if (o.json) {
        print_json([&](json_writer& w) {
            write_state(w, *state);
            w.Key("faults");
            w.StartArray();
            for (const auto& fault : faults) w.String(fault);
            w.EndArray();
        });
    } else {
        for (const auto& fault : faults) std::cout << fault << '\n';
        if (faults.empty()) std::cout << state->place << ": good\n";
    }
    return faults.empty() ? 0 : 1;
}

/// On a terminal, one line that changes.
class progress_line {
  public:
    void operator()(const std::string& table, std::int64_t rows) {
        if (!terminal_) return;
        std::cerr << '\r' << table << ' ' << rows << " rows\033[K" << std::flush;
        shown_ = true;
    }
    ~progress_line() {
        if (shown_) std::cerr << "\r\033[K";
    }

  private:
    const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
    bool shown_ = false;
};

int told(const db_options& o, const copied& c) {
    if (o.json) {
        print_json([&](json_writer& w) {
            write_rows(w, c.rows);
            w.Key("sha256");
            w.String(c.sha256);
        });
        return 0;
    }
    for (const auto& [name, count] : c.rows) std::cerr << name << ' ' << count << " rows\n";
    std::cerr << "sha256 " << c.sha256 << '\n';
    return 0;
}

/// A file that did not exist, for our eyes only: it holds hashes of tokens.
void create_private(const std::string& file) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) throw std::runtime_error(file + ": cannot be created, or exists already");
    ::close(fd);
}

void sync_file(const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    if (!synced) throw std::runtime_error(file + ": cannot be synced to the disk");
}

int export_to(const db_options& o) {
    const auto db = open_raw_tables(config_of(o.store));
    progress_line progress;
    if (o.file == "-") return told({o.store, false, o.file}, export_database(*db, std::cout, std::ref(progress)));
    create_private(o.file);
    copied done;
    try {
        std::ofstream out(o.file, std::ios::binary | std::ios::trunc);
        done = export_database(*db, out, std::ref(progress));
        out.close();
        sync_file(o.file);
    } catch (...) {
        ::unlink(o.file.c_str()); // half an export is of no use to anybody
        throw;
    }
    return told(o, done);
}

int import_from(const db_options& o) {
    const config c = config_of(o.store);
    if (auto opened = open_database(c); !opened) throw std::runtime_error(opened.err().text); // makes the tables
    const auto db = open_raw_tables(c);
    progress_line progress;
    if (o.file == "-") return told(o, import_database(std::cin, *db, std::ref(progress)));
    std::ifstream in(o.file, std::ios::binary);
    if (!in) throw std::runtime_error(o.file + ": cannot be read");
    return told(o, import_database(in, *db, std::ref(progress)));
}

CLI::App& add(CLI::App& db, const char* name, const char* description, const std::shared_ptr<db_options>& o,
              action& chosen, int (*run)(const db_options&)) {
    auto* command = db.add_subcommand(name, description);
    add_store_options(*command, o->store);
    command->add_flag("--json", o->json, "As JSON");
    command->callback([o, run, &chosen] { chosen = [o, run] { return run(*o); }; });
    return *command;
}

constexpr const char* examples =
    R"(FOTA's data: devices, firmwares, updates, results, tokens. Sessions and queues are not in it, nor are firmware files.

Examples:
  fotabroker db status --config /etc/fotabroker.toml
  fotabroker db export fleet.jsonl --data-dir /var/lib/fotabroker
  fotabroker db import fleet.jsonl --database postgresql://fotabroker@db.example/fleet)";

} // namespace

void add_db_command(CLI::App& root, action& chosen) {
    auto* db = root.add_subcommand("db", "FOTA's database: status, migrate, check, export, import");
    db->require_subcommand(1);
    db->footer(examples);
    const auto o = std::make_shared<db_options>();
    add(*db, "status", "Where it is, its schema version, how much is in it", o, chosen, show_status);
    add(*db, "migrate", "Make missing tables and columns, as a start does", o, chosen, migrate);
    add(*db, "check", "Look for damage and for settings that break promises; exit status 1 when there is any", o,
        chosen, check);
    add(*db, "export", "Write everything into a new file, while the broker may run", o, chosen, export_to)
        .add_option("FILE", o->file, "- is standard output")
        ->required();
    add(*db, "import", "Read an export into an empty database, whole or not at all", o, chosen, import_from)
        .add_option("FILE", o->file, "- is standard input")
        ->required();
}

} // namespace fb::app
