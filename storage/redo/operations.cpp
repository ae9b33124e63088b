#include "storage/redo/operations.hpp"

namespace fb::storage::redo {

namespace {

// In the file: never change one, add at the end.
enum tag : std::uint8_t {
    tag_put_session = 1,
    tag_delete_session,
    tag_put_subscription,
    tag_delete_subscription,
    tag_enqueue,
    tag_set_delivery,
    tag_dequeue,
    tag_put_received,
    tag_delete_received,
    tag_put_retained,
};

class operation_writer {
  public:
    explicit operation_writer(std::string& out)
        : out_(out) {}

    void operator()(const put_session& op) {
        const session_record& s = op.row;
        begin(tag_put_session, s.number);
        put_text(out_, s.client_id);
        put_text(out_, s.principal);
        put_number(out_, s.protocol);
        put_number(out_, s.expiry_s);
        put_number(out_, static_cast<std::uint64_t>(s.ended_at));
        put_number(out_, s.will_retain);
        put_number(out_, s.will_delay_s);
        write(s.will.value_or(message_record{}));
    }
    void operator()(const delete_session& op) { begin(tag_delete_session, op.number); }
    void operator()(const put_subscription& op) {
        begin(tag_put_subscription, op.row.session);
        put_text(out_, op.row.filter);
        put_number(out_, op.row.options);
        put_number(out_, op.row.subscription_id);
    }
    void operator()(const delete_subscription& op) {
        begin(tag_delete_subscription, op.session);
        put_text(out_, op.filter);
    }
    void operator()(const enqueue& op) {
        const queue_record& q = op.row;
        begin(tag_enqueue, q.session);
        put_number(out_, q.sequence);
        put_number(out_, q.quality);
        put_number(out_, q.retain);
        put_number(out_, q.packet_id);
        put_number(out_, static_cast<std::uint64_t>(q.state));
        put_number(out_, q.subscription_ids.size());
        for (const std::uint32_t id : q.subscription_ids) put_number(out_, id);
        write(op.message);
    }
    void operator()(const set_delivery& op) {
        begin(tag_set_delivery, op.session);
        put_number(out_, op.sequence);
        put_number(out_, op.packet_id);
        put_number(out_, static_cast<std::uint64_t>(op.state));
    }
    void operator()(const dequeue& op) {
        begin(tag_dequeue, op.session);
        put_number(out_, op.sequence);
    }
    void operator()(const put_received& op) {
        begin(tag_put_received, op.session);
        put_number(out_, op.packet_id);
    }
    void operator()(const delete_received& op) {
        begin(tag_delete_received, op.session);
        put_number(out_, op.packet_id);
    }
    void operator()(const put_retained& op) {
        begin(tag_put_retained, op.version);
        put_text(out_, op.topic);
        write(op.message);
    }

  private:
    void begin(tag what, std::uint64_t number) {
        out_ += char(what);
        put_number(out_, number);
    }
    void write(const message_record& m) {
        put_number(out_, m.id);
        if (m.id == 0) return;
        const bool known = !written_.insert(m.id).second;
        put_number(out_, known);
        if (known) return;
        put_text(out_, m.topic);
        put_text(out_, m.payload);
        put_text(out_, m.properties);
        put_number(out_, m.quality);
        put_number(out_, static_cast<std::uint64_t>(m.expires_at));
        put_number(out_, m.publisher);
    }

    std::string& out_;
    boost::unordered_flat_set<std::uint64_t> written_; // messages, by id
};

} // namespace

void encode(std::span<const session_operation> operations, std::string& out) {
    operation_writer writer(out);
    for (const session_operation& op : operations) std::visit(writer, op);
}

operation_reader::operation_reader(std::string_view bytes, std::shared_ptr<const void> owner)
    : in_(bytes)
    , owner_(std::move(owner)) {}

std::optional<session_operation> operation_reader::next() {
    if (in_.at_end()) return std::nullopt;
    auto operation = read(static_cast<std::uint8_t>(in_.fixed(1)));
    if (!in_.ok()) return std::nullopt;
    return operation;
}

session_operation operation_reader::read(std::uint8_t tag) {
    switch (tag) {
    case tag_put_session: return put_session{read_session()};
    case tag_delete_session: return delete_session{in_.number()};
    case tag_put_subscription: {
        put_subscription op;
        op.row.session = in_.number();
        op.row.filter = in_.text();
        op.row.options = in_.small<std::uint8_t>();
        op.row.subscription_id = in_.small<std::uint32_t>();
        return op;
    }
    case tag_delete_subscription: {
        delete_subscription op;
        op.session = in_.number();
        op.filter = in_.text();
        return op;
    }
    case tag_enqueue: {
        enqueue op{read_delivery(), read_message()};
        op.row.message = op.message.id;
        return op;
    }
    case tag_set_delivery: {
        set_delivery op;
        op.session = in_.number();
        op.sequence = in_.number();
        op.packet_id = in_.small<std::uint16_t>();
        op.state = static_cast<delivery_state>(in_.small<std::uint8_t>());
        return op;
    }
    case tag_dequeue: {
        dequeue op;
        op.session = in_.number();
        op.sequence = in_.number();
        return op;
    }
    case tag_put_received: {
        put_received op;
        op.session = in_.number();
        op.packet_id = in_.small<std::uint16_t>();
        return op;
    }
    case tag_delete_received: {
        delete_received op;
        op.session = in_.number();
        op.packet_id = in_.small<std::uint16_t>();
        return op;
    }
    case tag_put_retained: {
        put_retained op;
        op.version = in_.number();
        op.topic = in_.text();
        op.message = read_message();
        return op;
    }
    default: in_.fail(); return delete_session{};
    }
}

session_record operation_reader::read_session() {
    session_record s;
    s.number = in_.number();
    s.client_id = in_.text();
    s.principal = in_.text();
    s.protocol = in_.small<std::uint8_t>();
    s.expiry_s = in_.small<std::uint32_t>();
    s.ended_at = in_.small<unix_ms>();
    s.will_retain = in_.number() != 0;
    s.will_delay_s = in_.small<std::uint32_t>();
    if (auto will = read_message(); will.id != 0) s.will = std::move(will);
    return s;
}

queue_record operation_reader::read_delivery() {
    queue_record q;
    q.session = in_.number();
    q.sequence = in_.number();
    q.quality = in_.small<std::uint8_t>();
    q.retain = in_.number() != 0;
    q.packet_id = in_.small<std::uint16_t>();
    q.state = static_cast<delivery_state>(in_.small<std::uint8_t>());
    for (auto left = in_.number(); left != 0 && in_.ok(); --left)
        q.subscription_ids.push_back(in_.small<std::uint32_t>());
    return q;
}

message_record operation_reader::read_message() {
    message_record m;
    m.id = in_.number();
    if (m.id == 0) return m;
    if (in_.number() != 0) {
        const auto known = messages_.find(m.id);
        if (known == messages_.end()) return in_.fail(), message_record{};
        return known->second;
    }
    m.topic = in_.text();
    m.payload = in_.text();
    m.properties = in_.text();
    m.quality = in_.small<std::uint8_t>();
    m.expires_at = in_.small<unix_ms>();
    m.publisher = in_.number();
    m.owner = owner_;
    if (in_.ok()) messages_.emplace(m.id, m);
    return m;
}

} // namespace fb::storage::redo
