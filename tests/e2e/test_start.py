"""Starting and stopping: what keeps the broker from starting is named, a stop is clean and loses nothing."""

import ctypes
import os
import signal
import socket
import stat
import subprocess

from support import pki, raw
from support.broker import PATIENCE_S, eventually
from support.case import Case, main
from support.device import Device
from support.raw import RawClient


def without_root_rights():
    """Root reads every file; in the child it shall not: drops CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH before exec."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            if libc.prctl(24, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl(PR_CAPBSET_DROP)")


class Start(Case):
    def fails(self, b, **options):
        """Starts a broker that must end by itself; returns its exit status and the log."""
        b.spawn(**options)
        status = b.wait()
        self.assertNotEqual(status, 0)
        return status, b.log()

    def serve(self, *flags):
        return subprocess.run([os.environ["FB_BROKER"], "serve", *flags], capture_output=True, text=True, timeout=PATIENCE_S)

    def test_a_port_in_use_is_named(self):
        for name in ("plain_port", "http_port"):
            b = self.new_broker(http=True)
            with socket.socket() as taken:
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection of before may rest there
                taken.bind(("127.0.0.1", getattr(b, name)))
                taken.listen()
                status, log = self.fails(b)
            self.assertEqual(status, 1)
            self.assertIn(str(getattr(b, name)), log)
            self.assertIn("in use", log.lower())
            b.start()

    def test_an_unreadable_key_is_named(self):
        key = os.path.join(pki.authority("unreadable"), "server.key")
        if os.getuid() == 0:
            os.chown(key, 12345, 12345)
        else:
            os.chmod(key, 0)
        b = self.new_broker(extra=f'[[listener]]\nurl = "mqtts://127.0.0.1:0"\ncert = "{pki.authority()}/server.crt"\n'
                                  f'key = "{key}"\nclient_ca = "{pki.authority()}/ca.crt"\n')
        status, log = self.fails(b, preexec_fn=without_root_rights)
        self.assertEqual(status, 1)
        self.assertIn(key, log)

    def test_a_key_that_does_not_fit_and_a_file_that_is_no_certificate_are_named(self):
        other = pki.authority("other")
        own = pki.authority()
        for cert, key, culprit in ((f"{own}/server.crt", f"{other}/server.key", f"{other}/server.key"),
                                   (os.environ["FB_BROKER"], f"{own}/server.key", os.environ["FB_BROKER"])):
            b = self.new_broker(extra=f'[[listener]]\nurl = "mqtts://127.0.0.1:0"\ncert = "{cert}"\nkey = "{key}"\n'
                                      f'client_ca = "{own}/ca.crt"\n')
            status, log = self.fails(b)
            self.assertEqual(status, 1)
            self.assertIn(culprit, log)

    def test_a_data_directory_in_use_is_refused_and_the_first_broker_goes_on(self):
        first = self.broker()
        second = self.new_broker()
        second.data = first.data
        with open(second.config) as f:
            text = f.read()
        with open(second.config, "w") as f:
            f.write(text.replace(os.path.join(second.directory, "data"), first.data))
        status, log = self.fails(second)
        self.assertEqual(status, 1)
        self.assertIn(first.data, log)
        self.paho(first).publish("x", b"")

    def test_a_database_of_a_newer_version_is_left_alone(self):
        for name in ("fota.db", "state.db"):
            with self.subTest(name):
                b = self.broker()
                self.assertEqual(b.stop(), 0)
                path = b.path(name)
                subprocess.run(["sqlite3", path, "INSERT INTO schema_migrations (version, name, applied_at) "
                                                 "VALUES (9999, 'future', '2099')"], check=True)
                status, log = self.fails(b)
                self.assertEqual(status, 1)
                self.assertIn(path, log)
                self.assertIn("9999", log)
                subprocess.run(["sqlite3", path, "DELETE FROM schema_migrations WHERE version = 9999"], check=True)
                b.start()

    def test_a_damaged_state_file_is_put_aside(self):
        b = self.broker()
        self.paho(b).publish("kept", b"x", retain=True)
        self.assertEqual(b.stop(), 0)
        with open(b.path("state.db"), "r+b") as f:
            f.write(os.urandom(8192))
        b.start()
        self.assertIn("state.db.corrupt", b.log())
        self.assertTrue([n for n in os.listdir(b.data) if n.startswith("state.db.corrupt")])
        self.paho(b).publish("x", b"")

    def test_a_damaged_fota_db_is_put_aside_and_devices_register_again(self):
        b = self.broker(tls=True, http=True)
        firmware = self.rest(b).uploaded(b"image" * 1000)
        self.assertEqual(b.stop(), 0)
        with open(b.path("fota.db"), "r+b") as f:
            f.seek(8192)
            f.write(os.urandom(8192))
        b.start()
        self.assertRegex(b.log(), r"fota.db: .*; it was damaged and has been put aside as \S*fota\.db\.corrupt-")
        d = Device(b, "dev1")
        self.addCleanup(d.close)
        d.status()
        self.assertEqual(self.rest(b).get("/api/v1/devices/dev1").status, 200)
        self.assertEqual(self.rest(b).get("/api/v1/firmwares").json()["items"], [])
        self.assertTrue(os.path.exists(b.path("blobs", firmware["checksum"][7:])), "what the other file names stays")

    def test_a_wrong_line_of_the_configuration_is_named(self):
        b = self.new_broker(extra="[log2]\n")
        status, log = self.fails(b)
        self.assertEqual(status, 2)
        with open(b.config) as f:
            line = f.read().splitlines().index("[log2]") + 1
        self.assertIn(f"{b.config}:{line}:", log)
        self.assertIn("log2", log)

    def test_a_data_directory_that_cannot_be_made_is_named(self):
        answer = self.serve("--listen", "mqtt://127.0.0.1:0", "--allow-anonymous", "--data-dir", "/proc/fb")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("/proc/fb", answer.stderr + answer.stdout)

    def test_flags_alone_are_enough(self):
        b = self.new_broker()
        with open(b.config, "w"):
            pass  # the port and the directory of a Broker, but not its configuration
        with open(b.log_file, "a") as log:
            b.process = subprocess.Popen([os.environ["FB_BROKER"], "serve", "--listen", f"mqtt://127.0.0.1:{b.plain_port}",
                                          "--allow-anonymous", "--data-dir", b.data, "--shards", "2", "--durability",
                                          "none", "--http", f"http://127.0.0.1:{b.http_port}"], stdout=log, stderr=log)
        eventually(lambda: b._accepts(b.plain_port), "it listens")
        self.paho(b).publish("x", b"")

    def test_ipv6(self):
        b = self.new_broker()
        with open(b.config) as f:
            text = f.read()
        with open(b.config, "w") as f:
            f.write(text.replace("mqtt://127.0.0.1", "mqtt://[::1]"))
        b.spawn()

        def listens():
            with socket.socket(socket.AF_INET6) as s:
                return s.connect_ex(("::1", b.plain_port)) == 0

        eventually(listens, "it listens on ::1")
        with socket.create_connection(("::1", b.plain_port), timeout=PATIENCE_S) as s:
            s.sendall(raw.connect("six"))
            self.assertEqual(s.recv(4)[0] >> 4, raw.CONNACK)

    def test_the_admin_token_is_made_once_and_private(self):
        b = self.broker(http=True)
        token = b.admin_token()
        self.assertEqual(stat.S_IMODE(os.stat(b.path("admin.token")).st_mode), 0o600)
        self.assertEqual(self.rest(b).get("/api/v1/devices").status, 200)
        self.assertEqual(b.stop(), 0)
        b.start()
        self.assertEqual(b.admin_token(), token)
        self.assertEqual(self.rest(b).get("/api/v1/devices").status, 200)

    def test_a_stop_tells_version_5_clients_and_keeps_their_state(self):
        for ask in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(ask):
                b = self.broker(shards=2)
                sleeper = self.paho(b, "sleeper", clean=False, expiry_s=600)
                sleeper.subscribe("s")
                sleeper.close()
                clients = [RawClient(b.plain_port, client_id=f"c{i}") for i in range(5)]
                old = RawClient(b.plain_port, client_id="old", version=4)
                self.paho(b).publish("s", b"kept", retain=True)
                b.process.send_signal(ask)
                for c in clients:
                    kind, _, body = c.until_closed()[-1]
                    self.assertEqual((kind, body[0]), (raw.DISCONNECT, 0x8B))
                    c.close()
                self.assertEqual(old.until_closed(), [])
                old.close()
                self.assertEqual(b.wait(), 0)
                b.start()
                again = self.paho(b, "sleeper", clean=False, expiry_s=600, connect=False)
                self.assertEqual(again.connect(), (True, 0))
                self.assertEqual(again.receive().payload, b"kept")

    def test_the_data_directory_holds_what_the_documents_say(self):
        b = self.broker(http=True, tls=True)
        self.rest(b).uploaded(b"image")
        for name in ("state.db", "fota.db", "admin.token", "blobs", "keys"):
            with self.subTest(name):
                self.assertTrue(os.path.exists(b.path(name)))
        for name in os.listdir(b.path("keys")):
            self.assertEqual(stat.S_IMODE(os.stat(b.path("keys", name)).st_mode), 0o600)


if __name__ == "__main__":
    main()
