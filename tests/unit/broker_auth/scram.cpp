// SCRAM-SHA-256. Method: the example of RFC 7677 section 3, then messages that are not what they should be.
#include <doctest/doctest.h>

#include "broker/auth/scram.hpp"
#include "certs/digest.hpp"

using namespace fb;
using namespace fb::auth;

namespace {

constexpr const char* client_nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr const char* server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const std::string client_first = std::string("n,,n=user,r=") + client_nonce;
const std::string both_nonces = std::string(client_nonce) + server_nonce;
const std::string client_final = "c=biws,r=" + both_nonces + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

scram_secret pencil() { return make_scram_secret("pencil", 4096, *certs::from_base64("W22ZaJ0SNY7soEsUEjb6gQ==")); }

scram_server server() {
    return scram_server([](std::string_view user) { return user == "user" ? std::optional(pencil()) : std::nullopt; },
                        server_nonce, "decoy");
}

} // namespace

TEST_CASE("the example of RFC 7677") {
    scram_server s = server();
    CHECK(s.first(client_first) == "r=" + both_nonces + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    CHECK(s.user() == "user");
    CHECK(s.final(client_final) == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

TEST_CASE("first messages that are refused") {
    for (const std::string text :
         {"", "n", "n,", "n,,", "x,,n=user,r=a", "p=tls-unique,,n=user,r=a", "n,,m=x,n=user,r=a", "n,,n=,r=a",
          "n,,n=user", "n,,n=user,r=", "n,,n=user,r=a b", "n,,n=us=er,r=a", "n,,n=user=2c,r=a", "n,,r=a,n=user",
          "n,a=other,n=user,r=a", "n,a=,n=user,r=a", "n,b=user,n=user,r=a"}) {
        CAPTURE(text);
        scram_server s = server();
        CHECK_FALSE(s.first(text));
    }
    scram_server s = server();
    CHECK_FALSE(s.first("n,,n=user,r=" + std::string(5000, 'a')));
}

TEST_CASE("names may hold commas and equals signs, and a client may ask to act for itself") {
    scram_server s([](std::string_view) { return std::nullopt; }, "x", "decoy");
    CHECK(s.first("y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=q,ext=1"));
    CHECK(s.user() == "a,b=c");
}

TEST_CASE("final messages that are refused") {
    const auto replaced = [](std::string text, const std::string& what, const std::string& by) {
        return text.replace(text.find(what), what.size(), by);
    };
    const std::string nonce = std::string("r=") + both_nonces;
    for (const std::string& text : {std::string(), std::string("c=biws"), replaced(client_final, "biws", "eSws"),
                                    replaced(client_final, "r=r", "r=s"), replaced(client_final, ",p=d", ",p=e"),
                                    replaced(client_final, "ndVQ=", "ndVQ"), replaced(client_final, ",p=dHzb", ",p="),
                                    replaced(client_final, "c=biws,", ""), "c=biws," + nonce + ",p=AAAA",
                                    client_final + "=", std::string(5000, 'p')}) {
        CAPTURE(text);
        scram_server s = server();
        REQUIRE(s.first(client_first));
        CHECK_FALSE(s.final(text));
    }
}

TEST_CASE("messages out of order are refused") {
    scram_server s = server();
    CHECK_FALSE(s.final(client_final));
    CHECK(s.first(client_first));
    CHECK_FALSE(s.first(client_first));
}

TEST_CASE("who does not exist gets a challenge like anybody, the same salt each time, and fails") {
    const auto challenge = [] {
        scram_server s([](std::string_view) { return std::nullopt; }, server_nonce, "decoy");
        return s.first(client_first).value_or("");
    };
    CHECK(challenge() == challenge());
    CHECK(challenge().ends_with(",i=4096"));
    // Even with a secret that would fit by chance.
    scram_server s([](std::string_view) { return std::nullopt; }, server_nonce, "decoy");
    REQUIRE(s.first(client_first));
    CHECK_FALSE(s.final(client_final));
}
