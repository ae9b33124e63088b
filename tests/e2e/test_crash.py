"""kill -9 of the broker at bad moments. What was acknowledged is in the database; updates go on after the restart and
end; sessions, their queues and retained messages are there again. FB_LONG=1 kills many more times."""

import hashlib
import os
import random
import time

from support import pki, raw
from support.broker import PATIENCE_S, eventually
from support.case import Case, main
from support.device import Device
from support.raw import RawClient

from test_fota_devices import IDS, Fleet

KILLS = 40 if os.environ.get("FB_LONG") else 4


class Crash(Case):
    def again(self):
        self.b.kill()
        self.b.start()

    def test_an_update_goes_on_after_kills_in_mid_download(self):
        for via in ("http", "mqtt"):
            with self.subTest(via):
                self.b = self.broker(tls=True, http=True, shards=2)
                image = os.urandom(600_000)
                fleet = Fleet(self.b, "--via", via, "--slow-bytes-per-second", "300000", timeout_s=240)
                self.addCleanup(fleet.end)
                eventually(lambda: len(self.b.sql("SELECT * FROM devices")) == 3, "the devices registered")
                api = self.rest(self.b)
                api.trigger(api.uploaded(image)["id"], *IDS)
                for _ in range(KILLS):
                    time.sleep(random.uniform(0.1, 1.0))
                    self.again()
                status, said = fleet.wait()
                self.assertEqual(status, 0, said)
                self.assertEqual(fleet.installed(), [hashlib.sha256(image).hexdigest()] * 3)
                self.assertEqual(self.b.sql("SELECT state FROM updates"), [("succeeded",)] * 3)
                self.assertEqual(self.b.sql("SELECT count(*), count(DISTINCT event_key) FROM update_results"), [("3", "3")])

    def test_no_acknowledged_result_is_lost(self):
        self.b = self.broker(tls=True, shards=2)
        acknowledged = []
        for round_no in range(KILLS):
            d = Device(self.b, "dev1")
            for i in range(random.randint(1, 20)):
                version = f"{round_no}.{i}.0"
                d.say("update/result", status="success", version=version)
                acknowledged.append(version)
            self.b.kill()
            d.paho.client.loop_stop()
            rows = [row[0] for row in self.b.sql("SELECT firmware_version FROM update_results ORDER BY id")]
            self.assertEqual(rows, acknowledged)
            self.assertEqual(self.b.sql("SELECT firmware_version FROM devices"), [(acknowledged[-1],)])
            self.b.start()

    def test_every_step_of_an_update_survives(self):
        self.b = self.broker(tls=True, http=True)
        d = Device(self.b, "dev1")
        d.status()
        api = self.rest(self.b)
        (update,) = api.trigger(api.uploaded(b"image" * 1000)["id"], "dev1")
        command = d.command()
        for state in ("accepted", "downloading", "downloaded", "installing", "rebooting"):
            d.progress(command, state)
            self.again()
            d.paho.client.loop_stop()
            d = Device(self.b, "dev1")
            now = api.update(update["id"])["state"]
            self.assertEqual(now, "verifying" if state == "rebooting" else state)
            if state in ("accepted", "downloading", "downloaded"):
                repeated = d.command()
                self.assertEqual((repeated["update_id"], repeated["attempt"]), (command["update_id"], 1))
        d.result(command)
        self.assertEqual(api.update(update["id"])["state"], "succeeded")
        d.close()

    def test_sessions_their_queues_and_retained_messages_survive(self):
        self.b = self.broker(shards=4)
        sleeper = self.paho(self.b, "sleeper", clean=False, expiry_s=3600)
        sleeper.subscribe("queue/+", qos=2)
        sleeper.close()
        other = self.paho(self.b, "other")
        for i in range(50):
            other.publish("queue/1", str(i), qos=1 + i % 2)
            other.publish(f"kept/{i}", str(i), retain=True)
        other.publish("kept/7", b"", retain=True)
        self.again()
        other.client.loop_stop()
        sleeper = self.paho(self.b, "sleeper", clean=False, expiry_s=3600, connect=False)
        self.assertEqual(sleeper.connect(), (True, 0))
        self.assertEqual(sorted(int(sleeper.receive().payload) for _ in range(50)), list(range(50)))
        fresh = self.paho(self.b, "fresh")
        fresh.subscribe("kept/#", "end")
        kept = sorted(int(m.payload) for m in fresh.nothing_before("end"))
        self.assertEqual(kept, [i for i in range(50) if i != 7])
        sleeper.subscribe("end")
        self.assertEqual(sleeper.nothing_before("end"), [])

    def test_a_qos_2_message_in_flight_arrives_exactly_once(self):
        self.b = self.broker()
        receiver = self.paho(self.b, "receiver", clean=False, expiry_s=3600)
        receiver.subscribe("q", qos=2)
        receiver.close()
        sender = RawClient(self.b.plain_port, client_id="sender", clean=False, props=b"\x11\0\0\x0e\x10")
        sender.send(raw.publish("q", b"once", qos=2, packet_id=9))
        self.assertEqual(sender.receive()[0], raw.PUBREC)
        sender.close()
        self.again()
        sender = RawClient(self.b.plain_port, client_id="sender", clean=False, props=b"\x11\0\0\x0e\x10")
        sender.send(raw.publish("q", b"once", qos=2, packet_id=9, dup=True))
        self.assertEqual(sender.receive()[0], raw.PUBREC)
        sender.send(raw.packet(raw.PUBREL, b"\0\x09"))
        self.assertEqual(sender.receive()[0], raw.PUBCOMP)
        sender.close()
        receiver = self.paho(self.b, "receiver", clean=False, expiry_s=3600)
        self.assertEqual(receiver.receive().payload, b"once")
        receiver.subscribe("end")
        self.assertEqual(receiver.nothing_before("end"), [])

    def test_a_message_that_was_sent_and_not_acknowledged_is_sent_again(self):
        self.b = self.broker()
        receiver = RawClient(self.b.plain_port, client_id="receiver", clean=False, props=b"\x11\0\0\x0e\x10")
        receiver.send(raw.subscribe("q", qos=1))
        self.assertEqual(receiver.receive()[0], raw.SUBACK)
        self.paho(self.b).publish("q", b"again")
        self.assertEqual(receiver.receive()[0], raw.PUBLISH)
        self.again()
        receiver.close()
        receiver = RawClient(self.b.plain_port, client_id="receiver", clean=False, props=b"\x11\0\0\x0e\x10")
        kind, flags, body = receiver.receive()
        self.assertEqual((kind, flags & 8, body[-5:]), (raw.PUBLISH, 8, b"again"))
        receiver.close()

    def test_a_will_is_published_after_a_crash_of_the_broker(self):
        self.b = self.broker()
        watcher = self.paho(self.b, "watcher", clean=False, expiry_s=3600)
        watcher.subscribe("will")
        mortal = self.paho(self.b, "mortal", clean=False, expiry_s=3600,
                           will={"topic": "will", "payload": b"gone", "qos": 1})
        mortal.subscribe("x")  # its SUBACK says that the session is on the disk
        self.again()
        watcher.client.loop_stop()
        again = self.paho(self.b, "watcher", clean=False, expiry_s=3600)
        self.assertEqual(again.receive("will", patience_s=PATIENCE_S).payload, b"gone")


if __name__ == "__main__":
    pki.authority()
    main()
