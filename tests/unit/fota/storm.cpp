// Random events from one printed seed, on a disk that is slow or failing at times, against what must always hold:
// 1. a report is acknowledged at most once, and never while its write waits;
// 2. a device has at most one open update in the database;
// 3. an ended update stays as it ended, but for late proof;
// 4. state_version never falls;
// 5. when everything has settled, each report had its answer, and memory and database agree.
#include <cstdlib>
#include <random>

#include "world.hpp"

using namespace fb::test;

namespace {

struct storm {
    world w;
    std::mt19937 random;
    std::vector<std::string> firmwares, updates;
    std::vector<std::uint64_t> tokens;
    std::map<std::string, std::pair<std::int64_t, update_state>> last;
    const std::vector<std::string> devices{"dev1", "dev2", "dev3"};
    const std::vector<std::string> versions{"1.0.0", "1.1.0", "1.2.0", "2.0.0"};

    explicit storm(std::uint32_t seed)
        : random(seed) {
        for (const auto& v : versions) firmwares.push_back(w.add_firmware(v, std::string(3000, 'x')));
        for (const auto& d : devices) w.come(d);
    }

    std::size_t below(std::size_t n) { return random() % n; }
    template <class T>
    const T& any(const std::vector<T>& list) {
        return list[below(list.size())];
    }

    std::string update_id() {
        if (updates.empty() || below(3) == 0) return "";
        return R"("update_id":")" + any(updates) + "\",";
    }

    void step() {
        const auto& device = any(devices);
        switch (below(16)) {
        case 0: return w.connect(device, 1 + below(2));
        case 1: return w.ready(device, 1 + below(2));
        case 2: return w.disconnect(device, 1 + below(2));
        case 3:
            tokens.push_back(w.status(device, R"({"version":")" + any(versions) + R"(","boot_id":)" +
                                                  std::to_string(below(3)) + "}"));
            return;
        case 4:
        case 5:
        case 6:
        case 7: {
            const std::vector<std::string> states{"accepted",  "downloading", "downloaded", "installing",
                                                  "rebooting", "rejected",    "deferred"};
            tokens.push_back(w.progress(device, "{" + update_id() + R"("percent":)" + std::to_string(below(101)) +
                                                    R"(,"state":")" + any(states) + "\"}"));
            return;
        }
        case 8: {
            const std::vector<std::string> results{"success", "success", "failed", "partial"};
            tokens.push_back(w.result(device, "{" + update_id() + R"("status":")" + any(results) + R"(","version":")" +
                                                  any(versions) + "\"}"));
            return;
        }
        case 9:
            tokens.push_back(w.fetch(device, R"({"rid":)" + std::to_string(below(3)) +
                                                 R"(,"length":512,"count":8,"offset":)" + std::to_string(below(4000)) +
                                                 "}"));
            return;
        case 10: {
            w.fota->trigger({any(firmwares), {device}, std::nullopt, below(2) == 0, "olga"}, w.now,
                            [this](auto answer, const auto&) {
                                if (!answer) return;
                                for (const auto& u : answer->updates) updates.push_back(to_string(u.row.id));
                            });
            return w.work();
        }
        case 11:
            if (!updates.empty()) w.cancel(any(updates));
            return;
        case 12:
            w.now += std::chrono::milliseconds(below(4) == 0 ? below(7'200'000) : below(60'000));
            if (below(50) == 0) w.now -= 24h;
            w.fota->on_time(w.now);
            return w.work();
        case 13: w.store.state = disk::held; return;
        case 14:
            if (w.store.waiting() > 0 && w.store.state == disk::held) w.store.work_one();
            return;
        default: w.store.state = below(5) == 0 ? disk::failing : disk::well; return w.work();
        }
    }

    void check_history() {
        std::map<std::string, std::string> open;
        for (const auto& id : updates) {
            const auto u = w.update(id);
            if (fb::storage::is_open(*u.row.state)) {
                const auto& first = open.emplace(u.device_id, id).first->second;
                REQUIRE(first == id);
            }
            const auto [known, fresh] = last.emplace(id, std::pair(u.row.state_version, *u.row.state));
            if (!fresh) {
                REQUIRE(u.row.state_version >= known->second.first);
                if (fb::storage::is_terminal(known->second.second) && u.row.state != known->second.second)
                    REQUIRE(*u.row.state == update_state::succeeded);
            }
            known->second = {u.row.state_version, *u.row.state};
        }
    }

    void rest() {
        w.store.state = disk::well;
        w.work();
        w.wait(2min);
        for (const auto token : tokens) REQUIRE(w.broker.acks[token].size() == 1);
        w.fota->live(devices, [&](auto live, const auto&) {
            for (const auto& d : *live) {
                REQUIRE(w.device(d.device_id).online == d.online);
                if (!d.open_update) continue;
                const auto stored = w.update(to_string(d.open_update->row.id));
                REQUIRE(stored.row.state == d.open_update->row.state);
                REQUIRE(stored.row.state_version == d.open_update->row.state_version);
                REQUIRE(stored.row.attempt == d.open_update->row.attempt);
            }
        });
    }
};

} // namespace

TEST_CASE("a storm of random events breaks no promise") {
    const char* given = std::getenv("FB_SEED");
    const auto first = given ? static_cast<std::uint32_t>(std::atoll(given)) : std::random_device{}();
    const std::uint32_t runs = given ? 1 : 20;
    for (std::uint32_t run = 0; run < runs; ++run) {
        const auto seed = first + run;
        INFO("FB_SEED=" << seed);
        storm s(seed);
        for (int i = 0; i < 1000; ++i) {
            s.step();
            s.check_history();
            for (const auto& [token, verdicts] : s.w.broker.acks) REQUIRE(verdicts.size() == 1);
        }
        s.rest();
        s.check_history();
    }
}
