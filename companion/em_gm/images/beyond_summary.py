"""What the page on flows beyond Glow shows, from runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from companion.em_gm.images.compute import epochs_of
from companion.em_gm.images.data import TITLES
from companion.em_gm.images.models import ADDITIONS
from companion.em_gm.images.resizing import PADDED, RESIZED
from companion.em_gm.images.summary import published
from companion.evidence.targets import Target
from companion.evidence.text import mean_and_sd
from companion.runs.stored import StoredRun

PLAIN, BOTH, BY_MUON = "Glow", "both", "Glow, by Muon"
KINDS = (PLAIN, *ADDITIONS.values(), BOTH, BY_MUON)  # of flows, in the order of tables and figures
Of = tuple[str, int, int, str]  # data set, K, epochs, kind of flow


def kind(config: Mapping[str, Any]) -> str:
    """Return which of ``KINDS`` the flows of a stored config are, and were trained by."""
    has = [title for name, title in ADDITIONS.items() if config.get(name)]
    flow = {0: PLAIN, len(ADDITIONS): BOTH}.get(len(has), " and ".join(has))
    return f"{flow}, by Muon" if config.get("optimizer") == "muon" else flow


def measured(runs: Iterable[StoredRun], metric: str) -> dict[Of, list[float]]:
    """Return the values of a metric over seeds, by data set, K, epochs and kind of flow."""
    values: dict[Of, list[float]] = {}
    for run in runs:
        config = run.config
        of = (config["dataset"], config["n_components"], epochs_of(config), kind(config))
        rows = run.rows[(run.rows["metric"] == metric) & (run.rows["model"] != "real images")]
        values.setdefault(of, []).extend(rows["value"])
    return values


def by_kind(runs: Sequence[StoredRun], metric: str, digits: int = 4) -> pd.DataFrame:
    """Return a metric, a column for each kind of flow; mean ± sd where there are seeds.

    Lines are data set, K and epochs, those that a flow other than Glow by AdamW was trained for.
    """
    found = measured(runs, metric)
    names = list(TITLES)
    lines = {of[:3] for of in found if of[3] != PLAIN}
    cells = {
        line: dict.fromkeys(KINDS, "")
        for line in sorted(lines, key=lambda line: (names.index(line[0]), *line[1:]))
    }
    for of, values in found.items():
        if of[:3] in cells:
            sd = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
            cells[of[:3]][of[3]] = mean_and_sd(float(np.mean(values)), sd, digits)
    table = pd.DataFrame.from_dict(cells, orient="index", columns=list(KINDS))
    table = table.loc[:, (table != "").any()]
    table.index = pd.MultiIndex.from_tuples(
        [(TITLES[dataset], k, epochs) for dataset, k, epochs in cells],
        names=["data", "K", "epochs"],
    )
    return table


def with_published(table: pd.DataFrame, targets: Iterable[Target]) -> pd.DataFrame:
    """Return the table of training NLL with table I's numbers as its last column."""
    printed = {TITLES.get(name, name): values for name, values in published(targets).items()}
    last = [printed.get(data, {}).get(k) for data, k, _ in table.index]
    return table.assign(published=["" if v is None else f"{v:.4f}" for v in last])


def say_gains(runs: Sequence[StoredRun]) -> str:
    """Return, in Markdown, by how much mixtures of either flow are better than one, by data set."""
    found = {of: np.mean(values) for of, values in measured(runs, "nll_train").items()}
    held = {of: np.mean(values) for of, values in measured(runs, "nll_held_out").items()}
    said = []
    for dataset in dict.fromkeys(of[0] for of in found):
        for name in (PLAIN, BOTH):
            ones = [of for of in found if of[0] == dataset and of[1] == 1 and of[3] == name]
            gains = [
                f"{found[one] - found[of]:+.4f} ({held[one] - held[of]:+.4f}) with K = {of[1]}"
                for one in ones
                for of in sorted(found)
                if of[0] == dataset and of[1] > 1 and of[2:] == one[2:]
            ]
            if gains:
                flow = "Glow alone" if name == PLAIN else "both additions"
                said.append(f"- **{TITLES[dataset]}, {flow}**: {', '.join(gains)}.")
    return "\n".join(said)


def say_best(runs: Iterable[StoredRun], dataset: str) -> str:
    """Return, in Markdown, how far one flow with both additions gets; nothing where there is none.

    Parameters
    ----------
    runs
        Of ``em-gm/beyond-glow``.
    dataset
        Whose images it was trained on.
    """
    nll, epochs = _least(runs, dataset, BOTH)
    if not epochs:
        return ""
    return (
        "With two things that Glow has not, a bias that knows the position and learned tone "
        f"curves, one flow reaches **{nll:.4f}** in {epochs} epochs: see [beyond "
        "Glow](em_gm_beyond_glow.html)."
    )


