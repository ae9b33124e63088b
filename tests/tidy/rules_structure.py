"""Who includes whom, and who owns threads and clocks."""

import collections
import re

import tables
from tree import Finding

# --- layers ------------------------------------------------------------------------------------------------------


def layer_rows(tree):
    """module -> (modules it may use, third-party targets)."""
    rows = {}
    for name, uses, third in re.findall(r'^\s*"([a-z_]+) *:([^|"]*)\|([^"]*)"', tree.files["cmake/layers.cmake"], re.M):
        rows[name] = (set(uses.split()), set(third.split()))
    return rows


def module_folders(tree):
    """folder -> module, from the fb_module() calls."""
    folders = {}
    for path in tree.paths("CMakeLists.txt"):
        calls = re.findall(r"^fb_module\((\w+)\s+([\w/]+)\)", tree.files[path], re.M)
        folders |= {folder: name for name, folder in calls}
    return folders


def module_of(path, folders):
    """The module of the innermost folder: broker/net/tls/x.hpp is not broker_net's."""
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in folders:
            return folders[path]
    return None


def with_what_they_use(modules, rows):
    reached, waiting = set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += rows.get(module, ((), ()))[0]
    return reached


def linked_by_tests(tree):
    """folder or file of tests -> the modules it links, from fb_test() and fb_fuzzer()."""
    linked = {}
    for path in tree.paths("CMakeLists.txt"):
        here = path.rpartition("/")[0]
        for target, uses in re.findall(r"^fb_(?:test|fuzzer)\(\w+\s+([\w/.]+)([^)]*)\)", tree.files[path], re.M):
            linked[f"{here}/{target}"] = set(uses.split())
    return linked


def layers(tree):
    """Every module includes only what its row in cmake/layers.cmake names; tests only what they link."""
    rows, folders, tests = layer_rows(tree), module_folders(tree), linked_by_tests(tree)
    for name in sorted(set(folders.values()) - set(rows)):
        yield Finding("cmake/layers.cmake", 1, f"module {name} has no row", "say what it may use")
    for path in tree.cpp():
        own = module_of(path, folders)
        if own:
            yield from module_includes(tree, path, own, rows, folders)
        elif path.startswith("tests/"):
            yield from test_includes(tree, path, tests, rows, folders)


def module_includes(tree, path, own, rows, folders):
    uses, third = rows.get(own, (set(), set()))
    third = third.union(*(rows[used][1] for used in with_what_they_use([own], rows) if used in rows))
    for line, name, quoted in tree.includes(path):
        if not quoted:
            wanted = next((targets for start, targets in tables.THIRD_PARTY.items() if name.startswith(start)), None)
            # The library is linked by the executable itself, not by its module, for main/ folders.
            if wanted and not third.intersection(wanted) and "/main/" not in path:
                yield Finding(path, line, f"{own} includes <{name}> without linking {wanted[0]}",
                              "leave it out, or add the library to the module's row in cmake/layers.cmake")
            continue
        other = module_of(name, folders)
        if other is None:
            yield Finding(path, line, f'"{name}" names no module',
                          "write the path from the root of the tree; never from tests/")
        elif other != own and other not in uses:
            yield Finding(path, line, f"{own} includes {other}",
                          f"its row in cmake/layers.cmake says: {' '.join(sorted(uses)) or 'nothing'}")


def test_includes(tree, path, tests, rows, folders):
    linked = next((uses for place, uses in tests.items() if path == place or path.startswith(place + "/")), None)
    if linked is None:
        return  # tests/support is headers for whoever links what they need
    # A fuzz target may link single files of a module (http/range.cpp) instead of all of it.
    allowed = with_what_they_use({module_of(word, folders) or word for word in linked}, rows)
    for line, name, quoted in tree.includes(path):
        other = module_of(name, folders) if quoted else None
        if other and other not in allowed:
            yield Finding(path, line, f"this test includes {other}",
                          f"it links {' '.join(sorted(linked))}; name it in fb_test() or fb_fuzzer(), or do without")


# --- cycles ------------------------------------------------------------------------------------------------------


