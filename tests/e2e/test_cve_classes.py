"""The classes of other brokers' published vulnerabilities, from outside: memory and descriptors of the real process, files,
signals, configuration, HTTP. docs/security-tests.md is the whole list; the engine's own are in
tests/unit/broker_core/cve_classes.cpp."""

import os
import random
import re
import resource
import signal
import socket
import ssl
import stat
import struct
import subprocess
import threading
import tomllib

from support import pki, raw
from support.broker import SANITIZER_BYTES, eventually
from support.case import Case, main
from support.good import GoodPair
from support.ports import free_port
from support.raw import RawClient, packet, text
from support.websocket import WebSocketClient, frame

MIB = 1 << 20
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Memory(Case):
    """How much memory peers nobody knows can take."""

    def setUp(self):
        super().setUp()
        self.b = self.broker(shards=2, tls=True)
        self.serves()
        self.before = self.b.memory_bytes()

    def serves(self):
        c = self.raw(self.b, client_id="")
        c.send(raw.publish("x", b"", qos=1))
        self.assertEqual(c.receive()[0], raw.PUBACK)
        c.close()

    def grew_less_than(self, mib):
        self.serves()
        self.assertLess(self.b.memory_bytes() - self.before, mib * MIB + SANITIZER_BYTES)

    def hold(self, count, *data):
        held = []
        for _ in range(count):
            c = self.raw(self.b)
            held.append(c)
            try:
                c.send(*data)
            except OSError:
                pass  # cut already
        return held

    def test_CVE_2017_7651_class_huge_connect_length_does_not_take_memory(self):
        held = self.hold(300, b"\x10" + raw.length(268_435_455), b"\0" * 60_000)
        self.grew_less_than(16)
        for c in held:
            c.until_closed()

    def test_CVE_2023_0809_class_a_first_packet_that_is_no_connect_is_not_waited_for(self):
        for first in (0x30, 0x82, 0xE0):
            held = self.hold(100, bytes([first]) + raw.length(60_000), b"\0" * 59_000)
            self.grew_less_than(16)
            for c in held:
                c.until_closed()

    def test_CVE_2024_50948_class_callers_that_do_not_finish_hold_little_and_keep_nobody_out(self):
        held = self.hold(300, raw.connect("x" * 60_000)[:-1])
        tls = [socket.create_connection(("127.0.0.1", self.b.tls_port)) for _ in range(200)]
        for s in tls:
            s.sendall(b"\x16\x03\x01\x02\x00\x01")
        self.grew_less_than(48)
        self.device(self.b, "dev1").publish("device/dev1/status", b"{}", qos=0)
        for c in held + tls:
            c.close()

    def test_CVE_2017_7654_and_2023_3592_class_malformed_connects_and_wills_leak_nothing(self):
        will = lambda properties, payload: raw.connect(  # noqa: E731
            "w", flags=0x04, tail=raw.length(len(properties)) + properties + text("t") + text(payload))
        wrong = [
            raw.connect("x" * 1000, flags=1), raw.connect("x" * 1000, tail=b"y" * 1000),
            raw.connect("x", props=b"\x26" + text("k" * 500) + b"\xff\xff"), raw.connect("x", props=b"\x15" + text("m" * 500)),
            will(b"\x02\0\0\0\1\x02\0\0\0\1", b"p" * 1000), will(b"\x23\0\1", b"p" * 1000),
            will(b"\x26" + text("k" * 500) + b"\0\7", b"p" * 1000), will(b"\x01\2", b"p" * 1000), will(b"\x7f", b"p" * 1000),
        ]

        def all_of_them(times):
            for _ in range(times):
                for data in wrong:
                    c = RawClient(self.b.plain_port)
                    c.send(data)
                    for kind, _, body in c.until_closed():
                        self.assertEqual(kind, raw.CONNACK)
                        self.assertGreaterEqual(body[1], 0x80)
                    c.close()

        all_of_them(50)
        self.before = self.b.memory_bytes()
        all_of_them(250)
        self.grew_less_than(2)

    def test_CVE_2023_28366_class_qos_2_messages_never_released_are_bounded(self):
        c = self.raw(self.b, client_id="unreleased", clean=False, props=b"\x11\0\0\0\1")
        for _ in range(200):
            c.send(*(raw.publish("q2", b"x" * 1000, qos=2, packet_id=i, dup=True) for i in range(1, 200)))
            for _ in range(199):
                self.assertEqual(c.receive()[0], raw.PUBREC)
        self.grew_less_than(16)

    def test_CVE_2024_48077_class_a_client_that_never_reads_its_answers_blocks_only_itself(self):
        c = self.raw(self.b, client_id="deaf")
        c.send(raw.subscribe("deaf/#", 1))
        c.socket.settimeout(0.5)
        sent = 0
        try:
            while sent < 200_000:
                c.send(*(raw.publish("deaf/x", b"x" * 100, qos=1, packet_id=1 + i % 200) for i in range(sent, sent + 200)))
                sent += 200
        except (TimeoutError, ConnectionError):
            pass
        self.grew_less_than(48)


