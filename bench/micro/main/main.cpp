// fotabroker-micro: one operation, over and over, and what it took. counts.py runs it under callgrind, which collects
// while measured() runs.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

#include "bench/micro/allocations.hpp"
#include "bench/micro/operation.hpp"

namespace {

using fb::micro::operation;

/// What the counts depend on, besides the code.
#if defined(__clang__)
#define FB_COMPILER "clang " __clang_version__
#else
#define FB_COMPILER_(version) "g++ " #version
#define FB_COMPILER_OF(version) FB_COMPILER_(version)
#define FB_COMPILER FB_COMPILER_OF(__GNUC__)
#endif
#if defined(__x86_64__)
#define FB_MACHINE "x86_64"
#elif defined(__aarch64__)
#define FB_MACHINE "aarch64"
#else
#define FB_MACHINE "another machine"
#endif
#if defined(__OPTIMIZE__)
#define FB_OPTIMISED "optimised"
#else
#define FB_OPTIMISED "not optimised"
#endif
constexpr const char* built = FB_MACHINE ", " FB_COMPILER ", " FB_OPTIMISED;

struct figures {
    std::uint64_t operations;
    std::uint64_t allocations;
};

/// counts.py knows it by this name.
extern "C" [[gnu::noinline]] figures fotabroker_micro_measured(const fb::micro::runner& run, std::uint64_t count) {
    const std::uint64_t before = fb::micro::allocations();
    const std::uint64_t done = run(count);
    return {done, fb::micro::allocations() - before};
}

std::vector<operation> all_operations() {
    std::vector<operation> all;
    for (const auto part :
         {fb::micro::codec_operations(), fb::micro::routing_operations(), fb::micro::delivery_operations(),
          fb::micro::session_operations(), fb::micro::store_operations()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

int list(bool json) {
    if (json) std::printf("{\"built\": \"%s\", \"operations\": {", built);
    const char* separator = "";
    for (const operation& o : all_operations()) {
        const int name = static_cast<int>(o.name.size()), what = static_cast<int>(o.what.size());
        if (json)
            std::printf("%s\"%.*s\": \"%.*s\"", separator, name, o.name.data(), what, o.what.data());
        else
            std::printf("%-26.*s %.*s\n", name, o.name.data(), what, o.what.data());
        separator = ", ";
    }
    if (json) std::printf("}}\n");
    return 0;
}

int run(const operation& o, std::uint64_t count, bool json) {
    const auto runner = o.prepare();
    runner(count / 4 + 1); // what is allocated once and kept
    const figures f = fotabroker_micro_measured(runner, count);
    const double each = static_cast<double>(f.allocations) / static_cast<double>(f.operations);
    const auto done = static_cast<unsigned long long>(f.operations);
    const auto allocations = static_cast<unsigned long long>(f.allocations);
    if (json)
        std::printf("{\"operations\": %llu, \"allocations\": %llu}\n", done, allocations);
    else
        std::printf("%llu operations, %llu allocations: %.3f each\n", done, allocations, each);
    return 0;
}

int usage() {
    std::fprintf(stderr, "usage: fotabroker-micro NAME [COUNT] [--json]\n"
                         "       fotabroker-micro --list [--json]\n");
    return 2;
}

int chosen(const std::vector<const char*>& words, bool json) {
    if (words.empty() || words.size() > 2) return usage();
    if (std::strcmp(words[0], "--list") == 0) return list(json);
    for (const operation& o : all_operations()) {
        if (o.name != words[0]) continue;
        std::uint64_t count = o.count;
        if (words.size() == 2) {
            const char* const end = words[1] + std::strlen(words[1]);
            const auto [at, error] = std::from_chars(words[1], end, count);
            if (error != std::errc{} || at != end || count == 0) return usage();
        }
        return run(o, count, json);
    }
    std::fprintf(stderr, "fotabroker-micro: no operation is called %s; --list names them\n", words[0]);
    return 2;
}

} // namespace

int main(int argc, char** argv) {
    std::vector<const char*> words;
    bool json = false;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--json") == 0)
            json = true;
        else
            words.push_back(argv[i]);
    }
    try {
        return chosen(words, json);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "fotabroker-micro: %s\n", e.what());
        return 1;
    }
}
