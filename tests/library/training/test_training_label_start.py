"""Where fits with labels start."""

import numpy as np
import pytest
import torch

from mixflow.datasets.synthetic import circles
from mixflow.training.label_start import SPREAD_SAMPLES, start_from_labels


def rings(n, per_ring=16, seed=0):
    x, y = circles(n, random_state=seed)
    labels = np.full(n, -1)
    for c in (0, 1):
        labels[np.flatnonzero(y == c)[:per_ring]] = c
    return x, y, labels


def assert_responsibilities(r, n, k, labels):
    assert r.dtype == torch.float64
    assert r.shape == (n, k)
    assert r.isfinite().all()
    assert (r >= 0).all()
    torch.testing.assert_close(r.sum(1), torch.ones(n).double())
    known = labels >= 0
    np.testing.assert_array_equal(r[known].numpy(), np.eye(k)[labels[known]])


@pytest.mark.parametrize("seed", range(3))
def test_labels_travel_along_the_rings(seed):
    x, y, labels = rings(1056, seed=seed)
    r = start_from_labels(x, labels, None, 2)
    assert_responsibilities(r, 1056, 2, labels)
    assert (r.argmax(1).numpy() == y).mean() > 0.99


def test_large_sets_are_labelled_by_their_neighbours():
    x, y, labels = rings(SPREAD_SAMPLES + 1000, per_ring=200)
    r = start_from_labels(x, labels, None, 2)
    assert_responsibilities(r, len(x), 2, labels)
    assert (r.argmax(1).numpy() == y).mean() > 0.99


def test_large_sets_need_no_more_labels_than_small_ones():
    x, y, labels = rings(SPREAD_SAMPLES + 1000)
    r = start_from_labels(x, labels, None, 2)
    assert (r.argmax(1).numpy() == y).mean() > 0.99


@pytest.mark.parametrize("k", [1, 3])
def test_all_labelled(k):
    x = np.random.default_rng(0).normal(size=(30, 2))
    labels = np.arange(30) % k
    assert_responsibilities(start_from_labels(x, labels, None, k), 30, k, labels)


@pytest.mark.parametrize("n_labels", [1, 2, 4])
def test_few_labels(n_labels):
    """One of each component, one of one component only: the rest is spread over what there is."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(6 * c, 1, (20, 2)) for c in range(4)])
    labels = np.full(80, -1)
    labels[20 * np.arange(n_labels)] = np.arange(n_labels)
    r = start_from_labels(x, labels, None, 4)
    assert_responsibilities(r, 80, 4, labels)
    for c in range(n_labels):
        assert (r[20 * c : 20 * c + 20].argmax(1) == c).all()


def test_samples_that_no_label_reaches_are_shared():
    """Two islands so far apart that the kernel between them underflows."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (30, 2)), rng.normal(1e4, 1, (30, 2))])
    labels = np.full(60, -1)
    labels[:2] = 0, 1
    r = start_from_labels(x, labels, None, 3)
    assert_responsibilities(r, 60, 3, labels)
    torch.testing.assert_close(r[30:], torch.full((30, 3), 1 / 3).double())


def test_repeated_samples():
    """More than 10 of each: the distance to the tenth neighbour is 0."""
    x = np.repeat([[0.0, 0.0], [1.0, 0.0], [7.0, 7.0]], 20, axis=0)
    labels = np.full(60, -1)
    labels[[0, 59]] = 0, 1
    assert_responsibilities(start_from_labels(x, labels, None, 2), 60, 2, labels)


@pytest.mark.parametrize("n", [2, 3])
def test_hardly_any_samples(n):
    labels = np.array([0, 1, -1])[:n]
    x = np.array([[0.0, 0.0], [5.0, 5.0], [4.0, 4.0]])[:n]
    assert_responsibilities(start_from_labels(x, labels, None, 2), n, 2, labels)


def test_a_start_without_labels_takes_their_order():
    truth = np.arange(60) % 3
    start = torch.from_numpy(np.eye(3)[(truth + 1) % 3] * 0.7 + 0.1)
    labels = np.where(np.arange(60) < 9, truth, -1)
    r = start_from_labels(np.zeros((60, 2)), labels, start, 3)
    assert_responsibilities(r, 60, 3, labels)
    assert (r.argmax(1).numpy() == truth).all()
    np.testing.assert_allclose(r[9:].max(1).values, 0.8)


def test_a_start_keeps_components_without_labels():
    """Labels of one component of three: it takes its cluster, the others what is left."""
    truth = np.arange(60) % 3
    start = torch.from_numpy(np.eye(3)[np.array([2, 0, 1])[truth]])
    labels = np.where((truth == 1) & (np.arange(60) < 20), 1, -1)
    r = start_from_labels(np.zeros((60, 2)), labels, start, 3)
    assert_responsibilities(r, 60, 3, labels)
    found = r.argmax(1).numpy()
    assert (found[truth == 1] == 1).all()
    assert {tuple(np.unique(found[truth == c])) for c in (0, 2)} == {(0,), (2,)}
