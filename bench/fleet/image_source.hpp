// Where an image comes from: HTTPS or the chunks of fw/get. One source per device, used for one image at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/fleet/wire.hpp"

namespace fb::fleet {

struct image_events {
    /// The next bytes of the image, in order and without a hole.
    virtual void on_image_bytes(std::string_view bytes) = 0;
    /// The server does not go on where we stopped: what is there is void, the image follows from its first byte.
    virtual void on_image_restarts() = 0;
    /// The image's size became known (it may be told in the command, too).
    virtual void on_image_size(std::uint64_t bytes) = 0;
    virtual void on_image_end() = 0;
    /// Given up: trying again would not help.
    virtual void on_image_failed(const std::string& code, const std::string& message) = 0;

  protected:
    ~image_events() = default;
};

class image_source {
  public:
    virtual ~image_source() = default;
    virtual void start(const update_command& update, std::uint64_t offset) = 0;
    virtual void stop() = 0;
    /// Lose the link now, for rehearsals; the source goes on by itself.
    virtual void cut() = 0;
};

/// How long to wait after a number of bytes so that the mean stays under a rate. 0 bytes per second: no limit.
class byte_throttle {
  public:
    explicit byte_throttle(std::uint64_t bytes_per_second)
        : bytes_per_second_(bytes_per_second) {}
    bool limits() const { return bytes_per_second_ != 0; }
    std::uint64_t bytes_per_second() const { return bytes_per_second_; }
    std::chrono::microseconds pause_after(std::uint64_t bytes) const {
        return std::chrono::microseconds(limits() ? bytes * 1'000'000 / bytes_per_second_ : 0);
    }

  private:
    std::uint64_t bytes_per_second_;
};

} // namespace fb::fleet