class Rights(Case):
    def test_CVE_2017_7652_class_sighup_without_descriptors_changes_no_right(self):
        few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))  # noqa: E731
        b = self.new_broker(tls=True, shards=1).start(preexec_fn=few)
        # Served once before: UBSan needs a descriptor of its own when it meets a class for the first time, and ends the
        # process without one.
        self.assertTrue(self.connects(b, pki.client_context("dev1")))
        RawClient(b.plain_port, client_id="plain").close()
        held = [socket.create_connection(("127.0.0.1", b.plain_port)) for _ in range(120)]
        b.process.send_signal(signal.SIGHUP)
        for s in held:
            s.close()
        eventually(lambda: self.connects(b, pki.client_context("dev1")), "a device is served again")
        self.assertFalse(self.connects(b, pki.client_context()))
        self.assertFalse(self.connects(b, pki.client_context("dev1", by="foreign")))

    def connects(self, b, context):
        try:
            RawClient(b.tls_port, context, client_id="dev1").close()
        except (OSError, EOFError):
            return False
        return True

    def test_CVE_2018_12550_class_empty_rules_allow_nothing(self):
        b = self.broker(extra='[[acl]]\nprincipal = "anonymous"\n')
        c = self.raw(b, client_id="c")
        self.refused(c, "a")

    def refused(self, c, topic_filter):
        c.send(raw.subscribe(topic_filter), raw.publish("a", b"", qos=1, packet_id=9))
        self.assertEqual(c.receive()[2][-1], 0x87)
        self.assertEqual(c.receive()[2][2], 0x87)

    def test_CVE_2018_20145_class_rules_hold_on_every_listener(self):
        second = free_port()
        b = self.broker(extra=f'[[acl]]\nprincipal = "anonymous"\nsubscribe = ["b"]\n'
                              f'[[listener]]\nurl = "mqtt://127.0.0.1:{second}"\nallow_anonymous = true\n')
        for port in (b.plain_port, second):
            with self.subTest(port):
                c = RawClient(port, client_id="c")
                self.addCleanup(c.close)
                self.refused(c, "a")

    def test_CVE_2021_34434_class_a_kept_session_loses_what_its_owner_may_not_read_any_more(self):
        rules = '[[acl]]\nprincipal = "anonymous"\npublish = ["#"]\nsubscribe = [{}]\n'
        b = self.broker(extra=rules.format('"#"'))
        kept = {"clean": False, "props": b"\x11\0\0\x0e\x10"}
        c = self.raw(b, client_id="kept", **kept)
        for topic_filter in ("secret", "#", "$share/g/secret", "open"):
            c.send(raw.subscribe(topic_filter, 1))
            self.assertEqual(c.receive()[2][-1], 1)
        c.close()
        publisher = self.raw(b, client_id="publisher")
        publisher.send(raw.publish("secret", b"before", qos=1))
        publisher.receive()
        b.stop()
        with open(b.config) as config:
            changed = config.read().replace(rules.format('"#"'), rules.format('"open"'))
        with open(b.config, "w") as config:
            config.write(changed)
        b.start()
        publisher = self.raw(b, client_id="publisher")
        publisher.send(raw.publish("secret", b"after", qos=1))
        publisher.receive()
        c = RawClient(b.plain_port)
        self.addCleanup(c.close)
        c.send(raw.connect("kept", **kept))
        self.assertEqual(c.receive()[2][:2], b"\1\0")
        publisher.send(raw.publish("secret", b"now", qos=1), raw.publish("open", b"end", qos=1, packet_id=2))
        kind, _, body = c.receive()
        self.assertEqual((kind, body[:6]), (raw.PUBLISH, text("open")))


