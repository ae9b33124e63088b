// The device CA through its files: what it writes, with which rights, and what it refuses to do.
#include "certs/authority.hpp"

#include <algorithm>

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "certs/identity.hpp"
#include "mentions.hpp"
#include "read_x509.hpp"
#include "tests/support/file_mode.hpp"
#include "tests/support/test_certificates.hpp"

using namespace fb::certs;
using namespace fb::tests;
using fb::test::mode_of;
using std::chrono::days;

namespace {

template <class Action>
std::string complaint_of(Action&& action) {
    try {
        action();
    } catch (const failure& error) {
        return error.what();
    }
    return "none";
}

} // namespace

TEST_CASE("server and device certificates verify under their CA, each for its own purpose only") {
    test_authority authority;
    const auto ca = read_one(authority.file("ca.crt"));
    const auto server = read_one(authority.file("server.crt"));
    const auto device = read_one(authority.file("dev-1.crt"));
    CHECK(verdict(ca.get(), ca.get(), X509_PURPOSE_ANY) == "ok");
    CHECK(verdict(server.get(), ca.get(), X509_PURPOSE_SSL_SERVER) == "ok");
    CHECK(verdict(device.get(), ca.get(), X509_PURPOSE_SSL_CLIENT) == "ok");
    CHECK(verdict(server.get(), ca.get(), X509_PURPOSE_SSL_CLIENT) != "ok");
    CHECK(verdict(device.get(), ca.get(), X509_PURPOSE_SSL_SERVER) != "ok");
    test_authority foreign;
    CHECK(verdict(device.get(), read_one(foreign.file("ca.crt")).get(), X509_PURPOSE_SSL_CLIENT) != "ok");
}

TEST_CASE("the CA may sign certificates and nothing below it may") {
    test_authority authority;
    const auto ca = read_one(authority.file("ca.crt"));
    CHECK(extension_text(ca.get(), NID_basic_constraints) == "critical CA:TRUE, pathlen:0");
    CHECK(extension_text(ca.get(), NID_key_usage) == "critical Certificate Sign, CRL Sign");
    CHECK(extension_text(ca.get(), NID_subject_key_identifier) != "absent");
    CHECK(common_name(ca.get()) == "Test CA");
    const auto device = read_one(authority.file("dev-1.crt"));
    CHECK(extension_text(device.get(), NID_basic_constraints) == "critical CA:FALSE");
    CHECK(extension_text(device.get(), NID_key_usage) == "critical Digital Signature");
    CHECK(extension_text(device.get(), NID_ext_key_usage) == "TLS Web Client Authentication");
    CHECK(extension_text(device.get(), NID_authority_key_identifier) != "absent");
}

TEST_CASE("every server name becomes a SAN of its kind and the first one the common name") {
    test_authority authority;
    scratch_directory out;
    issue_server(authority.path(), {"gw.local", "*.example.com", "192.0.2.7", "2001:db8::1"}, out.path(), {});
    const auto server = read_one(out / "server.crt");
    CHECK(common_name(server.get()) == "gw.local");
    CHECK(X509_check_host(server.get(), "gw.local", 0, 0, nullptr) == 1);
    CHECK(X509_check_host(server.get(), "a.example.com", 0, 0, nullptr) == 1);
    CHECK(X509_check_ip_asc(server.get(), "192.0.2.7", 0) == 1);
    CHECK(X509_check_ip_asc(server.get(), "2001:db8:0::1", 0) == 1);
    CHECK(X509_check_ip_asc(server.get(), "192.0.2.8", 0) == 0);
    CHECK(extension_text(server.get(), NID_ext_key_usage) == "TLS Web Server Authentication");
}

TEST_CASE("names that are neither hosts nor addresses are refused before anything is written") {
    test_authority authority;
    scratch_directory out;
    const std::vector<std::string> bad_names = {"",
                                                "10.0.0.300",
                                                "a..b",
                                                "a,DNS:b",
                                                "-a",
                                                "a b",
                                                "1.\n2.3.4",
                                                "[::1]",
                                                "fe80::1%eth0",
                                                "gw.",
                                                "a.*.b",
                                                "*",
                                                std::string("a\0b", 3),
                                                std::string(64, 'x'),
                                                "caf\xc3\xa9.local"};
    for (const auto& bad : bad_names) {
        CAPTURE(bad);
        CHECK(mentions(complaint_of([&] {
                           issue_server(authority.path(), {"ok", bad}, out.path(), {});
                       }),
                       "neither a DNS name nor an IP address"));
    }
    CHECK(mentions(complaint_of([&] { issue_server(authority.path(), {}, out.path(), {}); }), "names"));
    CHECK(std::filesystem::is_empty(out.path()));
}

