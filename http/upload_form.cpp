#include "http/upload_form.hpp"

#include <algorithm>

#include "fota/semver.hpp"
#include "http/json.hpp"
#include "http/trim.hpp"

namespace fb::http {

namespace {

struct field_rule {
    std::string_view name;
    std::size_t bytes_max;
};
constexpr field_rule rules[] = {
    {"device_type", 64}, {"version", 64}, {"min_from_version", 64}, {"hw_revs", 1024}, {"release_notes", 64 * 1024},
};

const field_rule* rule_of(std::string_view name) {
    const auto found = std::find_if(std::begin(rules), std::end(rules), [&](const auto& r) { return r.name == name; });
    return found == std::end(rules) ? nullptr : found;
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

problem missing(const char* field) {
    return {400, "missing_field", "the form lacks the field \"" + std::string(field) + "\""};
}

} // namespace

bool upload_form::on_part(const part_header& header) {
    current_ = header.name;
    if (current_ == "signature" || current_ == "kid")
        return refuse(
            422, "no_signing_keys",
            "no signing keys are configured on this gateway, so a signature cannot be verified; upload without "
            "\"signature\" and \"kid\"");
    const bool twice = current_ == "file" ? has_file_ : fields_.contains(current_);
    if (twice) return refuse(400, "repeated_field", "the form has the field \"" + current_ + "\" twice");
    if (current_ == "file") {
        has_file_ = true;
        filename_ = safe_filename(header.filename.value_or(""));
        return true;
    }
    if (!rule_of(current_))
        return refuse(
            400, "unknown_field",
            "the form's field \"" + (valid_utf8(current_) ? current_.substr(0, 64) : "?") +
                "\" is unknown; known are file, device_type, version, hw_revs, min_from_version, release_notes");
    fields_[current_];
    return true;
}

bool upload_form::on_data(std::string_view bytes) {
    if (current_ == "file") {
        file_bytes_ += bytes.size();
        if (file_bytes_ > file_bytes_max_)
            return refuse(413, "too_large", "the file is longer than " + std::to_string(file_bytes_max_) + " bytes");
        pending_.append(bytes);
        return true;
    }
    auto& value = fields_[current_];
    const auto limit = rule_of(current_)->bytes_max;
    if (value.size() + bytes.size() > limit)
        return refuse(400, "field_too_long", "\"" + current_ + "\" is longer than " + std::to_string(limit) + " bytes");
    value.append(bytes);
    return true;
}

bool upload_form::on_part_end() {
    if (current_ == "file") return true;
    const auto& value = fields_[current_];
    if (!valid_utf8(value)) return refuse(400, "invalid_field", "\"" + current_ + "\" is not UTF-8");
    if (current_ != "release_notes" && has_control(value))
        return refuse(400, "invalid_field", "\"" + current_ + "\" holds control characters");
    return true;
}

bool upload_form::refuse(int status, std::string reason, std::string detail) {
    refused_ = problem{status, std::move(reason), std::move(detail)};
    return false;
}

std::optional<problem> upload_form::check(const std::vector<std::string>& free_version_types) const {
    const auto type = field("device_type"), version = field("version"), from = field("min_from_version");
    if (!type || type->empty()) return missing("device_type");
    if (!version || version->empty()) return missing("version");
    if (!has_file_) return missing("file");
    if (file_bytes_ == 0) return problem{400, "empty_file", "the file is empty"};
    const bool free =
        std::find(free_version_types.begin(), free_version_types.end(), *type) != free_version_types.end();
    const auto bad = [&](const std::string& text) { return !free && !fota::parse_semver(text); };
    constexpr auto hint =
        "\" is not a semantic version such as 1.2.0 (another scheme must be allowed for the device type)";
    if (bad(*version)) return problem{400, "invalid_version", "version \"" + *version + hint};
    if (from && bad(*from)) return problem{400, "invalid_version", "min_from_version \"" + *from + hint};
    if (const auto revs = field("hw_revs"); revs && !parse_hw_revs(*revs))
        return problem{400, "invalid_field", "hw_revs must be a JSON array of texts, or texts separated by commas"};
    return std::nullopt;
}

std::optional<std::string> upload_form::field(const std::string& name) const {
    const auto found = fields_.find(name);
    return found == fields_.end() ? std::nullopt : std::optional(found->second);
}

std::string upload_form::hw_revs() const {
    return to_json(parse_hw_revs(field("hw_revs").value_or("")).value_or(std::vector<std::string>{}));
}

std::string upload_form::canonical(const std::string& file_sha256) const {
    std::vector<std::string> all{filename_, file_sha256};
    for (const auto& [name, value] : fields_) {
        all.push_back(name);
        all.push_back(value);
    }
    return to_json(all);
}

std::string safe_filename(std::string_view offered) {
    offered = offered.substr(offered.find_last_of("/\\") + 1); // npos + 1 is 0
    std::string name;
    for (const char c : offered.substr(0, 128)) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        name.push_back(plain || c == '.' || c == '_' || c == '-' ? c : '_');
    }
    if (name.find_first_not_of('.') == std::string::npos) return "firmware.bin";
    if (name.front() == '.') name.front() = '_';
    return name;
}

std::optional<std::vector<std::string>> parse_hw_revs(std::string_view text) {
    if (trimmed(text).starts_with('[')) {
        auto wrapped = json_object::parse("{\"hw_revs\":" + std::string(text) + "}");
        if (!wrapped || wrapped->refuse_unknown({"hw_revs"})) return std::nullopt;
        auto revs = wrapped->texts("hw_revs", 64, 64);
        return revs ? *revs : std::nullopt;
    }
    std::vector<std::string> revs;
    while (!text.empty()) {
        const auto piece = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), piece.size() + 1));
        if (trimmed(piece).empty() || trimmed(piece).size() > 64 || revs.size() == 64) return std::nullopt;
        revs.emplace_back(trimmed(piece));
    }
    return revs;
}

} // namespace fb::http
