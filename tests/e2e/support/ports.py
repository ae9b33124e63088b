"""TCP ports for tests that run side by side: below the range the kernel takes client ports from, each locked by a file
for as long as the process that took it lives."""

import fcntl
import os
import random
import socket
import tempfile

_held = []


def free_port():
    directory = os.path.join(tempfile.gettempdir(), "fotabroker-test-ports")
    os.makedirs(directory, exist_ok=True)
    for port in random.sample(range(20000, 32000), 200):
        lock = open(os.path.join(directory, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return port
    raise RuntimeError("no free port between 20000 and 32000")
