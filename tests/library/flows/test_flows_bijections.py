"""What every bijection must do, for a registry of constructors."""

import pytest
import torch

from mixflow.flows import (
    ActNorm,
    AffineCoupling,
    Chain,
    Glow,
    GlowLevel,
    InvertibleLinear,
    Rotation,
    SplineCoupling,
    SplineFlow,
    Squeeze,
    ToneCurve,
    VectorFlow,
)
from mixflow.flows.networks import MLP
from mixflow.flows.permutation import Permutation
from mixflow.flows.row_networks import RowNetwork
from mixflow.flows.started import StartedSplines
from mixflow.flows.whitening import Whitening

K, N = 3, 5


def coupling(scale):
    return lambda k: AffineCoupling(k, (5,), MLP(k, 2, 6, hidden_features=7), scale=scale)


def vector(n_features, **settings):
    return lambda k: VectorFlow(k, n_features, n_layers=3, hidden_features=6, **settings)


def glow(shape, **settings):
    return lambda k: Glow(k, shape, hidden_features=5, **settings)


def splines(n_features, **settings):
    return lambda k: SplineFlow(k, n_features, n_layers=2, hidden_features=6, **settings)


def gaussians(k, d):
    generator = torch.Generator().manual_seed(1)
    factors = torch.randn(k, d, d, generator=generator).triu(1) + 2 * torch.eye(d)
    return torch.randn(k, d, generator=generator), factors


def started(d, **settings):
    return lambda k: StartedSplines(
        *gaussians(k, d),
        torch.Generator().manual_seed(0),
        hidden_features=6,
        dropout=0.0,
        **settings,
    )


REGISTRY = {
    "ActNorm": lambda k: ActNorm(k, (4,)),
    "ActNorm on images": lambda k: ActNorm(k, (2, 3, 4)),
    "Rotation": lambda k: Rotation(k, (4,)),
    "Rotation reverse": lambda k: Rotation(k, (4,), reverse=True),
    "Rotation on images": lambda k: Rotation(k, (2, 3, 4)),
    "InvertibleLinear whiten": lambda k: InvertibleLinear(k, (4,), whiten=True),
    "InvertibleLinear lu": lambda k: InvertibleLinear(k, (4,)),
    "InvertibleLinear on images": lambda k: InvertibleLinear(k, (2, 3, 4)),
    "AffineCoupling tanh": coupling("tanh"),
    "AffineCoupling sigmoid": coupling("sigmoid"),
    "AffineCoupling exp": coupling("exp"),
    "Squeeze": lambda k: Squeeze(k, (4, 6, 2)),
    "Chain": lambda k: Chain([Rotation(k, (4,)), ActNorm(k, (4,))]),
    "VectorFlow rotation": vector(4),
    "VectorFlow lu": vector(4, mixing="lu"),
    "VectorFlow reverse": vector(4, mixing="reverse"),
    "VectorFlow exp": vector(3, scale="exp"),
    "VectorFlow no layers": lambda k: VectorFlow(k, 3, n_layers=0),
    "VectorFlow D=1": vector(1),
    "VectorFlow D=1 lu": vector(1, mixing="lu"),
    "VectorFlow D=2 rotation": vector(2),
    "VectorFlow D=2 lu": vector(2, mixing="lu"),
    "VectorFlow D=2 reverse": vector(2, mixing="reverse"),
    "SplineCoupling": lambda k: SplineCoupling(
        k, (5,), RowNetwork(k, 2, 23 * 3, bound=4.0, hidden_features=7)
    ),
    "SplineFlow": splines(4),
    "SplineFlow no layers": lambda k: SplineFlow(k, 3, n_layers=0),
    "SplineFlow D=1": splines(1),
    "SplineFlow D=2": splines(2, n_bins=2),
    "SplineFlow D=5": splines(5, n_bins=5, bound=1.0),
    "Permutation": lambda k: Permutation(k, (4,), generator=torch.Generator().manual_seed(0)),
    "Permutation reverse": lambda k: Permutation(k, (4,)),
    "Permutation on images": lambda k: Permutation(k, (2, 3, 4)),
    "Whitening": lambda k: Whitening(*gaussians(k, 4)),
    "StartedSplines": started(3, n_layers=2),
    "StartedSplines D=1": started(1, n_layers=2),
    "StartedSplines no layers": started(3, n_layers=0),
    "GlowLevel": lambda k: GlowLevel(k, (2, 4, 4), n_steps=2, hidden_features=5),
    "GlowLevel tone curve": lambda k: GlowLevel(
        k, (1, 4, 4), n_steps=1, hidden_features=5, tone_curve=True
    ),
    "Glow 1 channel, 1 level": glow((1, 4, 4), n_levels=1, n_steps=2),
    "Glow 1 channel, 2 levels": glow((1, 8, 8), n_levels=2, n_steps=1),
    "Glow 3 channels, 1 level": glow((3, 4, 4), n_levels=1, n_steps=1),
    "Glow 3 channels, 2 levels": glow((3, 4, 4), n_levels=2, n_steps=1, scale="tanh"),
    "Glow not square": glow((1, 4, 12), n_levels=2, n_steps=1),
    "Glow positional bias": glow((1, 8, 4), n_levels=2, n_steps=1, positional_bias=True),
    "ToneCurve": lambda k: ToneCurve(k, (4,)),
    "ToneCurve on images": lambda k: ToneCurve(k, (2, 3, 2)),
    "Glow tone curve": glow((2, 4, 4), n_levels=1, n_steps=1, tone_curve=True),
    "Glow 3 levels, uneven steps": glow((1, 8, 8), n_levels=3, n_steps=(1, 2, 1)),
}


