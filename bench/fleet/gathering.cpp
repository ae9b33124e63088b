#include "bench/fleet/gathering.hpp"

namespace fb::fleet {

void gathering::begin() {
    phase_.begin(broker_);
    loop_.after(patience, [this] { look_for_progress(); });
}

void gathering::look_for_progress() {
    if (finished_) return;
    if (came_ == came_before_) return finish();
    came_before_ = came_;
    loop_.after(patience, [this] { look_for_progress(); });
}

void gathering::finish() {
    if (finished_) return;
    finished_ = true;
    phase_.finished(came_);
    loop_.after(phase::settle, [this] {
        phase_.settled(broker_);
        on_end_();
    });
}

} // namespace fb::fleet
