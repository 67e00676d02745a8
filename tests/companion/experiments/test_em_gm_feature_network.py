"""The feature network's contract for its input, and how samples become images."""

import doctest

import numpy as np
import pytest
import torch
from PIL import Image

from companion.em_gm.images import feature_network
from companion.em_gm.images.feature_network import FeatureNetwork, as_images


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = FeatureNetwork(width=8)
        net(torch.rand(64, 1, 32, 32))  # statistics of batch normalisation that are not 0 and 1
    return net.eval()


def images(n=7, side=28, seed=0):
    return np.random.default_rng(seed).random((n, 1, side, side), np.float32)


def test_features_are_pooled_and_probabilities_are_their_softmax(network):
    out = network.extract(images())
    maps = network.blocks(network.resized(torch.as_tensor(images()))).detach().numpy()
    np.testing.assert_allclose(out.features, maps.mean((2, 3)), rtol=1e-5, atol=1e-6)
    assert maps.shape[2:] == (4, 4)
    linear = network.classify
    logits = out.features @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(out.probabilities, expected, rtol=1e-4)
    assert out.features.shape == (7, network.n_features) == (7, 32)
    assert out.features.dtype == out.probabilities.dtype == np.float64
    assert len(out) == 7
    np.testing.assert_array_equal(out[2:4].probabilities, out.probabilities[2:4])


def test_batches_and_training_mode_change_nothing(network):
    whole = network.extract(images())
    network.train()
    in_parts = network.extract(images(), batch_size=2)
    assert network.training
    network.eval()
    np.testing.assert_allclose(in_parts.features, whole.features, rtol=1e-5, atol=1e-6)


def test_images_as_published_are_enlarged_as_pil_does(network):
    published = (images(3) * 255).astype(np.uint8)
    by_pil = np.stack(
        [
            np.asarray(Image.fromarray(x[0]).resize((32, 32), Image.Resampling.BILINEAR))
            for x in published
        ]
    )[:, None]
    ours = network.resized(torch.as_tensor(published / 255)).numpy()
    np.testing.assert_allclose(ours, by_pil / 255, atol=1.01 / 255)  # PIL rounds twice
    small = network.extract(published / 255).features
    np.testing.assert_allclose(network.extract(by_pil / 255).features, small, atol=0.02)


def test_images_of_the_networks_side_are_taken_as_they_are(network):
    x = torch.as_tensor(images(2, 32))
    assert network.resized(x) is x
    assert not np.allclose(network.extract(x).features[0], network.extract(x).features[1])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (images(2, 30), r"event in \[\(1, 28, 28\), \(1, 32, 32\)\], got \(2, 1, 30, 30\)"),
        (images(2)[:, 0], r"got \(2, 28, 28\)"),
        (np.concatenate([images(2)] * 3, 1), r"got \(2, 3, 28, 28\)"),
        (images(2)[:0], "N >= 1"),
        ((images(2) * 255).astype(np.uint8), "divide bytes by 255"),
        (images(2) - 0.5, "as_images"),
        (images(2) * 255, "as_images"),
        (np.where(images(2) < 0.1, np.nan, images(2)), "as_images"),
    ],
)
def test_images_off_the_contract_are_refused(network, bad, message):
    with pytest.raises(ValueError, match=message):
        network.extract(bad)


def test_samples_become_images_as_a_file_would_hold_them():
    samples = np.array([[-3.0, -0.5, -0.5 + 0.4 / 255], [0.5 - 0.6 / 255, 0.5, 7.0]])
    expected = np.array([[0, 0, 0], [254, 255, 255]]) / 255
    np.testing.assert_allclose(as_images(samples), expected, atol=1e-12)
    grey = np.array([0, 128, 255], dtype=np.uint8)
    np.testing.assert_allclose(as_images(grey, low=0, high=255), grey / 255)
    with pytest.raises(ValueError, match="whole numbers up to 255.*give low=0, high=255"):
        as_images(grey)
    np.testing.assert_allclose(as_images([4.0, 8.0], low=0, high=16, levels=17), [0.25, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_images([0.0, np.nan]), "1 of 2 values"),
        (lambda: as_images([0.0], low=1, high=0), "low must be below"),
        (lambda: as_images([0.0], levels=1), "levels"),
    ],
)
def test_samples_that_are_no_images_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_examples_in_the_docstrings():
    assert doctest.testmod(feature_network).failed == 0


def test_a_network_too_narrow_for_the_convolutions_is_refused():
    with pytest.raises(ValueError, match="width must be at least 8, got 4"):
        FeatureNetwork(width=4)
