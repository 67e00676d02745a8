"""What holds of every bijection whatever K, N and the order of samples and maps are."""

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_flows_bijections import REGISTRY, batch

COUNTS, SEEDS = st.integers(1, 4), st.integers(0, 2**31)


@pytest.fixture(params=REGISTRY)
def build(request, perturb):
    """Return a function that makes a bank of k in float64, none of it at its start."""

    def build(k):
        torch.manual_seed(0)
        return perturb(REGISTRY[request.param](k).double())

    return build


@given(k=COUNTS, n=st.integers(0, 5), seed=SEEDS)
def test_shapes_follow_from_k_and_n(build, k, n, seed):
    bijection = build(k)
    x = batch(bijection, n, seed)
    z, log_det = bijection(x)
    back, back_log_det = bijection.inverse(z)
    assert z.shape == (k, n, *bijection.latent_shape)
    assert back.shape == x.shape
    assert log_det.shape == back_log_det.shape == (k, n)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-9)


@given(k=COUNTS, order=st.permutations(range(5)), seed=SEEDS)
def test_a_sample_is_mapped_alike_wherever_it_stands(build, k, order, seed):
    bijection = build(k)
    x = batch(bijection, len(order), seed)
    z, log_det = bijection(x)
    moved, moved_log_det = bijection(x[:, order])
    torch.testing.assert_close(moved, z[:, order], rtol=0, atol=1e-12)
    torch.testing.assert_close(moved_log_det, log_det[:, order], rtol=0, atol=1e-12)


@given(order=COUNTS.flatmap(lambda k: st.permutations(range(k))), seed=SEEDS)
def test_maps_are_independent_of_their_place_in_the_bank(build, order, seed):
    bijection, other = build(len(order)), build(len(order))
    other.load_state_dict({name: t[order] for name, t in bijection.state_dict().items()})
    x = batch(bijection, 3, seed)
    z, log_det = bijection(x)
    moved, moved_log_det = other(x[order])
    torch.testing.assert_close(moved, z[order], rtol=0, atol=1e-12)
    torch.testing.assert_close(moved_log_det, log_det[order], rtol=0, atol=1e-12)


@given(k=COUNTS, seed=SEEDS)
def test_a_saved_bank_reads_as_it_was(build, k, seed):
    bijection = build(k)
    x = batch(bijection, 20, seed)
    bijection.initialize(x)
    state = {name: t.contiguous() for name, t in bijection.state_dict().items()}
    other = build(k)
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(state)))
    torch.testing.assert_close(other(x), bijection(x), rtol=0, atol=0)
