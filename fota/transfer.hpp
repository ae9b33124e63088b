// Which chunks a fw/get request is answered with (fota.md section 9, fw/get), and which artifact a rid stands for.
// Pure data; lives on the FOTA thread.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "fota/ports.hpp"
#include "fota/wire.hpp"

namespace fb::fota {

inline constexpr std::uint32_t chunks_in_flight_max = 8;
inline constexpr std::uint32_t bytes_in_flight_max = 64 * 1024;

struct chunk_range {
    std::uint64_t offset = 0;
    std::uint32_t length = 0; // 0: the end of the image, at offset = size
    friend bool operator==(const chunk_range&, const chunk_range&) = default;
};

/// At most min(8 chunks, 64 KiB), never past `size`; one empty chunk at the end when the request reaches it.
std::vector<chunk_range> plan_chunks(const fetch_request& request, std::uint64_t size);

/// What a rid was first used for.
struct transfer {
    storage::update_uuid update_id;
    int attempt = 0;
};

/// A device's transfers: (connection, rid) -> transfer. A rid keeps its meaning until its connection ends.
class transfer_table {
  public:
    /// Per connection, so that one device cannot take all of the gateway's.
    static constexpr std::size_t rids_max = 16;

    const transfer* find(const connection_ref& connection, std::uint32_t rid) const;
    /// False when the connection has too many.
    bool pin(const connection_ref& connection, std::uint32_t rid, const transfer& t);
    /// How many transfers went.
    std::size_t forget(const connection_ref& connection);
    std::size_t size() const noexcept { return transfers_.size(); }

  private:
    std::map<std::pair<connection_ref, std::uint32_t>, transfer> transfers_;
};

} // namespace fb::fota
