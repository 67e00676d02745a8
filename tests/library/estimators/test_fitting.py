"""What every fit keeps to: known parameters, a record of those used, finite scores at the end."""

import contextlib
import inspect
import json

import numpy as np
import pytest
import torch
from sklearn.base import clone

from mixflow import BasisDensity, GenMM, LatMM, MixtureClassifier, RotatedBasisDensity, VMoNF, load
from mixflow.estimators.persistence import LATER
from mixflow.training import TrainingDiverged
from mixflow.training.checkpoints import file_bytes, read_file

SMALL = {
    "n_layers": 1,
    "hidden_features": 4,
    "hidden_layers": 1,
    "max_epochs": 2,
    "random_state": 0,
}
X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.arange(60) % 2
FLOWS = {
    "GenMM": GenMM(2, **SMALL),
    "LatMM": LatMM(2, **SMALL),
    "MixtureClassifier": MixtureClassifier(2, **SMALL),
    "VMoNF": VMoNF(2, **SMALL),
}
BASES = {
    "BasisDensity": BasisDensity(20),
    "RotatedBasisDensity": RotatedBasisDensity(20, n_clusters=2, random_state=0),
}
ALL = {**FLOWS, **BASES}


@pytest.fixture(scope="module")
def fitted():
    return {name: clone(model).fit(X, Y) for name, model in ALL.items()}


@pytest.fixture(scope="module")
def files(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: model.save(folder / name) for name, model in fitted.items()}


# Parameters --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("wrong", "right"), [("n_component", "n_components"), ("randomstate", "random_state")]
)
def test_an_unknown_parameter_names_the_estimator_and_the_nearest(name, wrong, right):
    message = f"^{name} has no parameter '{wrong}'; did you mean '{right}'"
    with pytest.raises(TypeError, match=message):
        type(ALL[name])(**{wrong: 1})
    with pytest.raises(ValueError, match=message):
        clone(ALL[name]).set_params(**{wrong: 1})


@pytest.mark.parametrize("name", FLOWS)
def test_the_names_of_other_libraries_are_understood(name):
    for wrong, right in {"max_iter": "max_epochs", "lr": "learning_rate"}.items():
        with pytest.raises(TypeError, match=f"^{name} .*did you mean '{right}'"):
            type(ALL[name])(**{wrong: 1})
    with pytest.raises(TypeError, match="has no parameter 'zzz'; it has .*n_components"):
        type(ALL[name])(zzz=1)


CHANGES = {
    **dict.fromkeys(FLOWS, {"n_layers": 2, "scale": "exp", "hidden_features": 8, "mixing": "lu"}),
    "BasisDensity": {"n_components": 30, "sigma": 7.0},
    "RotatedBasisDensity": {"n_components": 30, "n_clusters": 3, "rotation": "none"},
}


@pytest.mark.parametrize("name", ALL)
def test_a_saved_model_is_the_one_that_was_fitted(fitted, tmp_path, name):
    for change, value in CHANGES[name].items():
        model = load(fitted[name].save(tmp_path / "a"))
        expected = model.score_samples(X)
        other = load(model.set_params(**{change: value}).save(tmp_path / "b"))
        assert other.get_params() == {**fitted[name].get_params()}
        assert (other.score_samples(X) == expected).all()


def test_what_is_around_a_fit_is_saved_as_it_is_now(tmp_path):
    model = GenMM(2, checkpoint=tmp_path / "a", callback=lambda *_: None, **SMALL).fit(X)
    model.set_params(checkpoint=None, callback=None, random_state=7)
    other = load(model.save(tmp_path / "m"))
    assert other.get_params() == model.get_params()
    assert (other.sample(3)[0] == model.sample(3)[0]).all()


def test_a_model_that_was_broken_by_hand_is_not_written(tmp_path):
    model = GenMM(2, **SMALL).fit(X)
    path = model.save(tmp_path / "a")
    before = path.read_bytes()
    model.scale_ = model.scale_[:2]
    with pytest.raises(ValueError, match="scale_ has shape .2,.*nothing was written"):
        model.save(path)
    assert path.read_bytes() == before


ARCHITECTURE = {
    "n_components": 4,
    "n_layers": 2,
    "hidden_features": 8,
    "hidden_layers": 2,
    "mixing": "lu",
    "scale": "sigmoid",
    "dropout": 0.5,
    "n_blocks": 2,
    "standardize": False,
}


@pytest.mark.parametrize("name", ["GenMM", "LatMM", "MixtureClassifier"])
@pytest.mark.parametrize("change", ARCHITECTURE)
def test_a_warm_start_refuses_another_architecture(name, change):
    model = clone(FLOWS[name]).set_params(warm_start=True).fit(X, Y)
    before = model.score_samples(X)
    model.set_params(**{change: ARCHITECTURE[change]})
    with pytest.raises(ValueError, match=f"^{change} was .* is .* now: set warm_start=False"):
        model.fit(X, Y)
    assert (model.score_samples(X) == before).all()
    model.set_params(**{change: getattr(FLOWS[name], change)}, learning_rate=1e-4).fit(X, Y)
    model.set_params(**{change: ARCHITECTURE[change]}, warm_start=False).fit(X, Y)


