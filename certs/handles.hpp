// Owners of OpenSSL objects, each freed with its own function, and the check of what OpenSSL returns. For the sources
// of this folder.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace fb::certs {

template <auto free_function>
struct freed_by {
    template <class T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};

using x509_ptr = std::unique_ptr<X509, freed_by<X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free_all>>;
using bignum_ptr = std::unique_ptr<BIGNUM, freed_by<BN_free>>;
using general_names_ptr = std::unique_ptr<GENERAL_NAMES, freed_by<GENERAL_NAMES_free>>;

/// Throws failure with OpenSSL's own words: out of memory, or an OpenSSL that lacks something we rely on.
void require(bool worked, const char* what);

} // namespace fb::certs