TEST_CASE("certificates begin in 1970, for devices without a clock, and end with their CA at the latest") {
    scratch_directory out;
    init_authority(out.path(), "Short CA", {days(10), false});
    issue_server(out.path(), {"localhost"}, out.path(), {days(5), false});
    issue_device(out.path(), "dev-1", out.path(), {days(3650), false});
    const auto ca = read_one(out / "ca.crt");
    const auto server = read_one(out / "server.crt");
    const auto device = read_one(out / "dev-1.crt");
    for (const auto* certificate : {&ca, &server, &device})
        CHECK(rfc3339(X509_get0_notBefore(certificate->get())) == "1970-01-01T00:00:00Z");
    int days_between = 0, seconds_between = 0;
    REQUIRE(ASN1_TIME_diff(&days_between, &seconds_between, X509_get0_notAfter(server.get()),
                           X509_get0_notAfter(ca.get())));
    CHECK(days_between >= 4);
    CHECK(days_between <= 5);
    CHECK(ASN1_TIME_compare(X509_get0_notAfter(device.get()), X509_get0_notAfter(ca.get())) == 0);
}

TEST_CASE("a validity that makes no sense is refused") {
    scratch_directory out;
    for (const int bad : {0, -1, 36501})
        CHECK(mentions(complaint_of([&] { init_authority(out.path(), "CA", {days(bad), false}); }), "1 to 36500 days"));
}

TEST_CASE("serial numbers are positive, 128 bits long and differ") {
    test_authority authority;
    const auto server = read_one(authority.file("server.crt"));
    const auto device = read_one(authority.file("dev-1.crt"));
    CHECK(serial_hex(server.get()).size() == 32);
    CHECK(serial_hex(server.get()) != serial_hex(device.get()));
    CHECK(ASN1_STRING_type(X509_get0_serialNumber(device.get())) == V_ASN1_INTEGER);
}

TEST_CASE("private keys are readable by their owner only, whatever the umask") {
    const auto before = ::umask(0);
    scratch_directory out;
    const auto home = out / "new/pki";
    init_authority(home, "CA", {});
    issue_device(home, "dev-1", home, {});
    ::umask(077);
    issue_device(home, "dev-2", home, {});
    issue_device(home, "dev-1", home, {days(10), true});
    ::umask(before);
    CHECK(mode_of(home / "ca.key") == 0600);
    CHECK(mode_of(home / "dev-1.key") == 0600);
    CHECK(mode_of(home / "dev-2.key") == 0600);
    CHECK(mode_of(home / "ca.crt") == 0644);
    CHECK(mode_of(home / "dev-1.crt") == 0644);
    CHECK(mode_of(home / "dev-2.crt") == 0644);
    CHECK(mode_of(home) == 0700);
    CHECK(mode_of(out / "new") == 0700);
    CHECK_FALSE(readable_by_others(home / "ca.key"));
    CHECK(readable_by_others(home / "ca.crt"));
    CHECK_FALSE(readable_by_others(home / "missing.key"));
}

TEST_CASE("existing files are kept unless force is asked for") {
    test_authority authority;
    const auto key = file_text(authority.file("dev-1.key"));
    const auto ca_key = file_text(authority.file("ca.key"));
    CHECK(mentions(complaint_of([&] { init_authority(authority.path(), "CA", {}); }),
                   "exists already; --force overwrites"));
    CHECK(mentions(complaint_of([&] { issue_device(authority.path(), "dev-1", authority.path(), {}); }),
                   "dev-1.crt exists"));
    CHECK(file_text(authority.file("dev-1.key")) == key);
    CHECK(file_text(authority.file("ca.key")) == ca_key);

    std::filesystem::remove(authority.file("dev-1.crt"));
    CHECK(mentions(complaint_of([&] { issue_device(authority.path(), "dev-1", authority.path(), {}); }),
                   "dev-1.key exists"));
    CHECK_FALSE(std::filesystem::exists(authority.file("dev-1.crt")));

    issue_device(authority.path(), "dev-1", authority.path(), {days(10), true});
    CHECK(file_text(authority.file("dev-1.key")) != key);
}

TEST_CASE("a dangling link in a key's place is not followed") {
    test_authority authority;
    scratch_directory out;
    std::filesystem::create_symlink(out / "elsewhere", out / "dev-1.key");
    CHECK(mentions(complaint_of([&] { issue_device(authority.path(), "dev-1", out.path(), {}); }), "exists already"));
    CHECK_FALSE(std::filesystem::exists(out / "elsewhere"));
}

