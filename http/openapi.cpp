// The OpenAPI document: paths from the route table itself, so that it cannot name what does not exist or forget what
// does; schemas from here.
#include <algorithm>

#include "http/handlers.hpp"
#include "http/json.hpp"

namespace fb::http {

namespace {

constexpr std::string_view schemas = R"json({
"Problem":{"type":"object","required":["type","title","status","reason","detail"],"properties":{"type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},"reason":{"type":"string"},"detail":{"type":"string"}}},
"Device":{"type":"object","required":["id","device_id","online","tags"],"properties":{"id":{"type":"string","format":"uuid"},"device_id":{"type":"string"},"type":{"type":["string","null"]},"name":{"type":["string","null"]},"firmware_version":{"type":["string","null"]},"last_seen":{"type":["string","null"],"format":"date-time"},"ip":{"type":["string","null"]},"online":{"type":"boolean"},"tags":{"type":"array","items":{"type":"string"}},"hw_rev":{"type":["string","null"]},"attributes":{"type":"object"},"cert_fingerprint":{"type":["string","null"]},"first_seen":{"type":["string","null"],"format":"date-time"},"updates_blocked_until":{"type":["string","null"],"format":"date-time"},"fail_streak":{"type":"integer"},"open_update":{"oneOf":[{"$ref":"#/components/schemas/Update"},{"type":"null"}]}}},
"DeviceList":{"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/Device"}},"next":{"type":["string","null"]}}},
"DevicePatch":{"type":"object","additionalProperties":false,"minProperties":1,"properties":{"name":{"type":"string","maxLength":128},"type":{"type":"string","minLength":1,"maxLength":64},"tags":{"type":"array","maxItems":32,"items":{"type":"string","maxLength":64}}}},
"Explanation":{"type":"object","required":["device_id","update","reasons"],"properties":{"device_id":{"type":"string"},"update":{"oneOf":[{"$ref":"#/components/schemas/Update"},{"type":"null"}]},"reasons":{"type":"array","items":{"type":"object","required":["code","text"],"properties":{"code":{"type":"string"},"text":{"type":"string"}}}}}},
"Firmware":{"type":"object","required":["id","device_type","version","url","checksum","size","filename","state"],"properties":{"id":{"type":"string","format":"uuid"},"device_type":{"type":"string"},"version":{"type":"string"},"url":{"type":["string","null"]},"checksum":{"type":"string","pattern":"^sha256:[0-9a-f]{64}$"},"size":{"type":"integer"},"filename":{"type":"string"},"state":{"type":"string","enum":["draft","approved","revoked"]},"uploaded_by":{"type":["string","null"]},"uploaded_at":{"type":"string","format":"date-time"},"sha1":{"type":["string","null"]},"md5":{"type":["string","null"]},"min_from_version":{"type":["string","null"]},"hw_revs":{"type":"array","items":{"type":"string"}},"release_notes":{"type":["string","null"]}}},
"FirmwareList":{"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/Firmware"}},"next":{"type":["string","null"]}}},
"FirmwareUpload":{"type":"object","required":["device_type","version","file"],"properties":{"device_type":{"type":"string","maxLength":64},"version":{"type":"string","maxLength":64},"file":{"type":"string","contentMediaType":"application/octet-stream"},"hw_revs":{"type":"string","description":"a JSON array of texts, or texts separated by commas"},"min_from_version":{"type":"string"},"release_notes":{"type":"string","maxLength":65536},"signature":{"type":"string","description":"refused with 422: signing keys are not configured"},"kid":{"type":"string","description":"as signature"}}},
"Update":{"type":"object","required":["id","device_id","firmware_id","version","state","attempt","percent","bytes_sent","created_at"],"properties":{"id":{"type":"string","format":"uuid"},"device_id":{"type":"string"},"firmware_id":{"type":"string","format":"uuid"},"version":{"type":"string"},"state":{"type":"string","enum":["scheduled","pending","offered","accepted","downloading","downloaded","installing","verifying","succeeded","failed","rejected","canceled","expired","superseded","skipped"]},"attempt":{"type":"integer"},"percent":{"type":"integer"},"bytes_sent":{"type":"integer"},"created_at":{"type":"string","format":"date-time"},"sent_at":{"type":["string","null"],"format":"date-time"},"error_code":{"type":["string","null"]},"error_text":{"type":["string","null"]},"state_at":{"type":"string","format":"date-time"},"from_version":{"type":["string","null"]},"requested_by":{"type":["string","null"]},"not_before":{"type":["string","null"],"format":"date-time"},"deadline":{"type":["string","null"],"format":"date-time"},"allow_downgrade":{"type":"boolean"}}},
"UpdateList":{"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/Update"}},"next":{"type":["string","null"]}}},
"UpdateEvent":{"type":"object","required":["at","from_state","to_state","attempt","cause"],"properties":{"at":{"type":"string","format":"date-time"},"from_state":{"type":["string","null"]},"to_state":{"type":"string"},"attempt":{"type":"integer"},"cause":{"type":"string"},"detail":{"type":["string","null"]}}},
"UpdateWithEvents":{"allOf":[{"$ref":"#/components/schemas/Update"},{"type":"object","required":["events"],"properties":{"events":{"type":"array","items":{"$ref":"#/components/schemas/UpdateEvent"}}}}]},
"Trigger":{"type":"object","additionalProperties":false,"required":["firmware_id"],"properties":{"firmware_id":{"type":"string","format":"uuid"},"device_ids":{"type":"array","minItems":1,"maxItems":10000,"items":{"type":"string","maxLength":128}},"device_type":{"type":"string"},"allow_downgrade":{"type":"boolean","description":"needs the role approver"}},"oneOf":[{"required":["device_ids"]},{"required":["device_type"]}]},
"TriggerAnswer":{"type":"object","required":["updates","refused"],"properties":{"updates":{"type":"array","items":{"$ref":"#/components/schemas/Update"}},"refused":{"type":"array","items":{"type":"object","required":["device_id","reason","detail"],"properties":{"device_id":{"type":"string"},"reason":{"type":"string"},"detail":{"type":"string"}}}}}},
"UpdateResult":{"type":"object","required":["id","update_id","device_id","firmware_version","status","timestamp"],"properties":{"id":{"type":"string","format":"uuid"},"update_id":{"type":["string","null"],"format":"uuid"},"device_id":{"type":"string"},"firmware_version":{"type":["string","null"]},"status":{"type":"string","enum":["success","failed","partial"]},"timestamp":{"type":"string","format":"date-time"},"attempt":{"type":["integer","null"]},"code":{"type":["string","null"]},"message":{"type":["string","null"]},"device_time":{"type":["string","null"]},"late":{"type":"boolean"}}},
"UpdateResultList":{"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/UpdateResult"}},"next":{"type":["string","null"]}}},
"FleetVersion":{"type":"object","required":["device_type","firmware_version","devices","online"],"properties":{"device_type":{"type":["string","null"]},"firmware_version":{"type":["string","null"]},"devices":{"type":"integer"},"online":{"type":"integer"}}},
"FleetReport":{"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/FleetVersion"}},"next":{"type":["string","null"]}}},
"FirmwareSuccess":{"type":"object","required":["firmware_id","device_type","version","updates","in_progress","decided","succeeded","failed","rejected","expired","retries","success_rate","failures"],"properties":{"firmware_id":{"type":"string","format":"uuid"},"device_type":{"type":"string"},"version":{"type":"string"},"updates":{"type":"integer"},"in_progress":{"type":"integer"},"decided":{"type":"integer"},"succeeded":{"type":"integer"},"failed":{"type":"integer"},"rejected":{"type":"integer"},"expired":{"type":"integer"},"retries":{"type":"integer"},"success_rate":{"type":["number","null"],"minimum":0,"maximum":1},"failures":{"type":"array","items":{"type":"object","required":["state","error_code","updates","last_at"],"properties":{"state":{"type":"string","enum":["failed","rejected","expired"]},"error_code":{"type":["string","null"]},"updates":{"type":"integer"},"last_at":{"type":"string","format":"date-time"}}}}}},
"FirmwareReport":{"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/FirmwareSuccess"}},"next":{"type":["string","null"]}}},
"UpdateDurations":{"type":"object","required":["firmware_id","device_type","version","succeeded","p50_s","p90_s","p99_s"],"properties":{"firmware_id":{"type":"string","format":"uuid"},"device_type":{"type":"string"},"version":{"type":"string"},"succeeded":{"type":"integer"},"p50_s":{"type":["number","null"]},"p90_s":{"type":["number","null"]},"p99_s":{"type":["number","null"]}}},
"DurationReport":{"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/UpdateDurations"}},"next":{"type":["string","null"]}}},
"StuckDevice":{"type":"object","required":["device_id","device_type","update_id","firmware_id","version","state","attempt","reason","since","online","last_seen"],"properties":{"device_id":{"type":"string"},"device_type":{"type":["string","null"]},"update_id":{"type":"string","format":"uuid"},"firmware_id":{"type":"string","format":"uuid"},"version":{"type":"string"},"state":{"type":"string","enum":["scheduled","pending","offered","accepted","downloading","downloaded","installing","verifying","succeeded","failed","rejected","canceled","expired","superseded","skipped"]},"attempt":{"type":"integer"},"reason":{"type":"string","enum":["deadline_passed","step_overdue","silent","waiting"]},"since":{"type":"string","format":"date-time"},"online":{"type":"boolean"},"last_seen":{"type":["string","null"],"format":"date-time"}}},
"StuckReport":{"type":"object","required":["items","next"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/StuckDevice"}},"next":{"type":["string","null"]}}},
"Health":{"type":"object","required":["status","version","checks"],"properties":{"status":{"type":"string"},"version":{"type":"string"},"checks":{"type":"array","items":{"type":"object","required":["name","ok","text"],"properties":{"name":{"type":"string"},"ok":{"type":"boolean"},"text":{"type":"string"}}}}}}
})json";

