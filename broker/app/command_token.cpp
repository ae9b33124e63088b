#include <iostream>
#include <memory>
#include <stdexcept>

#include "broker/app/commands.hpp"
#include "broker/app/json_text.hpp"
#include "broker/app/store_flags.hpp"
#include "http/tokens.hpp"

namespace fb::app {
namespace {

struct options {
    store_flags store;
    std::string name;
    std::string role = "viewer";
    int valid_days = 0; // 0: for ever
    bool json = false;
};
using shared_options = std::shared_ptr<options>;

storage::timestamp now() {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

template <class T>
T value_of(storage::result<T> r) {
    if (!r) throw std::runtime_error(r.err().text);
    return std::move(*r);
}

void apply(storage::fota_store& store, storage::fota_operation operation, const std::string& on_conflict) {
    const auto outcome = store.apply(std::span(&operation, 1)).front();
    if (outcome) return;
    throw std::runtime_error(outcome.err().kind == storage::error_kind::conflict ? on_conflict : outcome.err().text);
}

std::optional<std::string> text_of(const std::optional<storage::timestamp>& t) {
    if (!t) return std::nullopt;
    return storage::format_timestamp(*t);
}

storage::audit_entry log(const char* action, const storage::api_token& t) {
    return http::token_entry("cli", action, t, now());
}

json_row row_of(const storage::api_token& t) {
    return {{"id", to_string(t.id)},
            {"name", t.name},
            {"role", t.role},
            {"created_at", text_of(t.created_at)},
            {"expires_at", text_of(t.expires_at)},
            {"revoked_at", text_of(t.revoked_at)},
            {"last_used_at", text_of(t.last_used_at)}};
}

int create(const options& o) {
    const auto store = open_store(o.store);
    std::optional<storage::timestamp> expires;
    if (o.valid_days > 0) expires = now() + std::chrono::days(o.valid_days);
    const auto token = http::make_token(o.name, http::parse_role(o.role).value(), now(), expires);
    apply(*store, storage::save_token{token.row, log("token.create", token.row)},
          "a token named \"" + o.name + "\" exists: revoke it first, or choose another name");
    if (!o.json) {
        std::cerr << "The token, shown this once:\n";
        std::cout << token.secret << '\n';
        return 0;
    }
    auto row = row_of(token.row);
    row.emplace_back("token", token.secret);
    std::cout << json_object(row) << '\n';
    return 0;
}

int list(const options& o) {
    const auto store = open_store(o.store);
    const auto tokens = value_of(value_of(store->open_reader())->list_tokens());
    if (o.json) {
        std::vector<json_row> rows;
        for (const auto& t : tokens) rows.push_back(row_of(t));
        std::cout << json_array(rows) << '\n';
        return 0;
    }
    for (const auto& t : tokens) {
        std::cout << t.name << '\t' << t.role << "\tcreated " << storage::format_timestamp(t.created_at);
        if (t.expires_at) std::cout << "\texpires " << storage::format_timestamp(*t.expires_at);
        if (t.revoked_at) std::cout << "\trevoked " << storage::format_timestamp(*t.revoked_at);
        if (t.last_used_at) std::cout << "\tlast used " << storage::format_timestamp(*t.last_used_at);
        std::cout << '\t' << to_string(t.id) << '\n';
    }
    return 0;
}

int revoke(const options& o) {
    const auto store = open_store(o.store);
    for (const auto& t : value_of(value_of(store->open_reader())->list_tokens())) {
        if (t.revoked_at || (t.name != o.name && to_string(t.id) != o.name)) continue;
        apply(*store, storage::revoke_token{t.id, now(), log("token.revoke", t)},
              "the token changed at the same moment: try again");
        std::cout << "revoked " << t.name << " (" << to_string(t.id) << ")\n";
        return 0;
    }
    throw std::runtime_error("no token named \"" + o.name + "\" is in force; `fotabroker token list` shows all");
}

CLI::App& add(CLI::App& token, const char* name, const char* description, const shared_options& o, action& chosen,
              int (*run)(const options&)) {
    auto* command = token.add_subcommand(name, description);
    add_store_options(*command, o->store);
    command->callback([o, run, &chosen] { chosen = [o, run] { return run(*o); }; });
    return *command;
}

constexpr const char* examples =
    R"(Works while the broker is running. Only a hash of a token is stored: keep what `create` prints.
Each role may do what the ones before it may: viewer, operator, approver, admin.

Example:
  fotabroker token create deploy-script --role operator --expires 365 --data-dir /var/lib/fotabroker)";

} // namespace

void add_token_command(CLI::App& root, action& chosen) {
    auto* token = root.add_subcommand("token", "API tokens: create, list, revoke");
    token->require_subcommand(1);
    token->footer(examples);
    const auto o = std::make_shared<options>();

    auto& create_command = add(*token, "create", "Make a token and print it once", o, chosen, create);
    create_command.add_option("NAME", o->name, "What it is for; unique")->required();
    create_command.add_option("--role", o->role, "What it may do (default viewer)")
        ->option_text("viewer|operator|approver|admin")
        ->check(CLI::IsMember({"viewer", "operator", "approver", "admin"}));
    create_command.add_option("--expires", o->valid_days, "Valid for so many days (default: for ever)")
        ->option_text("DAYS")
        ->check(CLI::Range(1, 36500));
    create_command.add_flag("--json", o->json, "As JSON");

    auto& list_command = add(*token, "list", "List all tokens, never their secrets", o, chosen, list);
    list_command.add_flag("--json", o->json, "As JSON");

    auto& revoke_command =
        add(*token, "revoke", "End a token; a running broker refuses it within seconds", o, chosen, revoke);
    revoke_command.add_option("NAME", o->name, "Its name or id")->required();
}

} // namespace fb::app
