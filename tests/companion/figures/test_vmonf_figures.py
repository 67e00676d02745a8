"""Figures of mixtures with a neural posterior draw what they are given."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

mpl.use("Agg")
import matplotlib.pyplot as plt

from companion import figures
from companion.figures import regions
from mixflow.metrics import contingency_table


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (400, 2)), rng.integers(3, size=400)


def halves(x):
    """Return a posterior that says component 2 where the first feature is positive."""
    right = 1 / (1 + np.exp(-20 * x[:, 0]))
    return np.column_stack((1 - right, right))


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def numbers(axes):
    return {text.get_text(): text.get_position()[0] for text in axes.texts}


def test_posterior_from_a_function_and_from_a_grid_agree(data):
    x, y = data
    by_function = figures.data_and_posterior(x, y, halves, resolution=40)
    _, _, nodes = figures.plane(x, 40)
    grid = np.round(halves(nodes) * 255).astype(np.uint8).reshape(40, 40, 2)
    by_grid = figures.data_and_posterior(x, y, grid)
    pictures = [fig.axes[1].images[0].get_array() for fig in (by_function, by_grid)]
    assert np.allclose(*pictures, atol=0.01)
    assert [a.get_xlim() for a in by_function.axes] == [by_grid.axes[0].get_xlim()] * 2


def test_regions_are_numbered_and_bordered(data):
    axes = figures.data_and_posterior(*data, halves, resolution=41).axes[1]
    places = numbers(axes)
    assert set(places) == {"1", "2"}
    assert places["1"] < 0 < places["2"]
    left, right = (axes.images[0].get_array()[20, column] for column in (2, -3))
    assert np.allclose(left, regions.colours(np.array([1.0, 0.0])), atol=0.01)
    assert np.allclose(right, regions.colours(np.array([0.0, 1.0])), atol=0.01)
    borders = [
        p for c in axes.collections if not isinstance(c, PathCollection) for p in c.get_paths()
    ]
    assert np.abs(np.concatenate([path.vertices for path in borders])[:, 0]).max() < 0.05


def test_every_piece_of_a_component_has_a_number():
    shares = np.zeros((30, 30, 2), np.uint8)
    shares[..., 1] = 255
    shares[:, :8] = shares[:, 22:] = [255, 0]
    _, axes = plt.subplots()
    lines = (np.arange(30.0), np.arange(30.0))
    drawn = regions.draw_regions(axes, lines, shares)
    assert sorted(text.get_text() for text in axes.texts) == ["1", "1", "2"]
    for artist in drawn:
        artist.remove()
    assert not axes.texts
    assert not axes.images
    assert not axes.collections


def test_regions_reject_what_does_not_fit():
    _, axes = plt.subplots()
    lines = (np.arange(4.0), np.arange(5.0))
    with pytest.raises(ValueError, match="do not fit 5 grid lines y and 4 lines x"):
        regions.draw_regions(axes, lines, np.ones((4, 5, 1)))
    with pytest.raises(ValueError, match=r"\(G_y, G_x, K\)"):
        regions.draw_regions(axes, lines, np.ones((5, 4)))
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        regions.draw_regions(axes, lines, np.full((5, 4, 1), 255.0))


def test_unlabelled_points_stand_apart(data):
    x, y = data
    partly = np.where(np.arange(400) < 30, y, -1)
    clouds = figures.data_and_posterior(x, partly, halves, resolution=20).axes[0].collections
    sizes = {c.get_label(): (len(c.get_offsets()), c.get_sizes()[0]) for c in clouds}
    assert sizes["unlabelled"] == (370, 4)
    assert sum(n for name, (n, _) in sizes.items() if name != "unlabelled") == 30
    assert sizes["class 0"][1] > 30


def test_many_points_are_thinned(data):
    x, y = data
    axes = figures.data_and_posterior(x, y, halves, resolution=20, max_points=100).axes
    assert len(axes[1].collections[-1].get_offsets()) == 100


def test_looks_differ_for_a_long_time():
    assert len({regions.look(c) for c in range(49)}) == 49


def test_samples_have_markers_and_the_limits_of_the_data(data):
    x, _ = data
    component = np.repeat([0, 2], 200)
    fig = figures.samples_by_component(10 * x, component, around=x, n_components=4)
    assert legend(fig.axes[0]) == [f"component {c}" for c in (1, 2, 3, 4)]
    limits = figures.data_and_posterior(x, component, halves, resolution=20).axes[0].get_xlim()
    assert fig.axes[0].get_xlim() == pytest.approx(limits)
    assert fig.axes[0].get_aspect() == 1


def test_success_over_seeds_counts():
    table = pd.DataFrame(
        {
            "recipe": ["published"] * 3 + ["k-means start"] * 2,
            "seed": [2, 0, 1, 0, 1],
            "accuracy": [0.99, 0.7, 0.985, 0.99, 0.995],
        }
    )
    axes = figures.success_over_seeds(table, target=0.985).axes[0]
    assert [t.get_text() for t in axes.texts] == ["2 of 3", "2 of 2"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["published", "k-means start"]
    dots = np.concatenate([c.get_offsets() for c in axes.collections])
    first = dots[dots[:, 0] < 0.5]
    assert first[first[:, 0].argsort(), 1].tolist() == [0.7, 0.985, 0.99], "by seed"
    with pytest.raises(ValueError, match=r"lacks \['recipe'\]"):
        figures.success_over_seeds(table.drop(columns="recipe"), target=0.9)


def test_training_curves_draw_the_gap():
    steps = pd.Index([0, 100, 200], name="step")
    plain = pd.DataFrame({"elbo": [0.0, 0.5, 0.9], "log_prob": [0.5, 0.7, 1.0]}, index=steps)
    fig = figures.training_curves({"T = 1": plain, "annealed": plain.assign(temperature=0.5)})
    gap, temperature = fig.axes[1], fig.axes[2]
    assert gap.get_lines()[0].get_ydata().tolist() == pytest.approx([0.5, 0.2, 0.1])
    assert gap.get_yscale() == "log"
    assert len(temperature.get_lines()) == 1
    assert gap.get_xlabel() == "step"
    assert legend(gap) == ["T = 1", "annealed"]
    exact = figures.training_curves(plain.assign(elbo=plain["log_prob"]))
    assert len(exact.axes) == 2
    assert exact.axes[1].get_yscale() == "linear", "a gap of 0 has no logarithm"


def test_contingency_sorts_components_by_class():
    y = np.repeat([0, 1, 2], 10)
    found = contingency_table(y, np.r_[[3] * 10, [-1] * 2, [0] * 8, [2] * 10], n_components=4)
    table = pd.DataFrame(np.column_stack([found.unassigned, found.counts]), columns=range(-1, 4))
    axes = figures.contingency(table, label="digit").axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["4", "1", "3", "2", "none"]
    cells = {t.get_position(): t.get_text() for t in axes.texts}
    assert cells == {(0.5, 0.5): "10", (1.5, 1.5): "8", (4.5, 1.5): "2", (2.5, 2.5): "10"}
    shades = axes.collections[0].get_array()
    assert shades[1].tolist() == [0, 0.8, 0, 0, 0.2]


def test_image_grid_lays_out_lines():
    images = np.zeros((2, 3, 1, 4, 5))
    images[1, 2] = 1.0
    axes = figures.image_grid(images).axes[0]
    sheet = axes.images[0].get_array()
    assert sheet.shape == (2 * 6, 3 * 7)
    assert (sheet[7:11, 15:20] == 1).all()
    assert (sheet[1:5, 1:6] == 0).all()
    assert [t.get_text() for t in axes.get_yticklabels()] == ["component 1", "component 2"]
    with pytest.raises(ValueError, match="must have shape"):
        figures.image_grid(np.zeros((2, 4, 5)))
    with pytest.raises(ValueError, match="1 names for 2 lines"):
        figures.image_grid(images, names=["a"])
