"""Labels of new classes are of the kind of those that are there."""

import numpy as np
import pytest
from sklearn.base import clone

from mixflow import MixtureClassifier

X = np.random.default_rng(0).normal(size=(40, 2))
MODEL = MixtureClassifier(n_layers=0, max_epochs=1, random_state=0)
LABELS = {
    "whole numbers": np.arange(40) % 2,
    "small whole numbers": (np.arange(40) % 2).astype(np.uint8),
    "numbers": (np.arange(40) % 2).astype(float),
    "text": np.array(["a", "b"])[np.arange(40) % 2],
    "objects": np.array(["a", "b"], dtype=object)[np.arange(40) % 2],
}
NEW = {
    "whole numbers": (7, np.int64(7), np.uint8(7), -1, 300),
    "small whole numbers": (7, 300),
    "numbers": (7.0, 2, np.float32(0.5)),
    "text": ("c", "a long name", np.str_("c")),
    "objects": ("c", "a long name"),
}
OTHER = {
    "whole numbers": ("new", 2.5, 2.0, True, None, [3], np.array([3]), float("nan")),
    "small whole numbers": ("new", 2.5),
    "numbers": ("new", True, None, [3.0], float("nan"), np.float64("nan")),
    "text": (3, None, ["c"], b"c", float("nan")),
    "objects": (3, None, ["c"], float("nan")),
}


@pytest.mark.parametrize("kind", LABELS)
def test_a_label_of_the_kind_joins(kind):
    for label in NEW[kind]:
        model = clone(MODEL).fit(X, LABELS[kind]).add_class(X + 9, label)
        assert set(model.classes_.tolist()) == {*np.unique(LABELS[kind]).tolist(), label}
        assert (model.predict(X + 9) == label).all()


@pytest.mark.parametrize("kind", LABELS)
def test_a_label_of_another_kind_is_refused(kind):
    model = clone(MODEL).fit(X, LABELS[kind])
    before = model.classes_
    for label in OTHER[kind]:
        with pytest.raises(ValueError, match="is of another kind than the classes"):
            model.add_class(X + 9, label)
    assert model.classes_ is before
