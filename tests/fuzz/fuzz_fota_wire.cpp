// Every report decoder on any bytes: none crashes, a value and a fault exclude each other, and what is accepted is
// within the bounds that the rest of FOTA relies on.
#include "fota/device_attributes.hpp"
#include "fota/wire.hpp"
#include "fuzz_input.hpp"

using fb::fuzz::require;
using namespace fb::fota;

namespace {

template <class T>
void check(const decoded<T>& out) {
    require(out.value.has_value() == out.fault.empty());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view payload(reinterpret_cast<const char*>(data), size);
    const auto status = decode_status(payload);
    check(status);
    if (status.value) {
        require(!status.value->version || (!status.value->version->empty() && status.value->version->size() <= 64));
        const auto merged = merge_attributes("{}", *status.value);
        require(merge_attributes(merged, *status.value) == merged);
    }
    const auto progress = decode_progress(payload);
    check(progress);
    if (progress.value && progress.value->percent)
        require(*progress.value->percent >= 0 && *progress.value->percent <= 100);
    check(decode_result(payload));
    const auto fetch = decode_fetch(payload);
    check(fetch);
    if (fetch.value) {
        require(fetch.value->length >= 256 && fetch.value->length <= 65536 && fetch.value->count >= 1);
        require(salvage_rid(payload) == fetch.value->rid);
    }
    return 0;
}
