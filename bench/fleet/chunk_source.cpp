#include "bench/fleet/chunk_source.hpp"

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

namespace fb::fleet {
namespace {

constexpr std::chrono::seconds silence_max{2};
constexpr unsigned repeats_max = 60; // two minutes of silence on a connection that is up

template <class Number>
bool parse_whole(std::string_view digits, Number& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return error == std::errc{} && end == digits.data() + digits.size();
}

} // namespace

chunk_window::chunk_window(std::uint64_t offset, std::uint64_t size, unsigned chunk_bytes)
    : offset_(offset)
    , asked_(offset)
    , size_(size)
    , size_known_(size != 0)
    , chunk_bytes_(chunk_bytes)
    , width_(std::clamp(bytes_max / chunk_bytes, 1U, chunks_max)) {}

chunk_window::request chunk_window::ask() {
    const auto on_the_way = (asked_ - offset_ + chunk_bytes_ - 1) / chunk_bytes_;
    if (at_end() || on_the_way > width_ / 2) return {asked_, 0};
    auto count = width_ - on_the_way;
    if (size_known_) {
        if (asked_ >= size_) return {asked_, 0};
        count = std::min(count, (size_ - asked_ + chunk_bytes_ - 1) / chunk_bytes_);
    }
    const request out{asked_, static_cast<unsigned>(count)};
    asked_ += count * chunk_bytes_;
    return out;
}

chunk_window::verdict chunk_window::take(std::uint64_t offset, std::size_t bytes) {
    if (offset < offset_ || asked_ == offset_) return verdict::old;
    if (offset > offset_) return std::exchange(gap_told_, true) ? verdict::old : verdict::gap;
    gap_told_ = false;
    if (bytes == 0) {
        size_ = offset;
        size_known_ = true;
    }
    offset_ += bytes;
    asked_ = std::max(asked_, offset_);
    return verdict::next;
}

chunk_source::chunk_source(loop& l, options o, image_events& events)
    : loop_(l)
    , options_(std::move(o))
    , events_(events)
    , throttle_(options_.bytes_per_second)
    , rid_(std::random_device{}()) {}

void chunk_source::start(const update_command& update, std::uint64_t offset) {
    stop();
    wanted_ = true;
    update_id_ = update.update_id;
    ++rid_; // chunks of an earlier download are told apart by it
    repeats_ = 0;
    window_ = chunk_window(offset, update.size, options_.chunk_bytes);
    if (connected_) ask_again();
}

void chunk_source::stop() {
    wanted_ = false;
    loop_.cancel(silence_);
    loop_.cancel(pause_);
}

void chunk_source::on_connected() {
    connected_ = true;
    if (wanted_) ask_again();
}

void chunk_source::ask_again() {
    window_.forget_requests();
    ask_for_more();
}

void chunk_source::ask_for_more() {
    const auto request = window_.ask();
    if (request.count > 0)
        options_.ask(chunk_request_json(rid_, update_id_, request.offset, options_.chunk_bytes, request.count));
    watch_silence();
}

void chunk_source::watch_silence() {
    loop_.cancel(silence_);
    silence_ = loop_.after(silence_max, [this] {
        if (++repeats_ > repeats_max) {
            stop();
            return events_.on_image_failed("download_failed", "no chunk arrives");
        }
        ask_again();
    });
}

void chunk_source::on_chunk(std::string_view rid_and_offset, std::string_view bytes) {
    const auto slash = rid_and_offset.find('/');
    std::uint32_t rid = 0;
    std::uint64_t offset = 0;
    if (!wanted_ || slash == std::string_view::npos || !parse_whole(rid_and_offset.substr(0, slash), rid) ||
        !parse_whole(rid_and_offset.substr(slash + 1), offset) || rid != rid_)
        return;
    switch (window_.take(offset, bytes.size())) {
    case chunk_window::verdict::old: return;
    case chunk_window::verdict::gap: return ask_again();
    case chunk_window::verdict::next: break;
    }
    repeats_ = 0;
    if (!bytes.empty()) events_.on_image_bytes(bytes);
    if (!wanted_) return;
    if (window_.offset() > image_bytes_max) {
        stop();
        return events_.on_image_failed("too_large", "the image is too large");
    }
    if (window_.at_end()) {
        stop();
        return events_.on_image_end();
    }
    if (!throttle_.limits()) return ask_for_more();
    loop_.cancel(silence_);
    loop_.cancel(pause_);
    // Chunks come several at a time: what each one costs adds up.
    const auto now = loop::clock::now();
    ask_not_before_ = std::max(ask_not_before_, now) + throttle_.pause_after(bytes.size());
    pause_ = loop_.after(ask_not_before_ - now, [this] { ask_for_more(); });
}

void chunk_source::on_error(std::string_view json) {
    if (!wanted_) return;
    stop();
    events_.on_image_failed("fw_get_refused", parse_chunk_error(json));
}

} // namespace fb::fleet
