"""A disk that is full: an upload and a report that cannot be stored are refused in words, everybody else goes on, and
when there is space again nothing is missing. The disk's end is a limit on the size of the broker's files, put on the
running process and lifted again, so no file system has to be filled."""

import os
import resource

from support.broker import PATIENCE_S, eventually
from support.case import Case, main
from support.device import Device


class DiskFull(Case):
    def setUp(self):
        super().setUp()
        # SIGXFSZ stays ignored, as Python has it: a write beyond the limit is an error, as on a full disk.
        self.b = self.new_broker(tls=True, http=True).start(restore_signals=False)
        self.api = self.rest(self.b)

    def limit_files_to(self, size):
        """No file of the broker may grow beyond `size` bytes from now on; None lifts the limit."""
        _, hard = resource.prlimit(self.b.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.b.process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def test_an_upload_that_does_not_fit_is_refused_and_others_go_on(self):
        d = Device(self.b, "dev1")
        self.addCleanup(d.close)
        d.status()
        image = os.urandom(12 << 20)
        self.limit_files_to(8 << 20)
        answer = self.api.upload(image, "2.0.0")
        self.assertIn(answer.status, (503, 507))
        self.assertTrue(answer.is_problem())
        self.assertEqual(os.listdir(self.b.path("blobs")), [])
        self.assertEqual(self.b.sql("SELECT * FROM firmwares"), [])
        d.status()
        small = self.api.uploaded(os.urandom(1000), "1.1.0")
        (update,) = self.api.trigger(small["id"], "dev1")
        d.take_update(d.command())
        self.assertEqual(self.api.update(update["id"])["state"], "succeeded")
        self.limit_files_to(None)
        self.assertEqual(self.api.upload(image, "2.0.0").status, 201)

    def test_an_upload_that_would_leave_too_little_space_is_refused_at_once(self):
        b = self.broker(http=True, http_extra=f"free_bytes_min = {1 << 40}")
        answer = self.rest(b).upload(b"x", "1.0.0")
        self.assertEqual(answer.status, 507)
        self.assertTrue(answer.is_problem())
        self.assertEqual(os.listdir(b.path("blobs")), [])

    def test_a_report_that_cannot_be_stored_is_not_acknowledged_and_can_be_sent_again(self):
        d = Device(self.b, "dev1")
        d.status()
        watcher = self.paho(self.b)
        watcher.subscribe("end")
        self.limit_files_to(4096)
        info = d.paho.client.publish(d.topic("update/result"), b'{"status":"success","version":"7.0.0"}', 1)
        d.paho.disconnects.get(timeout=PATIENCE_S)
        self.assertFalse(info.is_published())
        self.assertEqual(watcher.nothing_before("end"), [])
        self.limit_files_to(None)
        eventually(self.can_report, "reports are stored again")
        self.assertEqual(self.b.sql("SELECT DISTINCT firmware_version FROM devices"), [("7.0.0",)])
        self.assertTrue(self.b.running())

    def can_report(self):
        d = Device(self.b, "dev1")
        d.paho.client.publish(d.topic("update/result"), b'{"status":"success","version":"7.0.0"}', 1).wait_for_publish(5)
        d.close()
        return self.b.sql("SELECT * FROM update_results WHERE firmware_version = '7.0.0'")


if __name__ == "__main__":
    main()
