"""GMM-basis table 2: table 1 with targets of normal, t and uniform components."""

from __future__ import annotations

from companion.gmm_basis.table_1 import experiment

EXPERIMENT = experiment(2, "mixed")
