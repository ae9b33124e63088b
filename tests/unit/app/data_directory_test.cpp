// Modes, the lock, and an admin token that always works.
#include <doctest/doctest.h>

#include <fstream>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/app/data_directory.hpp"
#include "http/tokens.hpp"
#include "storage/open.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb;
using app::data_directory;

namespace {

unsigned mode_of(const std::filesystem::path& file) {
    struct stat s {};
    REQUIRE(::stat(file.c_str(), &s) == 0);
    return s.st_mode & 0777;
}

std::string first_line(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

void overwrite(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }

/// The token of this secret, if the store knows it.
std::optional<storage::api_token> known(storage::fota_store& store, const std::string& secret) {
    const auto reader = store.open_reader();
    REQUIRE(reader);
    const auto token = (*reader)->find_token(http::token_hash(secret));
    REQUIRE(token);
    return *token;
}

} // namespace

TEST_CASE("the data directory and the secrets in it are ours alone") {
    test::scratch_dir scratch;
    const data_directory data(scratch / "data");
    const auto store = storage::make_memory_fota_store();
    data.ensure_admin_token(*store, "admin");
    const std::string key = data.url_key();
    CHECK(mode_of(data.path()) == 0700);
    CHECK(mode_of(data.path() / "lock") == 0600);
    CHECK(mode_of(data.admin_token()) == 0600);
    CHECK(mode_of(data.path() / "keys") == 0700);
    CHECK(mode_of(data.path() / "keys" / "url.key") == 0600);
    CHECK(key.size() == 32);
    CHECK(data.url_key() == key);
}

TEST_CASE("a second process cannot take the data directory, and is told who holds it") {
    test::scratch_dir scratch;
    auto data = std::make_unique<data_directory>(scratch / "data");
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        std::string text = "opened";
        try {
            const data_directory second(scratch / "data");
        } catch (const std::runtime_error& e) {
            text = e.what();
        }
        [[maybe_unused]] const auto n = ::write(pipe_ends[1], text.data(), text.size());
        ::_exit(0);
    }
    ::close(pipe_ends[1]);
    char text[1024] = "";
    REQUIRE(::read(pipe_ends[0], text, sizeof text - 1) > 0);
    ::close(pipe_ends[0]);
    ::waitpid(child, nullptr, 0);
    CHECK(std::string(text).find("in use by another fotabroker (process " + std::to_string(::getpid()) + ")") !=
          std::string::npos);
    data.reset();
    CHECK_NOTHROW(data_directory(scratch / "data"));
}

TEST_CASE("a damaged url.key is named") {
    test::scratch_dir scratch;
    const data_directory data(scratch / "data");
    data.url_key();
    overwrite(data.path() / "keys" / "url.key", "short");
    CHECK_THROWS_WITH_AS(data.url_key(), doctest::Contains("url.key"), std::runtime_error);
}

TEST_CASE("the admin token is made once and stays") {
    test::scratch_dir scratch;
    const data_directory data(scratch / "data");
    const auto store = storage::make_memory_fota_store();
    data.ensure_admin_token(*store, "admin");
    const std::string secret = first_line(data.admin_token());
    CHECK(known(*store, secret));
    data.ensure_admin_token(*store, "admin");
    CHECK(first_line(data.admin_token()) == secret);
}

TEST_CASE("without its file the admin token is replaced, and the lost one revoked") {
    test::scratch_dir scratch;
    const data_directory data(scratch / "data");
    const auto store = storage::make_memory_fota_store();
    data.ensure_admin_token(*store, "admin");
    const std::string lost = first_line(data.admin_token());
    std::filesystem::remove(data.admin_token());
    data.ensure_admin_token(*store, "admin");
    const std::string secret = first_line(data.admin_token());
    CHECK(secret != lost);
    CHECK_FALSE(known(*store, secret)->revoked_at);
    REQUIRE(known(*store, lost));
    CHECK(known(*store, lost)->revoked_at);
}

TEST_CASE("a crash between file and row is put right: the token of the file works") {
    test::scratch_dir scratch;
    const data_directory data(scratch / "data");
    data.ensure_admin_token(*storage::make_memory_fota_store(), "admin"); // whose rows are lost
    const std::string secret = first_line(data.admin_token());
    const auto store = storage::make_memory_fota_store();
    data.ensure_admin_token(*store, "admin");
    CHECK(first_line(data.admin_token()) == secret);
    CHECK(known(*store, secret));
}

TEST_CASE("a crash before the rename leaves a file that is in nobody's way") {
    test::scratch_dir scratch;
    const data_directory data(scratch / "data");
    overwrite(data.admin_token().string() + ".new", "half a tok");
    ::chmod((data.admin_token().string() + ".new").c_str(), 0644);
    const auto store = storage::make_memory_fota_store();
    data.ensure_admin_token(*store, "admin");
    CHECK(known(*store, first_line(data.admin_token())));
    CHECK(mode_of(data.admin_token()) == 0600);
}

TEST_CASE("an empty or cut admin.token never becomes a token") {
    for (const std::string content : {"", "\n", "fb_short\n"}) {
        CAPTURE(content);
        test::scratch_dir scratch;
        const data_directory data(scratch / "data");
        overwrite(data.admin_token(), content);
        const auto store = storage::make_memory_fota_store();
        data.ensure_admin_token(*store, "admin");
        CHECK_FALSE(known(*store, ""));
        CHECK_FALSE(known(*store, "fb_short"));
        const std::string secret = first_line(data.admin_token());
        CHECK(secret.size() > 40);
        CHECK(known(*store, secret));
    }
}
