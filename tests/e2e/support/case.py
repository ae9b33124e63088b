"""The base class of the tests, and the main function of every file."""

import os
import sys
import unittest

from . import pki
from .broker import Broker
from .mqtt import Paho
from .raw import RawClient
from .rest import Rest

_SANITIZER_WORDS = ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "LeakSanitizer")


class Case(unittest.TestCase):
    """Brokers and clients made through it end with the test. A broker that was not killed must stop cleanly."""

    def setUp(self):
        self.brokers = []

    def broker(self, **options):
        return self.new_broker(**options).start()

    def new_broker(self, **options):
        b = Broker(**options)
        self.brokers.append(b)
        self.addCleanup(self._end, b)
        return b

    def _end(self, b):
        status = b.stop() if b.process is not None else 0
        log = b.log()
        if not self.failed():
            b.remove()
        for word in _SANITIZER_WORDS:
            self.assertNotIn(word, log)
        self.assertEqual(status, 0, "the broker's exit status after SIGTERM")

    def failed(self):
        return not self._outcome.success

    def paho(self, b, client_id="", **options):
        c = Paho(b.plain_port, client_id, **options)
        self.addCleanup(c.close)
        return c

    def device(self, b, device_id, **options):
        """A client with the certificate of that device, over TLS."""
        crt, key = pki.device(device_id)
        c = Paho(b.tls_port, options.pop("client_id", device_id), tls=(pki.authority() + "/ca.crt", crt, key), **options)
        self.addCleanup(c.close)
        return c

    def raw(self, b, **options):
        c = RawClient(b.plain_port, **options)
        self.addCleanup(c.close)
        return c

    def rest(self, b, token=None, certificate=None):
        return Rest(b.http_port, pki.authority() + "/ca.crt", b.admin_token() if token is None else token, certificate)


class _Result(unittest.TextTestResult):
    """Shows the end of the brokers' logs under a failure."""

    def _show(self, test):
        for b in getattr(test, "brokers", []):
            self.stream.writeln(f"--- the end of the broker's log ({b.directory})\n{b.log()[-4000:]}\n---")

    def addError(self, test, err):
        super().addError(test, err)
        self._show(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._show(test)


def main():
    """Runs the file's tests: 0 all passed, 77 some were skipped (a failure in CI), 1 otherwise."""
    program = unittest.main(module="__main__", exit=False, verbosity=2,
                            testRunner=unittest.TextTestRunner(verbosity=2, resultclass=_Result))
    if not program.result.wasSuccessful():
        sys.exit(1)
    if program.result.skipped:
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
