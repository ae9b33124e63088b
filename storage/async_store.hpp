// Group commit: one thread drains everything that was submitted into one batch, applies it, and completes each part.
//
// Any thread may submit. Completions run on the writer's thread, in the order of submission, and must only hand over
// (post to an executor, push to an inbox). Destruction drains what was submitted, then stops the thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace fb::storage {

/// `Apply` takes a span of operations and gives a vector with one outcome per operation.
template <class Operation, class Outcome>
class group_commit {
  public:
    using completion = std::function<void(Outcome)>;
    using apply_function = std::function<std::vector<Outcome>(const std::vector<Operation>&)>;

    /// A batch is at most `batch_max` operations. The thread is named `name` (15 characters at most).
    group_commit(std::string name, std::size_t batch_max, apply_function apply);
    ~group_commit();
    group_commit(const group_commit&) = delete;
    group_commit& operator=(const group_commit&) = delete;

    void submit(Operation op, completion done);
    /// Operations submitted and not yet completed: the caller's measure of back-pressure.
    std::size_t pending() const;
    /// Batches committed so far.
    std::size_t commits() const;

  private:
    struct item {
        Operation op;
        completion done;
    };
    void run();

    const std::size_t batch_max_;
    const apply_function apply_;
    mutable std::mutex mutex_; // protects what follows
    std::condition_variable wake_;
    std::vector<item> queue_;
    std::size_t in_hand_ = 0;
    std::size_t commits_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace fb::storage

#include "storage/async_store_impl.hpp"
