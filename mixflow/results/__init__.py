"""Results: the store of runs, their provenance, the papers' numbers and the verdicts."""

from __future__ import annotations

from mixflow.results.places import find_checkout, published_root
from mixflow.results.questions import load_targets
from mixflow.results.runs import StoredRun, StoreError
from mixflow.results.status import status_table
from mixflow.results.store import Store
from mixflow.results.targets import Target

__all__ = [
    "Store",
    "StoreError",
    "StoredRun",
    "Target",
    "find_checkout",
    "load_targets",
    "published_root",
    "status_table",
]
