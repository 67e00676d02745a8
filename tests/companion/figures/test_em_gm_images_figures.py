"""Figures of mixtures of images and of convergence draw what the runs store."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from companion.figures import convergence
from companion.figures import em_gm_images as figures


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def run(k, model="GenMM", dataset="mnist"):
    return SimpleNamespace(
        config={"n_components": k, "model": model, "dataset": dataset},
        arrays={"curve_epoch": np.arange(3.0), "curve_nll": np.array([2.5, 2.2, 2.0]) - 0.01 * k},
    )


def rows():
    names = [f"{metric}{end}" for metric in figures.QUALITY for end in ("", " low", " high")]
    return pd.DataFrame(
        [
            {"dataset": "mnist", "model": model, "setting": f"K={k}", "seed": seed,
             "metric": name, "value": 2.0 + seed + (name.endswith("high") - name.endswith("low"))}
            for model, sizes in (("GenMM", (1, 3)), ("real images", (1,)))
            for k in sizes for seed in (0, 1) for name in names
        ]
    )  # fmt: skip


def test_every_model_has_a_panel_of_curves_with_one_flow_as_reference():
    fig = figures.curves([run(1), run(3), run(3, "LatMM"), run(1, dataset="digits")], 1.4)
    drawn = {axes.get_title(): len(axes.lines) for axes in fig.axes if axes.lines}
    assert drawn == {"GenMM, MNIST": 2, "LatMM, MNIST": 2, "GenMM, digits, 8 x 8": 1}
    assert min(axes.get_ylim()[0] for axes in fig.axes if axes.lines) >= 1.4


def test_gains_stand_beside_the_published_ones():
    columns = pd.MultiIndex.from_product([(3, 5), ("mean", "error")])
    lines = pd.DataFrame([[0.01, 0.001, 0.02, np.nan]], index=["copies"], columns=columns)
    fig = figures.gains({"mnist": lines}, {"mnist": {3: 0.013, 5: 0.021}})
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert set(labels) == {"copies", "published gain"}
    other = pd.DataFrame([[0.03, 0.001, 0.04, 0.1]], index=["GenMM"], columns=columns)
    both = pd.concat([other, lines])
    fig = figures.gains({"mnist": both, "fashion-mnist": lines}, {})
    colours = [
        {bars.get_label(): bars.lines[0].get_color() for bars in axes.containers}
        for axes in fig.axes
    ]
    assert colours[0]["copies"] == colours[1]["copies"] != colours[0]["GenMM"]
    assert figures.yerror(pd.Series([np.nan, np.nan])) is None
    np.testing.assert_array_equal(figures.yerror(pd.Series([1.0, np.nan])), [1.0, 0.0])


def test_quality_shows_range_and_real_images():
    fig = figures.quality(rows(), "mnist")
    assert len(fig.axes) == 4
    first = fig.axes[0]
    assert {t.get_text() for t in first.get_legend().get_texts()} == {"GenMM", "real images"}
    low, high = first.containers[0].lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == (1.5, 3.5)


def test_samples_are_laid_out_row_by_row():
    images = np.zeros((40, 1, 4, 4), np.uint8)
    images[11] = 255
    fig = figures.samples({"GenMM, K = 3": images})
    sheet = fig.axes[0].images[0].get_array()
    assert sheet.shape == (16, 40)
    assert sheet[4:8, 4:8].min() == 255
    assert sheet.sum() == 16 * 255


def test_falls_of_the_bound_are_marked():
    bound = np.array([0.0, 1.0, 0.5, 2.0, 3.0])
    fig = convergence.bounds({"minibatches": bound, "line search": np.sort(bound)}, (0, 2))
    right = fig.axes[1]
    marked = [line.get_xdata() for line in right.lines if line.get_marker() == "v"]
    np.testing.assert_array_equal(marked[0], [1.0])
    assert len(marked[1]) == 0


def test_weights_have_a_line_for_every_component():
    fig = convergence.weights({"a": np.full((6, 3), 1 / 3), "b": np.full((6, 2), 1 / 2)})
    assert [len(axes.lines) for axes in fig.axes] == [4, 3]
