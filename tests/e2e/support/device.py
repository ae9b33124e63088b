"""A device as the protocol's document describes it, written by hand: paho over TLS with the device's own certificate."""

import hashlib
import json

from . import pki
from .mqtt import Paho
from .rest import Rest


class Device:
    def __init__(self, b, device_id, version="1.0.0", connect=True, **options):
        crt, key = self.certificate = pki.device(device_id)
        self.id = device_id
        self.b = b
        self.version = version
        self.paho = Paho(b.tls_port, device_id, tls=(pki.authority() + "/ca.crt", crt, key), connect=connect, **options)
        if connect:
            self.paho.subscribe(self.topic("update"))

    def topic(self, rest):
        return f"device/{self.id}/{rest}"

    def say(self, rest, qos=1, **body):
        self.paho.publish(self.topic(rest), json.dumps(body), qos=qos)

    def status(self, **more):
        self.say("status", version=self.version, type="sensor", **more)

    def command(self):
        """The next update command."""
        return json.loads(self.paho.receive(self.topic("update")).payload)

    def progress(self, command, state, **more):
        self.say("update/progress", update_id=command["update_id"], state=state, **more)

    def result(self, command, status="success", version=None, **more):
        self.say("update/result", status=status, version=version or command["version"], update_id=command["update_id"],
                 attempt=command["attempt"], **more)

    def download(self, command, certificate=False):
        """The image behind the command's URL, checked."""
        path = command["url"].split("/", 3)[3]
        rest = Rest(self.b.http_port, pki.authority() + "/ca.crt", "", self.certificate if certificate else None)
        answer = rest.get("/" + path)
        assert answer.status == 200, (answer.status, answer.body)
        assert "sha256:" + hashlib.sha256(answer.body).hexdigest() == command["checksum"]
        return answer.body

    def take_update(self, command):
        """A well-behaved device's way through an update."""
        self.progress(command, "accepted")
        self.progress(command, "downloading", percent=0)
        self.download(command)
        self.progress(command, "downloaded", percent=100)
        self.progress(command, "installing")
        self.version = command["version"]
        self.result(command)
        self.status()

    def close(self):
        self.paho.close()
