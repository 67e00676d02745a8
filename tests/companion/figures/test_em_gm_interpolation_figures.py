"""Figures of walks between images: marks, labels, pictures for the slider, the table."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from companion.figures import em_gm_interpolation as figures

ALPHA = np.linspace(0, 1, 4)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def run():
    """Two walks, 0 to 1 and 2 to 3; the second is read as an 8 at its third step."""
    images = np.zeros((2, 4, 5, 6), np.uint8)
    images[1, 2] = 255
    return SimpleNamespace(
        arrays={
            "alpha": ALPHA,
            "ends": np.array([[0, 1], [2, 3]], np.uint8),
            "images, rule": images,
            "classes, rule": np.array([[0, 0, 1, 1], [2, 3, 8, 3]], np.uint8),
            "at an end by alpha, rule": np.array([1, 1, 0.5, 1]),
        }
    )


def test_a_column_is_a_pair_and_strangers_are_marked(run):
    fig = figures.walks({"7a": figures.Walks.of(run, "rule")})
    (axes,) = fig.axes
    sheet = axes.images[0].get_array()
    assert sheet.shape == (4 * 6, 2 * 7)
    assert sheet[12:17, 7:13].max() == 0, "ink is dark: second column, third row"
    (mark,) = axes.patches
    assert (mark.get_x(), mark.get_y()) == (6.5, 11.5)
    assert (mark.get_width(), mark.get_height()) == (6, 5)
    assert [text.get_text() for text in axes.texts] == ["8"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0→1", "2→3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "0.33", "0.67", "1"]


def test_there_is_a_picture_for_every_alpha(run):
    walks = figures.Walks.of(run, "rule")
    pictures = figures.frames({"7a": walks, "7b": walks})
    assert len(pictures) == 4
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert len(set(pictures)) == 2, "only the third step looks different"
    assert not plt.get_fignums()


def test_shares_by_alpha_are_means_over_runs(run):
    other = SimpleNamespace(arrays={**run.arrays, "at an end by alpha, rule": np.zeros(4)})
    alpha, share = figures.mean_by_alpha([run, other], "rule")
    np.testing.assert_array_equal(share, [0.5, 0.5, 0.25, 0.5])
    fig = figures.by_alpha({"rule": (alpha, share)})
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["rule"]


def test_the_table_counts_the_pixels_of_a_set_of_pairs_once():
    def line(model, setting, seed, value):
        same = {"dataset": "mnist", "model": model, "setting": setting, "seed": seed}
        return [{**same, "metric": metric, "value": value} for metric in figures.MEASURES]

    lines = [line("GenMM", "K=7", 0, 0.5), line("GenMM", "K=7", 1, 0.7)]
    lines += [line("pixels", "", 0, 0.3), line("pixels", "", 0, 0.3), line("pixels", "", 1, 0.6)]
    found = figures.shares(pd.DataFrame(sum(lines, [])))
    column = figures.MEASURES["at_an_end"]
    assert found.loc[("GenMM", "K=7"), column] == "0.600\u00a0±\u00a00.141"
    assert found.loc[("pixels", ""), column] == "0.450\u00a0±\u00a00.212"
    single = figures.shares(pd.DataFrame(lines[0]))
    assert single.loc[("GenMM", "K=7"), column] == "0.500"
