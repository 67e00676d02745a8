"""What the page of ``em-gm/classifier`` shows, from rows and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from companion.em_gm.classifier.doubt import FITTED, SCALED
from companion.em_gm.classifier.growth import ADDED, ANEW
from companion.em_gm.classifier.missing import IMPUTED, MARGINAL
from companion.em_gm.classifier.models import FLOWS, GAUSSIANS
from companion.evidence.text import mean_and_sd
from companion.runs.stored import StoredRun
from mixflow.datasets.tables import LETTERS

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
CLASSES = {"letter": LETTERS, "digits": tuple("0123456789")}
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
        line[heading] = mean_and_sd(values.mean(), values.std(), digits)
    headings = [heading for heading, _ in metrics.values()]
    return pd.DataFrame(
        [
            {"model": model, "": setting} | {heading: line.get(heading, "") for heading in headings}
            for (model, setting), line in lines.items()
        ]
    )


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
    """Return model and way -> by number of classes: mean and sd of accuracy, least seconds."""
    chosen = rows[rows["metric"] == "accuracy_so_far"]
    found = {}
    for (model, way), own in chosen.groupby(["model", chosen["setting"].str.split(",").str[0]]):
        n = own["setting"].str.extract(r"(\d+) classes", expand=False).astype(int)
        by_number = own["value"].groupby(n.rename("classes"))
        seconds = {
            k: min(run.provenance["costs"][f"{model}, {way}, {k} classes"] for run in runs)
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
            "accuracy": mean_and_sd(table["mean"].iloc[-1], table["std"].iloc[-1]),
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


# Sentences -----------------------------------------------------------------------------------


def _means(rows: pd.DataFrame, metric: str) -> pd.Series:
    """Return the mean over seeds of a metric by model and setting."""
    chosen = rows[rows["metric"] == metric]
    return chosen.groupby(["model", "setting"], sort=False)["value"].mean()


def describe(rows: pd.DataFrame, metric: str, models: Sequence[str]) -> str:
    """Return a metric as fitted and temperature-scaled, for those who cannot see the figure."""
    mean = _means(rows, metric)
    return "; ".join(
        f"{named(model)} {mean[model, FITTED]:.3f} as fitted and {mean[model, SCALED]:.3f} scaled"
        for model in models
    )


def say_sharpness(rows: pd.DataFrame, models: Sequence[str], n_features: int) -> str:
    """Say how sure the mixture of flows is, what one temperature changes, and who is best."""
    temperature, loss = _means(rows, "temperature"), _means(rows, "log_loss")
    confidence, accuracy = _means(rows, "mean_confidence"), _means(rows, "accuracy")
    sharpness = temperature.xs(SCALED, level="setting")
    best, how = loss.index[int(loss.argmin())]
    others = ", ".join(f"{named(m)} {sharpness[m]:.2f}" for m in models if m != FLOWS)
    return (
        f"The mixture of flows is {'too sure' if sharpness[FLOWS] > 1 else 'not sure enough'}: its "
        f"mean confidence is {confidence[FLOWS, FITTED]:.4f}, its accuracy "
        f"{accuracy[FLOWS, FITTED]:.4f}. A log density is a sum over {n_features} features, and so "
        f"is its error. One temperature, here {sharpness[FLOWS]:.2f} on average, takes its log "
        f"loss from {loss[FLOWS, FITTED]:.3f} to {loss[FLOWS, SCALED]:.3f} nats. Temperatures of "
        f"the others: {others}. The least log loss of all, {loss.min():.3f}, is that of: "
        f"{named(best)}, {how}."
    )


def say_most_accurate(rows: pd.DataFrame) -> str:
    """Say who is most accurate when all samples, or the surest of them, are accepted."""
    tops = {
        what: named(str(_means(rows, metric).xs(FITTED, level="setting").idxmax()))
        for what, metric in {
            "all samples are accepted": "accuracy",
            "one in ten is declined": "accuracy_at_90%",
            "one in five is": "accuracy_at_80%",
        }.items()
    }
    said = "; ".join(f"{name} where {what}" for what, name in tops.items())
    return f"As fitted, the most accurate are: {said}."


def say_shift(rows: pd.DataFrame, models: Sequence[str], imbalance: int) -> str:
    """Say how estimated and true priors change accuracies when classes become rare."""
    own = at_imbalance(rows, imbalance)
    old, estimated, true = (
        _means(own, f"accuracy_{name}_priors").loc[list(models)]
        for name in ("old", "estimated", "true")
    )
    gains, bounds = 100 * (estimated - old), 100 * (true - old)
    most, least = (gains.index[int(at)] for at in (gains.argmax(), gains.argmin()))
    return (
        f"At 1 to {imbalance} the priors that EM estimates change the accuracy of the mixture of "
        f"flows by {gains[FLOWS, FITTED]:+.2f} points as fitted and {gains[FLOWS, SCALED]:+.2f} "
        f"temperature-scaled; the true priors, if one knew them, by {bounds[FLOWS, FITTED]:+.2f} "
        f"and {bounds[FLOWS, SCALED]:+.2f}. The most is gained by: {named(most[0])}, {most[1]} "
        f"({gains.max():+.2f}); the least by: {named(least[0])}, {least[1]} ({gains.min():+.2f})."
    )
