#!/usr/bin/env python3
"""Reports of devices that SQLite and PostgreSQL commit per second, and what they write for each: at several sizes of
batches and numbers of devices. PostgreSQL is a server of its own with fsync on, default settings otherwise.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/e2e"))
from support.postgres import Postgres  # as the tests start it


def measure(program, place, devices, batch, seconds, counted=lambda: None):
    """One run; (its result, what `counted` says more at the end than at the beginning)."""
    run = subprocess.Popen([program, place, str(devices), str(batch), str(seconds)], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.stderr.readline() != "ready\n":
        sys.exit(f"run.py: {run.communicate()[1]}")
    before = counted()
    out, faults = run.communicate("go\n")
    if run.returncode != 0:
        sys.exit(f"run.py: {faults}")
    after = counted()
    return json.loads(out), None if before is None else after - before


def on_sqlite(program, *what):
    with tempfile.TemporaryDirectory() as directory:
        result, _ = measure(program, f"{directory}/fota.db", *what)
        return result | {"engine": "SQLite"}


def on_postgres(program, server, *what):
    server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    wal = lambda: int(server.sql("SELECT wal_bytes FROM pg_stat_wal")[0][0])
    result, written = measure(program, server.url(), *what, counted=wal)
    return result | {"engine": "PostgreSQL", "written_bytes": written}


def row(result, devices, batch):
    rate = lambda what: result[what] / result["seconds"]
    return (f"| {result['engine']} | {devices:,} | {batch} | {rate('reports'):,.0f} | {rate('commits'):,.0f} | "
            f"{result['cpu_seconds'] / result['reports'] * 1e6:.0f} us | {result['written_bytes'] / result['reports']:,.0f} |")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build/release", help="build directory")
    p.add_argument("--devices", type=int, nargs="*", default=[1000, 100_000])
    p.add_argument("--batches", type=int, nargs="*", default=[1, 50, 256])
    p.add_argument("--seconds", type=float, default=3)
    args = p.parse_args()
    program = str(args.build.resolve() / "bench/storage/fotabroker-storage")
    print("| engine | devices | batch | reports/s | commits/s | our CPU per report | bytes written per report |\n"
          "|---|---:|---:|---:|---:|---:|---:|")
    server = Postgres().start()
    try:
        for devices in args.devices:
            for batch in args.batches:
                what = devices, batch, args.seconds
                for result in on_sqlite(program, *what), on_postgres(program, server, *what):
                    print(row(result, devices, batch), flush=True)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
