"""Programs of tests/interop, which check a client library against the broker and end with 0 when all was well."""

import subprocess

PATIENCE_S = 300

# What they use, for devices too.
ACL = """
[[acl]]
principal = "*"
publish = ["interop/#"]
subscribe = ["interop/#"]
"""


def run_all(case, commands):
    """Runs commands (name -> words) side by side."""
    started = {name: subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for name, words in commands.items()}
    for process in started.values():
        case.addCleanup(process.wait)
        case.addCleanup(process.kill)
    for name, process in started.items():
        with case.subTest(name):
            said, _ = process.communicate(timeout=PATIENCE_S)
            case.assertEqual(process.returncode, 0, said)
            case.assertIn("ok ", said)
