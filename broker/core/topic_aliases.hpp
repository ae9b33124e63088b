// Topic aliases of one connection, one table per direction (v5 3.3.2.3.4). They die with the connection.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fb::core {

/// Set by the client, at most `maximum` of them.
class inbound_aliases {
  public:
    explicit inbound_aliases(std::uint16_t maximum)
        : topics_(maximum) {}
    bool in_range(std::uint16_t alias) const noexcept { return alias >= 1 && alias <= topics_.size(); }
    /// REQUIRES: in_range(alias).
    void set(std::uint16_t alias, std::string_view topic) { topics_[alias - 1] = topic; }
    /// Empty when it was never set.
    std::string_view get(std::uint16_t alias) const { return topics_[alias - 1]; }

  private:
    std::vector<std::string> topics_;
};

/// Assigned by us: the first `maximum` topics keep their alias for the life of the connection.
class outbound_aliases {
  public:
    explicit outbound_aliases(std::uint16_t maximum)
        : maximum_(maximum) {}

    struct use {
        std::uint16_t alias = 0; // 0: none, send the topic
        bool known = false;      // the client knows it: the topic may be left out
    };
    use lookup(std::string_view topic) const {
        const auto it = aliases_.find(topic);
        if (it != aliases_.end()) return {it->second, true};
        if (aliases_.size() >= maximum_) return {};
        return {static_cast<std::uint16_t>(aliases_.size() + 1), false};
    }
    /// The packet that announces the alias has been put into the output.
    void announce(std::string_view topic, std::uint16_t alias) { aliases_.emplace(topic, alias); }

  private:
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };
    std::uint16_t maximum_;
    boost::unordered_flat_map<std::string, std::uint16_t, hash, std::equal_to<>> aliases_;
};

} // namespace fb::core
