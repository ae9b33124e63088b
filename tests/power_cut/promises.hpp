// What clients were promised: an acknowledgement makes a thing present or absent, a client's next step opens it again.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "disk.hpp"

namespace fb::cut {

/// What can be promised, each as a line that begins with whose it is.
namespace thing {

inline std::string session(const std::string& client) { return client + " session"; }
inline std::string subscribed(const std::string& client, const std::string& filter) {
    return client + " subscribed " + filter;
}
/// Payloads are a word, which no other has, and dots to fill them up.
inline std::string word_of(std::string_view payload) { return std::string(payload.substr(0, payload.find('.'))); }
inline std::string queued(const std::string& client, std::string_view payload) {
    return client + " queued " + word_of(payload);
}
/// The id of a QoS 2 message, not yet released.
inline std::string received(const std::string& client, unsigned id) {
    return client + " received " + std::to_string(id);
}
inline std::string retained(std::string_view topic) { return "retained " + std::string(topic); }
inline std::string retained(std::string_view topic, std::string_view payload) {
    return retained(topic) + "=" + word_of(payload);
}

} // namespace thing

struct promise {
    enum class kind : std::uint8_t { present, absent, open };
    std::size_t at = 0; // so many operations of the disk before it
    kind what{};
    std::string thing;
};

class promise_book {
  public:
    explicit promise_book(const disk& d)
        : disk_(d) {}
    void present(const std::string& thing) { set(thing, promise::kind::present); }
    void absent(const std::string& thing) { set(thing, promise::kind::absent); }
    void open(const std::string& thing) {
        if (valid_.erase(thing) != 0) all_.push_back({disk_.log().size(), promise::kind::open, thing});
    }
    void open_absent(const std::string& thing) {
        if (const auto at = valid_.find(thing); at != valid_.end() && at->second == promise::kind::absent) open(thing);
    }
    /// What must be present of this client.
    std::vector<std::string> present_of(const std::string& client) const {
        std::vector<std::string> things;
        const std::string prefix = client + " ";
        for (auto at = valid_.lower_bound(prefix); at != valid_.end() && at->first.starts_with(prefix); ++at)
            if (at->second == promise::kind::present) things.push_back(at->first);
        return things;
    }
    std::vector<promise> take() { return std::move(all_); }

  private:
    void set(const std::string& thing, promise::kind what) {
        const auto [at, is_new] = valid_.try_emplace(thing, what);
        if (!is_new && at->second == what) return;
        at->second = what;
        all_.push_back({disk_.log().size(), what, thing});
    }

    const disk& disk_;
    std::map<std::string, promise::kind> valid_;
    std::vector<promise> all_;
};

} // namespace fb::cut
