"""Arguments of every measure, for the tests of what all of them promise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import log_softmax

N, M, C, K, F, D, CELLS = 24, 20, 4, 5, 3, 3, 8


@dataclass(frozen=True)
class Example:
    """A call that works.

    Attributes
    ----------
    arrays
        Arguments that are arrays, by name.
    settings
        The other arguments.
    samples
        Names of groups of arrays that share the order of their samples, which does not matter.
    in_order
        The result has an entry for each sample, in their order.
    allows_infinity
        Arrays in which an infinity of this sign means something.
    """

    arrays: Mapping[str, np.ndarray]
    settings: Mapping[str, Any] = field(default_factory=dict)
    samples: tuple[tuple[str, ...], ...] = ()
    in_order: bool = False
    allows_infinity: Mapping[str, str] = field(default_factory=dict)


def _square(x):
    return np.where((np.abs(x) < 1).all(axis=1), -np.log(4), -np.inf)


_rng = np.random.default_rng(0)
_log_proba = log_softmax(2 * _rng.normal(size=(N, C)), axis=1)
_proba = np.exp(_log_proba)
_y, _component = _rng.integers(C, size=N), _rng.integers(-1, K, size=N)
_real, _generated = _rng.normal(size=(N, F)), 0.5 + _rng.normal(size=(M, F))
_cdf = np.sort(_rng.random((D, CELLS + 1)), axis=1)
_blocks = _rng.normal(size=(6, 4)) + np.arange(4)

_scored = Example({"proba": _proba, "y": _y}, samples=(("proba", "y"),))
_log_scored = Example(
    {"log_proba": _log_proba, "y": _y},
    samples=(("log_proba", "y"),),
    allows_infinity={"log_proba": "-"},
)
_compared = Example({"real": _real, "generated": _generated}, samples=(("real",), ("generated",)))
_clustered = Example({"y": _y, "component": _component}, samples=(("y", "component"),))

EXAMPLES: Mapping[str, Example] = {
    "accuracy": Example({"y": _y, "predicted": _y[::-1].copy()}, samples=(("y", "predicted"),)),
    "accuracy_by_coverage": Example(
        {"confidence": _rng.normal(size=N), "correct": _rng.random(N) < 0.7},
        samples=(("confidence", "correct"),),
        allows_infinity={"confidence": "+-"},
    ),
    "adjusted_rand_index": _clustered,
    "basis_loss": Example(
        {
            "weights": _rng.dirichlet(np.ones(CELLS), size=D),
            "sigma": _rng.uniform(0.5, 2, size=D),
            "target_cdf": _cdf,
        },
        samples=(("weights", "sigma", "target_cdf"),),
        in_order=True,
    ),
    "best_matching": Example({"counts": _rng.integers(1000, size=(C, K))}),
    "best_temperature": _log_scored,
    "binomial_interval": Example({}, {"successes": 7, "n": 9}),
    "bits_per_dim": Example(
        {"log_prob": 100 * _rng.normal(size=N)},
        {"n_dims": 64},
        samples=(("log_prob",),),
        in_order=True,
        allows_infinity={"log_prob": "-"},
    ),
    "brier_score": _scored,
    "components_in_use": Example(
        {"responsibilities_or_labels": _proba}, samples=(("responsibilities_or_labels",),)
    ),
    "contingency_table": _clustered,
    "density_and_coverage": _compared,
    "effective_components": Example(
        {"weights": _rng.dirichlet(np.ones(K), size=C)}, samples=(("weights",),), in_order=True
    ),
    "expected_calibration_error": _scored,
    "frechet_distance": _compared,
    "inception_score": Example({"probabilities": _proba}, samples=(("probabilities",),)),
    "integral_2d": Example(
        {"points": _real[:, :2].copy()},
        {"log_prob": _square, "resolution": 20},
        samples=(("points",),),
    ),
    "log_error_probability": Example(
        {"log_proba": _log_proba},
        samples=(("log_proba",),),
        in_order=True,
        allows_infinity={"log_proba": "-"},
    ),
    "log_loss": _log_scored,
    "mass_loss": Example(
        {"masses": _rng.dirichlet(np.ones(CELLS + 2), size=D), "target_cdf": _cdf},
        samples=(("masses", "target_cdf"),),
        in_order=True,
    ),
    "matched_accuracy": _clustered,
    "maximum_mean_discrepancy": _compared,
    "mean_rank_correlation": Example(
        {"levels": np.array([1.0, 2.0, 4.0, 8.0]), "values": _blocks}, samples=(("values",),)
    ),
    "nats_per_pixel": Example(
        {"log_prob": 100 * _rng.normal(size=N)},
        {"n_pixels": 64},
        samples=(("log_prob",),),
        in_order=True,
        allows_infinity={"log_prob": "-"},
    ),
    "nearest_neighbor_accuracy": _compared,
    "negative_log_likelihood": Example(
        {"log_prob": _rng.normal(size=N)},
        samples=(("log_prob",),),
        allows_infinity={"log_prob": "-"},
    ),
    "normalized_mutual_information": _clustered,
    "page_trend_test": Example({"values": _blocks}, samples=(("values",),)),
    "precision_and_recall": _compared,
    "reliability_diagram": _scored,
    "separation": _clustered,
    "student_t_interval": Example({"values": _rng.normal(size=5)}, samples=(("values",),)),
    "temperature_scaled": Example(
        {"log_proba": _log_proba},
        {"temperature": 1.5},
        samples=(("log_proba",),),
        in_order=True,
        allows_infinity={"log_proba": "-"},
    ),
}
