// The same for fota.db: a report whose commit was acknowledged (its PUBACK may
// be out) is there after a power cut with everything it changed, one that was
// not is there whole or not at all, and an arrival again of either changes
// nothing twice.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "cuts.hpp"
#include "storage/open.hpp"
#include "tests/support/scratch_dir.hpp"
#include "vfs.hpp"

using namespace fb;
using namespace fb::cut;
using namespace fb::storage;

namespace {

constexpr int reports = 800, device_count = 20;
constexpr timestamp some_time{};

template <class Id>
Id numbered(int n) {
    Id id{};
    for (int i = 0; i < 4; ++i) id.bytes[15 - i] = static_cast<std::uint8_t>(n >> (8 * i));
    return id;
}

struct fota_commit {
    std::vector<fota_operation> operations;
    std::size_t begun_at = 0, done_at = 0; // as in state_path.hpp
};

/// Devices that report their way through one update after the other.
class fleet {
  public:
    explicit fleet(std::uint64_t seed)
        : random_(seed) {}

    std::vector<fota_operation> begin() {
        firmware f;
        f.id = numbered<firmware_uuid>(1);
        f.device_type = "sensor";
        f.version = "2";
        f.state = firmware_state::approved;
        std::vector<fota_operation> operations{save_firmware{f}};
        for (int i = 0; i < device_count; ++i) {
            member& m = members_.emplace_back();
            m.row.id = numbered<device_uuid>(i + 1);
            m.row.device_id = "d" + std::to_string(i);
            m.row.first_seen = some_time;
            operations.push_back(record_report{m.row, {}, {}, {}});
            operations.push_back(new_update(m));
        }
        return operations;
    }
    /// Reports of different devices.
    std::vector<fota_operation> some() {
        std::vector<fota_operation> operations;
        std::shuffle(members_.begin(), members_.end(), random_);
        const std::size_t count = 1 + random_() % 8;
        for (std::size_t i = 0; i < count; ++i) {
            if (is_terminal(*members_[i].open.state)) operations.push_back(new_update(members_[i]));
            operations.push_back(report(members_[i]));
        }
        return operations;
    }

  private:
    struct member {
        device row;
        update open;
    };
    fota_operation new_update(member& m) {
        m.open = update{};
        m.open.id = numbered<update_uuid>(++last_);
        m.open.device_id = m.row.id;
        m.open.firmware_id = numbered<firmware_uuid>(1);
        m.open.state = update_state::pending;
        return create_update{m.open, {}, {}};
    }
    fota_operation report(member& m) {
        record_report r;
        m.row.attributes = "{\"report\":" + std::to_string(++last_) + "}";
        r.device_row = m.row;
        update_event e;
        e.id = numbered<event_uuid>(last_);
        e.update_id = m.open.id;
        e.from_state = m.open.state;
        e.to_state = static_cast<update_state>(static_cast<int>(*m.open.state) + 1); // up to succeeded
        e.cause = "report";
        m.open.state = e.to_state;
        r.change = update_change{m.open, m.open.state_version++};
        r.events.push_back(e);
        update_result result;
        result.id = numbered<result_uuid>(last_);
        result.device_id = m.row.id;
        result.update_id = m.open.id;
        result.status = is_terminal(e.to_state) ? result_status::success : result_status::partial;
        result.event_key = "e" + std::to_string(last_);
        r.result = result;
        return r;
    }

