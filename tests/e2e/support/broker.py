"""The broker as a process of its own, with a temporary data directory and free loopback ports.

Listeners: `plain_port` (anonymous, everything allowed), with tls=True `tls_port` (client certificate required), with
http=True `http_port` (HTTPS). A Broker can be killed and started again on the same directory and ports.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import pki
from .ports import free_port

# What sanitizers add to memory (shadow, red zones, freed blocks that are kept) is not ours to bound.
_SANITIZER = os.environ.get("FB_SANITIZE", "")
SANITIZER_BYTES = 1 << 30 if _SANITIZER == "thread" else 256 << 20 if _SANITIZER else 0
# Before something that must happen counts as not happening; generous, for sanitizers on slow machines.
PATIENCE_S = 180 if _SANITIZER == "thread" else 60

_CONFIG = """
data_dir = "{data}"
shards = {shards}
{top}
[log]
level = "debug"
[[listener]]
url = "mqtt://127.0.0.1:{plain_port}"
allow_anonymous = true
device_identity = "{identity}"
"""

_TLS = """
[[listener]]
url = "mqtts://127.0.0.1:{tls_port}"
cert = "{pki}/server.crt"
key = "{pki}/server.key"
client_ca = "{pki}/ca.crt"
"""

_HTTP = """
[http]
public_url = "https://127.0.0.1:{http_port}"
{http_extra}
[[http.listener]]
url = "https://127.0.0.1:{http_port}"
cert = "{pki}/server.crt"
key = "{pki}/server.key"
client_ca = "{pki}/ca.crt"
"""

_NO_HTTP = """
[[http.listener]]
url = "http://127.0.0.1:{http_port}"
"""

_READY = "\nready\n"


def eventually(check, what, patience_s=PATIENCE_S):
    """Calls `check` until it returns something true, which is returned."""
    end = time.monotonic() + patience_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {patience_s} s: {what}")
        time.sleep(0.02)


class Broker:
    def __init__(self, *, shards=1, tls=False, http=False, identity="certificate", top="", http_extra="", extra=""):
        self.directory = tempfile.mkdtemp(prefix="fotabroker-e2e-")
        self.data = os.path.join(self.directory, "data")
        self.config = os.path.join(self.directory, "fotabroker.toml")
        self.log_file = os.path.join(self.directory, "log")
        self.plain_port = free_port()
        self.tls_port = free_port() if tls else None
        self.http_port = free_port()
        self.process = None
        text = _CONFIG + (_TLS if tls else "") + (_HTTP if http else _NO_HTTP)
        with open(self.config, "w") as out:
            out.write(text.format(data=self.data, shards=shards, plain_port=self.plain_port, tls_port=self.tls_port,
                                  http_port=self.http_port, identity=identity, top=top, http_extra=http_extra,
                                  pki=pki.authority()) + extra)

    def spawn(self, **options):
        """Starts the process and does not wait for anything."""
        with open(self.log_file, "a") as log:
            self.process = subprocess.Popen([os.environ["FB_BROKER"], "serve", "--config", self.config],
                                            stdout=log, stderr=log, **options)
        return self

    def start(self, *, database=True, **options):
        """Waits until it serves; it listens before that, while it reads what is stored. Without its database it has no
        HTTP yet."""
        started = self.log().count(_READY)
        self.spawn(**options)
        eventually(lambda: self._died() or self.log().count(_READY) > started, "the broker is ready")
        for port in filter(None, (self.plain_port, self.tls_port, self.http_port if database else None)):
            eventually(lambda: self._accepts(port), f"the broker listens on {port}")
        return self

    def _died(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the broker ended with {self.process.returncode}:\n{self.log()}")

    def _accepts(self, port):
        self._died()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def stop(self):
        """Asks it to stop, as systemd would; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self):
        status = self.process.wait(PATIENCE_S)
        self.process = None
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def running(self):
        return self.process is not None and self.process.poll() is None

    def memory_bytes(self):
        """What the process holds in memory at the moment."""
        with open(f"/proc/{self.process.pid}/statm") as fields:
            return int(fields.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def log(self):
        try:
            with open(self.log_file, errors="replace") as text:
                return text.read()
        except FileNotFoundError:
            return ""

    def path(self, *names):
        return os.path.join(self.data, *names)

    def admin_token(self):
        with open(self.path("admin.token")) as text:
            return text.read().strip()

    def sql(self, query):
        """What Debian's sqlite3 says about fota.db, as a list of rows of texts."""
        out = subprocess.run(["sqlite3", "-readonly", "-cmd", ".timeout 5000", self.path("fota.db"), query], check=True,
                             capture_output=True, text=True).stdout
        return [tuple(line.split("|")) for line in out.splitlines()]

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)
