// The thread: calls run in order on it, reports are acknowledged from it, and its end loses nothing.
#include <future>
#include <mutex>
#include <stdexcept>

#include "fota/fota_thread.hpp"
#include "world.hpp"

using namespace fb::test;

namespace {

struct locked_broker final : fb::fota::broker_port {
    void publish_live(std::string_view, std::string, std::uint32_t) override {}
    void deliver(chunk) override {}
    void acknowledge(fb::fota::ack_token token, verdict v, std::string_view) override {
        std::lock_guard lock(mutex);
        if (v == verdict::accepted) order.push_back(token.value);
    }
    std::mutex mutex;
    std::vector<std::uint64_t> order;
};

struct broken_store final : fb::storage::fota_store {
    std::vector<fb::storage::fota_outcome> apply(std::span<const fb::storage::fota_operation> operations) override {
        return std::vector<fb::storage::fota_outcome>(operations.size(), fb::storage::applied::done);
    }
    fb::storage::result<std::unique_ptr<fb::storage::fota_reader>> open_reader() override {
        return fb::storage::error{fb::storage::error_kind::corrupt, "fota.db is damaged"};
    }
};

} // namespace

TEST_CASE("what was posted before the end is stored and acknowledged in order") {
    scratch_dir directory;
    locked_broker broker;
    auto database = fb::storage::make_memory_fota_store();
    constexpr std::uint64_t reports = 100;
    {
        fb::fota::fota_thread thread(test_settings(), broker, *database,
                                     *fb::storage::blob_files::open(directory.path()));
        for (std::uint64_t i = 0; i < reports; ++i)
            thread.post([i](fb::fota::service& fota, timestamp now) {
                const auto payload = R"({"version":"1.0.)" + std::to_string(i) + "\"}";
                fota.on_report(
                    {{"dev1", {1, 1}, "192.0.2.7", "print"}, "device/dev1/status", payload, true, {i, 0}, "", ""}, now);
            });
    }
    REQUIRE(broker.order.size() == reports);
    for (std::uint64_t i = 0; i < reports; ++i) CHECK(broker.order[i] == i);
    const auto reader = std::move(*database->open_reader());
    CHECK((*reader->find_device("dev1"))->firmware_version == "1.0.99");
}

TEST_CASE("a store that cannot be read stops the start with its words") {
    scratch_dir directory;
    locked_broker broker;
    broken_store store;
    auto blobs = *fb::storage::blob_files::open(directory.path());
    CHECK_THROWS_WITH_AS(fb::fota::fota_thread(test_settings(), broker, store, blobs), "fota: fota.db is damaged",
                         std::runtime_error);
}

TEST_CASE("with a database whose clock is an hour ahead, FOTA goes by that one") {
    scratch_dir directory;
    locked_broker broker;
    auto database = fb::storage::make_memory_fota_store();
    fb::fota::fota_thread thread(test_settings(), broker, *database, *fb::storage::blob_files::open(directory.path()));
    const auto time = [&thread] {
        std::promise<timestamp> told;
        thread.post([&](fb::fota::service&, timestamp now) { told.set_value(now); });
        return told.get_future().get();
    };
    const auto before = time();
    thread.set_clock_ahead(1h);
    CHECK(time() >= before + 1h);
    thread.set_clock_ahead(1h - 100ms); // within what a measurement is good for
    CHECK(time() >= before + 1h);
    thread.set_clock_ahead(0ms);
    CHECK(time() < before + 1h);
}
