"""The source tree as the rules see it: paths and texts, from git or (in the self-test) from a table."""

import bisect
import dataclasses
import functools
import os
import re
import subprocess

NOT_SOURCES = {".git", ".cache", "build", "data", "demo-data", "__pycache__"}


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    wrong: str
    instead: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.wrong}: {self.instead}"


class Tree:
    def __init__(self, files):
        self.files = files  # path -> text

    def paths(self, *suffixes):
        return [path for path in sorted(self.files) if not suffixes or path.endswith(suffixes)]

    def cpp(self):
        return self.paths(".hpp", ".cpp")

    def lines(self, path):
        return enumerate(self.files[path].split("\n"), 1)

    @functools.lru_cache(maxsize=None)
    def code(self, path):
        """The C++ text without comments and without what is inside quotes; lines stay where they are."""
        return blank_out(self.files[path])

    def code_lines(self, path):
        return enumerate(self.code(path).split("\n"), 1)

    @functools.lru_cache(maxsize=None)
    def includes(self, path):
        """(line, name, quoted) of every #include."""
        found = []
        code = self.code(path).split("\n")
        for number, line in self.lines(path):
            match = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
            if match and "#" in code[number - 1]:
                found.append((number, match[1] or match[2], match[1] is not None))
        return found


SKIPPED = re.compile(
    r'//[^\n]*'
    r'|/\*.*?\*/'
    r'|R"(?P<mark>[^()\\\s"]{0,16})\(.*?\)(?P=mark)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'", re.S)


def blank_out(text):
    def blank(match):
        found = match[0]
        lines = "\n" * found.count("\n")
        return lines if found.startswith("/") else '""' + lines
    return SKIPPED.sub(blank, text)


class LineOf:
    """From an offset in a text to its line number."""

    def __init__(self, text):
        self.ends = [match.start() for match in re.finditer("\n", text)]

    def __call__(self, offset):
        return bisect.bisect_left(self.ends, offset) + 1


def read_tree(root):
    files = {}
    for path in listed_by_git(root) or found_on_disk(root):
        try:
            with open(os.path.join(root, path), encoding="utf-8", errors="replace", newline="") as file:
                files[path] = file.read()
        except (FileNotFoundError, IsADirectoryError):
            pass  # removed, not committed yet
    return Tree(files)


def listed_by_git(root):
    command = ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return sorted(set(filter(None, listed.split("\0"))))


def found_on_disk(root):
    """For a source archive, where there is no git to ask."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in NOT_SOURCES]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return found
