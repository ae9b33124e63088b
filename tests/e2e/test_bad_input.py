"""Clients that break the protocol or mean harm, against a well-behaved pair whose traffic goes on and is verified:
malformed packets of each type, oversize and endless packets before CONNECT, connections that drip."""

import os
import struct
import time

from support import raw
from support.broker import eventually
from support.case import Case, main
from support.good import GoodPair
from support.raw import RawClient, packet, text


# name -> bytes that a client may send after a good CONNECT, each wrong for the server.
MALFORMED = {
    "a second CONNECT": raw.connect("again"),
    "CONNACK": packet(raw.CONNACK, b"\0\0\0"),
    "PUBLISH with QoS 3": packet(raw.PUBLISH, text("t") + b"\0\1\0", 6),
    "PUBLISH with a wildcard": raw.publish("a/#"),
    "PUBLISH with NUL in the topic": raw.publish(b"a\0b"),
    "PUBLISH with bad UTF-8": raw.publish(b"\xff\xfe"),
    "PUBLISH with packet id 0": raw.publish("t", qos=1, packet_id=0),
    "PUBLISH whose topic is longer than the packet": packet(raw.PUBLISH, b"\xff\xfftopic"),
    "PUBLISH without a topic and alias": raw.publish(""),
    "PUBLISH with alias 0": raw.publish("t", props=b"\x23\0\0"),
    "PUBLISH with an unknown alias": raw.publish("", props=b"\x23\0\5"),
    "PUBLISH with properties longer than the packet": packet(raw.PUBLISH, text("t") + b"\x7f\1"),
    "PUBACK too short": packet(raw.PUBACK, b"\0"),
    "PUBACK with flags": packet(raw.PUBACK, b"\0\1", 1),
    "PUBREC with an unknown reason": packet(raw.PUBREC, b"\0\1\x42"),
    "PUBREL with flags 0": packet(raw.PUBREL, b"\0\1", 0),
    "PUBCOMP too short": packet(raw.PUBCOMP, b""),
    "SUBSCRIBE with flags 0": packet(raw.SUBSCRIBE, b"\0\1\0" + text("a") + b"\0", 0),
    "SUBSCRIBE without a filter": packet(raw.SUBSCRIBE, b"\0\1\0"),
    "SUBSCRIBE with reserved options": packet(raw.SUBSCRIBE, b"\0\1\0" + text("a") + b"\xc0"),
    "SUBSCRIBE with QoS 3": packet(raw.SUBSCRIBE, b"\0\1\0" + text("a") + b"\3"),
    "SUBSCRIBE with packet id 0": packet(raw.SUBSCRIBE, b"\0\0\0" + text("a") + b"\0"),
    "SUBSCRIBE shared with no-local": packet(raw.SUBSCRIBE, b"\0\1\0" + text("$share/g/a") + b"\4"),
    "SUBACK": packet(raw.SUBACK, b"\0\1\0\0"),
    "UNSUBSCRIBE without a filter": packet(raw.UNSUBSCRIBE, b"\0\1\0"),
    "UNSUBACK": packet(raw.UNSUBACK, b"\0\1\0\0"),
    "PINGREQ with a body": packet(raw.PINGREQ, b"x"),
    "PINGRESP": packet(raw.PINGRESP),
    "DISCONNECT with flags": packet(raw.DISCONNECT, b"", 1),
    "DISCONNECT with an unknown reason": packet(raw.DISCONNECT, b"\x42"),
    "AUTH out of the blue": packet(raw.AUTH, b"\x18\0"),
    "type 0": b"\x00\x00",
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x01",
}

# name -> bytes instead of a good CONNECT.
NO_CONNECT = {
    "PUBLISH first": raw.publish("t"),
    "PINGREQ first": packet(raw.PINGREQ),
    "another protocol's name": packet(raw.CONNECT, text("HTTP") + b"\5\2\0\0\0" + text("x")),
    "reserved flag": raw.connect("x", flags=1),
    "will QoS without a will": raw.connect("x", flags=0x08),
    "will QoS 3": raw.connect("x", flags=0x1C),
    "flags for a will that is not there": raw.connect("x", flags=0x04),
    "bytes behind the payload": raw.connect("x", tail=b"more"),
    "the same property twice": raw.connect("x", props=b"\x11\0\0\0\1\x11\0\0\0\1"),
    "receive maximum 0": raw.connect("x", props=b"\x21\0\0"),
    "a property of another packet": raw.connect("x", props=b"\x23\0\1"),
    "a client id with bad UTF-8": raw.connect(b"\xc0\xaf"),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
}


