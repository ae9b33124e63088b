// POST /api/v1/firmwares: a form streamed to disk and hashed as it arrives. Memory is bounded by two buffers, whatever
// the file's size; an upload that ends in any way but 201 leaves no file behind.
#include <array>

#include "certs/digest.hpp"
#include "http/dispatch.hpp"
#include "http/handlers.hpp"
#include "http/json.hpp"
#include "http/shapes.hpp"
#include "http/upload_form.hpp"

namespace fb::http {

namespace {

constexpr std::size_t read_bytes = 64 * 1024;
constexpr std::size_t write_bytes = 256 * 1024;
constexpr std::uint64_t form_bytes_max = 256 * 1024; // of everything that is not the file
constexpr std::int64_t space_checked_every = 16ll << 20;

/// The file on its way to disk. Used on pool threads, one job at a time.
struct incoming {
    storage::blob_writer blob;
    certs::digest sha256{certs::digest_kind::sha256};
    certs::digest sha1{certs::digest_kind::sha1};
    certs::digest md5{certs::digest_kind::md5};
    std::int64_t space_checked_at = 0;

    explicit incoming(storage::blob_writer to)
        : blob(std::move(to)) {}
};

problem disk_full(const std::string& why) { return {507, "insufficient_storage", why}; }

problem too_little_space(std::int64_t free_bytes, std::uint64_t kept_bytes) {
    return disk_full("the disk has " + std::to_string(free_bytes) + " bytes free, of which " +
                     std::to_string(kept_bytes) + " must stay free");
}

/// One upload from its first byte to its row.
class upload {
  public:
    upload(context& ctx, request& r)
        : ctx_(ctx)
        , request_(r)
        , form_(ctx.config.upload_bytes_max) {}
    /// Of an upload the server's end interrupts. Closing and unlinking a large file takes a while: not on this thread.
    ~upload() {
        if (file_) ctx_.pool.post([file = std::move(file_)](storage::fota_reader&) {});
    }

    /// Whoever reads the answer finds the space of a refused file free again: it goes first.
    task<response> run();

  private:
    std::optional<problem> refuse_head() const;
    task<response> receive();
    task<std::optional<problem>> open_file();
    task<std::optional<problem>> flush();
    std::optional<problem> write_block(const std::string& bytes);
    task<response> store();
    storage::firmware make_row() const;

