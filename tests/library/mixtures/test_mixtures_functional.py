"""Pure functions: posteriors, Q, the lower bound, priors, draws."""

import math

import pytest
import torch

from mixflow.mixtures import functional as f


@pytest.fixture
def log_prob():
    torch.manual_seed(0)
    return torch.randn(50, 4, dtype=torch.double) * 5


@pytest.fixture
def log_weights():
    return torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.double).log()


def test_standard_normal():
    z = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.double)
    expected = torch.tensor([0.0, -2.5]).double() - math.log(2 * math.pi)
    torch.testing.assert_close(f.standard_normal_log_prob(z), expected)


def test_posterior_is_bayes_rule():
    log_prob = torch.tensor([[0.2, 0.5]], dtype=torch.double).log()
    log_weights = torch.tensor([0.75, 0.25], dtype=torch.double).log()
    # 0.75 * 0.2 = 0.15 against 0.25 * 0.5 = 0.125
    expected = torch.tensor([[0.15, 0.125]], dtype=torch.double) / 0.275
    torch.testing.assert_close(f.posterior(log_prob, log_weights), expected)


def test_temperature_divides_log_densities_and_leaves_the_prior():
    log_prob = torch.tensor([[-16.0, -8.0]], dtype=torch.double)
    log_weights = torch.tensor([0.75, 0.25], dtype=torch.double).log()
    odds = 3 * math.exp(-8 / 16)  # T = D = 16
    expected = torch.tensor([[odds / (1 + odds), 1 / (1 + odds)]], dtype=torch.double)
    torch.testing.assert_close(f.posterior(log_prob, log_weights, 16.0), expected)


@pytest.mark.parametrize("temperature", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("values", [(-1e30, 1e30), (-math.inf, -3.0), (-math.inf, -math.inf)])
def test_posterior_survives_extremes(values, temperature):
    log_weights = torch.tensor([0.3, 0.7], dtype=torch.double).log()
    r = f.posterior(torch.tensor([values], dtype=torch.double), log_weights, temperature)
    assert r.isfinite().all()
    assert r.sum().item() == pytest.approx(1)
    if values[1] == -math.inf:
        torch.testing.assert_close(r[0], log_weights.exp())
    elif temperature == 1:
        assert r[0].tolist() == [0, 1]


def test_posterior_accepts_a_weight_of_zero(log_prob):
    log_weights = torch.tensor([0.0, 0.5, 0.5, 0.0], dtype=torch.double).log()
    r = f.posterior(log_prob, log_weights)
    assert (r[:, [0, 3]] == 0).all()
    torch.testing.assert_close(r.sum(1), torch.ones(50).double())


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_must_be_positive(log_prob, log_weights, temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        f.posterior(log_prob, log_weights, temperature)


def test_q_by_hand_and_without_nan():
    log_joint = torch.tensor([[-1.0, -math.inf], [-2.0, -3.0]], dtype=torch.double)
    r = torch.tensor([[1.0, 0.0], [0.25, 0.75]], dtype=torch.double)
    expected = torch.tensor([-1.0, -2.75], dtype=torch.double)
    torch.testing.assert_close(f.q_function(log_joint, r), expected)
    assert f.q_function(log_joint, r.flip(1))[0] == -math.inf


def test_entropy_by_hand():
    r = torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.double)
    expected = torch.tensor([math.log(2), 0.0], dtype=torch.double)
    torch.testing.assert_close(f.entropy(r), expected)


def test_the_bound_is_tight_at_the_exact_posterior_only(log_prob, log_weights):
    log_joint = log_prob + log_weights
    log_p = torch.logsumexp(log_joint, 1)
    exact = f.lower_bound(log_joint, f.posterior(log_prob, log_weights))
    torch.testing.assert_close(exact, log_p)
    other = torch.softmax(torch.randn(50, 4, dtype=torch.double), 1)
    assert (f.lower_bound(log_joint, other) < log_p - 1e-6).all()
    tempered = f.lower_bound(log_joint, f.posterior(log_prob, log_weights, 4.0))
    assert (tempered <= log_p + 1e-12).all()


def test_weights_are_the_mean_responsibility():
    r = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], dtype=torch.double)
    assert f.update_weights(r).tolist() == [0.5, 0.5]
    weighted = f.update_weights(r, torch.tensor([3.0, 0.0, 1.0], dtype=torch.double))
    assert weighted.tolist() == [0.75, 0.25]


