"""Mixtures of images: noise and copies, growing from one flow, runs that build on runs."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from companion.em_gm.images import models, single_flow
from companion.em_gm.images.data import (
    NOISE,
    image_shape,
    load_images,
    n_images,
    nll_per_pixel,
    to_grey,
)
from companion.em_gm.images.measures import cost_of_pass
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from companion.runs.runner import execute
from companion.runs.store import Store
from mixflow.datasets import DatasetError

TABLE_1, SINGLE = find("em-gm/table-1"), find("em-gm/single-flow")
SMALL = {
    **{"n_steps": (1, 1), "hidden_features": 8, "base_epochs": 1, "epochs": 1, "em_every": 1},
    **{"n_noisy": 20, "n_held_out": 20, "trials": 2, "n_generated": 20},
}


@pytest.fixture(scope="module")
def images():
    return load_images("digits")


@pytest.fixture(scope="module")
def single(images):
    """A flow that is not the identity, though untrained."""
    config = SINGLE.configure("smoke", n_steps=(1, 1), hidden_features=8)
    mixture = models.new_flow(config, images.shape).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return mixture


def test_images_are_on_the_published_scale(images):
    assert images.shape == (1, 8, 8)
    assert images.train.dtype == torch.float32
    assert (images.train.min(), images.train.max()) == (-0.5, 0.5)
    assert len(images.train) + len(images.held_out) == 1797
    np.testing.assert_array_equal(to_grey(torch.tensor([-0.7, -0.5, 0.0, 0.5, 2.0])),
                                  [0, 0, 128, 255, 255])  # fmt: skip


@pytest.mark.parametrize("dataset", ["digits", "mnist", "fashion-mnist"])
def test_shape_and_number_of_images_are_known_without_reading_them(dataset):
    for part in ("t10k", "train") if dataset == "digits" else ("t10k",):
        try:
            images = load_images(dataset, part=part)
        except DatasetError as error:
            pytest.skip(f"no data: {error}")
        assert (len(images.train), images.shape) == (n_images(dataset, part), image_shape(dataset))
    assert n_images("mnist", "train") == 60_000


def test_copies_with_shared_noise_are_the_flow_itself(single, images):
    few = images.train[:30].double()
    expected = nll_per_pixel(single, few)
    np.testing.assert_allclose(nll_per_pixel(models.copies(single, 3), few), expected)
    direct = np.log(256) - single.log_prob(few).detach().numpy() / 64
    np.testing.assert_allclose(nll_per_pixel(single, few, noise=0.0), direct)


def test_copies_with_noise_of_their_own_average_densities_at_different_points(single, images):
    few, k = images.train[:30].double(), 4
    found = nll_per_pixel(models.copies(single, k), few, own_noise=True, seed=5)
    generator = torch.Generator().manual_seed(5)
    noise = torch.empty(k, *few.shape, dtype=few.dtype).normal_(generator=generator)
    with torch.no_grad():
        each = np.stack([single.log_prob(few + NOISE * part).numpy() for part in noise])
    np.testing.assert_allclose(found, np.log(256) - (logsumexp(each, 0) - np.log(k)) / 64)
    assert found.mean() < nll_per_pixel(single, few, seed=5).mean(), "the artefact: a gain"


def test_a_grown_mixture_begins_as_the_flow_with_the_labels_shares(single, images):
    labels = models.kmeans_labels(images.train, 3, seed=0)
    mixture, responsibilities = models.grown(single, labels, 3)
    assert set(labels) == {0, 1, 2}
    np.testing.assert_array_equal(responsibilities.argmax(1), labels)
    np.testing.assert_allclose(mixture.log_weights.exp(), np.bincount(labels) / len(labels))
    few = images.train[:10].double()
    torch.testing.assert_close(mixture.log_prob(few), single.log_prob(few))


def test_sources_begin_where_the_images_of_their_label_are(single, images):
    labels = models.kmeans_labels(images.train, 3, seed=0)
    mixture, _ = models.with_sources(single, images.train.double(), labels, 3)
    found = mixture.double().predict(images.train.double()).numpy()
    assert (found == labels).mean() > 0.5
    assert mixture.n_flows == 1
    few = images.train[:5].double()
    torch.testing.assert_close(mixture.encode_each(few[None].expand(3, -1, -1, -1, -1))[0].shape,
                               single.encode_each(few[None])[0].shape)  # fmt: skip


def test_flops_grow_with_the_steps(images):
    costs = [
        cost_of_pass(SINGLE.configure("smoke", n_steps=steps), images.shape)
        for steps in ((1, 1), (2, 2))
    ]
    forward, backward = "FLOPs of an image, forward", "FLOPs of an image, backward"
    assert costs[1][forward] == pytest.approx(2 * costs[0][forward], rel=0.05)
    assert 1.5 < costs[0][backward] / costs[0][forward] < 2.5


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Runs of K = 1 and 2 in a store of their own: its root, configs, runs."""
    store = Store(tmp_path_factory.mktemp("results"))
    configs = [TABLE_1.configure("smoke", n_components=k, keep=True, **SMALL) for k in (1, 2)]
    runs = [execute(TABLE_1, config, store, progress=False) for config in configs]
    return store.root, configs, runs


def test_runs_share_the_single_flow_and_the_judge(stored):
    root, _, runs = stored
    made = {path.parent.parent.name for path in root.glob("em-gm/*/*/DONE")}
    assert made == {"table-1", "single-flow", "features"}
    assert len(list(root.glob("em-gm/single-flow/*/DONE"))) == 1
    for run, k in zip(runs, (1, 2), strict=True):
        values = run.rows.set_index("metric")["value"]
        assert values["nll_train"] == pytest.approx(run.arrays["curve_nll"][-1], abs=0.05)
        assert np.isfinite(values.to_numpy()).all()
        assert run.arrays["by_component"].shape == (k, 8, 1, 8, 8)
        assert list(run.arrays["curve_epoch"]) == sorted(run.arrays["curve_epoch"])
    one, two = (set(run.rows["metric"]) for run in runs)
    assert "gain_copies_3" in one - two
    assert "gain_own_noise" in two - one


def test_the_stored_weights_are_what_was_measured(stored, images):
    _, (_, config), (_, run) = stored
    mixture = models.new_flow(config, images.shape, 2)
    mixture.load_state_dict(single_flow.unpack_weights(run.arrays["weights"]))
    found = nll_per_pixel(mixture.eval(), images.train, seed=0).mean()
    assert found == pytest.approx(run.rows.set_index("metric").loc["nll_train", "value"], rel=1e-5)


def test_runs_say_what_they_lack(tmp_path):
    config = TABLE_1.configure("smoke", **SMALL)
    with pytest.raises(ValueError, match="needs RunContext.require"):
        TABLE_1.run(config, RunContext(tmp_path, progress=False))
    with pytest.raises(ValueError, match="makes no GenMM per dimension"):
        TABLE_1.configure("smoke", model="GenMM per dimension", n_components=1)


def test_the_laptop_plan_repeats_what_table_1_prints():
    counts = Counter((c.model, c.dataset, c.n_components) for c in TABLE_1.configs("laptop"))
    of_genmm = {key[1:]: n for key, n in counts.items() if key[0] == "GenMM"}
    for dataset in ("mnist", "fashion-mnist"):
        assert [of_genmm[dataset, k] for k in (1, 3, 5, 7, 9)] == [3, 3, 3, 3, 1]
    assert {n for key, n in counts.items() if key[0] != "GenMM"} == {1}
