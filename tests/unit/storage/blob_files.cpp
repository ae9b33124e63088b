// Firmware bytes on disk: whole or not at all, whatever happens in between.
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "storage/blob_files.hpp"
#include "tests/support/file_mode.hpp"
#include "tests/support/file_size_limit.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb::storage;
using fb::test::mode_of;
using fb::test::scratch_dir;

namespace {

const std::string name(64, 'a');

blob_files opened(const std::filesystem::path& directory) {
    auto blobs = blob_files::open(directory);
    REQUIRE(blobs);
    return *blobs;
}

blob_writer created(const blob_files& blobs) {
    auto writer = blobs.create();
    REQUIRE(writer);
    return std::move(*writer);
}

std::size_t file_count(const std::filesystem::path& directory) {
    return std::size_t(std::distance(std::filesystem::directory_iterator(directory), {}));
}

std::string read_all(const blob_files& blobs, const std::string& blob) {
    auto reader = blobs.open_blob(blob);
    REQUIRE(reader);
    std::string out(std::size_t(reader->size()), '\0');
    const auto got = reader->read(0, out);
    REQUIRE(got);
    CHECK(*got == out.size());
    return out;
}

} // namespace

TEST_CASE("a committed blob reads back whole, at any offset, and is private") {
    const scratch_dir dir;
    const auto blobs = opened(dir / "deep/blobs");
    auto writer = created(blobs);
    REQUIRE(writer.write("hello "));
    REQUIRE(writer.write(""));
    REQUIRE(writer.write("world"));
    CHECK(writer.size() == 11);
    CHECK_FALSE(blobs.exists(name));
    REQUIRE(writer.commit(name));
    CHECK(blobs.exists(name));
    CHECK(read_all(blobs, name) == "hello world");
    CHECK(mode_of(dir / "deep/blobs") == 0700);
    CHECK(mode_of(blobs.path_of(name)) == 0600);
    CHECK(file_count(dir / "deep/blobs") == 1);

    auto reader = blobs.open_blob(name);
    REQUIRE(reader);
    CHECK(reader->size() == 11);
    char part[8] = {};
    CHECK(*reader->read(6, part) == 5);
    CHECK(std::string(part, 5) == "world");
    CHECK(*reader->read(11, part) == 0);
    CHECK(*reader->read(1000, part) == 0);
    CHECK(reader->read(-1, part).err().kind == error_kind::invalid);
    CHECK(blobs.bytes_free() > 0);
}

TEST_CASE("a blob that is not committed leaves nothing") {
    const scratch_dir dir;
    const auto blobs = opened(dir / "blobs");
    {
        auto writer = created(blobs);
        REQUIRE(writer.write("half"));
        auto moved = std::move(writer);
        CHECK(file_count(dir / "blobs") == 1);
    }
    CHECK(file_count(dir / "blobs") == 0);
}

TEST_CASE("opening removes what a crash left half written and keeps the blobs") {
    const scratch_dir dir;
    {
        const auto blobs = opened(dir / "blobs");
        auto writer = created(blobs);
        REQUIRE(writer.write("whole"));
        REQUIRE(writer.commit(name));
        auto crashed = created(blobs);
        REQUIRE(crashed.write("half"));
        // The file as a killed process would leave it: under a second name, for the writer removes its own.
        for (const auto& entry : std::filesystem::directory_iterator(dir / "blobs")) {
            if (entry.path().filename() != name) {
                std::filesystem::copy_file(entry.path(), entry.path().string() + "z");
                break;
            }
        }
    }
    REQUIRE(file_count(dir / "blobs") == 2);
    const auto blobs = opened(dir / "blobs");
    CHECK(file_count(dir / "blobs") == 1);
    CHECK(read_all(blobs, name) == "whole");
}

TEST_CASE("the same content committed twice is one file; one of another length was damaged and is replaced") {
    const scratch_dir dir;
    const auto blobs = opened(dir / "blobs");
    for (int i = 0; i < 2; ++i) {
        auto writer = created(blobs);
        REQUIRE(writer.write("content"));
        REQUIRE(writer.commit(name));
    }
    CHECK(file_count(dir / "blobs") == 1);
    std::filesystem::resize_file(blobs.path_of(name), 3);
    auto writer = created(blobs);
    REQUIRE(writer.write("content"));
    REQUIRE(writer.commit(name));
    CHECK(read_all(blobs, name) == "content");
}

TEST_CASE("only 64 lower-case hex digits name a blob") {
    const scratch_dir dir;
    const auto blobs = opened(dir / "blobs");
    CHECK(blobs.open_blob(name).err().kind == error_kind::not_found);
    for (const std::string& bad : {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
                                   "../" + std::string(61, 'a'), std::string(64, '/'), std::string(64, '\0')}) {
        CHECK(blobs.open_blob(bad).err().kind == error_kind::invalid);
        CHECK_FALSE(blobs.exists(bad));
        auto writer = created(blobs);
        CHECK(writer.commit(bad).err().kind == error_kind::invalid);
    }
    CHECK(file_count(dir / "blobs") == 0);
}

