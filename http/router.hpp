// Which handler answers a request: a table of method, path pattern and role, which is also what the OpenAPI document is
// made from. Pure; the table is constant.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"

namespace fb::http {

struct context;
using handler = task<response> (*)(context&, request&);

enum class access {
    anyone,
    token, // a role of at least `least`
    own,   // the handler decides (downloads, metrics)
};

enum class body_kind {
    none,
    json,          // required
    optional_json, // may be absent
    stream,        // the handler reads it
};

struct route {
    std::string_view method;
    std::string_view pattern; // "/api/v1/devices/{device_id}"
    access who = access::token;
    role least = role::viewer;
    body_kind body = body_kind::none;
    std::vector<std::string_view> query; // the parameters it knows; others are refused
    handler run = nullptr;

    std::string_view operation; // for OpenAPI
    std::string_view summary;
    std::string_view answers_with; // a schema's name, or a media type
    int success = 200;
    std::vector<int> problems;
};

class router {
  public:
    explicit router(std::vector<route> routes);

    struct match {
        const route* found = nullptr;
        std::vector<std::string> parameters;
        std::string allow; // with nothing found: the methods this path knows; empty when there is no such path
    };
    /// GET routes answer HEAD too.
    match find(std::string_view method, const std::vector<std::string>& segments) const;
    const std::vector<route>& routes() const { return routes_; }

  private:
    std::vector<route> routes_;
    std::vector<std::vector<std::string>> patterns_; // the segments, one list per route
};

} // namespace fb::http
