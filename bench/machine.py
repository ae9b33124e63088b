"""What the numbers were measured on and with: one line of machine, one line per broker."""

import datetime
import os
import pathlib
import platform
import shlex
import ssl
import subprocess
import tempfile
import time


def first_line(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "not found"
    lines = [line for line in (out.stdout + out.stderr).splitlines() if line.strip()]
    return lines[0].strip() if lines else "says nothing"


def field_of(path, key, separator):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.split(separator, 1)[1].strip().strip('"')
    return "unknown"


def commit(repository):
    git = ["git", "-C", str(repository)]
    short = first_line([*git, "rev-parse", "--short", "HEAD"])
    dirty = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True).returncode != 0
    return short + (" with local changes" if dirty else "")


def disk(seconds=1.0):
    """Where brokers get their directories, and how often that can be made safe by one thread, 4 KiB at a time."""
    directory = tempfile.gettempdir()
    kind = subprocess.run(["df", "--output=fstype", directory], capture_output=True, text=True).stdout.split()
    count, block, began = 0, bytes(4096), time.monotonic()
    with tempfile.TemporaryFile(dir=directory) as file:
        while time.monotonic() - began < seconds:
            os.write(file.fileno(), block)
            os.fdatasync(file.fileno())
            count += 1
    rate = count / (time.monotonic() - began)
    return f"{kind[-1] if kind else 'unknown file system'}, {rate:,.0f} appends of 4 KiB with fdatasync per second"


def describe(brokers, places, repository):
    memory_kib = int(field_of("/proc/meminfo", "MemTotal", ":").split()[0])
    return {
        "date": datetime.date.today().isoformat(),
        "machine": (f"{field_of('/proc/cpuinfo', 'model name', ':')}, {os.cpu_count()} cores, "
                    f"{memory_kib / 1048576:.0f} GiB, Linux {platform.release()}, "
                    f"{field_of('/etc/os-release', 'PRETTY_NAME', '=')}, {ssl.OPENSSL_VERSION}"),
        "disk": disk(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "commit": commit(repository),
        "brokers": {b["name"]: first_line(shlex.split(b["version"].format(**places))) for b in brokers},
    }
