"""Couplings by splines, their networks, and the flows made of them."""

import math

import pytest
import torch

from mixflow.datasets import pinwheel
from mixflow.flows import SplineCoupling, SplineFlow, VectorFlow
from mixflow.flows.row_networks import Dropout, RowNetwork
from mixflow.mixtures import GenMM

BOUND = 4.0


def values(n_values, scale=3.0, dtype=torch.double, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(n_values, generator=generator, dtype=torch.double)).to(dtype)


def flow(n_features, k=3, dtype=torch.double, **settings):
    generator = torch.Generator().manual_seed(0)
    return SplineFlow(k, n_features, generator=generator, **settings).to(dtype)


def one_coupling(n_features, k=1):
    n_first = n_features // 2
    generator = torch.Generator().manual_seed(0)
    network = RowNetwork(k, n_first, 23 * (n_features - n_first), bound=BOUND, generator=generator)
    return SplineCoupling(k, (n_features,), network)


@pytest.mark.parametrize("dtype", [torch.double, torch.float])
@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_a_flow_starts_at_the_gaussian_of_its_data(n_features, dtype):
    x = 3 * values(2 * 400 * n_features, 1.0).view(2, 400, n_features) + 7
    start = flow(n_features, k=2, dtype=dtype, reg_covar=1e-12)
    z = start.initialize(x.to(dtype))
    log_prob = (
        -0.5 * (z.square().sum(2) + n_features * math.log(2 * math.pi)) + start(x.to(dtype))[1]
    )
    for k in range(2):
        covariance = x[k].T.cov(correction=0).view(n_features, n_features)
        gaussian = torch.distributions.MultivariateNormal(x[k].mean(0), covariance)
        torch.testing.assert_close(
            log_prob[k].double(),
            gaussian.log_prob(x[k]),
            rtol=0,
            atol=1e-6 if dtype == torch.double else 1e-4,
        )


def test_a_coupling_starts_at_the_identity_and_keeps_the_first_half(perturb):
    coupling = one_coupling(5, k=2)
    x = values(2 * 50 * 5, 1.5, torch.float).view(2, 50, 5)
    z, log_det = coupling(x)
    torch.testing.assert_close(z, x, rtol=0, atol=2e-6)
    torch.testing.assert_close(log_det, torch.zeros(2, 50), rtol=0, atol=1e-5)
    z = perturb(coupling, 0.3)(x)[0]
    assert torch.equal(z[..., :2], x[..., :2])
    assert (z[..., 2:] != x[..., 2:]).any(1).all()


def test_one_feature_is_bent_by_a_spline_of_its_own(perturb):
    bent = perturb(flow(1, n_layers=2), 1.0)
    x = torch.linspace(-6, 6, 2001).double().expand(3, -1)[..., None]
    z, log_det = bent(x)
    slope = (z[:, 2:, 0] - z[:, :-2, 0]) / (x[:, 2:, 0] - x[:, :-2, 0])
    assert (slope.abs().log() - log_det[:, 1:-1]).abs().median() < 1e-4
    assert log_det.std(1).min() > 0.05  # no affine map


