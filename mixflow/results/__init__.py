"""Results: the store of runs, their provenance, the papers' numbers and the verdicts."""

from __future__ import annotations

from mixflow.results.questions import load_targets
from mixflow.results.status import status_table
from mixflow.results.store import Store, StoredRun, StoreError, find_checkout
from mixflow.results.targets import Target

__all__ = [
    "Store",
    "StoreError",
    "StoredRun",
    "Target",
    "find_checkout",
    "load_targets",
    "status_table",
]
