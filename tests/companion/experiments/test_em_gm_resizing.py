"""Images resized or padded, and what resizing leaves free."""

import numpy as np
import torch

from companion.em_gm.images.data import SIDE, load_images, resized
from companion.em_gm.images.resizing import NAME, free_pixels
from companion.runs.registry import find
from companion.runs.runner import execute
from companion.runs.store import Store


def test_padded_images_are_the_files_pixels_in_a_black_border(monkeypatch):
    from companion.em_gm.images import data
    from mixflow.datasets.split import Split

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (6, 1, 28, 28), dtype=np.uint8)
    split = Split(x[:4], np.arange(4), x[4:], np.arange(2), "mnist", ("0", "1", "2", "3"))
    monkeypatch.setitem(data._LOADERS, "mnist", lambda: split)
    images = load_images("mnist", padded=True)
    assert images.shape == (1, SIDE, SIDE)
    expected = torch.from_numpy(x[4:].astype(np.float32) / 255 - 0.5)
    torch.testing.assert_close(images.train[..., 2:-2, 2:-2], expected)
    border = torch.ones(SIDE, SIDE, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    assert (images.train[..., border] == -0.5).all()
    plain = load_images("mnist")
    np.testing.assert_array_equal(
        np.round(255 * (plain.train[0, 0].numpy() + 0.5)), np.asarray(resized(x[4, 0]))
    )


def test_resizing_leaves_as_many_pixels_free_as_there_were():
    assert free_pixels() == 28 * 28


def test_a_run_measures_either_kind_of_flow(tmp_path):
    experiment = find(NAME)
    small = {"n_steps": (1, 1), "hidden_features": 8, "epochs": 1}
    configs = [
        experiment.configure("smoke", **small),
        experiment.configure("smoke", tone_curve=True, **small),
    ]
    runs = [execute(experiment, c, Store(tmp_path), progress=False) for c in configs]
    assert [run.rows["model"].iloc[0] for run in runs] == ["Glow", "tone curve"]
    values = [run.rows.set_index("metric")["value"] for run in runs]
    assert set(values[0].index) == {"nll_train", "nll_held_out"}, "digits are not resized"
    assert values[1]["nll_train"] < values[0]["nll_train"]
    planned = experiment.configs("laptop")
    assert len({(c.padded, c.positional_bias, c.tone_curve) for c in planned}) == 8
