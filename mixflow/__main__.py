"""The command ``mixflow``, or ``python -m mixflow``: the companion's, where it is installed."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points


def main() -> None:
    """Run the companion's command line; without it, say in one line how to get it."""
    try:
        (companion,) = entry_points(group="mixflow", name="companion")
        command = companion.load()
    except (ValueError, ModuleNotFoundError) as error:
        lacking = getattr(error, "name", None) or "the companion"
        sys.exit(f"error: in a checkout of mixflow, make env: {lacking} is not installed here")
    command()


if __name__ == "__main__":
    main()
