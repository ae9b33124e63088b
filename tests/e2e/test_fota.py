"""Firmware updates as a hand-written device sees them: registration, command, progress, result, transfer over MQTT;
what the database says after each acknowledgement; reports that are malformed, doubled or late."""

import json
import os

from support import pki, raw
from support.broker import eventually
from support.case import Case, main
from support.device import Device
from support.mqtt import V311, properties
from support.raw import RawClient

IMAGE = os.urandom(150_000)


class Fota(Case):
    def setUp(self):
        super().setUp()
        self.b = self.broker(tls=True, http=True, shards=2)
        self.api = self.rest(self.b)

    def new_device(self, device_id="dev1", **options):
        d = Device(self.b, device_id, **options)
        self.addCleanup(d.close)
        return d

    def one(self, query):
        rows = self.b.sql(query)
        self.assertEqual(len(rows), 1, rows)
        return rows[0]

    def state_of(self, update_id):
        return self.api.update(update_id)["state"]

    def offered(self, device, image=IMAGE, version="1.1.0"):
        """A device with an update on offer, as its command."""
        device.status()
        firmware = self.api.uploaded(image, version)
        (update,) = self.api.trigger(firmware["id"], device.id)
        command = device.command()
        self.assertEqual(command["update_id"], update["id"])
        return command

    def test_a_status_is_in_the_database_when_it_is_acknowledged(self):
        d = self.new_device()
        d.status(name="pump", hw_rev="B2", battery=80)
        row = self.one("SELECT device_id, type, name, firmware_version, ip, hw_rev FROM devices")
        self.assertEqual(row, ("dev1", "sensor", "pump", "1.0.0", "127.0.0.1", "B2"))
        self.assertEqual(len(self.one("SELECT id FROM devices")[0]), 36)

    def test_an_update_from_trigger_to_success(self):
        d = self.new_device()
        command = self.offered(d)
        self.assertEqual(command["version"], "1.1.0")
        self.assertEqual(command["size"], len(IMAGE))
        self.assertEqual(command["attempt"], 1)
        self.assertRegex(command["checksum"], "^sha256:[0-9a-f]{64}$")
        self.assertTrue(command["url"].startswith(f"https://127.0.0.1:{self.b.http_port}/fw/"))
        d.take_update(command)
        self.assertEqual(self.one("SELECT state, attempt FROM updates"), ("succeeded", "1"))
        self.assertEqual(self.one("SELECT sent_at IS NOT NULL FROM updates"), ("1",))
        self.assertEqual(self.one("SELECT status, firmware_version, update_id FROM update_results"),
                         ("success", "1.1.0", command["update_id"]))
        self.assertEqual(self.one("SELECT firmware_version FROM devices"), ("1.1.0",))

    def test_qos_1_progress_is_committed_before_its_acknowledgement(self):
        d = self.new_device()
        command = self.offered(d)
        for state in ("accepted", "downloading", "downloaded", "installing"):
            d.progress(command, state)
            self.assertEqual(self.one("SELECT state FROM updates"), (state,))

    def test_a_version_3_1_1_device_can_do_it_too(self):
        d = Device(self.b, "old", connect=False)
        d.paho = self.device(self.b, "old", version=V311)
        d.paho.subscribe(d.topic("update"))
        d.take_update(self.offered(d))
        self.assertEqual(self.one("SELECT state FROM updates"), ("succeeded",))

    def test_an_offline_device_gets_its_command_when_it_subscribes(self):
        d = self.new_device()
        d.status()
        d.close()
        firmware = self.api.uploaded(IMAGE)
        (update,) = self.api.trigger(firmware["id"], "dev1")
        self.assertEqual(update["state"], "pending")
        again = self.new_device()
        self.assertEqual(again.command()["update_id"], update["id"])
        again.paho.subscribe(again.topic("update"))
        self.assertEqual(again.command()["update_id"], update["id"])

    def test_a_command_is_neither_retained_nor_queued(self):
        d = self.new_device(clean=False, expiry_s=600)
        command = self.offered(d)
        d.paho.drop()
        self.assertEqual(self.api.post(f"/api/v1/updates/{command['update_id']}/cancel").status, 200)
        again = self.new_device(clean=False, expiry_s=600)
        again.paho.subscribe(again.topic("end"), again.topic("event/#"))
        self.assertEqual(again.paho.nothing_before(again.topic("event/end")), [])

    def test_a_cancel_is_published_to_a_device_that_has_the_offer(self):
        d = self.new_device()
        command = self.offered(d)
        self.assertEqual(self.api.post(f"/api/v1/updates/{command['update_id']}/cancel").status, 200)
        cancel = d.command()
        self.assertEqual((cancel["action"], cancel["update_id"]), ("cancel", command["update_id"]))
        self.assertEqual(self.state_of(command["update_id"]), "canceled")

    def test_a_cancel_while_installing_is_refused(self):
        d = self.new_device()
        command = self.offered(d)
        d.progress(command, "installing")
        answer = self.api.post(f"/api/v1/updates/{command['update_id']}/cancel")
        self.assertEqual(answer.status, 409)
        self.assertTrue(answer.is_problem())

    def test_a_failed_attempt_is_recorded_and_tried_again(self):
        d = self.new_device()
        command = self.offered(d)
        d.progress(command, "accepted")
        d.result(command, "failed", code="flash_error", message="sector 7")
        self.assertEqual(self.one("SELECT status, code, message, attempt FROM update_results"),
                         ("failed", "flash_error", "sector 7", "1"))
        self.assertEqual(self.one("SELECT state, attempt FROM updates"), ("pending", "2"))
        self.assertEqual(self.one("SELECT firmware_version FROM devices"), ("1.0.0",))

    def test_doubled_and_late_reports_change_nothing(self):
        d = self.new_device()
        command = self.offered(d)
        d.take_update(command)
        d.result(command)
        d.result(command)
        d.progress(command, "downloading", percent=3)
        self.assertEqual(self.one("SELECT state FROM updates"), ("succeeded",))
        self.one("SELECT status FROM update_results")

    def test_a_report_without_update_id_belongs_to_the_open_update(self):
        d = self.new_device()
        command = self.offered(d)
        d.say("update/result", status="success", version="1.1.0")
        self.assertEqual(self.one("SELECT update_id FROM update_results"), (command["update_id"],))
        self.assertEqual(self.one("SELECT state FROM updates"), ("succeeded",))

    def test_a_result_out_of_the_blue_is_stored_as_unsolicited(self):
        d = self.new_device()
        d.say("update/result", status="success", version="3.0.0", timestamp="1970-01-01T00:00:09Z")
        self.assertEqual(self.one("SELECT status, firmware_version, update_id, device_time FROM update_results"),
                         ("success", "3.0.0", "", "1970-01-01T00:00:09Z"))
        self.assertEqual(self.one("SELECT firmware_version FROM devices"), ("3.0.0",))

    def test_a_device_cannot_book_a_result_on_anothers_update(self):
        victim, attacker = self.new_device("dev1"), self.new_device("dev2")
        command = self.offered(victim)
        attacker.result(command)
        self.assertEqual(self.state_of(command["update_id"]), "offered")
        self.assertEqual(self.b.sql(f"SELECT * FROM update_results WHERE update_id = '{command['update_id']}'"), [])

    def reason_of(self, topic, payload):
        """The reason code of the PUBACK that a raw MQTT 5 device gets."""
        c = RawClient(self.b.tls_port, pki.client_context("dev1"), client_id="dev1/raw")
        with c.socket:
            c.send(raw.publish(topic, payload, qos=1))
            kind, _, body = c.receive()
            self.assertEqual(kind, raw.PUBACK)
            return body[2] if len(body) > 2 else 0

    def test_malformed_reports_are_answered_and_leave_no_trace(self):
        d = self.new_device()
        d.status()
        wrong = [b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b'{"version":7}', b'{"version":"1","type":[]}',
                 b'{"version":"' + b"9" * 65 + b'"}', b'{"online":"yes"}', b"\xff\xfe", b'{"version":"1.0\xff"}',
                 b'{"version":"1.0.0","name":"' + b"n" * 17_000 + b'"}', b"[" * 10_000, b'{"a":' * 5000]
        before = self.b.sql("SELECT device_id, firmware_version, name FROM devices")
        for payload in wrong:
            with self.subTest(payload[:40]):
                self.assertEqual(self.reason_of("device/dev1/status", payload), 0x99)
        results = [b'{"status":"maybe","version":"1.0.0"}', b'{"status":"success"}', b'{"version":"1.0.0"}',
                   b'{"status":"success","version":"1.0.0","attempt":"one"}',
                   b'{"status":"success","version":"1.0.0","update_id":5}']
        for payload in results:
            with self.subTest(payload):
                self.assertEqual(self.reason_of("device/dev1/update/result", payload), 0x99)
        for payload in (b'{"state":"flying"}', b'{"state":"downloading","percent":"half"}', b'{"percent":3}'):
            with self.subTest(payload):
                self.assertEqual(self.reason_of("device/dev1/update/progress", payload), 0x99)
        self.assertEqual(self.b.sql("SELECT device_id, firmware_version, name FROM devices"), before)
        self.assertEqual(self.b.sql("SELECT * FROM update_results"), [])
        self.assertIn("dev1", self.b.log())
        self.assertEqual(self.reason_of("device/dev1/status", b'{"version":"1.0.0","more":{"unknown":[1]}}'), 0)

    def test_a_malformed_report_of_a_3_1_1_device_is_acknowledged_and_dropped(self):
        old = self.device(self.b, "dev1", version=V311)
        old.publish("device/dev1/status", b"{")
        self.assertEqual(self.b.sql("SELECT * FROM devices"), [])
        old.publish("device/dev1/status", b'{"version":"1.0.0"}')
        self.one("SELECT * FROM devices")

    def test_a_disconnect_sets_a_device_offline(self):
        d = self.new_device()
        d.status()
        self.assertTrue(self.api.get("/api/v1/devices/dev1").json()["online"])
        d.paho.drop()
        eventually(lambda: not self.api.get("/api/v1/devices/dev1").json()["online"], "the device is offline")

    def chunks(self, d, request, expected_bytes):
        """Asks by fw/get and returns the chunks by their offset, until `expected_bytes` and the empty end came."""
        d.paho.subscribe(d.topic("fw/#"), qos=0)
        d.say("fw/get", qos=0, **request)
        got = {}
        while True:
            m = d.paho.receive()
            if not m.topic.startswith(d.topic(f"fw/data/{request['rid']}/")):
                continue
            at = int(m.topic.rsplit("/", 1)[1])
            got[at] = m.payload
            if sum(map(len, got.values())) >= expected_bytes:
                return got

    def test_an_image_comes_over_mqtt_in_chunks(self):
        d = self.new_device()
        command = self.offered(d)
        image, length = b"", 16_384
        while len(image) < len(IMAGE):
            want = min(4 * length, len(IMAGE) - len(image))
            got = self.chunks(d, {"rid": 7, "offset": len(image), "length": length, "count": 4,
                                  "update_id": command["update_id"]}, want)
            for at in sorted(got):
                self.assertEqual(at, len(image))
                image += got[at]
        self.assertEqual(image, IMAGE)
        eventually(lambda: self.state_of(command["update_id"]) == "downloaded", "the last byte served means downloaded")

    def test_a_chunk_past_the_end_is_empty(self):
        d = self.new_device()
        self.offered(d)
        d.paho.subscribe(d.topic("fw/#"), qos=0)
        d.say("fw/get", qos=0, rid=1, offset=len(IMAGE), length=4096, count=1)
        m = d.paho.receive(d.topic(f"fw/data/1/{len(IMAGE)}"))
        self.assertEqual(m.payload, b"")

    def test_a_wrong_chunk_request_gets_an_error(self):
        d = self.new_device()
        self.offered(d)
        d.paho.subscribe(d.topic("fw/#"), qos=0)
        for wrong in ({"offset": -1, "length": 4096}, {"offset": 0, "length": 1}, {"offset": 0, "length": 1 << 20},
                      {"offset": 0, "length": 4096, "update_id": "00000000-0000-7000-8000-000000000000"}):
            with self.subTest(wrong):
                d.say("fw/get", qos=0, rid=9, **wrong)
                error = json.loads(d.paho.receive(d.topic("fw/error")).payload)
                self.assertEqual(error["rid"], 9)
                self.assertTrue(error["code"] and error["message"])

    def test_a_response_topic_below_the_device_is_honoured_and_another_is_not(self):
        d = self.new_device()
        self.offered(d)
        d.paho.subscribe(d.topic("#"), qos=0)
        request = json.dumps({"rid": 3, "offset": 0, "length": 4096, "count": 2})
        d.paho.client.publish(d.topic("fw/get"), request, 0,
                              properties=properties("PUBLISH", ResponseTopic=d.topic("here"), CorrelationData=b"c"))
        for offset in (0, 4096):
            m = d.paho.receive(d.topic("here"))
            self.assertEqual(m.payload, IMAGE[offset:offset + 4096])
            self.assertEqual(m.properties.CorrelationData, b"c")
            self.assertEqual(m.properties.UserProperty, [("offset", str(offset))])
        watcher = self.paho(self.b)
        watcher.subscribe("device/dev2/#", "end")
        d.paho.client.publish(d.topic("fw/get"), request, 0,
                              properties=properties("PUBLISH", ResponseTopic="device/dev2/update"))
        d.status()
        self.assertEqual(watcher.nothing_before("end"), [])


if __name__ == "__main__":
    main()
