"""Images given to the estimators: wrong shapes, and bytes where floats are expected."""

import numpy as np
import pytest
import torch

from mixflow import GenMM, LatMM, MixtureClassifier, VMoNF, load
from mixflow.flows import ToneCurve

FLOATS = np.random.default_rng(0).random((30, 1, 8, 8))
BYTES = (255 * FLOATS).astype(np.uint8)
QUICK = {"image_shape": (1, 8, 8), "n_layers": 1, "hidden_features": 4, "max_epochs": 1}


@pytest.mark.parametrize("kind", [GenMM, LatMM])
@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (FLOATS, {"image_shape": None}, r"for images give image_shape=\(1, 8, 8\)"),
        (FLOATS, {"image_shape": (8, 8)}, r"image_shape must be \(C, H, W\), got \(8, 8\)"),
        (FLOATS.repeat(3, axis=1), {}, r"images must be \(1, 8, 8\), got \(3, 8, 8\)"),
        (FLOATS[..., :7], {"image_shape": (1, 8, 7)}, "divisible by 4, got 8 x 7; pad or resize"),
        (FLOATS, {"n_levels": 4}, "divisible by 16, got 8 x 8"),
        (BYTES, {"standardize": False, "noise": 0.1}, "uint8 up to 25.*same scale first"),
    ],
)
def test_images_that_cannot_be_fitted(kind, images, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(1, **{**QUICK, **settings}).fit(images)


def test_bytes_are_not_scored_by_a_model_of_floats():
    model = GenMM(1, **QUICK).fit(FLOATS)
    with pytest.raises(ValueError, match="are uint8 up to 25.*takes values near 0.5"):
        model.score_samples(BYTES)
    classifier = MixtureClassifier(1, **QUICK).fit(FLOATS, np.arange(30) % 2)
    with pytest.raises(ValueError, match="same scale"):
        classifier.predict(BYTES)


def test_bytes_are_fitted_and_scored_as_the_numbers_they_are():
    model = GenMM(1, **QUICK, random_state=0).fit(BYTES)
    np.testing.assert_array_equal(
        model.score_samples(BYTES), model.score_samples(BYTES.astype(float))
    )
    assert np.isfinite(model.score_samples(np.zeros((1, 1, 8, 8), np.uint8))).all()


@pytest.mark.parametrize("kind", [GenMM, LatMM, VMoNF])
@pytest.mark.parametrize("shared_layers", [0, 1])
def test_what_flows_of_images_may_know_reaches_them_and_is_saved(kind, shared_layers, tmp_path):
    settings = QUICK | {"positional_bias": True, "tone_curve": True, "max_epochs": 3}
    if kind is not LatMM:
        settings["shared_layers"] = shared_layers
    model = kind(2, **settings).fit(FLOATS)
    places = [
        p for name, p in model.mixture_.named_parameters() if name.endswith("conditioner.place")
    ]
    n_levels, trunk = 2, settings.get("shared_layers", 0)
    assert len(places) == n_levels + trunk
    assert all(place.abs().max() > 0 for place in places), "it was learned"
    curves = [part for part in model.mixture_.modules() if isinstance(part, ToneCurve)]
    assert [curve.event_shape for curve in curves] == [(8, 8, 1)], "one, of the pixels"
    again = load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.score_samples(FLOATS), model.score_samples(FLOATS))


@pytest.mark.parametrize("kind", [GenMM, LatMM])
@pytest.mark.parametrize("shared_layers", [0, 1])
def test_networks_train_in_bfloat16_and_densities_are_of_full_precision(kind, shared_layers):
    settings = QUICK | {"mixed_precision": True, "max_epochs": 3, "random_state": 0}
    if kind is not LatMM:
        settings["shared_layers"] = shared_layers
    model, plain = (kind(2, **settings | {"mixed_precision": m}).fit(FLOATS) for m in (True, False))
    trained = torch.nn.utils.parameters_to_vector(model.mixture_.parameters())
    other = torch.nn.utils.parameters_to_vector(plain.mixture_.parameters())
    assert not torch.equal(trained, other), "it has no effect"
    plain.mixture_.load_state_dict(model.mixture_.state_dict())
    np.testing.assert_array_equal(model.score_samples(FLOATS), plain.score_samples(FLOATS))
    assert abs(model.score(FLOATS) - plain.fit(FLOATS).score(FLOATS)) < 0.01 * 64
