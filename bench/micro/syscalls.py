#!/usr/bin/env python3
"""System calls of the broker per delivered message: pairs, QoS 1, counted by the kernel (perf) or, where that is not
allowed, by strace, which slows the broker down and so makes its turns longer or shorter than they are.
"""

import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import run
from broker import Broker  # as ./dev bench starts them

EVENT = "raw_syscalls:sys_enter"


def perf_works():
    return shutil.which("perf") and subprocess.run(
        ["perf", "stat", "-e", EVENT, "true"], capture_output=True).returncode == 0


def load_result(done):
    result = json.loads(done.stdout) if done.returncode == 0 else {}
    if not result.get("verified"):
        sys.exit(f"syscalls.py: the load failed: {done.stdout}{done.stderr}")
    return result


def count_with_perf(pid, load):
    with tempfile.NamedTemporaryFile("r") as out:
        done = subprocess.run(["perf", "stat", "-x", ",", "-o", out.name, "-e", EVENT, "-p", str(pid), "--", *load],
                              capture_output=True, text=True)
        counted = re.search(r"^(\d+),", out.read(), re.M)
    return load_result(done), int(counted[1])


def count_with_strace(pid, load):
    with tempfile.NamedTemporaryFile("r") as out:
        strace = subprocess.Popen(["strace", "-c", "-f", "-o", out.name, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        strace.stderr.readline()  # attached
        done = subprocess.run(load, capture_output=True, text=True)
        strace.send_signal(signal.SIGINT)
        strace.communicate()
        total = [line.split() for line in out if line.rstrip().endswith("total")]
    return load_result(done), int(total[-1][3])


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build/release", help="build directory")
    p.add_argument("--brokers", nargs="*", metavar="NAME", default=["fotabroker-1-shard", "fotabroker-2-shards", "mosquitto"])
    p.add_argument("--pairs", type=int, default=50)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--inflight", type=int, default=10, help="messages on their way per publisher")
    return p.parse_args()


def main():
    args = parse_arguments()
    count, how = (count_with_perf, "perf") if perf_works() else (count_with_strace, "strace")
    places = {"build": args.build.resolve(), "certs": "", "user": ""}
    print(f"counted by {how}\n\n| broker | delivered | system calls | per delivered message |\n|---|---:|---:|---:|")
    for config in run.choose(tomllib.loads((HERE.parent / "brokers.toml").read_text())["broker"], args.brokers):
        with Broker(config, {"kind": "load"}, places) as broker:
            load = [str(part) for part in (
                places["build"] / "bench/fleet/fotabroker-fleet", "load", "--scenario", "pairs", "--qos", 1, "--publishers",
                args.pairs, "--subscribers", args.pairs, "--inflight", args.inflight, "--warm-up", 0, "--seconds",
                args.seconds, "--json", "--host", "127.0.0.1", "--port", broker.port, "--broker-pid", broker.process.pid)]
            result, calls = count(broker.process.pid, load)
        # A pair's message has one subscriber: what was published over the whole run was delivered once.
        print(f"| {config['name']} | {result['published']:,} | {calls:,} | {calls / result['published']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
