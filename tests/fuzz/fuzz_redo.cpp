// The payload of a redo log's frame, of any bytes: what is read can be written and read again.
#include <vector>

#include "fuzz_input.hpp"
#include "storage/redo/operations.hpp"

using fb::fuzz::require;
using namespace fb::storage;

namespace {

std::vector<session_operation> all_of(redo::operation_reader& in) {
    std::vector<session_operation> out;
    while (auto op = in.next()) out.push_back(std::move(*op));
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    redo::operation_reader in({reinterpret_cast<const char*>(data), size});
    const auto read = all_of(in);
    std::string bytes;
    redo::encode(read, bytes);
    redo::operation_reader again(bytes);
    const auto second = all_of(again);
    require(again.ok() && second.size() == read.size());
    std::string same;
    redo::encode(second, same);
    require(same == bytes);
    return 0;
}