class BadInput(Case):
    def setUp(self):
        super().setUp()
        self.b = self.broker(shards=2, top="", extra="[limits]\nconnect_timeout_s = 2\npacket_bytes_max = 100000\n")
        self.good = GoodPair(self.paho(self.b, "good-publisher"), self.paho(self.b, "good-subscriber"))

    def tearDown(self):
        self.good.stop()
        if not self.failed():
            self.good.check(self)
        super().tearDown()

    def test_malformed_packets_end_their_own_connection_with_a_reason(self):
        for name, wrong in MALFORMED.items():
            with self.subTest(name):
                c = self.raw(self.b, client_id="bad")
                c.send(wrong)
                left = c.until_closed()
                kind, _, body = left[-1]
                self.assertEqual(kind, raw.DISCONNECT)
                self.assertGreaterEqual(body[0], 0x80)

    def test_malformed_packets_of_version_3_1_1_end_their_own_connection(self):
        for name, wrong in MALFORMED.items():
            if any(word in name for word in ("alias", "propert", "reason", "shared", "AUTH", "PUBLISH without")):
                continue
            with self.subTest(name):
                c = self.raw(self.b, client_id="bad", version=4)
                c.send(wrong)
                self.assertEqual(c.until_closed(), [])

    def test_what_is_not_a_connect_is_cut(self):
        for name, wrong in NO_CONNECT.items():
            with self.subTest(name):
                c = self.raw(self.b)
                c.send(wrong)
                for kind, _, body in c.until_closed():
                    self.assertEqual(kind, raw.CONNACK)
                    self.assertGreaterEqual(body[1], 0x80)

    def test_an_oversize_packet_before_connect_is_refused_by_its_announced_length(self):
        c = self.raw(self.b)
        c.send(b"\x10" + raw.length(268_435_455))
        c.until_closed()

    def test_an_endless_packet_before_connect_is_cut(self):
        c = self.raw(self.b)
        sent = 0
        try:
            c.send(b"\x10" + raw.length(200_000_000))
            while sent < 200_000_000:
                c.send(b"\0" * 65536)
                sent += 65536
        except OSError:
            pass
        self.assertLess(sent, 64 << 20)

    def test_an_oversize_packet_after_connect_is_answered_with_packet_too_large(self):
        c = self.raw(self.b, client_id="big")
        c.send(b"\x30" + raw.length(200_000))
        kind, _, body = c.until_closed()[-1]
        self.assertEqual((kind, body[0]), (raw.DISCONNECT, 0x95))

    def test_a_connection_that_says_nothing_is_cut(self):
        self.assertEqual(self.raw(self.b).until_closed(), [])

    def test_a_connect_that_drips_is_cut(self):
        c = self.raw(self.b)
        start = time.monotonic()
        with self.assertRaises((OSError, EOFError)):
            for byte in raw.connect("d" * 200):
                c.send(bytes([byte]))
                c.socket.settimeout(0.2)
                try:
                    if not c.socket.recv(1):
                        raise EOFError
                except TimeoutError:
                    pass
                self.assertLess(time.monotonic() - start, 60)

    def test_a_good_packet_in_single_bytes_is_understood(self):
        c = self.raw(self.b, client_id="slow")
        for byte in raw.publish("good-but-slow", b"x", qos=1):
            c.send(bytes([byte]))
        self.assertEqual(c.receive()[0], raw.PUBACK)

    def test_many_connections_that_never_speak_do_not_keep_others_out(self):
        idle = [RawClient(self.b.plain_port) for _ in range(300)]
        newcomer = self.paho(self.b)
        newcomer.publish("x", b"")
        for c in idle:
            c.close()

    def test_random_bytes_disturb_nobody(self):
        for _ in range(200):
            c = self.raw(self.b)
            try:
                c.send(raw.connect("r") if os.urandom(1)[0] & 1 else b"", os.urandom(300))
            except OSError:
                pass
            c.close()
        eventually(lambda: self.b.running(), "it runs")

    def test_a_client_that_does_not_read_is_bounded_and_harms_nobody(self):
        slow = self.raw(self.b, client_id="slow-reader")
        slow.send(raw.subscribe("good/#"), raw.subscribe("flood", packet_id=2))
        sender = self.paho(self.b)
        for _ in range(400):
            sender.publish("flood", b"x" * 50_000, qos=1)

    def test_a_silent_client_is_cut_after_one_and_a_half_keep_alives(self):
        c = self.raw(self.b, client_id="silent", keepalive=1)
        kind, _, body = c.until_closed()[-1]
        self.assertEqual((kind, body[0]), (raw.DISCONNECT, 0x8D))

    def test_a_topic_with_very_many_levels_is_refused(self):
        c = self.raw(self.b, client_id="deep")
        c.send(packet(raw.SUBSCRIBE, struct.pack(">H", 1) + b"\0" + text("a/" * 500 + "a") + b"\0"))
        kind, _, body = c.receive()
        self.assertIn(kind, (raw.SUBACK, raw.DISCONNECT))
        self.assertGreaterEqual(body[-1] if kind == raw.SUBACK else body[0], 0x80)


if __name__ == "__main__":
    main()
