"""A broker that starts again: on nothing, on a full store after it was killed, and on the same after it was stopped.

How long until it accepts connections, how long from CONNECT to CONNACK (the largest session among those asked), how much
its files hold; and that everything that was promised is delivered afterwards.
"""

import selectors
import signal
import socket
import statistics
import struct
import time

PREFIX = "restart-"
SESSIONS = 910
LARGE = 10  # the first so many sessions are the large ones, and fotabroker-fleet has so many publishers
MESSAGES, MESSAGES_LARGE, RETAINED = 1000, 10_000, 100_000
QUICK_DIVISOR = 10  # of these three
EMPTY_STARTS = 5
CONNACK_TIMEOUT_S = 60
FLEET_TIMEOUT_S = 170


def connect_packet(client_id):
    """MQTT 5, not clean; the session is to last for an hour, and one message at a time is enough."""
    properties = b"\x11" + struct.pack(">I", 3600) + b"\x21\0\x01"
    body = b"\0\x04MQTT\x05\0\0\0" + bytes([len(properties)]) + properties + struct.pack(">H", len(client_id)) + client_id
    return bytes([0x10, len(body)]) + body


def connack_times_ms(port, client_ids):
    """All ask at once. Each one's time from CONNECT to CONNACK, in the order of the ids."""
    waiting, took = selectors.DefaultSelector(), {}
    for client_id in client_ids:
        connection = socket.create_connection(("127.0.0.1", port))
        waiting.register(connection, selectors.EVENT_READ, client_id)
    began = time.monotonic()
    for key in list(waiting.get_map().values()):
        key.fileobj.sendall(connect_packet(key.data.encode()))
    while waiting.get_map() and time.monotonic() < began + CONNACK_TIMEOUT_S:
        for key, _ in waiting.select(1):
            answer = key.fileobj.recv(4)
            took[key.data] = (time.monotonic() - began) * 1000
            if answer[:1] != b"\x20" or answer[3:] != b"\0":
                raise RuntimeError(f"session {key.data}: {answer.hex()} is no welcome")
            waiting.unregister(key.fileobj)
            key.fileobj.close()
    if len(took) < len(client_ids):
        raise RuntimeError("no CONNACK in time")
    return [took[client_id] for client_id in client_ids]


def start_again(broker, part):
    accepting_s = broker.start()
    # One large session, and four of the others.
    ids = [f"{PREFIX}session{i}" for i in (0, LARGE, SESSIONS // 3, SESSIONS // 2, SESSIONS - 1)]
    connacks = connack_times_ms(broker.port, ids)
    return {f"{part}_accepting_ms": accepting_s * 1000, f"{part}_connack_ms": statistics.median(connacks),
            f"{part}_connack_largest_ms": connacks[0]}


def start_empty(broker):
    times = []
    for _ in range(EMPTY_STARTS):
        broker.end()
        times.append(broker.start() * 1000)
    return {"empty_accepting_ms": statistics.median(times)}


def commands(broker, quick):
    """What fotabroker-fleet is to fill the broker with, and to collect again: --part is still to be added."""
    scale = QUICK_DIVISOR if quick else 1
    target = ["--json", "--port", str(broker.port), "--client-id-prefix", PREFIX, "--timeout", str(FLEET_TIMEOUT_S)]
    return (["offline", "--sessions", str(SESSIONS), "--publishers", str(LARGE), "--messages", str(MESSAGES // scale),
             "--messages-large", str(MESSAGES_LARGE // scale), *target],
            ["retained", "--messages", str(RETAINED // scale), "--topic-prefix", "kept", *target])


def run_all(fleet, kinds, part):
    for command in kinds:
        result = fleet(*command, "--part", part)
        if "failed" in result:
            raise RuntimeError(f"{part} {command[0]}: {result['failed']}")


def measure(broker, fleet, quick):
    """`fleet` runs fotabroker-fleet with the words it is given, and returns its verdict."""
    kinds = commands(broker, quick)
    result = start_empty(broker)
    run_all(fleet, kinds, "fill")
    broker.end(signal.SIGTERM if broker.saves_at_its_end_only else signal.SIGKILL)
    result["killed_stored_mib"] = broker.stored_bytes() / 1048576
    result |= start_again(broker, "killed")
    broker.end()
    result["stopped_stored_mib"] = broker.stored_bytes() / 1048576
    result |= start_again(broker, "stopped")
    run_all(fleet, kinds, "collect")
    return result