    std::mt19937_64 random_;
    std::vector<member> members_;
    int last_ = 0;
};

bool all_done(const std::vector<fota_outcome>& outcomes) {
    return std::all_of(outcomes.begin(), outcomes.end(),
                       [](const fota_outcome& o) { return o && *o == applied::done; });
}

template <class List, class Tell>
std::string each_of(const List& list, std::vector<std::string>& lines, const Tell& tell) {
    for (list_query q{.limit = 500};;) {
        const auto page = list(q);
        if (!page) return page.err().text;
        for (const auto& row : page->items) lines.push_back(tell(row));
        if (!page->next) return {};
        q.cursor = page->next;
    }
}

/// The content as text; an error's words in front.
std::vector<std::string> content_of(fota_store& store) {
    auto reader = store.open_reader();
    if (!reader) return {reader.err().text};
    fota_reader& r = **reader;
    std::vector<std::string> lines, problems;
    problems.push_back(each_of([&](const list_query& q) { return r.list_devices(q); }, lines,
                               [](const device& d) { return d.device_id + " " + d.attributes; }));
    problems.push_back(each_of([&](const list_query& q) { return r.list_results(q); }, lines,
                               [](const result_view& v) { return v.device_id + " result " + v.row.event_key; }));
    problems.push_back(each_of([&](const list_query& q) { return r.list_updates(q); }, lines,
                               [&](const update_view& u) {
                                   const auto events = r.events_of(u.row.id);
                                   return "update " + to_string(u.row.id) + " " + to_string(*u.row.state) +
                                          " version " + std::to_string(u.row.state_version) + " events " +
                                          (events ? std::to_string(events->size()) : "?");
                               }));
    std::sort(lines.begin(), lines.end());
    std::erase(problems, "");
    lines.insert(lines.begin(), problems.begin(), problems.end());
    return lines;
}

/// What the store holds after so many commits, for rising numbers.
class fota_history {
  public:
    explicit fota_history(const std::vector<fota_commit>& commits)
        : commits_(commits) {}
    const std::vector<std::string>& after(std::size_t commits) {
        if (applied_ == commits) return content_;
        while (applied_ < commits) REQUIRE(all_done(store_->apply(commits_[applied_++].operations)));
        return content_ = content_of(*store_);
    }

  private:
    const std::vector<fota_commit>& commits_;
    std::unique_ptr<fota_store> store_ = make_memory_fota_store();
    std::size_t applied_ = 0;
    std::vector<std::string> content_;
};

} // namespace

TEST_CASE("a device's report that was acknowledged is there after a power cut, "
          "whole, and once") {
    const test::scratch_dir directory;
    const auto file = directory / "fota.db";
    vfs files;
    disk live;
    files.insert(live);
    std::vector<fota_commit> commits;
    {
        fleet devices(cut_seed());
        auto store = open_sqlite_fota_store(file);
        REQUIRE(store);
        for (int reported = 0; reported < reports;) {
            fota_commit& c = commits.emplace_back();
            c.operations = commits.size() == 1 ? devices.begin() : devices.some();
            c.begun_at = live.log().size();
            REQUIRE(all_done((*store)->apply(c.operations)));
            c.done_at = live.log().size();
            reported += static_cast<int>(c.operations.size());
        }
    }
    fota_history acknowledged(commits), begun(commits);
    power_cut power(live.log());
    for (const std::size_t k : cuts(live.log())) {
        INFO("FB_CUT_SEED=" << cut_seed() << " FB_CUT_AT=" << k << " of " << live.log().size());
        disk left(power.after(k, cut_seed() + k));
        files.insert(left);
        auto store = open_sqlite_fota_store(file);
        REQUIRE(store);
        const auto content = content_of(**store);
        const auto not_done =
            std::partition_point(commits.begin(), commits.end(), [&](const fota_commit& c) { return c.done_at <= k; });
        auto there = static_cast<std::size_t>(not_done - commits.begin());
        const bool going_on = not_done != commits.end() && not_done->begun_at < k;
        const bool as_acknowledged = content == acknowledged.after(there);
        const bool as_begun = !as_acknowledged && going_on && content == begun.after(there + 1);
        CHECK((as_acknowledged || as_begun));
        there += as_begun ? 1 : 0;
        for (std::size_t i = there - std::min<std::size_t>(there, 3); i < there; ++i) { // they come again
            for (const fota_operation& op : commits[i].operations) {
                const auto* again = std::get_if<record_report>(&op);
                if (again == nullptr || !again->result) continue;
                const auto outcome = (*store)->apply({&op, 1}).at(0);
                CHECK((outcome && *outcome == applied::duplicate));
            }
        }
        CHECK(content_of(**store) == content);
    }
}
