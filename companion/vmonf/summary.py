"""Tables of the VMoNF pages, from result rows."""

from __future__ import annotations

from typing import get_args

import pandas as pd

from companion.evidence.text import half_interval, mean_and_sd
from companion.vmonf.mnist_models import Model as ImageModel
from companion.vmonf.recipes import Model

KEYS = ["model", "setting", "seed"]


def wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line per run and a column per metric, with model, setting and seed, in order."""
    table = rows.pivot_table(index=KEYS, columns="metric", values="value", sort=False)
    table = table.reset_index().rename_axis(columns=None)
    models = (*get_args(Model), *get_args(ImageModel))
    place = {model: index for index, model in enumerate(dict.fromkeys(models))}
    return table.sort_values(KEYS, key=lambda c: c.map(place) if c.name == "model" else c)


def recipes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return columns recipe, seed, accuracy, for ``figures.success_over_seeds``."""
    table = wide(rows)
    return pd.DataFrame(
        {"recipe": named(table), "seed": table["seed"], "accuracy": table["accuracy"]}
    )


def named(table: pd.DataFrame) -> pd.Series:
    """Return a name for each line: the model, with its setting where it has several."""
    several = table.groupby("model")["setting"].transform("nunique") > 1
    return table["model"].where(~several, table["model"] + ", " + table["setting"])


def separation(rows: pd.DataFrame, target: float) -> pd.DataFrame:
    """Return a line per recipe: how often it separates the classes, and how good it is.

    Parameters
    ----------
    rows
        Result rows of one experiment.
    target
        The accuracy from which a run counts as separated.
    """
    table = wide(rows).assign(recipe=lambda t: named(t))
    lines = {}
    for recipe, runs in table.groupby("recipe", sort=False):
        n = len(runs)
        lines[recipe] = {
            "separated": f"{int((runs['accuracy'] >= target).sum())} of {n}",
            "accuracy": spread(runs["accuracy"], 4),
            "least": f"{runs['accuracy'].min():.4f}",
            "ARI": spread(runs["ari"], 3),
            "NMI": spread(runs["nmi"], 3),
            "nats below the true log p": middle(runs.get("nats_below_true"), 3),
            "ELBO gap (nats)": middle(runs.get("elbo_gap"), 4),
            "cut / shared / dead": " / ".join(
                f"{int(runs[name].sum())}" for name in ("class_cut", "class_shared", "dead")
            ),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("recipe")


def spread(values: pd.Series | None, digits: int) -> str:
    """Return mean ± sd over the runs; empty where nothing was measured."""
    if values is None or values.isna().all():
        return ""
    return mean_and_sd(values.mean(), values.std(), digits)


def middle(values: pd.Series | None, digits: int) -> str:
    """Return the median over the runs, with the least and the greatest; empty without values.

    For means of log densities, which one far sample can carry away.
    """
    if values is None or values.isna().all():
        return ""
    least, greatest = (
        f"{v:.{digits}f}" if v < 1e3 else f"{v:.0e}" for v in (values.min(), values.max())
    )
    ends = f"\u00a0[{least}, {greatest}]" if len(values) > 1 else ""
    return f"{values.median():.{digits}f}{ends}"


def duel(rows: pd.DataFrame, target: float) -> pd.DataFrame:
    """Return methods x starts: how often a method separates, and its held-out log p."""
    table = wide(rows)
    table["start"] = table["setting"].str.extract(r", (.+) start", expand=False)
    lines: dict[str, dict[tuple[str, str], str]] = {}
    for (model, start), runs in table.groupby(["model", "start"], sort=False):
        good, column = int((runs["accuracy"] >= target).sum()), f"{start} start"
        line = lines.setdefault(str(model), {})
        line[column, "separated"] = f"{good} of {len(runs)}"
        line[column, "accuracy"] = spread(runs["accuracy"], 4)
        line[column, "nats below the true log p"] = middle(runs["nats_below_true"], 3)
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("method")


def survivors(rows: pd.DataFrame, target: float) -> pd.DataFrame:
    """Return a line per variant: K at the start, components in use at the end, and quality."""
    table = wide(rows).assign(recipe=lambda t: named(t))
    lines = {}
    for recipe, runs in table.groupby("recipe", sort=False):
        n, used = len(runs), runs["components_in_use"]
        lines[recipe] = {
            "start": runs["setting"].iloc[0].split(",")[0],
            "exactly 5 in use": f"{int((used == 5).sum())} of {n}",
            f"accuracy >= {target:g}": f"{int((runs['accuracy'] >= target).sum())} of {n}",
            "accuracy": spread(runs["accuracy"], 4),
            "nats below the true log p": middle(runs["nats_below_true"], 3),
            "ELBO gap (nats)": middle(runs.get("elbo_gap"), 4),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("variant")


def mnist_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line per number of labels and model of the images of digits."""
    lines = {}
    table = wide(rows)
    table["labels"] = table["setting"].str.extract(r"(\d+) labels", expand=False).astype(int)
    for (labels, model), runs in table.groupby(["labels", "model"], sort=False):
        lines[labels, model] = {
            "accuracy": spread(runs["accuracy"], 4),
            "posterior accuracy": spread(runs.get("posterior_accuracy"), 4),
            "ARI": spread(runs["ari"], 3),
            "NMI": spread(runs["nmi"], 3),
            "log p(x), nats a pixel": spread(runs.get("test_log_likelihood"), 4),
            "ELBO gap (nats)": middle(runs.get("elbo_gap"), 2),
            "in use": spread(runs["components_in_use"], 1),
            "seeds": str(len(runs)),
        }
    frame = pd.DataFrame.from_dict(lines, orient="index").sort_index(level=0, sort_remaining=False)
    return frame.rename_axis(["labels a class", "model"])


def paired(rows: pd.DataFrame, metric: str, one: str, other: str, setting: str) -> pd.Series:
    """Return one model's values minus the other's, seed by seed.

    Parameters
    ----------
    rows
        Result rows of one experiment.
    metric, one, other, setting
        What is compared.
    """
    chosen = rows[(rows["metric"] == metric) & (rows["setting"] == setting)]
    table = chosen.pivot_table(index="seed", columns="model", values="value")
    if not {one, other} <= set(table.columns):
        return pd.Series(dtype=float)
    return (table[one] - table[other]).dropna()


def interval(values: pd.Series) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by Student's t; NaN for fewer than two values."""
    half = half_interval(values)
    return float(values.mean() - half), float(values.mean() + half)
