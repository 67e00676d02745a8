"""Measures of generated samples: against loops, scipy, torchmetrics, closed forms and extremes."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.transform import Rotation
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore

from mixflow.metrics import (
    density_and_coverage,
    frechet_distance,
    inception_score,
    maximum_mean_discrepancy,
    nearest_neighbor_accuracy,
    precision_and_recall,
)

MEASURES = (
    frechet_distance,
    maximum_mean_discrepancy,
    nearest_neighbor_accuracy,
    density_and_coverage,
    precision_and_recall,
)


def two_sets(seed=0, n=40, m=30, width=5):
    """Overlapping sets, correlated differently."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width)) @ rng.normal(size=(width, width))
    y = 0.5 + rng.normal(size=(m, width)) @ rng.normal(size=(width, width))
    return x, y


def distance(a, b):
    return math.sqrt(sum((u - v) ** 2 for u, v in zip(a, b, strict=True)))


def radii(x, k):
    """Distance to the k-th nearest other sample, by sorting."""
    return [
        sorted(distance(a, b) for j, b in enumerate(x) if j != i)[k - 1] for i, a in enumerate(x)
    ]


def by_sqrtm(x, y):
    c, d = np.cov(x.T), np.cov(y.T)
    shift = x.mean(0) - y.mean(0)
    return shift @ shift + np.trace(c + d - 2 * np.real(sqrtm(c @ d)))


def by_mmd_loops(x, y, bandwidth):
    scale = sum(distance(a, b) ** 2 for a in x for b in x) / len(x) ** 2

    def mean(p, q):
        values = (
            math.exp(-(distance(a, b) ** 2) / (2 * bandwidth**2 * scale)) for a in p for b in q
        )
        return sum(values) / (len(p) * len(q))

    return math.sqrt(mean(x, x) + mean(y, y) - 2 * mean(x, y))


# Direct computations --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_frechet_distance_is_that_of_the_matrix_square_root(seed):
    x, y = two_sets(seed)
    assert frechet_distance(x, y) == pytest.approx(by_sqrtm(x, y), rel=1e-9)
    assert frechet_distance(x, y, root=True) == pytest.approx(math.sqrt(by_sqrtm(x, y)), rel=1e-9)


def test_frechet_distance_and_inception_score_are_those_of_torchmetrics():
    x, y = two_sets(5)
    features = torch.nn.Identity()
    features.num_features = x.shape[1]
    theirs = FrechetInceptionDistance(features).set_dtype(torch.float64)
    theirs.update(torch.as_tensor(x), real=True)
    theirs.update(torch.as_tensor(y), real=False)
    assert frechet_distance(x, y) == pytest.approx(theirs.compute().item(), rel=1e-9)
    with pytest.warns(UserWarning, match="buffer"):
        score = InceptionScore(torch.nn.Identity(), splits=2)
    score.update(torch.as_tensor(np.concatenate([y, y])))
    with torch.random.fork_rng([]):  # it shuffles with the global generator
        torch.manual_seed(0)
        expected = score.compute()[0].item()
        torch.manual_seed(0)
        p = torch.as_tensor(np.concatenate([y, y]))[torch.randperm(2 * len(y))].softmax(1)
    assert inception_score(p.numpy(), n_splits=2) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_with_fewer_samples_than_features():
    x, y = two_sets(1, n=4, m=3, width=6)
    assert frechet_distance(x, y) == pytest.approx(by_sqrtm(x, y), rel=1e-6)


@pytest.mark.parametrize("bandwidth", [1.0, 0.3])
def test_maximum_mean_discrepancy_is_the_double_sum(bandwidth):
    x, y = two_sets(2, 12, 9)
    ours = maximum_mean_discrepancy(x, y, bandwidth=bandwidth)
    assert ours == pytest.approx(by_mmd_loops(x, y, bandwidth), rel=1e-12)


def test_nearest_neighbor_accuracy_leaves_one_out():
    x, y = two_sets(3)
    both, kind = np.concatenate([x, y]), np.repeat([0, 1], [len(x), len(y)])
    right = []
    for i in range(len(both)):
        rest = np.arange(len(both)) != i
        classifier = KNeighborsClassifier(1).fit(both[rest], kind[rest])
        right.append(classifier.predict(both[i : i + 1])[0] == kind[i])
    ours = nearest_neighbor_accuracy(x, y)
    expected = (np.mean(right), np.mean(right[: len(x)]), np.mean(right[len(x) :]))
    assert ours == pytest.approx(expected)
    assert 0.5 < ours.overall < 1


def test_inception_score_is_the_exponential_of_the_divergence():
    p = np.random.default_rng(0).dirichlet(np.full(4, 0.3), size=30)
    p[0] = [1, 0, 0, 0]

    def score(part):
        mean = part.mean(0)
        terms = [
            sum(v * math.log(v / m) for v, m in zip(line, mean, strict=True) if v) for line in part
        ]
        return math.exp(sum(terms) / len(terms))

    assert inception_score(p) == pytest.approx(score(p))
    parts = (score(p[:10]) + score(p[10:20]) + score(p[20:])) / 3
    assert inception_score(p, n_splits=3) == pytest.approx(parts)


@pytest.mark.parametrize("k", [1, 4])
def test_density_and_coverage_count_balls(k):
    x, y = two_sets(4)
    inside = [[distance(a, b) <= r for b in y] for a, r in zip(x, radii(x, k), strict=True)]
    density = sum(map(sum, inside)) / (k * len(y))
    coverage = sum(map(any, inside)) / len(x)
    assert density_and_coverage(x, y, n_neighbors=k) == pytest.approx((density, coverage))
    assert 0 < coverage < 1


