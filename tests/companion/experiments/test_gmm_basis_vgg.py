"""VGG-19 in plain torch: against naive loops, with weights of every kind of file."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from companion.gmm_basis import vgg
from companion.gmm_basis.vgg import BLOCKS, LAYERS, VGG19, Weights, load_weights
from mixflow.datasets import DatasetError, verify

CHANNELS = [BLOCKS[int(name[4]) - 1][1] for name in LAYERS]
# Where torchvision's list of layers has its convolutions.
TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


@pytest.fixture(scope="module")
def weights():
    return load_weights("random", seed=3)


def naive(x, kernel, bias, padding):
    """Convolve (C, H, W) pixel by pixel, and take the positive part."""
    mode = {"zeros": {"mode": "constant"}, "reflect": {"mode": "reflect"}}[padding]
    x = np.pad(x, ((0, 0), (1, 1), (1, 1)), **mode)
    height, width = x.shape[1] - 2, x.shape[2] - 2
    out = np.empty((len(kernel), height, width))
    for i in range(height):
        for j in range(width):
            out[:, i, j] = (kernel * x[None, :, i : i + 3, j : j + 3]).sum((1, 2, 3)) + bias
    return np.maximum(out, 0)


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize(("pooling", "reduce"), [("average", np.mean), ("max", np.max)])
def test_forward_equals_naive_loops(weights, pooling, reduce, padding):
    image = np.random.default_rng(0).uniform(size=(3, 8, 6))
    x = image - np.array(weights.mean)[:, None, None]
    expected = {}
    for name in ("conv1_1", "conv1_2", "conv2_1"):
        if name == "conv2_1":
            x = reduce(x.reshape(len(x), 4, 2, 3, 2), axis=(2, 4))
        x = naive(x, weights.kernels[name].numpy(), weights.biases[name].numpy(), padding)
        expected[name] = x
    network = VGG19(weights, ["conv2_1", "conv1_1"], pooling=pooling, padding=padding)
    maps = network(torch.from_numpy(image).float()[None])
    assert list(maps) == ["conv2_1", "conv1_1"]
    for name, value in maps.items():
        np.testing.assert_allclose(value[0].numpy(), expected[name], atol=2e-5)


def test_only_the_image_gets_a_gradient(weights):
    network = VGG19(weights, ["conv2_2"])
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    network(image)["conv2_2"].square().mean().backward()
    assert image.grad.abs().min() > 0
    assert not any(p.requires_grad for p in network.parameters())


def test_layers_behind_the_last_are_not_built(weights):
    assert list(VGG19(weights, ["conv2_1"]).convolutions) == ["conv1_1", "conv1_2", "conv2_1"]


def test_random_weights_have_a_seed():
    one, same, other = (load_weights("random", seed) for seed in (0, 0, 1))
    assert [len(kernel) for kernel in one.kernels.values()] == CHANNELS
    assert torch.equal(one.kernels["conv5_4"], same.kernels["conv5_4"])
    assert not torch.equal(one.kernels["conv5_4"], other.kernels["conv5_4"])
    # He's initialisation keeps the mean square from layer to layer.
    maps = VGG19(one, ["conv1_2", "conv3_4"], padding="reflect")(torch.rand(1, 3, 32, 32))
    squares = [float(value.square().mean()) for value in maps.values()]
    assert 0.1 < squares[1] / squares[0] < 10


# Files ----------------------------------------------------------------------------------------


def as_published(rgb, kernel, bias, prepare):
    """Return relu(conv) of an image (1, 3, H, W) in the published network's own units."""
    x = torch.nn.functional.conv2d(prepare(rgb), kernel, bias, padding=1)
    return x.relu().numpy()


def test_published_weights_take_blue_green_red(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(64, 3, 3, 3)), rng.normal(size=64)
    arrays = {"conv1_1.weight": kernel.astype("f4"), "conv1_1.bias": bias.astype("f4")}
    np.savez(tmp_path / "weights.npz", **arrays)
    monkeypatch.setattr(vgg, "locate", lambda name, file: tmp_path / "weights.npz")
    image = torch.rand(1, 3, 5, 5)
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    expected = as_published(
        image,
        *(torch.from_numpy(a) for a in arrays.values()),
        lambda rgb: 255 * rgb[:, [2, 1, 0]] - mean,
    )
    found = VGG19(load_weights("vgg"), ["conv1_1"])(image)["conv1_1"]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-3)


