#include "http/multipart.hpp"

#include <algorithm>
#include <cctype>

#include "http/trim.hpp"

namespace fb::http {

namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

/// The end of a parameter that begins at `text`: the next ';' outside of quotes.
std::size_t parameter_end(std::string_view text) {
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (quoted && text[i] == '\\')
            ++i;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == ';' && !quoted)
            return i;
    }
    return text.size();
}

std::optional<std::string> unquoted(std::string_view value) {
    if (!value.starts_with('"')) return std::string(value);
    if (value.size() < 2 || value.back() != '"') return std::nullopt;
    std::string out;
    for (std::size_t i = 1; i + 1 < value.size(); ++i) {
        // Browsers escape only quotes; an old one sends C:\dir\file, so other backslashes stay.
        if (value[i] == '\\' && i + 2 < value.size() && (value[i + 1] == '"' || value[i + 1] == '\\')) ++i;
        out.push_back(value[i]);
    }
    return out;
}

} // namespace

multipart_parser::multipart_parser(std::string_view boundary, part_sink& sink)
    : delimiter_("\r\n--" + std::string(boundary))
    , sink_(sink)
    , held_("\r\n") {} // the first delimiter lacks its CRLF

bool multipart_parser::feed(std::string_view bytes) {
    if (state_ == state::failed) return false;
    if (state_ == state::epilogue) return true;
    held_.append(bytes);
    step last = step::again;
    while (last == step::again) last = advance();
    held_.erase(0, position_);
    position_ = 0;
    if (last == step::stop) state_ = state::failed;
    return last != step::stop;
}

multipart_parser::step multipart_parser::advance() {
    switch (state_) {
    case state::preamble: return skip_preamble();
    case state::after_delimiter: return read_delimiter_end();
    case state::headers: return read_headers();
    case state::data: return read_data();
    case state::epilogue: position_ = held_.size(); return step::need_more;
    case state::failed: break;
    }
    return step::stop;
}

multipart_parser::step multipart_parser::skip_preamble() {
    const auto found = held_.find(delimiter_, position_);
    const auto end = found != std::string::npos ? found : held_.size() - std::min(held_.size(), delimiter_.size() - 1);
    preamble_bytes_ += end - std::min(end, position_);
    if (preamble_bytes_ > preamble_bytes_max) return fail("the body does not begin with the boundary");
    position_ = std::max(position_, end);
    if (found == std::string::npos) return step::need_more;
    position_ = found + delimiter_.size();
    state_ = state::after_delimiter;
    return step::again;
}

/// What follows a delimiter: "--" closes the body, CRLF (after optional blanks) begins a part.
multipart_parser::step multipart_parser::read_delimiter_end() {
    const std::string_view rest = std::string_view(held_).substr(position_);
    if (rest.starts_with("--")) {
        state_ = state::epilogue;
        return step::again;
    }
    const auto blanks = std::min(rest.find_first_not_of(" \t"), rest.size());
    if (blanks > 128) return fail("too many blanks after a boundary");
    const auto line_end = rest.substr(blanks);
    if (line_end.size() < 2) {
        const bool may_be = line_end.empty() || line_end == "\r" || (blanks == 0 && line_end == "-");
        return may_be ? step::need_more : fail("a boundary must be followed by CRLF or \"--\"");
    }
    if (!line_end.starts_with("\r\n")) return fail("a boundary must be followed by CRLF or \"--\"");
    if (++parts_ > parts_max) return fail("more than " + std::to_string(parts_max) + " parts");
    position_ += blanks + 2;
    header_ = {};
    has_disposition_ = false;
    state_ = state::headers;
    return step::again;
}

multipart_parser::step multipart_parser::read_headers() {
    const std::string_view rest = std::string_view(held_).substr(position_);
    // A part without any header line begins with the empty line itself.
    const auto block_end = rest.starts_with("\r\n") ? 0 : rest.find("\r\n\r\n");
    if (block_end == std::string_view::npos) {
        // Three bytes of the empty line may be here already.
        if (rest.size() > header_bytes_max + 3) return fail("a part's headers are longer than 8192 bytes");
        return step::need_more;
    }
    if (block_end > header_bytes_max) return fail("a part's headers are longer than 8192 bytes");
    auto block = rest.substr(0, block_end);
    while (!block.empty()) {
        const auto line = block.substr(0, block.find("\r\n"));
        if (!parse_header_line(line)) return fail("a part has a malformed header line");
        block.remove_prefix(std::min(block.size(), line.size() + 2));
    }
    if (!has_disposition_) return fail("a part has no Content-Disposition with a name");
    position_ += block_end + (block_end == 0 ? 2 : 4);
    state_ = state::data;
    return sink_.on_part(header_) ? step::again : step::stop;
}

bool multipart_parser::parse_header_line(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    const auto name = line.substr(0, colon);
    const auto value = trimmed(line.substr(colon + 1));
    if (equal_ignoring_case(name, "content-type")) header_.content_type = value;
    if (!equal_ignoring_case(name, "content-disposition")) return true;
    auto field = header_parameter(value, "name");
    if (has_disposition_ || !equal_ignoring_case(trimmed(value.substr(0, value.find(';'))), "form-data") || !field)
        return false;
    header_.name = std::move(*field);
    header_.filename = header_parameter(value, "filename");
    has_disposition_ = true;
    return true;
}

multipart_parser::step multipart_parser::read_data() {
    const auto found = held_.find(delimiter_, position_);
    const auto end = found != std::string::npos ? found : held_.size() - std::min(held_.size(), delimiter_.size() - 1);
    if (end > position_) {
        if (!sink_.on_data(std::string_view(held_).substr(position_, end - position_))) return step::stop;
        position_ = end;
    }
    if (found == std::string::npos) return step::need_more;
    position_ = found + delimiter_.size();
    state_ = state::after_delimiter;
    return sink_.on_part_end() ? step::again : step::stop;
}

multipart_parser::step multipart_parser::fail(std::string text) {
    error_ = std::move(text);
    return step::stop;
}

std::optional<std::string> header_parameter(std::string_view header, std::string_view name) {
    header.remove_prefix(std::min(header.size(), header.find(';')));
    while (header.starts_with(';')) {
        header.remove_prefix(1);
        const auto parameter = header.substr(0, parameter_end(header));
        header.remove_prefix(parameter.size());
        const auto equals = parameter.find('=');
        if (equals == std::string_view::npos || !equal_ignoring_case(trimmed(parameter.substr(0, equals)), name))
            continue;
        return unquoted(trimmed(parameter.substr(equals + 1)));
    }
    return std::nullopt;
}

std::optional<std::string> multipart_boundary(std::string_view content_type) {
    constexpr std::string_view allowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ";
    if (!equal_ignoring_case(trimmed(content_type.substr(0, content_type.find(';'))), "multipart/form-data"))
        return std::nullopt;
    auto boundary = header_parameter(content_type, "boundary");
    if (!boundary || boundary->empty() || boundary->size() > 70 || boundary->ends_with(' ') ||
        boundary->find_first_not_of(allowed) != std::string::npos)
        return std::nullopt;
    return boundary;
}

} // namespace fb::http
