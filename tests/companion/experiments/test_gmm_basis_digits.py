"""Digits from densities of codes: sliced Wasserstein, samplers, measures, and one small run."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm

mpl.use("Agg")
import matplotlib.pyplot as plt

from companion.figures import basis_digits as figures
from companion.gmm_basis import digit_densities, digits
from companion.gmm_basis.digit_codes import draw_digits
from companion.gmm_basis.digit_densities import Sizes, methods, mixed
from companion.gmm_basis.digit_measures import by_digit
from companion.gmm_basis.sliced_wasserstein import (
    SlicedWassersteinGMM,
    mixture_quantiles,
    sample_quantiles,
)
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from companion.runs.stale import is_retired

EXPERIMENT = find("gmm-basis/digits")
SIZES = Sizes(n_components=50, n_mixture=3, sliced_steps=150)


# Sliced Wasserstein ---------------------------------------------------------------------------


def mixture():
    """Three normals along two directions, float64: levels, weights, means, sds."""
    means = torch.tensor([[-2.0, 0.1, 3.0], [0.0, 0.5, 0.6]], dtype=torch.float64)
    sds = torch.tensor([[0.8, 1.0, 0.7], [0.3, 0.3, 2.0]], dtype=torch.float64)
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    return torch.linspace(0.01, 0.99, 21, dtype=torch.float64), weights, means, sds


def quantile(level, weights, means, sds):
    return brentq(lambda q: norm.cdf(q, means, sds) @ weights - level, -20, 20)


def test_quantiles_of_mixtures_invert_the_distribution():
    levels, weights, means, sds = mixture()
    found = mixture_quantiles(levels, weights, means, sds).numpy()
    for line, mean, sd in zip(found, means.numpy(), sds.numpy(), strict=True):
        for value, level in zip(line, levels.numpy(), strict=True):
            assert value == pytest.approx(quantile(level, weights.numpy(), mean, sd), abs=1e-6)


def test_gradients_of_quantiles_are_those_of_finite_differences():
    levels, weights, means, sds = mixture()
    parts = [t.requires_grad_() for t in (weights.log(), means, sds)]

    def quantiles(logits, m, s):
        return mixture_quantiles(levels, logits.softmax(0), m, s)

    assert torch.autograd.gradcheck(
        quantiles, [t.detach().requires_grad_() for t in parts], eps=1e-4, atol=2e-3
    )


def test_quantiles_of_samples_are_the_samples_at_their_own_levels():
    x = torch.tensor([[3.0, 1.0, 2.0, 4.0]])
    levels = torch.tensor([0.125, 0.375, 0.5, 0.875])
    torch.testing.assert_close(sample_quantiles(x, levels), torch.tensor([[1.0, 2.0, 2.5, 4.0]]))


def test_sliced_wasserstein_recovers_a_mixture():
    rng = np.random.default_rng(0)
    means = np.array([[-4.0, 0.0], [4.0, 10.0], [4.0, -10.0]])
    x = np.repeat(means, (200, 400, 600), axis=0) + rng.normal(size=(1200, 2))
    model = SlicedWassersteinGMM(3, n_steps=150).fit(x)
    order = [np.linalg.norm(model.means_ - m, axis=1).argmin() for m in means]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(model.means_[order], means, atol=0.3)
    np.testing.assert_allclose(model.weights_[order], [1 / 6, 1 / 3, 1 / 2], atol=0.02)
    assert model.history_[-20:].mean() < 0.05 * model.history_[0]
    drawn, component = model.sample(600)
    assert drawn.shape == (600, 2)
    np.testing.assert_array_equal(component, np.sort(component))


# Densities of codes ---------------------------------------------------------------------------


def codes(n=2000):
    """Correlated codes, (N, 3): 2 z, z + noise, noise."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=n)
    return np.column_stack([2 * z, z + 0.1 * rng.normal(size=n), rng.normal(size=n)])


@pytest.mark.parametrize("name", methods(SIZES))
def test_methods_keep_what_they_promise(name):
    x = codes()
    sample = methods(SIZES)[name](x, 0)
    drawn = sample(1500)
    assert drawn.shape == (1500, 3)
    np.testing.assert_array_equal(drawn, sample(1500))
    np.testing.assert_allclose(drawn.mean(0), x.mean(0), atol=0.15)
    np.testing.assert_allclose(drawn.std(0), x.std(0), rtol=0.1)
    correlation = np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]
    if name in (digit_densities.PAPER, digit_densities.SHUFFLED, "diagonal Gaussian"):
        assert abs(correlation) < 0.1, "dimensions are independent"
    elif name != "basis, clusters":
        assert correlation > 0.9, "dimensions go together"


def test_mixes_take_each_dimension_from_one_of_the_two():
    one, other = np.zeros((4, 500, 8)), np.ones((4, 500, 8))
    half = mixed(one, other, 0)
    assert set(np.unique(half)) == {0.0, 1.0}
    assert half.mean() == pytest.approx(0.5, abs=0.02)
    assert mixed(one, other, 0, 0.2).mean() == pytest.approx(0.2, abs=0.02)
    np.testing.assert_array_equal(mixed(one, other, 0, 0.0), one)


