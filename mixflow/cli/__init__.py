"""The command line: ``mixflow list | run | status | data | check | notebook``."""

from mixflow.cli.main import app, main

__all__ = ["app", "main"]
