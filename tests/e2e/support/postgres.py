"""A PostgreSQL server of the test's own, in a temporary directory and on a Unix socket, with fsync on. Debian's service is
neither used nor touched. PostgreSQL does not run as root: then it is the user postgres."""

import ctypes
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from . import pki
from .broker import PATIENCE_S, eventually
from .ports import free_port

_PR_SET_PDEATHSIG = 1


def _programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise AssertionError("no PostgreSQL server on this machine: apt-get install postgresql")
    return os.path.dirname(found[-1])


def _die_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


class Postgres:
    """With `tls` it listens on a port of 127.0.0.1, too, for TLS and passwords only."""

    def __init__(self, tls=False):
        self.port = free_port() if tls else 5432
        self.tls = tls
        self.directory = tempfile.mkdtemp(prefix="fotabroker-pg-")
        self.data = os.path.join(self.directory, "data")
        self.log_file = os.path.join(self.directory, "log")
        self.process = None
        self.identity = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        os.chmod(self.directory, 0o755)
        subprocess.run([_programs() + "/initdb", "-D", self.data, "-U", "fotabroker", "-A", "trust", "-E", "UTF8",
                        "--no-locale", "--no-sync", "--wal-segsize=1"], check=True, stdout=subprocess.DEVNULL, cwd="/",
                       **self.identity)
        with open(os.path.join(self.data, "pg_hba.conf"), "w") as hba:
            hba.write("local all with_password scram-sha-256\nlocal all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        if tls:
            for source, target in (("server.crt", "server.crt"), ("server.key", "server.key")):
                path = os.path.join(self.data, target)
                shutil.copy(os.path.join(pki.authority(), source), path)
                os.chmod(path, 0o600)
                if self.identity:
                    os.chown(path, self.identity["user"], self.identity["group"])

    def start(self):
        with open(self.log_file, "a") as log:
            self.process = subprocess.Popen(
                [_programs() + "/postgres", "-D", self.data, "-k", self.directory, "-p", str(self.port),
                 "-c", "listen_addresses=" + ("127.0.0.1" if self.tls else ""), "-c", "ssl=" + ("on" if self.tls else "off"),
                 "-c", "shared_buffers=8MB", "-c", "autovacuum=off"],
                stdout=log, stderr=log, cwd="/", preexec_fn=_die_with_parent, **self.identity)
        eventually(self._answers, "PostgreSQL answers")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            with open(self.log_file, errors="replace") as log:
                raise AssertionError(f"PostgreSQL ended with {self.process.returncode}:\n{log.read()}")
        return subprocess.run([_programs() + "/pg_isready", "-q", "-h", self.directory, "-p", str(self.port)]).returncode == 0

    def stop(self):
        """Fast: whoever is connected is thrown out."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE_S)
            self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, user="fotabroker", database="postgres"):
        return f"postgresql://{user}@/{database}?host={self.directory}&port={self.port}"

    def config(self, **keys):
        """The [database] table of a broker's configuration."""
        lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in keys.items()]
        return "\n".join(["[database]", f'url = "{self.url()}"'] + lines) + "\n"

    def sql(self, query, database="postgres"):
        """What psql says, as a list of rows of texts."""
        out = subprocess.run([_programs() + "/psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", self.url(database=database),
                              "-c", query], check=True, capture_output=True, text=True).stdout
        return [tuple(line.split("|")) for line in out.splitlines()]
