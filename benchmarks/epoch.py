"""An epoch of Letter's 26 classes at K = 20 against K = 1, and scoring at K = 20.

The recipe is that of EM-GM's table II. An epoch is the mean over whole EM cycles (``em_every``
epochs, one of them with an E-step) after the first. Fits of the sizes alternate. With one block
the M-step's cost does not depend on K; the table's recipe divides K = 20 into blocks that are
mixtures of their own, each of which sees all samples. Scoring is ``predict_proba`` of the test
split in a fresh process, from the saved model.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import common
from companion.em_gm.table_2.recipes import recipe
from mixflow import MixtureClassifier, load
from mixflow.datasets import load_split
from mixflow.datasets.split import Split

Size = tuple[int, int]  # K, and the number of blocks


def fit(
    split: Split, size: Size, n_cycles: int
) -> tuple[MixtureClassifier, list[float], list[float]]:
    """Fit for ``n_cycles`` EM cycles after a first; return seconds of epochs and of cycles."""
    k, n_blocks = size
    settings = {**recipe("letter", "GenMM", k), "n_blocks": n_blocks}
    every = settings["em_every"]
    del settings["epochs"]
    clock: list[float] = []

    def tick(model: MixtureClassifier, epoch: int) -> dict[str, float]:
        clock.append(time.perf_counter())
        return {}

    model = MixtureClassifier(
        k,
        **settings,
        max_epochs=every * (n_cycles + 1),
        priors="uniform",
        early_stopping=False,
        random_state=0,
        callback=tick,
    ).fit(split.x_train, split.y_train)
    epochs = [end - start for start, end in zip(clock[:-1], clock[1:], strict=True)]
    epochs = epochs[every - 1 :]  # from the first epoch that begins with an E-step
    cycles = [sum(epochs[i : i + every]) / every for i in range(0, len(epochs), every)]
    model.callback = None
    return model, epochs, cycles


def measure_epochs(
    split: Split, sizes: Sequence[Size], rounds: int, n_cycles: int
) -> tuple[list[common.Row], dict[Size, MixtureClassifier]]:
    """Alternate fits of all sizes; return a row per size and the last models."""
    every = recipe("letter", "GenMM")["em_every"]
    cycles: dict[Size, list[float]] = {size: [] for size in sizes}
    e_steps: dict[Size, list[float]] = {size: [] for size in sizes}
    models = {}
    for _ in range(rounds):
        for size in sizes:
            models[size], epochs, means = fit(split, size, n_cycles)
            cycles[size] += means
            plain = statistics.median(t for i, t in enumerate(epochs) if i % every)
            e_steps[size] += [t - plain for t in epochs[::every]]
    rows = [
        {
            "classes": len(models[size].classes_),
            "K": size[0],
            "blocks": size[1],
            "what": "epoch, E-step included",
            **common.summary(cycles[size], 1),
            "times_the_first": round(
                statistics.median(cycles[size]) / statistics.median(cycles[sizes[0]]), 2
            ),
            "E-step_ms": round(1e3 * statistics.median(e_steps[size]), 1),
        }
        for size in sizes
    ]
    return rows, models


def measure_scoring(settings: dict[str, Any]) -> common.Row:
    """Load a model and time ``predict_proba`` of the test split."""
    x = load_split("letter").x_test
    model = load(settings["path"])
    model.predict_proba(x[:32])
    common.reset_peak()
    baseline, seconds = common.resident_mb(), []
    for _ in range(settings["repetitions"]):
        start = time.perf_counter()
        model.predict_proba(x)
        seconds.append(time.perf_counter() - start)
    return {
        "classes": len(model.classes_),
        "K": model.n_components,
        "blocks": model.n_blocks,
        "what": f"predict_proba of {len(x)}",
        **common.summary(seconds, 1),
        "peak_MB": round(common.peak_mb() - baseline),
    }


def main() -> None:
    """Measure epochs, then scoring, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--rounds", type=int, default=3, help="fits of each size")
    parser.add_argument("--cycles", type=int, default=2, help="EM cycles that count in a fit")
    parser.add_argument("--repetitions", type=int, default=3, help="of scoring")
    arguments = common.parse(parser, "epoch", child=measure_scoring)
    settings = vars(arguments)
    split = load_split("letter")
    sizes = [(k, 1) for k in arguments.k]
    sizes += [(k, recipe("letter", "GenMM", k)["n_blocks"]) for k in arguments.k]
    sizes = list(dict.fromkeys(sizes))
    rows, models = measure_epochs(split, sizes, arguments.rounds, arguments.cycles)
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(models.values()):
            path = model.save(Path(folder) / f"{number}.safetensors")
            rows.append(
                common.in_fresh_process("benchmarks.epoch", {**settings, "path": str(path)})
            )
    common.report(arguments.name, rows, settings)


if __name__ == "__main__":
    main()
