// An incremental parser for multipart/form-data (RFC 7578, RFC 2046 5.1). Sans-I/O: bytes in, calls out, in pieces of
// any size. Holds at most one part's header block or one delimiter's length beyond the bytes of one feed().
// Belongs to one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fb::http {

struct part_header {
    std::string name;                    // of the form field
    std::optional<std::string> filename; // as the client wrote it: never a path of ours
    std::string content_type;
};

/// Where the parts go. A false answer stops the parser with the sink's own reason.
class part_sink {
  public:
    virtual ~part_sink() = default;
    virtual bool on_part(const part_header& header) = 0;
    virtual bool on_data(std::string_view bytes) = 0;
    virtual bool on_part_end() = 0;
};

class multipart_parser {
  public:
    static constexpr std::size_t header_bytes_max = 8 * 1024; // of one part
    static constexpr std::size_t preamble_bytes_max = 1024;
    static constexpr int parts_max = 64;

    multipart_parser(std::string_view boundary, part_sink& sink);

    /// False: the body is malformed (error() says how) or the sink said no (error() is empty). No call after that.
    bool feed(std::string_view bytes);
    /// The closing delimiter has been seen: without it the body was cut short.
    bool complete() const noexcept { return state_ == state::epilogue; }
    const std::string& error() const noexcept { return error_; }

  private:
    enum class state { preamble, after_delimiter, headers, data, epilogue, failed };
    enum class step { again, need_more, stop };

    step advance();
    step skip_preamble();
    step read_delimiter_end();
    step read_headers();
    step read_data();
    bool parse_header_line(std::string_view line);
    step fail(std::string text);

    const std::string delimiter_; // "\r\n--<boundary>"
    part_sink& sink_;
    state state_ = state::preamble;
    std::string held_; // not yet consumed, from position_
    std::size_t position_ = 0;
    std::size_t preamble_bytes_ = 0;
    int parts_ = 0;
    part_header header_;
    bool has_disposition_ = false;
    std::string error_;
};

/// The boundary of a Content-Type `multipart/form-data; boundary=...`; nothing when it is another type or breaks the
/// rules for a boundary (1-70 characters of RFC 2046's set).
std::optional<std::string> multipart_boundary(std::string_view content_type);

/// A parameter of a header such as Content-Disposition, `name="value"` or `name=value`, with \" and \\ resolved.
std::optional<std::string> header_parameter(std::string_view header, std::string_view name);

} // namespace fb::http
