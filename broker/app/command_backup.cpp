#include <fstream>
#include <iostream>
#include <memory>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <stdexcept>
#include <sys/stat.h>

#include "broker/app/commands.hpp"
#include "broker/app/data_directory.hpp"
#include "broker/app/make_backup.hpp"
#include "broker/app/progress_bar.hpp"
#include "broker/app/secret_input.hpp"
#include "broker/app/store_flags.hpp"
#include "broker/backup/restore.hpp"

namespace fb::app {
namespace {

struct backup_options {
    store_flags store;
    std::filesystem::path file;
    std::optional<std::filesystem::path> passphrase_file;
    bool encrypt = false;
    bool with_database = false;
    bool force = false;
    bool json = false;
};

using json_writer = rapidjson::Writer<rapidjson::StringBuffer>;

std::string passphrase_in(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string line;
    if (!std::getline(in, line)) throw std::runtime_error(file.string() + ": the passphrase cannot be read");
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) throw std::runtime_error(file.string() + ": the first line must be the passphrase");
    return line;
}

int make(const backup_options& o) {
    backup_request r;
    r.c = config_of(o.store);
    r.config_file = o.store.config_file;
    r.file = o.file;
    r.with_database = o.with_database;
    if (o.passphrase_file)
        r.passphrase = passphrase_in(*o.passphrase_file);
    else if (o.encrypt)
        r.passphrase = ask_secret("Passphrase: ");
    if (!std::filesystem::is_directory(r.c.data_dir))
        throw std::runtime_error(r.c.data_dir.string() +
                                 " is not a directory: --data-dir names the broker's data directory");
    progress_bar bar;
    const backup_made made = make_backup(
        r, [&bar](std::string_view what, std::uint64_t done, std::uint64_t all) { bar.show(what, done, all); });
    if (!r.passphrase)
        std::cerr << "warning: " << o.file.string()
                  << " holds private keys and tokens in the clear; --encrypt asks for a passphrase\n";
    if (!o.json) {
        std::cout << o.file.string() << ": " << made.members << " files, " << made.member_bytes << " bytes, in "
                  << made.file_bytes << '\n';
        if (!made.note.empty()) std::cout << made.note << '\n';
        return 0;
    }
    rapidjson::StringBuffer out;
    json_writer w(out);
    w.StartObject();
    w.Key("file");
    w.String(o.file.string());
    w.Key("encrypted");
    w.Bool(r.passphrase.has_value());
    w.Key("members");
    w.Uint64(made.members);
    w.Key("member_bytes");
    w.Uint64(made.member_bytes);
    w.Key("file_bytes");
    w.Uint64(made.file_bytes);
    w.Key("note");
    w.String(made.note);
    w.EndObject();
    std::cout << out.GetString() << '\n';
    return 0;
}

std::string time_for_a_name() {
    std::string time =
        storage::format_timestamp(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
    std::erase(time, ':');
    return time;
}

void tell(const std::filesystem::path& data_dir, const backup::backup_reader& from, const backup::restored& done) {
    std::cout << data_dir.string() << ": " << done.members.size() << " files of " << from.about().created_at << '\n';
    if (done.put_aside) std::cout << "what was there is in " << done.put_aside->string() << '\n';
    for (const auto& [now, before] : done.outside) std::cout << now.string() << " belongs to " << before << '\n';
    if (!from.about().note.empty()) std::cout << from.about().note << '\n';
}

void tell_as_json(const std::filesystem::path& data_dir, const backup::backup_reader& from,
                  const backup::restored& done) {
    rapidjson::StringBuffer out;
    json_writer w(out);
    w.StartObject();
    w.Key("data_dir");
    w.String(data_dir.string());
    w.Key("created_at");
    w.String(from.about().created_at);
    w.Key("members");
    w.Uint64(done.members.size());
    w.Key("put_aside");
    done.put_aside ? w.String(done.put_aside->string()) : w.Null();
    w.Key("outside");
    w.StartObject();
    for (const auto& [now, before] : done.outside) {
        w.Key(now.c_str());
        w.String(before);
    }
    w.EndObject();
    w.Key("note");
    w.String(from.about().note);
    w.EndObject();
    std::cout << out.GetString() << '\n';
}

int restore_from(const backup_options& o) {
    ::umask(0077); // as the broker does
    config c = o.store.config_file ? load_config(*o.store.config_file) : config{};
    if (o.store.data_dir) c.data_dir = *o.store.data_dir;
    progress_bar bar;
    std::uint64_t all = 0;
    backup::backup_reader from(
        o.file,
        [&o] { return o.passphrase_file ? passphrase_in(*o.passphrase_file) : ask_secret("Passphrase: ", true); },
        [&](std::uint64_t done) { bar.show("restoring", done, all); });
    all = from.file_bytes();
    try {
        const data_directory data(c.data_dir);
        const auto done = backup::restore(from, data.path(), o.force ? std::optional(time_for_a_name()) : std::nullopt);
        o.json ? tell_as_json(data.path(), from, done) : tell(data.path(), from, done);
    } catch (const directory_in_use& e) {
        throw backup::failure(backup::fault::directory, e.what());
    }
    return 0;
}

constexpr const char* backup_examples =
    R"(The broker may run: everything acknowledged before is in it. Sessions, queues, retained messages, FOTA's data,
firmware files, certificates, keys, tokens, the configuration; docs/backup.md tells more.

Examples:
  fotabroker backup gateway.fbk --config /etc/fotabroker.toml --encrypt
  fotabroker backup /mnt/usb/gateway-$(date +%F).fbk --data-dir /var/lib/fotabroker --passphrase-file /root/phrase)";

constexpr const char* restore_examples =
    R"(Everything is read and verified before anything is put in place. No broker may run there.
Exit status: 0 done; 1 not done; 2 wrong usage; 3 damaged, cut short, of a newer program, or no backup; 4 wrong
passphrase; 5 the data directory is in use or not empty.

Examples:
  fotabroker restore gateway.fbk --data-dir /var/lib/fotabroker
  fotabroker restore gateway.fbk --config /etc/fotabroker.toml --force --passphrase-file /root/phrase)";