TEST_CASE("a device id that is no id, or no file name, is refused") {
    test_authority authority;
    scratch_directory out;
    const std::vector<std::string> bad_ids = {
        "", "a/b", "../x", "+", "#", "a b", std::string("a\0b", 3), std::string(129, 'x'), ".", ".."};
    for (const auto& bad : bad_ids) {
        CAPTURE(bad);
        CHECK(mentions(complaint_of([&] { issue_device(authority.path(), bad, out.path(), {}); }), "device id"));
    }
    CHECK(std::filesystem::is_empty(out.path()));
}

TEST_CASE("a colon stays in the file name") {
    test_authority authority("02:00:5e:10");
    const auto found = identity_of(read_one(authority.file("02:00:5e:10.crt")).get());
    REQUIRE(found);
    CHECK(found->device_id == "02:00:5e:10");
}

TEST_CASE("a device called ca does not overwrite the key of the CA, not even by force") {
    test_authority authority;
    const auto key = file_text(authority.file("ca.key"));
    CHECK(mentions(complaint_of([&] {
                       issue_device(authority.path(), "ca", authority.path(), {days(10), true});
                   }),
                   "choose another directory"));
    CHECK(file_text(authority.file("ca.key")) == key);
}

TEST_CASE("an id of more than 64 characters is in the SAN alone, which is then critical") {
    const std::string id(65, 'x');
    test_authority authority(id);
    const auto device = read_one(authority.file(id + ".crt"));
    CHECK(common_name(device.get()) == "absent");
    CHECK(extension_text(device.get(), NID_subject_alt_name) == "critical URI:urn:fotabroker:device:" + id);
    CHECK(identity_of(device.get())->device_id == id);
    CHECK(verdict(device.get(), read_one(authority.file("ca.crt")).get(), X509_PURPOSE_SSL_CLIENT) == "ok");
}

TEST_CASE("a short id is the common name and the SAN") {
    test_authority authority;
    const auto device = read_one(authority.file("dev-1.crt"));
    CHECK(common_name(device.get()) == "dev-1");
    CHECK(extension_text(device.get(), NID_subject_alt_name) == "URI:urn:fotabroker:device:dev-1");
}

TEST_CASE("a CA's name is checked") {
    scratch_directory out;
    for (const auto& bad : {std::string(), std::string(65, 'x'), std::string("a\0b", 3), std::string("a\nb")})
        CHECK(mentions(complaint_of([&] { init_authority(out.path(), bad, {}); }), "CA's name"));
}

TEST_CASE("what was issued is listed, oldest first") {
    test_authority authority;
    const auto entries = list_issued(authority.path());
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].kind == "server");
    CHECK(entries[0].name == "localhost");
    CHECK(entries[1].kind == "device");
    CHECK(entries[1].name == "dev-1");
    const auto device = read_one(authority.file("dev-1.crt"));
    CHECK(entries[1].serial == serial_hex(device.get()));
    CHECK(entries[1].fingerprint == identity_of(device.get())->fingerprint);
    CHECK(entries[1].not_after == rfc3339(X509_get0_notAfter(device.get())));
}

TEST_CASE("a line torn by a power cut costs that line only") {
    test_authority authority;
    const auto index = authority.file("issued.jsonl");
    const auto text = file_text(index);
    put_file(index, text + R"({"serial":"12","kind":"dev)");
    CHECK(list_issued(authority.path()).size() == 2);
    authority.add_device("dev-2");
    const auto entries = list_issued(authority.path());
    REQUIRE(entries.size() == 3);
    CHECK(entries[2].name == "dev-2");
}

TEST_CASE("a new CA in the old one's place has issued nothing, and the old list is kept aside") {
    test_authority authority;
    init_authority(authority.path(), "Next CA", {days(10), true});
    CHECK(list_issued(authority.path()).empty());
    CHECK(mentions(file_text(authority.file("issued.jsonl.old")), "dev-1"));
    authority.add_device("dev-2");
    CHECK(list_issued(authority.path()).size() == 1);
}

TEST_CASE("an authority that is missing or broken is named") {
    scratch_directory empty;
    CHECK(mentions(complaint_of([&] { issue_device(empty.path(), "dev-1", empty.path(), {}); }), "ca.key: not found"));
    test_authority authority, other;
    std::filesystem::copy_file(other.file("ca.key"), authority.file("ca.key"),
                               std::filesystem::copy_options::overwrite_existing);
    CHECK(mentions(complaint_of([&] { issue_device(authority.path(), "dev-2", empty.path(), {}); }),
                   "is not the key of"));
    std::filesystem::copy_file(other.file("dev-1.key"), authority.file("ca.key"),
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(other.file("dev-1.crt"), authority.file("ca.crt"),
                               std::filesystem::copy_options::overwrite_existing);
    CHECK(mentions(complaint_of([&] { issue_device(authority.path(), "dev-2", empty.path(), {}); }),
                   "certificate of a CA"));
    CHECK(std::filesystem::is_empty(empty.path()));
}
