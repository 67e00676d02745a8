"""Style transfer with sampled Gram matrices: definitions, targets, images, the run as a whole."""

import numpy as np
import pytest
import torch

from companion.gmm_basis import gram as grams
from companion.gmm_basis import style
from companion.gmm_basis.common import Ledger
from companion.gmm_basis.gram import Triangles, distances, draw_target, mixed, position
from companion.gmm_basis.style_measures import StyleLedger, decode, encode, example_grams
from companion.gmm_basis.stylise import style_loss, style_unit, stylise
from companion.gmm_basis.vgg import VGG19, load_weights
from companion.runs.config import ParameterError
from companion.runs.experiment import RunContext

LAYOUT = Triangles({"a": 4, "b": 7})
SETTINGS = {"n_components": 100, "sigma": 2.0, "seed": 0}


def data(n=60, scale=1.0, seed=0):
    """Return Gram matrices of random maps as rows, (n, D) float32; scale sets the style."""
    generator = torch.Generator().manual_seed(seed)
    parts = {}
    for name, c in LAYOUT.channels.items():
        maps = torch.randn(n, c, 9, 9, generator=generator).abs() * scale
        maps = maps * torch.linspace(1, scale, c).view(1, -1, 1, 1)
        parts[name] = grams.gram(maps)
    return LAYOUT.row(parts)


@pytest.fixture(scope="module")
def network():
    return VGG19(load_weights("random"), ["conv1_1", "conv2_1"], padding="reflect")


# Gram matrices --------------------------------------------------------------------------------


def test_gram_by_loops():
    maps = torch.randn(2, 3, 4, 5, dtype=torch.double)
    for n, found in enumerate(grams.gram(maps)):
        for i in range(3):
            for j in range(3):
                products = [
                    float(maps[n, i, y, x] * maps[n, j, y, x]) for y in range(4) for x in range(5)
                ]
                assert float(found[i, j]) == pytest.approx(sum(products) / 20)


