#include "broker/app/tls_contexts.hpp"

#include <spdlog/spdlog.h>

#include "certs/identity.hpp"

namespace fb::app {

std::shared_ptr<certs::tls_context> tls_context_of(const config& c, const tls_files& files,
                                                   certs::client_certificates clients) {
    certs::tls_settings settings = tls_settings_of(c, files, clients);
    settings.clock_floor = FB_BUILD_DAY_UNIX_S; // a gateway's clock may start in 1970
    auto context = std::make_shared<certs::tls_context>(settings);
    if (certs::readable_by_others(settings.key)) {
        spdlog::warn("{}: others on this machine can read this private key; chmod 600 it", settings.key.string());
    }
    return context;
}

} // namespace fb::app