class Limits(Case):
    def test_CVE_2020_13849_class_clients_that_never_finish_give_their_place_back(self):
        b = self.broker(extra="[limits]\nconnect_timeout_s = 1\nkeep_alive_max_s = 1\n")
        held = [self.raw(b) for _ in range(100)]
        for c in held:
            c.send(raw.connect("x" * 100)[:-1])
        silent = self.raw(b, client_id="silent", keepalive=65535)
        for c in held:
            self.assertEqual(c.until_closed(), [])
        self.assertEqual(silent.until_closed()[-1][2][0], 0x8D)

    def test_CVE_2026_25627_class_lengths_that_do_not_fit_their_websocket_frames(self):
        port = free_port()
        b = self.broker(extra=f'[[listener]]\nurl = "ws://127.0.0.1:{port}"\nallow_anonymous = true\n')
        good = GoodPair(self.paho(b), self.paho(b))
        for size in (b"\xff\xff\xff\xff\x01", b"\x80\x80\x80\x80\x80", raw.length(268_435_455)):
            for cuts in (range(1, 6), (1,), ()):
                c = WebSocketClient(port, client_id="cut")
                data = b"\x30" + size
                for begin, end in zip((0, *cuts), (*cuts, len(data))):
                    c.socket.sendall(frame(data[begin:end]))
                self.assertEqual(c.until_closed()[-1][0], raw.DISCONNECT)
                c.close()
        for claimed in (1 << 63, (1 << 64) - 1, 0, 125):  # of a frame that never comes whole, or holds less than it says
            c = WebSocketClient(port, client_id="claim")
            c.socket.sendall(b"\x82" + bytes([0xFF]) + struct.pack(">Q", claimed) + b"mask" + b"\x00" * 10)
            c.close()
        good.stop()
        good.check(self)

    def test_CVE_2025_59946_class_subscribing_while_others_publish_and_leave(self):
        b = self.broker(shards=4)
        good = GoodPair(self.paho(b), self.paho(b))
        errors = []

        def churn(number):
            chance = random.Random(number)
            try:
                for i in range(150):
                    c = RawClient(b.plain_port, client_id=f"churn-{chance.randrange(8)}", clean=bool(i % 2))
                    for packet_id in range(1, 6):
                        topic_filter = chance.choice(("a", "+", "#", "a/+", "$share/g/#"))
                        c.send(raw.subscribe(topic_filter, chance.randrange(3), packet_id),
                               raw.publish("a", b"x", qos=1, packet_id=packet_id),
                               packet(raw.UNSUBSCRIBE, struct.pack(">H", packet_id) + b"\0" + text(topic_filter)))
                    c.close()
            except (EOFError, ConnectionError):
                pass  # taken over by another thread
            except BaseException as e:
                errors.append(e)

        threads = [threading.Thread(target=churn, args=(i,)) for i in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        good.stop()
        self.assertEqual(errors, [])
        good.check(self)


class Files(Case):
    def test_CVE_2017_9868_class_nobody_else_reads_the_data_directory(self):
        b = self.new_broker(http=True).start(preexec_fn=lambda: os.umask(0))
        c = self.paho(b, "kept", clean=False, expiry_s=600)
        c.subscribe("a")
        c.publish("a", b"x", retain=True)
        self.rest(b).uploaded(b"firmware")
        c.close()
        b.stop()
        found = 0
        for folder, folders, files in os.walk(b.data):
            for name in folders + files:
                path = os.path.join(folder, name)
                found += 1
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0, path)
        self.assertEqual(stat.S_IMODE(os.stat(b.data).st_mode) & 0o077, 0)
        self.assertGreater(found, 4)


