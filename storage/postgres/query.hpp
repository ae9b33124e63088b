// One run of a query for sql_fota_reader: values in, rows out, an error that sticks. Sent when the first row is asked
// for, and once more when the connection turns out to be a dead one: a query changes nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/postgres/link.hpp"
#include "storage/postgres/values.hpp"

namespace fb::storage::postgres {

class query {
  public:
    /// Each "?" in `sql` is a value.
    query(link& db, std::string_view sql);

    template <class... Values>
    query& with(const Values&... values) {
        (add(to_parameter(values)), ...);
        return *this;
    }

    /// Moves to the next row. False: no more, or failed; ended() tells.
    bool next();
    status ended() const;

    /// Reads the columns of the present row from left to right.
    template <class T>
    query& operator>>(T& out) {
        from_text(answer_->at(row_, column_++), out);
        return *this;
    }

  private:
    void add(parameter value);
    void execute();

    link& db_;
    command command_;
    std::optional<rows> answer_;
    std::optional<error> error_;
    int row_ = -1;
    int column_ = 0;
};

} // namespace fb::storage::postgres
