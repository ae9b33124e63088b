"""docs/conformance: each statement of the standards, the code that decides it and the tests that name it.

A test names a statement at the beginning of its name (doctest) or docstring (Python); a row of tests/support/packets names
the one it breaks.
"""

import ast
import collections
import csv
import io
import re

from tree import Finding

README = "docs/conformance/README.md"
ID = re.compile(r"(v5|v311)\[MQTT-(\d+\.\d+\.\d+-\d+)\]")
COLUMNS = ["statement", "binds", "level", "summary"]


def statements(tree):
    """id -> row, in the order of the files."""
    found = {}
    for version in ("v5", "v311"):
        for row in csv.DictReader(io.StringIO(tree.files.get(f"docs/conformance/{version}.csv", ""))):
            found[f"{version}[{row['statement']}]"] = row
    return found


def ids_at_the_beginning(text):
    """(ids, the rest)."""
    ids = []
    while found := ID.match(text):
        ids.append(found[0])
        text = text[found.end():].lstrip(" ")
    return ids, text


# --- who names and who decides ------------------------------------------------------------------------------------------

CASE = re.compile(r'TEST_CASE\(\s*((?:"(?:\\.|[^"\\])*"\s*)+)')
LITERAL = re.compile(r'"((?:\\.|[^"\\])*)"')
PACKET = re.compile(r'\{\s*("(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)\s*,\s*v\d\w*\s*,')


def named_by(tree):
    """id -> [(path, name)] of the tests."""
    found = collections.defaultdict(list)
    for path in tree.paths(".cpp", ".hpp", ".py"):
        if not path.startswith("tests/") or path.startswith("tests/tidy/"):
            continue
        for ids, name in names_in(path, tree.files[path]):
            for one in ids:
                if (path, name) not in found[one]:
                    found[one].append((path, name))
    return found


def names_in(path, text):
    if path.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = " ".join((ast.get_docstring(node) or "").split())
                yield ids_at_the_beginning(words)
        return
    for found in CASE.finditer(text):
        yield ids_at_the_beginning("".join(LITERAL.findall(found[1])))
    if path.startswith("tests/support/packets/"):
        starts = list(PACKET.finditer(text))
        for here, after in zip(starts, [found.start() for found in starts[1:]] + [len(text)]):
            name = "".join(LITERAL.findall(here[1]))
            yield [found[0] for found in ID.finditer(text[here.end():after])], name


def decided_by(tree):
    """id -> paths whose code (not its comments) has it."""
    found = collections.defaultdict(list)
    for path in tree.cpp():
        if not path.startswith(("proto/", "broker/")):
            continue
        code = re.sub(r"//[^\n]*", "", tree.files[path])
        for one in sorted(set(found_id[0] for found_id in ID.finditer(code))):
            found[one].append(path)
    return found


# --- rules ----------------------------------------------------------------------------------------------------------------


def conformance(tree):
    """Every statement that binds a server is named by a test; nobody cites one that does not exist."""
    known = statements(tree)
    yield from bad_rows(tree)
    named = named_by(tree)
    for one, row in known.items():
        if row["binds"] != "server":
            continue
        if one not in named:
            yield Finding(csv_of(one), 1, f"no test names {one}", f"write one: {row['summary']}")
    for path in tree.paths(".hpp", ".cpp", ".py", ".md"):
        if path.startswith(("tests/tidy/", "docs/conformance/")):
            continue
        for line, text in tree.lines(path):
            for found in ID.finditer(text):
                if found[0] not in known:
                    yield Finding(path, line, f"{found[0]} is not in {csv_of(found[0])}", "look it up in the standard")


def csv_of(one):
    return f"docs/conformance/{one.partition('[')[0]}.csv"


def bad_rows(tree):
    for version in ("v5", "v311"):
        path, seen = f"docs/conformance/{version}.csv", set()
        for line, row in enumerate(csv.reader(io.StringIO(tree.files.get(path, ""))), 1):
            good = row == COLUMNS if line == 1 else (
                len(row) == 4 and re.fullmatch(r"MQTT-\d+\.\d+\.\d+-\d+", row[0]) and row[0] not in seen
                and row[1] in ("server", "client") and row[2] in ("codec", "engine", "wire") and row[3])
            if not good:
                yield Finding(path, line, "not statement,binds,level,summary, or twice", "see its first lines")
            seen.add(row[0] if row else "")


def conformance_table(tree):
    """The table for people is what the files say."""
    if tree.files.get(README, "") != rendered(tree):
        yield Finding(README, 1, "is not what the sources say", "run tests/tidy/tidy.py --write")


# --- the table for people ---------------------------------------------------------------------------------------------------

INTRODUCTION = """# Conformance

What the two standards demand, statement by statement: what it is about in our own words, where it is decided, and the
tests that show it. `tests/tidy/tidy.py --write` makes this file from `v5.csv`, `v311.csv` and the sources; tidy fails when a
statement that binds a server is named by no test, when somebody cites one that does not exist, and when this file is old.

- A line that decides a statement carries its mark, `rule<"v5[MQTT-3.1.2-3]">(condition)`: see `proto/rule.hpp`. In debug
  and asan builds a unit test fails when it does not reach the marks it names.
- `./dev test --long` decides otherwise at each marked line and expects a test to fail: see `tests/mutation/run.py`.
- Level: *codec* (bytes and structs), *engine* (transcripts), *wire* (the real binary).
- The ids are those of the OASIS standards MQTT 5.0 (2019) and MQTT 3.1.1 (2014). Lists in circulation lack
  v5[MQTT-3.15.2-3] and write v5[MQTT-4.2.0-1] with one number less.
"""


def rendered(tree):
    known, named, decided = statements(tree), named_by(tree), decided_by(tree)
    server = [one for one, row in known.items() if row["binds"] == "server"]
    tested = [one for one in server if one in named]
    lines = [INTRODUCTION]
    for version, title in (("v5", "MQTT 5"), ("v311", "MQTT 3.1.1")):
        own = [one for one in server if one.startswith(version)]
        lines.append(f"{title}: {len(own)} statements bind a server, "
                     f"{len([one for one in own if one in tested])} of them named by tests.")
    for version, title in (("v5", "MQTT 5"), ("v311", "MQTT 3.1.1")):
        lines += ["", f"## {title}", "", "| Statement | Summary | Level | Decided in | Shown by |", "|---|---|---|---|---|"]
        for one, row in known.items():
            if one.startswith(version) and row["binds"] == "server":
                lines.append(f"| {one.partition('[')[2][5:-1]} | {cell(row['summary'])} | {row['level']} | "
                             f"{', '.join(decided.get(one, []))} | {'; '.join(shown(named.get(one, [])))} |")
    lines += ["", "## Binding clients only", "", "| Statement | Summary |", "|---|---|"]
    lines += [f"| {one.replace('MQTT-', '').replace('[', ' ').replace(']', '')} | {cell(row['summary'])} |"
              for one, row in known.items() if row["binds"] == "client"]
    return "\n".join(lines) + "\n"


def cell(text):
    return re.sub(r"([|<*_`])", r"\\\1", text)


def shown(tests):
    """At most three: enough to begin reading."""
    names = [f"{path.rpartition('/')[2]}: {cell(name)}" for path, name in tests]
    return names[:3] + ([f"{len(names) - 3} more"] if len(names) > 3 else [])
