#!/usr/bin/env python3
"""coverage.py BUILD SOURCE: how many lines of the packet decoders the fuzz targets reached; fails below 90 %."""

import json
import pathlib
import shutil
import subprocess
import sys

AT_LEAST_PERCENT = 90
DECODERS = ("proto/decode", "proto/frame", "proto/cursor", "proto/property_reader", "proto/read_properties", "proto/topic",
            "proto/utf8", "proto/properties")


def tool(name):
    for candidate in (name, name + "-14"):
        if path := shutil.which(candidate):
            return path
    sys.exit(f"{name} is missing: Debian's package llvm has it")


def main():
    build, source = map(pathlib.Path, sys.argv[1:])
    profiles = sorted((build / "profiles").glob("*.profraw"))
    if not profiles:
        sys.exit(f"no profiles in {build}/profiles: run the fuzz targets by ctest first")
    merged = build / "profiles" / "all.profdata"
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", merged, *profiles], check=True)
    programs = sorted(p for p in (build / "tests" / "fuzz").glob("fuzz_*") if p.is_file() and not p.suffix)
    objects = [word for p in programs[1:] for word in ("-object", p)]
    report = subprocess.run([tool("llvm-cov"), "export", "-summary-only", f"-instr-profile={merged}", programs[0], *objects],
                            check=True, capture_output=True, text=True).stdout
    lines = covered = 0
    for file in json.loads(report)["data"][0]["files"]:
        name = file["filename"]
        at = name.rfind("/proto/")
        if at < 0 or not name[at + 1:].startswith(DECODERS):
            continue
        summary = file["summary"]["lines"]
        lines += summary["count"]
        covered += summary["covered"]
        print(f"{summary['percent']:6.1f} %  {name[at + 1:]}")
    if not lines:
        sys.exit("no decoder is in the report")
    percent = 100 * covered / lines
    print(f"{percent:6.1f} %  of {lines} lines")
    return 0 if percent >= AT_LEAST_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
