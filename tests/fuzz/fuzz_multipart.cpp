// A form, fed whole and in pieces: both ways give the same parts, and nothing is held beyond the bounds.
#include <algorithm>
#include <vector>

#include "fuzz_input.hpp"
#include "http/upload_form.hpp"

using fb::fuzz::require;
using namespace fb::http;

namespace {

struct recorder : part_sink {
    std::string told;
    bool on_part(const part_header& header) override {
        told += "\npart " + header.name + "|" + header.filename.value_or("-") + "|" + header.content_type + "|";
        return true;
    }
    bool on_data(std::string_view bytes) override {
        told += bytes;
        return true;
    }
    bool on_part_end() override {
        told += "\nend";
        return true;
    }
};

struct outcome {
    bool well = true, complete = false;
    std::string told;
};

outcome parse(std::string_view body, std::size_t piece_bytes) {
    recorder sink;
    multipart_parser parser("b", sink);
    outcome result;
    for (; result.well && !body.empty(); body.remove_prefix(std::min(piece_bytes, body.size())))
        result.well = parser.feed(body.substr(0, piece_bytes));
    result.complete = parser.complete();
    result.told = std::move(sink.told);
    return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = parse(body, std::max<std::size_t>(body.size(), 1));
    const auto pieces = parse(body, std::size_t{data[0]} + 1);
    require(whole.well == pieces.well && whole.complete == pieces.complete);
    if (whole.well) require(whole.told == pieces.told);

    upload_form form(1000);
    multipart_parser parser("b", form);
    const bool well = parser.feed(body);
    require(form.pending().size() <= 1000 + body.size());
    require(form.filename().find('/') == std::string::npos);
    if (well && parser.complete() && !form.check({})) (void)form.canonical(form.hw_revs());
    (void)multipart_boundary(body);
    return 0;
}
