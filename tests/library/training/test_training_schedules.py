"""Learning rates, clipping, temperatures, groups and starts: small functions, by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from mixflow.training import Groups, start_responsibilities
from mixflow.training.schedules import bank_rows, clip_gradients, learning_rate, temperature_at


def rates(n_steps, **settings):
    return [learning_rate(step, n_steps, base=1.0, **settings) for step in range(n_steps)]


def test_cosine_falls_from_base_to_minimum():
    values = rates(5, schedule="cosine", minimum=0.2)
    assert values[0] == 1.0
    assert values[2] == pytest.approx(0.6)
    assert values[1] == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2)
    assert values[4] == pytest.approx(0.2)


def test_cosine_after_a_warmup():
    values = rates(11, schedule="cosine", warmup=4)
    assert values[:4] == [0.25, 0.5, 0.75, 1.0]
    assert values[4] == 1.0
    assert values[7] == pytest.approx(0.5)
    assert values[-1] == pytest.approx(0.0)


def test_noam_peaks_after_the_warmup_and_has_a_floor():
    values = rates(1000, schedule="noam", warmup=10, minimum=0.15)
    assert values[0] == pytest.approx(0.1)
    assert max(values) == values[9] == 1.0
    assert values[39] == pytest.approx(0.5)  # sqrt(10 / 40)
    assert values[-1] == 0.15
    assert all(a >= b for a, b in zip(values[9:-1], values[10:], strict=True))


def test_constant_stays():
    assert rates(3, schedule="constant") == [1.0] * 3


def test_one_step_is_no_division_by_zero():
    assert rates(1, schedule="cosine") == [1.0]
    assert rates(2, schedule="cosine", warmup=5) == pytest.approx([0.2, 0.4])


def test_unknown_schedule_is_named():
    with pytest.raises(ValueError, match="'cosine', 'noam' or 'constant', got 'linear'"):
        learning_rate(0, 1, base=1.0, schedule="linear")


def with_gradients(*gradients):
    parameters = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros_like(gradient))
        parameter.grad = gradient.clone()
        parameters.append(parameter)
    return [*parameters, nn.Parameter(torch.zeros(2))]  # one without a gradient


def test_each_component_is_clipped_by_its_own_norm():
    weight = torch.tensor([[3.0, 0.0], [0.3, 0.0], [0.0, 30.0]])
    bias = torch.tensor([4.0, 0.4, 40.0])
    first, second, _ = with_gradients(weight, bias)
    clip_gradients([first, second], n_components=3, norm=1.0)
    torch.testing.assert_close(first.grad, torch.tensor([[0.6, 0.0], [0.3, 0.0], [0.0, 0.6]]))
    torch.testing.assert_close(second.grad, torch.tensor([0.8, 0.4, 0.8]))


def test_a_component_with_nan_leaves_the_others_alone():
    gradient = torch.tensor([[math.nan, 1.0], [0.3, 0.4]])
    first, _ = with_gradients(gradient)
    clip_gradients([first], n_components=2, norm=1.0)
    torch.testing.assert_close(first.grad[1], gradient[1])


def test_without_a_bank_all_share_one_norm():
    first, second, empty = with_gradients(torch.tensor([3.0]), torch.tensor([4.0]))
    clip_gradients([first, second, empty], n_components=None, norm=1.0)
    assert first.grad.item() == pytest.approx(0.6, abs=1e-5)
    assert second.grad.item() == pytest.approx(0.8, abs=1e-5)


def test_value_comes_before_norm():
    first, _ = with_gradients(torch.tensor([[30.0, -40.0]]))
    clip_gradients([first], n_components=1, value=5.0)
    assert first.grad.tolist() == [[5.0, -5.0]]
    clip_gradients([first], n_components=1, value=5.0, norm=math.sqrt(2))
    torch.testing.assert_close(first.grad, torch.tensor([[1.0, -1.0]]))


def test_temperatures():
    assert temperature_at(2.5, 0.7, 16) == 2.5
    assert temperature_at("per_dimension", 0.0, 16) == 16.0
    pair = [temperature_at((16.0, 1.0), share, 3) for share in (0.0, 0.5, 1.0)]
    assert pair == pytest.approx([16.0, 4.0, 1.0])
    assert temperature_at([4, 1], 0.5, 3) == pytest.approx(2.0)


@pytest.mark.parametrize("wrong", [0, -1.0, (1.0, 0.0), (1.0,), (1, 2, 3), "per_dim", (1.0, "2")])
def test_wrong_temperatures_are_named(wrong):
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        temperature_at(wrong, 0.5, 4)


def test_bank_rows_pass_over_scalars():
    tensors = [torch.zeros(3, 2), torch.zeros(()), torch.zeros(2, 3), torch.zeros(3)]
    assert [tuple(t.shape) for t in bank_rows(tensors, 3)] == [(3, 2), (3,)]


def test_groups_by_label_pad_with_their_own_samples():
    labels = torch.tensor([1, 0, 1, 1, 2])
    groups = Groups.by_label(labels, 3, torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert (groups.n_groups, groups.size) == (3, 3)
    assert groups.weight.tolist() == [[2.0, 0.0, 0.0], [1.0, 3.0, 4.0], [5.0, 0.0, 0.0]]
    assert groups.index.tolist() == [[1, 1, 1], [0, 2, 3], [4, 4, 4]]


def test_groups_need_samples_for_every_label():
    for labels, n in ((torch.tensor([0, 2]), 3), (torch.tensor([0, 1]), 1)):
        with pytest.raises(ValueError, match="needs samples"):
            Groups.by_label(labels, n)


def test_single_and_repeated_groups():
    groups = Groups.single(3)
    assert groups.index.tolist() == [[0, 1, 2]]
    assert groups.weight.tolist() == [[1, 1, 1]]
    twice = Groups.by_label(torch.tensor([1, 0]), 2).repeat(2)
    assert twice.index.tolist() == [[1], [1], [0], [0]]
    assert twice.to(torch.device("cpu"), torch.double).weight.dtype == torch.double


@pytest.fixture
def clusters():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(c, 0.1, (20, 2)) for c in (0, 5, 10)])


@pytest.mark.parametrize("method", ["kmeans", "gmm", "random", "uniform"])
def test_starts_are_responsibilities(clusters, method):
    groups = Groups.by_label(torch.tensor([0] * 40 + [1] * 20), 2)
    r = start_responsibilities(clusters, groups, 2, method=method)
    assert r.shape == (2, 40, 2)
    real = groups.weight > 0
    torch.testing.assert_close(r.sum(2)[real], torch.ones(60).double())
    again = start_responsibilities(clusters, groups, 2, method=method)
    assert torch.equal(r, again)


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_starts_find_clusters(clusters, method):
    r = start_responsibilities(clusters, Groups.single(60), 3, method=method)[0]
    labels = r.argmax(1).view(3, 20)
    assert (labels == labels[:, :1]).all()
    assert len(labels[:, 0].unique()) == 3


def test_random_starts_are_balanced_and_follow_the_seed(clusters):
    def start(seed):
        return start_responsibilities(clusters, Groups.single(60), 4, method="random", seed=seed)

    assert start(0)[0].sum(0).tolist() == [15.0] * 4
    assert not torch.equal(start(0), start(1))


def test_a_start_looks_at_its_group_only(clusters):
    groups = Groups.by_label(torch.tensor([0] * 40 + [1] * 20), 2)
    moved = clusters.copy()
    moved[40:] += 100
    first = start_responsibilities(clusters, groups, 2)[0]
    assert torch.equal(first, start_responsibilities(moved, groups, 2)[0])


def test_starts_say_what_does_not_fit(clusters):
    with pytest.raises(ValueError, match=r"init must be one of .*, got 'kmean'"):
        start_responsibilities(clusters, Groups.single(60), 2, method="kmean")
    with pytest.raises(ValueError, match="4 components need as many samples, but group 0 has 3"):
        start_responsibilities(clusters[:3], Groups.single(3), 4)
