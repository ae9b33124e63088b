// A device's decisions, event by event, without a socket or a file.
#include <doctest/doctest.h>

#include <algorithm>

#include "bench/fleet/device.hpp"
#include "bench/fleet/device_files.hpp"

using namespace fb::fleet;

namespace {

const std::string sum_a(64, 'a');
const std::string sum_b(64, 'b');

std::string offer(const std::string& update_id, unsigned attempt = 1, const std::string& sum = sum_a,
                  const std::string& more = "") {
    return R"({"version":"1.1.0","url":"https://gw/fw/1/x","checksum":"sha256:)" + sum + R"(","update_id":")" +
           update_id + R"(","attempt":)" + std::to_string(attempt) + R"(,"size":1000)" + more + "}";
}

template <class Effect>
bool has(const std::vector<effect>& list) {
    return std::any_of(list.begin(), list.end(), [](const effect& e) { return std::holds_alternative<Effect>(e); });
}

/// The payloads said on one topic, one after the other.
std::string said(const std::vector<effect>& list, effects::topic topic) {
    std::string out;
    for (const auto& e : list)
        if (const auto* s = std::get_if<effects::say>(&e); s != nullptr && s->topic == topic) out += s->json;
    return out;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

int result_tag(const std::vector<effect>& list) {
    for (const auto& e : list)
        if (const auto* s = std::get_if<effects::say>(&e); s != nullptr && s->topic == effects::topic::result)
            return s->tag;
    return -1;
}

device booted(device_record record = {}, device_config config = {"dev1", "sensor"}) {
    device d(std::move(config), std::move(record));
    d.on_boot("1.0.0", "boot-1");
    return d;
}

device with_image(const std::string& offer_json = offer("u1")) {
    auto d = booted();
    d.on_command(offer_json);
    d.on_fetched(true);
    return d;
}

} // namespace

TEST_CASE("an update goes from the command to an acknowledged result over one reboot") {
    auto d = booted();
    CHECK(contains(said(d.on_connected(), effects::topic::status), R"("version":"1.0.0")"));

    auto out = d.on_command(offer("u1"));
    CHECK(has<effects::fetch>(out));
    CHECK(has<effects::save>(out));
    CHECK(contains(said(out, effects::topic::progress), "accepted"));

    out = d.on_fetched(true);
    CHECK(contains(said(out, effects::topic::progress), "downloaded"));
    CHECK(contains(said(out, effects::topic::progress), "installing"));
    CHECK(has<effects::install>(out));

    out = d.on_installed();
    CHECK(has<effects::reboot>(out));
    CHECK(said(out, effects::topic::result).empty());

    d.on_boot("1.1.0", "boot-2");
    out = d.on_connected();
    CHECK(contains(said(out, effects::topic::status), R"("version":"1.1.0")"));
    CHECK(contains(said(out, effects::topic::status), "boot-2"));
    CHECK(contains(said(out, effects::topic::result), R"("status":"success","version":"1.1.0","update_id":"u1")"));
    CHECK_FALSE(d.settled_at("1.1.0"));

    d.on_acknowledged(1, false);
    d.on_acknowledged(result_tag(out), false);
    CHECK(d.settled_at("1.1.0"));
}

TEST_CASE("the record is saved before the effects that rely on it") {
    auto d = booted();
    const auto out = d.on_command(offer("u1"));
    const auto at = [&](auto same) { return std::find_if(out.begin(), out.end(), same) - out.begin(); };
    CHECK(at([](const effect& e) { return std::holds_alternative<effects::save>(e); }) <
          at([](const effect& e) { return std::holds_alternative<effects::fetch>(e); }));
}

TEST_CASE("the same offer twice starts nothing twice") {
    auto d = booted();
    d.on_command(offer("u1"));
    CHECK_FALSE(has<effects::fetch>(d.on_command(offer("u1"))));
    d.on_fetched(true);
    CHECK_FALSE(has<effects::install>(d.on_command(offer("u1"))));
    d.on_installed();
    d.on_boot("1.1.0", "boot-2");
    const auto out = d.on_command(offer("u1"));
    CHECK_FALSE(has<effects::fetch>(out));
    CHECK(contains(said(out, effects::topic::result), "success"));
}

TEST_CASE("a wrong checksum fails the update and keeps the old version") {
    auto d = booted();
    d.on_command(offer("u1"));
    const auto out = d.on_fetched(false);
    CHECK(has<effects::discard_slot>(out));
    CHECK_FALSE(has<effects::install>(out));
    CHECK(contains(said(out, effects::topic::result), R"("status":"failed")"));
    CHECK(contains(said(out, effects::topic::result), R"("code":"checksum_mismatch")"));
    CHECK(d.version() == "1.0.0");
    CHECK(has<effects::fetch>(d.on_command(offer("u1", 2)))); // another attempt is another offer
}

TEST_CASE("an unacknowledged result is said again after every reconnect and after a restart") {
    auto d = with_image();
    d.on_installed();
    d.on_boot("1.1.0", "boot-2");
    const auto first = said(d.on_connected(), effects::topic::result);
    CHECK(said(d.on_connected(), effects::topic::result) == first);

    device restarted({"dev1", "sensor"}, parse_record(to_json(d.record())));
    restarted.on_boot("1.1.0", "boot-3");
    const auto out = restarted.on_connected();
    CHECK(said(out, effects::topic::result) == first);
    restarted.on_acknowledged(result_tag(out), false);
    CHECK(said(restarted.on_connected(), effects::topic::result).empty());
}

