"""Seeds that no recipe was chosen on: those of the plans."""

from __future__ import annotations

from typing import Any

FRESH = 100  # the first of them


def seeds(n: int, **point: Any) -> list[dict[str, Any]]:
    """Return a point for each of n fresh seeds; the first keeps its model and frames."""
    first = {"keep": True} if n > 1 else {}
    return [{**point, "seed": FRESH + s, **(first if s == 0 else {})} for s in range(n)]