def test_pairs_use_every_sample_once():
    samples = np.arange(10 * 18).reshape(10, 18, 1)
    pairs = np.array([(a, b) for a in range(10) for b in range(a + 1, 10)])
    one, other = digits._pairs(samples, pairs)
    assert one.shape == other.shape == (45, 2, 1)
    np.testing.assert_array_equal(one[:, 0, 0] // 18, pairs[:, 0])
    np.testing.assert_array_equal(other[:, 0, 0] // 18, pairs[:, 1])
    used = np.concatenate([one.ravel(), other.ravel()])
    np.testing.assert_array_equal(np.sort(used), np.arange(180))


# Data and one run -----------------------------------------------------------------------------


def test_judge_and_discriminator_learn_from_other_images():
    part = draw_digits("digits", 0, n_train=600, n_other=290)
    seen = {image.tobytes() for image in part.x_judge}
    assert len(part.x_discriminator) == len(part.x_judge) == 290
    assert not seen & {image.tobytes() for image in part.x_discriminator}
    assert part.x.max() == 1.0
    with pytest.raises(ValueError, match="must each be at most"):
        draw_digits("digits", 0, n_train=600, n_other=5000)
    with pytest.raises(ValueError, match="has only"):
        by_digit(part.x_test, part.y_test, 5000)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    config = EXPERIMENT.configure(
        "smoke", latent_size=4, epochs=30, discriminator_steps=150, judge_steps=250, keep=True,
        sliced_steps=5, n_generated=30, n_near=20, n_mixed=6,
    )  # fmt: skip
    return digits.run(config, RunContext(tmp_path_factory.mktemp("run"), progress=False))


def test_a_run_measures_every_method_and_control(result):
    table = result.rows.pivot(index="model", columns="metric", values="value")
    for name in (*methods(SIZES), digits.TEST, digits.REBUILT):
        assert 0 <= table.loc[name, "accuracy"] <= 1
        assert table.loc[name, "frechet_to_test"] >= -1e-6
    assert table.loc[digits.TEST, "accuracy"] > 0.6
    assert table.loc[digits.TEST, "frechet_to_test"] == pytest.approx(0, abs=1e-6)
    assert table.loc[digits.TEST, "diversity"] == pytest.approx(1)
    assert table.loc["resampled codes, unmixed", "third"] < 0.7
    assert 0 <= table.loc["basis, mixed", "both"] <= 1
    assert not any(is_retired(metric) for metric in table.columns)
    assert {f"cpu seconds, {name}" for name in methods(SIZES)} < set(result.costs)


def test_a_run_keeps_images_for_the_figures(result):
    shown = result.arrays["images, EM-GMM"]
    assert shown.shape == (10, digits.SHOWN, 8, 8)
    assert shown.dtype == np.uint8
    half = result.arrays["mixed 50 %, basis"]
    assert half.shape == (len(digits.SHOWN_PAIRS), digits.SHOWN, 8, 8)
    area = np.trapezoid(result.arrays["curve density, 3"], result.arrays["curve x, 3"], axis=1)
    np.testing.assert_allclose(area, 1, atol=0.1)


def test_figures_draw_what_a_run_keeps(result):
    fig = figures.code_densities(result.arrays, (3, 8), n_dimensions=4)
    assert [axes.get_title() for axes in fig.axes][3:5] == ["3, dimension 4", "8, dimension 1"]
    assert len(figures.digits_by_method(result.arrays, ["basis", "EM-GMM", "SW-GMM"]).axes) == 4
    frames = figures.mix_frames(result.arrays, (0, 50), {"basis": "as published"})
    assert len(frames) == 2
    assert frames[0] != frames[1]
    plt.close("all")


def test_tables_have_a_line_for_every_method(result):
    run = SimpleNamespace(
        config={"latent_size": 4}, rows=result.rows, provenance={"costs": result.costs}
    )
    table = figures.measures([run], 4)
    assert {*methods(SIZES), digits.TEST} < set(table.index)
    assert table.loc["resampled codes", "fit (s)"] == ""
    assert figures.means([run], 4).loc[digits.TEST, "diversity"] == pytest.approx(1)
    settings = [result.rows.assign(setting=f"latent size {size}") for size in (32, 8)]
    pairs = figures.pair_table(pd.concat(settings))
    assert list(pairs.columns.get_level_values(1)) == ["d = 8", "d = 32"] * 2
    claims = figures.paper_claims(pd.concat(settings))
    assert list(claims.columns) == ["latent size 8", "latent size 32"]
    table = result.rows.pivot(index="model", columns="metric", values="value")["accuracy_8"]
    beaten = table["basis"] > table[["EM-GMM", "SW-GMM"]].max()
    assert claims.loc["8 is read as 8 more often", "latent size 8"] == f"{int(beaten)} of 1"
