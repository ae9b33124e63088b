#include "storage/redo/segment.hpp"

#include "storage/redo/bytes.hpp"
#include "storage/redo/checksum.hpp"
#include "storage/redo/operations.hpp"

namespace fb::storage::redo {

namespace {

constexpr std::string_view head_mark = "fbredo1\n";
constexpr std::size_t head_bytes = 48;
constexpr std::uint32_t frame_mark = 0xfb0e'd0f1;
constexpr std::size_t frame_head_bytes = 24;
constexpr std::size_t checksum_at = 16; // in a frame's head

std::uint64_t frame_checksum(std::string_view head, std::string_view payload, std::uint64_t seed) {
    return checksum(payload, checksum(head.substr(0, checksum_at), seed));
}

} // namespace

std::string encode(const segment_head& head) {
    std::string page(head_mark);
    put_fixed(page, head.log, 8);
    put_fixed(page, head.number, 8);
    put_fixed(page, head.first_serial, 8);
    put_fixed(page, head.seed, 8);
    put_fixed(page, checksum(page, 0), 8);
    page.resize(page_bytes);
    return page;
}

result<std::optional<segment_head>> read_head(segment_file& file) {
    std::string bytes(head_bytes, '\0');
    const auto got = file.read(0, bytes);
    if (!got) return got.err();
    if (*got < head_bytes || !bytes.starts_with(head_mark)) return std::optional<segment_head>{};
    byte_reader in(std::string_view(bytes).substr(head_mark.size()));
    segment_head head{in.fixed(8), in.fixed(8), in.fixed(8), in.fixed(8)};
    if (in.fixed(8) != checksum(std::string_view(bytes).substr(0, head_bytes - 8), 0))
        return std::optional<segment_head>{};
    return std::optional(head);
}

void begin_frame(std::span<const session_operation> operations, std::string& frame) {
    frame.assign(frame_head_bytes, '\0');
    encode(operations, frame);
}

void finish_frame(std::uint64_t serial, std::uint64_t seed, std::string& frame) {
    const std::string_view payload = std::string_view(frame).substr(frame_head_bytes);
    std::string head;
    put_fixed(head, frame_mark, 4);
    put_fixed(head, payload.size(), 4);
    put_fixed(head, serial, 8);
    put_fixed(head, frame_checksum(head, payload, seed), 8);
    frame.replace(0, frame_head_bytes, head);
    frame.resize(whole_pages(frame.size()));
}

segment_reader::segment_reader(segment_file& file, const segment_head& head, std::uint64_t end)
    : file_(file)
    , head_(head)
    , end_(end)
    , expected_(head.first_serial) {}

result<std::optional<frame>> segment_reader::next() {
    while (!at_end_) {
        auto found = read_at_offset();
        if (!found || *found) return found;
        offset_ += page_bytes;
    }
    return std::optional<frame>{};
}

/// The frame that begins here, if one does; the reader is behind it then.
result<std::optional<frame>> segment_reader::read_at_offset() {
    const std::optional<frame> none;
    std::string head(frame_head_bytes, '\0');
    auto got = file_.read(offset_, head);
    if (!got) return got.err();
    at_end_ = *got < head.size();
    if (at_end_) return none;
    byte_reader in(head);
    const auto mark = in.fixed(4), bytes = in.fixed(4), serial = in.fixed(8), sum = in.fixed(8);
    if (mark != frame_mark || serial < expected_ || serial >= end_) return none;
    auto payload = std::make_shared<std::string>();
    // Not more than there is, whatever the length says: it is not believed before the checksum.
    char probe = 0;
    if (bytes != 0) {
        const auto last = file_.read(offset_ + frame_head_bytes + bytes - 1, {&probe, 1});
        if (!last) return last.err();
        if (*last == 0) return none;
    }
    payload->resize(bytes);
    got = file_.read(offset_ + frame_head_bytes, *payload);
    if (!got) return got.err();
    if (*got < bytes || sum != frame_checksum(head, *payload, head_.seed)) return none;
    missing_ += serial - expected_;
    expected_ = serial + 1;
    offset_ += whole_pages(frame_head_bytes + bytes);
    return std::optional(frame{serial, std::move(payload)});
}

} // namespace fb::storage::redo
