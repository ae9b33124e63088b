#include "broker/app/database_copy.hpp"

#include <algorithm>
#include <charconv>
#include <istream>
#include <ostream>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#include <stdexcept>

#include "certs/digest.hpp"

namespace fb::app {
namespace {

using storage::column_type;
using storage::raw_row;
using storage::table;
using json_writer = rapidjson::Writer<rapidjson::StringBuffer>;

constexpr int format_version = 1;
constexpr int rows_at_once = 500;
constexpr std::size_t line_bytes_max = 16 << 20;

void require(const storage::status& s) {
    if (!s) throw std::runtime_error(s.err().text);
}

void write_value(json_writer& w, const std::optional<std::string>& value, column_type type) {
    if (!value) {
        w.Null();
    } else if (type == column_type::boolean) {
        w.Bool(*value == "true");
    } else if (type == column_type::integer || type == column_type::bigint) {
        std::int64_t number = 0;
        std::from_chars(value->data(), value->data() + value->size(), number);
        w.Int64(number);
    } else {
        w.String(*value);
    }
}

std::string line_of(const table& t, const raw_row& row) {
    rapidjson::StringBuffer buffer;
    json_writer w(buffer);
    w.StartObject();
    w.Key("table");
    w.String(t.name);
    w.Key("row");
    w.StartObject();
    const auto columns = storage::split_columns(t.columns);
    for (std::size_t i = 0; i < row.size(); ++i) {
        w.Key(columns[i].data(), static_cast<rapidjson::SizeType>(columns[i].size()));
        write_value(w, row[i], t.types[i]);
    }
    w.EndObject();
    w.EndObject();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

std::string first_line(int schema_version) {
    return "{\"fotabroker_export\":" + std::to_string(format_version) +
           ",\"schema_version\":" + std::to_string(schema_version) + "}\n";
}

std::string last_line(const copied& c) {
    rapidjson::StringBuffer buffer;
    json_writer w(buffer);
    w.StartObject();
    w.Key("rows");
    w.StartObject();
    for (const auto& [name, count] : c.rows) {
        w.Key(name.c_str());
        w.Int64(count);
    }
    w.EndObject();
    w.Key("sha256");
    w.String(c.sha256);
    w.EndObject();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

storage::database_state state_of(storage::raw_tables& db) {
    auto state = db.state();
    if (!state) throw std::runtime_error(state.err().text);
    if (state->version != state->known) {
        throw std::runtime_error(state->place + " has schema version " + std::to_string(state->version) +
                                 ", this program knows " + std::to_string(state->known) +
                                 ": `fotabroker db migrate` brings an older one up to date");
    }
    return *state;
}

/// Reads lines, checks them, and gives batches of rows of one table to the database.
class import_run {
  public:
    import_run(std::istream& in, storage::raw_tables& to, const copy_progress& progress)
        : in_(in)
        , to_(to)
        , progress_(progress) {
        for (const table& t : storage::fota_tables()) done_.rows.emplace_back(t.name, 0);
    }

    copied run(int schema_version) {
        begin(schema_version);
        while (next()) {
            if (document_.HasMember("sha256")) return end();
            hash_.update(line_ + "\n");
            take_row();
        }
        fail("the file ends here without its last line: it is cut short");
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw std::runtime_error("line " + std::to_string(number_) + ": " + what + "; nothing was imported");
    }

    bool next() {
        if (!read_line()) return false;
        document_.SetNull();
        document_.GetAllocator().Clear(); // it keeps what earlier lines took otherwise
        document_.Parse<rapidjson::kParseIterativeFlag>(line_.data(), line_.size()); // no recursion
        if (document_.HasParseError() || !document_.IsObject()) fail("is not a JSON object");
        return true;
    }

    bool read_line() {
        line_.clear();
        ++number_;
        auto& bytes = *in_.rdbuf();
        int c = bytes.sbumpc();
        const bool some = c != EOF;
        for (; c != EOF && c != '\n'; c = bytes.sbumpc()) {
            if (line_.size() == line_bytes_max) fail("is too long");
            line_.push_back(static_cast<char>(c));
        }
        if (!some) --number_;
        return some;
    }

    /// Of the line's object; null: it has no such member.
    const rapidjson::Value* member(const char* name) const {
        return document_.HasMember(name) ? &document_[name] : nullptr;
    }

    void begin(int schema_version) {
        if (!next() || !document_.HasMember("fotabroker_export")) fail("is not the beginning of an export");
        const auto& format = document_["fotabroker_export"];
        if (!format.IsInt() || format.GetInt() != format_version)
            fail("the export has a format this program does not know");
        const rapidjson::Value* version = member("schema_version");
        if (version == nullptr || !version->IsInt() || version->GetInt() != schema_version) {
            fail("the export is of another schema version than the database, which has " +
                 std::to_string(schema_version) + ": migrate the one it came from, and export again");
        }
        hash_.update(line_ + "\n");
    }

    void take_row() {
        const rapidjson::Value* name = member("table");
        const rapidjson::Value* row = member("row");
        if (name == nullptr || !name->IsString() || row == nullptr || !row->IsObject()) fail("has no table and row");
        const auto& all = storage::fota_tables();
        const auto found = std::find_if(all.begin(), all.end(),
                                        [&](const table& t) { return t.name == std::string_view(name->GetString()); });
        if (found == all.end()) fail(std::string("there is no table \"") + name->GetString() + "\"");
        if (table_ != &*found || waiting_.size() >= rows_at_once) flush();
        table_ = &*found;
        waiting_.push_back(row_from(*row));
        const auto count = ++done_.rows[static_cast<std::size_t>(found - all.begin())].second;
        if (count % rows_at_once == 0) progress_(found->name, count);
    }

    raw_row row_from(const rapidjson::Value& object) const {
        const auto columns = storage::split_columns(table_->columns);
        if (object.MemberCount() != columns.size()) fail("has not the columns of the table");
        raw_row row;
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const auto value = object.FindMember(std::string(columns[i]).c_str());
            if (value == object.MemberEnd()) fail("has no column " + std::string(columns[i]));
            row.push_back(text_of(value->value, table_->types[i], columns[i]));
        }
        return row;
    }

    std::optional<std::string> text_of(const rapidjson::Value& value, column_type type, std::string_view column) const {
        if (value.IsNull()) return std::nullopt;
        if (type == column_type::boolean && value.IsBool()) return value.GetBool() ? "true" : "false";
        const bool number = type == column_type::integer || type == column_type::bigint;
        if (number && value.IsInt64()) return std::to_string(value.GetInt64());
        if (number || type == column_type::boolean || !value.IsString())
            fail("column " + std::string(column) + " has a value of the wrong kind");
        return std::string(value.GetString(), value.GetStringLength());
    }

    void flush() {
        if (waiting_.empty()) return;
        if (auto written = to_.write(*table_, waiting_); !written)
            fail(std::string("this or one of the rows before it does not fit into ") + table_->name + ": " +
                 written.err().text);
        waiting_.clear();
    }

    copied end() {
        flush();
        done_.sha256 = hash_.finish_hex();
        if (line_ + "\n" != last_line(done_)) fail("counts or checksum differ: the file was changed or damaged");
        return done_;
    }

    std::istream& in_;
    storage::raw_tables& to_;
    const copy_progress& progress_;
    copied done_;
    certs::digest hash_{certs::digest_kind::sha256};
    std::string line_;
    std::size_t number_ = 0;
    rapidjson::Document document_;
    const table* table_ = nullptr;
    std::vector<raw_row> waiting_;
};

} // namespace

copied export_database(storage::raw_tables& from, std::ostream& out, const copy_progress& progress) {
    require(from.begin(false));
    copied done;
    certs::digest hash(certs::digest_kind::sha256);
    const auto put = [&](const std::string& line) {
        hash.update(line);
        if (!out.write(line.data(), static_cast<std::streamsize>(line.size())))
            throw std::runtime_error("the export cannot be written: is the disk full?");
    };
    put(first_line(state_of(from).version));
    for (const table& t : storage::fota_tables()) {
        std::int64_t count = 0;
        for (raw_row after;;) {
            const auto rows = from.read(t, after, rows_at_once);
            if (!rows) throw std::runtime_error(rows.err().text);
            if (rows->empty()) break;
            for (const raw_row& row : *rows) put(line_of(t, row));
            count += static_cast<std::int64_t>(rows->size());
            after = rows->back();
            progress(t.name, count);
        }
        done.rows.emplace_back(t.name, count);
    }
    require(from.commit());
    done.sha256 = hash.finish_hex();
    if (!(out << last_line(done) << std::flush))
        throw std::runtime_error("the export cannot be written: is the disk full?");
    return done;
}

copied import_database(std::istream& in, storage::raw_tables& to, const copy_progress& progress) {
    require(to.begin(true));
    const auto state = state_of(to);
    for (const auto& [name, count] : state.rows) {
        if (count > 0)
            throw std::runtime_error(state.place + " is not empty: " + name + " has " + std::to_string(count) +
                                     " rows. An import needs a database of its own");
    }
    copied done = import_run(in, to, progress).run(state.version);
    require(to.commit());
    return done;
}

} // namespace fb::app
