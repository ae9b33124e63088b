"""What is in the files: leftovers, secrets, statement ids, links."""

import os
import re

from tree import Finding

# This file must not contain what it looks for.
LEFTOVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}])/(?:wo" r"rk|ho" r"me|Us" r"ers)/\w+")
DISABLED = re.compile(r"doctest::(?:skip|may_fail|should_fail|expected_failures)\b|^\s*#\s*if\s+0\b")
DISABLED_PYTHON = re.compile(r"@(?:unittest\.)?(?:skip\b|skip\(|expectedFailure)")
DISABLED_CMAKE = re.compile(r"\bif\s*\(\s*(?:FALSE|OFF|NO|0)\s*\)|\bDISABLED\s+(?:TRUE|ON|1)\b", re.I)
SECRET = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|-----BEGIN CERTIFICATE-----[\s\\n\"]*MII")
BINARIES = (".pem", ".key", ".crt", ".cer", ".der", ".p12", ".pfx", ".csr",
            ".db", ".db-wal", ".db-shm", ".sqlite", ".sqlite3")


def leftovers(tree):
    """No notes to self, no paths of one machine."""
    for path in tree.paths():
        for line, text in tree.lines(path):
            if found := LEFTOVER.search(text):
                yield Finding(path, line, f"{found[0]} left over", "do it, or write down elsewhere that it is to do")
            if found := MACHINE_PATH.search(text):
                yield Finding(path, line, f"{found[0]} exists on one machine only",
                              "find it from the source or build folder")


def disabled(tree):
    """A test runs or is deleted; code is compiled or deleted."""
    for path in tree.paths():
        pattern = {".py": DISABLED_PYTHON, ".cpp": DISABLED, ".hpp": DISABLED, ".txt": DISABLED_CMAKE,
                   ".cmake": DISABLED_CMAKE}.get(os.path.splitext(path)[1])
        for line, text in tree.lines(path) if pattern else ():
            if found := pattern.search(text):
                yield Finding(path, line, f"switched off by {found[0].strip()}", "repair it or delete it")


# Two or more lines of comment in a row that end like statements.
OLD_CODE = re.compile(
    r"^\s*//\s*(?:(?:return|if|for|while|else|auto|const|std::|#include)\b.*[;{})>]"
    r"|[\w.>:-]+\(.*\);|[\w.]+ = .*;|\})\s*$")


def commented_out(tree):
    """No code in comments. (An example in the comment that opens a header is fine.)"""
    for path in tree.cpp():
        before, opening = 0, True
        for line, text in tree.lines(path):
            opening = opening and (text.startswith("//") or not text)
            before = before + 1 if OLD_CODE.match(text) and not opening else 0
            if before == 2:
                yield Finding(path, line, "code in a comment", "delete it; git remembers")


def white_space(tree):
    """No tabs, no blanks at the end of a line, one newline at the end of a file, Unix line ends."""
    for path in tree.paths():
        text = tree.files[path]
        if "\0" in text:
            continue
        for line, content in tree.lines(path):
            if "\t" in content:
                yield Finding(path, line, "tab", "write spaces, or \\t in a string")
            if content != content.rstrip():
                yield Finding(path, line, "white space at the end of the line", "delete it")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield Finding(path, text.count("\n") + 1, "does not end in exactly one newline", "end it so")


def secrets(tree):
    """No keys, certificates or databases, nor anything else that is not text, but for inputs that were findings."""
    for path in tree.paths():
        text = tree.files[path]
        if path.startswith("tests/fuzz/regressions/"):
            continue
        if path.endswith(BINARIES) or "\0" in text:
            yield Finding(path, 1, "a key, certificate, database or other binary", "make it when the test runs")
        elif found := SECRET.search(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Finding(path, line, "a key or certificate in the text", "make it when the test runs")


# --- statement ids ---------------------------------------------------------------------------------------------------

ANY_ID = re.compile(r"(\w*)\[MQTT-([^\]\s]*)\]?")
GOOD_ID = re.compile(r"(?P<version>v5|v311)\[MQTT-(?P<section>\d+\.\d+\.\d+)-(?P<number>\d+)\](?P<more>(?:, -\d+)*)")


def statement_ids(tree):
    """Both standards use the same numbers for different rules, so an id carries its version."""
    for path in tree.paths(".hpp", ".cpp", ".py", ".md"):
        if path.startswith("tests/tidy/"):
            continue
        for line, text in tree.lines(path):
            for found in ANY_ID.finditer(text):
                if not GOOD_ID.match(found[0]):
                    yield Finding(path, line, f"{found[0]} is no statement id",
                                  "write v5[MQTT-d.d.d-n] or v311[MQTT-d.d.d-n]")


# --- documents -------------------------------------------------------------------------------------------------------

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE_PATH = re.compile(r"`((?:[\w-]+/)*[\w.-]+\.(?:cpp|hpp|py|md|cmake|toml))`")


def anchors(text):
    """The anchors of a document's headings, as the usual viewers make them."""
    heads = re.findall(r"^#{1,6} +(.*?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def documents(tree):
    """Links in documents lead somewhere, and files they speak of exist."""
    names = {path.rpartition("/")[2] for path in tree.files}
    folders = {path[:at] for path in tree.files for at in range(len(path)) if path[at] == "/"}
    for path in tree.paths(".md"):
        for line, text in tree.lines(path):
            for target in LINK.findall(text):
                if re.match(r"[a-z]+:", target):
                    continue
                place, _, anchor = target.partition("#")
                file = os.path.normpath(os.path.join(os.path.dirname(path), place)) if place else path
                if file not in tree.files and file not in folders:
                    yield Finding(path, line, f"the link to {target} leads nowhere", "name a file of this tree")
                elif anchor and file.endswith(".md") and anchor not in anchors(tree.files[file]):
                    yield Finding(path, line, f"{file} has no heading #{anchor}", "name one that it has")
            for name in CODE_PATH.findall(text):
                known = name in tree.files or any(file.endswith("/" + name) for file in tree.files)
                if not known and ("/" in name or (name.endswith((".cpp", ".hpp", ".cmake")) and name not in names)):
                    yield Finding(path, line, f"there is no {name}", "say where it went")
