#include "proto/properties.hpp"

#include "proto/property_reader.hpp"

namespace fb::proto {

bool user_properties::empty() const {
    if (!list_.empty()) return false;
    cursor accepted(block_, version::v5);
    property p;
    return !next_user_property(accepted, p);
}

std::size_t user_properties::count() const {
    std::size_t found = list_.size();
    cursor accepted(block_, version::v5);
    for (property p; next_user_property(accepted, p);) ++found;
    return found;
}

std::vector<user_properties::pair> user_properties::to_vector() const {
    std::vector<pair> all;
    cursor accepted(block_, version::v5);
    for (property p; next_user_property(accepted, p);) all.emplace_back(p.text, p.value);
    all.insert(all.end(), list_.begin(), list_.end());
    return all;
}

std::optional<std::string_view> user_properties::find(std::string_view name) const {
    cursor accepted(block_, version::v5);
    for (property p; next_user_property(accepted, p);)
        if (p.text == name) return p.value;
    for (const auto& [key, value] : list_)
        if (key == name) return value;
    return std::nullopt;
}

} // namespace fb::proto
