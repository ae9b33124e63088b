#include "certs/identity.hpp"

#include <algorithm>
#include <array>

#include "certs/digest.hpp"
#include "certs/handles.hpp"
#include "certs/names.hpp"

namespace fb::certs {

namespace {

/// Whether the certificate names a device in its SANs; the id is empty when it does so in a way we cannot trust.
struct san_answer {
    bool present = false;
    std::string id;
};

san_answer id_from_san(X509* certificate) {
    int critical = 0;
    general_names_ptr names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
    if (!names) return {critical != -1, {}}; // -1: no such extension; else it is malformed or there are two
    san_answer answer;
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_URI) continue;
        const auto* text = name->d.uniformResourceIdentifier;
        const std::string_view uri(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                   static_cast<std::size_t>(ASN1_STRING_length(text)));
        if (!uri.starts_with(device_uri_prefix)) continue;
        const auto id = uri.substr(device_uri_prefix.size());
        if (answer.present || !valid_device_id(id)) return {true, {}}; // two ids are no identity
        answer = {true, std::string(id)};
    }
    return answer;
}

std::string id_from_common_name(X509* certificate) {
    X509_NAME* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) return {};
    std::string name(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size)); // a NUL inside stays visible
    OPENSSL_free(utf8);
    return name.size() <= common_name_chars_max && valid_device_id(name) ? name : std::string();
}

} // namespace

bool valid_device_id(std::string_view id) noexcept {
    const auto allowed = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == ':' || c == '-';
    };
    return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), allowed);
}

std::string fingerprint_of(X509* certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> sum;
    unsigned int size = 0;
    if (X509_digest(certificate, EVP_sha256(), sum.data(), &size) != 1) return {};
    return to_hex({reinterpret_cast<const char*>(sum.data()), size});
}

std::optional<identity> identity_of(X509* certificate) {
    if (!certificate) return std::nullopt;
    auto [present, id] = id_from_san(certificate);
    if (!present) id = id_from_common_name(certificate);
    if (id.empty()) return std::nullopt;
    return identity{std::move(id), fingerprint_of(certificate)};
}

} // namespace fb::certs
