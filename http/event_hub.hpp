// Subscribers of /api/v1/events. A subscriber that does not keep up is cut: it would miss events, and has to know.
// HTTP thread only.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <set>
#include <string>

#include "fota/service.hpp"
#include "http/task.hpp"

namespace fb::http {

class event_hub {
  public:
    static constexpr std::size_t queue_max = 256; // events per subscriber
    static constexpr std::size_t subscribers_max = 64;

    class subscription {
      public:
        subscription(event_hub& hub, executor where);
        ~subscription();
        subscription(const subscription&) = delete;
        subscription& operator=(const subscription&) = delete;

        /// The queued events joined; empty after `patience` without any; nothing when cut or closed.
        task<std::optional<std::string>> next(std::chrono::milliseconds patience);

      private:
        friend class event_hub;
        event_hub& hub_;
        std::deque<std::string> queue_;
        bool over_ = false;
        timer wake_;
    };

    bool full() const { return subscribers_.size() >= subscribers_max; }
    std::size_t size() const { return subscribers_.size(); }
    void publish(const fota::update_notice& notice);
    void close(); // ends all subscriptions, now and later

  private:
    std::set<subscription*> subscribers_;
    bool closed_ = false;
};

} // namespace fb::http
