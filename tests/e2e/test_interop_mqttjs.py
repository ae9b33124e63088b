"""MQTT.js against the broker: tests/interop/mqttjs with both versions, over TCP and WebSocket, and over both with TLS and a
client certificate. `./dev test` puts the library into build/mqttjs."""

import os
import shutil
import unittest

from support import pki
from support.case import Case, main
from support.interop import ACL, run_all
from support.ports import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "interop", "mqttjs", "interop.cjs")

LISTENERS = """
[[listener]]
url = "ws://127.0.0.1:{ws}"
allow_anonymous = true
[[listener]]
url = "wss://127.0.0.1:{wss}"
cert = "{pki}/server.crt"
key = "{pki}/server.key"
client_ca = "{pki}/ca.crt"
"""


class MqttJs(Case):
    def test_mqttjs(self):
        if not shutil.which("node") or not os.path.exists(os.path.join(os.environ["FB_MQTTJS"], "installed.json")):
            raise unittest.SkipTest("MQTT.js is not installed: ./dev test does that")
        ws, wss = free_port(), free_port()
        listeners = LISTENERS.format(ws=ws, wss=wss, pki=pki.authority())
        b = self.broker(shards=2, tls=True, extra=ACL + listeners)
        tls = [pki.authority() + "/ca.crt", *pki.device("dev1")]
        urls = {"tcp": (f"mqtt://127.0.0.1:{b.plain_port}", []), "tls": (f"mqtts://127.0.0.1:{b.tls_port}", tls),
                "ws": (f"ws://127.0.0.1:{ws}/mqtt", []), "wss": (f"wss://127.0.0.1:{wss}/mqtt", tls)}
        for version in "45":
            run_all(self, {f"{transport} version {version}":
                           ["node", PROGRAM, url, version, f"dev1/{transport}{version}", f"interop/{transport}{version}",
                            *files] for transport, (url, files) in urls.items()})


if __name__ == "__main__":
    main()
