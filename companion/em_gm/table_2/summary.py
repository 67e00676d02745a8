"""What the pages of table II show, from result rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from companion.em_gm.table_2.data import NORMALISED, REDUCED, SHAPES
from companion.em_gm.table_2.recipes import OF_VIEWS, OTHER_COMPONENTS, RECIPES
from companion.evidence.targets import Target
from companion.evidence.text import mean_and_sd
from mixflow.metrics import page_trend_test

OURS, PUBLISHED, GAUSSIAN = "GenMM", "GenMM as published", "GMM full covariance"
VIEWS, GAUSSIAN_VIEWS = OF_VIEWS  # the same, averaged over a window's views
PER_CLASS = "Gaussian mixture per class"
GAUSSIAN_NAMES = {GAUSSIAN: PER_CLASS, GAUSSIAN_VIEWS: f"{PER_CLASS}, eight views"}
PAGE = "p (Page's trend test)"
# What the pages call the data sets.
NAMES = {"letter": "Letter", "satimage": "Satimage", "norb": "small Norb", "digits": "digits"}
# Between one flow and GenMM; all have GenMM's recipe.
SHARING = tuple(OTHER_COMPONENTS)
(NORB_AT_LAPTOP,) = NORMALISED
BEST, LAST, CHOSEN = (
    f"test_accuracy_{name}" for name in ("best_on_test", "last_epoch", "validation_chosen")
)
# What the metrics are called where the page says them.
PROTOCOLS = {
    BEST: "best on test (paper's protocol)",
    LAST: "last epoch",
    CHOSEN: "validation-chosen",
}


def norb_at_laptop() -> str:
    """Say, as a list item, what the laptop profile does with Norb."""
    (_, *full), (_, *reduced) = SHAPES["norb"], REDUCED[NORB_AT_LAPTOP]
    return (
        "- **Norb at laptop**: both cameras side by side, as published, but blocks of pixels are "
        f"averaged to {' x '.join(map(str, reduced))} for {' x '.join(map(str, full))}, and each "
        "image is shifted and scaled to mean 0 and standard deviation 1, which takes out its "
        "brightness and contrast, not where its light comes from; its density in grey values is "
        "lost with that. All models take these as vectors; flows have Satimage's recipe, with "
        f"{RECIPES[NORB_AT_LAPTOP][OURS]['epochs']} epochs. The toys of the test split are not "
        "those of the training split, so an epoch or a parameter is chosen on a toy of every class "
        "that was left out whole, and not on pairs of toys that were seen (but gradient "
        "boosting stops, as elsewhere, by a tenth drawn at random). The published model, at full "
        "size, has its runs in the paper profile."
    )


def by_seed(rows: pd.DataFrame, model: str, metric: str) -> pd.DataFrame:
    """Return a metric with a line per seed and a column per K, on the table's own split."""
    own = (rows["config_split_seed"] == 0) & (rows["model"] == model)
    chosen = rows[own & (rows["metric"] == metric)]
    return chosen.pivot_table(index="seed", columns="config_n_components", values="value")


def published(targets: Iterable[Target], dataset: str, item: str = "table-2") -> pd.Series:
    """Return EM-GM's published accuracies of GenMM by K; empty where there are none."""
    return pd.Series(
        {
            int(t.setting.removeprefix("K=")): t.value
            for t in targets
            if (t.paper, t.item, t.dataset, t.model) == ("em-gm", item, dataset, "GenMM")
            and t.value is not None
        },
        dtype=float,
    )


def accuracies(rows: pd.DataFrame, targets: Iterable[Target], dataset: str) -> pd.DataFrame:
    """Return table II of one data set: a line per K, the published numbers beside ours."""
    targets, rows = list(targets), rows[rows["dataset"] == dataset]
    columns = {
        ("paper", "best on test"): _four_digits(published(targets, dataset)),
        ("paper", "last epoch"): _four_digits(published(targets, dataset, "table-2-last-epoch")),
    }
    for title, model in (("ours, as published", PUBLISHED), ("ours, best recipe", OURS)):
        for metric, name in PROTOCOLS.items():
            columns[title, name] = _mean_and_sd(by_seed(rows, model, metric))
    columns["Gaussian mixture", "full covariance"] = _mean_and_sd(by_seed(rows, GAUSSIAN, LAST))
    table = pd.DataFrame(columns).sort_index().fillna("")
    return table.rename_axis("K")


