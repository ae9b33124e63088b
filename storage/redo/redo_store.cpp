#include "storage/redo/redo_store.hpp"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iterator>
#include <random>
#include <utility>

namespace fb::storage::redo {

namespace {

constexpr std::string_view name_prefix = "segment-";
constexpr std::uint64_t frame_bytes_max = 1 << 30;
constexpr std::size_t kept_buffer_bytes_max = 1 << 20;
constexpr std::chrono::milliseconds retry_first{50};
constexpr std::chrono::milliseconds retry_most{5000};

std::uint64_t random_seed() {
    std::random_device device;
    return std::uint64_t(device()) << 32 | device();
}

std::string words_of_loss(std::uint64_t number, std::uint64_t commits) {
    return "segment " + std::to_string(number) + ": " + std::to_string(commits) + " commits cannot be read back";
}

} // namespace

redo_store::redo_store(std::unique_ptr<checkpointed_store> base, std::unique_ptr<segment_directory> files, settings s)
    : settings_(s)
    , base_(std::move(base))
    , directory_(std::move(files)) {}

redo_store::~redo_store() {
    seal();
    if (!thread_.joinable()) {
        static_cast<void>(settle()); // what the database refuses stays in the log
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

// --- opening ---

/// All files but the live ones are free.
result<redo_store::found> redo_store::look_at_files(const redo_mark& mark) {
    const auto names = directory_->names();
    if (!names) return names.err();
    found out;
    log_ = mark.log;
    last_number_ = mark.applied;
    for (const std::string& name : *names) {
        if (!name.starts_with(name_prefix)) continue;
        std::size_t index = 0;
        std::from_chars(name.data() + name_prefix.size(), name.data() + name.size(), index);
        next_name_ = std::max(next_name_, index + 1);
        ++files_;
        auto file = directory_->open(name);
        if (!file) return file.err();
        const auto head = read_head(**file);
        if (!head) return head.err();
        const bool own = *head && (*head)->log == mark.log;
        out.foreign |= *head && !own;
        if (own) last_number_ = std::max(last_number_, (*head)->number);
        if (*head && (*head)->number > mark.applied)
            out.live.push_back({std::move(*file), **head, no_serial, 0});
        else
            free_.push_back(std::move(*file));
    }
    std::sort(out.live.begin(), out.live.end(),
              [](const segment& x, const segment& y) { return x.head.number < y.head.number; });
    for (std::size_t i = 1; i < out.live.size(); ++i) out.live[i - 1].end_serial = out.live[i].head.first_serial;
    return out;
}

/// Without the files there are; gives where those are now.
result<std::string> redo_store::begin_anew() {
    free_.clear();
    files_ = next_name_ = 0;
    return directory_->put_aside();
}

result<std::string> redo_store::recover(bring_in when) {
    const auto mark = base_->redo_state();
    if (!mark) return mark.err();
    auto there = look_at_files(*mark);
    if (!there) return there.err();
    std::string said;
    if (!there->foreign && !there->live.empty()) {
        if (const auto first = there->live.front().head.number; first != mark->applied + 1)
            said =
                "segments " + std::to_string(mark->applied + 1) + " to " + std::to_string(first - 1) + " are missing; ";
    }
    result<bool> may_wait = when == bring_in::later && said.empty() && !there->foreign;
    if (may_wait && *may_wait) may_wait = look_into(*there);
    if (!may_wait) return may_wait.err();
    if (*may_wait) {
        std::move(there->live.begin(), there->live.end(), std::back_inserter(due_));
    } else if (auto brought = bring_in_now(*there, said); !brought) {
        return brought.err();
    }
    loading_ = when == bring_in::later;
    last_found_ = last_number_;
    if (settings_.thread) thread_ = std::thread([this] { run(); });
    return said;
}

/// False: something is missing.
result<bool> redo_store::look_into(found& there) {
    for (segment& each : there.live) {
        segment_reader reader(*each.file, each.head, each.end_serial);
        const auto read = read_operations(reader, [this](const auto& op) { unapplied_.look_at(op); });
        if (!read) return read.err();
        if (reader.missing() != 0 || (each.end_serial != no_serial && each.end_serial != reader.next_serial())) {
            unapplied_ = {};
            return false;
        }
        each.end_serial = reader.next_serial(); // the last one ends wherever the power went
        next_serial_ = std::max(next_serial_, each.end_serial);
    }
    return true;
}

status redo_store::bring_in_now(found& there, std::string& said) {
    for (segment& each : there.live) {
        if (there.foreign) continue; // a part of another state: sessions would miss subscriptions and not know it
        checkpoint job(*base_, *each.file, each.head, each.end_serial);
        for (auto more = job.step();; more = job.step()) {
            if (!more) return more.err();
            if (!*more) break;
        }
        // The last one ends wherever the power went.
        const auto behind = each.end_serial == no_serial ? 0 : each.end_serial - job.next_serial();
        if (const auto lost = job.missing() + behind; lost != 0) said += words_of_loss(each.head.number, lost) + "; ";
        next_serial_ = std::max(next_serial_, job.next_serial());
        free_.push_back(std::move(each.file));
    }
    if (!there.foreign && said.empty()) return done{};
    there.live.clear();
    auto aside = begin_anew();
    if (!aside) return aside.err();
    said += there.foreign ? "the log is another database's and has been put aside as " + *aside
                          : "the rest is in the database, the log has been put aside as " + *aside;
    return done{};
}

result<session_counters> redo_store::load(const session_loader& loader) {
    if (loader.on_waiting) return std::exchange(unapplied_, {}).load(*base_, loader);
    const std::lock_guard committing(committing_);
    give_up_loading();
    seal();
    if (auto settled = settle(); !settled) return settled.err();
    return base_->load(loader);
}

status redo_store::prepare_queues() {
    if (auto sound = base_->verify(); !sound) return sound;
    const auto is_old = [this] {
        const std::lock_guard lock(mutex_);
        return !due_.empty() && due_.front().head.number <= last_found_;
    };
    while (is_old()) {
        const auto stepped = step_front();
        const std::lock_guard lock(mutex_);
        trouble_ = stepped ? "" : stepped.err().text;
        changed_.notify_all();
        if (!stepped) return stepped.err();
    }
    return done{};
}

status redo_store::load_queue(std::uint64_t session, const queue_reader& read) {
    return base_->load_queue(session, read);
}

status redo_store::end_loading() {
    auto ended = base_->end_loading();
    give_up_loading();
    return ended;
}

void redo_store::give_up_loading() {
    const std::lock_guard lock(mutex_);
    loading_ = false;
    changed_.notify_all();
}

// --- writing ---

status redo_store::apply(std::span<const session_operation> operations) {
    const std::lock_guard committing(committing_);
    if (!settings_.thread && is_due()) {
        if (auto stepped = step_front(); !stepped) return stepped.err();
    }
    if (operations.empty()) return done{};
    begin_frame(operations, frame_);
    if (frame_.size() > frame_bytes_max) return error{error_kind::invalid, "a commit of more than 1 GiB"};
    const std::uint64_t bytes = whole_pages(frame_.size());
    if (active_ && active_->used != page_bytes && active_->used + bytes > settings_.segment_bytes) seal();
    if (!active_) {
        if (auto begun = begin_segment(); !begun) return begun;
    }
    finish_frame(next_serial_, active_->head.seed, frame_);
    auto written = append();
    if (frame_.capacity() > kept_buffer_bytes_max) frame_ = {};
    return written;
}

/// After a failure nobody can tell what the disk has of the frame. The segment ends before it, and the next one begins
/// with it, or the log does.
status redo_store::append() {
    auto written = active_->file->write(active_->used, frame_);
    if (written) written = active_->file->sync();
    if (!written) {
        seal();
        return written;
    }
    active_->used += frame_.size();
    ++next_serial_;
    bytes_.fetch_add(frame_.size(), std::memory_order_relaxed);
    return done{};
}

/// The head becomes durable together with the first frame.
status redo_store::begin_segment() {
    auto file = take_file();
    if (!file) return file.err();
    const segment_head head{log_, last_number_ + 1, next_serial_, random_seed()};
    if (auto written = (*file)->write(0, encode(head)); !written) {
        const std::lock_guard lock(mutex_);
        free_.push_back(std::move(*file));
        return written;
    }
    ++last_number_;
    bytes_.fetch_add(page_bytes, std::memory_order_relaxed);
    active_ = std::make_unique<segment>(segment{std::move(*file), head, 0, page_bytes});
    return done{};
}

result<std::unique_ptr<segment_file>> redo_store::take_file() {
    std::unique_lock lock(mutex_);
    if (free_.empty() && files_ < settings_.segments_max) {
        lock.unlock(); // it may take seconds
        auto made = directory_->create(std::string(name_prefix) + std::to_string(next_name_), settings_.segment_bytes);
        lock.lock();
        if (made) ++files_, ++next_name_;
        if (made || due_.empty()) return made;
    }
    hurry_ = true;
    while (free_.empty()) {
        if (!thread_.joinable()) {
            if (loading_) return error{error_kind::unavailable, "the log is full while queues are read"};
            lock.unlock();
            if (auto stepped = step_front(); !stepped) return stepped.err();
            lock.lock();
            continue;
        }
        changed_.notify_all();
        changed_.wait(lock, [this] { return !free_.empty() || !trouble_.empty(); });
        if (free_.empty()) return error{error_kind::unavailable, trouble_};
    }
    hurry_ = false;
    auto file = std::move(free_.back());
    free_.pop_back();
    return file;
}

void redo_store::seal() {
    if (!active_) return;
    active_->end_serial = next_serial_;
    const std::lock_guard lock(mutex_);
    due_.push_back(std::move(*active_));
    active_.reset();
    changed_.notify_all();
}

// --- the way into the database ---

/// One step of the oldest segment's. False: nothing is due.
result<bool> redo_store::step_front() {
    segment* front = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (due_.empty()) return false;
        front = &due_.front(); // stays where it is: others only add
    }
    if (!going_on_) going_on_ = std::make_unique<checkpoint>(*base_, *front->file, front->head, front->end_serial);
    const auto more = going_on_->step();
    if (!more || *more) {
        if (!more) going_on_.reset(); // from the start, next time
        return more;
    }
    const std::unique_ptr<checkpoint> finished = std::move(going_on_);
    checkpoints_.fetch_add(1, std::memory_order_relaxed);
    operations_.fetch_add(finished->applied(), std::memory_order_relaxed);
    const std::uint64_t lost = finished->missing() + front->end_serial - finished->next_serial();
    const std::lock_guard lock(mutex_);
    if (lost != 0) damage_ = words_of_loss(front->head.number, lost);
    free_.push_back(std::move(front->file));
    due_.pop_front();
    changed_.notify_all();
    return true;
}

/// Under the mutex, or without a thread.
bool redo_store::is_due() const {
    if (loading_) return false;
    return due_.size() >= std::max<std::size_t>(settings_.segments_max / 2, 1) || (hurry_ && !due_.empty());
}

/// Until nothing is left in the log.
status redo_store::settle() {
    if (thread_.joinable()) {
        std::unique_lock lock(mutex_);
        hurry_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return due_.empty() || !trouble_.empty(); });
        hurry_ = false;
        if (!due_.empty()) return error{error_kind::unavailable, trouble_};
        return done{};
    }
    for (auto more = step_front();; more = step_front()) {
        if (!more) return more.err();
        if (!*more) return done{};
    }
}

