"""MQTT over WebSocket: paho and a client that makes its own frames, plain, over TLS and with device certificates; next to
clients over TCP; and what a browser or a stranger may get wrong."""

import os
import re
import ssl
import struct

from support import pki, raw, websocket
from support.broker import eventually
from support.case import Case, main
from support.mqtt import Paho
from support.ports import free_port
from support.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocketClient, frame

_LISTENERS = """
[[listener]]
url = "ws://127.0.0.1:{ws}"
allow_anonymous = true
[[listener]]
url = "wss://127.0.0.1:{wss}/devices"
cert = "{pki}/server.crt"
key = "{pki}/server.key"
client_ca = "{pki}/ca.crt"
[[listener]]
url = "ws://127.0.0.1:{browsers}"
allow_anonymous = true
websocket_origins = ["https://console.example"]
"""


class WebSocket(Case):
    shards = 4

    def setUp(self):
        super().setUp()
        self.ws, self.wss, self.browsers = free_port(), free_port(), free_port()
        listeners = _LISTENERS.format(ws=self.ws, wss=self.wss, browsers=self.browsers, pki=pki.authority())
        self.b = self.broker(shards=self.shards, extra=listeners)

    def client(self, port=None, **options):
        c = WebSocketClient(port or self.ws, **options)
        self.addCleanup(c.close)
        return c

    def close_code(self, c):
        c.until_closed()
        (opcode, payload), = [f for f in c.control if f[0] == CLOSE]
        return struct.unpack(">H", payload[:2])[0]

    def test_it_and_tcp_are_one_broker(self):
        tcp = self.paho(self.b)
        tcp.subscribe("to/tcp")
        ws = self.client(client_id="w")
        ws.send(raw.subscribe("to/ws"))
        self.assertEqual(ws.receive()[0], raw.SUBACK)
        for size in (0, 1, 125, 126, 65535, 65536, 300_000):
            payload = bytes(i % 251 for i in range(size))
            ws.send(raw.publish("to/tcp", payload))
            self.assertEqual(tcp.receive().payload, payload)
            tcp.publish("to/ws", payload)
            kind, _, body = ws.receive()
            self.assertEqual(kind, raw.PUBLISH)
            self.assertTrue(body.endswith(payload))

    def test_paho_over_websocket_and_with_a_certificate(self):
        crt, key = pki.device("dev1")
        context = ssl.create_default_context(cafile=pki.authority() + "/ca.crt")
        context.load_cert_chain(crt, key)
        for port, path, tls in ((self.ws, "/mqtt", None), (self.wss, "/devices", context)):
            for round in range(4):
                with self.subTest(path=path, round=round):
                    c = Paho(port, f"dev1{path}-{round}", connect=False)
                    c.client._transport = "websockets"
                    c.client.ws_set_options(path)
                    if tls:
                        c.client.tls_set_context(tls)
                    self.addCleanup(c.close)
                    self.assertEqual(c.connect()[1], 0)
                    c.subscribe("device/dev1/telemetry/#")
                    c.publish("device/dev1/telemetry/t", b"x" * 100_000)
                    self.assertEqual(len(c.receive().payload), 100_000)

    def test_a_certificate_is_required_over_wss_as_over_mqtts(self):
        c = self.client(self.wss, tls=pki.client_context("dev1"), path="/devices")
        self.assertEqual(c.status(), 101)
        c.send(raw.connect("dev1"))
        self.assertEqual(c.receive()[2][1], 0)
        c.send(raw.publish("device/dev2/status", b"x", qos=1))
        self.assertEqual(c.receive()[2][2], 0x87)
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError, IndexError)):
            self.client(self.wss, tls=pki.client_context("dev1", by="foreign"), path="/devices", client_id="dev1")

    def test_packets_byte_by_byte_in_fragments_with_pings_between(self):
        c = self.client()
        packets = raw.connect("slow") + raw.publish("t", b"x", qos=1)
        for i, byte in enumerate(packets):
            first, last = i == 0, i == len(packets) - 1
            for piece in frame(bytes([byte]), BINARY if first else CONTINUATION, final=last), frame(b"%d" % i, PING):
                c.send_frames(piece)
        self.assertEqual(c.receive()[0], raw.CONNACK)
        self.assertEqual(c.receive()[0], raw.PUBACK)
        c.send(raw.packet(raw.PINGREQ))
        self.assertEqual(c.receive()[0], raw.PINGRESP)
        self.assertIn((PONG, b"%d" % (len(packets) - 1)), c.control)

    def test_a_text_frame_ends_the_connection_and_the_log_says_who_and_why(self):
        c = self.client(client_id="texter")
        c.send_frames(frame(raw.packet(raw.PINGREQ), TEXT))
        self.assertEqual(self.close_code(c), 1003)
        eventually(lambda: re.search(r"texter \(127\.0\.0\.1\).*text frame", self.b.log()), "the log says so")

    def test_an_unmasked_frame_ends_the_connection(self):
        c = self.client(client_id="bare")
        c.send_frames(frame(raw.packet(raw.PINGREQ), masked=False))
        self.assertEqual(self.close_code(c), 1002)

    def test_a_close_is_answered(self):
        c = self.client(client_id="polite")
        c.send_frames(frame(raw.packet(raw.DISCONNECT)), frame(struct.pack(">H", 1001), CLOSE))
        self.assertIn(self.close_code(c), (1000, 1001))

    def test_http_that_is_no_upgrade_gets_a_status_and_a_sentence(self):
        good = websocket.REQUEST.format(path="/mqtt", protocol="mqtt")
        for request, status in ((good.replace("/mqtt", "/"), 404), ("GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", 426),
                                (good.replace("Protocol: mqtt", "Protocol: chat"), 400),
                                (good.replace("Version: 13", "Version: 7"), 426), (good.replace("GET", "PUT"), 405),
                                ("GET / HTTP/1.1\r\nX: " + "x" * 10_000 + "\r\n\r\n", 431)):
            with self.subTest(request[:60]):
                c = self.client(request=request)
                self.assertEqual(c.status(), status)
                self.assertRegex(c.socket.makefile().read(), r"^[A-Z].*\.\n$")

    def test_old_clients_and_origins(self):
        self.assertIn("Sec-WebSocket-Protocol: mqttv3.1\r\n", self.client(protocol="mqttv3.1").answer)
        good = websocket.REQUEST.format(path="/mqtt", protocol="chat, mqtt")
        for origin, status in (("https://console.example", 101), ("https://elsewhere.example", 403)):
            c = self.client(self.browsers, request=good.replace("Host:", f"Origin: {origin}\r\nHost:"))
            self.assertEqual(c.status(), status)
        self.assertEqual(self.client(self.browsers, request=good).status(), 101)

    def test_a_slow_reader_over_websocket_is_bounded_and_gets_whole_packets(self):
        slow = self.client(client_id="slow")
        slow.send(raw.subscribe("flood"))
        self.assertEqual(slow.receive()[0], raw.SUBACK)
        sender = self.paho(self.b)
        for _ in range(300):
            sender.publish("flood", b"x" * 50_000, qos=1)
        sender.publish("flood", b"end", qos=1)
        bodies = []
        while not bodies or not bodies[-1].endswith(b"end"):
            kind, _, body = slow.receive()
            self.assertEqual(kind, raw.PUBLISH)
            bodies.append(body)
        self.assertLess(len(bodies), 301)

    def test_random_bytes_disturb_nobody(self):
        good = self.client(client_id="good")
        for i in range(100):
            c = WebSocketClient(self.ws)
            try:
                c.send_frames(frame(raw.connect("r")) if i % 2 else b"", os.urandom(300))
            except OSError:
                pass
            c.close()
        good.send(raw.packet(raw.PINGREQ))
        self.assertEqual(good.receive()[0], raw.PINGRESP)


class WebSocketOneShard(WebSocket):
    shards = 1


if __name__ == "__main__":
    main()
