// May this principal publish here, may it subscribe to that? Rules are fixed at start and shared read-only.
//
// A device may publish its own status, update/progress, update/result, fw/get, telemetry/#, event/# and subscribe to
// everything under device/<id>/ (fota.md section 9). Anonymous peers (only on listeners that allow them) may do
// anything, unless a rule names them. Everybody else gets what rules grant: an empty rule set fails closed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/core/principal.hpp"

namespace fb::core {

struct acl_rule {
    std::string principal;            // a name, "anonymous", or "*" for everybody
    std::vector<std::string> publish; // topic filters; "%d" stands for the device id
    std::vector<std::string> subscribe;
};

class acl {
  public:
    acl() = default;
    explicit acl(std::vector<acl_rule> rules);

    /// REQUIRES: `topic` is a valid topic name.
    bool may_publish(const principal& who, std::string_view topic) const;
    /// `filter` is a valid filter; for a shared subscription the part behind the group.
    bool may_subscribe(const principal& who, std::string_view filter) const;

  private:
    bool granted(const principal& who, std::string_view filter, std::vector<std::string> acl_rule::*list) const;

    std::vector<acl_rule> rules_;
    bool anonymous_has_rules_ = false;
};

} // namespace fb::core
