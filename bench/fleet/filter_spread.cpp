#include "bench/fleet/filter_spread.hpp"

#include <numeric>
#include <stdexcept>

namespace fb::fleet {
namespace {

constexpr std::uint64_t sites = 97; // what the second level of all topics is made of

std::string site(std::uint64_t filter) { return std::to_string(filter % sites); }

} // namespace

filter_spread::filter_spread(std::string prefix, std::uint32_t filters, std::uint32_t subscribers,
                             std::uint32_t publishers)
    : prefix_(std::move(prefix))
    , filters_(filters)
    , subscribers_(subscribers)
    , publishers_(publishers) {
    if (filters == 0 || subscribers == 0 || publishers == 0 || filters % subscribers != 0)
        throw std::runtime_error("the filters must be a multiple of the subscribers");
    constexpr double golden = 0.618; // far from every simple fraction: strides come near no earlier place soon
    const auto each = static_cast<std::uint64_t>(golden * static_cast<double>(filters_ / subscribers_));
    stride_ = each * subscribers_ + 1;
    while (std::gcd(stride_, filters_) != 1) stride_ += subscribers_;
}

std::string filter_spread::stem_of(std::uint64_t filter) const { return prefix_ + '/' + site(filter) + '/'; }

std::vector<std::string> filter_spread::filters_of(std::uint32_t subscriber) const {
    std::vector<std::string> out;
    for (std::uint64_t f = subscriber; f < filters_; f += subscribers_) {
        const auto number = std::to_string(f);
        switch ((f + f / subscribers_) % 6) {
        case 1: out.push_back(stem_of(f) + number + "/+"); break;
        case 3: out.push_back(prefix_ + "/+/" + number + "/state"); break;
        case 5: out.push_back(stem_of(f) + number + "/#"); break;
        default: out.push_back(stem_of(f) + number + "/state"); break;
        }
    }
    return out;
}

std::string filter_spread::topic_of(std::uint32_t publisher, std::uint64_t sequence) const {
    // Moved on by a multiple of the subscribers, so that the message stays that of the same subscriber.
    const auto start = filters_ / subscribers_ / publishers_ * subscribers_ * publisher;
    const auto filter = (sequence + start) % filters_ * stride_ % filters_;
    return stem_of(filter) + std::to_string(filter) + "/state";
}

} // namespace fb::fleet