def test_triangles_and_back():
    matrices = {name: torch.randn(3, c, c) for name, c in LAYOUT.channels.items()}
    matrices = {name: m + m.transpose(1, 2) for name, m in matrices.items()}
    rows = LAYOUT.row(matrices)
    assert rows.shape == (3, 4 * 5 // 2 + 7 * 8 // 2)
    for n in range(3):
        back = LAYOUT.matrices(rows[n])
        assert all(torch.equal(back[name], matrices[name][n]) for name in matrices)
    squared = LAYOUT.squared(rows)
    for name, m in matrices.items():
        torch.testing.assert_close(squared[name], m.square().sum((1, 2)))


def test_of_crops_is_the_gram_of_the_maps(network):
    crops = torch.rand(10, 3, 8, 8)
    layout = grams.triangles(network)
    rows = layout.of_crops(network, crops)
    assert layout.channels == {"conv1_1": 64, "conv2_1": 128}
    maps = network(crops[9:])["conv2_1"]
    expected = torch.einsum("cyx,dyx->cd", maps[0], maps[0]) / 16
    torch.testing.assert_close(layout.matrices(rows[9])["conv2_1"], expected)


def test_random_crops_are_parts_of_the_picture():
    picture = torch.arange(3 * 20 * 30.0).view(3, 20, 30)
    crops = grams.random_crops(picture, 50, 12, np.random.default_rng(0))
    assert crops.shape == (50, 3, 12, 12)
    for crop in crops:
        i, j = divmod(int(crop[0, 0, 0]), 30)
        assert torch.equal(crop, picture[:, i : i + 12, j : j + 12])
    assert len({float(crop[0, 0, 0]) for crop in crops}) > 20
    with pytest.raises(ValueError, match=r"crops of 21 pixels do not fit .* 20 x 30"):
        grams.random_crops(picture, 1, 21, np.random.default_rng(0))


# Targets --------------------------------------------------------------------------------------


def test_mixed_takes_the_share():
    one, two = torch.zeros(10, 2), torch.ones(10, 2)
    assert [float(mixed(one, two, share).mean()) for share in (0, 0.1, 0.8, 1)] == [
        0,
        pytest.approx(0.1),
        pytest.approx(0.8),
        1,
    ]


def test_sampled_entries_have_the_data_s_marginals():
    rows = data()
    drawn = draw_target("basis", (rows, rows), 0, LAYOUT, **SETTINGS, n_samples=2000)
    assert drawn.dtype == rows.dtype
    apart = (drawn.mean(0) - rows.mean(0)).abs() / rows.std(0)
    assert apart.max() < 0.25
    # The entries of real Gram matrices go together, those of sampled ones do not.
    real, made = (np.corrcoef(x.numpy().T) for x in (rows, drawn))
    off = ~np.eye(len(real), dtype=bool)
    assert np.abs(made[off]).mean() < 0.05 < np.abs(real[off]).mean()


def test_entries_that_never_vary():
    rows = data()
    rows[:, 3] = 0
    drawn = draw_target("basis", (rows, rows), 0, LAYOUT, **SETTINGS, n_samples=5)
    assert drawn[:, 3].abs().max() < 1e-4 * rows.abs().mean()


def test_which_targets_are_positive():
    rows = data()
    kinds = ("basis", "basis, PSD", "basis, rotated", "basis, blended", "mean", "crop")
    shares = {
        kind: np.mean(
            [
                list(grams.negative_shares(row, LAYOUT).values())
                for row in draw_target(kind, (rows, rows), 0, LAYOUT, **SETTINGS, n_samples=20)
            ]
        )
        for kind in kinds
    }
    assert shares["basis, PSD"] == shares["mean"] == shares["crop"] == 0
    thin = rank_one(40)
    sampled = draw_target("basis", (thin, thin), 0, LAYOUT, **SETTINGS)[0]
    assert min(grams.negative_shares(sampled, LAYOUT).values()) > 0.02
    assert max(shares["basis, rotated"], shares["basis, blended"]) <= shares["basis"] + 0.01


def rank_one(n):
    """Return Gram matrices of maps of one pixel."""
    generator = torch.Generator().manual_seed(1)
    maps = {c: torch.randn(n, c, 1, 1, generator=generator).abs() for c in (4, 7)}
    return LAYOUT.row({name: grams.gram(maps[c]) for name, c in LAYOUT.channels.items()})


def test_the_positive_one_is_the_nearest():
    sampled, positive = (
        draw_target(kind, (rank_one(40),) * 2, 0, LAYOUT, **SETTINGS)[0]
        for kind in ("basis", "basis, PSD")
    )
    for name, matrix in LAYOUT.matrices(sampled).items():
        values, vectors = np.linalg.eigh(matrix.double().numpy())
        expected = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
        np.testing.assert_allclose(LAYOUT.matrices(positive)[name].numpy(), expected, atol=1e-5)


def test_rotated_targets_stay_among_the_crops():
    rows = data(n=12).double()
    drawn = draw_target("basis, rotated", (rows, rows), 0, LAYOUT, **SETTINGS, n_samples=3)
    centred = rows - rows.mean(0)
    basis = torch.linalg.svd(centred, full_matrices=False).Vh[:11]
    rest = (drawn - rows.mean(0)) - (drawn - rows.mean(0)) @ basis.T @ basis
    assert rest.abs().max() < 1e-8 * rows.abs().max()


def test_blended_and_rotated_draws_between_two_styles():
    """Rotated, the first component says which style, so that a draw is of one or the other."""
    one, two = data(n=50), data(n=50, scale=1.5, seed=1)
    centres = one.mean(0), two.mean(0)
    places = {}
    for kind in ("basis, rotated", "basis, blended"):
        drawn = draw_target(kind, (one, two), 0.4, LAYOUT, **SETTINGS, n_samples=300)
        places[kind] = position(distances(drawn, centres, LAYOUT))
    assert np.abs(places["basis, blended"] - 0.4).max() < 0.2
    rotated = places["basis, rotated"]
    assert np.quantile(np.minimum(np.abs(rotated), np.abs(rotated - 1)), 0.95) < 0.2
    assert (rotated > 0.5).mean() == pytest.approx(0.4, abs=0.1)


def test_controls():
    rows = data()
    drawn = draw_target("mean", (rows, rows), 0, LAYOUT, **SETTINGS, n_samples=2)
    torch.testing.assert_close(drawn, rows.mean(0).expand(2, -1))
    crops = draw_target("crop", (rows, rows), 0, LAYOUT, **SETTINGS, n_samples=5)
    assert all((rows == crop).all(1).any() for crop in crops)


def test_targets_have_a_seed():
    first, same = (draw_target("basis", (data(), data()), 0, LAYOUT, **SETTINGS) for _ in range(2))
    other = draw_target("basis", (data(), data()), 0, LAYOUT, **{**SETTINGS, "seed": 1})
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


# Measures -------------------------------------------------------------------------------------


def test_negative_shares_of_known_matrices():
    layout = Triangles({"a": 2, "b": 2})
    swap = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])  # eigenvalues 1 and -1
    ones = torch.ones(1, 2, 2)  # 2 and 0
    row = layout.row({"a": swap, "b": ones})[0]
    assert grams.negative_shares(row, layout) == {"a": pytest.approx(0.5), "b": 0.0}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_distances_of_a_blend(share):
    one, two = data().mean(0), data(scale=1.5).mean(0)
    blend = (1 - share) * one + share * two
    (found,) = distances(blend[None], (one, two), LAYOUT)
    assert found.tolist() == pytest.approx([share**2, (1 - share) ** 2], abs=1e-5)
    assert position(found) == pytest.approx(share, abs=1e-5)