def test_integer_sample_weights_are_repetitions():
    torch.manual_seed(0)
    r = torch.softmax(torch.randn(2, 6, 3, dtype=torch.double), 2)
    times = torch.tensor([0, 1, 2, 3, 1, 0])
    weighted = f.update_weights(r, times.double().expand(2, 6))
    torch.testing.assert_close(weighted, f.update_weights(r.repeat_interleave(times, 1)))
    torch.testing.assert_close(weighted.sum(1), torch.ones(2).double())


def test_weights_maximise_q(log_prob, log_weights):
    r = f.posterior(log_prob, log_weights)
    best = f.q_function(log_prob + f.update_weights(r).log(), r).sum()
    torch.manual_seed(1)
    for other in torch.softmax(torch.randn(20, 4, dtype=torch.double), 1):
        assert f.q_function(log_prob + other.log(), r).sum() < best


def counts(weights, size):
    drawn = f.systematic_draw(weights, size)
    assert drawn.shape == (len(weights), size)
    return torch.stack([torch.bincount(row, minlength=weights.shape[1]) for row in drawn])


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_equal_weights_draw_a_permutation(n):
    torch.manual_seed(0)
    for _ in range(20):
        assert (counts(torch.full((3, n), 0.3), n) == 1).all()


def test_counts_are_floor_or_ceil():
    torch.manual_seed(0)
    weights = torch.rand(4, 11) ** 3
    expected = 30 * weights.double() / weights.double().sum(1, keepdim=True)
    for _ in range(50):
        drawn = counts(weights, 30)
        assert (drawn >= expected.floor()).all()
        assert (drawn <= expected.ceil()).all()


def test_draws_are_unbiased_and_in_random_order():
    torch.manual_seed(0)
    weights = torch.tensor([[0.1, 0.6, 0.3]])
    draws = torch.cat([f.systematic_draw(weights, 2) for _ in range(4000)])
    for column in range(2):
        share = torch.bincount(draws[:, column], minlength=3) / 4000
        torch.testing.assert_close(share, weights[0], rtol=0, atol=0.04)


@pytest.mark.parametrize("dtype", [torch.float, torch.double])
def test_zero_weights_are_never_drawn(dtype):
    torch.manual_seed(0)
    weights = torch.rand(5, 40, dtype=dtype)
    weights[:, ::2] = 0
    weights[0, 1:] = 0  # what is left is the first...
    weights[0, 0] = 1e-30
    weights[1, :-1] = 0  # ... and the last
    for _ in range(50):
        drawn = f.systematic_draw(weights, 99)
        assert (weights.gather(1, drawn) > 0).all()


def test_a_point_at_the_end_stays_inside(monkeypatch):
    """The largest possible start, with trailing zeros and a sum that is not exact."""
    monkeypatch.setattr(
        torch,
        "rand",
        lambda *shape, generator=None, **how: (
            torch.full(shape[:2], 1 - 2**-53, **how)
            if isinstance(shape[0], int)
            else torch.zeros(shape[0])
        ),
    )
    weights = torch.tensor([[0.1] * 10 + [0.0, 0.0]])
    assert f.systematic_draw(weights, 10).max() == 9


def test_long_rows_keep_their_tail():
    torch.manual_seed(0)
    n = 2_000_000
    weights = torch.ones(1, n)
    weights[0, -10:] = 1e3  # in float32 sums this long round by a whole weight
    drawn = f.systematic_draw(weights, n)[0]
    share = (drawn >= n - 10).sum().item() / n
    assert share == pytest.approx(1e4 / (n - 10 + 1e4), abs=10 / n)
