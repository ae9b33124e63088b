"""Statements of the standards that only the real binary can show."""

import os
import re

from support import raw
from support.case import Case, main
from support.mqtt import mosquitto_pub, mosquitto_sub


def sockets_of(pid):
    """(local port, state) of the process's TCP sockets; state 01 is a connection, 0A a listener."""
    folder = f"/proc/{pid}/fd"
    inodes = set()
    for name in os.listdir(folder):
        try:
            found = re.match(r"socket:\[(\d+)\]", os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:
            continue  # closed meanwhile
        if found:
            inodes.add(found[1])
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as lines:
            for fields in (line.split() for line in list(lines)[1:]):
                if fields[9] in inodes:
                    yield int(fields[1].rpartition(":")[2], 16), fields[3]


class Wire(Case):
    def test_connects_to_no_other_server(self):
        """v5[MQTT-7.0.0-1] the broker accepts connections and opens none, so it need not conform as a client"""
        b = self.broker()
        client = self.raw(b, client_id="c")
        client.send(raw.publish("a", b"x", qos=1))
        self.assertEqual(client.receive()[0], raw.PUBACK)
        sockets = list(sockets_of(b.process.pid))
        listening = {local for local, state in sockets if state == "0A"}
        self.assertIn(b.plain_port, listening)
        connected = {local for local, state in sockets if state == "01"}
        self.assertEqual(connected, {b.plain_port})

    def test_needs_no_extension(self):
        """v5[MQTT-7.0.0-2] clients of another implementation, without any property of ours, publish and subscribe"""
        b = self.broker()
        for version in ("mqttv311", "mqttv5"):
            s = mosquitto_sub(b.plain_port, "-V", version, "-q", "2", "-t", "t/" + version)
            self.addCleanup(s.end)
            done = mosquitto_pub(b.plain_port, "-V", version, "-q", "2", "-t", "t/" + version, "-m", "hello")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(s.messages(1), ["hello"])

    def test_tcp_is_a_stream(self):
        """v5[MQTT-4.2.0-1] v5[MQTT-7.1.1-1] over TCP, a byte at a time or everything at once"""
        b = self.broker()
        packets = raw.connect("c") + raw.subscribe("a", 0) + raw.publish("a", b"hello") + raw.packet(raw.PINGREQ)
        for pieces in ([packets], [packets[i:i + 1] for i in range(len(packets))]):
            client = self.raw(b)
            for piece in pieces:
                client.send(piece)
            kinds = [client.receive()[0] for _ in range(4)]
            self.assertEqual(kinds, [raw.CONNACK, raw.SUBACK, raw.PUBLISH, raw.PINGRESP])


if __name__ == "__main__":
    main()
