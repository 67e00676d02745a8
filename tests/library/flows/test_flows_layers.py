"""What is particular to single layers and architectures."""

import pytest
import torch

from mixflow.flows import (
    ActNorm,
    Chain,
    Glow,
    InvertibleLinear,
    Rotation,
    Squeeze,
    ToneCurve,
    VectorFlow,
    convolutions,
)
from mixflow.flows.networks import BankConv, ChannelNorm, ConvNet


def skewed(k, n, d, seed=0):
    """Return batches that differ in mean, scale and correlation by component."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(k, n, d, generator=generator, dtype=torch.double)
    mix = torch.randn(k, d, d, generator=generator, dtype=torch.double)
    return x @ mix * 3 + torch.arange(k, dtype=torch.double)[:, None, None] * 10


def test_actnorm_standardises_every_component():
    layer = ActNorm(3, (4,)).double()
    assert not layer.norm.initialized.any()
    z = layer.initialize(skewed(3, 100, 4))
    assert layer.norm.initialized.all()
    torch.testing.assert_close(z.mean(1), torch.zeros(3, 4).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(z.std(1, correction=0), torch.ones(3, 4).double())


def test_actnorm_on_images_standardises_channels():
    layer = ActNorm(2, (3, 5, 4)).double()
    z = layer.initialize(skewed(2, 150, 4).view(2, 10, 3, 5, 4)).flatten(1, 3)
    torch.testing.assert_close(z.mean(1), torch.zeros(2, 4).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(z.std(1, correction=0), torch.ones(2, 4).double())


def test_actnorm_clamps_the_sd_of_one_sample():
    layer = ActNorm(2, (3,)).double()
    layer.initialize(torch.ones(2, 1, 3).double())
    torch.testing.assert_close(layer.norm.log_scale.exp(), torch.full((2, 3), 1e3).double())


def test_whitening_gives_covariance_one():
    layer = InvertibleLinear(3, (4,), whiten=True, reg_covar=1e-12).double()
    z = layer.initialize(skewed(3, 200, 4))
    covariance = z.transpose(1, 2) @ z / 200
    torch.testing.assert_close(z.mean(1), torch.zeros(3, 4).double(), rtol=0, atol=1e-9)
    expected = torch.eye(4).double().expand(3, 4, 4)
    torch.testing.assert_close(covariance, expected, rtol=0, atol=1e-8)


def test_whitening_of_one_sample_is_the_ridge():
    layer = InvertibleLinear(1, (3,), whiten=True, reg_covar=1e-2).double()
    z, log_det = layer(torch.ones(1, 1, 3).double())
    layer.initialize(torch.ones(1, 1, 3).double())
    z, log_det = layer(torch.ones(1, 1, 3).double())
    torch.testing.assert_close(z, torch.zeros(1, 1, 3).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(log_det.item(), -1.5 * torch.tensor(1e-2).double().log().item())


def test_vector_flow_starts_at_the_gaussian_of_its_data():
    x = skewed(2, 500, 3)
    flow = VectorFlow(2, 3, reg_covar=1e-12).double()
    z = flow.initialize(x)
    log_prob = -0.5 * (z.square().sum(2) + 3 * torch.log(torch.tensor(2 * torch.pi))) + flow(x)[1]
    for k in range(2):
        gaussian = torch.distributions.MultivariateNormal(x[k].mean(0), x[k].T.cov(correction=0))
        torch.testing.assert_close(log_prob[k], gaussian.log_prob(x[k]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_rotations_stay_orthogonal_in_float64(reverse):
    torch.manual_seed(0)
    matrix = Rotation(3, (20,), reverse=reverse).to(torch.float64).matrix
    gram = matrix @ matrix.transpose(1, 2)
    assert (gram - torch.eye(20, dtype=torch.double)).abs().max() < 1e-12


def test_rotations_of_a_whole_flow_stay_orthogonal():
    torch.manual_seed(0)
    flow = VectorFlow(2, 9).double()
    for name, matrix in flow.state_dict().items():
        if name.endswith("matrix"):
            gram = matrix @ matrix.transpose(1, 2)
            assert (gram - torch.eye(9, dtype=torch.double)).abs().max() < 1e-12


def test_reverse_reverses():
    x = torch.arange(6.0).view(1, 2, 3)
    assert torch.equal(Rotation(1, (3,), reverse=True)(x)[0], x.flip(2))


def test_squeeze_keeps_neighbours_together():
    x = torch.arange(16.0).view(1, 1, 4, 4, 1)
    z = Squeeze(1, (4, 4, 1))(x)[0]
    assert z[0, 0, 0, 1].tolist() == [2, 3, 6, 7]


def test_squeeze_refuses_odd_sides_and_vectors():
    with pytest.raises(ValueError, match="even height and width, got 3 x 4"):
        Squeeze(1, (3, 4, 1))
    with pytest.raises(ValueError, match=r"images \(H, W, C\), got \(4,\)"):
        Squeeze(1, (4,))


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((1, 6, 8), {"n_levels": 2}, "divisible by 4, got 6 x 8"),
        ((1, 7, 7), {"n_levels": 1}, "divisible by 2, got 7 x 7"),
        ((8, 8), {}, r"must be \(C, H, W\), got \(8, 8\)"),
        ((0, 8, 8), {}, r"must be \(C, H, W\)"),
        ((1, 8, 8), {"n_levels": 2, "n_steps": (1,)}, "each of 2 levels"),
        ((1, 8, 8), {"n_levels": 1, "n_steps": 0}, "n_steps must give 1 or more"),
        ((1, 8, 8), {"n_levels": 0}, "levels"),
    ],
)
def test_glow_says_what_does_not_fit(shape, settings, message):
    with pytest.raises(ValueError, match=message):
        Glow(1, shape, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_layers": -1}, "n_layers >= 0"),
        ({"hidden_features": 0}, "hidden_features >= 1"),
        ({"mixing": "rotations"}, "'rotation', 'lu' or 'reverse'"),
        ({"n_components": 0}, "n_components must be at least 1"),
        ({"n_features": 0}, "positive lengths"),
    ],
)
def test_vector_flow_says_what_does_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        VectorFlow(**{"n_components": 2, "n_features": 3, **settings})


def test_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="scale must be 'tanh', 'sigmoid' or 'exp', got 'tan'"):
        VectorFlow(1, 2, scale="tan")


def test_chain_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="ActNorm gives 2 x"):
        Chain([ActNorm(2, (3,)), Rotation(2, (4,))])
    with pytest.raises(ValueError, match="at least one"):
        Chain([])


def test_sigmoid_coupling_is_the_published_one(perturb):
    """z_b = sigmoid(s + 2) x_b + t: at the start a scale of sigmoid(2)."""
    flow = VectorFlow(1, 4, n_layers=1, scale="sigmoid", mixing="reverse").double()
    log_det = flow(torch.randn(1, 3, 4).double())[1]
    expected = 2 * torch.sigmoid(torch.tensor(2.0).double()).log()
    torch.testing.assert_close(log_det, expected.expand(1, 3))


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (1, 4)])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("channels", [(2, 4), (4, 2)])
def test_ways_to_convolve_agree(size, kernel, channels, monkeypatch, perturb):
    torch.manual_seed(0)
    conv = perturb(BankConv(3, *channels, kernel, gain=True).double())
    norm = perturb(ChannelNorm(3, channels[1]).double())
    x = torch.randn(3, 6, *size, channels[0], dtype=torch.double, requires_grad=True)
    found = {}
    for way, pixels, few in (("loop", 0, 0), ("dense", 99, 0), ("patches", 0, 2)):
        monkeypatch.setattr(convolutions, "DENSE_PIXELS", pixels)
        monkeypatch.setattr(convolutions, "FEW_CHANNELS", few)
        out = conv(x, norm)
        of = [x, conv.weight, conv.bias, norm.shift]
        found[way] = [conv(x), out, *torch.autograd.grad(out.square().sum(), of)]
        positive = conv(x, norm, relu=True)
        torch.testing.assert_close(positive, out.relu(), rtol=1e-12, atol=1e-12)
        found[way] += torch.autograd.grad((positive * torch.arange(size[1])[:, None]).sum(), of)
        found[way] += torch.autograd.grad(
            (conv(x, norm).relu() * torch.arange(size[1])[:, None]).sum(), of
        )
    for way in ("dense", "patches"):
        torch.testing.assert_close(found[way], found["loop"], rtol=1e-12, atol=1e-12)
    for grads in found.values():
        torch.testing.assert_close(grads[-4:], grads[-8:-4], rtol=1e-12, atol=1e-12)


def test_patches_and_their_adjoint_have_derivatives_of_all_orders():
    x = torch.randn(2, 1, 3, 2, 2, dtype=torch.double, requires_grad=True)
    taps = torch.randn(2, 6, 18, dtype=torch.double, requires_grad=True)
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda x: convolutions._Patches.apply(x, 3).sin(), x)
        assert check(lambda t: convolutions._Overlaid.apply(t, (2, 1, 3, 2, 2), 3).sin(), taps)


def test_a_norm_folds_into_its_convolution(perturb):
    torch.manual_seed(0)
    conv, norm = BankConv(2, 3, 4).double(), perturb(ChannelNorm(2, 4).double())
    x = torch.randn(2, 5, 4, 4, 3, dtype=torch.double)
    torch.testing.assert_close(conv(x, norm), norm(conv(x)), rtol=0, atol=1e-12)


def test_a_positional_bias_tells_the_network_where_it_looks(perturb):
    """On an image without structure, away from the border: one answer, unless places differ."""
    x = torch.zeros(2, 1, 7, 7, 3, dtype=torch.double)

    def inside(network):
        return network(x)[:, :, 2:5, 2:5].flatten(2, 3)

    torch.manual_seed(0)
    blind = perturb(ConvNet(2, 3, 4, hidden_features=5).double())
    knowing = ConvNet(2, 3, 4, hidden_features=5, positions=(7, 7)).double()
    missing = knowing.load_state_dict(blind.state_dict(), strict=False).missing_keys
    assert missing == ["place"]
    torch.testing.assert_close(knowing(x), blind(x))
    assert inside(blind).std(2).max() < 1e-12
    perturb(knowing)
    assert inside(knowing).std(2).min() > 1e-3
    knowing.initialize(torch.randn_like(x))
    assert torch.isfinite(knowing(x)).all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float, 1e-5), (torch.double, 1e-12)])
def test_steep_tone_curves_are_inverted(dtype, tolerance):
    """Slopes from 1 to thousands: Newton's steps alone would leap to and fro."""
    torch.manual_seed(0)
    curve = ToneCurve(2, (8, 8, 1)).to(dtype)
    with torch.no_grad():
        curve.log_height += 1.5 * torch.randn_like(curve.log_height)
        curve.log_width -= 1.5 * torch.rand_like(curve.log_width)
    x = torch.rand(2, 300, 8, 8, 1, dtype=dtype) - 0.5
    x[:, :200] = -0.5 + x[:, :200] / 100
    z, log_det = curve(x)
    back, back_log_det = curve.inverse(z)
    torch.testing.assert_close(back, x, rtol=0, atol=tolerance)
    torch.testing.assert_close(back_log_det, -log_det, rtol=1e-3, atol=0)