def include_cycles(tree):
    """No header reaches itself. Only a part of a header, included by nobody else, may name the whole it belongs to."""
    headers = set(tree.paths(".hpp"))
    includers = collections.Counter(name for path in tree.cpp() for _, name, _ in tree.includes(path))

    def included(path):
        for line, name, quoted in tree.includes(path):
            if quoted:
                beside = f"{path.rpartition('/')[0]}/{name}"
                found = name if name in headers else beside
                if found in headers:
                    yield line, found

    done = set()
    for start in sorted(headers):
        trail, stack = [start], [included(start)]
        while stack:
            line, found = next(stack[-1], (0, None))
            if found is None:
                done.add(trail.pop())
                stack.pop()
            elif found in trail:
                circle = trail[trail.index(found):] + [found]
                is_part = len(circle) == 3 and 1 in (includers[found], includers[trail[-1]])
                if is_part:
                    continue
                yield Finding(trail[-1], line, "include cycle " + " -> ".join(circle),
                              "declare forward, or split the header")
            elif found not in done:
                trail.append(found)
                stack.append(included(found))


# --- threads and clocks --------------------------------------------------------------------------------------------


def row_for(path, table):
    stem = path.rpartition(".")[0]
    for row in table:
        if (row.endswith("/") and path.startswith(row)) or row == stem:
            return row
    return None


def only_in(tree, pattern, table, what, instead, table_name):
    used = set()
    for path in tree.cpp():
        row = row_for(path, table)
        for line, text in tree.code_lines(path):
            found = pattern.search(text)
            if found and row is None:
                yield Finding(path, line, f"{found[0].strip()} {what}", instead)
            elif found:
                used.add(row)
    for row in sorted(set(table) - used):
        yield Finding("tests/tidy/tables.py", 1, f"{table_name} lists {row}, which has no use for it", "delete the row")


THREADING = re.compile(
    r"\bstd::(?:thread\b(?!::hardware)|jthread|(?:recursive_|shared_|timed_)*mutex|condition_variable|atomic"
    r"|call_once|once_flag|counting_semaphore|binary_semaphore|latch|barrier|async\b|promise|packaged_task)"
    r"|\bpthread_create\b")


def threads(tree, table=tables.THREADS):
    """Threads, locks and atomics only where the design has them."""
    yield from only_in(tree, THREADING, table, "in a file that is meant for one thread",
                       "pass a message to the owner; if it is shared by design, give it a row in THREADS",
                       "THREADS")


ASKS_WALL_CLOCK = re.compile(
    r"system_clock::now|utc_clock::now|\bgettimeofday\b|\btimespec_get\b|\bCLOCK_REALTIME\b"
    r"|\btime\((?:nullptr|NULL|0|&\w+)\)")


def wall_clock(tree, table=tables.WALL_CLOCK):
    """Only shells ask for the time of day."""
    yield from only_in(tree, ASKS_WALL_CLOCK, table, "outside the shells",
                       "take the time as an argument; only shells ask", "WALL_CLOCK")


ASKS_ANY_CLOCK = re.compile(r"\w+_clock::now|\bclock_gettime\b|\bsleep_for\b|\bsleep_until\b")


def no_clock(tree, folders=tables.NO_CLOCK_AT_ALL, shells=tables.WALL_CLOCK):
    """Sans-I/O folders do not look at any clock, monotonic or not."""
    for path in tree.cpp():
        if path.startswith(folders) and not row_for(path, shells):
            for line, text in tree.code_lines(path):
                if found := ASKS_ANY_CLOCK.search(text):
                    yield Finding(path, line, f"{found[0]} in a folder without clocks", "take the time as an argument")


def no_asio(tree, folders=tables.NO_ASIO):
    """Asio and Beast stay in the shells."""
    for path in tree.cpp():
        if path.startswith(folders):
            for line, name, _ in tree.includes(path):
                if name.startswith(("boost/asio", "boost/beast")):
                    yield Finding(path, line, f"<{name}> below the shells", "leave I/O to broker/net and http")


def unnamed_names(source):
    """(line, name) of what the unnamed namespaces of one file define."""
    for space in re.finditer(r"^namespace \{\n(.*?)^\} // namespace$", source, re.S | re.M):
        first = source.count("\n", 0, space.start(1)) + 1
        for number, line in enumerate(space[1].split("\n"), first):
            found = (re.match(r"(?:struct|class|enum|enum class|using) (\w+)", line) or
                     re.match(r"[\w:][\w:<>,&* ]*?[ &*](\w+)(?:\(|\{| =|\[|;)", line))
            if found:
                yield number, found[1]


def unity(tree):
    """The tests of a folder can be compiled together (FB_UNITY): a helper that two files need belongs to both."""
    seen = {}
    for path in tree.paths(".cpp"):
        if not path.startswith(("tests/unit/", "tests/contract/", "tests/sim/")):
            continue
        folder = path.rpartition("/")[0]
        for line, name in unnamed_names(tree.files[path]):
            other = seen.setdefault((folder, name), path)
            if other != path:
                yield Finding(path, line, f"'{name}' is in {other}, too", "share it in a header, or rename one")
