"""`fotabroker backup` and `restore` as a person runs them."""

import json
import os
import subprocess

from .broker import PATIENCE_S


def run(command, *arguments, **options):
    return subprocess.run([os.environ["FB_BROKER"], command, *map(str, arguments)], capture_output=True, text=True,
                          timeout=2 * PATIENCE_S, stdin=subprocess.DEVNULL, **options)


def backup(b, file, *flags):
    """What `backup --json` says; it must succeed."""
    done = run("backup", file, "--config", b.config, "--json", *flags)
    if done.returncode != 0:
        raise AssertionError(f"backup ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def restore(file, data_dir, *flags):
    """What `restore --json` says; it must succeed."""
    done = run("restore", file, "--data-dir", data_dir, "--json", *flags)
    if done.returncode != 0:
        raise AssertionError(f"restore ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)
