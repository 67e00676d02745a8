"""Overlaps of Satimage's windows, on scenes cut on purpose, against naive comparisons."""

import numpy as np
import pytest

from companion.em_gm.table_2.windows import windows
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from mixflow.datasets.split import Split


def cut(scene, corners):
    """Return the 3 x 3 windows (N, 36) of a scene (H, W, 4) at their upper left corners."""
    return np.stack([scene[i : i + 3, j : j + 3].ravel() for i, j in corners])


def split(scene, train, test, y_train, y_test):
    parts = cut(scene, train), np.array(y_train), cut(scene, test), np.array(y_test)
    return Split(*parts, "scene", ("a", "b"))


@pytest.fixture
def scene():
    return np.random.default_rng(0).integers(27, 158, size=(12, 12, 4)).astype(float)


def test_windows_one_pixel_apart_overlap(scene):
    found = windows(split(scene, [(0, 0), (0, 1)], [(1, 0), (6, 6)], [0, 0], [1, 0]))
    assert found.n_pieces == 2
    assert found.largest_piece == 3 / 4
    assert found.test_beside_train == 0.5
    assert found.same_class == 0.0
    assert found.train_neighbours == 1.0
    assert found.vote_accuracy == 0.0


def test_windows_two_pixels_apart_do_not(scene):
    found = windows(split(scene, [(0, 0), (0, 2)], [(2, 0), (1, 1)], [0, 1], [0, 1]))
    assert (found.n_pieces, found.test_beside_train) == (4, 0.0)
    assert np.isnan(found.vote_accuracy)


def test_the_most_frequent_class_around_a_window_wins_the_vote(scene):
    around = [(2, 3), (4, 3), (3, 2)]
    assert windows(split(scene, around, [(3, 3)], [1, 0, 1], [1])).vote_accuracy == 1.0
    assert windows(split(scene, around, [(3, 3)], [1, 0, 0], [1])).vote_accuracy == 0.0


def test_against_naive_comparison(scene):
    corners = np.random.default_rng(1).permutation(100)[:40]
    corners = [(int(c) // 10, int(c) % 10) for c in corners]
    y = np.random.default_rng(2).integers(0, 2, 40)
    found = windows(split(scene, corners[:30], corners[30:], y[:30], y[30:]))
    pairs = [
        (a, b)
        for a in range(30)
        for b in range(30, 40)
        if sum(abs(p - q) for p, q in zip(corners[a], corners[b], strict=True)) == 1
    ]
    assert found.test_beside_train == len({b for _, b in pairs}) / 10
    assert found.same_class == pytest.approx(np.mean([y[a] == y[b] for a, b in pairs]))


def test_the_experiment_counts_a_scene_that_is_wholly_overlapping(tmp_path):
    experiment = find("em-gm/satimage-windows")
    config = experiment.configure("smoke")
    result = experiment.run(config, RunContext(checkpoint=tmp_path, progress=False))
    values = result.rows.set_index("metric")["value"]
    assert values["n_pieces"] == 1
    assert values["test_beside_train"] > 0.9
    assert values["vote_accuracy"] > 0.5
