"""What mixtures of images cost, and how far one flow gets for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from companion.em_gm.images.data import TITLES, image_shape, n_images
from companion.em_gm.images.measures import cost_of_pass
from companion.em_gm.images.summary import published
from companion.em_gm.images.table_1 import Images
from companion.evidence.targets import Target
from companion.runs.config import Config
from companion.runs.stored import StoredRun

EQUAL_WITHIN = 1.01  # ratio of FLOPs
PUBLISHED_EPOCHS = 400
AIM = 1.98  # our own, of K = 1 on MNIST in nat/pixel, for 45 minutes of 2 cores


def epochs_of(config: Mapping[str, int]) -> int:
    """Return the passes over the images of a stored run, those of the single flow included."""
    return config["base_epochs"] + config["epochs"]


def single_flows(runs: Iterable[StoredRun]) -> dict[tuple[str, int], StoredRun]:
    """Return the runs of one flow, by data set and seed."""
    return {
        (run.config["dataset"], run.config["seed"]): run
        for run in runs
        if run.config["n_components"] == 1
    }


def flops_of_image(costs: Mapping[str, float]) -> float:
    """Return the FLOPs of one image in training, forward and backward."""
    return sum(value for name, value in costs.items() if name.startswith("FLOPs of an image"))


def flops_of(run: StoredRun) -> float:
    """Return the FLOPs that a run spent on one image, E-steps included.

    An epoch is a pass forward and backward through one flow, an E-step a pass forward through all;
    one flow alone needs none.
    """
    config, costs = run.config, run.provenance["costs"]
    e_steps = config["epochs"] // config["em_every"] if config["n_components"] > 1 else 0
    n_flows = 1 if config["model"] == "LatMM" else config["n_components"]
    assigned = e_steps * n_flows * costs["FLOPs of an image, forward"]
    return epochs_of(config) * flops_of_image(costs) + assigned


def at_equal_compute(mixtures: Iterable[StoredRun], flows: Iterable[StoredRun]) -> pd.DataFrame:
    """Return mixtures beside one flow at as many FLOPs: a line per data set and K.

    The NLL of one flow is interpolated on log FLOPs between trainings of several lengths; mixtures
    that cost more than the longest are left out.

    Parameters
    ----------
    mixtures
        Of ``em-gm/table-1``.
    flows
        Trainings of one flow, of the same seed.
    """
    lengths: dict[str, list[tuple[float, StoredRun]]] = {}
    for run in flows:
        lengths.setdefault(run.config["dataset"], []).append((flops_of(run), run))
    lines = []
    for run in mixtures:
        spent, points = flops_of(run), lengths.get(run.config["dataset"], [])
        points = sorted(points, key=lambda point: point[0])
        if not points or spent > EQUAL_WITHIN * points[-1][0]:
            continue
        line = {"data": TITLES[run.config["dataset"]], "K": run.config["n_components"]}
        line["GFLOP an image"] = f"{spent / 1e9:.2f}"
        for metric, name in (("nll_train", "training"), ("nll_held_out", "held out")):
            one = np.interp(
                np.log(spent),
                [np.log(flops) for flops, _ in points],
                [value_of(of, metric) for _, of in points],
            )
            own = value_of(run, metric)
            line[f"NLL, {name}"] = f"{own:.4f}"
            line[f"one flow, {name}"] = f"{one:.4f}"
            line[f"gained, {name}"] = f"{one - own:+.4f}"
        lines.append(line)
    return pd.DataFrame(lines).sort_values(["data", "K"]) if lines else pd.DataFrame()


def value_of(run: StoredRun, metric: str) -> float:
    """Return a metric of a run's model; rows of real images come after."""
    return float(run.rows.loc[run.rows["metric"] == metric, "value"].iloc[0])


def say_long_flow(run: StoredRun, targets: Iterable[Target], paper: Config) -> str:
    """Return, in Markdown, how far ``em-gm/long-flow`` got, and what the published flow costs.

    Parameters
    ----------
    run
        Of ``em-gm/long-flow``.
    targets
        Published numbers.
    paper
        The config of ``em-gm/table-1`` in the paper's profile.
    """
    assert isinstance(paper, Images)
    dataset, epochs = run.config["dataset"], epochs_of(run.config)
    nll, held_out = (value_of(run, f"nll_{part}") for part in ("train", "held_out"))
    ours, theirs = (
        n_images(dataset, run.config["part"]) * n * flops_of_image(costs)
        for n, costs in (
            (epochs, run.provenance["costs"]),
            (PUBLISHED_EPOCHS, cost_of_pass(paper, image_shape(dataset))),
        )
    )
    text = (
        f"K = 1 on {TITLES[dataset]} for {epochs} epochs: **{nll:.4f}** nat/pixel "
        f"on the training images, {held_out:.4f} on held-out ones, "
        f"{ours / 1e12:,.0f} TFLOP in training passes. The published flow takes "
        f"{theirs / 1e12:,.0f} TFLOP in its {PUBLISHED_EPOCHS} epochs, {theirs / ours:.0f} times "
        "as many"
    )
    printed = published(targets).get(dataset, {}).get(1)
    if printed is None:
        return f"{text}."
    over = nll - AIM
    met = "met" if over <= 0 else f"missed by {over:.4f}"
    return f"{text}, and reaches {printed:.4f}. Our own aim, {AIM}, is {met}."


def say_time(run: StoredRun) -> str:
    """Return, in Markdown, how long a run trained; the single flow's epochs only if it did them."""
    minutes = run.provenance["costs"]["fit_seconds"] / 60
    threads = run.provenance["torch_threads"]
    # Seconds are counted anew after an interruption.
    what = "What followed its last interruption" if run.provenance.get("resumed") else "Training"
    return f"{what} took {minutes:.0f} minutes on {threads} thread{'s' if threads > 1 else ''}."


def say_pace(shorter: StoredRun, longer: StoredRun) -> str:
    """Return how fast the NLL of one flow falls from a training to a longer one, and to the aim."""
    epochs = [epochs_of(run.config) for run in (shorter, longer)]
    nll = [value_of(run, "nll_train") for run in (shorter, longer)]
    pace = (nll[0] - nll[1]) / np.log2(epochs[1] / epochs[0])
    text = f"From {epochs[0]} to {epochs[1]} epochs every doubling gained {pace:.4f} nat/pixel"
    if nll[1] <= AIM or pace <= 0:
        return f"{text}."
    needed = epochs[1] * 2 ** ((nll[1] - AIM) / pace)
    return f"{text}; at that pace {AIM} takes about {needed:.0f} epochs."
