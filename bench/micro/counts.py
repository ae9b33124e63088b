#!/usr/bin/env python3
"""Instructions and allocations per operation of fotabroker-micro, counted by callgrind and by itself: counts, not
times, so that they are the same on every machine. --check holds them against baseline.json, --update writes it.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"
README = HERE.parent / "README.md"
ACCEPT = "./dev bench micro --update"
INSTRUCTIONS_MORE_MAX = 0.15
ALLOCATIONS_MORE_MAX = 0.005  # rounding only
SKIPPED = 77
CALLGRIND = ["valgrind", "--tool=callgrind", "--toggle-collect=fotabroker_micro_measured",
             "--callgrind-out-file=/dev/null"]
# memcpy and the like as every x86-64 has them, or the counts would be those of the processor.
ENVIRONMENT = {**os.environ, "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS,-FSRM", "LC_ALL": "C"}


def list_of(program):
    return json.loads(subprocess.run([program, "--list", "--json"], check=True, capture_output=True).stdout)


def count(program, operation):
    done = subprocess.run([*CALLGRIND, program, operation, "--json"], env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"counts.py: {operation} failed:\n{done.stderr}")
    figures = json.loads(done.stdout)
    collected = int(re.search(r"Collected : (\d+)", done.stderr)[1])
    return {"instructions": round(collected / figures["operations"]),
            "allocations": round(figures["allocations"] / figures["operations"], 3)}


def judge(now, before):
    """(verdict, is it bad) on one operation."""
    if before is None:
        return "not in the baseline", True
    if now is None:
        return "only in the baseline", True
    more = now["instructions"] / before["instructions"] - 1
    if now["allocations"] > before["allocations"] + ALLOCATIONS_MORE_MAX:
        return f"more allocations than {before['allocations']:g}", True
    if more > INSTRUCTIONS_MORE_MAX:
        return f"{more:+.1%} instructions", True
    return f"{more:+.1%}" if abs(more) >= 0.0005 else "", False


def check(counted, baseline):
    """A table with the verdicts; True when all is well."""
    known = baseline["operations"]
    bad = []
    print(f"{'operation':26} {'instructions':>12} {'before':>12} {'allocations':>12} {'before':>8}  verdict")
    for name in sorted({**counted, **known}, key=[*counted, *known].index):
        verdict, is_bad = judge(counted.get(name), known.get(name))
        cells = [row.get(key, "-") for key in ("instructions", "allocations")
                 for row in (counted.get(name, {}), known.get(name, {}))]
        print("{:26} {:>12} {:>12} {:>12} {:>8}  {}".format(name, *cells, "FAILED: " + verdict if is_bad else verdict))
        if is_bad:
            bad.append(name)
    if bad:
        print(f"\nFailed: {', '.join(bad)}. More than {INSTRUCTIONS_MORE_MAX:.0%} more instructions, or any more "
              f"allocations, must be meant.\nTo look closer: bench/README.md, \"Counts\". To accept these figures: {ACCEPT}")
    return not bad


def markdown(counted, listed):
    rows = [f"| {name} | {listed[name]} | {row['instructions']:,} | {row['allocations']:.2f} |"
            for name, row in counted.items()]
    return "\n".join(["| operation | one is | instructions | allocations |", "|---|---|---:|---:|", *rows])


def update(counted, listed):
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in counted.items())
    BASELINE.write_text(f'{{"built": {json.dumps(listed["built"])}, "operations": {{\n{rows}\n}}}}\n')
    table = f"\\g<1>\n{listed['built']}:\n\n{markdown(counted, listed['operations'])}\n\n\\g<2>"
    text, found = re.subn(r"(<!-- counts:.*?-->\n).*?(<!-- end of counts -->)", table, README.read_text(), flags=re.S)
    if found != 1:
        sys.exit(f"counts.py: {README} has no place for the table")
    README.write_text(text)


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build/release", help="build directory")
    p.add_argument("--program", type=pathlib.Path, help="fotabroker-micro, when it is not in the build directory")
    p.add_argument("--only", metavar="TEXT", default="", help="only operations whose name contains this")
    mode = p.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="fail on more than the baseline; 77: it does not apply here")
    mode.add_argument("--update", action="store_true", help="make these the baseline")
    args = p.parse_args()
    args.program = args.program or args.build.resolve() / "bench/micro/fotabroker-micro"
    if args.update and args.only:
        p.error("the baseline is written as a whole: --update without --only")
    return args


def read_baseline(args, built):
    """What to compare with; leaves with 77 where these counts and those say nothing about each other."""
    baseline = json.loads(BASELINE.read_text())
    if baseline["built"] != built:
        print(f"counts.py: the baseline is of {baseline['built']}, this is {built}: nothing to compare")
        sys.exit(SKIPPED)
    baseline["operations"] = {name: row for name, row in baseline["operations"].items() if args.only in name}
    return baseline


def main():
    args = parse_arguments()
    listed = list_of(args.program)
    baseline = read_baseline(args, listed["built"]) if args.check else None
    try:
        counted = {name: count(args.program, name) for name in listed["operations"] if args.only in name}
    except FileNotFoundError:
        print("counts.py: valgrind is not installed")
        sys.exit(SKIPPED)
    if args.check:
        sys.exit(0 if check(counted, baseline) else 1)
    if args.update:
        update(counted, listed)
    print(f"{listed['built']}\n\n{markdown(counted, listed['operations'])}")


if __name__ == "__main__":
    main()
