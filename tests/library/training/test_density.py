"""Densities that start from a Gaussian mixture: never below it, whatever the table."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from mixflow.flows.started import StartedSplines
from mixflow.mixtures.functional import stacked_score
from mixflow.training.coordinates import normal_marginals, standard_units, strays
from mixflow.training.density import SETTINGS, _divided, _flows, fit_density
from mixflow.training.likelihood import FlowMixtures, Likelihood
from mixflow.training.starts import choose_start

SHORT = replace(SETTINGS, max_epochs=8, patience=4)
THREE = np.array([[0.0, 0], [8, 0], [0, 8]])


def blobs(n, seed=0):
    rng = np.random.default_rng(seed)
    return THREE[rng.integers(3, size=n)] + rng.normal(size=(n, 2))


def crescents(n, seed=0):
    rng = np.random.default_rng(seed)
    angle, side = np.pi * rng.random(n), rng.integers(2, size=n)
    x = np.stack([np.cos(angle) + side, np.sin(angle) * (1 - 2 * side) + 0.4 * side], 1)
    return x + 0.1 * rng.normal(size=(n, 2))


def banana(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return np.stack([x, x**2 + 0.3 * rng.exponential(size=n)], 1)


def tensor(x):
    return torch.as_tensor(np.asarray(x)).double()


def fitted(x, n_components="auto", seed=0, **how):
    how = {"settings": SHORT, **how}
    return fit_density(
        tensor(x), n_components, generator=torch.Generator().manual_seed(seed), **how
    )


def mean(density, x):
    return float(density.mixture.log_prob(tensor(x)).mean())


# Start and guards ----------------------------------------------------------------------------


@pytest.mark.parametrize("coordinates", [standard_units, normal_marginals])
def test_flows_start_at_the_gaussian_mixtures_density(coordinates):
    x = tensor(crescents(200))
    weight, generator = torch.ones(200).double(), torch.Generator().manual_seed(0)
    chosen = choose_start(x, weight, 4, generator=generator, coordinates=[coordinates])
    flow, log_weights = _flows(chosen.folds, StartedSplines, generator)
    module = FlowMixtures(flow, log_weights).double()
    flow.bijections[0].load_state_dict(
        _whitening_of(chosen.folds)  # float32 has rounded it
    )
    module.logits.data = torch.stack([s.mixture.weights.log() for s in chosen.folds])
    data = _divided(x, weight, chosen.folds, chosen.held_out)
    z = torch.stack([start.transform(x)[0] for start in chosen.folds])
    joint = torch.stack([start.mixture.log_joint(start.transform(x)[0]) for start in chosen.folds])
    log_det = torch.stack([start.transform(x)[1] for start in chosen.folds])
    ours = module.eval().log_prob(z, joint) + log_det
    expected = torch.stack([start.log_prob(x)[0] for start in chosen.folds])
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(data.guards[0].double(), expected, rtol=1e-5, atol=1e-5)


def _whitening_of(starts):
    means = torch.cat([start.mixture.means for start in starts])
    factors = torch.cat([start.mixture.precisions_cholesky for start in starts])
    zeros = torch.zeros_like(means)
    return {
        "means": means[:, None],
        "factors": factors,
        "upper": torch.zeros_like(factors),
        "log_diagonal": zeros,
        "shift": zeros[:, None],
    }


def test_components_that_do_not_matter_are_left_out_of_the_flows():
    x = tensor(blobs(300))
    weight, generator = torch.ones(300).double(), torch.Generator().manual_seed(0)
    chosen = choose_start(x, weight, 3, generator=generator)
    module = FlowMixtures(*_flows(chosen.folds, StartedSplines, generator))
    seen = []
    module.flow.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    Likelihood(module, _divided(x, weight, chosen.folds, chosen.held_out), 128).stack()
    assert seen[0] < 40 < 60  # of 60 samples held out, three components


def test_no_epochs_leave_the_gaussian_mixture_and_the_broad_density():
    x = np.random.default_rng(0).normal(size=(300, 2))
    density = fitted(x, 1, coordinates=[standard_units])
    shares = density.shares
    assert density.n_epochs == 0
    assert shares[0] == 0
    assert shares[1] > 0.95
    expected = torch.logsumexp(density.start.log_prob(tensor(x)) + shares[1:, None].log(), 0)
    torch.testing.assert_close(density.mixture.log_prob(tensor(x)), expected)


def test_held_out_samples_never_score_below_the_start():
    for x in (banana(200), blobs(100), np.random.default_rng(0).normal(size=(40, 3))):
        density = fitted(x, 2)
        best = max(density.scores)
        assert density.scores[density.n_epochs] == best >= density.scores[0]
        start = max(density.coordinates.values())
        assert density.scores[0] == pytest.approx(start, abs=1e-4)


def test_a_sample_never_falls_far_below_its_gaussian():
    density = fitted(banana(300), 2)
    assert density.n_epochs > 0
    x = tensor(banana(2000, seed=1) * 1.2)
    least = density.start.log_prob(x)[0] + density.shares[1].log()
    assert (density.mixture.log_prob(x) >= least - 1e-9).all()


def test_what_is_no_gaussian_mixture_is_learned():
    density = fitted(banana(400), 1, settings=SETTINGS)
    fresh = banana(4000, seed=1)
    gaussian = float(density.start.log_prob(tensor(fresh))[0].mean())
    assert mean(density, fresh) > gaussian + 0.5
    assert max(density.scores) == pytest.approx(mean(density, fresh), abs=0.1)


def test_skewed_features_are_made_normal():
    x = np.exp(np.random.default_rng(0).normal(size=(600, 3)))
    density = fitted(x, 1)
    assert max(density.coordinates, key=density.coordinates.get) == "normal_marginals"
    truth = np.exp(np.random.default_rng(1).normal(size=(4000, 3)))
    entropy = -1.5 * (1 + math.log(2 * math.pi))  # and E log x = 0
    assert mean(density, truth) == pytest.approx(entropy, abs=0.3)


def test_a_training_that_goes_astray_leaves_the_gaussians():
    class Broken(StartedSplines):
        def _forward(self, x):
            z, log_det = super()._forward(x)
            return z, log_det * (torch.nan if self.training else 1)

    with pytest.warns(UserWarning, match="Gaussian mixture stays"):
        density = fitted(blobs(100), flow=Broken)
    assert density.n_epochs == 0
    assert math.isfinite(mean(density, blobs(100)))


# Strays and tails ----------------------------------------------------------------------------


@pytest.mark.parametrize(("n_components", "far"), [("auto", 1e4), (1, 1e4), (1, 1e12)])
def test_one_crazy_row_moves_no_other_density(n_components, far):
    clean = blobs(200)
    crazy = clean.copy()
    crazy[17, 1] = far
    fresh = blobs(1000, seed=1)
    before, after = fitted(clean, n_components), fitted(crazy, n_components)
    assert after.n_strays == 1
    assert before.n_strays == 0
    assert mean(after, fresh) == pytest.approx(mean(before, fresh), abs=0.05)
    assert float(after.mixture.log_prob(tensor(crazy))[17]) > -30


def test_many_far_rows_are_no_strays():
    x = blobs(300)
    x[:30, 0] = -999
    assert not strays(tensor(x)).any()
    density = fitted(x)
    assert float(density.mixture.log_prob(tensor(x)).min()) > -30


def test_far_out_the_tails_are_gaussian():
    density = fitted(banana(300), 2)
    scale = tensor(banana(300)).std(0)
    near, far = (density.mixture.log_prob(t * scale[None]) for t in (1e4, 2e4))
    assert near.isfinite().all()
    assert -2e8 < float(near) < -1e6
    assert float(far / near) == pytest.approx(4, rel=0.01)
    assert not density.mixture.log_prob(1e300 * scale[None]).isnan().any()


def test_samples_stay_near_the_data():
    x = crescents(500)
    drawn, component = fitted(x, 5).mixture.sample(20_000, torch.Generator().manual_seed(0))
    z = (drawn.numpy() - x.mean(0)) / x.std(0)
    assert abs(z).max() < 10
    assert (abs(z).max(1) > 3).mean() < 0.02
    np.testing.assert_allclose(drawn.numpy().mean(0), x.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(x.T), atol=0.1)
    assert len(component.unique()) == component.max() + 1


# Tables of every kind ------------------------------------------------------------------------


def tables():
    rng = np.random.default_rng(0)
    x, column = rng.normal(size=(60, 3)), rng.normal(size=(60, 1))
    return {
        "constant column": np.hstack([x, np.full((60, 1), 7.0)]),
        "all constant": np.zeros((30, 2)),
        "collinear": np.hstack([column, 2 * column, x[:, :1]]),
        "rows sum to one": rng.dirichlet(np.ones(4), size=60),
        "0 and 1": (x > 0).astype(float),
        "rounded": x.round(),
        "duplicated rows": np.repeat(x[:6], 10, axis=0),
        "ten rows": x[:10],
        "two rows": x[:2],
        "two equal rows": np.ones((2, 3)),
        "fewer rows than features": rng.normal(size=(12, 20)),
        "Cauchy": rng.standard_cauchy(size=(100, 2)),
        "size 1e100": 1e100 * x,
        "size 1e-100": 1e-100 * x,
        "far from zero": 1e9 + x,
        "one feature": x[:, :1],
    }


@pytest.mark.parametrize("name", tables())
def test_any_table_gets_a_density(name):
    x = tensor(tables()[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        density = fitted(x)
    assert density.mixture.log_prob(x).isfinite().all()
    assert not density.mixture.log_prob(x + 1e6 * (1 + x.abs())).isnan().any()
    assert density.mixture.sample(100, torch.Generator().manual_seed(0))[0].isfinite().all()
    assert all(map(math.isfinite, density.scores))


def test_collinear_columns_are_no_disaster_a_little_aside():
    rng = np.random.default_rng(0)
    column = rng.normal(size=(300, 1))
    density = fitted(np.hstack([column, 2 * column]), 1)
    fresh = rng.normal(size=(300, 1)) * [1, 2]
    aside = fresh + [0.002, 0]  # a thousandth of an sd
    assert mean(density, aside) > -15


def test_units_do_not_matter():
    x, shift, scale = banana(200), np.array([1e3, -5.0]), np.array([1e-3, 1e4])
    plain, moved = fitted(x, 2), fitted(shift + scale * x, 2)
    assert plain.n_epochs == moved.n_epochs
    fresh = banana(200, seed=1)
    log_scale = np.log(scale).sum()
    assert mean(moved, shift + scale * fresh) == pytest.approx(
        mean(plain, fresh) - log_scale, abs=1e-2
    )


def test_samples_of_weight_zero_are_not_there():
    x = np.concatenate([blobs(150), 100 + blobs(50)])
    weight = torch.cat([torch.ones(150), torch.zeros(50)])
    with_zeros, without = fitted(x, 3, sample_weight=weight), fitted(x[:150], 3)
    torch.testing.assert_close(
        with_zeros.mixture.log_prob(tensor(x)), without.mixture.log_prob(tensor(x))
    )


# Randomness ----------------------------------------------------------------------------------


def test_a_seed_gives_the_same_bits_and_no_global_state_moves():
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second, other = (fitted(banana(200), 2, seed=seed) for seed in (0, 0, 1))
    assert first.scores == second.scores
    assert first.n_epochs > 0
    state = second.mixture.state_dict()
    for name, value in first.mixture.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert first.scores != other.scores
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


def test_threads_change_no_choice_and_a_density_by_rounding_alone():
    threads, found = torch.get_num_threads(), []
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            found.append(fitted(banana(200), 2))
    finally:
        torch.set_num_threads(threads)
    x = tensor(banana(100, seed=1))
    log_prob = [density.mixture.log_prob(x) for density in found]
    torch.testing.assert_close(*log_prob, rtol=1e-3, atol=1e-3)
    assert found[0].n_epochs == found[1].n_epochs


@pytest.mark.parametrize(
    ("x", "n_components", "message"),
    [
        (np.array([[1.0], [np.nan]]), "auto", "finite"),
        (np.ones((1, 2)), "auto", "at least 2 samples"),
        (blobs(5), 6, "n_components must be from 1"),
        (1e200 * blobs(20), "auto", "divide the features"),
    ],
)
def test_what_cannot_be_fitted_is_refused(x, n_components, message):
    with pytest.raises(ValueError, match=message):
        fitted(x, n_components)


def test_scores_are_of_the_best_shares():
    log_prob = torch.tensor([[-1.0, -9.0], [-9.0, -1.0]]).double()
    assert stacked_score(log_prob, torch.ones(2).double()) > -1.0 + math.log(0.5) - 1e-9