def test_torchvision_weights_take_red_green_blue_over_sd(tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for place, out in zip(TORCHVISION, CHANNELS, strict=True):
        tensors[f"features.{place}.weight"] = torch.randn(out, 3, 3, 3, generator=generator)
        tensors[f"features.{place}.bias"] = torch.randn(out, generator=generator)
    save_file(tensors, tmp_path / "model.safetensors")
    monkeypatch.setattr(vgg, "locate", lambda name, file: tmp_path / "model.safetensors")
    weights = load_weights("vgg19")
    for name, place in zip(LAYERS, TORCHVISION, strict=True):
        assert torch.equal(weights.biases[name], tensors[f"features.{place}.bias"])
    image = torch.rand(1, 3, 5, 5)
    mean, sd = (
        torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    expected = as_published(
        image,
        tensors["features.0.weight"],
        tensors["features.0.bias"],
        lambda rgb: (rgb - mean) / sd,
    )
    found = VGG19(weights, ["conv1_1"])(image)["conv1_1"]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_the_real_file_ends_with_block_three():
    if verify("vgg")[0].status == "missing":
        pytest.skip("vgg19_conv1_1-conv3_4.npz is in neither MIXFLOW_DATA nor the cache")
    weights = load_weights("vgg")
    assert [len(kernel) for kernel in weights.kernels.values()] == CHANNELS[:8]
    # A filter of a trained first layer looks for colours or edges: a grey image excites few.
    grey = VGG19(weights, ["conv1_1"], padding="reflect")(torch.full((1, 3, 4, 4), 0.5))
    assert (grey["conv1_1"] < 1).float().mean() > 0.3
    with pytest.raises(ValueError, match=r"end at conv3_4 and have no conv4_1.*vgg19"):
        VGG19(weights, ["conv3_1", "conv4_1"])


@pytest.mark.parametrize(
    ("name", "path"),
    [("vgg", "vgg/vgg19_conv1_1-conv3_4.npz"), ("vgg19", "vgg19/model.safetensors")],
)
def test_a_wrong_checksum_is_an_error(tmp_path, monkeypatch, name, path):
    file = tmp_path / path
    file.parent.mkdir()
    file.write_bytes(b"not the weights")
    monkeypatch.setenv("MIXFLOW_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=f"{path} is corrupt(?s:.)*expected: *sha256"):
        load_weights(name)


def test_a_file_that_holds_something_else(tmp_path, monkeypatch):
    monkeypatch.setattr(vgg, "locate", lambda name, file: tmp_path / file)
    (tmp_path / "vgg19_conv1_1-conv3_4.npz").write_bytes(b"PK no")
    with pytest.raises(DatasetError, match="not an .npz file of weights"):
        load_weights("vgg")
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(DatasetError, match="not torchvision's VGG-19"):
        load_weights("vgg19")
    with pytest.raises(ValueError, match="weights must be one of"):
        load_weights("vgg16")


# Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        ("conv3_1", (1, 3, 7, 64), r"7 x 64 pixels are too small for conv3_1, which needs 8"),
        ("conv5_1", (1, 3, 16, 16), r"which needs 32"),
        ("conv1_1", (1, 1, 8, 8), r"\(N, 3, H, W\), got \(1, 1, 8, 8\)"),
        ("conv1_1", (3, 8, 8), r"\(N, 3, H, W\)"),
    ],
)
def test_images_that_do_not_fit(weights, layer, shape, message):
    with pytest.raises(ValueError, match=message):
        VGG19(weights, [layer])(torch.zeros(shape))


def test_the_least_size_is_enough(weights):
    network = VGG19(weights, ["conv3_1"], padding="reflect")
    side = network.least_size
    assert network(torch.zeros(1, 3, side, side))["conv3_1"].shape == (1, 256, 2, 2)


@pytest.mark.parametrize("layers", [[], ["conv1_3"], ["conv1_1", "conv1_1"]])
def test_layers_that_are_none(weights, layers):
    with pytest.raises(ValueError, match="layers must be different names out of conv1_1, conv1_2"):
        VGG19(weights, layers)


def test_weights_without_a_layer():
    short = Weights({"conv1_1": torch.zeros(64, 3, 3, 3)}, {"conv1_1": torch.zeros(64)}, (0, 0, 0))
    with pytest.raises(ValueError, match="end at conv1_1 and have no conv1_2"):
        VGG19(short, ["conv1_2"])
