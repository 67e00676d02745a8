"""Results: the store of runs, their provenance, the papers' numbers and the verdicts."""

from __future__ import annotations

from mixflow.results.store import Store, StoredRun, StoreError, find_checkout
from mixflow.results.targets import Target, load_targets
from mixflow.results.verdicts import status_table

__all__ = [
    "Store",
    "StoreError",
    "StoredRun",
    "Target",
    "find_checkout",
    "load_targets",
    "status_table",
]
