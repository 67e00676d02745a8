"""Muon's steps: orthogonal for the weights of layers, each component for itself; AdamW's else."""

import pandas as pd
import pytest
import torch
from torch import nn

from mixflow.flows import Glow, VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import EM, EMSettings, Groups, LoopSettings, fit
from mixflow.training.muon import ROOT_MEAN_SQUARE, Muon, orthogonalised


class Layers(nn.Module):
    """Two layers of K = 3 components, and what is no layer's weight."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.ModuleList([nn.Module()])
        self.hidden[0].weight = nn.Parameter(torch.randn(3, 8, 4))
        self.conv1 = nn.Module()
        self.conv1.weight = nn.Parameter(torch.randn(3, 8, 2, 3, 3))
        self.bias = nn.Parameter(torch.randn(3, 8))
        self.upper = nn.Parameter(torch.randn(3, 4, 4))


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return Layers()


def differentiate(layers, scale=1.0):
    torch.manual_seed(1)
    for p in layers.parameters():
        p.grad = scale * torch.randn_like(p)


@pytest.mark.parametrize("shape", [(5, 12, 12), (4, 6, 30), (4, 30, 6)])
def test_singular_values_come_near_one_and_vectors_stay(shape):
    torch.manual_seed(0)
    x = torch.randn(*shape, dtype=torch.float64)
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    found = u.mT @ orthogonalised(x) @ v.mT
    values = torch.diagonal(found, dim1=1, dim2=2)
    torch.testing.assert_close(found, torch.diag_embed(values), rtol=0, atol=1e-9)
    large = s > 0.05 * s.amax(1, keepdim=True)
    assert ((values > 0.6) & (values < 1.25))[large].all()


@pytest.mark.parametrize(
    ("flow", "layers"),
    [
        (Glow(2, (1, 8, 8), n_levels=2, n_steps=1, hidden_features=8), {"conv1", "conv2"}),
        (VectorFlow(2, 6, n_layers=2, hidden_features=8), {"hidden.0", "hidden.1"}),
    ],
)
def test_hidden_layers_take_its_steps_and_no_others(flow, layers):
    muon = Muon(flow.named_parameters(), lr=0.1)
    taken = {id(p) for p in muon.param_groups[1]["params"]}
    names = {n for n, p in flow.named_parameters() if id(p) in taken}
    assert {n.split("conditioner.")[1].removesuffix(".weight") for n in names} == layers
    assert len(names) == 4
    assert sum(len(group["params"]) for group in muon.param_groups) == len(list(flow.parameters()))


def test_plain_layers_of_other_networks_take_adamws_steps():
    network = nn.ModuleDict(
        {"conv1": nn.Conv2d(1, 4, 3), "hidden": nn.ModuleList([nn.Linear(4, 4)])}
    )
    others, weights = Muon(network.named_parameters(), lr=0.1).param_groups
    assert len(others["params"]) == 4
    assert not weights["params"]


def test_a_first_step_is_orthogonal_and_as_large_as_the_rate_says(layers):
    before = layers.conv1.weight.detach().clone()
    differentiate(layers)
    Muon(layers.named_parameters(), lr=0.1).step()
    step = (before - layers.conv1.weight.detach()).flatten(2) / 0.1
    for k in range(3):  # the matrix of a component: 8 channels out, 2 * 3 * 3 in
        u, _, v = torch.linalg.svd(layers.conv1.weight.grad[k].flatten(1), full_matrices=False)
        values = torch.diagonal(u.mT @ step[k] @ v.mT) / (ROOT_MEAN_SQUARE * 18**0.5)
        assert ((values > 0.6) & (values < 1.25)).all()


def test_other_parameters_take_adamws_steps(layers):
    others = {n: nn.Parameter(p.detach().clone()) for n, p in layers.named_parameters()}
    adamw = torch.optim.AdamW([others["bias"], others["upper"]], lr=0.1)
    muon = Muon(layers.named_parameters(), lr=0.1)
    for scale in (1.0, 0.3):
        differentiate(layers, scale)
        others["bias"].grad, others["upper"].grad = layers.bias.grad, layers.upper.grad
        muon.step()
        adamw.step()
    torch.testing.assert_close(layers.bias, others["bias"])
    torch.testing.assert_close(layers.upper, others["upper"])


def test_a_component_feels_no_other_and_no_scale_of_its_gradient(layers):
    alone = Layers()
    alone.load_state_dict(layers.state_dict())
    for module, factor in ((layers, 1.0), (alone, 50.0)):
        differentiate(module)
        with torch.no_grad():
            module.hidden[0].weight.grad[0] *= factor
        Muon(module.named_parameters(), lr=0.1).step()
    torch.testing.assert_close(layers.hidden[0].weight, alone.hidden[0].weight)


def test_without_a_gradient_a_parameter_stays(layers):
    differentiate(layers)
    layers.hidden[0].weight.grad = None
    before = layers.hidden[0].weight.detach().clone()
    Muon(layers.named_parameters(), lr=0.1).step()
    torch.testing.assert_close(layers.hidden[0].weight.detach(), before)


def test_weights_decay_besides(layers):
    plain = Layers()
    plain.load_state_dict(layers.state_dict())
    before = layers.conv1.weight.detach().clone()
    for module, decay in ((layers, 0.5), (plain, 0.0)):
        differentiate(module)
        Muon(module.named_parameters(), lr=0.1, weight_decay=decay).step()
    lost = plain.conv1.weight.detach() - layers.conv1.weight.detach()
    torch.testing.assert_close(lost, 0.1 * 0.5 * before)


def test_a_closure_is_refused(layers):
    with pytest.raises(ValueError, match="takes no closure"):
        Muon(layers.named_parameters(), lr=0.1).step(lambda: 0.0)


def em():
    torch.manual_seed(0)
    x = torch.randn(60, 1, 8, 8)
    mixture = GenMM(Glow(2, (1, 8, 8), n_levels=2, n_steps=1, hidden_features=8))
    r = torch.softmax(2 * torch.randn(1, 60, 2), 2)
    settings = EMSettings(m_step="sparse", batch_size=30, em_every=2, noise=0.1)
    made = EM(mixture, x, Groups.single(60), r, settings)
    made.start()
    return made


def parameters(em):
    return torch.cat([p.detach().flatten() for p in em.mixture.parameters()])


def test_em_climbs_with_it_and_a_cut_fit_ends_as_one_that_was_not(tmp_path):
    how = {"optimizer": "muon", "learning_rate": 3e-3, "clip_norm": 100.0}
    whole = em()
    done = fit(whole, LoopSettings(max_epochs=6, **how))
    assert pd.DataFrame(done.history)["log_likelihood"].dropna().is_monotonic_increasing
    kept = {**how, "checkpoint": tmp_path, "checkpoint_seconds": 0.0}
    cut = em()
    update = cut.update

    def stop_at_three(epoch, share):
        if epoch == 3:
            raise RuntimeError("cut")
        return update(epoch, share)

    cut.update = stop_at_three
    with pytest.raises(RuntimeError, match="cut"):
        fit(cut, LoopSettings(max_epochs=6, **kept))
    resumed = em()
    assert fit(resumed, LoopSettings(max_epochs=6, **kept)).resumed_from == 3
    torch.testing.assert_close(parameters(resumed), parameters(whole))


def test_a_restarted_component_takes_its_average_of_gradients_along():
    made = em()
    made.optimizer = muon = Muon(made.mixture.named_parameters(), lr=1e-3)
    made.plan()
    made.loss(0).backward()
    muon.step()
    made._restart(0, 1, 0)
    means = [state["mean"] for state in muon.state.values() if "mean" in state]
    assert means
    for mean in means:
        torch.testing.assert_close(mean[1], mean[0])


def test_flows_of_mixed_precision_orthogonalise_in_bfloat16():
    x = torch.rand(32, 1, 8, 8) - 0.5
    for mixed, dtype in ((True, torch.bfloat16), (False, None)):
        flow = Glow(1, (1, 8, 8), n_levels=2, n_steps=1, hidden_features=8, mixed_precision=mixed)
        em = EM(GenMM(flow), x, Groups.single(32), None, EMSettings(batch_size=16))
        fit(em, LoopSettings(max_epochs=1, optimizer="muon"))
        assert em.optimizer.dtype is dtype


def test_a_step_that_is_orthogonalised_in_bfloat16_is_nearly_the_same(layers):
    other = Layers()
    other.load_state_dict(layers.state_dict())
    before = layers.conv1.weight.detach().clone()
    for module, dtype in ((layers, None), (other, torch.bfloat16)):
        differentiate(module)
        Muon(module.named_parameters(), lr=0.1, dtype=dtype).step()
    step, near = (before - module.conv1.weight.detach() for module in (layers, other))
    assert near.dtype is torch.float32
    assert (step - near).norm() < 0.06 * step.norm()  # the quintic itself is off by more
