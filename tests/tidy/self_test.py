"""Every rule, shown what it must find and what it must leave alone. A rule that cannot fail is worth nothing."""

import rules_conformance as conform
import rules_size as size
import rules_structure as structure
import rules_text as text
from tree import Tree


def planted(source):
    """This file is checked, too: a bar splits words that must not be in it."""
    return source.replace("|", "")


HEADER = "// What it is.\n#pragma once\n"
LAYERS = {
    "cmake/layers.cmake": 'set(L\n    "wire : | Boost::headers"\n    "core : wire |"\n    "net : core | fb_asio"\n)\n',
    "CMakeLists.txt": "fb_module(wire wire)\nfb_module(core core)\nfb_module(net net)\n",
    "tests/CMakeLists.txt": "fb_test(unit_core unit/core core)\n",
}
NAMED = {"a/x": "a reason"}
ROW = "tests/tidy/tables.py"
STATEMENTS = {"docs/conformance/v5.csv": "statement,binds,level,summary\nMQTT-1.1.1-1,server,codec,x\n"
                                         "MQTT-1.1.1-2,client,wire,y\n"}


def long_function(lines):
    return "struct s {\n    int f(int a) const {\n" + "        a;\n" * (lines - 2) + "    }\n};\n"


# rule, files, what is found (path, line, words), tables
CASES = [
    (structure.layers, {**LAYERS, "core/a.hpp": '#include "wire/w.hpp"\n#include "net/n.hpp"\n'},
     [("core/a.hpp", 2, "core includes net")], {}),
    (structure.layers, {**LAYERS, "net/a.cpp": '#include "wire/w.hpp"\n'}, [("net/a.cpp", 1, "net includes wire")], {}),
    (structure.layers, {**LAYERS, "wire/a.cpp": '#include "x.hpp"\n'}, [("wire/a.cpp", 1, "names no module")], {}),
    (structure.layers, {**LAYERS, "core/a.cpp": "#include <openssl/ssl.h>\n"}, [("core/a.cpp", 1, "OpenSSL")], {}),
    (structure.layers, {**LAYERS, "core/a.cpp": "#include <boost/asio/post.hpp>\n"},
     [("core/a.cpp", 1, "fb_asio")], {}),
    (structure.layers, {**LAYERS, "tests/unit/core/a.cpp": '#include "wire/w.hpp"\n#include "net/n.hpp"\n'},
     [("tests/unit/core/a.cpp", 2, "this test includes net")], {}),
    (structure.layers, {**LAYERS, "CMakeLists.txt": "fb_module(other other)\n"},
     [("cmake/layers.cmake", 1, "no row")], {}),
    (structure.layers, {**LAYERS, "core/a.cpp": '#include <boost/x.hpp>\n/*\n#include "net/n.hpp"\n*/\n'}, [], {}),

    (structure.include_cycles, {"a/x.hpp": '#include "a/y.hpp"\n', "a/y.hpp": '\n#include "a/z.hpp"\n',
                                "a/z.hpp": '#include "x.hpp"\n', "a/u.hpp": '#include "a/x.hpp"\n'},
     [("a/z.hpp", 1, "include cycle a/x.hpp -> a/y.hpp -> a/z.hpp")], {}),
    (structure.include_cycles, {"a/x.hpp": '#include "a/y.hpp"\n', "a/y.hpp": '#include "a/x.hpp"\n',
                                "b.cpp": '#include "a/x.hpp"\n#include "a/y.hpp"\n'},
     [("a/y.hpp", 1, "include cycle")], {}),
    (structure.include_cycles, {"a/x.hpp": '#include "a/x_part.hpp"\n', "a/x_part.hpp": '#include "a/x.hpp"\n',
                                "b.cpp": '#include "a/x.hpp"\n'}, [], {}),

    (structure.threads, {"a/y.cpp": "\nstd::mutex m;\n"}, [("a/y.cpp", 2, "std::mutex")], {"table": {}}),
    (structure.threads, {"a/y.cpp": "std::atomic<int> n;\n"}, [("a/y.cpp", 1, "std::atomic")], {"table": {}}),
    (structure.threads, {"a/y.cpp": "std::thread t;\n"}, [("a/y.cpp", 1, "std::thread")], {"table": {}}),
    (structure.threads, {"a/x.cpp": "int n;\n"}, [(ROW, 1, "THREADS lists a/x")], {"table": NAMED}),
    (structure.threads, {"a/x.hpp": "std::shared_mutex m;\n",
                         "a/y.cpp": '// std::mutex\nauto n = std::thread::hardware_concurrency(); f("std::mutex");\n'},
     [], {"table": NAMED}),

    (structure.wall_clock, {"a/y.cpp": "auto t = std::chrono::system_clock::now();\n"},
     [("a/y.cpp", 1, "system_clock")],
     {"table": {}}),
    (structure.wall_clock, {"a/y.cpp": "time(nullptr);\nclock_gettime(CLOCK_REALTIME, &t);\ngettimeofday(&t, 0);\n"},
     [("a/y.cpp", 1, "time("), ("a/y.cpp", 2, "CLOCK_REALTIME"), ("a/y.cpp", 3, "gettimeofday")], {"table": {}}),
    (structure.wall_clock, {"a/x.cpp": "int n;\n"}, [(ROW, 1, "WALL_CLOCK lists a/x")], {"table": NAMED}),
    (structure.wall_clock, {"a/x.cpp": "time(nullptr);\n", "a/y.cpp": "hh_mm_ss time(at - day);\n"},
     [], {"table": NAMED}),

    (structure.no_clock, {"a/y.cpp": "std::chrono::steady_clock::now();\n"}, [("a/y.cpp", 1, "without clocks")],
     {"folders": ("a/",), "shells": NAMED}),
    (structure.no_clock, {"a/x.cpp": "steady_clock::now();\n", "b/y.cpp": "steady_clock::now();\n"}, [],
     {"folders": ("a/",), "shells": NAMED}),

    (structure.no_asio, {"a/y.hpp": "#include <boost/beast/http.hpp>\n"},
     [("a/y.hpp", 1, "below the shells")], {"folders": ("a/",)}),
    (structure.unity, {"tests/unit/a/x.cpp": "namespace {\nint twice(int a) {\n}\n} // namespace\n",
                       "tests/unit/a/y.cpp": "namespace {\nusing twice = int;\n} // namespace\n"},
     [("tests/unit/a/y.cpp", 2, "'twice' is in tests/unit/a/x.cpp")], {}),
    (structure.unity, {"tests/unit/a/x.cpp": "namespace {\nint twice(int a);\n} // namespace\n",
                       "tests/unit/b/x.cpp": "namespace {\nint twice(int a);\n} // namespace\n",
                       "a/x.cpp": "namespace {\nint once = 1;\n} // namespace\n",
                       "a/y.cpp": "namespace {\nint once = 1;\n} // namespace\n"}, [], {}),
    (structure.no_asio, {"b/y.hpp": "#include <boost/asio.hpp>\n"}, [], {"folders": ("a/",)}),

    (text.leftovers, {"a.md": planted("x\nTO|DO: y\n"), "b.cpp": planted("// FIX|ME\n")},
     [("a.md", 2, "left over"), ("b.cpp", 1, "left over")], {}),
    (text.leftovers, {"a.py": planted('open("/ho|me/me/x")\n')}, [("a.py", 1, "one machine only")], {}),
    (text.leftovers, {"a.md": "https://example.org/x/worker /var/lib/x\n"}, [], {}),

    (text.disabled, {"a.cpp": planted('TEST_CASE("x" * doctest::sk|ip()) {}\n#if| 0\n')},
     [("a.cpp", 1, "switched off"), ("a.cpp", 2, "switched off")], {}),
    (text.disabled, {"a.py": planted('    @unittest.sk|ip("x")\n')}, [("a.py", 1, "switched off")], {}),
    (text.disabled, {"CMakeLists.txt": "if(FALSE)\n"}, [("CMakeLists.txt", 1, "switched off")], {}),
    (text.disabled, {"a.py": planted('@unittest.sk|ipUnless(tool, "no tool")\n'), "a.cpp": "#if FB_FUZZ\n"}, [], {}),

    (text.commented_out, {"a.cpp": "int f();\n    // auto n = g();\n    // return n;\n"},
     [("a.cpp", 3, "code in a comment")], {}),
    (text.commented_out, {"a.cpp": "// auto n = g();\n// return n;\n#pragma once\n// for those that wait;\n// it\n"},
     [], {}),

    (text.white_space, {"a.md": "x \n\ty\nz"},
     [("a.md", 1, "end of the line"), ("a.md", 2, "tab"), ("a.md", 3, "newline")], {}),
    (text.white_space, {"a.md": "x\r\n"}, [("a.md", 1, "end of the line")], {}),
    (text.white_space, {"a.md": "x\ny\n", "b.py": ""}, [], {}),

    (text.secrets, {"a.cpp": planted('\n"-----BEGIN RSA PRI|VATE KEY-----"\n')},
     [("a.cpp", 2, "key or certificate")], {}),
    (text.secrets, {"a.py": planted("-----BEGIN CERTI|FICATE-----\nMIIB\n")}, [("a.py", 1, "key or certificate")], {}),
    (text.secrets, {"a.pem": "x\n", "b": "SQLite\0"}, [("a.pem", 1, "binary"), ("b", 1, "binary")], {}),

    (size.file_length, {"a.cpp": "x\n" * 11, "b.cpp": "x\n" * 13, "c.cpp": "x\n" * 10},
     [("a.cpp", 10, "has 11 lines, allowed are 10"), ("b.cpp", 10, "has 13 lines, allowed are 12")],
     {"limit": 10, "table": {"b.cpp": 12}}),
    (size.file_length, {"a.cpp": "x\n" * 10},
     [(ROW, 1, "FILE_LINES lists a.cpp")], {"limit": 10, "table": {"a.cpp": 12}}),

    (size.function_length, {"a.cpp": long_function(11)}, [("a.cpp", 2, "has 11 lines")], {"limit": 10, "table": {}}),
    (size.function_length, {"a.cpp": 's::s(int a)\n    : a_{a}\n    , b_("{") {\n' + "    {}\n" * 8 + "}\n"},
     [("a.cpp", 1, "has 12 lines")], {"limit": 10, "table": {}}),
    (size.function_length, {"a.py": "def f():\n" + "    x\n" * 10},
     [("a.py", 1, "has 11 lines")], {"limit": 10, "table": {}}),
    (size.function_length, {"a.cpp": long_function(10) + "namespace n {\nint t[]{\n" + "1,\n" * 12 + "};\n}\n"}, [],
     {"limit": 10, "table": {}}),
    (size.function_length, {"a.cpp": long_function(10)},
     [(ROW, 1, "FUNCTION_LINES lists")], {"limit": 10, "table": {("a.cpp", "f"): 12}}),

    (size.header_opening, {"a.hpp": "#pragma once\n"}, [("a.hpp", 1, "no comment")], {"table": {}}),
    (size.header_opening, {"a.hpp": "// x\nint n;\n#pragma once\n"}, [("a.hpp", 2, "no #pragma once")], {"table": {}}),
    (size.header_opening, {"a.hpp": HEADER + "int n;\n" * 9},
     [("a.hpp", 1, "behind one line")], {"table": {}, "small": 9}),
    (size.header_opening, {"a.hpp": "// x\n" * 3 + HEADER},
     [("a.hpp", 1, "opens with 4 lines")], {"table": {}, "most": 3}),
    (size.header_opening, {"a.hpp": HEADER}, [(ROW, 1, "HEADER_COMMENT lists a.hpp")], {"table": {"a.hpp": 14}}),
    (size.header_opening, {"a.hpp": HEADER + "int n;\n", "b.hpp": "// x\n" * 3 + HEADER},
     [], {"table": {"b.hpp": 4}, "most": 3}),

    (text.statement_ids, {"a.cpp": "// [MQTT-3.1.2-3]\n// v5[MQTT-3.1-3]\n// v4[MQTT-3.1.2-3]\n"},
     [("a.cpp", line, "no statement id") for line in (1, 2, 3)], {}),
    (text.statement_ids, {"a.cpp": "// v5[MQTT-3.1.2-3], -4, v311[MQTT-3.10.2-30]\n"}, [], {}),

    (conform.conformance, {**STATEMENTS, "tests/a.cpp": 'TEST_CASE("x v5[MQTT-1.1.1-1]") {}\n// v311[MQTT-1.1.1-9]\n'},
     [("docs/conformance/v5.csv", 1, "no test names v5[MQTT-1.1.1-1]"),
      ("tests/a.cpp", 2, "v311[MQTT-1.1.1-9] is not in docs/conformance/v311.csv")], {}),
    (conform.conformance, {"docs/conformance/v5.csv": "statement,binds,level,summary\nMQTT-1.1-1,server,codec,x\n"},
     [("docs/conformance/v5.csv", 1, "no test"), ("docs/conformance/v5.csv", 2, "not statement")], {}),
    (conform.conformance, {**STATEMENTS, "tests/a.py": 'def test_a():\n    """v5[MQTT-1.1.1-1] v5[MQTT-1.1.1-2] x"""\n'},
     [], {}),
    (conform.conformance, {**STATEMENTS, "tests/a.cpp": 'TEST_CASE(\n    "v5[MQTT-1.1.1-1] a "\n    "b") {}\n'}, [], {}),
    (conform.conformance, {**STATEMENTS, "tests/support/packets/a.hpp": '{"a", v5, 0x10, "00", {x, "v5[MQTT-1.1.1-1]"}},'},
     [], {}),
    (conform.conformance_table, STATEMENTS, [("docs/conformance/README.md", 1, "is not what the sources say")], {}),

    (text.documents, {"a/b.md": "[x](../c.md)\n[x](#y)\n`a/d.cpp` `e.hpp`\n"},
     [("a/b.md", 1, "leads nowhere"), ("a/b.md", 2, "no heading"), ("a/b.md", 3, "no a/d.cpp"),
      ("a/b.md", 3, "no e.hpp")], {}),
    (text.documents, {"a/b.md": "# One: two\n[x](../c.md) [y](#one-two) [z](https://x/y) [a](.)\n`c.cpp` `a/c.cpp`\n",
                      "c.md": "x\n", "a/c.cpp": "x\n"}, [], {}),
]


def failures(rules):
    failed = []
    for number, (rule, files, expected, options) in enumerate(CASES, 1):
        found = sorted(rule(Tree(files), **options))
        as_expected = len(found) == len(expected) and all(
            (finding.path, finding.line) == (path, line) and words in str(finding)
            for finding, (path, line, words) in zip(found, sorted(expected)))
        if not as_expected:
            failed.append(f"self-test {number}: {rule.__name__} expected {expected}, found {list(map(str, found))}")
    shown = {rule for rule, _, expected, _ in CASES if expected}
    failed += [f"self-test: nothing shows that {rule.__name__} can fail" for rule in rules if rule not in shown]
    return failed
