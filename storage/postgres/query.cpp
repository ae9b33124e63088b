#include "storage/postgres/query.hpp"

namespace fb::storage::postgres {

query::query(link& db, std::string_view sql)
    : db_(db) {
    int number = 0;
    for (const char c : sql) {
        if (c == '?')
            command_.sql += "$" + std::to_string(++number);
        else
            command_.sql += c;
    }
}

void query::add(parameter value) {
    if (value && !storable(*value)) error_ = not_storable();
    command_.values.push_back(std::move(value));
}

void query::execute() {
    for (const bool last_try : {false, true}) {
        const auto connected = db_.get();
        if (!connected) {
            error_ = connected.err();
            return;
        }
        answers ran = (*connected)->run(command_);
        if (!ran.failed) {
            answer_ = std::move(ran.of.at(0));
            return;
        }
        error_ = ran.failed->why;
        if (!ran.failed->lost) return;
        db_.drop();
        if (last_try) return;
        error_.reset();
    }
}

bool query::next() {
    if (!answer_ && !error_) execute();
    column_ = 0;
    return !error_ && ++row_ < answer_->count();
}

status query::ended() const {
    if (error_) return *error_;
    return done{};
}

} // namespace fb::storage::postgres
