// What operators do is logged with it or not at all, as a chain that is the same in every engine.
#include "fota_world.hpp"
#include "storage/audit.hpp"

using namespace fb::test;

namespace {

template <class Engine>
struct audited_world : fota_world<Engine> {
    audit_entry entry(const std::string& action, std::optional<std::string> subject = {},
                      std::optional<std::string> detail = {}) {
        return {this->now, "olga", action, std::move(subject), std::move(detail)};
    }
    /// A thing that can be done as often as one likes.
    fota_operation a_token(const std::string& name, timestamp at) {
        api_token t;
        t.id = new_id<token_uuid>(this->now);
        t.name = name;
        t.role = "viewer";
        t.hash = to_string(t.id);
        return save_token{t, audit_entry{at, "cli", "token.create", to_string(t.id), name}};
    }
    std::vector<audit_row> rows() {
        auto out = this->reader->audit_rows(0, 1000);
        REQUIRE_MESSAGE(out, out.err().text);
        return *out;
    }
    std::string actions() {
        std::string out;
        for (const auto& row : rows()) out += (out.empty() ? "" : " ") + row.entry.action;
        return out;
    }
    /// All that is wrong with the chain.
    std::vector<std::string> faults() {
        audit_chain chain;
        std::vector<std::string> out;
        for (const auto& row : rows())
            if (auto fault = chain.fault_in(row)) out.push_back(*fault);
        return out;
    }
};

} // namespace

TEST_CASE_TEMPLATE("each kind of thing that an operator does is logged with it", Engine, FB_STORAGE_ENGINES) {
    audited_world<Engine> w;
    const device d = w.saved_device("press-7");
    const firmware f = w.a_firmware("sensor", "2.0.0");
    const update u = w.an_update(d, f);
    api_token t;
    t.id = new_id<token_uuid>(w.now);
    t.name = "deploy";
    t.role = "operator";
    t.hash = "h";
    record_report cancel{{}, w.to_state(u, update_state::canceled), {}, {}};
    cancel.audit = w.entry("update.cancel", to_string(u.id));
    CHECK(w.rows().empty());
    CHECK_FALSE(*w.reader->newest_audit_row());
    for (const auto& word : w.apply_all({
             save_firmware{f, w.entry("firmware.upload", to_string(f.id), "sensor 2.0.0")},
             create_update{u, {}, {}, {}, w.entry("update.trigger", to_string(f.id), "")},
             cancel,
             set_firmware_state{f.id, firmware_state::revoked, w.entry("firmware.revoke", to_string(f.id))},
             patch_device{"press-7", "Press", {}, {}, {}, w.entry("device.patch", "press-7", "name: \xC3\x9C, :5:,")},
             save_token{t, w.entry("token.create", "deploy")},
             revoke_token{t.id, w.now, w.entry("token.revoke", "deploy")},
             delete_device{"press-7", false, w.entry("device.delete", "press-7")},
             delete_firmware{f.id, w.entry("firmware.delete", to_string(f.id))},
         }))
        CHECK(word == "done");
    CHECK(w.actions() == "firmware.upload update.trigger update.cancel firmware.revoke device.patch token.create "
                         "token.revoke device.delete firmware.delete");
    CHECK(w.faults().empty());
    const auto rows = w.rows();
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(rows[i].seq == std::int64_t(i) + 1);
    const auto& first = rows.front();
    CHECK(first.previous_hash == audit_beginning());
    CHECK(first.entry.at == w.now);
    CHECK(first.entry.actor == "olga");
    CHECK(first.entry.subject == to_string(f.id));
    CHECK(first.entry.detail == "sensor 2.0.0");
    CHECK(rows[1].entry.detail == "");
    CHECK_FALSE(rows[2].entry.detail);
    CHECK((*w.reader->newest_audit_row())->hash == rows.back().hash);
}

