#!/usr/bin/env python3
"""Decides otherwise at each line that decides a statement (proto/rule.hpp), one at a time, and expects the tests that name
the statement to notice, those of one program at least. Nothing is built for a mutant: the programs of a build with marks
take it from FB_MUTATE.

A condition has two mutants, as far as the tests have seen it true and false: never and always. Another value has one: a
different value. A mutant is killed when a test fails, crashes or does not come to an end.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import survivors

PROGRAMS = ("unit_proto", "unit_broker_core", "unit_broker_net")
PATIENCE = 4  # times what all tests of the program take that name a statement
MUTANTS_OF = {"0": ("1", "always"), "1": ("0", "never"), "x": ("x", "another value")}

Mutant = collections.namedtuple("Mutant", "program id site says patience_s")


def marks(program):
    """(id, site) -> letters, and how long to wait for a mutant."""
    begin = time.monotonic()
    with tempfile.NamedTemporaryFile("r") as report:
        subprocess.run([program, "-tc=v5[*,v311[*"], env={**os.environ, "FB_MARKS_REPORT": report.name}, check=True,
                       stdout=subprocess.DEVNULL)
        patience_s = 2 + PATIENCE * (time.monotonic() - begin)
        found = collections.defaultdict(set)
        for line in report:
            one, site, letters = line.rstrip("\n").split("\t")
            found[one, site] |= set(letters)
    return found, patience_s


def mutants_of(program, found, patience_s):
    for (one, site), letters in sorted(found.items()):
        for letter in sorted(letters & set(MUTANTS_OF)):
            yield Mutant(program, one, site, MUTANTS_OF[letter][0], patience_s)


def is_killed(mutant):
    command = [mutant.program, f"-tc=*{mutant.id}*", "--abort-after=1"]
    environment = {**os.environ, "FB_MUTATE": f"{mutant.site}={mutant.says}"}
    try:
        done = subprocess.run(command, env=environment, timeout=mutant.patience_s, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--build", default="build/debug", help="a build with FB_MARKS")
    arguments.add_argument("--only", default="", help="sites or ids that contain this text")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = arguments.parse_args()
    everything, reached_only = [], set()
    for name in PROGRAMS:
        program = str(pathlib.Path(arguments.build, "tests", name).resolve())
        found, patience_s = marks(program)
        everything += mutants_of(program, found, patience_s)
        reached_only |= {one for one, letters in found.items() if letters == {"r"}}
    if not everything:
        print(f"{arguments.build}: no marks; is it built with FB_MARKS (preset debug)?")
        return 1
    wanted = [mutant for mutant in everything if arguments.only in mutant.site or arguments.only in mutant.id]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        killed = list(pool.map(is_killed, wanted))
    noticed = {}  # the same mutant in several programs: one of them is enough
    for mutant, dead in zip(wanted, killed):
        one = mutant.id, mutant.site, mutant.says
        noticed[one] = noticed.get(one, False) or dead
    return report(noticed, reached_only, whole=not arguments.only)


def report(noticed, reached_only, whole):
    excused, bad = set(), 0
    alive = [mutant for mutant, dead in noticed.items() if not dead]
    for one, site, says in alive:
        row = (site.partition(":")[0], one, says)
        if row in survivors.ALLOWED:
            excused.add(row)
            continue
        bad += 1
        print(f"{site}: {one} may as well be {says_in_words(says)}")
    stale = set(survivors.ALLOWED) - excused if whole else set()
    for row in sorted(stale):
        print(f"tests/mutation/survivors.py: {row} is killed; delete the row")
    print(f"{len(noticed)} mutants at {len({site for _, site, _ in noticed})} places, {len(noticed) - len(alive)} killed, "
          f"{len(alive) - bad} excused, {bad} survived; {len(reached_only)} marks without a condition")
    return 1 if bad or stale else 0


def says_in_words(letter):
    return next(words for says, words in MUTANTS_OF.values() if says == letter)


if __name__ == "__main__":
    sys.exit(main())
