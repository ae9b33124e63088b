// The authority's index of what it issued: issued.jsonl beside ca.key, one flat JSON object per line. Values hold no
// character that JSON would escape (names are checked before they get here).
#pragma once

#include <filesystem>
#include <vector>

#include "certs/authority.hpp"

namespace fb::certs {

void append_issued(const std::filesystem::path& authority, const issued& entry);

/// Lines that are no entry are passed over: a power cut may have torn one, and the rest is still of use.
std::vector<issued> read_issued(const std::filesystem::path& authority);

/// For a new CA in an old one's place: the old index goes to issued.jsonl.old.
void retire_index(const std::filesystem::path& authority);

} // namespace fb::certs