def test_a_new_class_refuses_another_architecture(fitted, tmp_path):
    model = load(fitted["MixtureClassifier"].save(tmp_path / "a")).set_params(n_layers=3)
    with pytest.raises(ValueError, match="^n_layers was 1 .*fit all classes anew"):
        model.add_class(X, 2)


@pytest.mark.parametrize("change", [{"n_components": 30}, {"bounds": (-9, 9)}, {"min_range": 50}])
def test_further_samples_refuse_another_grid(change):
    model = BasisDensity(20, bounds=(-8, 8)).fit(X)
    other = BasisDensity(20, bounds=(-8, 8)).fit(X)
    model.set_params(**change)
    for go_on in (lambda: model.partial_fit(X), lambda: model.merge(other)):
        with pytest.raises(ValueError, match=f"^{next(iter(change))} was .*call fit to learn anew"):
            go_on()
    assert model.n_samples_seen_ == 60
    assert model.set_params(sigma=3.0, **{"bounds": (-8, 8), "n_components": 20}, min_range=None)
    assert model.partial_fit(X).n_samples_seen_ == 120


# Files -------------------------------------------------------------------------------------------


def rewritten(path, tmp_path, change_header=None, change_tensors=None):
    tensors, text = read_file(path, "mixflow")
    header = json.loads(text)
    if change_header:
        change_header(header)
    if change_tensors:
        change_tensors(tensors)
    other = tmp_path / "other.safetensors"
    other.write_bytes(file_bytes(tensors, "mixflow", json.dumps(header)))
    return other


def test_a_file_from_before_some_parameters_came_is_read(files, tmp_path):
    path = rewritten(files["VMoNF"], tmp_path, lambda h: [h["params"].pop(n) for n in LATER])
    found, whole = load(path).get_params(), load(files["VMoNF"]).get_params()
    assert {name: found[name] for name in LATER} == {name: whole[name] for name in LATER}


@pytest.mark.parametrize("name", ALL)
def test_files_of_other_parameters_are_refused_by_name(files, tmp_path, name):
    path = rewritten(files[name], tmp_path, lambda h: h["params"].update(n_wings=2))
    with pytest.raises(ValueError, match="unknown parameter 'n_wings'"):
        load(path)
    path = rewritten(files[name], tmp_path, lambda h: h["params"].pop("n_components"))
    with pytest.raises(ValueError, match="lacks the parameter 'n_components'"):
        load(path)
    path = rewritten(files[name], tmp_path, lambda h: h["params"].update(n_components="a"))
    with pytest.raises(ValueError, match="'n_components' parameter of"):
        load(path)


@pytest.mark.parametrize("name", ALL)
def test_every_tensor_is_there_has_its_shape_and_is_finite(files, tmp_path, name):
    for tensor in read_file(files[name], "mixflow")[0]:

        def spoiled(change, tensor=tensor):
            def on(tensors):
                tensors[tensor] = change(tensors[tensor])

            return rewritten(files[name], tmp_path, change_tensors=on)

        path = rewritten(files[name], tmp_path, change_tensors=lambda t, n=tensor: t.pop(n))
        with pytest.raises(ValueError, match="lacks the tensor"):
            load(path)
        with pytest.raises(ValueError, match="shape"):
            load(spoiled(lambda t: t[..., None]))
        if read_file(files[name], "mixflow")[0][tensor].is_floating_point():
            with pytest.raises(ValueError, match="NaN or infinity"):
                load(spoiled(lambda t: torch.full_like(t, torch.nan)))
    with pytest.raises(ValueError, match="unknown tensor 'more'"):
        load(rewritten(files[name], tmp_path, None, lambda t: t.update(more=torch.ones(1))))


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("attribute", ["location_", "scale_"])
def test_the_scale_has_its_shape_and_is_finite(files, tmp_path, name, attribute):
    def spoil(array):
        return rewritten(
            files[name], tmp_path, lambda h: h["fitted"][attribute].update(array=array)
        )

    with pytest.raises(ValueError, match=f"{attribute} has shape"):
        load(spoil([1.0]))
    with pytest.raises(ValueError, match=f"{attribute} has NaN"):
        load(spoil([1.0, 2.0, float("nan")]))
    with pytest.raises(ValueError, match=f"lacks the array '{attribute}'"):
        load(rewritten(files[name], tmp_path, lambda h: h["fitted"].pop(attribute)))


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize(
    "sizes",
    [
        {"n_components": 10**9},
        {"hidden_features": 10**5, "hidden_layers": 2},
        {"hidden_features": 10**9},
        {"n_layers": 10**9},
        {"n_layers": 10**4, "hidden_layers": 10**4},
        {"hidden_layers": 10**4},
    ],
)
def test_sizes_beyond_the_file_are_refused_before_anything_is_built(files, tmp_path, name, sizes):
    def larger(header):
        header["params"].update(sizes)
        header["bank"] = 10**9 if "n_components" in sizes else header["bank"]

    with pytest.raises(
        ValueError,
        match="larger model than its tensors|components where|must be an int in the range",
    ):
        load(rewritten(files[name], tmp_path, larger))


