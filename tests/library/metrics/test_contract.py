"""What every measure promises: any array-like, clear errors, plain results, untouched input."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from contract import EXAMPLES

from mixflow import metrics

NAMED_ARRAYS = [(name, array) for name, example in EXAMPLES.items() for array in example.arrays]
FLOATS = [
    (name, array) for name, array in NAMED_ARRAYS if EXAMPLES[name].arrays[array].dtype.kind == "f"
]
SUM_TO_1 = {"proba", "probabilities", "weights", "masses", "responsibilities_or_labels"}
LABELS = [pair for pair in NAMED_ARRAYS if pair not in FLOATS and pair[1] != "counts"]
# Measures whose classes may be text.
TEXT = {"accuracy", *(name for name, array in LABELS if array == "component")}
WHOLE = [
    (name, array)
    for name, array in LABELS
    if array != "predicted" and not (array == "y" and name in TEXT)
]


def call(name, /, **changed):
    example = EXAMPLES[name]
    return getattr(metrics, name)(**{**example.arrays, **example.settings, **changed})


def refused(name, array, value, match):
    with pytest.raises(ValueError, match=match) as caught:
        call(name, **{array: value})
    assert array in str(caught.value), "the error names the argument"


def flat(result):
    """A result as one array of numbers."""
    if isinstance(result, dict):
        result = sorted(result.items())
    parts = result if isinstance(result, tuple) else (result,)
    return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in parts])


def test_every_measure_has_an_example():
    public = {name for name in metrics.__all__ if inspect.isfunction(getattr(metrics, name))}
    assert public == set(EXAMPLES)
    others = [getattr(metrics, name) for name in set(metrics.__all__) - public]
    assert all(issubclass(kind, tuple) for kind in others), "or is what a measure returns"


# Input ------------------------------------------------------------------------------------------

AS = {
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(map(tuple, a.tolist())) if a.ndim == 2 else tuple(a.tolist()),
    "frame": lambda a: pd.DataFrame(a) if a.ndim == 2 else pd.Series(a, index=range(5, 5 + len(a))),
    "nullable": lambda a: AS["frame"](a).convert_dtypes(),
    "tensor": torch.tensor,
    "tensors": lambda a: list(torch.tensor(a)),
    "gradient": lambda a: torch.tensor(a, requires_grad=True) if a.dtype.kind == "f" else a,
    "objects": lambda a: a.astype(object),
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "columns": np.asfortranarray,
    "mask of nothing": np.ma.array,
}


@pytest.mark.parametrize("kind", AS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_any_array_like_gives_the_same_value(name, kind):
    read = {array: AS[kind](values) for array, values in EXAMPLES[name].arrays.items()}
    # What numpy adds up by columns may differ in the last digit.
    rtol = 1e-14 if kind in ("frame", "nullable", "columns") else 0
    np.testing.assert_allclose(flat(call(name, **read)), flat(call(name)), rtol=rtol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", [*dict(FLOATS)])
def test_lower_precision_is_computed_in_double(name, dtype):
    given = EXAMPLES[name].arrays
    if dtype is not torch.float32 and not SUM_TO_1.isdisjoint(given):
        return  # too coarse for lines that sum to 1
    arrays = {
        array: torch.tensor(values).to(dtype) if values.dtype.kind == "f" else values
        for array, values in given.items()
    }
    rounded = {a: v.double().numpy() if torch.is_tensor(v) else v for a, v in arrays.items()}
    np.testing.assert_array_equal(flat(call(name, **arrays)), flat(call(name, **rounded)))


@pytest.mark.parametrize("name", EXAMPLES)
def test_input_stays_as_it_is(name):
    given = {array: values.copy() for array, values in EXAMPLES[name].arrays.items()}
    result = call(name, **given)
    for array, values in EXAMPLES[name].arrays.items():
        np.testing.assert_array_equal(given[array], values)
        parts = result if isinstance(result, tuple) else (result,)
        assert not any(np.may_share_memory(given[array], p) for p in parts if np.ndim(p))


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.samples])
def test_the_order_of_samples_does_not_matter(name):
    rng, example = np.random.default_rng(1), EXAMPLES[name]
    changed = {}
    for group in example.samples:
        order = rng.permutation(len(example.arrays[group[0]]))
        changed |= {array: example.arrays[array][order] for array in group}
    expected, found = call(name), call(name, **changed)
    if example.in_order:
        expected = expected[order]
    if name == "contingency_table":
        expected, found = expected[:2], found[:2]
    np.testing.assert_allclose(flat(found), flat(expected), rtol=1e-9, atol=1e-12)


# Results ----------------------------------------------------------------------------------------


def is_plain(value):
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and value.dtype in (np.float64, np.int64)
    if isinstance(value, dict):
        return {type(n) for pair in value.items() for n in pair} <= {int}
    return type(value) in (float, bool)


@pytest.mark.parametrize("name", EXAMPLES)
def test_results_are_plain_numbers_or_arrays(name):
    result = call(name)
    assert all(map(is_plain, result)) if isinstance(result, tuple) else is_plain(result)


@pytest.mark.parametrize("name", ["nats_per_pixel", "bits_per_dim"])
def test_a_number_gives_a_number(name):
    assert type(call(name, log_prob=np.float32(-3))) is float
    assert call(name, log_prob=[[-3.0], [-4.0]]).shape == (2, 1)


# Bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "array"), FLOATS)
def test_nan_is_refused_and_found(name, array):
    values = EXAMPLES[name].arrays[array].copy()
    values[(1,) + (0,) * (values.ndim - 1)] = np.nan
    where = r"\[1, 0\]" if values.ndim == 2 else r"\[1\]"
    refused(name, array, values, f"NaN.* in 1 of {values.size} entries, the first at {where}")
    refused(name, array, values.tolist(), "NaN")
    refused(name, array, AS["nullable"](values), "NaN|NA")


@pytest.mark.parametrize("sign", "+-")
@pytest.mark.parametrize(("name", "array"), FLOATS)
def test_infinity_is_refused_unless_it_means_something(name, array, sign):
    values = EXAMPLES[name].arrays[array].copy()
    at = (1,) + (0,) * (values.ndim - 1)
    values[at] = float(f"{sign}inf")
    if sign not in EXAMPLES[name].allows_infinity.get(array, ""):
        refused(name, array, values, "infinity|above 0")
    elif name == "best_temperature":
        call(name, log_proba=values, y=np.full(len(values), 2))
    else:
        assert not np.isnan(flat(call(name, **{array: values}))).any()


def test_a_sum_that_overflows_is_no_infinity():
    big = np.array([[1e308, 1e308], [1e308, -1e308], [0.0, 1.0]])
    assert metrics.best_matching(big) == {0: 1, 1: 0}


@pytest.mark.parametrize(("name", "array"), NAMED_ARRAYS)
def test_masked_values_are_refused(name, array):
    values = np.ma.array(EXAMPLES[name].arrays[array], mask=False)
    values[0] = np.ma.masked
    refused(name, array, values, f"^{array} has masked values.*leave those samples out")
    refused(name, array, list(values), f"^{array} has masked values")


@pytest.mark.parametrize(("name", "array"), NAMED_ARRAYS)
def test_wrong_shapes_are_refused(name, array):
    values = EXAMPLES[name].arrays[array]
    if array == "log_prob" and name != "negative_log_likelihood":
        refused(name, array, values[:0], "empty")
        return
    refused(name, array, values[:0], "shape|entry for each|border")
    if name != "effective_components":
        refused(name, array, values[None], "shape")
    if array not in ("sigma", "weights"):
        refused(name, array, values.flat[0], "shape")
    refused(name, array, [[1.0, 2.0], [1.0]], "shape|read as an array")


@pytest.mark.parametrize(("name", "array"), NAMED_ARRAYS)
def test_unequal_lengths_are_refused(name, array):
    example = EXAMPLES[name]
    partners = {a for group in example.samples if array in group for a in group} - {array}
    if partners:
        with pytest.raises(ValueError, match="for each|border|sigma") as caught:
            call(name, **{array: example.arrays[array][:-1]})
        assert {array, *partners} & set(str(caught.value).split()), "one of them is named"


@pytest.mark.parametrize(("name", "array"), [*FLOATS, ("best_matching", "counts")])
def test_what_is_no_real_number_is_refused(name, array):
    values = EXAMPLES[name].arrays[array]
    refused(name, array, values.astype(str), "real numbers, got <U")
    refused(name, array, values.astype(str).astype(object), "real numbers, got text")
    refused(name, array, values + 1j, "real numbers, got complex")
    refused(name, array, torch.tensor(values).to_sparse(), "read as an array|must be an array")
    refused(name, array, {"a": 1}, "must be an array, got dict")
    refused(name, array, values.astype("datetime64[s]"), "datetime64")
    half = values.astype(object)
    half.flat[0] = None
    refused(name, array, half, "NaN|shape")


@pytest.mark.parametrize(("name", "array"), LABELS)
def test_labels_of_several_kinds_or_missing_are_refused(name, array):
    values = EXAMPLES[name].arrays[array]
    for bad in (["a", *values[1:]], [None, *values[1:]], [pd.NA, *values[1:]], [(1,), *values[1:]]):
        objects = np.empty(len(values), object)
        objects[:] = bad
        refused(name, array, objects, "labels of one kind")
    for bad in (values.astype("datetime64[s]"), values.astype(complex)):
        refused(name, array, bad, "numbers or text|whole numbers")
    missing = values.astype(float)
    missing[1] = np.nan
    refused(name, array, missing, "NaN or infinity in 1 of")


@pytest.mark.parametrize(("name", "array"), WHOLE)
def test_labels_that_must_be_numbers_are_whole(name, array):
    values = EXAMPLES[name].arrays[array]
    refused(name, array, values.astype(float), "whole numbers, got float64")
    refused(name, array, values.astype(str), "whole numbers, got <U")
    low = values.astype(int)
    low[2] = -2
    refused(name, array, low, r"outside .* in 1 of .* the first at \[2\]")


@pytest.mark.parametrize("text", [str, object])
@pytest.mark.parametrize("name", sorted(TEXT))
def test_classes_may_be_text(name, text):
    arrays = dict(EXAMPLES[name].arrays)
    named = {a: arrays[a].astype(str).astype(text) for a in arrays if a != "component"}
    expected = flat(call(name)[:2] if name == "contingency_table" else call(name))
    as_text = {a: pd.Series(v.astype(str)).astype("category") for a, v in named.items()}
    for given in (named, as_text):
        found = call(name, **given)
        found = found[:2] if name == "contingency_table" else found
        np.testing.assert_allclose(flat(found), expected)


def test_text_and_numbers_are_not_compared():
    refused("accuracy", "predicted", EXAMPLES["accuracy"].arrays["y"].astype(str), "one kind")


@pytest.mark.parametrize("name", ["proba", "log_proba"])
@pytest.mark.parametrize("measure", EXAMPLES)
def test_logits_and_probabilities_are_told_apart(measure, name):
    if name in EXAMPLES[measure].arrays:
        logits = np.random.default_rng(0).normal(size=EXAMPLES[measure].arrays[name].shape)
        refused(measure, name, logits, "negative|sum to 1|above 0")
        other = np.log if name == "proba" else np.exp
        refused(measure, name, other(EXAMPLES[measure].arrays[name]), "negative|above 0")


@pytest.mark.parametrize(
    ("name", "setting", "bad"),
    [
        ("binomial_interval", "successes", (-1, 10, 2.5, True, "3")),
        ("binomial_interval", "n", (0, 3, 9.0)),
        ("binomial_interval", "confidence", (0, 1, np.nan, "0.9", True)),
        ("student_t_interval", "confidence", (0, 1, np.nan, None)),
        ("nats_per_pixel", "n_pixels", (0, 1.5, np.inf)),
        ("nats_per_pixel", "n_levels", (0, 1.5)),
        ("bits_per_dim", "n_dims", (0, 1.5)),
        ("temperature_scaled", "temperature", (0, -1, np.inf, np.nan, "1")),
        ("maximum_mean_discrepancy", "bandwidth", (0, -1, np.inf, np.nan)),
        ("reliability_diagram", "n_bins", (0, 1.5, True)),
        ("expected_calibration_error", "n_bins", (0, 1.5)),
        ("inception_score", "n_splits", (0, 13, 2.0)),
        ("density_and_coverage", "n_neighbors", (0, 24, 2.0)),
        ("precision_and_recall", "n_neighbors", (0, 20, 2.0)),
        ("contingency_table", "n_components", (0, 4, 5.0)),
        ("separation", "n_components", (0, 4, 5.0)),
        ("separation", "min_share", (0, 1, np.nan)),
        ("separation", "dead_share", (0, 1)),
        ("components_in_use", "min_share", (0, 1.1, np.nan)),
        ("integral_2d", "resolution", (1, 20.0)),
        ("integral_2d", "tolerance", (0, np.nan)),
    ],
)
def test_impossible_settings_are_refused(name, setting, bad):
    for value in bad:
        refused(name, setting, value, "must (be|lie)")
