#!/usr/bin/env python3
"""Runs every scenario against every broker, in turn and several times, and reports medians and ratios.

Each measurement gets a freshly started broker with an empty directory. Nothing here measures: that is
fotabroker-fleet's work, whose JSON this script gathers. See README.md for the method.
"""

import argparse
import concurrent.futures
import getpass
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import tomllib

import machine
import report
import restart
from broker import Broker, command_of

HERE = pathlib.Path(__file__).resolve().parent
MEASURE_TIMEOUT_S = 180
ROUNDS = 3
WARM_UP_BESIDE_S = 4  # more than all connections of the other load need
# Kinds whose run has another name in fotabroker-fleet: the same, looked at in another way.
SUBCOMMANDS = {"durable": "load", "shards": "load", "beside": "load", "quiet": "idle"}
DEVICE = "bench"  # the client certificate's device id, and so the prefix of the client ids


def make_certificates(directory, fotabroker):
    """ca, server and one device certificate: by fotabroker itself, or by openssl where it is not built."""
    if fotabroker.exists():
        run = lambda *args: subprocess.run([fotabroker, "cert", *args], check=True, stdout=subprocess.DEVNULL)
        run("init", "--out", directory)
        run("server", "--ca", directory, "--name", "localhost", "--name", "127.0.0.1", "--out", directory)
        run("device", DEVICE, "--ca", directory, "--out", directory)
        return
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True)

    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=bench CA", "-days", "2")
    for name, extension in [("server", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
                            (DEVICE, "extendedKeyUsage=clientAuth")]:
        (pathlib.Path(directory) / "ext").write_text(extension)
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.crt", "-days", "2", "-extfile", "ext")


def fleet_command(fleet, scenario, broker, certs, args):
    subcommand = SUBCOMMANDS.get(scenario["kind"], scenario["kind"])
    command = [fleet, subcommand, *shlex.split(scenario["args"]), "--json", "--host", "127.0.0.1",
               "--port", str(broker.port), "--broker-pid", str(broker.process.pid)]
    if subcommand == "load":
        command += ["--seconds", str(args.seconds)]
    if "rate" in scenario:
        command += ["--rate", str(scenario["rate"])]
    if subcommand == "idle":
        command += ["--settle", "1" if args.quick else "2"]
    if scenario.get("tls"):
        command += ["--tls", "--ca", f"{certs}/ca.crt", "--cert", f"{certs}/{DEVICE}.crt",
                    "--key", f"{certs}/{DEVICE}.key", "--client-id-prefix", f"{DEVICE}/"]
    return [str(part) for part in command]


def run_fleet(broker, command):
    """What fotabroker-fleet says about this broker, or {"failed": why}. What was not verified has failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MEASURE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return {"failed": "no end in time"}
    if done.returncode != 0 and not done.stdout:
        gone = f" (broker ended: {broker.last_words()})" if broker.process.poll() is not None else ""
        return {"failed": done.stderr.strip() + gone}
    result = json.loads(done.stdout)
    if not result.get("verified", True):
        return {"failed": "not verified: " + ", ".join(
            f"{key} {result[key]}" for key in ("lost", "doubled", "reordered", "stray", "refused") if result[key])}
    return result


def run_beside(scenario, broker, command, args):
    """The same while another load runs, which begins before it (in its warm-up) and ends after it."""
    other = [args.fleet, "load", *shlex.split(scenario["beside"]), "--json", "--port", str(broker.port), "--topic-prefix",
             "beside", "--client-id-prefix", "beside-", "--seconds", str(args.seconds + 2 * WARM_UP_BESIDE_S)]
    with concurrent.futures.ThreadPoolExecutor() as threads:
        running = threads.submit(run_fleet, broker, other)
        result = run_fleet(broker, [*command, "--warm-up", str(WARM_UP_BESIDE_S)])
        beside = running.result()
    if "failed" in beside:
        return beside
    return dict(result, beside_per_second=beside["per_second"])


def measure(scenario, config, places, args):
    """The JSON of one measurement, or {"failed": why}."""
    try:
        with Broker(config, scenario, places) as broker:
            if scenario["kind"] == "restart":
                return restart.measure(broker, lambda *words: run_fleet(broker, [args.fleet, *words]), args.quick)
            before = broker.commits_so_far() if broker.commits else 0
            command = fleet_command(args.fleet, scenario, broker, places["certs"], args)
            if "beside" in scenario:
                return run_beside(scenario, broker, command, args)
            result = run_fleet(broker, command)
            if broker.commits and "failed" not in result:
                # Over the whole run, warm-up included, so that few commits of connecting hardly count.
                per_commit = result["published"] / max(1, broker.commits_so_far() - before)
                result["acknowledged_per_commit"] = per_commit
                result["commits_per_second"] = result["acknowledged_per_second"] / per_commit
            if result.get("per_broker_cpu_second"):
                result["broker_cpu_us_each"] = 1e6 / result["per_broker_cpu_second"]
            return result
    except (OSError, RuntimeError) as problem:
        return {"failed": str(problem)}


def contenders(scenario, brokers):
    """The brokers of a scenario: each as it is, or once with each of the options that the scenario has for it."""
    for broker in brokers:
        if command_of(scenario) not in broker or broker["name"] not in scenario.get("brokers", [broker["name"]]):
            continue
        for options in scenario.get("options", {}).get(broker["name"], [""]):
            yield dict(broker, name=f"{broker['name']} {options}".strip(), options=options)


def rounds_of(scenario, args):
    return args.rounds or (1 if args.quick else scenario.get("rounds", ROUNDS))


def choose(brokers, names):
    if not names:
        return [b for b in brokers if not b.get("optional")]
    unknown = set(names) - {b["name"] for b in brokers}
    if unknown:
        sys.exit(f"run.py: not in the brokers file: {', '.join(sorted(unknown))}")
    return [b for b in brokers if b["name"] in names]


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build/release", help="build directory")
    p.add_argument("--fleet", type=pathlib.Path, help="fotabroker-fleet, when it is not in the build directory")
    p.add_argument("--quick", action="store_true", help="one round of one second each; a tenth of restart")
    p.add_argument("--rounds", type=int, help=f"of every scenario; default {ROUNDS}, or what scenarios.toml says")
    p.add_argument("--seconds", type=float, help="measured per load; default 2")
    p.add_argument("--brokers", nargs="*", metavar="NAME", help="only these; default all that are not optional")
    p.add_argument("--only", metavar="TEXT", help="only scenarios whose name contains this")
    p.add_argument("--brokers-file", type=pathlib.Path, default=HERE / "brokers.toml")
    p.add_argument("--scenarios-file", type=pathlib.Path, default=HERE / "scenarios.toml")
    p.add_argument("--out", type=pathlib.Path, help="default BUILD/bench-results")
    p.add_argument("--update-readme", action="store_true", help="put the results into bench/README.md")
    args = p.parse_args()
    args.build = args.build.resolve()
    args.fleet = args.fleet or args.build / "bench/fleet/fotabroker-fleet"
    args.seconds = args.seconds or (1 if args.quick else 2)
    args.out = args.out or args.build / "bench-results"
    if not args.fleet.exists():
        p.error(f"{args.fleet} is not there; build it first: ./dev build")
    return args


def rate_for(scenario, brokers, places, args):
    """Messages per second: a share of what the baseline reaches in the same scenario without that limit."""
    baseline = next((b for b in brokers if b.get("baseline")), brokers[0])
    freely = {key: value for key, value in scenario.items() if key != "rate_share"}
    result = measure(freely, baseline, places, args)
    if "failed" in result:
        raise SystemExit(f"run.py: no rate for {scenario['name']}: {result['failed']}")
    return round(scenario["rate_share"] * result["per_second"])


def measure_all(scenarios, brokers, places, args):
    """Scenario -> broker -> its measurements. All brokers have had their turn before one gets its next."""
    results = {s["name"]: {} for s in scenarios}
    for turn in range(max((rounds_of(s, args) for s in scenarios), default=0)):
        for scenario in scenarios:
            if "rate_share" in scenario and "rate" not in scenario:
                scenario["rate"] = rate_for(scenario, brokers, places, args)
            rounds = rounds_of(scenario, args)
            for config in contenders(scenario, brokers) if turn < rounds else []:
                result = measure(scenario, config, places, args)
                results[scenario["name"]].setdefault(config["name"], []).append(result)
                print(f"[{turn + 1}/{rounds}] {scenario['name']:40} {config['name']:30} "
                      f"{report.one_line(scenario['kind'], result)}", flush=True)
    return results


def main():
    args = parse_arguments()
    brokers = choose(tomllib.loads(args.brokers_file.read_text())["broker"], args.brokers)
    scenarios = tomllib.loads(args.scenarios_file.read_text())["scenario"]
    scenarios = [s for s in scenarios if not args.only or args.only in s["name"]]
    with tempfile.TemporaryDirectory(prefix="fotabroker-bench-certs-") as certs:
        os.chmod(certs, 0o755)
        make_certificates(certs, args.build / "fotabroker")
        places = {"build": args.build, "certs": certs, "user": getpass.getuser()}
        facts = machine.describe(brokers, places, HERE.parent)
        facts["method"] = (f"rounds: {args.rounds or (1 if args.quick else f'{ROUNDS}, or what scenarios.toml says')}; "
                           f"{args.seconds:g} s per load")
        print("\n".join(report.facts_lines(facts)), flush=True)
        results = measure_all(scenarios, brokers, places, args)
    baseline = next((b["name"] for b in brokers if b.get("baseline")), None)
    summary = report.summarise(scenarios, baseline, results)
    markdown = report.markdown(facts, summary)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps({"facts": facts, "results": results}, indent=1))
    (args.out / "results.md").write_text(markdown)
    (args.out / "results.svg").write_text(report.svg(summary))
    print("\n" + markdown)
    print(f"written to {args.out}")
    if args.update_readme:
        report.update_readme(HERE / "README.md", markdown)
        (HERE / "results.svg").write_text(report.svg(summary))
    failed = [name for row in results.values() for runs in row.values() for name in runs if "failed" in name]
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
