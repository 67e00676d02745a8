"""Figures draw what they are given, with labels and units."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
from companion import figures
from mixflow.metrics import integral_2d


@pytest.fixture
def series():
    return {
        "ours": pd.DataFrame({"mean": [0.9, 0.95], "std": [0.01, np.nan]}, index=[1, 20]),
        "paper": pd.DataFrame({"mean": [0.91, 0.94], "std": np.nan}, index=[1, 20]),
    }


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_accuracy_by_components(series):
    fig = figures.accuracy_by_components(series, dataset="letter")
    axes, (named,) = fig.axes[0], fig.legends  # outside, where it hides no point
    assert [text.get_text() for text in named.get_texts()] == ["ours", "paper"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "20"]
    assert "letter" in axes.get_ylabel()


def test_a_series_that_was_not_run_keeps_its_colour(series):
    colour = {
        name: [line.get_color() for line in fig.axes[0].get_lines()][-1]
        for name, fig in {
            "all": figures.accuracy_by_components(series, dataset="letter"),
            "one": figures.accuracy_by_components(
                {**series, "ours": series["ours"].iloc[:0]}, dataset="norb"
            ),
        }.items()
    }
    assert colour["all"] == colour["one"]


def test_series_differ_without_colour(series):
    axes = figures.accuracy_by_components(series, dataset="letter").axes[0]
    looks = {(line.get_marker(), line.get_linestyle()) for line in axes.get_lines()[::3]}
    assert len(looks) == 2


def test_accuracy_over_epochs():
    curves = {"K = 1": pd.DataFrame({0: [0.5, 0.9], 1: [0.6, 0.8]}, index=[10, 20])}
    axes = figures.accuracy_over_epochs(curves, dataset="letter").axes[0]
    assert axes.get_lines()[0].get_ydata().tolist() == pytest.approx([0.55, 0.85])


def test_density_covers_the_points_asked_for():
    points = np.array([[0.0, 0.0], [1.0, 2.0], [50.0, 50.0]])
    fig = figures.density(
        lambda x: -(x**2).sum(1), points, labels=np.array([0, 1, 1]), around=points[:2]
    )
    axes = fig.axes[0]
    assert axes.get_xlim()[1] < 2
    assert legend(axes) == ["component 1", "component 2"]


def test_by_components_leaves_other_splits_out():
    index = pd.MultiIndex.from_tuples(
        [("GenMM", "K=20"), ("GenMM", "K=2"), ("GenMM", "K=20 split=1")], names=["model", "setting"]
    )
    summary = pd.DataFrame({"mean": [0.97, 0.96, 0.5]}, index=index)
    assert figures.by_components(summary, "GenMM")["mean"].to_dict() == {2: 0.96, 20: 0.97}
    assert figures.by_components(summary, "none").empty


def test_the_integral_of_a_gaussian_is_one():
    def log_prob(x):
        return -0.5 * (x**2).sum(1) - np.log(2 * np.pi)

    points = np.array([[-3.0, -3.0], [3.0, 3.0]])
    assert integral_2d(log_prob, points) == pytest.approx(1, abs=1e-6)
    with pytest.raises(ValueError, match="shape"):
        integral_2d(log_prob, points[:, :1])


def test_heavy_tails_are_integrated():
    def log_prob(x):  # of two independent t distributions with 2 degrees of freedom
        return -1.5 * np.log1p(x**2 / 2).sum(1) - 3 * np.log(2)

    points = np.array([[-3.0, -3.0], [3.0, 3.0]])
    assert integral_2d(log_prob, points) == pytest.approx(1, abs=1e-3)


def test_ridges_thinner_than_a_cell_are_integrated():
    turned = np.array([[0.8, 0.6], [-0.6, 0.8]])
    calls = []

    def log_prob(x):
        calls.append(len(x))
        return -0.5 * ((x @ turned / [1, 0.04]) ** 2).sum(1) - np.log(2 * np.pi * 0.04)

    points = np.array([[-3.0, -3.0], [3.0, 3.0]])
    assert integral_2d(log_prob, points, resolution=100) == pytest.approx(1, abs=1e-4)
    assert sum(calls) < 10 * 100**2  # where the mass is, not everywhere


def test_sharing_joins_one_flow_to_the_mixture():
    table = pd.DataFrame(
        {
            "way": ["one EM", "apart"],
            "test_largest_responsibility": [0.9, 0.2],
            "mean_flow_test_accuracy": [0.6, 0.8],
            "test_accuracy": [0.95, 0.85],
        }
    )
    fig = figures.sharing({"letter": table, "satimage": table})
    assert [axes.get_title() for axes in fig.axes] == ["letter", "satimage"]
    joined = fig.axes[0].get_lines()[0]
    assert joined.get_ydata().tolist() == [0.6, 0.95]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["one EM", "apart"]


def test_components_of_a_class_stand_in_the_order_of_their_weights():
    typical = np.array([[10, 20], [30, 40]], np.uint8)[..., None, None, None] * np.ones(
        (1, 1, 3, 2, 2), np.uint8
    )
    weights = np.array([[0.3, 0.7], [0.6, 0.4]])
    fig = figures.components_of_classes(typical, weights, ["a", "b"])
    first, second = fig.axes
    assert first.images[0].get_array()[:, 0].tolist() == [20, 20, 10, 10]
    assert second.images[0].get_array()[:, 0].tolist() == [30, 30, 40, 40]
    assert [label.get_text() for label in first.get_yticklabels()] == ["0.70", "0.30"]
    assert first.get_title() == "a"
