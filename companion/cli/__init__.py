"""The command line ``mixflow``: list, run, status, verify, publish, notebook, check, data."""

from companion.cli.main import app, main

__all__ = ["app", "main"]
