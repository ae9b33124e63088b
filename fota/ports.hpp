// What FOTA asks of the world, and what the world tells it. FOTA knows no broker, no HTTP and no clock of its own: the
// executable joins it to them (broker/app), tests join it to a list of published messages.
//
// Everything here happens on the FOTA thread unless it says otherwise. Views are valid during the call.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "storage/fota_store.hpp"

namespace fb::fota {

/// Names one connection of a device (a device may hold several: "dev1", "dev1/sub"). `epoch` rises with every CONNECT
/// on this gateway, so that a late disconnect cannot end a newer connection.
struct connection_ref {
    std::uint64_t session = 0; // opaque, the broker's handle
    std::uint64_t epoch = 0;
    friend auto operator<=>(const connection_ref&, const connection_ref&) = default;
};

/// Who speaks. Nothing of it is taken from payloads.
struct peer {
    std::string device_id;
    connection_ref connection;
    std::string address;                                // textual IP of the peer as seen, without port
    std::optional<std::string> certificate_fingerprint; // set when a certificate of the device CA vouches for the id
};

/// Given with a report, handed back with the verdict exactly once; opaque.
struct ack_token {
    std::uint64_t value = 0;
    std::uint32_t shard = 0;
};

/// How a report ends for the sender. Each maps to one MQTT 5 reason code.
enum class verdict {
    accepted,    // 0x00: its database row is committed (or there was nothing to write)
    malformed,   // 0x99: bad JSON, wrong type, oversize; never worth sending again
    refused,     // 0x87: unregistered device, not its own topic
    unavailable, // not committed: no acknowledgement may be sent; the connection is to be closed with 0x97/0x83
};

/// The broker's side, called by FOTA.
class broker_port {
  public:
    virtual ~broker_port() = default;

    /// QoS 1, not retained, live only: reaches whoever is connected and subscribed now, is queued for nobody.
    virtual void publish_live(std::string_view topic, std::string payload, std::uint32_t expiry_s) = 0;

    /// QoS 0 to the one connection that asked: `data` as the payload. With `response_topic` empty the topic is `topic`.
    /// In MQTT 5 `correlation` and, on a response topic, the user property "offset" go along.
    struct chunk {
        connection_ref to;
        std::string topic;
        std::string response_topic;
        std::string correlation;
        std::uint64_t offset = 0;
        std::string data;
    };
    virtual void deliver(chunk c) = 0;

    /// Releases the acknowledgement of a report.
    virtual void acknowledge(ack_token token, verdict v, std::string_view reason) = 0;
};

/// The database's side: submits to the group-commit writer; `done` runs later on the FOTA thread, in order of
/// submission.
class store_port {
  public:
    virtual ~store_port() = default;
    virtual void submit(storage::fota_operation op, std::function<void(storage::fota_outcome)> done) = 0;
    /// Queries block; they are for the start and for what memory does not hold.
    virtual storage::fota_reader& reader() = 0;
};

} // namespace fb::fota
