"""The REST API and firmware downloads from outside: uploads good and bad, Range, ETag and HEAD, links that expired or
were tampered with, who may do what, and that every error is problem+json."""

import hashlib
import json
import os
import socket
import ssl
import subprocess
import time

from support import pki
from support.broker import eventually
from support.case import Case, main
from support.device import Device
from support.rest import Rest, multipart

IMAGE = os.urandom(100_000)
NOBODY = "00000000-0000-7000-8000-000000000000"


class Http(Case):
    def setUp(self):
        super().setUp()
        self.b = self.broker(tls=True, http=True)
        self.api = self.rest(self.b)

    def problem(self, answer, status):
        self.assertEqual(answer.status, status, answer.body)
        self.assertTrue(answer.is_problem(), answer.headers)
        self.assertEqual(answer.json()["status"], status)
        return answer.json()

    def token(self, role):
        made = subprocess.run([os.environ["FB_BROKER"], "token", "create", role, "--role", role, "--data-dir", self.b.data,
                               "--json"], check=True, capture_output=True, text=True).stdout
        return json.loads(made)["token"]

    def test_an_upload_is_stored_listed_and_downloaded(self):
        firmware = self.api.uploaded(IMAGE)
        checksum = "sha256:" + hashlib.sha256(IMAGE).hexdigest()
        self.assertEqual((firmware["version"], firmware["device_type"], firmware["size"], firmware["checksum"]),
                         ("1.1.0", "sensor", len(IMAGE), checksum))
        self.assertEqual(self.api.get("/api/v1/firmwares/" + firmware["id"]).json(), firmware)
        self.assertEqual(self.api.get("/api/v1/firmwares").json(), {"items": [firmware], "next": None})
        self.assertEqual(self.b.sql("SELECT device_type, version, checksum FROM firmwares"), [("sensor", "1.1.0", checksum)])
        answer = self.api.get(self.path_of(firmware))
        self.assertEqual((answer.status, answer.body), (200, IMAGE))

    def path_of(self, firmware):
        url = firmware["url"]
        return url if url.startswith("/") else "/" + url.split("/", 3)[3]

    def test_bad_uploads_are_refused_in_words_and_leave_nothing(self):
        self.api.uploaded(IMAGE)
        before = sorted(os.listdir(self.b.path("blobs")))
        self.problem(self.api.upload(b"other"), 409)
        for version in ("", "one", "1.0", "1.0.0.0", "01.0.0", "v1.0.0", " 1.0.0", "1.0.0 ", "1.0.0/..", "1" * 100):
            with self.subTest(version):
                self.problem(self.api.upload(b"x", version), 400)
        self.problem(self.api.upload(b"", "2.0.0"), 400)
        self.problem(self.api.request("POST", "/api/v1/firmwares", b"x", {"Content-Type": "text/plain"}), 415)
        self.problem(self.api.request("POST", "/api/v1/firmwares", b"--x--\r\n",
                                      {"Content-Type": "multipart/form-data; boundary=x"}), 400)
        body, content_type = multipart(b"x", "2.0.0", "")
        self.problem(self.api.request("POST", "/api/v1/firmwares", body, {"Content-Type": content_type}), 400)
        self.assertEqual(sorted(os.listdir(self.b.path("blobs"))), before)
        self.assertEqual(self.b.sql("SELECT version FROM firmwares"), [("1.1.0",)])

    def test_a_file_name_is_never_a_path(self):
        answer = self.api.upload(IMAGE, "2.0.0", filename="../../../../etc/passwd")
        self.assertIn(answer.status, (201, 400))
        if answer.status == 201:
            self.assertNotIn("..", answer.json()["url"])
            self.assertEqual(self.api.get(self.path_of(answer.json())).body, IMAGE)

    def raw_upload(self, body, length, content_type):
        """An upload with a Content-Length of our choice; returns the socket."""
        s = self.api.context.wrap_socket(socket.create_connection(("127.0.0.1", self.b.http_port), timeout=60),
                                         server_hostname="127.0.0.1")
        s.sendall((f"POST /api/v1/firmwares HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.api.token}\r\n"
                   f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n").encode())
        try:
            s.sendall(body)
        except OSError:
            pass
        return s

    def nothing_is_left(self):
        eventually(lambda: not os.listdir(self.b.path("blobs")), "the temporary file is gone")
        self.assertEqual(self.b.sql("SELECT * FROM firmwares"), [])

    def test_an_aborted_body_leaves_nothing(self):
        body, content_type = multipart(IMAGE * 20, "2.0.0", "sensor")
        s = self.raw_upload(body[:1_000_000], len(body), content_type)
        eventually(lambda: os.listdir(self.b.path("blobs")), "the upload has begun")
        s.close()
        self.nothing_is_left()

    def test_a_content_length_that_lies_is_refused(self):
        body, content_type = multipart(IMAGE, "2.0.0", "sensor")
        with self.raw_upload(body, len(body) - 100, content_type) as s:
            self.assertIn(b" 400 ", s.recv(4096).split(b"\r\n")[0])
        self.nothing_is_left()

    def test_an_upload_above_the_limit_is_refused_by_its_length(self):
        with self.raw_upload(b"", 1 << 40, "multipart/form-data; boundary=x") as s:
            self.assertIn(b" 413 ", s.recv(4096).split(b"\r\n")[0])

    def test_a_large_upload_costs_no_memory(self):
        image = os.urandom(1 << 20) * 96

        def peak_kib():
            with open(f"/proc/{self.b.process.pid}/status") as status:
                return int(next(line for line in status if line.startswith("VmHWM")).split()[1])

        before = peak_kib()
        firmware = self.api.uploaded(image)
        self.assertEqual(firmware["checksum"], "sha256:" + hashlib.sha256(image).hexdigest())
        self.assertLess(peak_kib() - before, 48 * 1024)

    def test_the_same_idempotency_key_gives_the_same_answer(self):
        request = multipart(IMAGE, "3.0.0", "sensor")
        headers = {"Content-Type": request[1], "Idempotency-Key": "once"}
        first = self.api.request("POST", "/api/v1/firmwares", request[0], headers)
        second = self.api.request("POST", "/api/v1/firmwares", request[0], headers)
        self.assertEqual((first.status, second.status), (201, 201))
        self.assertEqual(first.json(), second.json())
        other = multipart(b"other", "3.0.0", "sensor")
        self.problem(self.api.request("POST", "/api/v1/firmwares", other[0],
                                      {"Content-Type": other[1], "Idempotency-Key": "once"}), 422)

    def test_head_etag_and_ranges(self):
        firmware = self.api.uploaded(IMAGE)
        path = self.path_of(firmware)
        size = len(IMAGE)
        head = self.api.request("HEAD", path)
        self.assertEqual((head.status, head.body, int(head.headers["content-length"])), (200, b"", size))
        etag = head.headers["etag"]
        self.assertIn(hashlib.sha256(IMAGE).hexdigest(), etag)
        self.assertEqual(head.headers["accept-ranges"], "bytes")
        for header, first, end in (("bytes=0-9", 0, 10), ("bytes=99990-", 99_990, size), ("bytes=-10", size - 10, size),
                                   ("bytes=99990-999999", 99_990, size), ("bytes=0-", 0, size)):
            with self.subTest(header):
                part = self.api.get(path, Range=header)
                self.assertEqual((part.status, part.body), (206, IMAGE[first:end]))
                self.assertEqual(part.headers["content-range"], f"bytes {first}-{end - 1}/{size}")
        for header in ("bytes=100000-", "bytes=-0"):
            with self.subTest(header):
                beyond = self.api.get(path, Range=header)
                self.assertEqual((beyond.status, beyond.headers["content-range"]), (416, f"bytes */{size}"))
        for header in ("bytes=5-2", "lines=1-2", "bytes=x"):
            with self.subTest(header):
                self.assertEqual(self.api.get(path, Range=header).status, 200)
        self.assertEqual(self.api.get(path, Range="bytes=0-9", If_Range=etag).status, 206)
        self.assertEqual(self.api.get(path, Range="bytes=0-9", If_Range='"other"').status, 200)
        self.assertEqual(self.api.get(path, If_None_Match=etag).status, 304)

    def link(self):
        """A device's signed link to an open update, as (device, path)."""
        d = Device(self.b, "dev1")
        self.addCleanup(d.close)
        d.status()
        (self.update,) = self.api.trigger(self.api.uploaded(IMAGE)["id"], "dev1")
        self.command = d.command()
        return d, "/" + self.command["url"].split("/", 3)[3]

    def test_a_signed_link_needs_nothing_else_and_cannot_be_changed(self):
        _, path = self.link()
        stranger = Rest(self.b.http_port, pki.authority() + "/ca.crt", "")
        self.assertEqual(stranger.get(path).body, IMAGE)
        base, query = path.split("?")
        parts = dict(p.split("=", 1) for p in query.split("&"))
        changes = {"u": NOBODY, "a": "2", "e": str(int(parts["e"]) + 1),
                   "s": ("B" if parts["s"][0] == "A" else "A") + parts["s"][1:]}
        for key, value in changes.items():
            with self.subTest(key):
                changed = "&".join(f"{k}={value if k == key else v}" for k, v in parts.items())
                self.problem(stranger.get(f"{base}?{changed}"), 403)
        for key in parts:
            with self.subTest("without " + key):
                answer = stranger.get(base + "?" + "&".join(f"{k}={v}" for k, v in parts.items() if k != key))
                self.assertIn(answer.status, (401, 403))
        self.problem(stranger.get(base), 401)

    def test_an_expired_link_is_refused(self):
        _, path = self.link()
        base, query = path.split("?")
        parts = dict(p.split("=", 1) for p in query.split("&"))
        parts["e"] = str(int(time.time()) - 10)
        stranger = Rest(self.b.http_port, pki.authority() + "/ca.crt", "")
        self.problem(stranger.get(base + "?" + "&".join(f"{k}={v}" for k, v in parts.items())), 403)

    def test_the_devices_certificate_is_enough_while_its_update_is_open(self):
        d, path = self.link()
        path = path.split("?")[0]
        mine = Rest(self.b.http_port, pki.authority() + "/ca.crt", "", pki.device("dev1"))
        theirs = Rest(self.b.http_port, pki.authority() + "/ca.crt", "", pki.device("dev2"))
        self.assertEqual(mine.get(path).body, IMAGE)
        self.problem(theirs.get(path), 403)

    def test_revoked_firmware_is_gone(self):
        d, path = self.link()
        self.assertEqual(self.api.post(f"/api/v1/firmwares/{self.command['url'].split('/')[4]}/revoke").status, 200)
        self.problem(Rest(self.b.http_port, pki.authority() + "/ca.crt", "").get(path), 410)

    def test_without_a_good_token_nothing_is_told(self):
        firmware = self.api.uploaded(IMAGE)
        nobody = self.rest(self.b, "")
        for path in ("/api/v1/firmwares", "/api/v1/devices", "/api/v1/updates", "/api/v1/update-results", "/metrics",
                     "/api/v1/firmwares/" + firmware["id"], self.path_of(firmware)):
            with self.subTest(path):
                self.problem(nobody.get(path), 401)
        self.problem(nobody.upload(b"x", "9.0.0"), 401)
        for token in ("fb_wrong", self.api.token[:-1], self.api.token + "x"):
            with self.subTest(len(token)):
                self.problem(self.rest(self.b, token).get("/api/v1/devices"), 401)
        self.assertEqual(nobody.get("/healthz").status, 200)

    def test_an_address_that_guesses_tokens_is_slowed_down(self):
        guesser = self.rest(self.b, "fb_guess")
        self.assertIn(429, [guesser.get("/api/v1/devices").status for _ in range(30)])

    def test_roles(self):
        viewer, operator = self.rest(self.b, self.token("viewer")), self.rest(self.b, self.token("operator"))
        self.problem(viewer.upload(IMAGE), 403)
        firmware = operator.uploaded(IMAGE)
        self.assertEqual(viewer.get("/api/v1/firmwares").status, 200)
        self.assertEqual(viewer.get(self.path_of(firmware)).body, IMAGE)
        self.problem(viewer.post("/api/v1/updates", {"firmware_id": firmware["id"], "device_ids": ["x"]}), 403)
        self.assertEqual(operator.post("/api/v1/updates", {"firmware_id": firmware["id"], "device_ids": ["x"]}).status, 422)

    def test_a_revoked_token_ends_within_seconds(self):
        api = self.rest(self.b, self.token("viewer"))
        self.assertEqual(api.get("/api/v1/devices").status, 200)
        subprocess.run([os.environ["FB_BROKER"], "token", "revoke", "viewer", "--data-dir", self.b.data], check=True,
                       capture_output=True)
        eventually(lambda: api.get("/api/v1/devices").status == 401, "the token is refused")

    def test_tokens_are_stored_as_hashes_only(self):
        secret = self.token("viewer")
        for name in os.listdir(self.b.data):
            path = self.b.path(name)
            if name != "admin.token" and os.path.isfile(path):
                with open(path, "rb") as f:
                    self.assertNotIn(secret.encode(), f.read())

    def test_triggers_say_who_was_refused_and_why(self):
        d = Device(self.b, "dev1", version="1.2.0")
        self.addCleanup(d.close)
        d.status()
        old = self.api.uploaded(IMAGE, "1.1.0")
        same = self.api.uploaded(IMAGE, "1.2.0")
        other = self.api.uploaded(IMAGE, "1.3.0", device_type="valve")
        for firmware, device, reason in ((old, "dev1", "downgrade"), (other, "dev1", "wrong_type"),
                                         (same, "ghost", "unknown_device")):
            with self.subTest(reason):
                answer = self.api.post("/api/v1/updates", {"firmware_id": firmware["id"], "device_ids": [device]})
                self.assertEqual(answer.status, 422)
                self.assertEqual([r["reason"] for r in answer.json()["refused"]], [reason])
        (skipped,) = self.api.trigger(same["id"], "dev1")
        self.assertEqual(skipped["state"], "skipped")
        (allowed,) = self.api.trigger(old["id"], "dev1", allow_downgrade=True)
        self.assertIn(allowed["state"], ("pending", "offered"))
        (again,) = self.api.trigger(old["id"], "dev1", allow_downgrade=True)
        self.assertEqual(again["id"], allowed["id"])
        self.problem(self.api.post("/api/v1/updates", {"firmware_id": NOBODY, "device_ids": ["dev1"]}), 404)

    def test_lists_have_pages(self):
        for i in range(5):
            self.api.uploaded(IMAGE, f"1.{i}.0")
        seen, cursor = [], None
        while True:
            page = self.api.get("/api/v1/firmwares?limit=2" + (f"&cursor={cursor}" if cursor else "")).json()
            self.assertLessEqual(len(page["items"]), 2)
            seen += [f["version"] for f in page["items"]]
            cursor = page["next"]
            if not cursor:
                break
        self.assertEqual(seen, [f"1.{i}.0" for i in reversed(range(5))])
        for bad in ("limit=0", "limit=501", "limit=x", "cursor=nonsense"):
            with self.subTest(bad):
                self.problem(self.api.get("/api/v1/firmwares?" + bad), 400)

    def test_errors_are_problems_and_answers_carry_their_guards(self):
        self.problem(self.api.get("/api/v1/nothing"), 404)
        self.problem(self.api.get("/nothing"), 404)
        self.problem(self.api.request("PUT", "/api/v1/firmwares", b""), 405)
        self.problem(self.api.get("/api/v1/firmwares/" + NOBODY), 404)
        self.problem(self.api.get("/api/v1/firmwares/not-an-id"), 404)
        self.problem(self.api.get("/api/v1/devices/ghost"), 404)
        for body in (b"", b"{", b"[]", b'{"firmware_id":5}', b'{"firmware_id":"x"}'):
            with self.subTest(body):
                answer = self.api.request("POST", "/api/v1/updates", body, {"Content-Type": "application/json"})
                self.assertIn(answer.status, (400, 404))
                self.assertTrue(answer.is_problem())
        headers = self.api.get("/api/v1/devices").headers
        self.assertEqual(headers["x-content-type-options"], "nosniff")
        self.assertIn("no-store", headers["cache-control"])
        self.assertIn("max-age", headers["strict-transport-security"])

    def test_garbage_on_the_port_disturbs_nobody(self):
        for junk in (b"\0" * 1000, b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000)):
            with socket.create_connection(("127.0.0.1", self.b.http_port), timeout=60) as s:
                s.sendall(junk)
        with self.api.context.wrap_socket(socket.create_connection(("127.0.0.1", self.b.http_port), timeout=60),
                                          server_hostname="127.0.0.1") as s:
            try:
                s.sendall(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n")
                s.recv(4096)
            except (OSError, ssl.SSLError):
                pass
        self.assertEqual(self.api.get("/api/v1/devices").status, 200)

    def test_explain_says_why_a_device_is_not_updated(self):
        d = Device(self.b, "dev1")
        d.status()
        d.close()
        eventually(lambda: not self.api.get("/api/v1/devices/dev1").json()["online"], "offline")
        self.api.trigger(self.api.uploaded(IMAGE)["id"], "dev1")
        answer = self.api.get("/api/v1/devices/dev1/explain").json()
        self.assertEqual(answer["device_id"], "dev1")
        self.assertTrue(answer["reasons"] and all(r["code"] and r["text"] for r in answer["reasons"]))


if __name__ == "__main__":
    main()
