// main() of the unit programs. In builds with marks (proto/rule.hpp) a test case whose name begins with statement ids
// must reach the decision of each of them, else the program fails.
//
// FB_MARKS_REPORT names a file: one line is added to it for each place a case decided about one of the ids it names,
// "id <tab> place <tab> outcomes" with outcomes out of 0, 1 (conditions), x (other values) and r (just reached).
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#ifdef FB_MARKS
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "proto/marks.hpp"

namespace {

/// The ids at the beginning of a name: "v5[MQTT-1.5.4-1] v311[MQTT-1.5.3-1] a string is well-formed".
std::vector<std::string> ids_of(std::string_view name) {
    std::vector<std::string> ids;
    while (name.starts_with("v5[") || name.starts_with("v311[")) {
        const auto end = name.find(']');
        if (end == name.npos) break;
        ids.emplace_back(name.substr(0, end + 1));
        name.remove_prefix(end + 1);
        while (name.starts_with(' ')) name.remove_prefix(1);
    }
    return ids;
}

std::vector<std::string> missed; // what is to be said at the end

struct marks_listener : doctest::IReporter {
    explicit marks_listener(const doctest::ContextOptions&) {
        if (const char* path = std::getenv("FB_MARKS_REPORT")) report_.open(path, std::ios::app);
    }

    void test_case_start(const doctest::TestCaseData& data) override {
        name_ = data.m_name;
        fb::marks::all().clear();
    }
    void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
        const auto seen = fb::marks::all().seen();
        for (const std::string& id : ids_of(name_)) {
            bool reached = false;
            for (auto at = seen.lower_bound({id, ""}); at != seen.end() && at->first.first == id; ++at) {
                reached = true;
                if (report_.is_open()) report_ << id << '\t' << at->first.second << '\t' << letters(at->second) << '\n';
            }
            if (!reached && stats.failure_flags == 0) missed.push_back(id + " by \"" + name_ + "\"");
        }
    }

    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_exception(const doctest::TestCaseException&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData&) override {}
    void log_message(const doctest::MessageData&) override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}

  private:
    static std::string letters(unsigned outcomes) {
        std::string text;
        for (unsigned i = 0; i < 4; ++i)
            if (outcomes & 1u << i) text += "01xr"[i];
        return text;
    }
    std::string name_;
    std::ofstream report_;
};

} // namespace

REGISTER_LISTENER("marks", 1, marks_listener);
#endif

int main(int argc, char** argv) {
    doctest::Context context(argc, argv);
    const int result = context.run();
#ifdef FB_MARKS
    for (const std::string& line : missed) std::cerr << "decision not reached: " << line << '\n';
    if (!missed.empty()) return 1;
#endif
    return result;
}
