// RFC 9457 problem details: what every refused request is answered with. Values only; any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fota/service.hpp"
#include "storage/error.hpp"

namespace fb::http {

using header_list = std::vector<std::pair<std::string, std::string>>;

struct problem {
    int status = 500;
    std::string reason; // a stable word for programs: "not_found", "version_exists"...
    std::string detail; // for people: what, where, what to do
    header_list headers{};
    std::string members{}; // further JSON members, as `"refused":[...]`
};

/// {"type":"urn:fotabroker:problem:<reason>","title":"Not Found","status":404,"reason":...,"detail":...}
std::string to_json(const problem& p);

problem from_fota(fota::problem p);
problem from_storage(const storage::error& e);

/// "Not Found"; "Unknown" for codes we never send.
const char* reason_phrase(int status) noexcept;

/// A value, or why there is none.
template <class T>
class or_problem {
  public:
    or_problem(T value)
        : value_(std::move(value)) {}
    or_problem(problem p)
        : problem_(std::move(p)) {}

    explicit operator bool() const noexcept { return value_.has_value(); }
    T& operator*() { return *value_; }
    const T& operator*() const { return *value_; }
    T* operator->() { return &*value_; }
    const T* operator->() const { return &*value_; }
    problem& why() { return problem_; }

  private:
    std::optional<T> value_;
    problem problem_;
};

} // namespace fb::http
