#include "broker/app/serve.hpp"

#include <csignal>
#include <cstdio>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/app/gateway.hpp"
#include "broker/app/logging.hpp"
#include "broker/app/open_state.hpp"

namespace fb::app {

namespace {

/// Until a signal to stop comes. False: to be run again, without what is damaged.
bool run(const config& c, const sigset_t& signals) try {
    gateway g(c, [] { ::kill(::getpid(), SIGUSR1); });
    for (const std::string& line : g.description()) std::printf("%s\n", line.c_str());
    std::printf("ready\n");
    std::fflush(stdout);
    siginfo_t signal{};
    while (sigwaitinfo(&signals, &signal) < 0 || (signal.si_signo == SIGUSR1 && signal.si_pid != ::getpid())) {
    } // interrupted, or others say that something is damaged, who cannot know
    if (signal.si_signo == SIGUSR1) return false;
    spdlog::info("{}: stopping", signal.si_signo == SIGINT ? "Ctrl-C" : "SIGTERM");
    return true;
} catch (const state_damaged& why) {
    spdlog::error("{}", why.what());
    return false;
}

} // namespace

int serve(const config& c) {
    // Before any thread exists: all of them inherit the mask, and the signals come to sigwait() alone.
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    sigaddset(&stop_signals, SIGUSR1); // from ourselves: what was served is damaged
    pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);

    ::umask(0077); // databases and firmware are nobody else's, even in a directory that others may enter

    const logging log(c.log);
    while (!run(c, stop_signals)) put_state_aside(data_directory(c.data_dir));
    spdlog::info("stopped; sessions and queues are kept");
    return 0;
}

} // namespace fb::app