void reference(json_text& out, std::string_view schema) {
    out.begin_object();
    out.member("$ref", "#/components/schemas/" + std::string(schema));
    out.end_object();
}

/// {"<media type>":{"schema":...}}
void content(json_text& out, std::string_view media_type, std::string_view schema) {
    out.key("content");
    out.begin_object();
    out.key(media_type);
    out.begin_object();
    if (!schema.empty()) {
        out.key("schema");
        reference(out, schema);
    }
    out.end_object();
    out.end_object();
}

void parameter(json_text& out, std::string_view name, const char* place, bool required) {
    out.begin_object();
    out.member("name", name);
    out.member("in", place);
    out.member("required", required);
    out.key("schema");
    out.raw(name == "limit" ? R"({"type":"integer","minimum":1,"maximum":500,"default":50})" : R"({"type":"string"})");
    out.end_object();
}

void parameters(json_text& out, const route& r) {
    out.key("parameters");
    out.begin_array();
    for (auto rest = r.pattern; rest.find('{') != std::string_view::npos;) {
        const auto begin = rest.find('{') + 1, end = rest.find('}');
        parameter(out, rest.substr(begin, end - begin), "path", true);
        rest.remove_prefix(end + 1);
    }
    for (const auto& name : r.query) parameter(out, name, "query", false);
    if (r.method == "POST") parameter(out, "Idempotency-Key", "header", false);
    out.end_array();
}

