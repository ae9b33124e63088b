// Backups written and read back without a broker: plain and sealed, every byte compared.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "broker/backup/reader.hpp"
#include "broker/backup/restore.hpp"
#include "broker/backup/writer.hpp"
#include "storage/open.hpp"
#include "tests/support/file_mode.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb;
using namespace fb::backup;

namespace {

constexpr std::int64_t made_at = 1'700'000'000;

std::string content_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

void put(const std::filesystem::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
}

std::string some(std::size_t count) {
    std::string out(count, '\0');
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<char>(i * 2'654'435'761u >> 13);
    return out;
}

/// With databases as a start makes them.
void write_backup(const std::filesystem::path& file, const test::scratch_dir& dir,
                  const std::optional<std::string>& passphrase = {}, const std::string& odd_name = {}) {
    if (!std::filesystem::exists(dir / "state.db")) {
        REQUIRE(storage::open_sqlite_session_store(dir / "state.db"));
        REQUIRE(storage::open_sqlite_fota_store(dir / "fota.db"));
    }
    backup_writer out(file, passphrase, {}, made_at, {});
    out.add_file("data/state.db", dir / "state.db");
    out.add_file("data/fota.db", dir / "fota.db");
    out.add_text("data/keys/some.key", some(200'000));
    out.add_text("config/1-fotabroker.toml", "");
    if (!odd_name.empty()) out.add_text(odd_name, "odd");
    out.finish();
}

fault fault_of(const std::filesystem::path& file, const std::filesystem::path& into,
               const std::string& passphrase = "secret") {
    try {
        backup_reader from(file, [&] { return passphrase; }, {});
        restore(from, into, {});
    } catch (const failure& e) {
        return e.why();
    }
    return fault{};
}

bool empty(const std::filesystem::path& folder) { return std::filesystem::is_empty(folder); }

} // namespace

TEST_CASE("what was written is restored, plain and sealed, and is the owner's alone") {
    for (const std::optional<std::string>& passphrase :
         {std::optional<std::string>(), std::optional<std::string>("secret")}) {
        const test::scratch_dir dir, into;
        write_backup(dir / "b", dir, passphrase);
        CHECK(test::mode_of(dir / "b") == 0600);
        backup_reader from(dir / "b", [] { return std::string("secret"); }, {});
        CHECK(from.encrypted() == passphrase.has_value());
        const restored done = restore(from, into.path(), {});
        CHECK(done.members.size() == 4);
        CHECK(content_of(into / "keys/some.key") == some(200'000));
        CHECK(test::mode_of(into / "keys/some.key") == 0600);
        CHECK(std::filesystem::exists(into / "restored/config/1-fotabroker.toml"));
        CHECK_FALSE(std::filesystem::exists(into / staging_folder));
    }
}

TEST_CASE("wherever a backup is cut, it is refused and nothing stays") {
    const test::scratch_dir dir, into;
    for (const bool sealed : {false, true}) {
        write_backup(dir / "b", dir, sealed ? std::optional<std::string>("secret") : std::nullopt);
        const std::string whole = content_of(dir / "b");
        for (std::size_t cut = 0; cut < whole.size(); cut += whole.size() / 23) {
            put(dir / "cut", whole.substr(0, cut));
            CAPTURE(cut);
            const fault why = fault_of(dir / "cut", into.path());
            CHECK(why == fault::unusable);
            CHECK(empty(into.path()));
        }
        std::filesystem::remove(dir / "b");
    }
}

TEST_CASE("a changed byte is refused, or it changed nothing that is restored") {
    const test::scratch_dir dir;
    write_backup(dir / "b", dir);
    const std::string whole = content_of(dir / "b");
    for (std::size_t at = 0; at < whole.size(); at += whole.size() / 97 + 1) {
        const test::scratch_dir into;
        std::string changed = whole;
        changed[at] ^= 0x04;
        put(dir / "changed", changed);
        CAPTURE(at);
        const fault why = fault_of(dir / "changed", into.path());
        if (why == fault{})
            CHECK(content_of(into / "keys/some.key") == some(200'000));
        else
            CHECK(empty(into.path()));
    }
}

TEST_CASE("members that no backup has are refused") {
    for (const std::string name : {"data/lock", "data/redo/segment-0", "data/restore.partial/x", "data/restored/x",
                                   "data/before-restore-x/y", "data/control.sock"}) {
        const test::scratch_dir dir, into;
        write_backup(dir / "b", dir, {}, name);
        CAPTURE(name);
        CHECK(fault_of(dir / "b", into.path()) == fault::unusable);
        CHECK(empty(into.path()));
    }
    const test::scratch_dir dir, into;
    write_backup(dir / "b", dir, {}, "data/blobs/" + std::string(64, '0'));
    CHECK(fault_of(dir / "b", into.path()) == fault::unusable);
}

TEST_CASE("names that point outside cannot be written, and a failed backup leaves no file") {
    const test::scratch_dir dir;
    CHECK_THROWS_AS(write_backup(dir / "b", dir, {}, "../x"), failure);
    CHECK_FALSE(std::filesystem::exists(dir / "b"));
    for (const auto& each : std::filesystem::directory_iterator(dir.path()))
        CHECK(each.path().string().find("partial") == std::string::npos);
}

TEST_CASE("databases of a newer program, and files that are no databases, are refused") {
    const test::scratch_dir dir, into;
    put(dir / "state.db", some(8192));
    REQUIRE(storage::open_sqlite_fota_store(dir / "fota.db"));
    write_backup(dir / "b", dir);
    CHECK(fault_of(dir / "b", into.path()) == fault::unusable);
    CHECK(empty(into.path()));
}

TEST_CASE("a directory that is not empty is left alone, or what is there is put aside") {
    const test::scratch_dir dir, into;
    write_backup(dir / "b", dir);
    put(into / "lock", "1");
    put(into / "state.db", "old");
    std::filesystem::create_directory(into / "redo");
    CHECK(fault_of(dir / "b", into.path()) == fault::directory);
    CHECK(content_of(into / "state.db") == "old");
    backup_reader from(dir / "b", {}, {});
    const restored done = restore(from, into.path(), "now");
    REQUIRE(done.put_aside);
    CHECK(content_of(*done.put_aside / "state.db") == "old");
    CHECK(std::filesystem::exists(*done.put_aside / "redo"));
    CHECK_FALSE(std::filesystem::exists(into / "redo"));
    CHECK(content_of(into / "lock") == "1");
    CHECK(content_of(into / "state.db") != "old");
}
