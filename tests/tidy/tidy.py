#!/usr/bin/env python3
"""Checks of the source tree that a compiler cannot make. First every rule proves that it can fail."""

import argparse
import pathlib
import sys

import rules_conformance
import rules_size
import rules_structure
import rules_text
import self_test
from tree import read_tree

RULES = [
    rules_structure.layers, rules_structure.include_cycles, rules_structure.threads, rules_structure.wall_clock,
    rules_structure.no_clock, rules_structure.no_asio, rules_structure.unity,
    rules_text.leftovers, rules_text.disabled, rules_text.commented_out, rules_text.white_space, rules_text.secrets,
    rules_text.statement_ids, rules_text.documents,
    rules_conformance.conformance, rules_conformance.conformance_table,
    rules_size.file_length, rules_size.function_length, rules_size.header_opening,
]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("root", nargs="?", default=pathlib.Path(__file__).resolve().parents[2])
    arguments.add_argument("--write", action="store_true", help="write docs/conformance/README.md anew")
    arguments = arguments.parse_args()
    if blind := self_test.failures(RULES):
        print(*blind, sep="\n")
        return 1
    tree = read_tree(str(arguments.root))
    if not tree.cpp():
        print(f"{arguments.root}: no sources found here: name the root of the source tree")
        return 1
    if arguments.write:
        text = rules_conformance.rendered(tree)
        pathlib.Path(arguments.root, rules_conformance.README).write_text(text, encoding="utf-8")
        tree.files[rules_conformance.README] = text
    findings = sorted({finding for rule in RULES for finding in rule(tree)})
    for finding in findings:
        print(finding)
    print(f"{len(tree.files)} files, {len(RULES)} rules, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