void request_body(json_text& out, const route& r) {
    if (r.body == body_kind::none || r.body == body_kind::optional_json) return;
    out.key("requestBody");
    out.begin_object();
    out.member("required", true);
    if (r.body == body_kind::stream)
        content(out, "multipart/form-data", "FirmwareUpload");
    else
        content(out, "application/json", r.method == "PATCH" ? "DevicePatch" : "Trigger");
    out.end_object();
}

void one_response(json_text& out, int status, std::string_view media_type, std::string_view schema) {
    out.key(std::to_string(status));
    out.begin_object();
    out.member("description", reason_phrase(status));
    if (!media_type.empty()) content(out, media_type, schema);
    out.end_object();
}

void responses(json_text& out, const route& r) {
    const bool media = r.answers_with.find('/') != std::string_view::npos;
    const auto type = media || r.answers_with.empty() ? r.answers_with : std::string_view("application/json");
    const auto schema = media ? std::string_view{} : r.answers_with;
    out.key("responses");
    out.begin_object();
    one_response(out, r.success, type, schema);
    if (r.answers_with == "TriggerAnswer") one_response(out, 200, type, schema); // all existed already
    if (type == "application/octet-stream") {
        one_response(out, 206, type, schema);
        one_response(out, 304, {}, {});
    }
    for (const int status : r.problems) one_response(out, status, "application/problem+json", "Problem");
    out.end_object();
}

void operation(json_text& out, const route& r) {
    std::string method(r.method);
    for (char& c : method) c = static_cast<char>(c | 0x20);
    out.key(method);
    out.begin_object();
    out.member("operationId", r.operation);
    out.member("summary", r.summary);
    if (r.who == access::token) {
        out.member("description", "Role: " + std::string(to_string(r.least)));
        out.key("security");
        out.raw(R"([{"bearer":[]}])");
    }
    parameters(out, r);
    request_body(out, r);
    responses(out, r);
    out.end_object();
}

} // namespace

std::string openapi_document(const router& table, const std::string& version) {
    json_text out;
    out.begin_object();
    out.member("openapi", "3.1.0");
    out.key("info");
    out.begin_object();
    out.member("title", "fotabroker");
    out.member("version", version);
    out.end_object();
    out.key("paths");
    out.begin_object();
    std::vector<std::string_view> done;
    for (const auto& first : table.routes()) {
        if (std::find(done.begin(), done.end(), first.pattern) != done.end()) continue;
        done.push_back(first.pattern);
        out.key(first.pattern);
        out.begin_object();
        for (const auto& each : table.routes())
            if (each.pattern == first.pattern) operation(out, each);
        out.end_object();
    }
    out.end_object();
    out.key("components");
    out.begin_object();
    out.key("schemas");
    out.raw(schemas);
    out.key("securitySchemes");
    out.raw(R"({"bearer":{"type":"http","scheme":"bearer"}})");
    out.end_object();
    out.end_object();
    return out.take();
}

task<response> openapi(context& ctx, request&) {
    co_return json_response(200, openapi_document(api(), ctx.config.version));
}

} // namespace fb::http
