"""VMoNF on images of digits: what a model may know, the claim, and a small run."""

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from companion.runs.config import ParameterError
from companion.runs.experiment import RunContext
from companion.runs.registry import find
from companion.runs.weights import unpack
from companion.vmonf import mnist
from companion.vmonf.digit_images import Classifier, draw
from mixflow.estimators import VMoNF

SMALL = {"n_train": 200, "epochs": 1, "n_layers": 1, "hidden_features": 4}
SMALL |= {"posterior_features": 8, "classifier_steps": 20, "n_judge": 100}


def images(seed=0, n_labelled_per_class=3, pool=1):
    return draw(
        "digits",
        seed,
        n_train=200,
        n_labelled_per_class=n_labelled_per_class,
        n_other=100,
        pool=pool,
    )


def test_labels_are_few_right_and_of_every_digit():
    drawn = images()
    np.testing.assert_array_equal(drawn.labels[drawn.known], drawn.y[drawn.known])
    assert np.bincount(drawn.labels[drawn.known], minlength=10).tolist() == [3] * 10
    assert not images(n_labelled_per_class=0).known.any()


def test_the_judge_learns_from_images_that_no_model_sees():
    drawn = images()
    # Dequantisation is below one level of 17: the published values come back.
    seen, other = (
        {x.tobytes() for x in np.floor(part * 17).astype(np.uint8)}
        for part in (drawn.x, drawn.x_other)
    )
    assert len(drawn.x_other) == 100
    assert not seen & other


def test_pooled_pixels_are_means_of_squares():
    fine, coarse = images().x, images(pool=2).x
    assert coarse.shape == (200, 1, 4, 4)
    np.testing.assert_allclose(coarse[7, 0, 1, 2], fine[7, 0, 2:4, 4:6].mean())
    assert 0 <= fine.min() < fine.max() < 1


def test_more_labels_than_images_is_an_error():
    with pytest.raises(ValueError, match="too many"):
        images(n_labelled_per_class=30)


def test_the_classifier_learns_and_is_seeded():
    drawn = images(n_labelled_per_class=10)
    x, y = drawn.x[drawn.known], drawn.y[drawn.known]
    learned = Classifier(16, 60, shift=1, noise=0.0, seed=4).fit(x, y)
    assert (learned.predict(drawn.x_test) == drawn.y_test).mean() > 0.5
    first, again = (
        Classifier(8, 4, shift=1, noise=0.1, seed=4).fit(x, y).predict_proba(drawn.x_test)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_measures_of_distinct_groups():
    distinct = np.eye(10, dtype=int) * 100
    assert mnist._groups(distinct)["samples_least_group_share"] == 1
    assert mnist._groups(distinct)["samples_nmi"] == pytest.approx(1)
    mixed = mnist._groups(np.full((10, 10), 10))
    assert mixed["samples_nmi"] == pytest.approx(0, abs=1e-9)
    assert mixed["samples_least_group_share"] == pytest.approx(0.3)
    one_mixed = distinct.copy()
    one_mixed[:, 3] = 10  # one component without a group of its own
    found = mnist._groups(one_mixed)
    assert found["samples_least_group_share"] == pytest.approx(0.3)
    digit, component = np.indices((10, 10)).reshape(2, -1)
    counts = one_mixed.ravel()
    assert found["samples_nmi"] == pytest.approx(
        normalized_mutual_info_score(digit.repeat(counts), component.repeat(counts))
    )
    # All alike: dominated by three digits, but the component says nothing of the digit.
    alike = np.zeros((10, 10), int)
    alike[:3] = 33
    assert mnist._groups(alike)["samples_least_group_share"] == pytest.approx(1)
    assert mnist._groups(alike)["samples_nmi"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("n_labelled_per_class", [0, 5])
def test_a_small_run(tmp_path, n_labelled_per_class):
    config = find("vmonf/mnist").configure(
        "smoke", n_labelled_per_class=n_labelled_per_class, keep=True, **SMALL
    )
    result = mnist.run(config, RunContext(tmp_path, progress=False))
    found = dict(zip(result.rows["metric"], result.rows["value"], strict=True))
    assert ("samples_nmi" in found) == ("judged" in result.arrays) == (n_labelled_per_class == 0)
    assert result.arrays["samples"].shape == (10, 12, 1, 8, 8)
    assert result.arrays["samples"].dtype == np.uint8
    # The stored model gives the stored numbers.
    model = unpack(result.arrays["model"])
    drawn = draw(
        "digits",
        config.seed,
        n_train=200,
        n_labelled_per_class=n_labelled_per_class,
        n_other=100,
        pool=1,
    )
    log_p = model.score_samples(drawn.x_test)
    assert found["test_log_likelihood"] == pytest.approx(log_p.mean() / 64, rel=1e-4)
    gap = (log_p - model.elbo(drawn.x_test)).mean()
    assert found["elbo_gap"] == pytest.approx(gap, rel=1e-3, abs=1e-3)
    assert result.arrays["contingency"].sum() == len(drawn.y_test)


def test_parameters_of_other_models_are_refused():
    experiment = find("vmonf/mnist")
    with pytest.raises(ParameterError, match="no parameter epochs"):
        experiment.configure("smoke", model="CNN", epochs=3)
    with pytest.raises(ParameterError, match="n_labelled_per_class"):
        experiment.configure("smoke", model="CNN", n_labelled_per_class=0)


def test_shift_needs_images():
    x = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(ValueError, match="image_shape"):
        VMoNF(2, posterior_shift=1, max_epochs=1).fit(x)