class Http(Case):
    def test_CVE_2026_32696_class_credentials_absent_empty_or_odd_are_unauthorized(self):
        b = self.broker(http=True)
        token = b.admin_token()
        odd = ["", " ", "Bearer", "Bearer ", "Bearer  ", "bearer", "Basic", "Basic ", "Basic Og==", "Basic %", "Digest", ":",
               "Bearer\t", f"Bearer {token}x", f"Bearer {token[:-1]}", f"Basic {token}", "Bearer " + "x" * 5000, token,
               "Bearer \xff\xfe", f"Bearer {token} {token}"]
        context = ssl.create_default_context(cafile=pki.authority() + "/ca.crt")
        for head in [None] + odd:
            with self.subTest(head), socket.create_connection(("127.0.0.1", b.http_port)) as plain, \
                    context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
                field = "" if head is None else f"Authorization: {head}\r\n"
                s.sendall(f"GET /api/v1/devices HTTP/1.1\r\nHost: x\r\n{field}Connection: close\r\n\r\n".encode("latin-1"))
                status = int(s.makefile("rb").readline().split()[1])
                self.assertIn(status, (400, 401, 431))
        self.assertEqual(self.rest(b).get("/api/v1/devices").status, 200)


class Configuration(Case):
    def test_CVE_2026_42209_class_zero_is_refused_or_harmless_for_every_number(self):
        with open(os.path.join(SOURCE, "packaging", "fotabroker.toml"), "rb") as packaged:
            sections = tomllib.load(packaged)
        zero = {}  # section -> keys that may be 0
        for section, keys in [("", sections)] + [(k, v) for k, v in sections.items() if isinstance(v, dict)]:
            for key in (k for k, v in keys.items() if type(v) is int):
                if self.may_be_zero(section, key):
                    zero.setdefault(section, []).append(key)
        self.assertIn("keep_alive_max_s", zero["limits"])
        lines = {section: "".join(f"{key} = 0\n" for key in keys if key != "shards") for section, keys in zero.items()}
        extra = "".join(f"[{section}]\n{text}" for section, text in lines.items() if section not in ("", "http"))
        b = self.broker(http=True, http_extra=lines.get("http", ""), extra=extra)
        c = self.paho(b, "c", clean=False, expiry_s=60)
        c.subscribe("#", qos=2)
        for qos in (0, 1, 2):
            c.publish("t", b"x", qos=qos, retain=True)
            self.assertEqual(c.receive().payload, b"x")
        c.drop()
        self.assertEqual(c.connect()[1], 0)
        self.assertEqual(self.rest(b).uploaded(b"firmware")["size"], 8)
        self.assertEqual(self.rest(b).get("/metrics").status, 200)

    def may_be_zero(self, section, key):
        path = os.path.join(self.directory(), "zero.toml")
        with open(path, "w") as out:
            out.write((f"[{section}]\n" if section else "") + f"{key} = 0\n")
        done = subprocess.run([os.environ["FB_BROKER"], "check-config", path], capture_output=True, text=True)
        if done.returncode != 0:
            self.assertRegex(done.stdout + done.stderr, rf"{re.escape(key)}: must be .* not 0", "a clear refusal")
        return done.returncode == 0

    def directory(self):
        if not hasattr(self, "_b"):
            self._b = self.new_broker()
        return self._b.directory


if __name__ == "__main__":
    main()
