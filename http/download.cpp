// GET and HEAD /fw/{firmware id}/{file}: a signed URL, a device's certificate or a viewer's token opens it; the first
// two move the update's state as bytes leave.
#include <algorithm>

#include "http/handlers.hpp"
#include "http/range.hpp"

namespace fb::http {

namespace {

constexpr std::size_t block_bytes = 64 * 1024;
constexpr std::int64_t booked_at_least = 256 * 1024; // or every half second, or at the end
constexpr std::chrono::milliseconds booked_every{500};

using grant_ptr = std::shared_ptr<const fota::download_grant>;

/// Reads a blob block by block off this thread and books what has been written to the client.
class blob_source : public body_source {
  public:
    blob_source(context& ctx, storage::blob_reader blob, grant_ptr grant, byte_range range)
        : ctx_(ctx)
        , blob_(std::move(blob))
        , grant_(std::move(grant))
        , written_(range.first)
        , booked_(range.first)
        , end_(range.end)
        , block_(std::min<std::size_t>(block_bytes, static_cast<std::size_t>(range.end - range.first)), '\0') {}
    ~blob_source() override { book(); } // a cut connection has still got these bytes

    task<std::optional<std::string_view>> next() override {
        written_ += handed_out_;
        handed_out_ = 0;
        if (due()) book();
        if (written_ == end_) co_return std::string_view{};
        const auto wanted = std::min<std::size_t>(block_.size(), static_cast<std::size_t>(end_ - written_));
        auto job = ctx_.on_pool(
            [this, wanted](storage::fota_reader&) { return blob_.read(written_, std::span(block_.data(), wanted)); });
        auto got = co_await std::move(job);
        if (!got || *got != wanted) co_return std::nullopt; // the length has been announced: only a cut is honest
        handed_out_ = static_cast<std::int64_t>(wanted);
        co_return std::string_view(block_.data(), wanted);
    }

  private:
    bool due() const {
        return written_ == end_ || first_ || written_ - booked_ >= booked_at_least ||
               steady::now() - booked_time_ >= booked_every;
    }
    void book() {
        if (!grant_->update_id || written_ == booked_) return;
        first_ = false;
        booked_time_ = steady::now();
        ctx_.fota.post([grant = grant_, from = booked_, to = written_](fota::service& service, storage::timestamp now) {
            service.bytes_served(*grant, from, to, now);
        });
        booked_ = written_;
    }

