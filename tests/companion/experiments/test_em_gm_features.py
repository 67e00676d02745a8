"""Feature networks: trained, stored in 16 bits, read back, and named when they are missing."""

import numpy as np
import pytest
import torch

from companion.em_gm.images import features
from companion.em_gm.images.features import as_floats, load_feature_network
from companion.runs.config import ParameterError
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from companion.runs.runner import execute
from companion.runs.store import Store
from companion.runs.weights import pack_weights, unpack_weights
from mixflow.datasets import load_digit_images

EXPERIMENT = find("em-gm/features")


def train(tmp_path, n=1198, seed=0, **parameters):
    config = EXPERIMENT.configure("smoke", seed=seed, **parameters)
    split = load_digit_images()
    context = RunContext(tmp_path, progress=False, resume=False)
    return features.train(config, context, split.x_train[:n], split.y_train[:n])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The smoke run, in a store of its own."""
    store = Store(tmp_path_factory.mktemp("results"))
    return store, execute(EXPERIMENT, EXPERIMENT.configure("smoke"), store, progress=False)


def test_the_smoke_network_knows_digits_and_is_small(stored):
    _, run = stored
    values = run.rows.set_index("metric")["value"]
    assert values["test_accuracy"] > 0.97
    assert values["test_accuracy"] == pytest.approx(values["test_accuracy_32_bits"], abs=0.005)
    assert run.arrays["weights"].nbytes == values["stored_bytes"] < 50_000
    assert set(run.rows["dataset"]) == {"digits"}


def test_the_network_read_back_is_the_one_that_was_measured(stored):
    store, run = stored
    network = load_feature_network("digits", store=store)
    split = load_digit_images()
    out = network.extract(as_floats("digits", split.x_test))
    accuracy = (out.probabilities.argmax(1) == split.y_test).mean()
    assert accuracy == run.rows.set_index("metric").loc["test_accuracy", "value"]
    assert network.source == f"em-gm/features/{run.digest}"
    assert not network.training
    assert out.features.shape == (599, 32)


def test_a_missing_network_names_the_command_that_makes_it(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(FileNotFoundError, match="run em-gm/features --profile laptop -p dataset="):
        load_feature_network("fashion-mnist", store=store)
    with pytest.raises(FileNotFoundError, match="--profile smoke -p dataset=digits --seeds 3"):
        load_feature_network("digits", seed=3, store=store)
    with pytest.raises(ParameterError, match="mnits"):
        load_feature_network("mnits", store=store)


def test_the_command_makes_the_network_that_is_looked_for():
    for profile, names in (("smoke", ["digits"]), ("laptop", ["mnist", "fashion-mnist"])):
        planned = {config.digest() for config in EXPERIMENT.configs(profile)}
        wanted = {EXPERIMENT.configure(profile, dataset=n, seed=0).digest() for n in names}
        assert planned == wanted


def test_training_is_seeded_and_leaves_the_generator_alone(tmp_path):
    short = {"n": 128, "epochs": 1, "width": 8}
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (train(tmp_path, seed=seed, **short) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [pack_weights(net.state_dict()) for net in (first, again, other)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_every_parameter_learns(tmp_path):
    short = {"n": 128, "epochs": 1, "width": 8}
    start = train(tmp_path, **short, learning_rate=1e-30, weight_decay=0)
    moved = train(tmp_path, **short)
    for (name, a), b in zip(start.named_parameters(), moved.parameters(), strict=True):
        assert not torch.equal(a, b), name


def test_weights_are_rounded_to_16_bits_and_read_back():
    state = {"b": torch.tensor([1 / 3, -2.0]), "a": torch.tensor(7), "c": torch.ones(2, 2)[:, ::2]}
    content = pack_weights(state)
    back = unpack_weights(content)
    torch.testing.assert_close(back["b"], torch.tensor([1 / 3, -2.0]), rtol=1e-3, atol=0)
    assert back["b"].dtype == torch.float32
    assert back["a"] == 7
    np.testing.assert_array_equal(content, pack_weights(dict(sorted(state.items()))))
    with pytest.raises(ValueError, match="damaged"):
        unpack_weights(content[:-3])
    with pytest.raises(ValueError, match=r"65504.*\['b'\]"):
        pack_weights({**state, "b": torch.tensor([1e6])})
