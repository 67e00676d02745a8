"""GenMM: densities in the units of the data, restarts, blocks, weights, errors."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from mixflow import GenMM
from mixflow.training import TrainingDiverged

SMALL = {"n_layers": 1, "hidden_features": 4, "hidden_layers": 1, "random_state": 0}


def small(n_components=2, **settings):
    return GenMM(n_components, **{**SMALL, "max_epochs": 4, **settings})


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(6, 2, (40, 2))])


@pytest.fixture(scope="module")
def model(X):
    return small().fit(X)


def same(first, second):
    states = first.mixture_.state_dict(), second.mixture_.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_shapes_and_sums(model, X):
    assert model.score_samples(X).shape == (100,)
    assert model.predict(X).shape == (100,)
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    assert (model.predict_proba(X).argmax(1) == model.predict(X)).all()
    assert model.score(X) == pytest.approx(model.score_samples(X).mean())
    assert model.weights_.sum() == pytest.approx(1)
    assert len(model.history_["epoch"]) == model.n_iter_ == 4
    assert not model.interrupted_


def test_density_integrates_to_one_in_the_units_of_the_data(model):
    axis = np.linspace(-15, 25, 401)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    assert np.exp(model.score_samples(grid)).sum() * 0.1**2 == pytest.approx(1, abs=1e-3)


def test_a_change_of_units_shifts_the_score(model, X):
    scale, shift = np.array([10.0, 0.02]), np.array([-5.0, 3.0])
    other = small().fit(X * scale + shift)
    expected = model.score_samples(X) - np.log(scale).sum()
    np.testing.assert_allclose(other.score_samples(X * scale + shift), expected, atol=1e-3)


def test_lower_bound_is_the_score_of_the_training_data(model, X):
    assert model.lower_bound_ == pytest.approx(model.score(X), abs=1e-4)


def test_bic_and_aic(model, X):
    n_parameters = sum(p.numel() for p in model.mixture_.parameters()) + 1
    log_likelihood = model.score_samples(X).sum()
    assert model.bic(X) == pytest.approx(-2 * log_likelihood + n_parameters * np.log(100))
    assert model.aic(X) == pytest.approx(-2 * log_likelihood + 2 * n_parameters)


def test_samples_are_reproducible(model):
    X, labels = model.sample(500)
    assert X.shape == (500, 2)
    assert labels.shape == (500,)
    assert (np.diff(labels) >= 0).all()
    assert (model.sample(500)[0] == X).all()
    np.testing.assert_allclose(np.bincount(labels) / 500, model.weights_, atol=0.08)
    assert (np.abs(X.mean(0) - 2.4) < 0.6).all()
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="n_samples must be at least 1"):
            model.sample(wrong)


def test_encode_and_decode(model, X):
    z = model.encode(X)
    np.testing.assert_allclose(model.decode(z, model.predict(X)), X, atol=1e-9)
    z = model.encode(X, np.ones(100, dtype=int))
    np.testing.assert_allclose(model.decode(z, np.ones(100, dtype=int)), X, atol=1e-9)


def test_the_random_state_alone_decides(model, X):
    state = torch.get_rng_state()
    torch.manual_seed(123)
    again = small().fit(X)
    torch.set_rng_state(state)
    assert same(model, again)
    assert not same(model, small(random_state=1).fit(X))


def test_fit_sample_and_load_leave_the_global_generators_alone(X, tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = small(early_stopping=True).fit(X)
    model.sample(3)
    model.save(tmp_path / "m")
    from mixflow import load

    load(tmp_path / "m.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()


def test_restarts_keep_the_best(X):
    model = small(n_init=3, init="random", early_stopping=False).fit(X)
    seen = {}

    def watch(estimator, epoch):
        seen["mixture"] = estimator.mixture_
        return {}

    watched = small(n_init=3, init="random", early_stopping=False, callback=watch).fit(X)
    assert same(model, watched)
    bank = seen["mixture"].double()
    scaled = torch.from_numpy((X - model.location_) / model.scale_)
    scores = []
    for i in range(3):
        one = bank.select(torch.tensor([2 * i, 2 * i + 1]))
        scores.append(one.log_prob(scaled).mean().item() - np.log(model.scale_).sum())
    assert model.score(X) == pytest.approx(max(scores), abs=1e-5)
    assert max(scores) > min(scores) + 1e-4


def test_blocks_are_averaged(X):
    model = small(4, n_blocks=2).fit(X)
    scaled = torch.from_numpy((X - model.location_) / model.scale_)
    blocks = []
    for i in range(2):
        block = model.mixture_.select(torch.tensor([2 * i, 2 * i + 1]))
        assert block.log_weights.exp().sum().item() == pytest.approx(0.5)
        block.log_weights += np.log(2)
        blocks.append(block.log_prob(scaled).numpy() - np.log(model.scale_).sum())
    expected = logsumexp(blocks, axis=0) - np.log(2)
    np.testing.assert_allclose(model.score_samples(X), expected, atol=1e-9)
    assert model.weights_.sum() == pytest.approx(1)


def test_blocks_must_divide_components(X):
    with pytest.raises(ValueError, match="n_blocks=2 must divide n_components=3"):
        small(3, n_blocks=2).fit(X)


def test_warm_start_goes_on(X):
    model = small(warm_start=True, max_epochs=5, init="random").fit(X)
    before, first = model.score(X), model.mixture_
    model.set_params(max_epochs=30).fit(X)
    assert model.mixture_ is not first
    assert model.score(X) > before + 0.01
    assert len(model.history_["epoch"]) == 30
    assert not any(p.requires_grad for p in model.mixture_.parameters())
    cold = small(max_epochs=5, init="random").fit(X)
    assert cold.score(X) == pytest.approx(before)


def test_warm_start_with_a_checkpoint_trains_on(X, tmp_path):
    model = small(warm_start=True, checkpoint=tmp_path).fit(X)
    before = model.score(X)
    with pytest.warns(UserWarning, match="other start"):
        model.fit(X)
    assert model.score(X) != before


def test_early_stopping_auto_looks_at_the_size(X):
    assert "validation_score" not in small().fit(X).history_
    model = small(early_stopping=True, em_every=1).fit(X)
    assert np.isfinite(model.history_["validation_score"]).all()
    assert model.best_epoch_ == model.history_["validation_score"].argmax()
    large = np.random.default_rng(0).normal(size=(2000, 2))
    assert "validation_score" in small(1, max_epochs=1, batch_size=2000).fit(large).history_


def test_patience_stops(X):
    model = small(early_stopping=True, em_every=1, patience=2, max_epochs=60, learning_rate=0.5)
    model.fit(X)
    assert model.n_iter_ < 60
    assert model.n_iter_ == model.best_epoch_ + 3


@pytest.mark.parametrize("early_stopping", [False, True])
def test_weight_zero_is_left_out(X, early_stopping):
    weight = (np.arange(100) % 3 > 0).astype(float)
    settings = {"early_stopping": early_stopping, "em_every": 2}
    weighted = small(**settings).fit(X, sample_weight=weight)
    left_out = small(**settings).fit(X[weight > 0])
    assert same(weighted, left_out)
    assert (weighted.location_ == left_out.location_).all()


def test_weights_move_the_density(X):
    weight = np.r_[np.ones(60), np.full(40, 1e-3)]
    model = small().fit(X, sample_weight=weight)
    assert np.abs(model.sample(500)[0].mean(0)).max() < 0.5


@pytest.mark.parametrize("early_stopping", [False, True])
def test_responsibilities_to_start_from(X, early_stopping):
    """With weights of zero and a validation share, rows stay with their samples."""
    r = np.eye(2)[(np.arange(100) >= 60).astype(int)]
    weight = (np.arange(100) % 5 > 0).astype(float)
    settings = {"early_stopping": early_stopping, "em_every": 50, "learning_rate": 1e-6}
    model = small(init=r, **settings).fit(X, sample_weight=weight)
    flipped = small(init=r[:, ::-1], **settings).fit(X, sample_weight=weight)
    agree = (model.predict(X) == r.argmax(1)).mean()
    assert agree > 0.9
    assert (flipped.predict(X) == r[:, ::-1].argmax(1)).mean() > 0.9
    with pytest.raises(ValueError, match=r"responsibilities of shape \(100, 2\)"):
        small(init=r[:50]).fit(X)
    with pytest.raises(ValueError, match="rows that sum to 1"):
        small(init=r * 2).fit(X)


@pytest.mark.parametrize(
    "settings",
    [
        {"m_step": "sparse", "batch_size": 20, "noise": 0.1},
        {"dtype": "float64", "mixing": "lu", "dropout": 0.1},
        {"init": "gmm", "posterior_temperature": "per_dimension"},
        {"n_layers": 0},
        {"standardize": False},
    ],
)
def test_settings_work_together(X, settings):
    model = small(**settings).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.mixture_.log_weights.dtype == torch.double


def test_images(tmp_path):
    images = np.random.default_rng(0).random((40, 1, 4, 4))
    model = small(1, image_shape=(1, 4, 4), n_levels=1).fit(images)
    flat = images.reshape(40, 16)
    np.testing.assert_allclose(model.score_samples(images), model.score_samples(flat))
    assert model.sample(3)[0].shape == (3, 1, 4, 4)
    np.testing.assert_allclose(model.decode(model.encode(images), np.zeros(40)), images, atol=1e-4)
    with pytest.raises(ValueError, match=r"images must be \(1, 4, 4\)"):
        model.score_samples(images.reshape(40, 1, 2, 8))


def test_a_checkpointed_fit_is_not_repeated(X, tmp_path):
    first = small(checkpoint=tmp_path).fit(X)
    calls = []
    again = small(checkpoint=tmp_path, callback=lambda m, e: calls.append(e) or {}).fit(X)
    assert same(first, again)
    assert calls == []
    with pytest.warns(UserWarning, match="with other data"):
        other = small(checkpoint=tmp_path).fit(X + np.arange(100)[:, None] % 3)
    assert not same(first, other)


def test_the_callback_joins_the_history(X):
    model = small(callback=lambda m, epoch: {"score": m.score(X)}).fit(X)
    assert model.history_["score"][-1] == pytest.approx(model.score(X), abs=0.01)


def test_ctrl_c_leaves_a_usable_model(X):
    import signal

    def interrupt(model, epoch):
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)
        return {}

    with pytest.warns(ConvergenceWarning, match="interrupted after 2 of 50 epochs"):
        model = small(max_epochs=50, callback=interrupt).fit(X)
    assert model.interrupted_
    assert np.isfinite(model.score_samples(X)).all()
    assert model.sample(2)[0].shape == (2, 2)


def test_a_fit_that_fails_leaves_the_model_as_it_was(X):
    model = small(warm_start=True).fit(X)
    before = model.score_samples(X)

    def spoil(estimator, epoch):
        with torch.no_grad():
            next(estimator.mixture_.parameters()).fill_(np.nan)
        return {}

    model.set_params(callback=spoil)
    with pytest.raises(TrainingDiverged, match="in epoch 1, step 0: lower the learning rate"):
        model.fit(X)
    assert (model.score_samples(X) == before).all()
    new = small(callback=spoil)
    with pytest.raises(TrainingDiverged):
        new.fit(X)
    with pytest.raises(NotFittedError):
        new.score_samples(X)


def constant(X):
    return np.c_[X, np.full(len(X), 3.0)]


def with_nan(X):
    return np.where(np.arange(100)[:, None] == 7, np.nan, X)


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({}, constant, "feature 2 is constant .* VarianceThreshold"),
        ({}, with_nan, "contains NaN"),
        ({}, lambda X: np.where(X > 1, np.inf, X), "infinity"),
        ({}, lambda X: X[:1], "minimum of 2"),
        ({}, lambda X: X[:0], "minimum of 2"),
        ({"n_components": 7}, lambda X: X[:5], "7 components need as many samples.*fewer comp"),
        ({"n_components": 0}, None, "'n_components' parameter"),
        ({"image_shape": (1, 8, 8)}, None, "does not fit 2 features; give the"),
        ({"image_shape": (1, 2)}, None, r"must be \(C, H, W\)"),
        ({"image_shape": (2, 1, 1), "n_levels": 1}, None, "divisible by 2, got 1 x 1"),
        ({"mixing": "rotatoin"}, None, "'mixing' parameter .* Got 'rotatoin'"),
        ({"init": "kmean"}, None, "'init' parameter .* Got 'kmean'"),
        ({"scale": "relu"}, None, "'scale' parameter"),
        ({"schedule": "linear"}, None, "'schedule' parameter"),
        ({"m_step": "fast"}, None, "'m_step' parameter"),
        ({"dtype": "float16"}, None, "'dtype' parameter"),
        ({"early_stopping": "yes"}, None, "'early_stopping' parameter"),
        ({"posterior_temperature": (0.0, 1.0)}, None, "positive number, a pair"),
        ({"posterior_temperature": "per_feature"}, None, "'posterior_temperature' parameter"),
        ({"max_epochs": 0}, None, "'max_epochs' parameter"),
        ({"learning_rate": -1.0}, None, "'learning_rate' parameter"),
        ({"device": "gpu"}, None, "such as 'cpu' or 'cuda', got 'gpu'"),
        ({"betas": (0.9,)}, None, "betas"),
        ({"betas": (0.9, 1.5)}, None, "betas must be two numbers"),
    ],
)
def test_bad_input_gets_an_error_that_helps(X, settings, change, message):
    with pytest.raises(ValueError, match=message):
        small(**settings).fit(X if change is None else change(X))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(X):
    with pytest.raises(ValueError, match="torch sees no GPU; use 'cpu'"):
        small(device="cuda").fit(X)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(99), "inconsistent|shape"),
        (-np.ones(100), "[Nn]egative"),
        (np.full(100, np.nan), "NaN"),
        (np.zeros(100), "zero"),
    ],
)
def test_bad_weights(X, weight, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, sample_weight=weight)


def test_one_feature_and_constant_images_with_noise(X):
    assert small().fit(X[:, :1]).score_samples(X[:, :1]).shape == (100,)
    model = small(noise=0.1, standardize=False).fit(constant(X))
    assert np.isfinite(model.score_samples(constant(X))).all()


def test_far_away_samples_score_without_nan(model):
    far = np.array([[1e200, -1e200], [1e30, 0.0]])
    assert not np.isnan(model.score_samples(far)).any()
    np.testing.assert_allclose(model.predict_proba(far).sum(1), 1)


def test_labels_start_as_responsibilities_do():
    X = np.random.default_rng(0).normal(size=(60, 2)) + np.repeat([[0, 0], [6, 6]], 30, axis=0)
    labels = np.repeat([1, 0], 30)
    small = {"n_layers": 1, "hidden_features": 4, "max_epochs": 2, "random_state": 0}
    by_labels = GenMM(2, init=labels, **small).fit(X)
    by_array = GenMM(2, init=np.eye(2)[labels], **small).fit(X)
    assert (by_labels.score_samples(X) == by_array.score_samples(X)).all()
    assert (by_labels.predict(X) == labels).all()
    with pytest.raises(ValueError, match="labels 0..1"):
        GenMM(2, init=labels + 1, **small).fit(X)