def test_a_tone_curve_begins_at_the_ends_of_the_data():
    """Of each channel and component; far ends of a few values do not count."""
    curve = ToneCurve(2, (4, 4, 2)).double()
    x = torch.rand(2, 50, 4, 4, 2, dtype=torch.double)
    x[1, ..., 1] = 7 + 2 * x[1, ..., 1]
    x[0, 0, 0, 0, 0] = 1e6
    curve.initialize(x)
    first, last = curve.place[:, 0], curve.place[:, 3]
    torch.testing.assert_close(first.mean((1, 2)), torch.tensor([[0, 0], [0, 7.0]]).double(),
                               rtol=0, atol=0.05)  # fmt: skip
    torch.testing.assert_close(last.mean((1, 2)), torch.tensor([[1, 1], [1, 9.0]]).double(),
                               rtol=0, atol=0.05)  # fmt: skip


def test_glow_keeps_constants_finite():
    flow = Glow(2, (1, 8, 8), n_levels=2, n_steps=1, hidden_features=4)
    z = flow.initialize(torch.zeros(2, 4, 1, 8, 8))
    assert z.isfinite().all()


def test_dropout_acts_in_training_only(perturb):
    torch.manual_seed(0)
    flow = perturb(VectorFlow(2, 4, n_layers=1, dropout=0.5), 0.5)
    x = torch.randn(2, 8, 4)
    assert not torch.equal(flow.train()(x)[0], flow(x)[0])
    assert torch.equal(flow.eval()(x)[0], flow(x)[0])