// --- a copy of the database ---

status redo_store::copy_to(const std::filesystem::path& file, const copy_progress& progress) {
    copy_job job{file, progress};
    std::unique_lock committing(committing_);
    seal();
    job.needed = last_number_;
    if (!thread_.joinable()) { // this thread is the store's
        if (auto settled = settle(); !settled) return settled;
        copy_ = &job;
        while (step_copy()) {
        }
        return *job.outcome;
    }
    committing.unlock();
    std::unique_lock lock(mutex_);
    if (copy_ != nullptr) return error{error_kind::busy, "another copy is being made"};
    copy_ = &job;
    changed_.notify_all();
    changed_.wait(lock, [&job] { return job.outcome.has_value(); });
    return *job.outcome;
}

/// Under the mutex. What is due goes first, for the log is to have room; and a segment is brought in as a whole.
bool redo_store::copy_is_next() const {
    if (copy_ == nullptr || going_on_ || is_due()) return false;
    return due_.empty() || due_.front().head.number > copy_->needed;
}

/// False when the copy has come to an end.
bool redo_store::step_copy() {
    copy_job& job = *copy_; // others only look whether there is one
    status outcome = done{};
    bool more = true;
    if (!job.going_on) {
        auto begun = base_->begin_copy(job.file);
        if (begun) job.going_on = std::move(*begun);
        if (!begun) outcome = begun.err();
    } else {
        const auto stepped = job.going_on->step();
        if (!stepped) outcome = stepped.err();
        more = stepped && *stepped;
        if (!job.progress(job.going_on->bytes_done(), job.going_on->bytes_all()) && more)
            outcome = error{error_kind::unavailable, "the copy was not wanted any more"};
    }
    if (outcome && more) return true;
    const std::lock_guard lock(mutex_);
    end_copy(std::move(outcome));
    return false;
}