@pytest.fixture(params=REGISTRY)
def build(request):
    def build(k=K):
        torch.manual_seed(0)
        return REGISTRY[request.param](k).double()

    return build


def batch(bijection, n=N, seed=2):
    generator = torch.Generator().manual_seed(seed)
    shape = (bijection.n_components, n, *bijection.event_shape)
    return torch.randn(shape, generator=generator, dtype=torch.double)


def row(bijection, k, build):
    """Return component k as a flow of its own."""
    single = build(1)
    single.load_state_dict({name: t[k : k + 1] for name, t in bijection.state_dict().items()})
    return single


def test_inverse_undoes_forward(build, perturb):
    bijection = perturb(build())
    x = batch(bijection)
    z, log_det = bijection(x)
    assert z.shape == (K, N, *bijection.latent_shape)
    assert log_det.shape == (K, N)
    back, back_log_det = bijection.inverse(z)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-10)
    torch.testing.assert_close(back_log_det, -log_det, rtol=0, atol=1e-10)


def test_log_det_is_that_of_the_jacobian(build, perturb):
    bijection = perturb(build())
    x = batch(bijection, n=2)
    log_det = bijection(x)[1]
    for k in range(K):
        single = row(bijection, k, build)

        def flat(values, single=single):
            return single(values.view(1, 1, *single.event_shape))[0].flatten()

        jacobian = torch.autograd.functional.jacobian(flat, x[k, 1].flatten())
        expected = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(log_det[k, 1], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.double, 1e-10), (torch.float, 1e-5)])
def test_bank_equals_one_flow_after_another(build, perturb, dtype, tolerance):
    bijection = perturb(build()).to(dtype)
    x = batch(bijection).to(dtype)
    z, log_det = bijection(x)
    x_back, _ = bijection.inverse(z)
    for k in range(K):
        single = row(bijection, k, lambda n: build(n).to(dtype))
        z_k, log_det_k = single(x[k : k + 1])
        close = {"rtol": tolerance, "atol": tolerance}
        torch.testing.assert_close(z[k], z_k[0], **close)
        torch.testing.assert_close(log_det[k], log_det_k[0], **close)
        torch.testing.assert_close(x_back[k], single.inverse(z[k : k + 1])[0][0], **close)


def test_every_parameter_gets_a_gradient(build, perturb):
    bijection = perturb(build())
    z, log_det = bijection(batch(bijection).requires_grad_())
    (z.pow(3).sum() + log_det.sum()).backward()
    for name, parameter in bijection.named_parameters():
        if parameter.numel() == 0:
            continue  # D = 1: a network without inputs
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # Some entries may be dead (ReLU) or fixed (a triangle), but not a component's all.
        if not triangle_of_one(name, parameter):
            assert parameter.grad.flatten(1).abs().amax(1).min() > 0, name


