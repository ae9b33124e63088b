"""A disk that fails and a clock that jumps, for a broker that runs: `Faults` makes faults.c into a library, which the
broker is started with."""

import errno
import mmap
import os
import shlex
import struct
import subprocess
import tempfile

_FIELDS = struct.Struct("=iiiiqi")  # struct control of faults.c
_library = None


def _built():
    global _library
    if _library is None:
        directory = tempfile.TemporaryDirectory(prefix="fotabroker-faults-")
        out = os.path.join(directory.name, "faults.so")
        source = os.path.join(os.path.dirname(__file__), "faults.c")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        subprocess.run([*compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", out, source, "-ldl"], check=True)
        _library = directory, out
    return _library[1]


class Faults:
    """Of one broker: pass `start_options()` to its start."""

    def __init__(self, b):
        self.file = os.path.join(b.directory, "faults")
        self.below = b.data
        with open(self.file, "wb") as f:
            f.write(bytes(_FIELDS.size))
        with open(self.file, "r+b") as f:
            self._page = mmap.mmap(f.fileno(), _FIELDS.size)

    def start_options(self):
        asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return {"env": {**os.environ, "LD_PRELOAD": _built(), "FB_FAULTS": self.file, "FB_FAULTS_BELOW": self.below,
                        "ASAN_OPTIONS": asan}}

    def _set(self, sync=0, write=0, create=0, clock_s=0, hold_queues=0):
        self._page[:] = _FIELDS.pack(sync, write, create, 0, clock_s, hold_queues)

    def none(self):
        self._set()

    def full(self):
        self._set(write=errno.ENOSPC, create=errno.ENOSPC)

    def read_only(self):
        self._set(write=errno.EROFS, create=errno.EROFS)

    def failing_writes(self):
        self._set(write=errno.EIO)

    def failing_syncs(self):
        self._set(sync=errno.EIO)

    def clock(self, seconds):
        """The wall clock is so far off."""
        self._set(clock_s=seconds)

    def queues_held(self):
        """After the next start no queue is read until none()."""
        self._set(hold_queues=1)

    def hits(self):
        """Calls that failed since the last change."""
        return _FIELDS.unpack(self._page[:])[3]