def test_a_file_sets_attributes_of_fits_only(files, tmp_path):
    path = rewritten(files["GenMM"], tmp_path, lambda h: h["fitted"].update(sample={"value": 1}))
    with pytest.raises(ValueError, match="'sample' is no attribute"):
        load(path)


# The end of a fit --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({"min_learning_rate": 1e9}, 1.0),
        ({"min_learning_rate": 1e9, "max_epochs": 1}, 1.0),
        ({"learning_rate": 1e30}, 1.0),
        ({"standardize": False}, 1e25),
    ],
)
def test_no_fit_ends_without_finite_scores(name, settings, scale):
    model = clone(FLOWS[name]).set_params(**settings)
    with contextlib.suppress(TrainingDiverged, ValueError):
        model.fit(X * scale, Y)
    if "n_iter_" in vars(model):
        assert np.isfinite(model.score_samples(X * scale)).all()


def test_scores_that_are_not_finite_end_a_fit_with_an_error(monkeypatch):
    monkeypatch.setattr(
        "mixflow.training.EM.group_log_likelihoods", lambda em: torch.tensor([torch.nan])
    )
    model = clone(FLOWS["GenMM"])
    with pytest.raises(TrainingDiverged, match="lower learning_rate and min_learning_rate"):
        model.fit(X)
    assert "mixture_" not in vars(model)


@pytest.mark.parametrize("name", ["GenMM", "LatMM", "MixtureClassifier"])
def test_a_temperature_of_nothing_is_no_success(name):
    model = clone(FLOWS[name]).set_params(posterior_temperature=1e-320)
    with pytest.raises(TrainingDiverged, match="posterior_temperature"):
        model.fit(X, Y)


@pytest.mark.parametrize("name", [*FLOWS, "RotatedBasisDensity"])
def test_data_whose_squares_overflow_are_refused(name):
    with pytest.raises(ValueError, match="whose squares overflow; divide it"):
        clone(ALL[name]).fit(X * 1e200, Y)
    assert np.isfinite(clone(ALL[name]).fit(X * 1e100, Y).score_samples(X * 1e100)).all()


def test_a_basis_needs_no_squares():
    assert np.isfinite(BasisDensity(20).fit(X * 1e200).score_samples(X * 1e200)).all()


@pytest.mark.parametrize("sigma", [1e-320, 1e-200])
@pytest.mark.parametrize("name", BASES)
def test_gaussians_without_width_are_refused(name, sigma):
    with pytest.raises(ValueError, match="no finite density; take a larger sigma"):
        clone(BASES[name]).set_params(sigma=sigma).fit(X)


@pytest.mark.parametrize("name", ALL)
def test_a_billion_components_are_refused_plainly(name):
    with pytest.raises(ValueError, match=r"need.* samples|must be an int in the range"):
        clone(ALL[name]).set_params(n_components=10**9).fit(X, Y)


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize(
    "layers", ["n_layers", "hidden_layers", "shared_layers", "hidden_features"]
)
def test_a_billion_layers_are_refused_plainly(name, layers):
    if layers in ALL[name].get_params():
        with pytest.raises(ValueError, match=f"'{layers}' parameter of {name} must be an int"):
            clone(ALL[name]).set_params(**{layers: 10**9}).fit(X, Y)


@pytest.mark.parametrize("name", FLOWS)
def test_what_does_not_fit_into_memory_is_named(name):
    with pytest.raises(MemoryError, match=f"^{name} with hidden_features=100000 does not fit"):
        clone(ALL[name]).set_params(hidden_features=10**5, hidden_layers=2).fit(X, Y)


@pytest.mark.parametrize("name", ["GenMM", "LatMM", "VMoNF"])
def test_samples_are_counted_without_inner_words(name):
    with pytest.raises(ValueError, match="70 components need as many samples.*X has 60"):
        clone(ALL[name]).set_params(n_components=70).fit(X)


@pytest.mark.parametrize("name", ALL)
def test_a_class_shows_the_parameters_that_it_takes(name):
    kind = type(ALL[name])
    taken = list(inspect.signature(kind.__init__).parameters)[1:]
    assert list(inspect.signature(kind).parameters) == taken
