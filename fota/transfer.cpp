#include "fota/transfer.hpp"

#include <algorithm>

namespace fb::fota {

std::vector<chunk_range> plan_chunks(const fetch_request& request, std::uint64_t size) {
    if (request.offset >= size) return {{size, 0}};
    const auto fit = std::max(1U, bytes_in_flight_max / request.length);
    const auto count = std::min({request.count, chunks_in_flight_max, fit});
    std::vector<chunk_range> chunks;
    auto offset = request.offset;
    while (chunks.size() < count) {
        const auto length = std::min<std::uint64_t>(request.length, size - offset);
        chunks.push_back({offset, static_cast<std::uint32_t>(length)});
        if (length == 0) break;
        offset += length;
    }
    return chunks;
}

const transfer* transfer_table::find(const connection_ref& connection, std::uint32_t rid) const {
    const auto found = transfers_.find({connection, rid});
    return found == transfers_.end() ? nullptr : &found->second;
}

bool transfer_table::pin(const connection_ref& connection, std::uint32_t rid, const transfer& t) {
    const auto first = transfers_.lower_bound({connection, 0});
    const auto last = transfers_.upper_bound({connection, UINT32_MAX});
    if (std::distance(first, last) >= static_cast<std::ptrdiff_t>(rids_max)) return false;
    return transfers_.emplace(std::pair(connection, rid), t).second;
}

std::size_t transfer_table::forget(const connection_ref& connection) {
    return std::erase_if(transfers_, [&](const auto& entry) { return entry.first.first == connection; });
}

} // namespace fb::fota
