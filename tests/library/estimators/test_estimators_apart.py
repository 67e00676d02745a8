"""A fit is alone: other threads, torch's modes and global generators neither change nor feel it."""

import contextlib
import threading
import warnings

import numpy as np
import pytest
import torch

from mixflow import BasisDensity, GenMM, LatMM, MixtureClassifier, RotatedBasisDensity, VMoNF, load
from mixflow.modes import without

rng = np.random.default_rng(0)
Y = np.arange(60) % 2
X = rng.normal(size=(60, 2)) + 3 * Y[:, None]
IMAGES = rng.normal(size=(40, 1, 4, 4))
SMALL = {"n_layers": 1, "hidden_features": 4, "max_epochs": 3, "batch_size": 20, "em_every": 1}
NETWORK = {name: value for name, value in SMALL.items() if name != "em_every"}
VI = {**NETWORK, "posterior_features": 8, "consistency": 0.3, "noise": 0.1, "start_share": 0.4}
IMAGE = {"image_shape": (1, 4, 4), "n_levels": 1}


def genmm(seed):
    settings = {"noise": 0.1, "dropout": 0.2, "m_step": "sparse"}
    return GenMM(6, **SMALL, **settings, random_state=seed).fit(X)


def images(seed):
    return GenMM(2, **SMALL, **IMAGE, noise=0.1, random_state=seed).fit(IMAGES)


def latmm(seed):
    return LatMM(3, **SMALL, early_stopping=True, random_state=seed).fit(X)


def muon(seed):
    return GenMM(2, **SMALL, optimizer="muon", n_init=2, init="random", random_state=seed).fit(X)


def vmonf(seed):
    return VMoNF(2, **VI, random_state=seed).fit(X, np.where(np.arange(60) % 5, -1, Y))


def vmonf_images(seed):
    settings = {"posterior_shift": 1, "posterior_dropout": 0.2}
    return VMoNF(2, **VI, **IMAGE, **settings, random_state=seed).fit(IMAGES)


def classifier(seed):
    model = MixtureClassifier(2, **SMALL, dropout=0.1, random_state=seed).fit(X, Y)
    return model.add_class(X + 9, 2)


def basis(seed):
    return BasisDensity(30, sigma="isj", em_steps=1, random_state=seed).fit(X)


def basis_of_tensors(seed):
    x = torch.from_numpy(X).to(torch.float32)
    return BasisDensity(30, algorithm=1, random_state=seed).partial_fit(x).partial_fit(x)


def rotated(seed):
    return RotatedBasisDensity(30, n_clusters=2, rotation="ica", random_state=seed).fit(X)


KINDS = (genmm, images, latmm, muon, vmonf, vmonf_images, classifier)
KINDS += (basis, basis_of_tensors, rotated)


def answers(model, folder):
    """Return all that a model answers, itself and saved and loaded, as bytes."""
    loaded = load(model.save(folder / "model"))
    x = IMAGES if getattr(model, "image_shape", None) else X
    out = []
    for one in (model, loaded):
        out.append(one.score_samples(x))
        for name in ("predict_proba", "predict", "encode", "elbo", "posterior", "cdf"):
            if hasattr(one, name):
                out.append(getattr(one, name)(x))
        if hasattr(one, "sample"):
            drawn = one.sample(9)
            out += [*drawn] if isinstance(drawn, tuple) else [drawn]
        if hasattr(one, "decode"):
            out.append(one.decode(one.encode(x[:5]), one.predict(x[:5])))
    return [(str(part.dtype), np.asarray(part).tobytes()) for part in out]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def kind(request, tmp_path_factory):
    """Return a kind, and what it answers outside of any mode."""
    model = request.param(0)
    return request.param, answers(model, tmp_path_factory.mktemp("alone"))


# Modes ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


MODES = {
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default dtype": default_dtype,
    "default device": default_device,
    "a device around it": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("mode", MODES)
def test_modes_change_nothing(kind, mode, tmp_path):
    make, expected = kind
    with MODES[mode]():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        before += (torch.is_autocast_enabled("cpu"),)
        model = make(0)
        found = answers(model, tmp_path)
        after = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert before == (*after, torch.is_autocast_enabled("cpu"))
    assert found == expected
    assert answers(model, tmp_path) == expected  # the model itself is as any other


def test_a_model_of_inference_mode_trains_on(tmp_path):
    settings = {**SMALL, "warm_start": True, "random_state": 0}
    with torch.inference_mode():
        first = GenMM(2, **settings).fit(X)
        second = load(first.save(tmp_path / "model"))
    expected = GenMM(2, **settings).fit(X).fit(X).score_samples(X)
    assert (first.fit(X).score_samples(X) == expected).all()
    assert second.fit(X).score_samples(X).shape == (60,)


# Global generators ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, None])
def test_global_generators_are_left_alone(kind, seed, tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), np.random.get_state()[2]
    found = answers(kind[0](seed), tmp_path)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert np.random.get_state()[2] == before[2]
    assert seed is None or found == kind[1]


def test_without_a_seed_fits_differ():
    torch.manual_seed(5)
    np.random.seed(5)
    first = genmm(None).score_samples(X)
    torch.manual_seed(5)
    np.random.seed(5)
    assert (genmm(None).score_samples(X) != first).any()


# Threads -------------------------------------------------------------------------------------


def test_threads_change_nothing(kind, tmp_path):
    make, expected = kind
    found, start = {}, threading.Barrier(4)

    def run(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        start.wait()
        found[number] = answers(make(0), folder)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] == expected for number in range(4)] == [True] * 4


def test_seeded_draws_of_the_caller_are_not_disturbed():
    torch.manual_seed(3)
    expected = [torch.rand(5) for _ in range(200)]
    thread = threading.Thread(target=genmm, args=(0,))
    torch.manual_seed(3)
    thread.start()
    found = [torch.rand(5) for _ in range(200)]
    thread.join()
    assert torch.equal(torch.stack(found), torch.stack(expected))


# Files ---------------------------------------------------------------------------------------


def test_what_becomes_of_the_file_changes_no_loaded_model(kind, tmp_path):
    make, _ = kind
    model = make(0)
    x = IMAGES if getattr(model, "image_shape", None) else X
    path = model.save(tmp_path / "model")
    expected, loaded = model.score_samples(x), load(path)
    size = path.stat().st_size
    with path.open("r+b") as file:  # the same file, not another of its name
        file.write(b"\xff" * size)
    assert np.array_equal(loaded.score_samples(x), expected)
    with path.open("r+b") as file:
        file.truncate(8)
    assert np.array_equal(loaded.score_samples(x), expected)


# Warnings ------------------------------------------------------------------------------------


def test_filters_of_warnings_stay_as_they_are():
    """Two threads that silence scikit-learn at once; who leaves last must not restore silence."""
    inside, leave, last = threading.Event(), threading.Event(), threading.Event()

    def first():
        with without(UserWarning):
            inside.set()
            leave.wait()

    def second():
        with without(UserWarning):
            last.wait()

    before = list(warnings.filters)
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait()
    threads[1].start()
    threads[1].join(0.05)  # it waits for the first
    leave.set()
    threads[0].join()
    last.set()
    threads[1].join()
    assert list(warnings.filters) == before
