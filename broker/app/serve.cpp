#include "broker/app/serve.hpp"

#include <csignal>
#include <cstdio>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "broker/app/gateway.hpp"
#include "broker/app/logging.hpp"

namespace fb::app {

int serve(const config& c) {
    // Before any thread exists: all of them inherit the mask, and the signals come to sigwait() alone.
    sigset_t stop_signals;
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);

    ::umask(0077); // databases and firmware are nobody else's, even in a directory that others may enter

    const logging log(c.log);
    {
        gateway g(c);
        for (const std::string& line : g.description()) std::printf("%s\n", line.c_str());
        std::printf("ready\n");
        std::fflush(stdout);
        int signal = 0;
        sigwait(&stop_signals, &signal);
        spdlog::info("{}: stopping", signal == SIGINT ? "Ctrl-C" : "SIGTERM");
    }
    spdlog::info("stopped; sessions and queues are kept");
    return 0;
}

} // namespace fb::app
