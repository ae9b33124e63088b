"""How long files, functions and the comments at the top of headers are. What is too long today may only get shorter."""

import ast
import re

import tables
from tree import Finding, LineOf

TABLES = "tests/tidy/tables.py"


def ratchet(sizes, limit, table, what, table_name):
    """sizes: key -> (path, line, size). Over the limit only as far as the table knows; rows go when they can."""
    for key, (path, line, size) in sorted(sizes.items()):
        allowed = table.get(key, limit)
        if size > allowed:
            yield Finding(path, line, f"{what} has {size} lines, allowed are {allowed}", "split it")
    for key in sorted(table):
        if key not in sizes or sizes[key][2] <= limit:
            yield Finding(TABLES, 1, f"{table_name} lists {key}, which is within the limit", "delete the row")


def file_length(tree, limit=tables.FILE_LINES_MAX, table=tables.FILE_LINES):
    """Files stay small."""
    paths = tree.paths(".hpp", ".cpp", ".py", ".md", "dev")
    sizes = {path: (path, limit, tree.files[path].count("\n")) for path in paths}
    yield from ratchet(sizes, limit, table, "the file", "FILE_LINES")


def function_length(tree, limit=tables.FUNCTION_LINES_MAX, table=tables.FUNCTION_LINES):
    """Functions stay small."""
    sizes = {}
    for path in tree.paths(".hpp", ".cpp", ".py"):
        found = python_functions(tree.files[path]) if path.endswith(".py") else cpp_functions(tree.code(path))
        for name, line, lines in found:
            if lines > sizes.get((path, name), ("", 0, 0))[2]:
                sizes[path, name] = (path, line, lines)
    yield from ratchet(sizes, limit, table, "the function", "FUNCTION_LINES")


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


SCOPE = re.compile(r"^\s*(?:template\s*<.*>\s*)?(?:inline\s+)?(?:namespace|class|struct|union|enum|extern)\b")
AFTER_PARAMETERS = re.compile(r"\b(?:const|noexcept|override|final|mutable)$|->[^:]*$")
MEMBER_INIT = re.compile(r"\)[^;{}]*[:,]\s*[\w:<>, ]*[\w>]$")
NAME = re.compile(r"([\w:~]+(?:\s*operator\s*\S+?)?)\s*\(")
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)


def cpp_functions(code):
    """(name, first line, lines) of each function in a text without comments and strings. Counts braces."""
    code = PREPROCESSOR.sub(lambda found: "\n" * found[0].count("\n"), code)
    line_of = LineOf(code)
    head_at = at = 0  # the head of something begins; where to go on
    while found := re.compile(r"[;{}]").search(code, at):
        at = found.end()
        head = code[head_at:found.start()]
        if found[0] == "{" and not is_scope(head):
            at = after_brace(code, found.start())
            if "(" not in head or is_initialiser(head):
                continue  # the head goes on behind it
            begin = head_at + len(head) - len(head.lstrip())
            name = NAME.search(head)
            yield name[1] if name else "?", line_of(begin), line_of(at - 1) - line_of(begin) + 1
        head_at = at


def is_scope(head):
    """`struct x`, and not `struct x f(int) const`."""
    return SCOPE.match(head) and not re.search(r"\)\s*(?:const|noexcept|override|\s)*$", head)


def is_initialiser(head):
    """What a brace opens after this: a value, not a body."""
    head = head.rstrip()
    if head.count("(") > head.count(")"):
        return True  # within parentheses
    if head.endswith("=") or ("=" in head and "(" not in head.rpartition("=")[2] and head.endswith(",")):
        return True
    return bool(MEMBER_INIT.search(head)) and not AFTER_PARAMETERS.search(head)


def after_brace(code, at):
    depth = 0
    for brace in re.compile(r"[{}]").finditer(code, at):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return len(code)


def header_opening(tree, table=tables.HEADER_COMMENT, most=tables.HEADER_COMMENT_MAX,
                   small=tables.ONE_LINE_COMMENT_HEADER_LINES_MAX):
    """A header opens with a comment on what it owns, then #pragma once."""
    what_to_say = "say what it owns, which thread it lives on, its invariants"
    for path in tree.paths(".hpp"):
        lines = tree.files[path].split("\n")
        comment = next((at for at, text in enumerate(lines) if not text.startswith("//")), len(lines))
        allowed = table.get(path, most)
        if comment == 0:
            yield Finding(path, 1, "no comment at the top", what_to_say)
        elif comment == 1 and len(lines) > small and not path.startswith("tests/"):
            yield Finding(path, 1, f"{len(lines)} lines of header behind one line of comment", what_to_say)
        elif comment > allowed:
            yield Finding(path, 1, f"opens with {comment} lines of comment, allowed are {allowed}",
                          "move what is not for every reader to where it matters")
        if next(filter(None, lines[comment:]), "") != "#pragma once":
            yield Finding(path, comment + 1, "no #pragma once after the comment", "write it there")
    for path in sorted(table):
        if not re.match(r"(?://[^\n]*\n){%d}" % (most + 1), tree.files.get(path, "")):
            yield Finding(TABLES, 1, f"HEADER_COMMENT lists {path}, which is within the limit", "delete the row")
