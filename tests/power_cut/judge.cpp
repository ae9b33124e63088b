#include "judge.hpp"

#include <algorithm>
#include <random>

#include "segments.hpp"
#include "storage/open.hpp"
#include "tests/support/stored_lines.hpp"

namespace fb::cut {
namespace {

/// Keeps what a loader gives as the operations that would make it.
storage::session_loader into(std::vector<storage::session_operation>& operations) {
    storage::session_loader loader;
    loader.on_session = [&](storage::session_record s) { operations.push_back(storage::put_session{std::move(s)}); };
    loader.on_subscription = [&](storage::subscription_record s) {
        operations.push_back(storage::put_subscription{std::move(s)});
    };
    loader.on_queued = [&](storage::queue_record r, const storage::message_record& m) {
        operations.push_back(storage::enqueue{std::move(r), m});
    };
    loader.on_received = [&](std::uint64_t session, std::uint16_t packet_id) {
        operations.push_back(storage::put_received{session, packet_id});
    };
    loader.on_retained = [&](std::uint64_t version, const storage::message_record& m) {
        operations.push_back(storage::put_retained{version, std::string(m.topic), m});
    };
    return loader;
}

/// Keeps what a loader gives as things that clients may have been promised.
storage::session_loader into(std::set<std::string>& things, std::map<std::uint64_t, std::string>& names) {
    storage::session_loader loader;
    loader.on_session = [&](const storage::session_record& s) {
        names[s.number] = s.client_id;
        things.insert(thing::session(s.client_id));
    };
    loader.on_subscription = [&](const storage::subscription_record& s) {
        things.insert(thing::subscribed(names[s.session], s.filter));
    };
    loader.on_queued = [&](const storage::queue_record& r, const storage::message_record& m) {
        things.insert(thing::queued(names[r.session], m.payload));
    };
    loader.on_received = [&](std::uint64_t session, std::uint16_t packet_id) {
        things.insert(thing::received(names[session], packet_id));
    };
    loader.on_retained = [&](std::uint64_t, const storage::message_record& m) {
        things.insert(thing::retained(m.topic));
        things.insert(thing::retained(m.topic, m.payload));
    };
    return loader;
}

std::string difference(const lines& expected, const lines& content) {
    std::string text;
    const auto tell = [&](const lines& these, const lines& others, const char* what) {
        const std::set<std::string> known(others.begin(), others.end());
        int told = 0;
        for (const std::string& line : these)
            if (!known.contains(line) && told++ < 3) text += std::string("\n  ") + what + line.substr(0, 150);
    };
    tell(expected, content, "lost: ");
    tell(content, expected, "unexpected: ");
    return text;
}

} // namespace

history::history(const std::vector<commit>& commits)
    : commits_(commits)
    , store_(storage::make_memory_session_store()) {}

const lines& history::after(std::size_t commits) {
    if (applied_ == commits) return lines_;
    for (; applied_ < commits; ++applied_) {
        if (commits_[applied_].opened_before) reopen();
        REQUIRE(store_->apply(commits_[applied_].operations));
    }
    return lines_ = test::load(*store_).lines;
}

/// Opening forgets which topics were cleared.
void history::reopen() {
    std::vector<storage::session_operation> content;
    REQUIRE(store_->load(into(content)));
    auto fresh = storage::make_memory_session_store();
    REQUIRE(fresh->apply(content));
    store_ = std::move(fresh);
}

judge::judge(vfs& v, std::filesystem::path file, const recording& r)
    : vfs_(v)
    , file_(std::move(file))
    , recorded_(r)
    , acknowledged_(r.commits)
    , begun_(r.commits) {}

std::string judge::verdict(disk_image left, std::size_t k, std::uint64_t seed, bool again) {
    disk first(left);
    const found f = open(first);
    if (auto wrong = compare(f, k); !wrong.empty() || !again) return wrong;
    std::mt19937_64 random(seed);
    disk second(power_cut(first.log(), std::move(left)).after(random() % (first.log().size() + 1), random()));
    const found later = open(second);
    if (!later.problem.empty()) return "after a second cut: " + later.problem;
    if (later.content != f.content) return "after a second cut:" + difference(f.content, later.content);
    return {};
}

judge::found judge::open(disk& d) {
    found f;
    vfs_.insert(d);
    auto opened = open_store(d, file_);
    if (!opened) {
        f.problem = opened.err().text;
        return f;
    }
    std::map<std::uint64_t, std::string> names;
    const auto counters = (*opened)->load(into(f.things, names));
    if (counters)
        f.content = test::load(**opened).lines;
    else
        f.problem = counters.err().text;
    return f;
}

std::string judge::compare(const found& f, std::size_t k) {
    std::string broken = broken_promise(f, k); // always: it keeps up with `k`
    if (!f.problem.empty()) return f.problem;
    const auto& commits = recorded_.commits;
    const auto done =
        std::partition_point(commits.begin(), commits.end(), [&](const commit& c) { return c.done_at <= k; });
    const auto acknowledged = static_cast<std::size_t>(done - commits.begin());
    const lines& least = acknowledged_.after(acknowledged);
    const bool going_on = done != commits.end() && done->begun_at < k;
    const bool known = f.content == least || (going_on && f.content == begun_.after(acknowledged + 1));
    if (!known) return "not what " + std::to_string(acknowledged) + " commits made:" + difference(least, f.content);
    return broken;
}

/// What clients take back with their next step is open only once that step could reach the disk.
std::string judge::broken_promise(const found& f, std::size_t k) {
    const auto& promises = recorded_.promises;
    for (; next_promise_ < promises.size() && promises[next_promise_].at < k; ++next_promise_) {
        const promise& p = promises[next_promise_];
        if (p.what == promise::kind::open)
            promised_.erase(p.thing);
        else
            promised_[p.thing] = p.what;
    }
    std::string broken;
    const auto check = [&](const std::string& one, promise::kind what) {
        ++promises_checked_;
        if (f.things.contains(one) != (what == promise::kind::present))
            broken = (what == promise::kind::present ? "promised and lost: " : "taken away and back: ") + one;
    };
    for (const auto& [one, what] : promised_) check(one, what);
    for (std::size_t i = next_promise_; i < promises.size() && promises[i].at == k; ++i)
        if (promises[i].what != promise::kind::open) check(promises[i].thing, promises[i].what);
    return broken;
}

} // namespace fb::cut