TEST_CASE_TEMPLATE("what was not done, or was so already, is not logged", Engine, FB_STORAGE_ENGINES) {
    audited_world<Engine> w;
    const device d = w.saved_device("press-7");
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    const update u = w.saved_update(d, f);
    const auto entry = w.entry("nothing");
    record_report stale{{}, update_change{u, 7}, {}, {}};
    stale.audit = entry;
    record_report twice{{}, {}, w.a_result(d, "key"), {}};
    REQUIRE(w.apply(twice) == "done");
    twice.audit = entry;
    const auto nobody = new_id<firmware_uuid>(w.now);
    CHECK(w.apply_all({stale, twice, save_firmware{w.a_firmware("sensor", "2.0.0"), entry},
                       create_update{w.an_update(d, f), {}, {}, {}, entry},
                       set_firmware_state{nobody, firmware_state::revoked, entry},
                       set_firmware_state{f.id, firmware_state::approved, entry},
                       patch_device{"press-8", "x", {}, {}, {}, entry}, delete_device{"press-7", false, entry},
                       delete_firmware{f.id, entry}}) == std::vector<std::string>{"conflict", "duplicate", "conflict",
                                                                                  "conflict", "not_found", "duplicate",
                                                                                  "not_found", "conflict", "conflict"});
    REQUIRE(w.apply(patch_device{"press-7", "Press", "sensor", R"(["a"])"}) == "done");
    CHECK(w.apply(patch_device{"press-7", "Press", {}, {}, {}, entry}) == "duplicate");
    CHECK(w.apply(patch_device{"press-7", "Press", "sensor", R"(["a"])", {}, entry}) == "duplicate");
    CHECK(w.rows().empty());
    CHECK(w.apply(patch_device{"press-7", "Press", "sensor", "[]", {}, w.entry("device.patch")}) == "done");
    CHECK(w.actions() == "device.patch");
}

TEST_CASE_TEMPLATE("an operation that fails in the middle takes its entry along, and no other one", Engine,
                   FB_STORAGE_ENGINES) {
    audited_world<Engine> w;
    const device d = w.saved_device("press-7");
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    update orphan = w.an_update(d, f);
    orphan.firmware_id = new_id<firmware_uuid>(w.now); // a foreign key, which only the row itself shows
    const auto words = w.apply_all(
        {w.a_token("a", w.now), create_update{orphan, {}, {}, {}, w.entry("update.trigger")}, w.a_token("b", w.now)});
    CHECK(words == std::vector<std::string>{"done", "invalid", "done"});
    CHECK(w.actions() == "token.create token.create");
    CHECK(w.faults().empty());
}

TEST_CASE_TEMPLATE("what is pruned from the beginning leaves a chain that fits", Engine, FB_STORAGE_ENGINES) {
    audited_world<Engine> w;
    for (int i = 0; i < 5; ++i) REQUIRE(w.apply(w.a_token("t" + std::to_string(i), w.now)) == "done");
    REQUIRE(w.apply(prune_history{{}, {}, 4}) == "done");
    REQUIRE(w.apply(prune_history{{}, {}, 4}) == "done");
    REQUIRE(w.apply(w.a_token("last", w.now)) == "done");
    const auto rows = w.rows();
    REQUIRE(rows.size() == 3);
    CHECK(rows.front().seq == 4);
    CHECK(rows.back().seq == 6);
    CHECK(w.faults().empty());
    CHECK(w.reader->audit_rows(4, 1)->front().seq == 5);
}

TEST_CASE("the chain shows what was changed and what was taken out") {
    audited_world<memory_engine> w;
    for (int i = 0; i < 4; ++i) REQUIRE(w.apply(w.a_token("t" + std::to_string(i), w.now)) == "done");
    const auto faults_of = [](const std::vector<audit_row>& rows) {
        audit_chain chain;
        std::string out;
        for (const auto& row : rows)
            if (const auto fault = chain.fault_in(row)) out += *fault + "\n";
        return out;
    };
    const auto good = w.rows();
    CHECK(faults_of(good) == "");
    for (const auto change :
         {+[](audit_entry& e) { e.actor = "somebody"; }, +[](audit_entry& e) { e.subject.reset(); },
          +[](audit_entry& e) { e.detail = ""; }, +[](audit_entry& e) { e.at += std::chrono::milliseconds(1); },
          +[](audit_entry& e) { std::swap(e.actor, e.action); }}) {
        auto rows = good;
        change(rows[2].entry);
        CHECK(faults_of(rows) == "audit_log: row 3 was changed: its hash is not that of what it says\n");
    }
    auto rows = good;
    rows[2].entry.actor = "somebody"; // with a hash that fits
    rows[2].hash = audit_hash(rows[2].previous_hash, rows[2].entry);
    CHECK(faults_of(rows).find("row 4 does not follow row 3") != std::string::npos);
    rows = good;
    rows.erase(rows.begin() + 1);
    CHECK(faults_of(rows) == "audit_log: row 3 does not follow row 1: rows between them were taken out, or one of the "
                             "two was changed\n");
    rows = good;
    rows.erase(rows.begin());
    CHECK(faults_of(rows) == "");
}

TEST_CASE("the hash of an entry is that of a text which anybody can write") {
    // printf '64:%064d,24:2026-11-22T10:15:30.123Z,4:olga,13:update.cancel,1:x,-,' 0 | sha256sum
    audit_entry e{*parse_timestamp("2026-11-22T10:15:30.123Z"), "olga", "update.cancel", "x", {}};
    CHECK(audit_hash(audit_beginning(), e) == "8055f1c820348dffef109874b0d3659b0c88cff5ab1ae09ae9768dbc563ee093");
}
