// Streams sealed with a passphrase: what goes in comes out, and nothing else ever does.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "certs/digest.hpp"
#include "certs/sealed_stream.hpp"

using namespace fb;

namespace {

constexpr std::size_t chunk = 65'536, tag = 16, head = 32;

std::string sealed(const std::string& plain, const std::string& passphrase = "secret") {
    std::string out;
    certs::sealer s(passphrase, [&](std::string_view bytes) { out += bytes; });
    for (std::size_t at = 0; at < plain.size(); at += 10'007) s.write(std::string_view(plain).substr(at, 10'007));
    s.finish();
    return out;
}

std::string unsealed(std::string_view bytes, const std::string& passphrase = "secret") {
    certs::unsealer u(passphrase, [&](std::span<char> into) {
        const std::size_t count = std::min(into.size(), bytes.size());
        std::copy_n(bytes.begin(), count, into.begin());
        bytes.remove_prefix(count);
        return count;
    });
    std::string out;
    for (auto part = u.next(); !part.empty(); part = u.next()) out += part;
    return out;
}

std::string some(std::size_t count) {
    std::string out(count, '\0');
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<char>(i * 31 + i / 251);
    return out;
}

} // namespace

TEST_CASE("what was sealed comes back, at every length around a chunk") {
    for (const std::size_t size : {std::size_t(0), std::size_t(1), chunk - 1, chunk, chunk + 1, 2 * chunk}) {
        const std::string plain = some(size);
        const std::string bytes = sealed(plain);
        CAPTURE(size);
        CHECK(bytes.starts_with(certs::sealed_mark));
        if (size > 64) CHECK(bytes.find(plain.substr(0, 64)) == std::string::npos);
        CHECK(unsealed(bytes) == plain);
    }
}

TEST_CASE("two seals of the same bytes differ") { CHECK(sealed("the same") != sealed("the same")); }

TEST_CASE("a wrong passphrase is told from damage") {
    const std::string bytes = sealed(some(2 * chunk));
    CHECK_THROWS_AS(unsealed(bytes, "Secret"), certs::wrong_passphrase);
    std::string damaged = bytes;
    damaged[head + chunk + tag + 5] ^= 1;
    try {
        unsealed(damaged);
        FAIL("damage was not noticed");
    } catch (const certs::wrong_passphrase&) {
        FAIL("the passphrase was right");
    } catch (const certs::unsealing_failure& e) {
        CHECK(std::string(e.what()).find("65536") != std::string::npos);
    }
}

TEST_CASE("a changed byte is noticed wherever it is") {
    const std::string bytes = sealed(some(chunk + 100));
    for (const std::size_t at : {std::size_t(0), std::size_t(9), std::size_t(13), head - 1, head, head + chunk,
                                 head + chunk + tag, bytes.size() - 1}) {
        std::string damaged = bytes;
        damaged[at] ^= 1;
        CAPTURE(at);
        CHECK_THROWS_AS(unsealed(damaged), certs::unsealing_failure);
    }
}

TEST_CASE("a cut, chunks in another order, a chunk twice and bytes behind the end are noticed") {
    const std::string bytes = sealed(some(3 * chunk));
    const auto part = [&](std::size_t i) { return bytes.substr(head + i * (chunk + tag), chunk + tag); };
    const std::string front = bytes.substr(0, head);
    REQUIRE(unsealed(front + part(0) + part(1) + part(2)) == some(3 * chunk));
    for (const std::string& changed :
         {std::string(), bytes.substr(0, head - 1), front, bytes.substr(0, bytes.size() - 1), front + part(0) + part(1),
          front + part(1) + part(0) + part(2), front + part(0) + part(0) + part(1) + part(2), bytes + "x"}) {
        CAPTURE(changed.size());
        CHECK_THROWS_AS(unsealed(changed), certs::unsealing_failure);
    }
}

TEST_CASE("a head that asks for very much memory is refused") {
    std::string bytes = sealed("x");
    bytes[8] = 40;
    CHECK_THROWS_WITH_AS(unsealed(bytes), doctest::Contains("newer program"), certs::unsealing_failure);
}
