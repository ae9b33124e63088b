// One certificate under construction: name it, set its end, sign it once; signing hands it over. Throws failure. No
// thread.
#pragma once

#include <ctime>
#include <string>

#include "certs/handles.hpp"

namespace fb::certs {

/// P-256.
key_ptr new_key();

class certificate_builder {
  public:
    /// A certificate for `key`, with a random 128-bit serial, valid from 1970 on: a device or gateway that has no clock
    /// yet must accept it.
    explicit certificate_builder(EVP_PKEY* key);

    void common_name(const std::string& name);
    void not_after(std::time_t when);
    void dns_name(const std::string& name);
    /// False when this is no IPv4 or IPv6 address.
    bool ip_address(const std::string& address);
    void uri(const std::string& uri);
    /// The certificate signs itself.
    x509_ptr sign_authority(EVP_PKEY* key);
    /// `usage` is serverAuth or clientAuth.
    x509_ptr sign_leaf(X509* issuer, EVP_PKEY* issuer_key, const char* usage);

  private:
    void alternative_name(int type, const std::string& text);
    void extension(X509* issuer, int nid, const char* value);
    x509_ptr sign(X509* issuer, EVP_PKEY* key);

    x509_ptr certificate_;
    general_names_ptr names_;
};

std::string serial_hex(X509* certificate);
std::string rfc3339(const ASN1_TIME* time);

} // namespace fb::certs
