"""MQTT.js against the broker: tests/interop/mqttjs with both versions, over TCP and over TLS with a client certificate.
`./dev test` puts the library into build/mqttjs."""

import os
import shutil
import unittest

from support import pki
from support.case import Case, main
from support.interop import ACL, run_all

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "interop", "mqttjs", "interop.cjs")


class MqttJs(Case):
    def test_mqttjs(self):
        if not shutil.which("node") or not os.path.exists(os.path.join(os.environ["FB_MQTTJS"], "installed.json")):
            raise unittest.SkipTest("MQTT.js is not installed: ./dev test does that")
        b = self.broker(shards=2, tls=True, extra=ACL)
        tls = [pki.authority() + "/ca.crt", *pki.device("dev1")]
        run_all(self, {f"{transport} version {version}":
                       ["node", PROGRAM, url, version, f"dev1/{transport}{version}", f"interop/{transport}{version}", *files]
                       for version in "45"
                       for transport, url, files in (("tcp", f"mqtt://127.0.0.1:{b.plain_port}", []),
                                                     ("tls", f"mqtts://127.0.0.1:{b.tls_port}", tls))})


if __name__ == "__main__":
    main()
