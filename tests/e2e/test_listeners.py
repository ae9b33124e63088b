"""Unix sockets with mosquitto's clients, and the PROXY protocol, versions 1 and 2, before MQTT, TLS and WebSocket."""

import os
import socket
import ssl
import stat
import struct
import subprocess

from support import pki, raw
from support.broker import PATIENCE_S, eventually
from support.case import Case, main
from support.ports import free_port
from support.raw import RawClient
from support.websocket import WebSocketClient

_UNIX = """
[[listener]]
url = "unix://{path}"
allow_anonymous = true
mode = "0600"
"""

_PROXIED = """
[[listener]]
url = "mqtt://127.0.0.1:{plain}"
allow_anonymous = true
proxy_protocol = true
[[listener]]
url = "mqtts://127.0.0.1:{tls}"
cert = "{pki}/server.crt"
key = "{pki}/server.key"
client_ca = "{pki}/ca.crt"
proxy_protocol = true
[[listener]]
url = "wss://127.0.0.1:{wss}"
cert = "{pki}/server.crt"
key = "{pki}/server.key"
client_ca = "{pki}/ca.crt"
proxy_protocol = true
[[listener]]
url = "mqtt://127.0.0.1:{guarded}"
allow_anonymous = true
proxy_protocol = true
proxy_from = ["127.0.0.2", "10.0.0.0/8"]
[limits]
connections_per_address_max = 3
connect_timeout_s = 2
"""


class UnixSocket(Case):
    def setUp(self):
        super().setUp()
        self.b = self.new_broker(shards=4)
        self.path = os.path.join(self.b.directory, "mqtt.sock")
        with open(self.b.config, "a") as out:
            out.write(_UNIX.format(path=self.path))

    def start(self):
        self.b.start()
        eventually(lambda: os.path.exists(self.path), "the socket is there")

    def publish(self, *words):
        return subprocess.run(["mosquitto_pub", "--unix", self.path, *words], capture_output=True, text=True,
                              timeout=PATIENCE_S)

    def test_mosquitto_pub_over_the_socket_reaches_tcp(self):
        self.start()
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        tcp = self.paho(self.b)
        tcp.subscribe("t/#")
        for i in range(8):  # ids of every shard
            out = self.publish("-t", f"t/{i}", "-m", f"hello {i}", "-q", "1", "-i", f"pub-{i}", "-V", "mqttv5")
            self.assertEqual(out.returncode, 0, out.stderr)
            self.assertEqual(tcp.receive(f"t/{i}").payload, b"hello %d" % i)

    def test_the_log_names_the_user(self):
        self.start()
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            s.sendall(raw.connect("x", flags=1))
            eventually(lambda: f"unix:{os.getuid()}" in self.b.log(), "the log names the user")

    def test_the_file_goes_at_stop_and_a_stale_one_is_replaced(self):
        self.start()
        self.b.kill()
        self.assertTrue(os.path.exists(self.path))
        self.b.start()
        eventually(lambda: self.publish("-t", "t", "-m", "x", "-q", "1").returncode == 0, "the new socket answers")
        self.assertEqual(self.b.stop(), 0)
        self.assertFalse(os.path.exists(self.path))

    def test_a_socket_that_somebody_answers_on_stops_the_start(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            other.listen()
            self.b.spawn()
            self.assertNotEqual(self.b.wait(), 0)
            self.assertIn("the socket is in use", self.b.log())
            self.assertTrue(os.path.exists(self.path))


def v1(source):
    return f"PROXY TCP4 {source} 10.0.0.1 50000 1883\r\n".encode()


def v2(source, tlvs=b"", command=0x21):
    addresses = socket.inet_pton(socket.AF_INET6, source) + bytes(16) + struct.pack(">HH", 50000, 1883)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", command, 0x21, len(addresses + tlvs)) + addresses + tlvs


class Proxied(Case):
    def setUp(self):
        super().setUp()
        self.plain, self.tls, self.wss, self.guarded = (free_port() for _ in range(4))
        self.b = self.broker(shards=4, extra=_PROXIED.format(plain=self.plain, tls=self.tls, wss=self.wss,
                                                              guarded=self.guarded, pki=pki.authority()))

    def connect(self, header, client_id, *, wrong=False):
        c = RawClient(self.plain)
        self.addCleanup(c.close)
        c.send(header, raw.connect(client_id, flags=1 if wrong else 0))
        return c

    def test_the_log_and_the_limit_go_by_the_source(self):
        for header, source in ((v1("192.0.2.1"), "192.0.2.1"), (v2("2001:db8::7", b"\x04\0\x01x"), "2001:db8::7"),
                               (v2("2001:db8::8", command=0x20), "127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")):
            with self.subTest(header):
                self.connect(header, "liar", wrong=True).until_closed()
                eventually(lambda: f"({source})" in self.b.log(), "the log names the source")
        for i in range(3):
            self.assertEqual(self.connect(v1("192.0.2.2"), f"c{i}").receive()[0], raw.CONNACK)
        self.assertEqual(self.connect(v1("192.0.2.2"), "c3").until_closed(), [])
        self.assertEqual(self.connect(v1("192.0.2.3"), "c3").receive()[0], raw.CONNACK)

    def test_it_comes_before_tls_and_websocket(self):
        context = pki.client_context("dev1")
        for i in range(4):
            s = socket.create_connection(("127.0.0.1", self.tls), timeout=PATIENCE_S)
            s.sendall(v2("2001:db8::1", b"\xEE\0\x02xx"))
            with context.wrap_socket(s, server_hostname="127.0.0.1") as secure:
                secure.sendall(raw.connect(f"dev1/{i}"))
                self.assertEqual(secure.recv(1), b"\x20")
            c = WebSocketClient(self.wss, tls=context, before=v1("192.0.2.9"), client_id=f"dev1/w{i}")
            c.close()

    def test_without_a_valid_header_nobody_gets_in(self):
        for wrong in (raw.connect("bare"), b"PROXY TCP4 1.2.3.4\r\n", b"PROXY " + b"x" * 200, v2("::1", bytes(2000)), b"PROXY"):
            with self.subTest(wrong[:20]):
                c = RawClient(self.plain)
                c.send(wrong)
                self.assertEqual(c.until_closed(), [])
                c.close()
        s = socket.create_connection(("127.0.0.1", self.tls), timeout=PATIENCE_S)
        with self.assertRaises((ssl.SSLError, OSError)):
            pki.client_context("dev1").wrap_socket(s, server_hostname="127.0.0.1")
        eventually(lambda: "PROXY header is refused" in self.b.log(), "the log says so")

    def test_only_the_named_proxies_may_send_one(self):
        for source, admitted in (("127.0.0.1", False), ("127.0.0.2", True)):
            with self.subTest(source):
                s = socket.create_connection(("127.0.0.1", self.guarded), timeout=PATIENCE_S, source_address=(source, 0))
                with s:
                    try:
                        s.sendall(v1("192.0.2.1") + raw.connect("behind"))
                        self.assertEqual(s.recv(1), b"\x20" if admitted else b"")
                    except (ConnectionResetError, BrokenPipeError):
                        self.assertFalse(admitted)
        eventually(lambda: "127.0.0.1: closed: it is none of the proxies" in self.b.log(), "the log says so")

    def test_without_the_setting_a_header_is_no_packet(self):
        c = self.raw(self.b)
        c.send(v1("192.0.2.1"), raw.connect("x"))
        self.assertEqual(c.until_closed(), [])


if __name__ == "__main__":
    main()
