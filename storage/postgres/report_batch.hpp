// Many record_report operations as few statements. Reports that share a device, an update or an event key are put into
// different rounds, in their order; a round is one statement, and nothing in it can see another's work.
// Used by one thread, filled and emptied once.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "storage/postgres/fota_writes.hpp"
#include "storage/postgres/row_set.hpp"

namespace fb::storage::postgres {

class report_batch {
  public:
    /// `place`: of the operation in the whole batch.
    void add(std::size_t place, const record_report& report);
    /// One command for each round, appended; begins anew.
    void move_to(std::vector<work>& out);

  private:
    struct round {
        round();
        std::vector<std::size_t> places;
        row_set devices, changes, results, events, owners, hints;
    };
    round& round_for(const record_report& report);

    std::vector<round> rounds_;
    std::map<std::string, std::size_t> next_round_; // by what a report touches
};

} // namespace fb::storage::postgres