    context& ctx_;
    request& request_;
    upload_form form_;
    std::shared_ptr<incoming> file_;
    std::optional<storage::blob_hold> hold_; // from when the blob is there until its row is: it must not be swept away
    std::string sha256_, sha1_, md5_;
};

std::optional<problem> upload::refuse_head() const {
    if (!multipart_boundary(request_.header("content-type")))
        return problem{415, "wrong_type", "an upload must be multipart/form-data with a boundary"};
    if (!request_.content_length && !request_.chunked)
        return problem{411, "length_required", "an upload needs Content-Length or chunked transfer"};
    if (request_.content_length.value_or(0) > ctx_.config.upload_bytes_max + form_bytes_max)
        return problem{413, "too_large",
                       "the file may have at most " + std::to_string(ctx_.config.upload_bytes_max) + " bytes"};
    return std::nullopt;
}

task<std::optional<problem>> upload::open_file() {
    struct opened {
        std::int64_t free_bytes;
        storage::result<storage::blob_writer> blob;
    };
    auto job = ctx_.on_pool([&blobs = ctx_.blobs](storage::fota_reader&) {
        return opened{blobs.bytes_free(), blobs.create()};
    });
    auto made = co_await std::move(job);
    if (!made.blob) co_return disk_full(made.blob.err().text);
    const auto kept = ctx_.config.free_bytes_min;
    if (made.free_bytes < static_cast<std::int64_t>(request_.content_length.value_or(0) + kept))
        co_return too_little_space(made.free_bytes, kept); // the empty file goes with `made`, before the answer
    file_ = std::make_shared<incoming>(std::move(*made.blob));
    co_return std::nullopt;
}

/// On a pool thread.
std::optional<problem> upload::write_block(const std::string& bytes) {
    auto& file = *file_;
    const auto kept = ctx_.config.free_bytes_min;
    if (file.blob.size() - file.space_checked_at >= space_checked_every) {
        file.space_checked_at = file.blob.size();
        const auto left = ctx_.blobs.bytes_free();
        if (left < static_cast<std::int64_t>(kept)) return too_little_space(left, kept);
    }
    if (auto status = file.blob.write(bytes); !status) return disk_full(status.err().text);
    file.sha256.update(bytes);
    file.sha1.update(bytes);
    file.md5.update(bytes);
    return std::nullopt;
}

/// Hashes and writes what the form has gathered.
task<std::optional<problem>> upload::flush() {
    auto bytes = std::make_shared<std::string>();
    bytes->swap(form_.pending());
    auto job = ctx_.on_pool([this, bytes](storage::fota_reader&) { return write_block(*bytes); });
    auto written = co_await std::move(job);
    bytes->clear();
    form_.pending().swap(*bytes); // its capacity is used again
    co_return written;
}

task<response> upload::run() {
    auto answer = co_await receive();
    if (file_) {
        auto job = ctx_.on_pool([this](storage::fota_reader&) {
            file_.reset();
            return true;
        });
        co_await std::move(job);
    }
    co_return answer;
}

task<response> upload::receive() {
    if (auto refused = refuse_head()) co_return problem_response(*refused);
    if (auto refused = co_await open_file()) co_return problem_response(*refused);
    multipart_parser parser(*multipart_boundary(request_.header("content-type")), form_);
    const auto buffer = std::make_unique<std::array<char, read_bytes>>();
    std::uint64_t received = 0;
    while (true) {
        const auto piece = co_await request_.body->read(*buffer);
        if (piece.what == body_stream::status::end) break;
        if (piece.what == body_stream::status::broken) {
            response gone;
            gone.no_answer = true;
            co_return gone;
        }
        if (piece.what == body_stream::status::malformed)
            co_return problem_response({400, "malformed_body", "the body's chunked framing is broken"});
        received += piece.bytes;
        if (received > ctx_.config.upload_bytes_max + form_bytes_max)
            co_return problem_response({413, "too_large", "the form is longer than an upload may be"});
        if (!parser.feed({buffer->data(), piece.bytes}))
            co_return problem_response(form_.refused().value_or(problem{400, "malformed_form", parser.error()}));
        if (form_.pending().size() < write_bytes) continue;
        if (auto refused = co_await flush()) co_return problem_response(*refused);
    }
    if (!parser.complete())
        co_return problem_response({400, "malformed_form", "the form ends before its closing boundary"});
    if (auto refused = form_.check(ctx_.config.free_version_types)) co_return problem_response(*refused);
    if (auto refused = co_await flush()) co_return problem_response(*refused);
    sha256_ = file_->sha256.finish_hex();
    sha1_ = file_->sha1.finish_hex();
    md5_ = file_->md5.finish_hex();

    auto hash = certs::sha256_hex("POST\n" + request_.target.path + "\n" + form_.canonical(sha256_));
    const std::function<task<response>()> work = [this] { return store(); };
    co_return co_await once(ctx_, request_, std::move(hash), work);
}

/// The blob becomes visible, then the row that points at it.
task<response> upload::store() {
    auto row = make_row();
    auto job = ctx_.on_pool([this, &row](storage::fota_reader& reader) -> std::optional<problem> {
        auto same = reader.find_firmware(row.device_type, row.version);
        if (!same) return from_storage(same.err());
        if (*same)
            return problem{409, "version_exists",
                           "there is a firmware " + row.version + " for " + row.device_type +
                               " already: " + storage::to_string((**same).id)};
        auto hold = ctx_.blobs.hold();
        if (!hold) return disk_full(hold.err().text);
        hold_.emplace(std::move(*hold));
        if (auto status = file_->blob.commit(sha256_); !status) return disk_full(status.err().text);
        return std::nullopt;
    });
    auto failed = co_await std::move(job);
    if (failed) co_return problem_response(*failed);
    std::function<void(fota::service&, storage::timestamp, fota::reply<storage::firmware>)> call =
        [row](fota::service& service, storage::timestamp now, fota::reply<storage::firmware> done) {
            service.add_firmware(row, now, std::move(done));
        };
    auto added = co_await ctx_.ask<storage::firmware>(std::move(call));
    if (!added) co_return problem_response(added.why());
    ++ctx_.count.uploads;
    json_text out;
    write(out, *added, ctx_.config.public_url);
    auto created = json_response(201, out.take());
    created.headers.emplace_back("Location", "/api/v1/firmwares/" + storage::to_string(added->id));
    co_return created;
}

storage::firmware upload::make_row() const {
    const auto now = wall_clock();
    storage::firmware row;
    row.id = storage::new_id<storage::firmware_uuid>(now);
    row.device_type = *form_.field("device_type");
    row.version = *form_.field("version");
    row.filename = form_.filename();
    row.url = "/fw/" + storage::to_string(row.id) + "/" + row.filename;
    row.checksum = "sha256:" + sha256_;
    row.sha1 = sha1_;
    row.md5 = md5_;
    row.size = file_->blob.size();
    row.uploaded_by = request_.who->name;
    row.uploaded_at = now;
    row.min_from_version = form_.field("min_from_version");
    row.hw_revs = form_.hw_revs();
    row.release_notes = form_.field("release_notes");
    row.state = storage::firmware_state::approved;
    return row;
}

} // namespace

task<response> upload_firmware(context& ctx, request& r) {
    upload one(ctx, r);
    co_return co_await one.run();
}

} // namespace fb::http
