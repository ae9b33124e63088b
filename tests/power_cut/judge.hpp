// Opens what a power cut left as the product does at its start, and says what is wrong with it.
//
// Two measures: the store holds exactly what it held after its last acknowledged commit, or after the one that was
// going on; and of what clients were promised by then, present is present and absent is absent. Cuts come in rising
// order.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "load.hpp"
#include "vfs.hpp"

namespace fb::cut {

using lines = std::vector<std::string>;

/// The content of a store after so many commits, for rising numbers.
class history {
  public:
    explicit history(const std::vector<commit>& commits);
    const lines& after(std::size_t commits);

  private:
    void reopen();

    const std::vector<commit>& commits_;
    std::unique_ptr<storage::session_store> store_;
    std::size_t applied_ = 0;
    lines lines_;
};

class judge {
  public:
    judge(vfs& v, std::filesystem::path file, const recording& r);

    /// Of the disk that a cut after `k` operations left. Empty: all is well. With `again` power goes once more while
    /// the store is opened, and the next start must find the same.
    std::string verdict(disk_image left, std::size_t k, std::uint64_t seed, bool again);
    std::size_t promises_checked() const { return promises_checked_; }

  private:
    struct found {
        std::string problem;
        lines content;
        std::set<std::string> things; // as in promises.hpp
    };
    found open(disk& d);
    std::string compare(const found& f, std::size_t k);
    std::string broken_promise(const found& f, std::size_t k);

    vfs& vfs_;
    std::filesystem::path file_;
    const recording& recorded_;
    history acknowledged_;
    history begun_;
    std::map<std::string, promise::kind> promised_;
    std::size_t next_promise_ = 0;
    std::size_t promises_checked_ = 0;
};

} // namespace fb::cut
