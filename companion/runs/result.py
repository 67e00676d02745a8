"""What a run gives: its ``Result``."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

ROW_COLUMNS = ("dataset", "model", "setting", "seed", "metric", "value")


@dataclass
class Result:
    """What a run gives: tidy rows and named arrays.

    Attributes
    ----------
    rows
        Data frame with the columns of ``ROW_COLUMNS``; one measured number a row. No
        timings: those are provenance, so that a resumed run has equal rows.
    arrays
        Arrays for figures, by name.
    costs
        Seconds, parameter counts and the like, by name; stored with the provenance.
    """

    rows: pd.DataFrame
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in ROW_COLUMNS if name not in self.rows.columns]
        if missing:
            raise ValueError(f"result rows lack the columns {missing}; expected {ROW_COLUMNS}")
        self.rows = self.rows.loc[:, list(ROW_COLUMNS)].reset_index(drop=True)
