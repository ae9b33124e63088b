// PEM files in and out. What goes wrong is a `failure` that names the file and what to do. No thread of its own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "certs/error.hpp"
#include "certs/handles.hpp"

namespace fb::certs {

std::vector<x509_ptr> read_certificates(const std::filesystem::path& path); // at least one
key_ptr read_private_key(const std::filesystem::path& path);

std::string to_pem(X509* certificate);

enum class file_kind { certificate, key }; // 0644, 0600

/// Writes and syncs `path`; a key is never readable by others, not even for a moment. Without `force` an existing file
/// is left alone and refused; with it the file is replaced in one step.
void write_pem(const std::filesystem::path& path, std::string_view pem, file_kind kind, bool force);
void write_private_key(const std::filesystem::path& path, EVP_PKEY* key, bool force);

/// Creates what is missing of `path`, 0700.
void make_private_directory(const std::filesystem::path& path);

/// Appends one line, synced. A line torn by a power cut before it is closed first.
void append_line(const std::filesystem::path& path, std::string_view line);

[[noreturn]] void refuse_existing(const std::filesystem::path& path);

} // namespace fb::certs