TEST_CASE("a disk that ends in the middle of a blob is unavailable, names the file and leaves no trace") {
    const scratch_dir dir;
    const auto blobs = opened(dir / "blobs");
    {
        auto writer = created(blobs);
        const fb::test::file_size_limit limit(4096);
        const auto written = writer.write(std::string(10'000, 'x'));
        REQUIRE_FALSE(written);
        CHECK(written.err().kind == error_kind::unavailable);
        CHECK(written.err().text.find("blobs/") != std::string::npos);
        CHECK_FALSE(writer.write("more"));
        CHECK_FALSE(writer.commit(name));
    }
    CHECK(file_count(dir / "blobs") == 0);
}

TEST_CASE("a directory that cannot be made is unavailable and named") {
    const scratch_dir dir;
    std::ofstream(dir / "file") << "not a directory";
    const auto blobs = blob_files::open(dir / "file");
    REQUIRE_FALSE(blobs);
    CHECK(blobs.err().kind == error_kind::unavailable);
    CHECK(blobs.err().text.find((dir / "file").string()) != std::string::npos);
}

namespace {

std::string put_blob(const fb::storage::blob_files& blobs, char digit) {
    const std::string sha256(64, digit);
    auto writer = blobs.create();
    REQUIRE(writer);
    REQUIRE(writer->write("content"));
    REQUIRE(writer->commit(sha256));
    return sha256;
}

} // namespace

TEST_CASE("blobs that nobody needs are removed, and only those") {
    const scratch_dir dir;
    const auto blobs = fb::storage::blob_files::open(dir / "blobs");
    REQUIRE(blobs);
    const std::string a = put_blob(*blobs, 'a'), b = put_blob(*blobs, 'b'), c = put_blob(*blobs, 'c');
    using names = fb::storage::result<std::vector<std::string>>;
    const auto failing = blobs->remove_unneeded({a, b}, [] {
        return names(fb::storage::error{fb::storage::error_kind::unavailable, "away"});
    });
    CHECK_FALSE(failing);
    CHECK(*blobs->names() == std::vector<std::string>{a, b, c});
    const auto removed = blobs->remove_unneeded({a, b}, [&] { return names(std::vector{c, b}); });
    REQUIRE(removed);
    CHECK(removed->files == 1);
    CHECK(removed->bytes == 7);
    CHECK(*blobs->names() == std::vector<std::string>{b, c});
    CHECK(blobs->remove_unneeded({a}, [&] { return names(std::vector<std::string>{}); })->files == 0); // gone already
}

TEST_CASE("while somebody holds the blobs none is removed") {
    const scratch_dir dir;
    const auto blobs = fb::storage::blob_files::open(dir / "blobs");
    REQUIRE(blobs);
    const std::string a = put_blob(*blobs, 'a');
    const auto nothing_needed = [] {
        return fb::storage::result<std::vector<std::string>>(std::vector<std::string>{});
    };
    {
        const auto one = blobs->hold();
        REQUIRE(one);
        const auto another = fb::storage::blob_hold::of(dir / "blobs");
        REQUIRE(another);
        const auto removed = blobs->remove_unneeded({a}, nothing_needed);
        REQUIRE(removed);
        CHECK(removed->held);
        CHECK(blobs->exists(a));
    }
    CHECK(blobs->remove_unneeded({a}, nothing_needed)->files == 1);
}

TEST_CASE("blobs and left uploads are untouched since they were written, and a blob stored again is new again") {
    const scratch_dir dir;
    const auto blobs = fb::storage::blob_files::open(dir / "blobs");
    REQUIRE(blobs);
    const std::string a = put_blob(*blobs, 'a'), b = put_blob(*blobs, 'b');
    std::ofstream(dir / "blobs/.incoming-x") << "half";
    std::ofstream(dir / "blobs/README") << "not ours";
    const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(2);
    for (const auto& each : std::filesystem::directory_iterator(dir / "blobs"))
        std::filesystem::last_write_time(each.path(), old);
    put_blob(*blobs, 'b');
    auto found = blobs->untouched_since(std::chrono::system_clock::now() - std::chrono::hours(1));
    REQUIRE(found);
    std::sort(found->begin(), found->end());
    CHECK(*found == std::vector<std::string>{".incoming-x", a});
}

TEST_CASE("checksums name blobs") {
    CHECK(fb::storage::blob_names_of({"sha256:" + std::string(64, 'a'), "md5:x", "sha256:../x", ""}) ==
          std::vector<std::string>{std::string(64, 'a')});
}
