#include "storage/reports.hpp"

namespace fb::storage {

void attach(std::vector<firmware_success>& firmwares, std::vector<firmware_failure> failures) {
    auto next = failures.begin();
    for (firmware_success& f : firmwares) {
        for (; next != failures.end() && next->firmware_id == f.firmware_id; ++next)
            f.failures.push_back(std::move(*next));
    }
}

} // namespace fb::storage
