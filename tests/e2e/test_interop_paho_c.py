"""Paho C and Paho C++ against the broker: the programs of tests/interop, with both versions, over TCP and over TLS with a
client certificate. What they check is in their sources."""

import os
import unittest

from support import pki
from support.case import Case, main
from support.interop import ACL, run_all


class PahoC(Case):
    def runs(self, variable):
        """One broker, the program in each version and transport at the same time."""
        program = os.environ.get(variable)
        if not program:
            raise unittest.SkipTest("not built: libpaho-mqtt-dev or libpaho-mqttpp-dev is missing")
        b = self.broker(shards=2, tls=True, extra=ACL)
        tls = [pki.authority() + "/ca.crt", *pki.device("dev1")]
        run_all(self, {f"{transport} version {version}":
                       [program, uri, version, f"dev1/{transport}{version}", f"interop/{transport}{version}", *files]
                       for version in "45"
                       for transport, uri, files in (("tcp", f"tcp://127.0.0.1:{b.plain_port}", []),
                                                     ("tls", f"ssl://127.0.0.1:{b.tls_port}", tls))})

    def test_paho_c(self):
        self.runs("FB_PAHO_C")

    def test_paho_cpp(self):
        self.runs("FB_PAHO_CPP")


if __name__ == "__main__":
    main()
