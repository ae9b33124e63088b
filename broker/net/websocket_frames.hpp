// The frames of one WebSocket (RFC 6455) from the server's side, sans-I/O: bytes of the peer in, MQTT's bytes out, and
// the other way round. Frames are not kept: payload is unmasked where it lies, whatever its frames' borders, and what
// is sent is framed without being copied. One thread; moves between shards with its connection.
//
// Invariants:
// (1) A frame begun with prepare() announces a length, and until that many bytes are sent nothing else comes between.
// (2) Memory is bounded: the partial header or control frame of the peer, the frame header to be sent, one pong (only
// the latest ping is answered) and one Close.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fb::net {

class websocket_frames {
  public:
    websocket_frames();

    // --- From the peer ---

    /// Moves the payload of binary frames to the front of `bytes`, unmasked; returns how many bytes that is. Answers to
    /// control frames wait for prepare(). Behind a Close or a fault nothing is looked at any more.
    std::size_t decode(std::span<char> bytes);
    /// The peer said Close or broke the rules: decode() will find nothing more.
    bool ended() const noexcept { return ended_; }
    /// What was wrong; null: nothing, or a Close.
    const char* fault() const noexcept { return fault_; }

    // --- To the peer ---

    /// Begins a frame for `payload_bytes` of output unless one is under way, behind the control frames that wait.
    /// Returns the bytes that must be sent before the next frame_left() of the output.
    std::string_view prepare(std::size_t payload_bytes);
    std::uint64_t frame_left() const noexcept { return frame_left_; }
    /// Of what prepare() returned and the output behind it, `count` bytes were sent; returns how many were output.
    std::size_t sent(std::size_t count);
    /// A Close comes next, unless there was one: no frame is begun after it. Its code says what was wrong, if anything.
    void say_close();
    /// Something has to be sent that is not output.
    bool has_control() const noexcept { return head_sent_ < head_.size() || pong_ || close_ == closing::due; }
    /// Nothing of a frame is on its way: control frames may be sent at once.
    bool idle() const noexcept { return head_.empty() && frame_left_ == 0; }

  private:
    enum class closing : std::uint8_t { no, due, said };

    bool header_complete();
    void refuse(const char* why, std::uint16_t code);
    void breach(const char* why);
    void judge_opcode();
    void judge_length();
    std::size_t header_bytes() const noexcept;
    std::uint64_t announced_length() const noexcept;
    bool is_control() const noexcept { return (header_[0] & 0x08) != 0; }
    void control_complete();
    void peer_closes();
    void queue_close(std::string payload);
    void append_control(std::uint8_t opcode, std::string_view payload);

    std::array<std::uint8_t, 14> header_{}; // of the frame that is being read
    std::uint8_t header_size_ = 0;          // bytes of it that are here
    std::uint8_t control_size_ = 0;
    bool in_payload_ = false;
    bool in_message_ = false; // fragments of a binary message may follow
    bool ended_ = false;
    closing close_ = closing::no;
    std::uint64_t payload_left_ = 0;
    std::uint32_t mask_at_ = 0; // offset within the frame's payload, modulo 4
    const char* fault_ = nullptr;
    std::uint16_t close_code_;
    std::string control_; // payload of the control frame that is being read, at most 125 bytes

    std::string head_; // control frames and the header of the frame under way, as they are sent
    std::size_t head_sent_ = 0;
    std::uint64_t frame_left_ = 0;
    std::optional<std::string> pong_;
    std::string close_payload_;
};

} // namespace fb::net
