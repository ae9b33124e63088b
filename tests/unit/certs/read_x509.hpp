// Certificates as the tests look at them: read from a file, or made by hand to be odd.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <openssl/x509v3.h>

#include "certs/pem_files.hpp"
#include "certs/x509_build.hpp"

namespace fb::tests {

inline certs::x509_ptr read_one(const std::filesystem::path& path) {
    return std::move(certs::read_certificates(path).front());
}

/// One extension as OpenSSL prints it.
inline std::string extension_text(X509* certificate, int nid) {
    const int at = X509_get_ext_by_NID(certificate, nid, -1);
    if (at < 0) return "absent";
    certs::bio_ptr out(BIO_new(BIO_s_mem()));
    X509_EXTENSION* extension = X509_get_ext(certificate, at);
    X509V3_EXT_print(out.get(), extension, 0, 0);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return (X509_EXTENSION_get_critical(extension) ? "critical " : "") +
           std::string(text, static_cast<std::size_t>(size));
}

inline std::string common_name(X509* certificate) {
    X509_NAME* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) return "absent";
    const auto* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
            static_cast<std::size_t>(ASN1_STRING_length(text))};
}

/// What X509_verify_cert says of it under one trusted CA and for one purpose.
inline std::string verdict(X509* certificate, X509* trusted, int purpose) {
    X509_STORE* store = X509_STORE_new();
    X509_STORE_add_cert(store, trusted);
    X509_STORE_CTX* context = X509_STORE_CTX_new();
    X509_STORE_CTX_init(context, store, certificate, nullptr);
    X509_STORE_CTX_set_purpose(context, purpose);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_X509_STRICT);
    X509_verify_cert(context);
    const std::string result = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return result;
}

/// A certificate with any subject and SANs; nobody checks its signature.
class odd_certificate {
  public:
    odd_certificate()
        : certificate_(X509_new())
        , names_(GENERAL_NAMES_new()) {}

    odd_certificate& name(std::string_view cn, int type = MBSTRING_UTF8) {
        X509_NAME* subject = X509_get_subject_name(certificate_.get());
        ASN1_STRING* text = ASN1_STRING_type_new(type == MBSTRING_UTF8 ? V_ASN1_UTF8STRING : type);
        ASN1_STRING_set(text, cn.data(), static_cast<int>(cn.size()));
        X509_NAME_ENTRY* entry = X509_NAME_ENTRY_create_by_NID(nullptr, NID_commonName, ASN1_STRING_type(text),
                                                               ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
        X509_NAME_add_entry(subject, entry, -1, 0);
        X509_NAME_ENTRY_free(entry);
        ASN1_STRING_free(text);
        return *this;
    }
    odd_certificate& san(int type, std::string_view text) {
        ASN1_IA5STRING* value = ASN1_IA5STRING_new();
        ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
        GENERAL_NAME* entry = GENERAL_NAME_new();
        GENERAL_NAME_set0_value(entry, type, value);
        sk_GENERAL_NAME_push(names_.get(), entry);
        return *this;
    }
    odd_certificate& uri(std::string_view text) { return san(GEN_URI, text); }
    odd_certificate& damaged_san() {
        ASN1_OCTET_STRING* bytes = ASN1_OCTET_STRING_new();
        ASN1_STRING_set(bytes, "\x30\x7f", 2);
        X509_EXTENSION* extension = X509_EXTENSION_create_by_NID(nullptr, NID_subject_alt_name, 0, bytes);
        X509_add_ext(certificate_.get(), extension, -1);
        X509_EXTENSION_free(extension);
        ASN1_OCTET_STRING_free(bytes);
        return *this;
    }
    /// Signed by a key of its own, so that it has a DER form.
    X509* get() {
        if (sk_GENERAL_NAME_num(names_.get()) > 0)
            X509_add1_ext_i2d(certificate_.get(), NID_subject_alt_name, names_.get(), 0, X509V3_ADD_REPLACE);
        const auto key = certs::new_key();
        X509_set_pubkey(certificate_.get(), key.get());
        ASN1_TIME_set(X509_getm_notBefore(certificate_.get()), 0);
        ASN1_TIME_set(X509_getm_notAfter(certificate_.get()), 1);
        X509_sign(certificate_.get(), key.get(), EVP_sha256());
        return certificate_.get();
    }

  private:
    certs::x509_ptr certificate_;
    certs::general_names_ptr names_;
};

} // namespace fb::tests