CLI::App& add(CLI::App& root, const char* name, const char* description, const std::shared_ptr<backup_options>& o,
              action& chosen, int (*run)(const backup_options&)) {
    auto* command = root.add_subcommand(name, description);
    command->add_option("FILE", o->file, "The backup")->required();
    command->add_flag("--json", o->json, "As JSON");
    command->add_option("--passphrase-file", o->passphrase_file, "Its first line is the passphrase")
        ->option_text("FILE");
    command->callback([o, run, &chosen] { chosen = [o, run] { return run(*o); }; });
    return *command;
}

} // namespace

void add_backup_command(CLI::App& root, action& chosen) {
    const auto o = std::make_shared<backup_options>();
    auto& command = add(root, "backup", "Save everything into one file, while the broker may run", o, chosen, make);
    add_store_options(command, o->store);
    command.add_flag("--encrypt", o->encrypt, "Ask for a passphrase");
    command.add_flag("--with-database", o->with_database, "PostgreSQL's content, too");
    command.footer(backup_examples);
}

void add_restore_command(CLI::App& root, action& chosen) {
    const auto o = std::make_shared<backup_options>();
    auto& command = add(root, "restore", "Bring a backup into a data directory", o, chosen, restore_from);
    command.add_option("--config", o->store.config_file, "The broker's configuration; names the data directory")
        ->option_text("FILE");
    command
        .add_option("--data-dir", o->store.data_dir, "The data directory (default " + config{}.data_dir.string() + ")")
        ->option_text("DIR");
    command.add_flag("--force", o->force, "Put what is there aside");
    command.footer(restore_examples);
}

} // namespace fb::app
