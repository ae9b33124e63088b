#include "broker/net/websocket_frames.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "proto/rule.hpp"

namespace fb::net {
namespace {

enum opcode : std::uint8_t { continuation = 0x0, text = 0x1, binary = 0x2, close = 0x8, ping = 0x9, pong = 0xA };

namespace close_code { // RFC 6455, 7.4.1
constexpr std::uint16_t normal = 1000;
constexpr std::uint16_t protocol_error = 1002;
constexpr std::uint16_t unsupported_data = 1003;
constexpr std::uint16_t too_big = 1009;
} // namespace close_code

constexpr std::uint8_t final_bit = 0x80;
constexpr std::uint8_t reserved_bits = 0x70;
constexpr std::uint8_t mask_bit = 0x80;
constexpr std::uint8_t length_16_bits = 126;
constexpr std::uint8_t length_64_bits = 127;
constexpr std::size_t control_bytes_max = 125;
constexpr std::uint64_t frame_bytes_max = 268'435'460; // the largest MQTT packet; frames are not kept, so any will do

std::uint64_t big_endian(const std::uint8_t* bytes, int count) {
    std::uint64_t value = 0;
    for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
    return value;
}

/// Moves `count` bytes from `from` down to `to`, which may overlap, and takes the mask off on the way. `at` is the
/// offset of the first byte within its frame.
void unmask(char* to, const char* from, std::size_t count, const std::uint8_t* mask, std::uint32_t at) {
    std::array<std::uint8_t, 8> key;
    for (std::uint32_t i = 0; i < 8; ++i) key[i] = mask[(at + i) % 4];
    const auto key_word = std::bit_cast<std::uint64_t>(key);
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        std::uint64_t word;
        std::memcpy(&word, from + i, 8);
        word ^= key_word;
        std::memcpy(to + i, &word, 8);
    }
    for (; i < count; ++i) to[i] = static_cast<char>(from[i] ^ static_cast<char>(key[i % 8]));
}

bool valid_close_code(std::uint64_t code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

} // namespace

websocket_frames::websocket_frames()
    : close_code_(close_code::normal) {}

// --- from the peer ---

std::size_t websocket_frames::decode(std::span<char> bytes) {
    std::size_t out = 0;
    std::size_t in = 0;
    while (!ended_ && (in < bytes.size() || (in_payload_ && payload_left_ == 0))) {
        if (!in_payload_) {
            header_[header_size_++] = static_cast<std::uint8_t>(bytes[in++]);
            in_payload_ = header_complete();
            continue;
        }
        const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, bytes.size() - in));
        char* const to = bytes.data() + out;
        unmask(to, bytes.data() + in, part, &header_[header_bytes() - 4], mask_at_);
        if (is_control())
            control_.append(to, part);
        else
            out += part;
        in += part;
        mask_at_ = static_cast<std::uint32_t>((mask_at_ + part) % 4);
        payload_left_ -= part;
        // No look at where packets begin.
        if (rule<"v5[MQTT-6.0.0-2]", "v311[MQTT-6.0.0-2]">(payload_left_ != 0)) break;
        in_payload_ = false;
        if (is_control()) control_complete();
        header_size_ = 0;
    }
    return out;
}

/// Judges as soon as a byte can be judged, so that a faulty frame is never waited for.
bool websocket_frames::header_complete() {
    if (header_size_ == 1) judge_opcode();
    if (header_size_ == 2 && (header_[1] & mask_bit) == 0) breach("a frame of a client must be masked");
    if (header_size_ == 2 && is_control() && (header_[1] & 0x7F) > control_bytes_max)
        breach("a control frame is longer than 125 bytes");
    if (ended_ || header_size_ < 2 || header_size_ < header_bytes()) return false;
    judge_length();
    payload_left_ = announced_length();
    mask_at_ = 0;
    control_.clear();
    if (!is_control()) in_message_ = (header_[0] & final_bit) == 0;
    return !ended_;
}

