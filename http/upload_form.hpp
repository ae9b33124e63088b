// The form of POST /api/v1/firmwares as its parts arrive, in any order: text fields are kept, the file's bytes are
// handed on. Pure but for the bytes it buffers between two feeds; one per upload.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "http/multipart.hpp"
#include "http/problem.hpp"

namespace fb::http {

class upload_form : public part_sink {
  public:
    explicit upload_form(std::uint64_t file_bytes_max)
        : file_bytes_max_(file_bytes_max) {}

    bool on_part(const part_header& header) override;
    bool on_data(std::string_view bytes) override;
    bool on_part_end() override;

    /// Why a part was refused.
    const std::optional<problem>& refused() const { return refused_; }
    /// File bytes that wait to be taken.
    std::string& pending() { return pending_; }

    /// Everything that can be said once all parts are there. `free_version_types` need no semantic versions.
    std::optional<problem> check(const std::vector<std::string>& free_version_types) const;

    std::optional<std::string> field(const std::string& name) const;
    /// The client's file name made harmless: never a path, [A-Za-z0-9._-], not empty.
    const std::string& filename() const { return filename_; }
    std::uint64_t file_bytes() const { return file_bytes_; }
    /// hw_revs as a JSON array.
    std::string hw_revs() const;
    /// The same for the same fields, file name and file, whatever the boundary and the order of parts.
    std::string canonical(const std::string& file_sha256) const;

  private:
    bool refuse(int status, std::string reason, std::string detail);

    const std::uint64_t file_bytes_max_;
    std::map<std::string, std::string> fields_;
    std::string current_; // the part being read; "file" is the file
    bool has_file_ = false;
    std::string filename_;
    std::uint64_t file_bytes_ = 0;
    std::string pending_;
    std::optional<problem> refused_;
};

std::string safe_filename(std::string_view offered);

/// "A,B" or ["A","B"]; nothing when it is neither.
std::optional<std::vector<std::string>> parse_hw_revs(std::string_view text);

} // namespace fb::http
