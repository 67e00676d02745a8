"""Figures and tables of the generative classifier's page show what rows and arrays say."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from companion.em_gm.classifier import summary
from companion.figures import classifier as figures


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def legend(owner):
    return [text.get_text() for text in owner.texts]


def rows(*lines):
    return pd.DataFrame(lines, columns=["model", "setting", "seed", "metric", "value"])


def test_reliability_leaves_small_bins_out():
    bins = np.array([[0.2, 0.9, 3], [0.6, 0.5, 100], [0.9, 0.8, 200]])
    fig = figures.reliability({"as fitted": {"flows": bins}})
    (panel,) = fig.axes
    diagonal, line = panel.get_lines()
    np.testing.assert_allclose(line.get_xdata(), [0.6, 0.9])
    np.testing.assert_allclose(line.get_ydata(), [0.5, 0.8])
    assert diagonal.get_label() != line.get_label()


def test_coverage_shows_errors():
    fig = figures.accuracy_coverage({"flows": np.array([[0.5, 1.0], [1.0, 0.9]])}, dataset="Letter")
    axes = fig.axes[0]
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), [0, 0.1])
    assert "Letter" in axes.get_ylabel()


def test_strangers_have_a_panel_for_each_model():
    rng = np.random.default_rng(0)
    kinds = {"held out": rng.normal(2, 0.1, 100), "Fashion-MNIST": rng.normal(5, 1, 100)}
    fig = figures.strangers({"MNIST, K = 1": kinds, "MNIST, K = 7": kinds})
    assert [ax.get_title() for ax in fig.axes] == [
        "fitted to MNIST, K = 1",
        "fitted to MNIST, K = 7",
    ]
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == list(kinds)
    plt.close(fig)


def test_the_best_score_of_unseen_classes_stands_on_top():
    aurocs = pd.DataFrame({"mean": [0.95, 0.7], "std": [0.01, np.nan]}, index=["density", "other"])
    rng = np.random.default_rng(0)
    fig = figures.unseen_classes(rng.normal(size=50), rng.normal(size=50) - 3, aurocs)
    labels = [tick.get_text() for tick in fig.axes[1].get_yticklabels()]
    assert labels == ["other", "density"]


def test_priors_are_sorted_with_their_classes():
    fig = figures.priors(
        np.array([0.1, 0.7, 0.2]), {"EM": np.array([0.2, 0.6, 0.2])}, classes=("a", "b", "c")
    )
    axes = fig.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["b", "c", "a"]
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), [0.6, 0.2, 0.2])


def test_growth_and_missing_features_draw_every_series():
    table = pd.DataFrame({"mean": [0.9, 0.8], "std": np.nan, "seconds": [1.0, 2.0]}, index=[8, 9])
    fig = figures.growth({"added": table, "anew": table.tail(1)})
    assert legend(fig.legends[0]) == ["added", "anew"]
    assert fig.axes[1].get_yscale() == "log"
    axes = figures.missing_features({"flows": table}, dataset="Letter").axes[0]
    assert axes.get_xticks().tolist() == [8, 9]


def test_profiles_name_features_and_shares():
    fig = figures.component_profiles(
        np.ones((2, 3)), np.zeros(3), np.array([0.25, 0.75]), features=("x", "y", "width")
    )
    axes = fig.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["x", "y", "width"]
    assert legend(fig.legends[0])[1:] == ["component 1 (25%)", "component 2 (75%)"]


def test_a_table_has_means_and_spreads():
    shown = summary.table(
        rows(
            ("GenMM", "as fitted", 0, "accuracy", 0.9),
            ("GenMM", "as fitted", 1, "accuracy", 0.8),
            ("GenMM", "as fitted", 0, "other", 5.0),
            ("random forest", "as fitted", 0, "log_loss", 0.123),
        ),
        summary.CALIBRATION,
    )
    assert shown["model"].tolist() == ["mixture of flows", "random forest"]
    assert shown["accuracy"].tolist() == ["0.8500\u00a0±\u00a00.0707", ""]
    assert shown["log loss (nats)"].tolist() == ["", "0.123"]


def test_growth_joins_accuracies_with_costs():
    found = summary.growth(
        [
            SimpleNamespace(provenance={"costs": {"GenMM, classes added, 8 classes": s}})
            for s in (2, 3)
        ],
        rows(
            ("GenMM", "classes added, 8 classes", 0, "accuracy_so_far", 0.9),
            ("GenMM", "classes added, 8 classes", 1, "accuracy_so_far", 0.7),
        ),
    )
    line = found["mixture of flows, classes added"].loc[8]
    assert line[["mean", "seconds"]].tolist() == pytest.approx([0.8, 2.0])


def test_pooled_bins_weigh_seeds_by_their_samples():
    empty = [np.nan, np.nan, 0]
    runs = [
        SimpleNamespace(arrays={"reliability, m, s": np.array(bins)})
        for bins in ([[0.5, 0.4, 30], empty], [[0.6, 0.8, 10], [0.9, 1.0, 5]])
    ]
    pooled = summary.pooled_bins(runs, "m", "s")
    np.testing.assert_allclose(pooled, [[0.525, 0.5, 40], [0.9, 1.0, 5]])


def test_missing_features_by_model_and_way():
    found = summary.missing(
        rows(
            ("GenMM", "2 missing, marginal", 0, "accuracy_missing", 0.9),
            ("GenMM", "2 missing, mean imputed", 0, "accuracy_missing", 0.6),
            ("GenMM", "4 missing, marginal", 0, "accuracy_missing", 0.8),
        )
    )
    assert found["mixture of flows, marginal"]["mean"].to_dict() == {2: 0.9, 4: 0.8}
    assert found["mixture of flows, mean imputed"]["mean"].to_dict() == {2: 0.6}


def test_the_class_whose_components_differ_most():
    means = np.zeros((2, 2, 3))
    means[1] = [[1.0, 0, 0], [-1.0, 0, 0]]
    arrays = {
        "component means": means,
        "component weights": np.full((2, 2), 0.5),
        "class means": np.zeros((2, 3)),
    }
    assert summary.most_divided(SimpleNamespace(arrays=arrays)) == 1
