// Downloads an image over MQTT: asks for chunks with fw/get, at most eight or 64 KiB on the way, takes them in order,
// and asks again from the first missing byte when one was lost (a gap, silence, or a new connection).
#pragma once

#include <functional>

#include "bench/fleet/image_source.hpp"
#include "bench/fleet/loop.hpp"

namespace fb::fleet {

/// The window of chunks, sans-I/O. Offsets are bytes; a size of 0 means that the end shows itself by an empty chunk.
class chunk_window {
  public:
    static constexpr unsigned chunks_max = 8;
    static constexpr unsigned bytes_max = 64 * 1024; // a gateway leaves out what is beyond

    struct request {
        std::uint64_t offset;
        unsigned count;
        friend bool operator==(const request&, const request&) = default;
    };
    enum class verdict {
        next, // append it
        old,  // seen before, not asked for, or behind a gap already told of: drop it
        gap,  // something before it was lost: ask again
    };

    chunk_window() = default;
    chunk_window(std::uint64_t offset, std::uint64_t size, unsigned chunk_bytes);

    /// What to ask for now, count 0 when enough is on the way: half a window at least, so that requests are few.
    request ask();
    verdict take(std::uint64_t offset, std::size_t bytes);
    /// Everything on the way is lost: the next ask() begins at the first missing byte.
    void forget_requests() { asked_ = offset_; }
    bool at_end() const { return size_known_ && offset_ == size_; }
    std::uint64_t offset() const { return offset_; }

  private:
    std::uint64_t offset_ = 0; // first missing byte
    std::uint64_t asked_ = 0;  // end of what was asked for
    std::uint64_t size_ = 0;
    bool size_known_ = false;
    bool gap_told_ = false; // since the last byte: one loss is asked for once
    unsigned chunk_bytes_ = 4096;
    unsigned width_ = chunks_max; // chunks
};

class chunk_source final : public image_source {
  public:
    struct options {
        unsigned chunk_bytes = 4096;
        std::uint64_t bytes_per_second = 0;
        std::function<void(const std::string& json)> ask; // publishes to fw/get; may be lost
        std::function<void()> cut_link;
    };

    chunk_source(loop& l, options o, image_events& events);
    ~chunk_source() override { stop(); }

    void start(const update_command& update, std::uint64_t offset) override;
    void stop() override;
    void cut() override { options_.cut_link(); }

    /// The subscriptions are there (again).
    void on_connected();
    /// `rid_and_offset` is the topic after fw/data/.
    void on_chunk(std::string_view rid_and_offset, std::string_view bytes);
    void on_error(std::string_view json);

  private:
    void ask_for_more();
    void ask_again();
    void watch_silence();

    loop& loop_;
    options options_;
    image_events& events_;
    byte_throttle throttle_;
    bool wanted_ = false;
    bool connected_ = false;
    std::string update_id_;
    std::uint32_t rid_ = 0;
    chunk_window window_;
    unsigned repeats_ = 0;                   // without a byte in between
    loop::clock::time_point ask_not_before_; // when throttled
    loop::timer_id silence_ = 0;
    loop::timer_id pause_ = 0;
};

} // namespace fb::fleet
