#include "certs/x509_build.hpp"

#include <array>
#include <utility>

#include <openssl/ec.h>

#include "certs/digest.hpp"

namespace fb::certs {

namespace {

constexpr int serial_bits = 128;

void set_random_serial(X509* certificate) {
    const bignum_ptr number(BN_new());
    require(number && BN_rand(number.get(), serial_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1, "serial");
    require(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr, "serial");
}

} // namespace

key_ptr new_key() {
    key_ptr key(EVP_EC_gen("P-256"));
    require(key != nullptr, "new key");
    return key;
}

certificate_builder::certificate_builder(EVP_PKEY* key)
    : certificate_(X509_new())
    , names_(GENERAL_NAMES_new()) {
    require(certificate_ && names_, "new certificate");
    require(X509_set_version(certificate_.get(), X509_VERSION_3) == 1, "version");
    set_random_serial(certificate_.get());
    require(ASN1_TIME_set(X509_getm_notBefore(certificate_.get()), 0) != nullptr, "notBefore");
    require(X509_set_pubkey(certificate_.get(), key) == 1, "public key");
}

void certificate_builder::common_name(const std::string& name) {
    require(X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate_.get()), NID_commonName, MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(name.data()),
                                       static_cast<int>(name.size()), -1, 0) == 1,
            "common name");
}

void certificate_builder::not_after(std::time_t when) {
    require(ASN1_TIME_set(X509_getm_notAfter(certificate_.get()), when) != nullptr, "notAfter");
}

void certificate_builder::dns_name(const std::string& name) { alternative_name(GEN_DNS, name); }

void certificate_builder::uri(const std::string& uri) { alternative_name(GEN_URI, uri); }

void certificate_builder::alternative_name(int type, const std::string& text) {
    ASN1_IA5STRING* value = ASN1_IA5STRING_new();
    require(value && ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())) == 1, "alternative name");
    GENERAL_NAME* name = GENERAL_NAME_new();
    require(name != nullptr, "alternative name");
    GENERAL_NAME_set0_value(name, type, value);
    require(sk_GENERAL_NAME_push(names_.get(), name) > 0, "alternative name");
}

bool certificate_builder::ip_address(const std::string& address) {
    // a2i_IPADDRESS passes over white space and signs.
    if (address.find_first_not_of("0123456789abcdefABCDEF.:") != address.npos) return false;
    ASN1_OCTET_STRING* value = a2i_IPADDRESS(address.c_str());
    if (!value) return false;
    GENERAL_NAME* name = GENERAL_NAME_new();
    require(name != nullptr, "alternative name");
    GENERAL_NAME_set0_value(name, GEN_IPADD, value);
    require(sk_GENERAL_NAME_push(names_.get(), name) > 0, "alternative name");
    return true;
}

void certificate_builder::extension(X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate_.get(), nullptr, nullptr, 0);
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    const bool added = made && X509_add_ext(certificate_.get(), made, -1) == 1;
    X509_EXTENSION_free(made);
    require(added, value);
}

x509_ptr certificate_builder::sign_authority(EVP_PKEY* key) {
    X509* self = certificate_.get();
    extension(self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    extension(self, NID_key_usage, "critical,keyCertSign,cRLSign");
    extension(self, NID_subject_key_identifier, "hash");
    extension(self, NID_authority_key_identifier, "keyid:always");
    return sign(self, key);
}

x509_ptr certificate_builder::sign_leaf(X509* issuer, EVP_PKEY* issuer_key, const char* usage) {
    extension(issuer, NID_basic_constraints, "critical,CA:FALSE");
    extension(issuer, NID_key_usage, "critical,digitalSignature");
    extension(issuer, NID_ext_key_usage, usage);
    extension(issuer, NID_subject_key_identifier, "hash");
    extension(issuer, NID_authority_key_identifier, "keyid:always");
    // RFC 5280, 4.2.1.6: critical when there is no subject to read instead.
    const bool critical = X509_NAME_entry_count(X509_get_subject_name(certificate_.get())) == 0;
    require(X509_add1_ext_i2d(certificate_.get(), NID_subject_alt_name, names_.get(), critical, X509V3_ADD_DEFAULT) ==
                1,
            "alternative names");
    return sign(issuer, issuer_key);
}

x509_ptr certificate_builder::sign(X509* issuer, EVP_PKEY* key) {
    require(X509_set_issuer_name(certificate_.get(), X509_get_subject_name(issuer)) == 1, "issuer");
    require(X509_sign(certificate_.get(), key, EVP_sha256()) > 0, "signature");
    return std::move(certificate_);
}

std::string serial_hex(X509* certificate) {
    const bignum_ptr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    require(number != nullptr, "serial");
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
    BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(bytes.data()));
    return to_hex(bytes);
}

std::string rfc3339(const ASN1_TIME* time) {
    std::tm parts{};
    require(ASN1_TIME_to_tm(time, &parts) == 1, "time");
    std::array<char, sizeof "2026-01-31T00:00:00Z"> text;
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

} // namespace fb::certs
