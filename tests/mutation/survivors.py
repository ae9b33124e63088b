"""Mutants that no test can notice, each with its reason: (file, statement, what it says instead) -> why."""

ALLOWED = {}
