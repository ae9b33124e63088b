#include "certs/authority.hpp"

#include <algorithm>
#include <ctime>

#include "certs/handles.hpp"
#include "certs/identity.hpp"
#include "certs/issued_index.hpp"
#include "certs/names.hpp"
#include "certs/peer_check.hpp"
#include "certs/pem_files.hpp"
#include "certs/x509_build.hpp"

namespace fb::certs {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::days valid_for_max{36500};
constexpr std::size_t server_names_max = 100;
constexpr std::time_t oldest_sane_clock = 1735689600; // 2025-01-01

struct file_pair {
    fs::path certificate;
    fs::path key;
};

struct authority_files {
    x509_ptr certificate;
    key_ptr key;
};

file_pair pair_in(const fs::path& directory, const std::string& name) {
    return {directory / (name + ".crt"), directory / (name + ".key")};
}

/// Before any work is done; creating the files checks once more.
void require_free(const file_pair& files, bool force) {
    if (force) return;
    for (const auto& path : {files.certificate, files.key}) {
        std::error_code error;
        if (fs::exists(fs::symlink_status(path, error))) refuse_existing(path);
    }
}

std::time_t end_of_validity(std::chrono::days valid_for) {
    if (valid_for < std::chrono::days(1) || valid_for > valid_for_max)
        throw failure("a certificate is valid for 1 to " + std::to_string(valid_for_max.count()) + " days");
    const std::time_t now = std::time(nullptr);
    if (now < oldest_sane_clock)
        throw failure(
            "the clock of this machine is before 2025: set it, or the certificates would have expired already");
    return now + std::chrono::seconds(valid_for).count();
}

authority_files load_authority(const fs::path& directory) {
    const auto files = pair_in(directory, "ca");
    std::error_code error;
    if (!fs::exists(files.key, error) && !error)
        throw failure(files.key.string() + ": not found; `fotabroker cert init` makes a CA");
    authority_files loaded{std::move(read_certificates(files.certificate).front()), read_private_key(files.key)};
    if (X509_check_private_key(loaded.certificate.get(), loaded.key.get()) != 1)
        throw failure(files.key.string() + ": is not the key of " + files.certificate.string());
    if (X509_check_ca(loaded.certificate.get()) != 1)
        throw failure(files.certificate.string() + ": is not the certificate of a CA");
    if (outside_validity(loaded.certificate.get(), std::time(nullptr)))
        throw failure(files.certificate.string() + ": has expired; make a new CA with `fotabroker cert init`");
    return loaded;
}

/// Nothing outlives its CA: such a certificate would fail one day with a puzzling message.
void limit_validity(certificate_builder& builder, const authority_files& authority, std::chrono::days valid_for) {
    std::tm parts{};
    ASN1_TIME_to_tm(X509_get0_notAfter(authority.certificate.get()), &parts);
    builder.not_after(std::min(end_of_validity(valid_for), ::timegm(&parts)));
}

/// The key comes first, the index second: a certificate that exists is always listed.
void publish(const fs::path& authority, const file_pair& files, X509* certificate, EVP_PKEY* key,
             const std::string& kind, const std::string& name, bool force) {
    write_private_key(files.key, key, force);
    append_issued(authority, {serial_hex(certificate), kind, name, rfc3339(X509_get0_notAfter(certificate)),
                              fingerprint_of(certificate)});
    write_pem(files.certificate, to_pem(certificate), file_kind::certificate, force);
}

void require_common_name(const std::string& name) {
    const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (name.empty() || name.size() > common_name_chars_max || std::any_of(name.begin(), name.end(), control))
        throw failure("the CA's name must be 1 to 64 characters, without control characters");
}

void require_file_name(const std::string& id, const file_pair& files, bool force) {
    if (!valid_device_id(id))
        throw failure(quoted(id) + " is not a device id: 1 to 128 of the characters A-Z a-z 0-9 . _ : -");
    if (id == "." || id == "..") throw failure("the device id '" + id + "' cannot be the name of a file");
    std::error_code error;
    if (force && (id == "ca" || id == "server") && fs::exists(files.key, error))
        throw failure(files.key.string() + " may be the key of the CA or of the server: choose another directory");
}

} // namespace

void init_authority(const fs::path& out, const std::string& common_name, const issue_options& options) {
    require_common_name(common_name);
    const auto files = pair_in(out, "ca");
    require_free(files, options.force);
    const auto key = new_key();
    certificate_builder builder(key.get());
    builder.common_name(common_name);
    builder.not_after(end_of_validity(options.valid_for));
    const auto certificate = builder.sign_authority(key.get());
    make_private_directory(out);
    if (options.force) retire_index(out);
    write_private_key(files.key, key.get(), options.force);
    write_pem(files.certificate, to_pem(certificate.get()), file_kind::certificate, options.force);
}

void issue_server(const fs::path& authority, const std::vector<std::string>& names, const fs::path& out,
                  const issue_options& options) {
    if (names.empty() || names.size() > server_names_max)
        throw failure("a server certificate needs 1 to " + std::to_string(server_names_max) + " names");
    const auto files = pair_in(out, "server");
    require_free(files, options.force);
    const auto ca = load_authority(authority);
    const auto key = new_key();
    certificate_builder builder(key.get());
    limit_validity(builder, ca, options.valid_for);
    if (names.front().size() <= common_name_chars_max) builder.common_name(names.front());
    for (const auto& name : names) {
        if (builder.ip_address(name)) continue;
        if (!valid_dns_name(name)) throw failure(quoted(name) + " is neither a DNS name nor an IP address");
        builder.dns_name(name);
    }
    const auto certificate = builder.sign_leaf(ca.certificate.get(), ca.key.get(), "serverAuth");
    make_private_directory(out);
    publish(authority, files, certificate.get(), key.get(), "server", names.front(), options.force);
}

void issue_device(const fs::path& authority, const std::string& id, const fs::path& out, const issue_options& options) {
    const auto files = pair_in(out, id);
    require_file_name(id, files, options.force);
    require_free(files, options.force);
    const auto ca = load_authority(authority);
    const auto key = new_key();
    certificate_builder builder(key.get());
    limit_validity(builder, ca, options.valid_for);
    if (id.size() <= common_name_chars_max) builder.common_name(id);
    builder.uri(std::string(device_uri_prefix) + id);
    const auto certificate = builder.sign_leaf(ca.certificate.get(), ca.key.get(), "clientAuth");
    make_private_directory(out);
    publish(authority, files, certificate.get(), key.get(), "device", id, options.force);
}

std::vector<issued> list_issued(const fs::path& authority) { return read_issued(authority); }

} // namespace fb::certs
