#!/usr/bin/env python3
"""The whole way of a firmware, start to end: a gateway, three simulated devices with certificates of their own, an upload,
an update, and what the database says afterwards. Run by `./dev demo`.

Exit status 0: all three devices reported success, their installed files have the upload's SHA-256, and the database's
rows say the same. Anything else is 1. With --corrupt one byte of the stored firmware is flipped before it is served.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "e2e"))

from support.ports import free_port  # noqa: E402
from support.rest import Rest  # noqa: E402

DEVICES = ["dev1", "dev2", "dev3"]
OLD, NEW = "1.0.0", "1.1.0"
PATIENCE_S = 60
ENDED = ("succeeded", "failed", "rejected", "canceled", "expired", "superseded", "skipped")


class DemoFailed(Exception):
    pass


def step(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def wait_for(check, what):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = check()
        if value:
            return value
        time.sleep(0.05)
    raise DemoFailed(f"{what}: did not happen within {PATIENCE_S} s")


def sha256_of(path):
    """As Debian's sha256sum says it."""
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]


class Demo:
    def __init__(self, build, corrupt):
        self.broker_program = str(build / "fotabroker")
        self.fleet_program = str(next(build.rglob("fotabroker-fleet")))
        self.corrupt = corrupt
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="fotabroker-demo-"))
        self.pki, self.data, self.flash = self.home / "pki", self.home / "data", self.home / "devices"
        self.log, self.fleet_log = self.home / "broker.log", self.home / "devices.log"
        self.processes = []

    # The steps, in their order.

    def make_certificates(self):
        step("1. A device CA, a server certificate, three device certificates")
        self.cert("init", "--out", self.pki)
        self.cert("server", "--ca", self.pki, "--out", self.pki, "--name", "localhost", "--name", "127.0.0.1")
        for device in DEVICES:
            self.cert("device", device, "--ca", self.pki, "--out", self.pki)

    def start_gateway(self):
        self.mqtt_port, self.http_port = free_port(), free_port()
        step(f"2. The gateway: mqtts://127.0.0.1:{self.mqtt_port} (client certificates required), "
             f"https://127.0.0.1:{self.http_port}")
        with open(self.log, "w") as log:
            broker = self.start(
                [self.broker_program, "serve", "--listen", f"mqtts://127.0.0.1:{self.mqtt_port}", "--http",
                 f"https://127.0.0.1:{self.http_port}", "--data-dir", self.data, "--cert", self.pki / "server.crt", "--key",
                 self.pki / "server.key", "--client-ca", self.pki / "ca.crt"], stdout=log, stderr=log)
        self.rest = Rest(self.http_port, str(self.pki / "ca.crt"), None)

        def is_up():
            if broker.poll() is not None:
                raise DemoFailed("the gateway did not start")
            try:
                return self.rest.get("/healthz").status == 200
            except OSError:
                return False

        wait_for(is_up, "the gateway answers")
        self.rest.token = (self.data / "admin.token").read_text().strip()

    def start_devices(self):
        step(f"3. Three devices at {OLD} connect and report themselves")
        with open(self.fleet_log, "w") as log:
            self.start([self.fleet_program, "devices", "--broker", f"mqtts://127.0.0.1:{self.mqtt_port}", "--ca",
                        self.pki / "ca.crt", "--certs", self.pki, "--ids", ",".join(DEVICES), "--type", "sensor",
                        "--version", OLD, "--state-dir", self.flash, "--json"], stdout=log, stderr=log)
        threading.Thread(target=self.show_fleet, daemon=True).start()
        wait_for(lambda: [d["device_id"] for d in self.get("/api/v1/devices") if d["firmware_version"] == OLD] == DEVICES,
                 "the devices are registered")

    def upload(self):
        content = os.urandom(1 << 20)
        self.sha256 = hashlib.sha256(content).hexdigest()
        step(f"4. Upload of firmware {NEW}: 1 MiB, sha256 {self.sha256}")
        answer = self.rest.upload(content, NEW, "sensor", "sensor-1.1.0.bin")
        if answer.status != 201:
            raise DemoFailed(f"the upload was refused: {answer.status} {answer.body.decode()}")
        self.firmware = answer.json()
        if self.firmware["checksum"] != "sha256:" + self.sha256:
            raise DemoFailed(f"the gateway computed another checksum: {self.firmware['checksum']}")
        if self.corrupt:
            self.flip_a_byte()

    def flip_a_byte(self):
        blob = next(p for p in (self.data / "blobs").rglob("*") if self.sha256 in p.name)
        blob.chmod(0o600)
        with open(blob, "r+b") as f:
            f.seek(500_000)
            byte = f.read(1)[0]
            f.seek(500_000)
            f.write(bytes([byte ^ 1]))
        print(f"   --corrupt: flipped one bit of {blob}")

    def update(self):
        step("5. The update is triggered; the devices tell:")
        self.rest.trigger(self.firmware["id"], *DEVICES)
        wait_for(self.all_decided, "all devices have said how it went")

    def all_decided(self):
        ended = {u["device_id"] for u in self.get("/api/v1/updates") if u["state"] in ENDED}
        failed = {r["device_id"] for r in self.get("/api/v1/update-results") if r["status"] != "success"}
        return len(ended | failed) == len(DEVICES)

    def show_database(self):
        step("6. What the database says (sqlite3 fota.db)")
        for columns, table in (
                ("device_id, type, firmware_version, last_seen, ip", "devices"),
                ("device_type, version, substr(checksum, 1, 23) || '...' AS checksum, size, uploaded_by, uploaded_at",
                 "firmwares"),
                ("d.device_id, f.version, u.state, u.attempt, u.sent_at",
                 "updates u JOIN devices d ON d.id = u.device_id JOIN firmwares f ON f.id = u.firmware_id ORDER BY 1"),
                ("d.device_id, r.firmware_version, r.status, r.code, r.timestamp",
                 "update_results r JOIN devices d ON d.id = r.device_id ORDER BY 1")):
            print(f"\n{table.split()[0]}")
            print(self.sql(f"SELECT {columns} FROM {table}", "-box"), end="")

    def verdict(self):
        step("7. Is it true?")
        faults = []
        for device in DEVICES:
            installed = self.flash / device / "installed.bin"
            found = sha256_of(installed) if installed.exists() else "nothing installed"
            print(f"   {device}: sha256 of the installed file: {found}")
            if found != self.sha256:
                faults.append(f"{device} does not run the uploaded file")
        for what, query in (
                ("devices at the new version", f"SELECT count(*) FROM devices WHERE firmware_version = '{NEW}'"),
                ("updates that succeeded", "SELECT count(*) FROM updates WHERE state = 'succeeded' AND sent_at IS NOT NULL"),
                ("results with success", "SELECT count(DISTINCT device_id) FROM update_results WHERE status = 'success' "
                                         f"AND firmware_version = '{NEW}'"),
                ("firmware rows with the checksum",
                 f"SELECT 3 * count(*) FROM firmwares WHERE checksum = 'sha256:{self.sha256}'")):
            count = int(self.sql(query))
            if count != len(DEVICES):
                faults.append(f"{what}: the database says {count}")
        if faults and self.corrupt and self.sql("SELECT count(DISTINCT device_id) FROM update_results "
                                                "WHERE status = 'failed'").strip() == str(len(DEVICES)):
            raise DemoFailed("as it must: every device noticed the flipped byte, reported a failure and kept what it had")
        if faults:
            raise DemoFailed("; ".join(faults))
        print("   All three devices run the uploaded firmware, and the database says so.")

    # What the steps use.

    def cert(self, *words):
        subprocess.run([self.broker_program, "cert", *words], check=True, stdout=subprocess.DEVNULL)

    def start(self, command, **options):
        process = subprocess.Popen(command, start_new_session=True, **options)
        self.processes.append(process)
        return process

    def get(self, path):
        return self.rest.get(path).json()["items"]

    def sql(self, query, *options):
        return subprocess.run(["sqlite3", *options, "-readonly", "-cmd", ".timeout 5000", str(self.data / "fota.db"), query],
                              check=True, capture_output=True, text=True).stdout

    def show_fleet(self):
        """Follows what the devices say for as long as the demo runs."""
        with open(self.fleet_log) as lines:
            while True:
                line = lines.readline()
                if line.endswith("\n"):
                    self.show(line)
                else:
                    lines.seek(lines.tell() - len(line))
                    time.sleep(0.02)

    def show(self, line):
        try:
            e = json.loads(line)
        except ValueError:
            print("   " + line.rstrip(), flush=True)
        else:
            percent = e.get("percent")
            bar = "" if percent is None else f" [{'#' * (percent // 5):<20}] {percent:3} %"
            detail = f"  {e['detail']}" if e.get("detail") else ""
            print(f"   {e['time']}  {e['device']:<6} {e['version']:<7} {e['state']:<12}{bar}{detail}", flush=True)

    def tell_how_to_look_around(self):
        pids = " ".join(str(p.pid) for p in self.processes)
        ca, token = self.pki / "ca.crt", self.data / "admin.token"
        api = f'curl -s --cacert {ca} -H "Authorization: Bearer $(cat {token})" https://127.0.0.1:{self.http_port}'
        step("It is still running. To look around:")
        print(f"""  {api}/api/v1/devices
  {api}/api/v1/updates
  {api}/api/v1/devices/dev1/explain
  {self.broker_program} cert device me --ca {self.pki} --out {self.pki}
  mosquitto_sub -h 127.0.0.1 -p {self.mqtt_port} --cafile {ca} --cert {self.pki}/me.crt --key {self.pki}/me.key \\
      -i me -t 'device/me/#' -v
  sqlite3 -readonly -box {self.data}/fota.db 'SELECT * FROM update_events'
  log of the gateway: {self.log}
To stop and remove it:
  kill {pids}; rm -r {self.home}""")

    def end(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self):
        started = time.monotonic()
        self.make_certificates()
        self.start_gateway()
        self.start_devices()
        self.upload()
        self.update()
        self.show_database()
        self.verdict()
        print(f"   ({time.monotonic() - started:.1f} s)")


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the build directory")
    parser.add_argument("--corrupt", action="store_true", help="serve a flipped byte: must end badly")
    parser.add_argument("--keep", action="store_true", help="leave it running and say how to look around")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    demo = Demo(arguments.build.resolve(), arguments.corrupt)
    kept = False
    try:
        demo.run()
        status = 0
    except (DemoFailed, AssertionError, OSError, subprocess.CalledProcessError) as e:
        status = 1
        print(f"\nThe demo FAILED: {e}", flush=True)
        if demo.log.exists() and not arguments.corrupt:
            print("The end of the gateway's log:\n" + demo.log.read_text(errors="replace")[-3000:])
    except KeyboardInterrupt:
        status = 130
    else:
        kept = arguments.keep
    try:
        if kept:
            demo.tell_how_to_look_around()
    finally:
        if not kept:
            demo.end()
    return status


if __name__ == "__main__":
    sys.exit(main())
