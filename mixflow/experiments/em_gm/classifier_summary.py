"""What the page of ``em-gm/classifier`` shows, from rows and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.experiments.em_gm.classifier_doubt import FITTED, SCALED
from mixflow.experiments.em_gm.classifier_growth import ADDED, ANEW
from mixflow.experiments.em_gm.classifier_missing import IMPUTED, MARGINAL
from mixflow.experiments.em_gm.classifier_models import FLOWS, GAUSSIANS
from mixflow.results.store import StoredRun

# What models are called where the page names them.
NAMES = {FLOWS: "mixture of flows", GAUSSIANS: "Gaussian mixture"}
# Metric -> heading and digits.
CALIBRATION = {
    "accuracy": ("accuracy", 4),
    "mean_confidence": ("mean confidence", 4),
    "calibration_error": ("calibration error", 4),
    "log_loss": ("log loss (nats)", 3),
    "brier_score": ("Brier score", 4),
    "temperature": ("temperature", 2),
}
REJECTION = {
    "accuracy": ("all accepted", 4),
    "accuracy_at_95%": ("95 % accepted", 4),
    "accuracy_at_90%": ("90 % accepted", 4),
    "accuracy_at_80%": ("80 % accepted", 4),
    "area_accuracy_coverage": ("area under the curve", 4),
}
PRIORS = {
    "accuracy_old_priors": ("accuracy, old priors", 4),
    "accuracy_estimated_priors": ("estimated priors", 4),
    "accuracy_true_priors": ("true priors", 4),
    "prior_distance_old": ("distance of old priors", 3),
    "prior_distance_estimated": ("of estimated ones", 3),
}
# The features of Letter, in its order.
FEATURES = (
    *("x-box", "y-box", "width", "high", "onpix", "x-bar", "y-bar", "x2bar", "y2bar", "xybar"),
    *("x2ybr", "xy2br", "x-ege", "xegvy", "y-ege", "yegvx"),
)


def named(model: str) -> str:
    """Return what the page calls a model."""
    return NAMES.get(model, model)


def table(rows: pd.DataFrame, metrics: Mapping[str, tuple[str, int]]) -> pd.DataFrame:
    """Return a line per model and setting with the metrics, mean and sd over seeds."""
    chosen = rows[rows["metric"].isin(list(metrics))]
    groups = chosen.groupby(["model", "setting", "metric"], sort=False)["value"]
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for (model, setting, metric), values in groups:
        heading, digits = metrics[str(metric)]
        line = lines.setdefault((named(str(model)), str(setting)), {})
        line[heading] = mean_and_sd(values.to_numpy(), digits)
    shown = pd.DataFrame(lines.values(), index=pd.MultiIndex.from_tuples(lines))
    headings = [heading for heading, _ in metrics.values()]
    return shown.reindex(columns=headings).fillna("").rename_axis(["model", ""]).reset_index()


def mean_and_sd(values: NDArray, digits: int) -> str:
    """Write the mean, and the sd where there are several."""
    sd = f"\u00a0± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{sd}"


def at_imbalance(rows: pd.DataFrame, imbalance: int) -> pd.DataFrame:
    """Return the rows of one shift of priors, with settings that do not say it again."""
    end = f", imbalance {imbalance}"
    chosen = rows[rows["setting"].str.endswith(end)]
    return chosen.assign(setting=chosen["setting"].str.removesuffix(end))


def unseen(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean and sd of the AUROC of each score, the best first."""
    chosen = rows[rows["metric"] == "auroc_unseen"]
    scores = chosen["model"].map(named) + ": " + chosen["setting"]
    found = chosen.groupby(scores)["value"].agg(["mean", "std"])
    return found.sort_values("mean", ascending=False).rename_axis("score")


def missing(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return model and way -> mean and sd of accuracy by the number of missing features."""
    chosen = rows[rows["metric"] == "accuracy_missing"]
    number = chosen["setting"].str.extract(r"^(\d+) missing", expand=False).astype(int)
    found = {}
    for way in (MARGINAL, IMPUTED):
        part = chosen[chosen["setting"].str.endswith(way)]
        for model, own in part.groupby("model", sort=False):
            values = own["value"].groupby(number.rename("missing"))
            found[f"{named(str(model))}, {way}"] = values.agg(["mean", "std"])
    return found


def growth(runs: Sequence[StoredRun], rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return model and way -> by number of classes: mean and sd of accuracy, mean seconds."""
    chosen = rows[rows["metric"] == "accuracy_so_far"]
    found = {}
    for (model, way), own in chosen.groupby(["model", chosen["setting"].str.split(",").str[0]]):
        n = own["setting"].str.extract(r"(\d+) classes", expand=False).astype(int)
        by_number = own["value"].groupby(n.rename("classes"))
        seconds = {
            k: np.mean([run.provenance["costs"][f"{model}, {way}, {k} classes"] for run in runs])
            for k in sorted(set(n))
        }
        statistics = by_number.agg(["mean", "std"])
        found[f"{named(str(model))}, {way}"] = statistics.assign(seconds=pd.Series(seconds))
    return found


def final_growth(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what the last new class brought and cost, a line per model and way."""
    lines = [
        {
            "classifier": name,
            "classes": table.index[-1],
            "accuracy": f"{table['mean'].iloc[-1]:.4f}"
            + (f"\u00a0± {table['std'].iloc[-1]:.4f}" if table["std"].notna().iloc[-1] else ""),
            "processor seconds": f"{table['seconds'].iloc[-1]:.1f}",
        }
        for name, table in found.items()
    ]
    return pd.DataFrame(lines)


def gain(found: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Return by how much adding is cheaper than anew, and how it differs in accuracy."""
    added, anew = (found[f"{named(FLOWS)}, {way}"].iloc[-1] for way in (ADDED, ANEW))
    return {
        "times": float(anew["seconds"] / added["seconds"]),
        "accuracy": float(added["mean"] - anew["mean"]),
    }


def pooled_bins(runs: Sequence[StoredRun], model: str, setting: str) -> NDArray:
    """Return the reliability diagram of all seeds' samples together, (n_bins, 3)."""
    bins = np.stack([run.arrays[f"reliability, {model}, {setting}"] for run in runs])
    counts = bins[:, :, 2].sum(0)
    sums = np.nansum(bins[:, :, :2] * bins[:, :, 2:], axis=0)
    with np.errstate(invalid="ignore"):
        return np.column_stack([sums / counts[:, None], counts])


def reliabilities(runs: Sequence[StoredRun], models: Sequence[str]) -> dict[str, dict]:
    """Return as fitted, temperature-scaled -> model -> pooled bins."""
    return {
        setting: {named(model): pooled_bins(runs, model, setting) for model in models}
        for setting in (FITTED, SCALED)
    }


def coverages(runs: Sequence[StoredRun], models: Sequence[str]) -> dict[str, NDArray]:
    """Return model -> coverage and accuracy, (P, 2), the mean over seeds, as fitted."""
    return {
        named(model): np.mean([run.arrays[f"coverage, {model}, {FITTED}"] for run in runs], axis=0)
        for model in models
    }


def most_divided(run: StoredRun) -> int:
    """Return the class whose components' means are farthest apart, weighted by their shares."""
    means, weights = run.arrays["component means"], run.arrays["component weights"]
    away = ((means - run.arrays["class means"][:, None]) ** 2).sum(2)
    return int((weights * away).sum(1).argmax())