void websocket_frames::judge_opcode() {
    const bool final = (header_[0] & final_bit) != 0;
    if ((header_[0] & reserved_bits) != 0) return breach("a reserved bit is set, and no extension was agreed on");
    const int opcode = header_[0] & 0x0F;
    if (rule<"v5[MQTT-6.0.0-1]", "v311[MQTT-6.0.0-1]">(opcode == text))
        return refuse("a text frame: MQTT comes in binary ones", close_code::unsupported_data);
    switch (opcode) {
    case binary:
        if (in_message_) breach("a message begins within another one");
        return;
    case continuation:
        if (!in_message_) breach("a continuation of nothing");
        return;
    case close:
    case ping:
    case pong:
        if (!final) breach("a control frame in fragments");
        return;
    default: return breach("a reserved opcode");
    }
}

std::size_t websocket_frames::header_bytes() const noexcept {
    const int length = header_[1] & 0x7F;
    return 2 + (length == length_64_bits ? 8u : length == length_16_bits ? 2u : 0u) + 4;
}

std::uint64_t websocket_frames::announced_length() const noexcept {
    const int length = header_[1] & 0x7F;
    if (length == length_64_bits) return big_endian(&header_[2], 8);
    return length == length_16_bits ? big_endian(&header_[2], 2) : static_cast<std::uint64_t>(length);
}

void websocket_frames::judge_length() {
    const int form = header_[1] & 0x7F;
    const std::uint64_t length = announced_length();
    if ((form == length_16_bits && length < length_16_bits) || (form == length_64_bits && length <= 0xFFFF))
        return breach("a frame's length is written longer than needed");
    if (length >> 63 != 0) return breach("a frame's length has its highest bit set");
    if (length > frame_bytes_max) refuse("a frame is longer than any MQTT packet", close_code::too_big);
}

void websocket_frames::control_complete() {
    switch (header_[0] & 0x0F) {
    case ping: pong_ = control_; return;
    case close: return peer_closes();
    default: return; // a pong nobody asked for
    }
}

void websocket_frames::peer_closes() {
    const auto* payload = reinterpret_cast<const std::uint8_t*>(control_.data());
    if (control_.size() == 1 || (control_.size() >= 2 && !valid_close_code(big_endian(payload, 2))))
        return breach("a Close without a valid code");
    ended_ = true;
    queue_close(control_.substr(0, 2)); // RFC 6455, 5.5.1: the same code
}

void websocket_frames::refuse(const char* why, std::uint16_t code) {
    if (ended_) return;
    ended_ = true;
    fault_ = why;
    close_code_ = code;
}

void websocket_frames::breach(const char* why) { refuse(why, close_code::protocol_error); }

// --- to the peer ---

void websocket_frames::say_close() {
    queue_close({static_cast<char>(close_code_ >> 8), static_cast<char>(close_code_ & 0xFF)});
}

void websocket_frames::queue_close(std::string payload) {
    if (close_ != closing::no) return;
    close_ = closing::due;
    close_payload_ = std::move(payload);
}

void websocket_frames::append_control(std::uint8_t opcode, std::string_view payload) {
    head_ += static_cast<char>(final_bit | opcode);
    head_ += static_cast<char>(payload.size());
    head_ += payload;
}

std::string_view websocket_frames::prepare(std::size_t payload_bytes) {
    const std::string_view unsent = std::string_view(head_).substr(head_sent_);
    if (frame_left_ != 0 || close_ == closing::said) return unsent;
    if (pong_ && head_.empty()) { // else whoever pings and does not read would make it grow
        append_control(pong, *pong_);
        pong_.reset();
    }
    if (close_ == closing::due) {
        append_control(close, close_payload_);
        close_ = closing::said;
        pong_.reset();
    } else if (payload_bytes != 0) {
        const std::uint64_t length = payload_bytes;
        const int form = length < length_16_bits ? 0 : length <= 0xFFFF ? 2 : 8;
        head_ += static_cast<char>(final_bit | binary);
        head_ += static_cast<char>(form == 0 ? length : form == 2 ? length_16_bits : length_64_bits);
        for (int shift = 8 * (form - 1); shift >= 0; shift -= 8) head_ += static_cast<char>(length >> shift & 0xFF);
        frame_left_ = length;
    }
    return std::string_view(head_).substr(head_sent_);
}

std::size_t websocket_frames::sent(std::size_t count) {
    const std::size_t of_head = std::min(count, head_.size() - head_sent_);
    head_sent_ += of_head;
    if (head_sent_ == head_.size()) {
        head_.clear();
        head_sent_ = 0;
    }
    const std::size_t of_output = count - of_head;
    frame_left_ -= of_output;
    return of_output;
}

} // namespace fb::net