@pytest.mark.parametrize("n_features", [2, 7])
def test_far_values_get_the_density_of_their_gaussian(perturb, n_features):
    """Rotations aside, what is far outside the box stays; what conditions is clipped."""
    coupling = perturb(one_coupling(n_features), 1.0)
    for size in (1e2, 1e4, 1e30):
        x = torch.full((1, 3, n_features), size)
        x[:, 1] *= -1
        x[:, 2, : n_features // 2] = 0.5
        x.requires_grad_()
        z, log_det = coupling(x)
        assert torch.equal(z, x)
        assert not log_det.any()
        (z.sum() + log_det.sum()).backward()
        assert x.grad.isfinite().all()
        for parameter in coupling.parameters():
            assert parameter.grad.isfinite().all()


def test_far_conditions_do_not_make_extreme_splines(perturb):
    """The spline of a value within goes to a limit as what conditions it leaves the box."""
    coupling = perturb(one_coupling(2).double(), 1.0)
    far = torch.tensor([20.0, 1e4, 1e30]).double()
    x = torch.stack([far, torch.full_like(far, 0.3)], 1)[None]
    z, log_det = coupling(x)
    assert (z[0, :, 1] - z[0, 0, 1]).abs().max() < 1e-2
    assert (log_det - log_det[:, :1]).abs().max() < 1e-2
    # Up to the rounding of z, near the box's size, over the slope.
    rounding = 30 * torch.finfo(x.dtype).eps * BOUND * torch.exp(-log_det).clamp_min(1)
    back = coupling.inverse(z)[0]
    assert torch.equal(back[..., 0], x[..., 0])
    assert ((back - x)[..., 1].abs() <= rounding).all()


def test_float32_inverts(perturb):
    for n_features in (1, 4, 7):
        bent = perturb(flow(n_features, dtype=torch.float, n_layers=6), 0.1)
        x = values(3 * 200 * n_features, 1.5, torch.float).view(3, 200, n_features)
        z, log_det = bent(x)
        back, back_log_det = bent.inverse(z)
        assert (back - x).abs().max() < 1e-4
        assert (back_log_det + log_det).abs().max() < 1e-3


def test_mixed_precision_is_of_the_networks_while_training(perturb):
    exact = perturb(flow(4, dtype=torch.float), 0.05)
    mixed = flow(4, dtype=torch.float, mixed_precision=True)
    mixed.load_state_dict(exact.state_dict())
    x = values(3 * 64 * 4, 1.0, torch.float).view(3, 64, 4)
    assert torch.equal(mixed.eval()(x)[0], exact(x)[0])
    z, log_det = mixed.train()(x)
    assert z.dtype == log_det.dtype == torch.float
    difference = (log_det - exact(x)[1]).abs().max()
    assert 0 < difference < 0.2  # nats; 0 would be no mixed precision at all
    log_det.sum().backward()
    for parameter in mixed.parameters():
        assert parameter.grad.dtype == torch.float
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    layer, x = Dropout(p), torch.ones(1001, 999)
    torch.manual_seed(0)
    out = layer(x)
    kept = out != 0
    assert abs(kept.double().mean().item() - (1 - p)) < 3e-3
    torch.testing.assert_close(
        out[kept], torch.full_like(out[kept], 1 / (1 - p)), rtol=1e-4, atol=0
    )
    # Neighbours and values four apart, which share a random word or its place, are independent.
    rows = kept.double() - kept.double().mean()
    for apart in (1, 2, 3, 4):
        assert (rows[:, apart:] * rows[:, :-apart]).mean().abs() < 2e-3
    for place in range(4):
        assert abs(kept.flatten()[place::4].double().mean().item() - (1 - p)) < 3e-3
    assert torch.equal(layer.eval()(x), x)


def test_dropout_draws_from_a_generator():
    layer, x = Dropout(0.3), torch.ones(50, 50)
    first, again = (layer.drawn(x, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, layer.drawn(x, torch.Generator().manual_seed(6)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_layers": -1}, "n_layers >= 0"),
        ({"hidden_layers": 0}, "hidden_layers >= 1"),
        ({"dropout": 1.0}, "dropout < 1"),
        ({"n_bins": 1}, r"n_bins must lie in 2 \.\.\. 999, got 1"),
        ({"n_bins": 1000}, "n_bins must lie in"),
        ({"bound": 0.0}, "bound must be positive and finite, got 0.0"),
        ({"bound": math.inf}, "bound must be positive"),
        ({"n_components": 0}, "n_components must be at least 1"),
        ({"n_features": 0}, "positive lengths"),
    ],
)
def test_a_flow_says_what_does_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        SplineFlow(**{"n_components": 2, "n_features": 3, **settings})


def test_images_are_refused():
    with pytest.raises(ValueError, match=r"vectors \(D,\), got events of \(4, 4, 2\)"):
        SplineCoupling(1, (4, 4, 2), torch.nn.Identity())


def pinwheels(seed):
    return torch.as_tensor(pinwheel(200, n_wings=5, random_state=seed)[0]).float()


def held_out_after_training(flow, n_steps=150):
    """Return the mean negative log likelihood of other data, in nats."""
    mixture, x = GenMM(flow), pinwheels(0)
    mixture.initialize(x.expand(flow.n_components, -1, -1))
    optimizer = torch.optim.Adam(mixture.parameters(), lr=5e-3)
    for _ in range(n_steps):
        optimizer.zero_grad()
        (-mixture.log_prob(x).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        return -mixture.log_prob(pinwheels(1)).mean().item()


def test_splines_learn_a_pinwheel_better_than_affine_couplings_of_as_many_parameters():
    splines = flow(2, k=1, dtype=torch.float)
    affine = VectorFlow(
        1, 2, n_layers=4, hidden_features=42, generator=torch.Generator().manual_seed(0)
    )
    sizes = [sum(p.numel() for p in bank.parameters()) for bank in (splines, affine)]
    assert sizes[0] <= sizes[1] < 1.1 * sizes[0]
    assert held_out_after_training(splines) < held_out_after_training(affine) - 0.5
