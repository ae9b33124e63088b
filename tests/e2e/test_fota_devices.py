"""The simulated devices (fotabroker-fleet) against the broker: three at a time take an update over HTTPS and over MQTT,
lose their link in the middle, and end with the uploaded bytes."""

import hashlib
import os
import subprocess

from support import pki
from support.broker import PATIENCE_S, eventually
from support.case import Case, main

IDS = ["dev1", "dev2", "dev3"]


class Fleet:
    """fotabroker-fleet in the background."""

    def __init__(self, b, *more, timeout_s=120):
        for device_id in IDS:
            pki.device(device_id)
        self.flash = os.path.join(b.directory, "flash")
        self.log = open(os.path.join(b.directory, "fleet.log"), "w+")
        self.process = subprocess.Popen(
            [os.environ["FB_FLEET"], "devices", "--broker", f"mqtts://127.0.0.1:{b.tls_port}", "--ca",
             pki.authority() + "/ca.crt", "--certs", pki.authority(), "--ids", ",".join(IDS), "--type", "sensor",
             "--version", "1.0.0", "--state-dir", self.flash, "--until-version", "1.1.0", "--timeout", str(timeout_s), *more],
            stdout=self.log, stderr=subprocess.STDOUT)

    def wait(self):
        """The exit status, 0 when every device runs 1.1.0 and the gateway knows; and what they said."""
        status = self.process.wait(5 * PATIENCE_S)
        self.log.seek(0)
        return status, self.log.read()

    def installed(self):
        """SHA-256 of what each device runs."""
        out = []
        for device_id in IDS:
            with open(os.path.join(self.flash, device_id, "installed.bin"), "rb") as f:
                out.append(hashlib.sha256(f.read()).hexdigest())
        return out

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.log.close()


class Devices(Case):
    def setUp(self):
        super().setUp()
        self.b = self.broker(tls=True, http=True, shards=2)
        self.api = self.rest(self.b)

    def updated(self, *fleet_options, image=os.urandom(300_000)):
        """Runs the fleet through an update and checks that it has the bytes and the database says so."""
        fleet = Fleet(self.b, *fleet_options)
        self.addCleanup(fleet.end)
        eventually(lambda: len(self.b.sql("SELECT * FROM devices")) == 3, "the devices registered")
        firmware = self.api.uploaded(image)
        answer = self.api.post("/api/v1/updates", {"firmware_id": firmware["id"], "device_type": "sensor"})
        self.assertEqual(answer.status, 201, answer.body)
        self.assertEqual(len(answer.json()["updates"]), 3)
        status, said = fleet.wait()
        self.assertEqual(status, 0, said)
        self.assertEqual(fleet.installed(), [hashlib.sha256(image).hexdigest()] * 3)
        self.assertEqual(self.b.sql("SELECT state FROM updates"), [("succeeded",)] * 3)
        self.assertEqual(self.b.sql("SELECT DISTINCT status, firmware_version FROM update_results"), [("success", "1.1.0")])
        self.assertEqual(self.b.sql("SELECT firmware_version FROM devices"), [("1.1.0",)] * 3)

    def test_over_https(self):
        self.updated()

    def test_over_mqtt(self):
        self.updated("--via", "mqtt")

    def test_over_mqtt_with_version_3_1_1(self):
        self.updated("--via", "mqtt", "--mqtt", "3.1.1")

    def test_https_with_a_link_that_breaks(self):
        self.updated("--drop-after-bytes", "100000")

    def test_mqtt_with_a_link_that_breaks(self):
        self.updated("--via", "mqtt", "--drop-after-bytes", "100000")

    def test_devices_that_confirm_after_their_reboot(self):
        self.updated("--confirm")

    def test_an_image_of_one_byte(self):
        self.updated(image=b"x")


if __name__ == "__main__":
    main()