def sharing_models(rows: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return validation-chosen accuracies by K of GenMM and what shares a flow; empty if none."""
    rows = rows[rows["dataset"] == dataset]
    found = {model: by_seed(rows, model, CHOSEN) for model in (OURS, *SHARING)}
    columns = {model: _mean_and_sd(values) for model, values in found.items() if values.size}
    if len(columns) < 2:
        return pd.DataFrame()
    return pd.DataFrame(columns).sort_index().fillna("").rename_axis("K")


def series(rows: pd.DataFrame, targets: Iterable[Target], dataset: str) -> dict[str, pd.DataFrame]:
    """Return what ``figures.accuracy_by_components`` draws: name -> mean and std by K.

    What was not run has an empty table, so that the others look alike in all data sets.
    """
    rows = rows[rows["dataset"] == dataset]
    chosen = {
        "ours, best recipe (validation-chosen)": by_seed(rows, OURS, CHOSEN),
        "ours, LatMM (validation-chosen)": by_seed(rows, "LatMM", CHOSEN),
        "ours, as published (last epoch)": by_seed(rows, PUBLISHED, LAST),
        PER_CLASS: by_seed(rows, GAUSSIAN, LAST),
        "paper (best on test)": published(targets, dataset).to_frame().T,
        "ours, eight views (validation-chosen)": by_seed(rows, VIEWS, CHOSEN),
        GAUSSIAN_NAMES[GAUSSIAN_VIEWS]: by_seed(rows, GAUSSIAN_VIEWS, LAST),
    }
    tables = {name: pd.DataFrame({"mean": v.mean(), "std": v.std()}) for name, v in chosen.items()}
    return {name: table.rename_axis("K") for name, table in tables.items()}


def views(rows: pd.DataFrame) -> pd.DataFrame:
    """Return accuracies by K with and without the views of windows; empty if not run."""
    columns: dict[str, pd.Series] = {}
    for name, (plain, of_views) in _with_views(rows).items():
        columns |= {name: _mean_and_sd(plain), f"{name}, eight views": _mean_and_sd(of_views)}
    return pd.DataFrame(columns).sort_index().fillna("").rename_axis("K")


def views_said(rows: pd.DataFrame) -> str:
    """Say what averaging over the views of windows changes on the test split; empty if not run.

    Differences are between runs of the same seed, for every K.
    """
    told = []
    for name, (plain, of_views) in _with_views(rows).items():
        gain = (of_views - plain).dropna(how="all")
        by_k = ", ".join(f"{p} at K={k}" for k, p in points(gain.mean()).items())
        told.append(f"{name}: {by_k} ({100 * gain.stack().mean():+.2f} on average)")
    if not told:
        return ""
    return (
        "A Satimage window may be turned and mirrored: its class is that of the pixel in the "
        "middle. Densities averaged over these eight views, of models trained as before (flows: "
        f"validation-chosen), change the accuracy by, in points: {'; '.join(told)}."
    )


def _with_views(rows: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Return what was run with views, name -> accuracies (seed x K) without them and with them."""
    rows = rows[rows["dataset"].isin(rows.loc[rows["model"].isin(OF_VIEWS), "dataset"])]
    pairs = ((OURS, VIEWS, CHOSEN), (GAUSSIAN, GAUSSIAN_VIEWS, LAST))
    found = {
        GAUSSIAN_NAMES.get(plain, plain): (by_seed(rows, plain, m), by_seed(rows, of_views, m))
        for plain, of_views, m in pairs
    }
    return {name: tables for name, tables in found.items() if tables[1].size}


def said(named: dict[str, pd.DataFrame]) -> str:
    """Say the means of ``series`` in words, for a figure's alternative text."""
    return " ".join(
        f"{name}: " + ", ".join(f"{mean:.4f} at K={k}" for k, mean in table["mean"].items()) + "."
        for name, table in named.items()
        if len(table)
    )


def trends(rows: pd.DataFrame) -> pd.DataFrame:
    """Test in every data set and model whether accuracy rises with K.

    Page's trend test (exact or by its normal approximation, as scipy chooses) takes the seeds
    as blocks and the values of K, in order, as treatments; its alternative is that accuracy
    rises. Seeds share one test set: it tests training, not the choice of the test samples.
    """
    lines = []
    for dataset, part in rows.groupby("dataset", sort=False):
        judged = ((OURS, CHOSEN), (OURS, LAST), (VIEWS, CHOSEN), ("LatMM", CHOSEN))
        gaussians = (GAUSSIAN, LAST), (GAUSSIAN_VIEWS, LAST)
        for model, metric in (*judged, (PUBLISHED, LAST), *gaussians):
            values = by_seed(part, model, metric).dropna()
            if len(values) and values.shape[1] > 2:
                lines.append(
                    {"data": dataset, "model": model, "accuracy": PROTOCOLS[metric]} | trend(values)
                )
    return pd.DataFrame(lines)


def trend(values: pd.DataFrame) -> dict[str, object]:
    """Return what a table of seeds (lines) and K (columns, ascending) says about a rise."""
    smallest, largest = values.columns[0], values.columns[-1]
    gain = values[largest] - values[smallest]
    rho = [spearmanr(values.columns, line).statistic for line in values.to_numpy()]
    several = len(values) > 1 and values.shape[1] > 2
    return {
        "seeds": len(values),
        "K": f"{smallest} to {largest}",
        "gain": f"{gain.mean():+.4f}",
        "seeds with a gain": f"{int((gain > 0).sum())} of {len(values)}",
        "best K": list(values)[int(np.argmax(values.mean()))],
        "Spearman's rho, mean over seeds": f"{np.mean(rho):.2f}",
        PAGE: f"{page_trend_test(values).pvalue:.2g}" if several else "",
    }


def protocol(rows: pd.DataFrame, targets: Iterable[Target]) -> pd.DataFrame:
    """Return by how much choosing on the test set flatters, in points, by data set and K.

    The published gain is the best test accuracy of a curve minus its last point; ours are the
    same, and the best minus what validation chose, as means over seeds.
    """
    targets, lines = list(targets), []
    for dataset in rows["dataset"].unique():
        part = rows[rows["dataset"] == dataset]
        paper = published(targets, dataset) - published(targets, dataset, "table-2-last-epoch")
        columns = {"paper: best minus last": points(paper)}
        for title, model in (("as published", PUBLISHED), ("best recipe", OURS)):
            best = by_seed(part, model, BEST)
            for metric, name in ((LAST, "last"), (CHOSEN, "chosen")):
                gain = (best - by_seed(part, model, metric)).mean()
                columns[f"{title}: best minus {name}"] = points(gain)
        table = pd.DataFrame(columns).sort_index().fillna("").rename_axis("K").reset_index()
        table.insert(0, "data", dataset)
        lines.append(table)
    return pd.concat(lines, ignore_index=True)


def flattery(rows: pd.DataFrame, model: str, metric: str) -> float:
    """Return best on test minus another protocol, in points, over all K and seeds; NaN if none."""
    gain = by_seed(rows, model, BEST) - by_seed(rows, model, metric)
    return 100 * float(np.mean(gain.stack().to_numpy())) if gain.size else float("nan")


def flattery_said(rows: pd.DataFrame, targets: Iterable[Target], dataset: str, name: str) -> str:
    """Say how much the best on test is above the other protocols, on average; empty if unknown."""
    targets, own = list(targets), rows[rows["dataset"] == dataset]
    last, chosen = (flattery(own, OURS, metric) for metric in (LAST, CHOSEN))
    if last != last:
        return ""
    paper = published(targets, dataset) - published(targets, dataset, "table-2-last-epoch")
    said = (
        f"{name}: with our recipe the best on test is {last:.2f} points above the last epoch and "
        f"{chosen:.2f} above what validation chose, on average over K and seeds"
    )
    if paper.isna().all():
        return f"{said}."
    return f"{said}; in the paper it is {100 * paper.mean():.2f} above the last epoch."


def cited(targets: Iterable[Target], dataset: str) -> dict[str, float]:
    """Return what the paper cites as the state of the art: name -> accuracy as published."""
    of = (dataset, "state of the art cited")
    found = {t.setting: t.value for t in targets if (t.dataset, t.model) == of}
    return {name: value for name, value in found.items() if value is not None}


def others(context: pd.DataFrame, rows: pd.DataFrame, cited: Mapping[str, float]) -> pd.DataFrame:
    """Return other classifiers on one data set, ours among them, the best first.

    Parameters
    ----------
    context
        Rows of ``em-gm/table-2-context``, of one data set.
    rows
        Rows of ``em-gm/table-2``, of the same data set.
    cited
        What :func:`cited` gives; on whatever split.
    """
    lines = [
        {"classifier": model, "settings": "; ".join(part["setting"].unique())}
        | _spread(part["value"])
        for model, part in context.groupby("model", sort=False)
    ]
    ours = ((OURS, CHOSEN), (VIEWS, CHOSEN), (PUBLISHED, LAST))
    for model, metric in (*ours, (GAUSSIAN, LAST), (GAUSSIAN_VIEWS, LAST)):
        values = by_seed(rows, model, metric)
        if values.size:
            top = values.columns[-1]
            said = f"K={top}, {PROTOCOLS[metric]}" if metric == CHOSEN else f"K={top}"
            name = GAUSSIAN_NAMES.get(model, model)
            lines.append({"classifier": name, "settings": said} | _spread(values[top].dropna()))
    lines += [
        {"classifier": name, "settings": "cited by the paper"} | _spread(pd.Series([value]))
        for name, value in cited.items()
    ]
    table = pd.DataFrame(lines).sort_values("mean", ascending=False, ignore_index=True)
    return table.drop(columns="mean")


def _spread(values: pd.Series) -> dict[str, object]:
    mean = values.mean()
    return {"accuracy": mean_and_sd(mean, values.std()), "seeds": len(values), "mean": mean}


def _mean_and_sd(values: pd.DataFrame) -> pd.Series:
    """Write the mean over seeds (lines), and the sd where there are several, of each column."""
    written = [mean_and_sd(mean, sd) for mean, sd in zip(values.mean(), values.std(), strict=True)]
    return pd.Series(written, index=values.columns, dtype=object)


def _four_digits(values: pd.Series) -> pd.Series:
    return values.map("{:.4f}".format).astype(object)


def points(shares: pd.Series) -> pd.Series:
    """Write shares as percentage points with their sign; missing ones are left out."""
    return (100 * shares.dropna()).map("{:+.2f}".format).astype(object)