def triangle_of_one(name, parameter):
    """A strict triangle of a 1 x 1 matrix has no entries."""
    return name.rsplit(".", 1)[-1] in ("lower", "upper") and parameter.shape[1] == 1


def test_wrong_shapes_are_named(build):
    bijection = build()
    x = batch(bijection)
    expected = ", ".join(map(str, (K, "N", *bijection.event_shape)))
    for wrong in (x[:2], x[..., :-1], x[0], x[..., None]):
        with pytest.raises(ValueError, match="must have shape") as error:
            bijection(wrong)
        assert f"({expected})" in str(error.value)
        assert str(tuple(wrong.shape)) in str(error.value)
        with pytest.raises(ValueError, match="x must have shape"):
            bijection.initialize(wrong)
    z = bijection(x)[0]
    with pytest.raises(ValueError, match="z must have shape"):
        bijection.inverse(z[..., :-1])


def test_state_dict_holds_everything(build, perturb):
    bijection = perturb(build())
    x = batch(bijection, n=20)
    bijection.initialize(x)
    torch.manual_seed(99)
    other = build().double()
    other.load_state_dict(bijection.state_dict())
    torch.testing.assert_close(other(x), bijection(x), rtol=0, atol=0)
    flags = [name for name in other.state_dict() if name.endswith("initialized")]
    assert all(other.state_dict()[name].all() for name in flags)
    assert all(len(t) == K for t in other.state_dict().values())


def test_forward_never_initialises(build):
    bijection = build()
    before = {name: t.clone() for name, t in bijection.state_dict().items()}
    bijection.train()(batch(bijection) * 5 + 3)
    torch.testing.assert_close(bijection.state_dict(), before, rtol=0, atol=0)


def test_initialize_returns_forward_and_survives_one_sample(build):
    bijection = build()
    for n in (20, 1):
        x = batch(bijection, n)
        torch.testing.assert_close(bijection.initialize(x), bijection(x)[0])
        z, log_det = bijection(x)
        assert z.isfinite().all()
        assert log_det.isfinite().all()
        torch.testing.assert_close(bijection.inverse(z)[0], x, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "flow",
    [
        lambda: VectorFlow(2, 6, n_layers=12, hidden_features=16),
        lambda: VectorFlow(2, 6, n_layers=12, hidden_features=16, mixing="lu"),
        lambda: SplineFlow(2, 6, n_layers=12, hidden_features=16),
        lambda: Glow(2, (1, 8, 8), n_levels=2, n_steps=6, hidden_features=8),
    ],
)
def test_twelve_steps_invert_in_float32(flow, perturb):
    torch.manual_seed(0)
    flow = perturb(flow(), 0.05)
    x = torch.randn(2, 50, *flow.event_shape)
    assert (flow.inverse(flow(x)[0])[0] - x).abs().max() < 1e-4


@pytest.mark.parametrize("build_one", REGISTRY.values(), ids=REGISTRY)
def test_the_seed_alone_decides_the_start(build_one):
    torch.manual_seed(4)
    first = build_one(2).state_dict()
    torch.manual_seed(4)
    torch.testing.assert_close(build_one(2).state_dict(), first, rtol=0, atol=0)


def test_mixed_precision_moves_the_density_of_images_by_little():
    torch.manual_seed(0)
    build = {"n_levels": 2, "n_steps": 2, "hidden_features": 16, "scale": "tanh"}
    exact, mixed = (Glow(2, (1, 8, 8), **build, mixed_precision=m) for m in (False, True))
    x = torch.rand(2, 32, 1, 8, 8) - 0.5
    exact.initialize(x)
    for name, parameter in exact.named_parameters():
        if name.endswith("conditioner.out.weight"):
            torch.nn.init.normal_(parameter, std=0.02)
    mixed.load_state_dict(exact.state_dict())
    densities = [
        torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1) + log_det
        for z, log_det in (exact(x), mixed(x))
    ]
    assert densities[1].dtype == torch.float32
    difference = (densities[1] - densities[0]).abs().max() / 64
    assert 0 < difference < 0.01  # nat/pixel; 0 would be no mixed precision at all
