"""Checkpoints of other code, other fits, or damaged: the fit starts anew, with a warning."""

import copy
import math

import pandas as pd
import pytest
import torch
from safetensors.torch import save

from mixflow.flows import VectorFlow
from mixflow.mixtures import GenMM
from mixflow.training import EM, EMSettings, Groups, LoopSettings, checkpoints, fit
from mixflow.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from mixflow.training.resume import CHECKPOINT, LoopState, Saver
from mixflow.training.steps import new_optimizer

CPU = torch.device("cpu")
OTHERS = (None, True, -1, 0.5, "text", [], [[]], {}, math.nan)


def make(folder):
    """Return an objective and settings of a fit that validates."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 2, generator=generator)
    flow = VectorFlow(2, 2, n_layers=1, hidden_features=4, dropout=0.1, generator=generator)
    held_out = torch.randn(20, 2, generator=generator), Groups.single(20)
    how = EMSettings(em_every=1, batch_size=20, noise=0.1)
    em = EM(GenMM(flow), x, Groups.single(60), None, how, held_out)
    em.start(generator)
    loop = {"max_epochs": 3, "checkpoint": folder, "validate_every": 1, "learning_rate": 0.05}
    return em, LoopSettings(**loop, checkpoint_seconds=0)


def fitted(folder):
    em, settings = make(folder)
    done = fit(em, settings)
    return em.module.state_dict(), pd.DataFrame(done.history)


@pytest.fixture(scope="module")
def whole():
    return fitted(None)


@pytest.fixture(scope="module", params=["amid an epoch", "at the end"])
def checkpoint(request, tmp_path_factory):
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mixflow.training.resume.save_checkpoint",
            lambda path, c: found.append(copy.deepcopy(c)),
        )
        fitted(tmp_path_factory.mktemp("whole"))
    amid = [c for c in found if c.record["step"] and c.record["best_epoch"] is not None]
    return amid[0] if request.param == "amid an epoch" else found[-1]


def saver(folder):
    em, settings = make(folder)
    optimizer = em.optimizer = new_optimizer(em, settings, CPU)
    em.generator = torch.Generator().manual_seed(8)
    return Saver(em, optimizer, settings, em.generator)


def is_refused(checkpoint, folder):
    """Say whether a fit warns of a checkpoint, and stands as if it were not there."""
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    assert load_checkpoint(folder / CHECKPOINT) is not None  # whole, but not what it should be
    mine = saver(folder)
    before = {n: t.clone() for n, t in mine._tensors(LoopState()).items()}
    with pytest.warns(UserWarning, match=r"ignoring the checkpoint .* the fit starts anew"):
        assert mine.resume() is None
    after = mine._tensors(LoopState())
    return before.keys() == after.keys() and all(torch.equal(before[n], after[n]) for n in before)


def records(record):
    """Yield the record with each of its values missing, or of another type, or out of range."""
    yield {**record, "more": 1}
    for name, value in record.items():
        yield {n: v for n, v in record.items() if n != name}
        for other in OTHERS:
            whole_for_float = type(value) is float and type(other) is int
            if not whole_for_float and (type(other) is not type(value) or other != other):
                yield {**record, name: other}
    yield {**record, "best_epoch": record["epoch"]}
    yield {**record, "history": [*record["history"][1:], []]}
    for name in ("epoch", "step", "looked", "misses"):
        yield {**record, name: -1}
    for name in ("epoch", "step", "looked"):
        yield {**record, name: 10**9}
    yield {**record, "step": 3, "looked": 0}  # the epoch's mean loss would be 0 / 0


def test_every_value_of_the_record(checkpoint, tmp_path):
    assert saver_takes(checkpoint, tmp_path / "taken")
    for number, record in enumerate(records(checkpoint.record)):
        other = Checkpoint(checkpoint.tensors, record)
        assert is_refused(other, tmp_path / str(number)), record


def saver_takes(checkpoint, folder):
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    state = saver(folder).resume()
    return state.epoch == checkpoint.record["epoch"] and state.step == checkpoint.record["step"]


def tensors_of_others(tensors):
    """Yield the tensors with each of them, and each part, missing, or of another shape or dtype."""
    yield {**tensors, "more": torch.ones(1)}
    for part in {name.split("/")[0] for name in tensors}:
        yield {n: t for n, t in tensors.items() if not n.startswith(part)}
    for name, tensor in tensors.items():
        yield {n: t for n, t in tensors.items() if n != name}
        yield {**tensors, name: torch.cat([tensor.flatten()] * 2)}
        yield {**tensors, name: tensor.to(torch.int16)}


def test_every_tensor(checkpoint, tmp_path):
    for number, tensors in enumerate(tensors_of_others(checkpoint.tensors)):
        other = Checkpoint(tensors, checkpoint.record)
        assert is_refused(other, tmp_path / str(number)), tensors.keys()


def test_every_tensor_where_the_record_agrees(checkpoint, tmp_path):
    """As in a foreign file; what an optimiser keeps is its own affair."""
    kept = {n: t for n, t in checkpoint.tensors.items() if n.startswith("optimizer/")}
    rest = {n: t for n, t in checkpoint.tensors.items() if n not in kept}
    for number, tensors in enumerate(tensors_of_others(rest)):
        record = {**checkpoint.record, "layout": checkpoints.layout({**kept, **tensors})}
        other = Checkpoint({**kept, **tensors}, record)
        assert is_refused(other, tmp_path / str(number)), tensors.keys()


def starts_anew(folder, whole):
    with pytest.warns(UserWarning, match=r"ignoring the (damaged )?checkpoint .* starts anew"):
        state, history = fitted(folder)
    assert all(torch.equal(state[name], tensor) for name, tensor in whole[0].items())
    assert history.equals(whole[1])


@pytest.mark.parametrize("record", ["[]", "3", "null", "[" * 100_000, "{", '{"identity": 3}'])
def test_records_of_other_kinds(checkpoint, whole, tmp_path, record):
    content = checkpoints.file_bytes(checkpoint.tensors, "record", record)
    (tmp_path / CHECKPOINT).write_bytes(content)
    starts_anew(tmp_path, whole)


@pytest.mark.parametrize("metadata", [None, {}, {"record": "{}"}, {"sha256": "0"}])
def test_files_of_tensors_alone(checkpoint, whole, tmp_path, metadata):
    (tmp_path / CHECKPOINT).write_bytes(save(dict(checkpoint.tensors), metadata))
    starts_anew(tmp_path, whole)


def test_a_generator_of_nonsense(checkpoint, whole, tmp_path):
    """Of the right shape: torch itself refuses it, after the parameters were taken over."""
    generator = torch.full_like(checkpoint.tensors["generator"], 255)
    tensors = {**checkpoint.tensors, "generator": generator}
    save_checkpoint(tmp_path / CHECKPOINT, Checkpoint(tensors, checkpoint.record))
    starts_anew(tmp_path, whole)


@pytest.mark.parametrize(
    ("place", "word"), [("EM.VERSION", "version"), ("resume.FORMAT", "format")]
)
def test_checkpoints_of_other_code(checkpoint, whole, tmp_path, monkeypatch, place, word):
    save_checkpoint(tmp_path / CHECKPOINT, checkpoint)
    monkeypatch.setattr(f"mixflow.training.{place}", 99)
    with pytest.warns(UserWarning, match=f"it is of a fit with other {word}; the fit starts anew"):
        assert saver(tmp_path).resume() is None


def test_a_part_of_the_record_alone_is_not_enough(checkpoint, tmp_path):
    for name in checkpoint.record["identity"]:
        identity = {n: v for n, v in checkpoint.record["identity"].items() if n != name}
        other = Checkpoint(checkpoint.tensors, {**checkpoint.record, "identity": identity})
        if checkpoint.record["identity"][name] is not None:  # None says as much as nothing
            assert is_refused(other, tmp_path / name)
