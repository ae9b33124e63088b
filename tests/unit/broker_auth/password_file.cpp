// Stored passwords and the file that holds them.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <sys/stat.h>

#include "broker/auth/file_authenticator.hpp"
#include "broker/auth/scram.hpp"
#include "certs/digest.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb;
using namespace fb::auth;
using core::auth_verdict;

namespace {

std::string salted_line(std::string_view password) { // mosquitto 1's form
    certs::digest sum(certs::digest_kind::sha512);
    sum.update(password);
    sum.update("salt");
    return "$6$" + certs::base64("salt") + "$" + certs::base64(sum.finish());
}

auth_verdict::kind login(const std::shared_ptr<file_authenticator>& a, std::string_view user,
                         std::string_view password) {
    return a->by_password(user)->step(password).what;
}

} // namespace

TEST_CASE("each form of a stored password is read back as it was written, and tells right from wrong") {
    for (const stored_password& p : {stored_password(make_scram_secret("sesame", 4096, "salt")),
                                     stored_password(make_pbkdf2_hash("sesame", 101, "salt")),
                                     parse_stored_password(salted_line("sesame")).value()}) {
        const std::string text = to_text(p);
        CAPTURE(text);
        const auto again = parse_stored_password(text);
        REQUIRE(again);
        CHECK(to_text(*again) == text);
        CHECK(matches(*again, "sesame"));
        CHECK_FALSE(matches(*again, "simsim"));
        CHECK_FALSE(matches(*again, ""));
    }
}

TEST_CASE("what is not a stored password is refused") {
    const std::string scram = to_text(make_scram_secret("x", 2, "salt"));
    const std::string pbkdf2 = to_text(make_pbkdf2_hash("x", 2, "salt"));
    for (const std::string& text :
         {std::string(), std::string("sesame"), std::string("$6$"), std::string("$7$"), std::string("$7$101$AAAA"),
          std::string("SCRAM-SHA-256$"), scram.substr(0, scram.size() - 1), scram + "A", pbkdf2 + "=",
          "$7$0" + pbkdf2.substr(4), "$7$-1" + pbkdf2.substr(4), "$7$99999999999" + pbkdf2.substr(4),
          "$8$" + pbkdf2.substr(3), salted_line("x").substr(0, 30)}) {
        CAPTURE(text);
        CHECK_FALSE(parse_stored_password(text));
    }
}

TEST_CASE("CVE-2018-12551's class: a malformed line stops the start and lets nobody in") {
    const auto fault = [](const std::string& text) -> std::string {
        try {
            password_file::parse(text, "passwd");
            return "";
        } catch (const std::runtime_error& e) {
            return e.what();
        }
    };
    const std::string good = "ann:" + to_text(make_pbkdf2_hash("x", 1, "salt")) + "\n";
    CHECK(fault("# users\n\n" + good + "\r\n").empty());
    CHECK(fault(good + "bob\n").find("passwd:2: no ':'") != std::string::npos);
    CHECK(fault("bob:\n").find("passwd:1: not a stored password of user bob") != std::string::npos);
    CHECK(fault("bob:secret\n:x\n").find("passwd:2: not a user name") != std::string::npos);
    CHECK(fault(good + good).find("passwd:2: user ann is in the file twice") != std::string::npos);
    CHECK(fault("b\x01:x").find("not a user name") != std::string::npos);
    CHECK(fault("b\xff:x").find("not a user name") != std::string::npos);
}

TEST_CASE("a password file is replaced as a whole and only its owner may read it") {
    const test::scratch_dir dir;
    const auto file = dir / "passwd";
    password_file users;
    users.set("ann", make_scram_secret("sesame", 4096, "salt"));
    users.set("bob", make_pbkdf2_hash("simsim", 101, "salt"));
    users.save(file);
    struct stat info {};
    REQUIRE(::stat(file.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    password_file again(file);
    CHECK(again.size() == 2);
    REQUIRE(again.find("ann"));
    CHECK(matches(*again.find("ann"), "sesame"));
    CHECK(again.erase("ann"));
    CHECK_FALSE(again.erase("ann"));
    again.save(file);
    CHECK(password_file(file).size() == 1);
    CHECK_FALSE(std::filesystem::exists(file.string() + ".new"));
    CHECK_THROWS_WITH_AS(password_file(dir / "absent"), doctest::Contains("absent: cannot be read"),
                         std::runtime_error);
}

TEST_CASE("users log in by password whatever the form, as devices where their names may be") {
    password_file users;
    users.set("dev1", make_scram_secret("sesame", 4096, "salt"));
    users.set("ann@site", make_pbkdf2_hash("simsim", 101, "salt"));
    const auto a =
        std::make_shared<file_authenticator>(users, [](std::string_view id) { return id.find('@') == id.npos; });
    const auto dev = a->by_password("dev1")->step("sesame");
    REQUIRE(dev.what == auth_verdict::kind::accepted);
    CHECK(dev.who->device_id == "dev1");
    CHECK(dev.who->identity() == "user:dev1");
    const auto ann = a->by_password("ann@site")->step("simsim");
    REQUIRE(ann.what == auth_verdict::kind::accepted);
    CHECK(ann.who->device_id.empty());
    CHECK(login(a, "dev1", "simsim") == auth_verdict::kind::refused);
    CHECK(login(a, "dev1", "") == auth_verdict::kind::refused);
    CHECK(login(a, "carl", "sesame") == auth_verdict::kind::refused);
    CHECK(a->by_password("carl")->step("x").text == a->by_password("dev1")->step("x").text);
    CHECK(a->by_method("SCRAM-SHA-1") == nullptr);
}

TEST_CASE("SCRAM is for users whose secret allows it") {
    password_file users;
    users.set("user", make_pbkdf2_hash("pencil", 101, "salt"));
    const auto a = std::make_shared<file_authenticator>(users, nullptr);
    const auto exchange = a->by_method(scram_method);
    REQUIRE(exchange);
    CHECK(exchange->step("n,,n=user,r=abc").what == auth_verdict::kind::challenge);
    CHECK(exchange->step("c=biws,r=abc,p=AAAA").what == auth_verdict::kind::refused);
    CHECK(a->by_method(scram_method)->step("nonsense").what == auth_verdict::kind::refused);
}
