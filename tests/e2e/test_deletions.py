"""What goes: devices and firmwares that operators delete, files without a row, history beyond what is kept; and the disk's
reserve, which uploads leave alone."""

import hashlib
import os
import re
import subprocess
import time

from support import backups
from support.broker import eventually
from support.case import Case, main
from support.device import Device

IMAGE = b"firmware" * 5000
DAY_S = 86400


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Deletions(Case):
    def begin(self, **options):
        self.b = self.broker(tls=True, http=True, **options)
        self.api = self.rest(self.b)

    def device(self, name="dev1"):
        d = Device(self.b, name)
        self.addCleanup(d.close)
        d.status()
        return d

    def delete(self, path, status=204):
        answer = self.api.request("DELETE", "/api/v1/" + path)
        self.assertEqual(answer.status, status, answer.body)
        return answer

    def blob(self, content):
        return self.b.path("blobs", sha256(content))

    def metric(self, name):
        return int(re.search(rf"^{re.escape(name)} (\d+)$", self.api.get("/metrics").body.decode(), re.M)[1])

    def updated(self, d, firmware):
        self.api.trigger(firmware["id"], d.id)
        d.take_update(d.command())

    def write_sql(self, script):
        subprocess.run(["sqlite3", "-cmd", ".timeout 5000", self.b.path("fota.db"), script], check=True)

    def test_a_device_goes_with_its_history_and_may_come_back(self):
        self.begin()
        d = self.device()
        self.updated(d, self.api.uploaded(IMAGE))
        self.assertEqual(self.delete("devices/dev1").body, b"")
        self.assertEqual(self.api.get("/api/v1/devices/dev1").status, 404)
        for table in ("devices", "updates", "update_results", "update_events"):
            self.assertEqual(self.b.sql(f"SELECT count(*) FROM {table}"), [("0",)], table)
        self.delete("devices/dev1", 404)
        d.status()  # it is connected all the time
        self.assertEqual(self.api.get("/api/v1/devices/dev1").json()["online"], True)

    def test_a_device_that_is_being_updated_stays_unless_forced(self):
        self.begin()
        d = self.device()
        self.api.trigger(self.api.uploaded(IMAGE)["id"], "dev1")
        d.progress(d.command(), "downloading")
        self.assertIn("force", self.delete("devices/dev1", 409).json()["detail"])
        self.delete("devices/dev1?force=2", 400)
        self.delete("devices/dev1?force=1")
        self.assertEqual(d.command()["action"], "cancel")

    def test_a_firmware_goes_with_its_file(self):
        self.begin()
        firmware = self.api.uploaded(IMAGE)
        self.assertTrue(os.path.exists(self.blob(IMAGE)))
        self.delete("firmwares/" + firmware["id"])
        self.assertFalse(os.path.exists(self.blob(IMAGE)))
        self.assertEqual(self.api.get("/api/v1/firmwares/" + firmware["id"]).status, 404)
        self.delete("firmwares/" + firmware["id"], 404)
        self.api.uploaded(IMAGE)  # the version is free again

    def test_a_file_that_another_firmware_has_too_stays(self):
        self.begin()
        first, _ = self.api.uploaded(IMAGE, "1.0.0"), self.api.uploaded(IMAGE, "2.0.0")
        self.delete("firmwares/" + first["id"])
        self.assertTrue(os.path.exists(self.blob(IMAGE)))

    def test_a_firmware_in_use_stays_and_one_of_the_past_stays_readable(self):
        self.begin()
        d = self.device()
        old, new = self.api.uploaded(IMAGE, "1.1.0"), self.api.uploaded(IMAGE + b"2", "1.2.0")
        self.updated(d, old)
        self.assertEqual(self.delete("firmwares/" + old["id"], 409).json()["reason"], "in_use")  # dev1 runs it
        self.updated(d, new)
        self.delete("firmwares/" + old["id"])
        kept = self.api.get("/api/v1/firmwares/" + old["id"]).json()
        self.assertEqual((kept["state"], kept["url"], kept["version"]), ("revoked", None, "1.1.0"))
        self.assertFalse(os.path.exists(self.blob(IMAGE)))
        self.assertEqual(self.api.get(old["url"][old["url"].index("/fw/"):]).status, 410)
        versions = [u["version"] for u in self.api.get("/api/v1/updates").json()["items"]]
        self.assertEqual(versions, ["1.2.0", "1.1.0"])

    def test_files_without_a_row_go_at_the_start_when_they_are_old(self):
        self.begin()
        self.api.uploaded(IMAGE)
        self.assertEqual(self.b.stop(), 0)
        old = time.time() - 2 * 3600
        os.utime(self.blob(IMAGE), (old, old))
        for content, when in ((b"orphan", old), (b"perhaps an upload", time.time())):
            with open(self.blob(content), "wb") as out:
                out.write(content)
            os.utime(self.blob(content), (when, when))
        self.b.start()
        eventually(lambda: not os.path.exists(self.blob(b"orphan")), "the orphan goes")
        self.assertTrue(os.path.exists(self.blob(IMAGE)))
        self.assertTrue(os.path.exists(self.blob(b"perhaps an upload")))
        eventually(lambda: self.metric("fotabroker_orphan_files_removed_total") == 1, "it is counted")

    def test_history_beyond_what_is_kept_goes_at_the_start(self):
        self.begin(extra="\n[retention]\nresults_days = 30\nevents_days = 10\n")
        d = self.device()
        self.updated(d, self.api.uploaded(IMAGE, "1.1.0"))
        self.updated(d, self.api.uploaded(IMAGE + b"2", "1.2.0"))
        d.close()
        self.assertEqual(self.b.stop(), 0)
        old = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 20 * DAY_S))
        older = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 40 * DAY_S))
        self.write_sql(f"UPDATE update_results SET timestamp = '{older}';"
                       f"UPDATE update_events SET at = '{old}';")
        self.b.start()
        eventually(lambda: self.b.sql("SELECT count(*) FROM update_results") == [("1",)], "all but the newest go")
        eventually(lambda: self.b.sql("SELECT count(*) FROM update_events") == [("0",)], "events go")
        self.assertEqual(self.b.sql("SELECT firmware_version FROM update_results"), [("1.2.0",)])
        self.assertEqual(self.b.sql("SELECT count(*) FROM updates"), [("2",)])
        eventually(lambda: self.metric("fotabroker_retention_results_total") == 1, "they are counted")

    def test_what_a_backup_names_is_not_deleted_while_it_is_made(self):
        self.begin()
        firmware = self.api.uploaded(IMAGE)
        holder = subprocess.Popen(["flock", "--shared", self.b.path("blobs"), "cat"], stdin=subprocess.PIPE)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.stdin.close)
        held = ["flock", "--exclusive", "--nonblock", self.b.path("blobs"), "true"]
        eventually(lambda: subprocess.run(held).returncode != 0, "the blobs are held")
        self.delete("firmwares/" + firmware["id"])
        self.assertTrue(os.path.exists(self.blob(IMAGE)))  # the next look takes it
        self.assertEqual(self.api.get("/api/v1/firmwares/" + firmware["id"]).status, 404)
        backups.backup(self.b, os.path.join(self.b.directory, "b.fbk"))  # any number may hold them

    def test_the_disk_reserve_is_told_and_uploads_leave_it_alone(self):
        self.begin(http_extra=f"free_bytes_min = {1 << 40}")
        answer = self.api.upload(IMAGE)
        self.assertEqual((answer.status, "must stay free" in answer.json()["detail"]), (507, True), answer.body)
        self.assertEqual(os.listdir(self.b.path("blobs")), [])
        checks = {c["name"]: c for c in self.api.get("/healthz").json()["checks"]}
        self.assertEqual((checks["disk_space"]["ok"], "uploads are refused" in checks["disk_space"]["text"]), (False, True))
        self.assertEqual(self.metric("fotabroker_disk_reserve_bytes"), 1 << 40)
        self.assertLess(self.metric("fotabroker_disk_free_bytes"), 1 << 40)


if __name__ == "__main__":
    main()