def say_by_muon(runs: Iterable[StoredRun], dataset: str) -> str:
    """Return, in Markdown, how far the plain flow gets by Muon; nothing where there is none.

    Parameters
    ----------
    runs
        Of ``em-gm/optimizer``.
    dataset
        Whose images it was trained on.
    """
    nll, epochs = _least(runs, dataset, BY_MUON)
    if not epochs:
        return ""
    return (
        f"The same flow, trained by Muon instead of AdamW, reaches **{nll:.4f}** in {epochs} "
        "epochs: see [another optimiser](em_gm_optimizer.html)."
    )


def _least(runs: Iterable[StoredRun], dataset: str, name: str) -> tuple[float, int]:
    """Return the lowest training NLL of one flow of a kind, and its epochs: 0 if there is none."""
    found = [
        (float(np.mean(values)), of[2])
        for of, values in measured(runs, "nll_train").items()
        if (of[0], of[1], of[3]) == (dataset, 1, name)
    ]
    return min(found, default=(float("nan"), 0))


def say_outliers(runs: Iterable[StoredRun]) -> str:
    """Return, in Markdown, which held-out means are those of a few images; nothing where none is.

    That is where the standard error over images is as large as half of the mean.
    """
    said = []
    for run in runs:
        rows = run.rows[run.rows["model"] != "real images"].set_index("metric")["value"]
        mean, error = rows["nll_held_out"], rows.get("nll_held_out_error", 0.0)
        if error > mean / 2:
            config = run.config
            said.append(
                f"- **{TITLES[config['dataset']]}, K = {config['n_components']}, {kind(config)}**: "
                f"{mean:.4g} ± {error:.4g} (standard error over images) is the NLL of very few "
                "images, to which this flow gives next to no density; the others do not show in it."
            )
    return "\n".join(said)


def by_resizing(rows: pd.DataFrame) -> pd.DataFrame:
    """Return NLL by kind of flow, resized and padded images side by side.

    Parameters
    ----------
    rows
        Of ``em-gm/resizing``; a column for training and held-out images each, nat/pixel, and in
        brackets by how much it is below that of Glow.
    """
    names = {"nll_train": "training", "nll_held_out": "held out"}
    found = rows[rows["metric"].isin(list(names))].pivot_table(
        index="model", columns=["setting", "metric"], values="value"
    )
    order = [PLAIN, *ADDITIONS.values(), ", ".join(ADDITIONS.values())]
    found = found.reindex([model for model in order if model in found.index])
    gained = found.loc[PLAIN] - found
    cells = {}
    for setting, (metric, name) in product(found.columns.unique(0), names.items()):
        if (setting, metric) not in found:
            continue
        values = zip(found.index, found[setting, metric], gained[setting, metric], strict=True)
        cells[f"{setting}, {name}"] = [
            mean_and_sd(nll, float("nan"))
            + (f" ({gain:+.4f})" if gain == gain and model != PLAIN else "")
            for model, nll, gain in values
        ]
    return pd.DataFrame(cells, index=pd.Index(found.index, name="flow"))


def say_resizing(rows: pd.DataFrame, n_pixels: int) -> str:
    """Return, in Markdown, how many pixels are free, and what either addition is worth.

    Parameters
    ----------
    rows
        Of ``em-gm/resizing``; nothing is said of what they lack.
    n_pixels
        Of a resized image.
    """
    free = rows.loc[rows["metric"] == "free_pixels", "value"]
    if free.empty:
        return ""
    n_free = int(free.iloc[0])
    said = (
        f"Of the {n_pixels} pixels of a resized image **{n_free} are free** (the rank of the "
        f"resizing as a linear map); the other {n_pixels - n_free} follow from them, up to "
        "rounding."
    )
    nll = rows[rows["metric"] == "nll_train"].groupby(["model", "setting"])["value"].mean()
    for addition in ADDITIONS.values():
        needed = [(model, how) for model in (PLAIN, addition) for how in (RESIZED, PADDED)]
        if all(of in nll for of in needed):
            gained = {how: nll[PLAIN, how] - nll[addition, how] for how in (RESIZED, PADDED)}
            said += (
                f" The {addition} alone gains **{gained[RESIZED]:.4f}** nat/pixel on resized "
                f"images, **{gained[PADDED]:.4f}** on padded ones."
            )
    return said
