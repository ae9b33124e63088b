"""Users with passwords: files of ours and of mosquitto's, and SCRAM-SHA-256 as enhanced authentication, with a client of
the exchange of its own (hashlib)."""

import base64
import hashlib
import hmac
import os
import struct
import subprocess

from support import raw
from support.case import Case, main
from support.mqtt import mosquitto_pub, mosquitto_sub
from support.ports import free_port

AUTH_METHOD, AUTH_DATA = 0x15, 0x16


def passwd(*words, password=None):
    return subprocess.run([os.environ["FB_BROKER"], "passwd", *words], input=password, capture_output=True, text=True)


def auth_properties(data, method="SCRAM-SHA-256"):
    props = bytes([AUTH_METHOD]) + raw.text(method) + bytes([AUTH_DATA]) + raw.text(data)
    return raw.length(len(props)) + props


def auth_data(properties):
    """The authentication data in a property block that holds only the method, the data and others of known shape."""
    at = properties.index(bytes([AUTH_METHOD]) + raw.text("SCRAM-SHA-256")) + 3 + len("SCRAM-SHA-256")
    assert properties[at] == AUTH_DATA
    size, = struct.unpack(">H", properties[at + 1:at + 3])
    return properties[at + 3:at + 3 + size].decode()


class Scram:
    """The client's side of RFC 5802."""

    def __init__(self, user, password):
        self.password = password.encode()
        self.bare = f"n={user},r={base64.b64encode(os.urandom(12)).decode()}"
        self.first = "n,," + self.bare

    def final(self, server_first):
        fields = dict(f.split("=", 1) for f in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c=biws,r={fields['r']}"
        message = f"{self.bare},{server_first},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.expected = "v=" + base64.b64encode(hmac.digest(server_key, message, "sha256")).decode()
        return without_proof + ",p=" + base64.b64encode(proof).decode()


class Users(Case):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.b = self.new_broker(shards=4, extra=f"""
[[listener]]
url = "mqtt://127.0.0.1:{self.port}"
[auth]
password_file = "passwd"
[mqtt]
accept_mqtt_31 = true
[[acl]]
principal = "ann"
publish = ["site/#"]
subscribe = ["site/#"]
""")
        os.makedirs(self.b.data, mode=0o700, exist_ok=True)
        self.file = self.b.path("passwd")
        for user, password in (("ann", "sesame"), ("dev1", "secret 1")):
            self.assertEqual(passwd(self.file, user, password=password + "\n").returncode, 0)

    def start(self):
        self.b.start()
        return self.b

    def login(self, user, password, *words):
        return mosquitto_pub(self.port, "-u", user, "-P", password, "-i", user, *words)

    def test_right_passwords_only(self):
        self.start()
        for version in ("mqttv5", "mqttv311", "mqttv31"):
            s = mosquitto_sub(self.port, "-u", "ann", "-P", "sesame", "-i", "ann/sub", "-t", "site/#", "-V", version)
            self.addCleanup(s.end)
            done = self.login("ann", "sesame", "-t", "site/x", "-m", "hello", "-q", "1", "-V", version)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(s.messages(1), ["hello"])
            s.end()
            for user, password in (("ann", "simsim"), ("bob", "sesame"), ("ann", "")):
                done = self.login(user, password, "-t", "site/x", "-m", "no", "-V", version)
                self.assertNotEqual(done.returncode, 0)
        self.assertNotEqual(mosquitto_pub(self.port, "-t", "site/x", "-m", "no").returncode, 0)

    def test_a_user_named_like_a_device_is_that_device(self):
        self.start()
        s = mosquitto_sub(self.port, "-u", "dev1", "-P", "secret 1", "-i", "dev1/sub", "-t", "device/dev1/#", "-V", "mqttv5")
        self.addCleanup(s.end)
        done = self.login("dev1", "secret 1", "-t", "device/dev1/telemetry/t", "-m", "21", "-q", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(s.messages(1), ["21"])
        done = mosquitto_pub(self.port, "-u", "dev1", "-P", "secret 1", "-i", "dev2", "-t", "device/dev1/telemetry/t", "-m", "x")
        self.assertNotEqual(done.returncode, 0, "another client id than the device's own")

    def test_files_that_mosquitto_made(self):
        subprocess.run(["mosquitto_passwd", "-b", self.file, "carl", "open"], check=True, capture_output=True)
        self.start()
        for user, password in (("carl", "open"), ("ann", "sesame")):
            self.assertEqual(self.login(user, password, "-t", "site/x", "-m", "x").returncode, 0)
        self.assertNotEqual(self.login("carl", "closed", "-t", "site/x", "-m", "x").returncode, 0)

    def test_files_for_mosquitto(self):
        self.assertEqual(passwd(self.file, "dora", "--mosquitto", password="door\n").returncode, 0)
        with open(self.file) as lines:
            self.assertTrue(any(line.startswith("dora:$7$") for line in lines))
        self.start()
        self.assertEqual(self.login("dora", "door", "-t", "site/x", "-m", "x").returncode, 0)

    def test_users_are_changed_and_deleted(self):
        self.assertIn("new password", passwd(self.file, "ann", password="other\n").stdout)
        self.assertEqual(passwd(self.file, "dev1", "--delete").returncode, 0)
        self.assertIn("no user dev1", passwd(self.file, "dev1", "--delete").stderr)
        self.assertIn("no password", passwd(self.file, "eve", password="").stderr)
        self.assertIn("cannot be a user name", passwd(self.file, "e:ve", password="x\n").stderr)
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        self.start()
        self.assertEqual(self.login("ann", "other", "-t", "site/x", "-m", "x").returncode, 0)
        for user, password in (("ann", "sesame"), ("dev1", "secret 1")):
            self.assertNotEqual(self.login(user, password, "-t", "site/x", "-m", "x").returncode, 0)

    def test_a_malformed_file_stops_the_start_with_its_line(self):
        with open(self.file, "a") as out:
            out.write("mallory:\n")
        self.b.spawn()
        self.assertNotEqual(self.b.wait(), 0)
        self.assertIn("passwd:3: not a stored password of user mallory", self.b.log())

    def scram(self, user, password, *, client_id="ann/scram"):
        """Connects by SCRAM-SHA-256; returns client, exchange and what answered the proof."""
        c = raw.RawClient(self.port)
        self.addCleanup(c.close)
        exchange = Scram(user, password)
        props = auth_properties(exchange.first)
        block = props[1:] if props[0] < 0x80 else props[2:]
        c.send(raw.connect(client_id, props=block))
        kind, _, body = c.receive()
        self.assertEqual((kind, body[0]), (raw.AUTH, 0x18))
        c.send(raw.packet(raw.AUTH, bytes([0x18]) + auth_properties(exchange.final(auth_data(body[1:])))))
        return c, exchange, c.receive()

    def test_scram_lets_in_who_knows_the_password_and_proves_that_the_broker_does(self):
        self.start()
        c, exchange, (kind, _, body) = self.scram("ann", "sesame")
        self.assertEqual((kind, body[1]), (raw.CONNACK, 0))
        self.assertEqual(auth_data(body), exchange.expected)
        c.send(raw.publish("site/x", b"hello", qos=1))
        kind, _, body = c.receive()
        self.assertEqual((kind, body[2:3] or b"\0"), (raw.PUBACK, b"\x10"))
        again = Scram("ann", "sesame")
        c.send(raw.packet(raw.AUTH, bytes([0x19]) + auth_properties(again.first)), raw.packet(raw.PINGREQ))
        answers = [c.receive(), c.receive()]
        self.assertEqual({a[0] for a in answers}, {raw.AUTH, raw.PINGRESP}, "traffic goes on meanwhile")
        question = next(a for a in answers if a[0] == raw.AUTH)
        c.send(raw.packet(raw.AUTH, bytes([0x18]) + auth_properties(again.final(auth_data(question[2][1:])))))
        kind, _, body = c.receive()
        self.assertEqual((kind, body[0]), (raw.AUTH, 0))
        self.assertEqual(auth_data(body[1:]), again.expected)

    def test_scram_refuses_everybody_else(self):
        self.start()
        for user, password in (("ann", "simsim"), ("nobody", "sesame")):
            _, _, (kind, _, body) = self.scram(user, password)
            self.assertEqual((kind, body[1]), (raw.CONNACK, 0x87))


if __name__ == "__main__":
    main()
