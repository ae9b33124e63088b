#include "http/context.hpp"

namespace fb::http {

storage::timestamp wall_clock() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

task<std::optional<storage::fota_outcome>> context::commit(storage::fota_operation op) {
    std::function<void(bridge::answer<storage::fota_outcome>)> start =
        [this, op = std::move(op)](bridge::answer<storage::fota_outcome> done) { submit(op, done); };
    co_return co_await to.wait<storage::fota_outcome>(std::chrono::seconds(30), std::move(start));
}

} // namespace fb::http