@pytest.mark.parametrize("k", [1, 4])
def test_precision_and_recall_ask_for_the_support(k):
    x, y = two_sets(4)

    def share(points, centres):
        reach = NearestNeighbors(n_neighbors=k).fit(centres).kneighbors()[0][:, -1]
        covered = [
            any(distance(p, c) <= r for c, r in zip(centres, reach, strict=True)) for p in points
        ]
        return np.mean(covered)

    ours = precision_and_recall(x, y, n_neighbors=k)
    assert ours == pytest.approx((share(y, x), share(x, y)))
    assert ours.precision != ours.recall


# Closed forms and extremes ----------------------------------------------------------------------


def test_large_samples_of_gaussians_reach_the_closed_forms():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 2)), [1.0, 2.0] + 3 * rng.normal(size=(20_000, 2))
    assert frechet_distance(x, y) == pytest.approx(5 + 2 * (3 - 1) ** 2, rel=0.03)
    # E k(a, b) for a - b ~ N(m, v I): (h / (h + v)) exp(-m^2 / (2 (h + v))), h the squared width.
    h = 2 * 2.0  # mean squared distance of two real points

    def kernel(v, squared_mean=0.0):
        return h / (h + v) * math.exp(-squared_mean / (2 * (h + v)))

    expected = math.sqrt(kernel(2) + kernel(18) - 2 * kernel(10, 5.0))
    assert maximum_mean_discrepancy(x[:2000], y[:2000]) == pytest.approx(expected, rel=0.02)


def test_equal_distributions_give_the_floor():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 600, 3))
    assert nearest_neighbor_accuracy(x, y) == pytest.approx((0.5, 0.5, 0.5), abs=0.08)
    density, coverage = density_and_coverage(x, y, n_neighbors=5)
    assert density == pytest.approx(1, abs=0.08)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.03)
    assert frechet_distance(x, y) < 0.03


def test_equal_sets_and_copies():
    x, _ = two_sets()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(x, x[::-1], root=True) == pytest.approx(0, abs=1e-6)
    assert maximum_mean_discrepancy(x, x[::-1]) == pytest.approx(0, abs=1e-7)
    assert nearest_neighbor_accuracy(x, x) == (0, 0, 0)
    assert precision_and_recall(x, x) == (1, 1)
    assert density_and_coverage(x, x).coverage == 1


def test_sets_apart_and_a_collapsed_generator():
    x, y = two_sets()
    far, one = y + 1000, np.tile(x[:1] + 1e-3, (40, 1))
    assert nearest_neighbor_accuracy(x, far) == (1, 1, 1)
    assert density_and_coverage(x, far) == (0, 0)
    assert precision_and_recall(x, far) == (0, 0)
    collapsed = nearest_neighbor_accuracy(x, one)
    assert collapsed.generated == 1
    assert collapsed.real < 1
    assert precision_and_recall(x, one) == (1, 0)
    assert density_and_coverage(x, one, n_neighbors=1).coverage < 0.5


def test_equally_near_neighbours_share_the_vote():
    # The generated sample lies amid two of each kind: both kinds get one half.
    x, y = [[1.0, 0.0], [-1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    assert nearest_neighbor_accuracy(x, y).generated == pytest.approx((0.5 + 1 + 1) / 3)


def test_inception_score_of_sure_and_of_unsure_classes():
    assert inception_score(np.tile(np.eye(7), (3, 1))) == pytest.approx(7)
    assert inception_score(np.full((5, 4), 0.25)) == pytest.approx(1)
    assert inception_score(np.eye(7)[[2] * 6]) == pytest.approx(1)


@pytest.mark.parametrize("measure", MEASURES)
def test_order_and_rigid_motions_change_nothing(measure):
    x, y = two_sets(6, width=3)
    turn = Rotation.from_euler("xyz", [0.3, 1.0, -0.7]).as_matrix()
    moved = measure(x[::-1] @ turn.T + 5, y[::-1] @ turn.T + 5)
    assert moved == pytest.approx(measure(x, y), rel=1e-9)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("measure", "side"), [*itertools.product(MEASURES, (0, 1))])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a[:1], r"shape \(N, F\) with N >= 2, got \(1, "),
        (lambda a: np.where(a == a[3, 1], np.nan, a), "NaN or infinity in 1 of"),
        (lambda a: np.where(a == a[3, 1], np.inf, a), "NaN or infinity in 1 of"),
        (lambda a: a[:, :2], "equally many features"),
        (lambda a: a[:, 0], r"shape \(N, F\)"),
    ],
)
def test_bad_features_are_refused(measure, side, spoil, message):
    sets = list(two_sets())
    sets[side] = spoil(sets[side])
    with pytest.raises(ValueError, match=message):
        measure(*sets)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: density_and_coverage(x, y, n_neighbors=40), r"1 \.\.\. 39"),
        (lambda x, y: precision_and_recall(x, y, n_neighbors=30), r"1 \.\.\. 29"),
        (lambda x, y: density_and_coverage(x, y, n_neighbors=1.5), "whole number"),
        (lambda x, y: maximum_mean_discrepancy(x, y, bandwidth=0), "bandwidth"),
        (lambda x, y: maximum_mean_discrepancy(x, y, bandwidth=math.nan), "bandwidth"),
        (lambda x, y: maximum_mean_discrepancy(np.ones((4, 5)), y), "equal features"),
        (lambda x, y: inception_score(x), "negative numbers, .*softmax of logits"),
        (lambda x, y: inception_score(abs(x)), "sum to 1 .* 40 of 40 .* softmax of logits"),
        (lambda x, y: inception_score(np.full((4, 3), 1 / 3), n_splits=3), r"1 \.\.\. 2"),
    ],
)
def test_impossible_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*two_sets())
