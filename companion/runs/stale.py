"""Stored rows that today's code would not make again.

A training has a version, which a change of its numbers raises; runs stored before there were
versions have version 0. Until now one training changed: that of EM with a sparse M-step, whose
epochs since commit d5019fd (26 November 2026) are as many samples as there are, to the nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERSION = 1  # of EM with a sparse M-step; provenance records it as ``training_version``
# The first code of version 1, and when the last run of older code had finished.
FIRST, LAST_OLD = "d5019fd", "2026-11-27T01:00:00"
N_IMAGES = 10_000  # that image flows are trained on, of either data set
_IMAGES = ("table-1", "beyond-glow", "optimizer", "equal-steps", "long-flow", "further-epochs")
IMAGE_EXPERIMENTS = tuple(f"em-gm/{item}" for item in (*_IMAGES, "single-flow"))
# What reads stored mixtures of table I and trains nothing.
DERIVED = ("em-gm/figures-3-6", "em-gm/interpolation", "em-gm/image-doubt")
# Rows that runs wrote before claims were tested on what they measured; nothing reads them.
RETIRED = ("claim", "fewer_unrecognisable", "clearer_8", "clearer_4_and_9", "more_varied_7")
_OF_HYBRIDS = ("GenMM", "GenMM of LatMMs", "common and individual")


def version_of(provenance: Mapping[str, Any]) -> int:
    """Return the version of the training that made a run, from its provenance."""
    recorded = provenance.get("training_version")
    if recorded is not None:
        return int(recorded)
    commit = (provenance.get("code") or {}).get("commit") or ""
    newer = commit.startswith(FIRST) or str(provenance.get("finished", "")) > LAST_OLD
    return VERSION if newer else 0


def is_stale(experiment: str, config: Mapping[str, Any], version: int, model: str, k: int) -> bool:
    """Say whether a row's numbers come from a training that has changed since.

    Parameters
    ----------
    experiment, config, version
        Of the run.
    model, k
        Of the row: a run may hold several models, of which some are trained otherwise.
    """
    if version >= VERSION:
        return False
    if experiment in IMAGE_EXPERIMENTS:
        return model.startswith("GenMM") and image_epochs_changed(config, k)
    if experiment == "em-gm/hybrids":
        return model in _OF_HYBRIDS
    return config.get("m_step") == "sparse"


def image_epochs_changed(config: Mapping[str, Any], k: int) -> bool:
    """Say whether an epoch of K image flows has other samples now; one flow has all of them.

    Examples
    --------
    >>> [image_epochs_changed({"batch_size": 16}, k) for k in (1, 3, 5, 7)]
    [False, True, False, True]
    """
    if k < 2:
        return False
    batch = int(config["batch_size"]) * k
    steps = max(1, round(N_IMAGES / batch))
    old = steps, -(-N_IMAGES // (k * steps))
    per_step = max(1, round(min(N_IMAGES, batch) / k))
    return old != (max(1, round(N_IMAGES / (per_step * k))), per_step)


def is_retired(metric: str) -> bool:
    """Say whether a stored row is a verdict of old, which today's runs do not write."""
    return metric in RETIRED or metric.startswith("claim_figure_")