def test_the_position_of_sampled_targets_follows_the_share():
    one, two = data(n=100), data(n=100, scale=1.5, seed=1)
    centres = one.mean(0), two.mean(0)
    shares = [0.1 * level for level in range(9)]
    drawn = torch.cat(
        [
            draw_target("basis", (one, two), s, LAYOUT, **SETTINGS, n_samples=400).mean(0)[None]
            for s in shares
        ]
    )
    found = distances(drawn, centres, LAYOUT)
    assert (np.diff(found[:, 0]) > 0).all()
    assert (np.diff(found[:, 1]) < 0).all()
    np.testing.assert_allclose(position(found), shares, atol=0.05)


def test_distances_are_ranked_along_the_shares():
    def trends(found, shares):
        ledger = StyleLedger(Ledger(0, "paintings"), "basis", 16)
        ledger._images = np.asarray(found)
        ledger.trends(shares)
        rows = ledger.rows()
        return dict(zip(rows["metric"], rows["value"], strict=True))

    good = trends([[0.05, 1.0], [0.2, 0.5], [0.7, 0.1]], (0.0, 0.4, 0.8))
    assert good == {"spearman_1": 1, "spearman_2": -1}
    back = trends([[0.05, 1.0], [0.7, 0.5], [0.2, 0.6]], (0.0, 0.4, 0.8))
    assert back == {"spearman_1": 0.5, "spearman_2": -0.5}
    assert trends([[0.2, 1.0]], (0.5,)) == {}


def test_pictures_are_stored_small_and_close():
    image = torch.linspace(0, 1, 48).view(1, 1, 48).expand(3, 48, 48)
    content = encode(image)
    assert content.dtype == np.uint8
    assert len(content) < 2000
    np.testing.assert_allclose(decode(content) / 255, image.permute(1, 2, 0).numpy(), atol=0.03)


def test_examples_show_the_largest_entry():
    rows = data(), data(seed=5)
    found = example_grams(rows, rows[0][0], LAYOUT)
    matrices = [LAYOUT.matrices(row)["b"] for row in torch.cat(rows)]
    mean = torch.stack(matrices).mean(0).fill_diagonal_(0)
    i, j = divmod(int(mean.argmax()), 7)
    expected = [float(m[i, j]) for m in matrices]
    np.testing.assert_allclose(found["entry of b"].ravel(), expected, rtol=1e-6)
    top = np.linalg.eigvalsh(matrices[0].numpy())[::-1]
    np.testing.assert_allclose(found["eigenvalues of b, sampled"], top, atol=1e-4)
    np.testing.assert_array_equal(
        found["Gram matrix, style 1"], LAYOUT.matrices(rows[0][0])["a"].numpy()
    )


# Images ---------------------------------------------------------------------------------------


def test_style_loss_by_hand_and_its_gradient():
    g = {"a": torch.ones(2, 2, requires_grad=True)}
    loss = style_loss(g, {"a": torch.zeros(2, 2)}, {"a": torch.tensor(8.0)})
    loss.backward()
    assert loss.item() == 0.5
    assert torch.equal(g["a"].grad, torch.full((2, 2), 0.25))


def test_an_image_takes_on_a_style(network):
    generator = torch.Generator().manual_seed(0)
    texture = torch.rand(1, 3, 16, 16, generator=generator)
    texture[:, 0] *= 0.2
    layout = grams.triangles(network)
    row = layout.of_crops(network, texture)
    start = 0.5 + 0.1 * torch.randn(3, 16, 16, generator=generator)
    before = start.clone()
    calls = []
    done = stylise(
        network,
        layout.matrices(row[0]),
        style_unit(row, layout),
        start,
        steps=30,
        callback=lambda step, loss: calls.append(step),
    )
    assert calls == list(range(1, len(done.losses) + 1))
    assert 30 <= len(calls) <= 50
    assert done.losses[-1] < 0.05 * done.losses[0]
    assert done.image.min() >= 0
    assert done.image.max() <= 1
    assert float(done.image[0].mean()) < 0.3
    assert torch.equal(start, before)


def test_content_holds_the_image_back(network):
    layout, start = grams.triangles(network), torch.rand(3, 16, 16)
    row = layout.of_crops(
        network, torch.rand(1, 3, 16, 16) * torch.tensor([0.2, 1, 1]).view(3, 1, 1)
    )
    made = [
        stylise(
            network, layout.matrices(row[0]), style_unit(row, layout), start, steps=15,
            content_layer="conv2_1", content_weight=weight, content=start,
        ).image
        for weight in (0.01, 10.0)
    ]  # fmt: skip
    apart = [float((image - start).square().mean()) for image in made]
    assert apart[1] < 0.3 * apart[0]
    with pytest.raises(ValueError, match="needs a content layer and a content image"):
        stylise(network, {}, {}, start, steps=1, content_weight=1.0)


