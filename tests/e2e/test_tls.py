"""Who gets in over TLS, and what a device may do: no certificate, a foreign one, another device's topics, a client id
that is not the device's, TLS 1.2 and 1.3 and nothing older."""

import re
import socket
import ssl
import warnings

from support import pki, raw
from support.broker import eventually
from support.case import Case, main
from support.mqtt import V311
from support.raw import RawClient


class Tls(Case):
    def setUp(self):
        super().setUp()
        self.b = self.broker(tls=True, http=True, shards=2)

    def refused(self, context):
        """Reading forces TLS 1.3's late refusal of a certificate."""
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
            RawClient(self.b.tls_port, context, client_id="intruder")

    def answer(self, context, client_id="dev1"):
        """The CONNACK's reason code and the TLS version."""
        c = RawClient(self.b.tls_port, context)
        with c.socket:
            c.send(raw.connect(client_id))
            kind, _, body = c.receive()
            self.assertEqual(kind, raw.CONNACK)
            return body[1], c.socket.version()

    def still_serves(self):
        good = self.device(self.b, "dev1")
        good.subscribe("device/dev1/#")
        good.publish("device/dev1/telemetry/t", b"20")
        self.assertEqual(good.receive().payload, b"20")

    def test_without_a_certificate_nobody_gets_in(self):
        self.refused(pki.client_context())
        self.still_serves()

    def test_a_certificate_of_a_foreign_ca_is_refused(self):
        self.refused(pki.client_context("dev1", by="foreign"))
        self.still_serves()

    def test_the_log_says_who_was_refused_and_why(self):
        self.refused(pki.client_context("dev1", by="foreign"))
        self.still_serves()
        self.assertRegex(self.b.log(), r"127\.0\.0\.1.*(certificate|verify)")

    def test_tls_1_2_and_1_3_work_and_1_1_does_not(self):
        v = ssl.TLSVersion
        old, new = pki.client_context("dev1"), pki.client_context("dev1")
        old.maximum_version, new.minimum_version = v.TLSv1_2, v.TLSv1_3
        self.assertEqual(self.answer(old), (0, "TLSv1.2"))
        self.assertEqual(self.answer(new), (0, "TLSv1.3"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = v.TLSv1_1
        with socket.create_connection(("127.0.0.1", self.b.tls_port), timeout=60) as plain:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain)

    def test_the_client_id_must_be_the_devices_or_below_it(self):
        context = pki.client_context("dev1")
        self.assertEqual(self.answer(context, "dev1/logger")[0], 0)
        self.assertEqual(self.answer(context, "")[0], 0)
        for wrong in ("dev2", "dev10", "dev1logger", "dev2/dev1"):
            with self.subTest(wrong):
                self.assertEqual(self.answer(context, wrong)[0], 0x85)

    def test_a_device_publishes_only_its_own_reports(self):
        dev1 = self.device(self.b, "dev1")
        watcher = self.paho(self.b)
        watcher.subscribe("#")
        for topic in ("device/dev2/status", "device/dev1/update", "device/dev1/fw/data/1/0", "device/dev1/fw/error", "other",
                      "device/dev1"):
            dev1.publish(topic, b"forged")
        dev1.publish("device/dev1/telemetry/end", b"allowed")
        self.assertEqual(watcher.receive().topic, "device/dev1/telemetry/end")
        self.assertTrue(watcher.messages.empty())
        eventually(lambda: "device/dev2/status" in self.b.log(), "the refusal is told")

    def test_a_refused_publish_is_told_in_version_5_and_harmless_in_3_1_1(self):
        new = RawClient(self.b.tls_port, pki.client_context("dev1"), client_id="dev1")
        new.send(raw.publish("device/dev2/status", b"x", qos=1, packet_id=7))
        kind, _, body = new.receive()
        self.assertEqual((kind, body[:3]), (raw.PUBACK, b"\x00\x07\x87"))
        new.close()
        old = self.device(self.b, "dev1", version=V311)
        old.publish("device/dev2/status", b"x", qos=1)
        old.publish("device/dev1/event/e", b"x", qos=1)
        self.assertTrue(old.disconnects.empty())

    def test_a_device_subscribes_only_below_its_own_prefix(self):
        dev1 = self.device(self.b, "dev1")
        self.assertEqual(dev1.subscribe("device/dev1/#", "device/dev1/update"), [1, 1])
        for wrong in ("#", "device/+/status", "device/dev2/update", "device/dev10/#"):
            with self.subTest(wrong):
                self.assertEqual(dev1.subscribe(wrong), [0x87])

    def test_another_device_cannot_take_over_a_session(self):
        first = self.device(self.b, "dev1", clean=False, expiry_s=60)
        self.assertNotEqual(self.answer(pki.client_context("dev2"), "dev1")[0], 0)
        first.publish("device/dev1/event/e", b"still here")

    def handshake_steps(self):
        metrics = self.rest(self.b).get("/metrics").body.decode()
        return int(re.search(r"^fotabroker_tls_handshake_steps_total (\d+)$", metrics, re.M)[1])

    def test_a_handshake_that_waits_for_its_peer_costs_nothing(self):
        with socket.create_connection(("127.0.0.1", self.b.tls_port)) as half:
            half.sendall(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello's first bytes
            eventually(lambda: self.handshake_steps() > 0, "the handshake has begun")
            for _ in range(20):
                self.assertLessEqual(self.handshake_steps(), 2)  # at the accept, and for what was sent
            waiting = self.handshake_steps()
            half.sendall(b"\x00")
            eventually(lambda: self.handshake_steps() > waiting, "it goes on with what came")

    def test_plain_text_on_the_tls_port_disturbs_nobody(self):
        with socket.create_connection(("127.0.0.1", self.b.tls_port), timeout=60) as s:
            s.sendall(raw.connect("x") * 10)
            try:
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass
        self.still_serves()


if __name__ == "__main__":
    main()
