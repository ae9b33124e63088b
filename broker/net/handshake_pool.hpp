// A few threads that run what would stall a shard: TLS handshake steps (1.2 ms of public-key work each) and password
// checks. During a handshake step the pool owns the transport; the result goes back through `done`, on the pool's
// thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "broker/net/transport.hpp"

namespace fb::net {

class handshake_pool {
  public:
    using completion = std::function<void(transport, tls_result)>;

    explicit handshake_pool(unsigned threads);
    ~handshake_pool(); // drops what has not begun
    void submit(transport t, completion done);
    void submit(std::function<void()> work); // must not throw

  private:
    struct job {
        transport t;
        completion done;
        std::function<void()> work; // instead of a handshake step
    };
    void push(job j);
    void run();

    std::mutex mutex_; // protects jobs_ and stopping_
    std::condition_variable wake_;
    std::deque<job> jobs_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace fb::net
