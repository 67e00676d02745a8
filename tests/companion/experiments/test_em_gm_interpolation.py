"""Figure 7: codes and generators of walks between images, what is counted, stored mixtures."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from companion.em_gm.images import interpolation, models, table_1
from companion.em_gm.images.data import load_images
from companion.em_gm.images.interpolation import PIXELS, SHARED, Pairs, Reading
from companion.em_gm.images.mixtures import rebuilt
from companion.em_gm.images.walks import DRAWN, ENDS, coder_of, generators, walk
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from companion.runs.weights import pack_weights
from mixflow.mixtures import LatMM

EXPERIMENT = find("em-gm/interpolation")
ALPHA = np.linspace(0, 1, 5)
FLOW = {"n_steps": (1, 1), "hidden_features": 8}


@pytest.fixture(scope="module")
def images():
    return load_images("digits")


@pytest.fixture(scope="module")
def mixtures(images):
    """GenMM and LatMM of three components that differ, though untrained."""
    config = table_1.EXPERIMENT.configure("smoke", n_components=3, **FLOW)
    generator = torch.Generator().manual_seed(0)
    made = {
        "GenMM": models.new_flow(config, images.shape, 3),
        "LatMM": LatMM(models.new_flow(config, images.shape).flow, 3),
    }
    for mixture in made.values():
        mixture.double().eval().requires_grad_(False)
        for parameter in mixture.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        # Untrained, one component would have all images.
        typical = mixture.log_prob_components(images.train[:100].double()).median(0).values
        mixture.log_weights.copy_(torch.log_softmax(-typical, 0))
    return made


@pytest.fixture(scope="module")
def pairs(images):
    drawn = interpolation.draw_pairs(images, 6, seed=0)
    return Pairs(drawn.images.double(), drawn.classes)


def test_pairs_are_held_out_images_of_different_classes(images):
    drawn = interpolation.draw_pairs(images, 200, seed=1)
    assert (drawn.classes[:, 0] != drawn.classes[:, 1]).all()
    apart = torch.cdist(drawn.images.flatten(2).flatten(0, 1), images.held_out.flatten(1))
    nearest = apart.argmin(1).numpy()
    assert len(set(nearest)) == 400, "no image twice"
    np.testing.assert_array_equal(images.y_held_out[nearest].reshape(2, -1).T, drawn.classes)
    other = interpolation.draw_pairs(images, 200, seed=2)
    assert (other.classes != drawn.classes).any()
    with pytest.raises(ValueError, match="n_pairs=10000, but only"):
        interpolation.draw_pairs(images, 10_000, seed=0)


@pytest.mark.parametrize("model", ["GenMM", "LatMM"])
@pytest.mark.parametrize("rule", [ENDS, DRAWN])
def test_the_ends_decode_to_the_ends(mixtures, pairs, model, rule):
    walked = walk(mixtures[model], pairs.images, ALPHA, rule)
    assert walked.shape == (6, 5, 1, 8, 8)
    torch.testing.assert_close(walked[:, [0, -1]].transpose(0, 1), pairs.images)


def test_codes_are_mixed_linearly_and_decoded_by_the_nearer_end(mixtures, pairs):
    mixture = mixtures["GenMM"]
    own = torch.stack([mixture.posterior(x).argmax(1) for x in pairs.images])
    assert (own[0] != own[1]).any(), "or the rule would not show"
    z = [mixture.encode(x, k) for x, k in zip(pairs.images, own, strict=True)]
    walked = walk(mixture, pairs.images, ALPHA)
    for step, k in ((1, own[0]), (2, own[1]), (3, own[1])):
        code = (1 - ALPHA[step]) * z[0] + ALPHA[step] * z[1]
        torch.testing.assert_close(walked[:, step], mixture.decode(code, k))


def test_drawn_generators_follow_the_weights_between_the_ends():
    own = torch.tensor([0, 1, 2]).repeat(2, 2000)
    weights = torch.tensor([0.7, 0.2, 0.1])
    drawn = generators(DRAWN, own, ALPHA, weights.log(), seed=0)
    np.testing.assert_array_equal(drawn[[0, -1]], own)
    shares = torch.bincount(drawn[1:-1].flatten()) / drawn[1:-1].numel()
    torch.testing.assert_close(shares, weights, atol=0.02, rtol=0)
    assert (generators(DRAWN, own, ALPHA, weights.log(), seed=1) != drawn).any()
    swapped = generators(ENDS, torch.stack([own[0], 2 - own[0]]), ALPHA, weights.log(), seed=0)
    np.testing.assert_array_equal(swapped[:2], own)
    np.testing.assert_array_equal(swapped[2:], (2 - own[0]).expand(3, -1))


def test_latmm_mixes_the_latents_of_its_one_flow(mixtures, pairs):
    mixture = mixtures["LatMM"]
    by_rule = [walk(mixture, pairs.images, ALPHA, rule) for rule in (ENDS, DRAWN)]
    torch.testing.assert_close(*by_rule)
    # What one component's source standardises is an affine map of them: the line is the same.
    k = torch.zeros(6, dtype=torch.int64)
    first, last = (mixture.encode(x, k) for x in pairs.images)
    torch.testing.assert_close(by_rule[0][:, 1], mixture.decode(0.75 * first + 0.25 * last, k))
    assert coder_of(mixture).n_components == 1


def test_shares_count_images_between_the_ends():
    classes = np.array([[0, 0, 1, 7, 1], [2, 3, 2, 2, 3]])
    reading = Reading(classes, np.full((2, 5), 0.5), np.array([[0, 1], [2, 3]]))
    images = torch.zeros(2, 2, 1, 2, 2)
    walks = torch.zeros(2, 5, 1, 2, 2)
    walks[0, 0, 0, 0, 0] = 2 / 255
    walks[1, 1] = torch.nan
    found = interpolation.measured(reading, walks, Pairs(images, reading.ends), ALPHA)
    assert found["at_an_end"] == pytest.approx(5 / 6)
    assert found["at_the_nearer_end"] == pytest.approx(1 / 4), "alpha = 0.5 is no side"
    assert found["ends_kept"] == 1.0
    assert found["outside"] == pytest.approx(1 / 6), "what is not finite is out of range"
    assert found["reconstruction_error"] == pytest.approx(2)


@pytest.mark.parametrize("model", ["GenMM", "LatMM"])
def test_a_stored_mixture_is_rebuilt(mixtures, pairs, model):
    config = table_1.EXPERIMENT.configure(
        "smoke", model=model, n_components=3, keep=True, **FLOW
    ).model_dump(mode="json")
    arrays = {
        "weights": pack_weights(mixtures[model].state_dict()),
        "samples": np.zeros((2, 1, 8, 8), np.uint8),
    }
    found = rebuilt(SimpleNamespace(config=config, arrays=arrays, digest="0"))
    assert not any(p.requires_grad for p in found.parameters())
    few = pairs.images[0]
    torch.testing.assert_close(
        found.double().log_joint(few), mixtures[model].log_joint(few), rtol=1e-2, atol=0.5
    )
    with pytest.raises(ValueError, match="kept no weights"):
        rebuilt(SimpleNamespace(config=config, arrays={}, digest="0"))


@pytest.mark.parametrize("model", ["GenMM", "LatMM"])
def test_a_run_builds_on_a_mixture_and_keeps_pictures(tmp_path, mixtures, monkeypatch, model):
    config = EXPERIMENT.configure("smoke", model=model, n_components=3, n_pairs=4, n_steps=5)
    stored = SimpleNamespace(config={"part": "t10k"})
    asked = []

    def require(name, profile="smoke", **parameters):
        asked.append((name, parameters))
        return stored

    def network(_):
        return SimpleNamespace(
            extract=lambda x: SimpleNamespace(probabilities=np.eye(10)[np.zeros(len(x), int)])
        )

    monkeypatch.setattr(interpolation, "rebuilt", lambda _: mixtures[model].float())
    monkeypatch.setattr(interpolation.features, "rebuilt", network)
    result = EXPERIMENT.run(config, RunContext(tmp_path, progress=False, require=require))
    mixtures[model].double()
    same = {"dataset": "digits", "seed": 0}
    wanted = {"model": model, "n_components": 3, "keep": True, **same}
    assert asked == [(table_1.NAME, wanted), ("em-gm/features", same)]
    names = [ENDS, DRAWN, PIXELS] if model == "GenMM" else [SHARED, PIXELS]
    assert [n for n in result.arrays if n.startswith("images")] == [f"images, {n}" for n in names]
    pixels = result.arrays[f"images, {PIXELS}"].astype(float)
    assert pixels.shape == (4, 5, 8, 8)
    np.testing.assert_allclose(pixels[:, 2], pixels[:, [0, -1]].mean(axis=1), atol=3)
    assert set(result.rows["seed"]) == {0}
    assert result.rows["value"].notna().all()
    with pytest.raises(ValueError, match="needs RunContext.require"):
        EXPERIMENT.run(config, RunContext(tmp_path, progress=False))


def test_what_it_builds_on_is_in_the_plan_of_table_1():
    planned = {c.digest() for c in table_1.EXPERIMENT.configs("laptop")}
    for config in EXPERIMENT.configs("laptop"):
        needed = table_1.EXPERIMENT.configure(
            "laptop", dataset=config.dataset, model=config.model,
            n_components=config.n_components, seed=0, keep=True,
        )  # fmt: skip
        assert needed.digest() in planned