    context& ctx_;
    storage::blob_reader blob_;
    grant_ptr grant_;
    std::int64_t written_, booked_, end_;
    std::int64_t handed_out_ = 0;
    bool first_ = true; // the first block makes the update `downloading` at once
    steady::time_point booked_time_{};
    std::string block_;
};

/// What the request presents as its right to download.
task<or_problem<fota::download_request>> credentials(context& ctx, request& r) {
    fota::download_request q;
    q.firmware_id = r.parameters[0];
    q.update_id = r.target.parameter("u");
    q.attempt = r.target.parameter("a");
    q.expires = r.target.parameter("e");
    q.signature = r.target.parameter("s");
    if (q.update_id || q.attempt || q.expires || q.signature) {
        if (q.update_id && q.attempt && q.expires && q.signature) co_return q;
        co_return problem{403, "bad_signature", "the download URL is incomplete: it needs u, a, e and s"};
    }
    if (!r.header("authorization").empty()) {
        if (auto refused = co_await authenticate(ctx, r)) co_return std::move(*refused);
        if (auto refused = require(r, role::viewer)) co_return std::move(*refused);
        q.by_operator = true;
        co_return q;
    }
    q.certificate_device_id = r.certificate_device_id;
    if (q.certificate_device_id) co_return q;
    co_return unauthorized("a download needs a signed URL, the device's certificate or a token");
}

problem no_file(const request& r) { return {404, "unknown_firmware", "there is no " + r.target.path.substr(0, 256)}; }

/// What the grant is good for, as `request` names it.
std::optional<problem> check(const fota::download_grant& grant, const request& r) {
    const auto& row = grant.firmware;
    if (row.state == storage::firmware_state::revoked) return problem{410, "revoked", "this firmware has been revoked"};
    if (!row.state || row.filename != r.parameters[1] || !row.checksum.starts_with("sha256:")) return no_file(r);
    return std::nullopt;
}

response describe(const storage::firmware& row, const std::string& etag) {
    response out;
    out.headers = {{"ETag", etag}, {"Accept-Ranges", "bytes"}, {"Cache-Control", "private, no-transform"}};
    out.headers.emplace_back("Content-Type", "application/octet-stream");
    out.headers.emplace_back("Content-Disposition", "attachment; filename=\"" + row.filename + "\"");
    return out;
}

/// A condition other than our strong entity tag (a date, a weak tag) never holds: we have no dates.
byte_range wanted_range(const request& r, const std::string& etag, std::int64_t size) {
    const auto condition = r.header("if-range");
    const bool holds = condition.empty() || condition == etag;
    // RFC 9110 14.2: Range means something for GET only.
    return parse_range(r.method == "GET" && holds ? r.header("range") : std::string_view{}, size);
}

} // namespace

task<response> download_firmware(context& ctx, request& r) {
    auto asked = co_await credentials(ctx, r);
    if (!asked) co_return problem_response(asked.why());
    if (!storage::parse_uuid(asked->firmware_id)) co_return problem_response(no_file(r));
    std::function<void(fota::service&, storage::timestamp, fota::reply<fota::download_grant>)> call =
        [q = *asked](fota::service& service, storage::timestamp now, fota::reply<fota::download_grant> done) {
            service.authorize_download(q, now, std::move(done));
        };
    auto granted = co_await ctx.ask<fota::download_grant>(std::move(call));
    if (!granted) co_return problem_response(granted.why());
    auto grant = std::make_shared<const fota::download_grant>(std::move(*granted));
    if (auto refused = check(*grant, r)) co_return problem_response(*refused);

    const auto& row = grant->firmware;
    const auto sha256 = row.checksum.substr(7);
    const auto etag = "\"" + sha256 + "\"";
    auto answer = describe(row, etag);
    if (const auto known = r.header("if-none-match"); known == etag || known == "*") {
        answer.status = 304;
        co_return answer;
    }
    const auto range = wanted_range(r, etag, row.size);
    if (range.what == byte_range::kind::unsatisfiable) {
        co_return problem_response({416,
                                    "range_not_satisfiable",
                                    "the file has " + std::to_string(row.size) + " bytes",
                                    {{"Content-Range", "bytes */" + std::to_string(row.size)}}});
    }
    auto job = ctx.on_pool([&blobs = ctx.blobs, sha256](storage::fota_reader&) { return blobs.open_blob(sha256); });
    auto blob = co_await std::move(job);
    if (!blob && blob.err().kind == storage::error_kind::not_found && !ctx.config.peer_key.empty()) {
        ctx.fota.post([grant](fota::service& service, storage::timestamp) { service.file_missing(grant->firmware); });
        co_return problem_response(
            {503, "fetching", "the file is being fetched from another gateway; try again", {{"Retry-After", "2"}}});
    }
    if (!blob || blob->size() != row.size)
        co_return problem_response(
            {500, "artifact_missing", "the firmware's file is missing or damaged on this gateway"});
    if (range.what == byte_range::kind::part) {
        answer.status = 206;
        answer.headers.emplace_back("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                                         std::to_string(range.end - 1) + "/" +
                                                         std::to_string(row.size));
    }
    answer.content_length = range.end - range.first;
    if (r.method == "HEAD") co_return answer;
    ++ctx.count.downloads;
    answer.source = std::make_unique<blob_source>(ctx, std::move(*blob), std::move(grant), range);
    co_return answer;
}

} // namespace fb::http
