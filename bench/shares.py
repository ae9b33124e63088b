#!/usr/bin/env python3
"""Which of our functions take how much of fotabroker's CPU time under each load: perf, while fotabroker-fleet runs."""

import argparse
import collections
import getpass
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

import report
import run
from broker import Broker

BEGIN = "<!-- profile: written by ./dev bench profile --update, not by hand -->"
END = "<!-- end of profile -->"
KINDS = ("load", "retained", "offline", "durable")
SAMPLES_PER_SECOND = 1999
SHARE_MIN_PERCENT = 2.0

# Whose a function is, by its name; the first that fits. The rest of the program and its libraries is "others".
OWNERS = (("kernel", r"\[k\]"), ("ours", r"\[\.\] fb::"), ("Boost", r"\[\.\] boost::"), ("SQLite", r"\[\.\] .*sqlite3|libsqlite3"),
          ("OpenSSL", r"libcrypto|libssl"), ("libc, libstdc++", r"\[\.\] std::|libc\.so|libstdc\+\+|ld-linux|\[vdso\]"))
COLUMNS = [name for name, _ in OWNERS] + ["others"]


def owner_of(dso, symbol):
    return next((name for name, pattern in OWNERS if re.search(pattern, f"{dso} {symbol}")), "others")


def samples_of(recording):
    """(percent, file, symbol) of every function that was seen."""
    text = subprocess.run(["perf", "report", "-i", recording, "--stdio", "--no-children", "-g", "none", "-t", ";",
                           "--sort", "dso,symbol"], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(";")]
        if len(fields) >= 3 and fields[0].endswith("%"):
            yield float(fields[0][:-1]), fields[1], fields[2]


def profile(scenario, config, places, args):
    """({owner: per cent}, [(per cent, function of ours)]) of one run."""
    with Broker(config, scenario, places) as broker, tempfile.NamedTemporaryFile(suffix=".perf") as recording:
        command = ["perf", "record", "-q", "-F", str(SAMPLES_PER_SECOND), "-o", recording.name, "-p",
                   str(broker.process.pid), "--", *run.fleet_command(args.fleet, scenario, broker, places["certs"], args)]
        result = run.run_fleet(broker, command)
        if "failed" in result:
            sys.exit(f"shares.py: {scenario['name']}: {result['failed']}")
        owners, functions = collections.Counter(), []
        for percent, dso, symbol in samples_of(recording.name):
            owner = owner_of(dso, symbol)
            owners[owner] += percent
            if owner == "ours" and percent >= SHARE_MIN_PERCENT:
                functions.append((percent, symbol.removeprefix("[.] ")))
        return owners, sorted(functions, reverse=True)


def lines_of(name, owners, functions):
    listed = ", ".join(f"`{function}` {percent:.1f}" for percent, function in functions) or "-"
    shares = " | ".join(f"{owners[column]:.0f}" for column in COLUMNS)
    return f"| {name} | {shares} | {listed} |"


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", type=pathlib.Path, default=run.HERE.parent / "build/release", help="build directory")
    p.add_argument("--only", metavar="TEXT", help="only scenarios whose name contains this")
    p.add_argument("--broker", default="fotabroker", help="of brokers.toml")
    p.add_argument("--seconds", type=float, default=3, help="measured per load")
    p.add_argument("--update", action="store_true", help="put the table into bench/README.md")
    args = p.parse_args()
    args.build = args.build.resolve()
    args.fleet = args.build / "bench/fleet/fotabroker-fleet"
    args.quick = False
    return args


def main():
    args = parse_arguments()
    brokers = run.choose(tomllib.loads((run.HERE / "brokers.toml").read_text())["broker"], [args.broker])
    scenarios = [s for s in tomllib.loads((run.HERE / "scenarios.toml").read_text())["scenario"]
                 if s["kind"] in KINDS and "rate_share" not in s and (not args.only or args.only in s["name"])]
    lines = ["| scenario | " + " | ".join(COLUMNS) + f" | functions of ours from {SHARE_MIN_PERCENT:g} % |",
             "|---|" + "---:|" * len(COLUMNS) + "---|"]
    print("\n".join(lines))
    with tempfile.TemporaryDirectory(prefix="fotabroker-bench-certs-") as certs:
        os.chmod(certs, 0o755)
        run.make_certificates(certs, args.build / "fotabroker")
        places = {"build": args.build, "certs": certs, "user": getpass.getuser()}
        for scenario in scenarios:
            for config in run.contenders(scenario, brokers):
                name = f"{scenario['name']} {config['options']}".strip()
                lines.append(lines_of(name, *profile(scenario, config, places, args)))
                print(lines[-1], flush=True)
    if args.update:
        report.replace_between(run.HERE / "README.md", BEGIN, END, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
