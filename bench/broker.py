"""A broker under measurement: a process of its own with a directory of its own and free loopback ports."""

import os
import pathlib
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

START_TIMEOUT_S = 30
END_TIMEOUT_S = 60

# Which of a broker's commands a scenario needs; without that command the broker is left out.
PLAIN, TLS, STORED = "command", "tls_command", "stored_command"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command_of(scenario):
    return STORED if scenario["kind"] == "restart" else TLS if scenario.get("tls") else PLAIN


class Broker:
    """One running broker; a context manager that ends it. Within, it can be ended and started again on what it has."""

    def __init__(self, config, scenario, places):
        self.places = dict(places, port=free_port(), tls_port=free_port(), http_port=free_port())
        which = command_of(scenario)
        self.command = " ".join([config[which], config.get("options", "")])
        self.files = config.get("files", {})
        self.saves_at_its_end_only = config.get("saves_at_its_end_only", False)
        self.commits = config.get("commits") if scenario["kind"] == "durable" else None
        if self.commits:
            self.command += " " + self.commits["options"]
        self.port = self.places["tls_port" if which == TLS else "port"]
        self.process = None

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="fotabroker-bench-")
        # A broker that gives up root's rights reads its configuration and writes its data in here.
        os.chmod(self.directory.name, 0o755)
        self.places["dir"] = self.directory.name
        for name, text in self.files.items():
            (pathlib.Path(self.directory.name) / name).write_text(text.format(**self.places))
        self.log = tempfile.TemporaryFile()
        self.start()
        time.sleep(0.2)  # let it settle, and forget the connection that was tried
        return self

    def start(self):
        """Starts the process and returns how many seconds later it accepts connections."""
        command = shlex.split(self.command.format(**self.places))
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=self.directory.name)
        while time.monotonic() < began + START_TIMEOUT_S and self.process.poll() is None:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return time.monotonic() - began
            time.sleep(0.0005)
        words = self.last_words()
        self.__exit__()
        raise RuntimeError("did not start: " + words)

    def end(self, by=signal.SIGTERM):
        self.process.send_signal(by)
        try:
            self.process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stored_bytes(self):
        """What its files take of the disk."""
        return sum(512 * path.lstat().st_blocks for path in pathlib.Path(self.directory.name).rglob("*"))

    def last_words(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-300:].strip()

    def commits_so_far(self):
        with urllib.request.urlopen(self.commits["url"].format(**self.places), timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(self.commits["counter"] + " "):
                    return int(line.split()[1])
        raise RuntimeError("its metrics have no " + self.commits["counter"])

    def __exit__(self, *_):
        self.end()
        self.log.close()
        self.directory.cleanup()