def test_a_loss_that_is_not_finite(network):
    layout = grams.triangles(network)
    row = layout.of_crops(network, torch.rand(1, 3, 16, 16))
    broken = {name: m * torch.nan for name, m in layout.matrices(row[0]).items()}
    with pytest.raises(FloatingPointError, match=r"loss is nan at evaluation 1; take"):
        stylise(network, broken, style_unit(row, layout), torch.rand(3, 16, 16), steps=2)


# The run --------------------------------------------------------------------------------------

SMALL = {"shares": (0.0, 0.5, 1.0), "size": 16, "crop_size": 16, "picture_size": 24, "n_crops": 6}


@pytest.fixture(scope="module")
def config():
    return style.EXPERIMENT.configure("smoke", **SMALL, steps=3, n_variations=2, examples=True)


@pytest.fixture(scope="module")
def result(config, tmp_path_factory):
    return style.run(config, RunContext(tmp_path_factory.mktemp("run"), progress=False))


def test_rows_and_arrays_of_a_run(config, result):
    rows = result.rows
    assert not rows.duplicated(["model", "setting", "metric"]).any()
    assert rows["value"].notna().all()
    assert set(rows["dataset"]) == {"photos"}
    assert (rows["metric"] == "spearman_1").sum() == 1
    assert (rows["metric"] == "position").sum() == 6
    assert rows.loc[rows["metric"] == "spread_of_images", "value"].min() >= 0
    for share, variation in style.labels(config):
        assert decode(result.arrays[style.image_key(share, variation)]).shape == (16, 16, 3)
    assert decode(result.arrays["crops of style 1"]).shape == (16, 64, 3)
    assert {"content", "style 2", "Gram matrix, sampled"} <= set(result.arrays)


def test_a_cut_run_continues_with_the_next_image(config, result, tmp_path, monkeypatch):
    context = RunContext(tmp_path, progress=False)
    calls, save = [], style.save_checkpoint

    def cut(path, checkpoint):
        save(path, checkpoint)
        calls.append(len(checkpoint.tensors))
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(style, "save_checkpoint", cut)
    with pytest.raises(KeyboardInterrupt):
        style.run(config, context)
    again = style.run(config, context)
    assert calls == [1, 2, 3, 4, 5, 6]
    assert again.rows.equals(result.rows)
    assert all((again.arrays[name] == value).all() for name, value in result.arrays.items())


def test_variations_and_shares_differ(result):
    rows = result.rows[result.rows["model"] != "real crops"]
    for metric in ("target_distance_1", "distance_1"):
        assert rows.loc[rows["metric"] == metric, "value"].nunique() == 6


def test_without_content_from_noise(tmp_path):
    values = {"content": "none", "content_weight": 0, "start": "noise", "target": "mean"}
    config = style.EXPERIMENT.configure("smoke", **SMALL, steps=1, **values)
    rows = style.run(config, RunContext(tmp_path, progress=False)).rows
    assert not rows["metric"].str.startswith("spearman").any(), "only the published way is ranked"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shares": (0.0, 1.5)}, "different numbers from 0 to 1"),
        ({"shares": (0.5, 0.5)}, "different numbers from 0 to 1"),
        ({"layers": ("conv9_1",)}, "layers must be different names"),
        ({"content_layer": "relu1"}, "layers must be different names"),
        ({"crop_size": 60}, "crop_size must be at most picture_size"),
        ({"content": "none"}, "needs content_weight=0"),
        ({"weights": "vgg16"}, "weights"),
        ({"layer": ("conv1_1",)}, "did you mean 'layers'"),
    ],
)
def test_configs_that_make_no_sense(values, message):
    with pytest.raises(ParameterError, match=message):
        style.EXPERIMENT.configure("smoke", **values)


def test_layers_that_the_file_lacks_and_images_too_small(tmp_path):
    context = RunContext(tmp_path, progress=False)
    deep = {"layers": ("conv5_1",), "content_layer": "conv1_1"}
    with pytest.raises(ValueError, match="16 x 16 pixels are too small for conv5_1"):
        style.run(style.EXPERIMENT.configure("smoke", **SMALL, **deep), context)


def test_the_plan():
    for profile in ("smoke", "laptop", "paper"):
        configs = style.EXPERIMENT.configs(profile)
        assert sum(config.examples for config in configs) == 1
    series = [c for c in configs if len(c.shares) == 9 and c.target == "basis"]
    assert [c.shares for c in series] == [(0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)] * 3
    assert configs[0].dataset == ["paintings", "vgg19"]