TEST_CASE("the acknowledgement of an older result does not settle a newer one") {
    auto d = booted();
    d.on_command(offer("u1"));
    const int old_tag = result_tag(d.on_fetched(false));
    d.on_command(offer("u1", 2));
    d.on_fetched(false);
    d.on_acknowledged(old_tag, false);
    CHECK(d.record().result_unacknowledged);
}

TEST_CASE("a power cut resumes each phase where it was") {
    SUBCASE("downloading goes on downloading") {
        auto d = booted();
        d.on_command(offer("u1"));
        device again({"dev1", "sensor"}, parse_record(to_json(d.record())));
        CHECK(has<effects::fetch>(again.on_boot("1.0.0", "b")));
        CHECK_FALSE(has<effects::fetch>(again.on_command(offer("u1"))));
    }
    SUBCASE("installing installs again") {
        device again({"dev1", "sensor"}, parse_record(to_json(with_image().record())));
        CHECK(has<effects::install>(again.on_boot("1.0.0", "b")));
    }
    SUBCASE("an image that did not boot is reported as rolled back") {
        auto d = with_image();
        d.on_installed();
        d.on_boot("1.0.0", "boot-2");
        CHECK(contains(said(d.on_connected(), effects::topic::result), "rolled_back"));
    }
    SUBCASE("a damaged record is an idle device") {
        CHECK(parse_record(R"({"phase":"downl)").phase == update_phase::idle);
        CHECK(parse_record(R"({"phase":7,"update":[]})").phase == update_phase::idle);
    }
}

TEST_CASE("cancel is obeyed until installing begins") {
    auto d = booted();
    d.on_command(offer("u1"));
    CHECK_FALSE(has<effects::stop_fetch>(d.on_command(R"({"action":"cancel","update_id":"other"})")));
    CHECK(has<effects::stop_fetch>(d.on_command(R"({"action":"cancel","update_id":"u1"})")));
    CHECK(d.record().phase == update_phase::idle);
    CHECK(d.on_fetched(true).empty());

    auto late = with_image();
    late.on_command(R"({"action":"cancel","update_id":"u1"})");
    CHECK(late.record().phase == update_phase::installing);
}

TEST_CASE("a newer offer replaces a download and is deferred while installing") {
    auto d = booted();
    d.on_command(offer("u1"));
    const auto out = d.on_command(offer("u2", 1, sum_b));
    CHECK(has<effects::stop_fetch>(out));
    CHECK(has<effects::discard_slot>(out));
    CHECK(d.record().update.update_id == "u2");

    auto busy = with_image();
    const auto answer = said(busy.on_command(offer("u2", 1, sum_b)), effects::topic::progress);
    CHECK(contains(answer, "deferred"));
    CHECK(contains(answer, "u2"));
}

TEST_CASE("what was downloaded of an image is kept for a later attempt at the same image") {
    auto d = booted();
    d.on_command(offer("u1"));
    d.on_fetch_failed("download_failed", "no route");
    CHECK_FALSE(has<effects::discard_slot>(d.on_command(offer("u1", 2))));
}

TEST_CASE("a download-only offer waits until it is offered to be installed") {
    auto d = booted();
    d.on_command(offer("u1", 1, sum_a, R"(,"mode":"download_only")"));
    CHECK_FALSE(has<effects::install>(d.on_fetched(true)));
    CHECK(d.record().phase == update_phase::downloaded);
    CHECK(has<effects::install>(d.on_command(offer("u1", 1, sum_a, R"(,"mode":"forced")"))));
}

TEST_CASE("a version that is installed already is a success without a download") {
    auto d = booted();
    d.on_boot("1.1.0", "boot-1");
    const auto out = d.on_command(offer("u1"));
    CHECK_FALSE(has<effects::fetch>(out));
    CHECK(contains(said(out, effects::topic::result), "success"));
}

TEST_CASE("a command that cannot be right is rejected, one that cannot be read is ignored") {
    auto d = booted();
    const auto rejected =
        said(d.on_command(R"({"version":"1.1.0","url":"https://x/","checksum":"sha256:00","update_id":"u9"})"),
             effects::topic::progress);
    CHECK(contains(rejected, "rejected"));
    CHECK(contains(rejected, "u9"));
    for (const std::string bad : {"", "[]", "{", "null", "\x80\x01"}) {
        CAPTURE(bad);
        CHECK(said(d.on_command(bad), effects::topic::progress).empty());
    }
    CHECK(d.record().phase == update_phase::idle);
}

TEST_CASE("the share of attempts told to fail is 0 or 1 at its ends") {
    for (const double rate : {0.0, 1.0}) {
        device_config config{"dev1", "sensor"};
        config.fail_rate = rate;
        auto d = booted({}, config);
        d.on_command(offer("u1"));
        CHECK(has<effects::install>(d.on_fetched(true)) == (rate == 0.0));
    }
}

TEST_CASE("progress is said at every tenth of the way, not more often") {
    auto d = booted();
    d.on_command(offer("u1"));
    int reports = 0;
    for (int i = 1; i <= 1000; ++i) reports += d.on_fetch_progress(i, 1000).empty() ? 0 : 1;
    CHECK(reports == 11);
}
