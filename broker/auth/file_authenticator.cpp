#include "broker/auth/file_authenticator.hpp"

#include <exception>

#include "broker/auth/scram.hpp"
#include "certs/digest.hpp"

namespace fb::auth {
namespace {

using core::auth_verdict;

auth_verdict refused() { return {auth_verdict::kind::refused, nullptr, {}, "wrong user name or password"}; }

/// Steps run on a thread that must not end: what goes wrong inside (no memory, no entropy) refuses.
template <class Step>
auth_verdict guarded(Step step) {
    try {
        return step();
    } catch (const std::exception& e) {
        return {auth_verdict::kind::refused, nullptr, {}, std::string("cannot be checked now: ") + e.what()};
    }
}

class password_check final : public core::auth_exchange {
  public:
    password_check(std::shared_ptr<const file_authenticator> owner, std::string_view user)
        : owner_(std::move(owner))
        , user_(user) {}

    core::auth_verdict step(std::string_view password) override {
        return guarded([&] {
            const stored_password* stored = owner_->users().find(user_);
            const bool right = matches(stored != nullptr ? *stored : owner_->decoy(), password);
            return stored != nullptr && right ? owner_->accept(user_, {}) : refused();
        });
    }

  private:
    std::shared_ptr<const file_authenticator> owner_;
    std::string user_;
};

class scram_exchange final : public core::auth_exchange {
  public:
    explicit scram_exchange(std::shared_ptr<const file_authenticator> owner)
        : owner_(std::move(owner))
        , server_([this](std::string_view user) { return secret_of(user); }, certs::base64url(certs::random_bytes(18)),
                  owner_->decoy_key()) {}

    core::auth_verdict step(std::string_view data) override {
        return guarded([&] {
            const bool begins = !begun_;
            begun_ = true;
            auto answer = begins ? server_.first(data) : server_.final(data);
            if (!answer) return refused();
            if (!begins) return owner_->accept(server_.user(), std::move(*answer));
            return auth_verdict{auth_verdict::kind::challenge, nullptr, std::move(*answer), {}};
        });
    }

  private:
    std::optional<scram_secret> secret_of(std::string_view user) const {
        const stored_password* stored = owner_->users().find(user);
        const auto* secret = stored != nullptr ? std::get_if<scram_secret>(stored) : nullptr;
        return secret != nullptr ? std::optional(*secret) : std::nullopt;
    }

    std::shared_ptr<const file_authenticator> owner_;
    scram_server server_;
    bool begun_ = false;
};

} // namespace

file_authenticator::file_authenticator(password_file users, std::function<bool(std::string_view)> names_device)
    : users_(std::move(users))
    , names_device_(std::move(names_device))
    , decoy_key_(certs::random_bytes(32))
    , decoy_(make_scram_secret(certs::random_bytes(32), iterations_default, certs::random_bytes(16))) {}

std::shared_ptr<core::auth_exchange> file_authenticator::by_password(std::string_view user_name) const {
    return std::make_shared<password_check>(shared_from_this(), user_name);
}

std::shared_ptr<core::auth_exchange> file_authenticator::by_method(std::string_view method) const {
    return method == scram_method ? std::make_shared<scram_exchange>(shared_from_this()) : nullptr;
}

core::auth_verdict file_authenticator::accept(const std::string& user, std::string data) const {
    auto who = std::make_shared<core::principal>();
    who->kind = core::principal_kind::password;
    who->name = user;
    if (names_device_ && names_device_(user)) who->device_id = user;
    return {auth_verdict::kind::accepted, std::move(who), std::move(data), {}};
}

} // namespace fb::auth
