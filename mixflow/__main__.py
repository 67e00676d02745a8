"""The command ``mixflow``, or ``python -m mixflow``: the companion's, where it is installed."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points


def main() -> None:
    """Run the companion's command line; without it, say in one line where it is."""
    for companion in entry_points(group="mixflow", name="companion"):
        companion.load()()
        return
    sys.exit("error: the commands come with a checkout of mixflow: in it, make env")


if __name__ == "__main__":
    main()
