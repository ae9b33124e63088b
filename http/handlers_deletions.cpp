#include "http/handlers.hpp"

namespace fb::http {

namespace {

/// What has no row any more needs no file. One that cannot go now goes with the next look at what nobody needs.
storage::result<storage::blob_files::removed> remove_file(const storage::blob_files& blobs, const std::string& checksum,
                                                          storage::fota_reader& reader) {
    return blobs.remove_unneeded(storage::blob_names_of({checksum}),
                                 [&]() -> storage::result<std::vector<std::string>> {
                                     auto needed = reader.needed_checksums();
                                     if (!needed) return needed.err();
                                     return storage::blob_names_of(*needed);
                                 });
}

} // namespace

task<response> delete_device(context& ctx, request& r) {
    const auto force = r.target.parameter("force");
    if (force && *force != "0" && *force != "1")
        co_return problem_response({400, "invalid_parameter", "the query parameter \"force\" must be 0 or 1"});
    std::function<void(fota::service&, storage::timestamp, fota::reply<storage::device>)> call =
        [id = r.parameters[0], forced = force == "1", by = r.who->name](fota::service& service, storage::timestamp now,
                                                                        fota::reply<storage::device> done) {
            service.delete_device(id, forced, by, now, std::move(done));
        };
    auto deleted = co_await ctx.ask<storage::device>(std::move(call));
    if (!deleted) co_return problem_response(deleted.why());
    co_return no_content();
}

task<response> delete_firmware(context& ctx, request& r) {
    const auto& id = r.parameters[0];
    if (!storage::parse_uuid(id))
        co_return problem_response({404, "unknown_firmware", "there is no firmware \"" + id + "\""});
    std::function<void(fota::service&, storage::timestamp, fota::reply<storage::firmware>)> call =
        [id, by = r.who->name](fota::service& service, storage::timestamp now, fota::reply<storage::firmware> done) {
            service.delete_firmware(id, by, now, std::move(done));
        };
    auto deleted = co_await ctx.ask<storage::firmware>(std::move(call));
    if (!deleted) co_return problem_response(deleted.why());
    auto job = ctx.on_pool([&blobs = ctx.blobs, checksum = deleted->checksum](storage::fota_reader& reader) {
        return remove_file(blobs, checksum, reader);
    });
    co_await std::move(job);
    co_return no_content();
}

} // namespace fb::http