/// Under the mutex.
void redo_store::end_copy(status outcome) {
    const bool own_file = copy_->going_on != nullptr;
    copy_->going_on.reset();
    std::error_code ignored;
    if (!outcome && own_file) std::filesystem::remove(copy_->file, ignored);
    copy_->outcome = std::move(outcome);
    copy_ = nullptr;
    changed_.notify_all();
}

// --- the thread ---

void redo_store::run() {
    ::pthread_setname_np(::pthread_self(), "fb-checkpoint");
    auto pause = retry_first;
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || is_due() || (copy_ != nullptr && !loading_); });
        if (stopping_ && copy_ != nullptr) end_copy(error{error_kind::unavailable, "the store is being closed"});
        if (copy_is_next()) {
            lock.unlock();
            step_copy();
            lock.lock();
            continue;
        }
        if (due_.empty()) return;
        lock.unlock();
        const auto stepped = step_front();
        lock.lock();
        if (stepped) {
            trouble_.clear();
            pause = retry_first;
            continue;
        }
        trouble_ = stepped.err().text;
        if (copy_ != nullptr) end_copy(stepped.err());
        changed_.notify_all();
        if (stopping_) return; // the log keeps it for the next start
        changed_.wait_for(lock, pause, [this] { return stopping_; });
        pause = std::min(pause * 2, retry_most);
    }
}

counters redo_store::count() const {
    counters c;
    c.bytes = bytes_.load(std::memory_order_relaxed);
    c.checkpoints = checkpoints_.load(std::memory_order_relaxed);
    c.operations = operations_.load(std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    c.segments_due = due_.size();
    return c;
}

std::string redo_store::trouble() const {
    const std::lock_guard lock(mutex_);
    return damage_.empty() ? trouble_ : damage_;
}

} // namespace fb::storage::redo
