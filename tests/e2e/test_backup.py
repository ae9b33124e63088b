"""A backup of a broker that serves, and a broker that begins with it: nothing acknowledged before is missing. A backup
that is damaged, cut, of somebody else, or meant for another directory changes nothing."""

import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import threading

from support import backups
from support.broker import eventually
from support.case import Case, main


class Backup(Case):
    def setUp(self):
        super().setUp()
        self.b = self.broker(http=True, shards=2)
        self.file = os.path.join(self.b.directory, "gateway.fbk")

    def sleeper(self, b, filters=()):
        c = self.paho(b, "sleeper", clean=False, expiry_s=3600)
        if filters:
            c.subscribe(*filters)
        c.close()

    def phrase(self, text, name="phrase"):
        path = os.path.join(self.b.directory, name)
        with open(path, "w") as out:
            out.write(text + "\n")
        return path

    def restored_broker(self, *flags):
        """Another broker over what the backup brings."""
        other = self.new_broker(http=True, shards=1)
        self.said = backups.restore(self.file, other.data, *flags)
        return other.start()

    def refused(self, status, words, *flags, file=None, data=None):
        data = data or os.path.join(self.b.directory, "nowhere")
        done = backups.run("restore", file or self.file, "--data-dir", data, *flags)
        self.assertEqual((done.returncode, words in done.stderr), (status, True), done.stderr)
        if os.path.isdir(data):
            self.assertLessEqual(set(os.listdir(data)), {"lock"})

    def woken(self, b):
        c = self.paho(b, "sleeper", clean=False, expiry_s=3600, connect=False)
        self.assertEqual(c.connect(), (True, 0))
        return c

    def test_a_backup_while_messages_come_misses_none_that_was_acknowledged_before(self):
        self.sleeper(self.b, ["queue/#"])
        sender = self.paho(self.b, "sender")
        for i in range(200):
            sender.publish("queue/x", f"before {i}")
        sender.publish("kept", "retained", retain=True)
        firmware = self.rest(self.b).uploaded(b"firmware" * 1000)
        stop = threading.Event()
        during = []

        def go_on():
            other = self.paho(self.b, "other")
            while not stop.is_set():
                other.publish("queue/y", f"during {len(during)}")
                during.append(None)
        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            eventually(lambda: len(during) > 5, "messages come")
            said = backups.backup(self.b, self.file)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertEqual(said["file_bytes"], os.path.getsize(self.file))
        self.assertEqual([n for n in os.listdir(self.b.data) if "copy" in n], [])
        self.b.kill()

        other = self.restored_broker()
        c = self.woken(other)
        got = [c.receive().payload.decode() for _ in range(200)]
        self.assertEqual(got, [f"before {i}" for i in range(200)])
        c.subscribe("end")
        rest = [m.payload.decode() for m in c.nothing_before("end")]
        self.assertEqual(rest, [f"during {i}" for i in range(len(rest))])  # what is there of the later ones has no gap
        c.subscribe("kept")
        self.assertEqual(c.receive().payload, b"retained")
        rest_api = self.rest(other)  # with the token of the first broker
        self.assertEqual(rest_api.get("/api/v1/firmwares/" + firmware["id"]).json()["version"], "1.1.0")
        self.assertEqual(rest_api.get(firmware["url"]).body, b"firmware" * 1000)
        config = next(now for now, before in self.said["outside"].items() if before == self.b.config)
        with open(config) as restored, open(self.b.config) as original:
            self.assertEqual(restored.read(), original.read())
        keys = [before for before in self.said["outside"].values() if before.endswith("ca.key")]
        self.assertTrue(keys, self.said)  # the device CA lies elsewhere here

    def test_a_broker_that_does_not_run_is_saved_with_what_its_log_holds(self):
        self.sleeper(self.b, ["queue/#"])
        sender = self.paho(self.b, "sender")
        for i in range(20):
            sender.publish("queue/x", str(i))
        sender.close()
        self.b.kill()
        backups.backup(self.b, self.file)
        c = self.woken(self.restored_broker())
        self.assertEqual([c.receive().payload for _ in range(20)], [str(i).encode() for i in range(20)])

    def test_an_encrypted_backup_needs_its_passphrase(self):
        self.sleeper(self.b, ["queue/#"])
        self.paho(self.b, "sender").publish("queue/x", "a secret message")
        said = backups.backup(self.b, self.file, "--passphrase-file", self.phrase("correct horse"))
        self.assertTrue(said["encrypted"])
        with open(self.file, "rb") as sealed:
            self.assertTrue(sealed.read(8) == b"fbseal1\n")
        self.refused(4, "passphrase is wrong", "--passphrase-file", self.phrase("wrong horse", "wrong"))
        self.refused(1, "no password came")  # no terminal, no pipe
        c = self.woken(self.restored_broker("--passphrase-file", self.phrase("correct horse")))
        self.assertEqual(c.receive().payload, b"a secret message")

    def test_a_plain_backup_warns_and_is_a_tar_that_others_can_check(self):
        done = backups.run("backup", self.file, "--data-dir", self.b.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("private keys and tokens in the clear", done.stderr)
        folder = os.path.join(self.b.directory, "unpacked")
        os.mkdir(folder)
        for member in self.members():
            path = os.path.join(folder, member.name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(self.content[member.name])
        checked = subprocess.run(["sha256sum", "-c", "manifest.sha256"], cwd=folder, capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        with open(os.path.join(folder, "manifest.json")) as text:
            names = [m["name"] for m in json.load(text)["members"]]
        self.assertIn("data/state.db", names)
        self.assertIn("data/fota.db", names)
        self.assertIn("data/admin.token", names)
        self.assertIn("data/keys/url.key", names)

    def members(self, file=None):
        """The members of a plain backup; their bytes are in self.content."""
        tar = subprocess.run(["zstd", "-dcq", file or self.file], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            out = archive.getmembers()
            self.content = {m.name: archive.extractfile(m).read() for m in out if m.isfile()}
        return out

    def forged(self, change):
        """A backup whose members `change` has changed: a function of the list of (TarInfo, bytes)."""
        backups.backup(self.b, self.file)
        members = [(m, self.content[m.name]) for m in self.members()]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for info, content in change(members):
                info.size = len(content) if info.isfile() else 0
                archive.addfile(info, io.BytesIO(content) if info.isfile() else None)
        path = os.path.join(self.b.directory, "forged.fbk")
        subprocess.run(["zstd", "-qf", "-o", path], input=out.getvalue(), check=True)
        return path

    def test_cut_and_changed_files_are_refused_and_nothing_is_changed(self):
        phrase = self.phrase("p" * 20)
        sealed = os.path.join(self.b.directory, "sealed.fbk")
        backups.backup(self.b, self.file)
        backups.backup(self.b, sealed, "--passphrase-file", phrase)
        bad = os.path.join(self.b.directory, "bad.fbk")
        for original, flags in ((self.file, ()), (sealed, ("--passphrase-file", phrase))):
            with open(original, "rb") as whole:
                content = whole.read()
            for cut in (len(content) // 2, len(content) - 1 if flags else len(content) - 700):
                with open(bad, "wb") as out:
                    out.write(content[:cut])
                self.refused(3, "", *flags, file=bad)
            changed = bytearray(content)
            changed[len(content) * 2 // 3] ^= 0x10
            with open(bad, "wb") as out:
                out.write(changed)
            self.refused(3, "", *flags, file=bad)
        with open(bad, "wb") as out:
            out.write(b"something else altogether")
        self.refused(3, "is not a backup of fotabroker", file=bad)
        self.refused(1, "cannot read", file=os.path.join(self.b.directory, "missing"))

    def test_names_that_point_outside_and_links_are_refused(self):
        def renamed(name):
            def change(members):
                for info, content in members:
                    if info.name == "data/admin.token":
                        info.name = name
                    yield info, content
            return change

        def linked(members):
            yield members[0]
            link = tarfile.TarInfo("data/keys")
            link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
            yield link, b""

        for name in ("../admin.token", "/tmp/admin.token", "data/../../admin.token", "data/./x"):
            self.refused(3, "points outside", file=self.forged(renamed(name)))
            os.unlink(self.file)
        self.assertFalse(os.path.exists(os.path.join(self.b.directory, "admin.token")))
        self.refused(3, "not a plain file", file=self.forged(linked))
        os.unlink(self.file)
        self.refused(3, "is missing", file=self.forged(renamed("data/else")))

    def test_a_backup_of_a_newer_program_is_refused(self):
        def newer(members):
            for info, content in members:
                if info.name == "backup.json":
                    content = content.replace(b'"fotabroker_backup": 1', b'"fotabroker_backup": 99')
                yield info, content
        self.refused(3, "newer program", file=self.forged(newer))

    def test_a_directory_in_use_or_full_is_left_alone_until_it_is_forced(self):
        backups.backup(self.b, self.file)
        done = backups.run("restore", self.file, "--data-dir", self.b.data, "--force")
        self.assertEqual((done.returncode, "in use" in done.stderr), (5, True), done.stderr)
        self.assertEqual(self.b.stop(), 0)
        done = backups.run("restore", self.file, "--data-dir", self.b.data)
        self.assertEqual((done.returncode, "not empty" in done.stderr), (5, True), done.stderr)
        token = self.b.admin_token()
        with open(self.b.path("admin.token"), "w") as out:
            out.write("another")
        said = backups.restore(self.file, self.b.data, "--force")
        self.assertEqual(self.b.admin_token(), token)
        with open(os.path.join(said["put_aside"], "admin.token")) as text:
            self.assertEqual(text.read(), "another")
        self.b.start()

    def test_a_broker_does_not_start_on_half_a_restore(self):
        self.assertEqual(self.b.stop(), 0)
        os.mkdir(self.b.path("restore.partial"))
        self.b.spawn()
        self.assertEqual(self.b.wait(), 1)
        self.assertIn("a restore did not come to its end", self.b.log())
        os.rmdir(self.b.path("restore.partial"))
        self.b.start()

    def test_an_existing_file_is_not_overwritten_and_half_a_backup_is_none(self):
        with open(self.file, "w") as out:
            out.write("precious")
        done = backups.run("backup", self.file, "--config", self.b.config)
        self.assertEqual((done.returncode, "exists already" in done.stderr), (1, True), done.stderr)
        with open(self.file) as text:
            self.assertEqual(text.read(), "precious")
        target = os.path.join(self.b.directory, "no", "such", "folder.fbk")
        self.assertEqual(backups.run("backup", target, "--config", self.b.config).returncode, 1)
        self.assertEqual([n for n in os.listdir(self.b.data) if "copy" in n], [])


if __name__ == "__main__":
    main()
