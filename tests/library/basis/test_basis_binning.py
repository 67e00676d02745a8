"""Counts: against loops, across chunks, shards, kinds and devices, and at the borders."""

import numpy as np
import pytest
import torch

from mixflow import basis
from mixflow.basis import binning


def nearest_mean_counts(x, low, high, n):
    """Count by the words of the paper: the nearest mean of every point."""
    counts = np.zeros((x.shape[1], n), int)
    for d in range(x.shape[1]):
        means = low[d] + (high[d] - low[d]) * (np.arange(n) + 0.5) / n
        for value in x[:, d]:
            if low[d] <= value <= high[d]:
                counts[d, np.abs(value - means).argmin()] += 1
    return counts


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 3)) * [1, 50, 1e-3] + [0, 1000, -1]


@pytest.mark.parametrize("n", [1, 2, 17, 200, 300])
def test_counts_are_those_of_the_nearest_means(x, n):
    low, high = x.min(0), x.max(0)
    counts, outside = basis.bin_counts(x, low, high, n)
    np.testing.assert_array_equal(counts, nearest_mean_counts(x, low, high, n))
    assert counts.dtype == np.int64
    assert outside.sum() == 0


def test_points_outside_are_counted_apart(x):
    low, high = np.quantile(x, [0.1, 0.8], axis=0)
    counts, outside = basis.bin_counts(x, low, high, 40)
    np.testing.assert_array_equal(counts, nearest_mean_counts(x, low, high, 40))
    np.testing.assert_array_equal(outside[:, 0], (x < low).sum(0))
    np.testing.assert_array_equal(outside[:, 1], (x > high).sum(0))


def test_borders_belong_to_the_cell_on_their_right_but_for_the_last():
    x = np.array([[0.0], [0.25], [0.5], [0.75], [1.0]])
    counts, outside = basis.bin_counts(x, 0, 1, 4)
    assert counts.tolist() == [[1, 1, 1, 2]]
    assert not outside.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 3, 700])
def test_chunks_blocks_and_layouts_do_not_matter(monkeypatch, dtype, n_features):
    x = np.random.default_rng(1).normal(size=(230, n_features)).astype(dtype)
    bounds = -2.0, 2.5
    whole = basis.bin_counts(x, *bounds, 50)
    for name, size in (("CHUNK", 64), ("CELLS", 120), ("WIDTH", 10)):
        with monkeypatch.context() as patch:
            patch.setattr(binning, name, size)
            for again in (
                basis.bin_counts(x, *bounds, 50),
                basis.bin_counts(x.T.copy().T, *bounds, 50),
            ):
                np.testing.assert_array_equal(again[0], whole[0])
                np.testing.assert_array_equal(again[1], whole[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_count_as_arrays_do_and_so_does_the_path_of_other_devices(dtype):
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)
    x[0, 0], x[1, 1] = 100.0, -100.0
    array = basis.bin_counts(x.numpy(), -2, 2, 33)
    tensor = basis.bin_counts(x, -2, 2, 33)
    device = binning.count_on_device(x, np.full(4, -2.0), np.full(4, 2.0), 33)
    for a, t, d in zip(array, tensor, device, strict=True):
        assert isinstance(t, torch.Tensor)
        np.testing.assert_array_equal(a, t.numpy())
        np.testing.assert_array_equal(a, d.numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32])
def test_other_dtypes_are_counted_too(dtype):
    x = torch.tensor([[0], [1], [2], [3]], dtype=dtype)
    assert basis.bin_counts(x, 0, 4, 4)[0].tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("n", [200, 40_000, 70_000])
def test_any_number_of_cells(n):
    x = np.random.default_rng(0).random((1000, 1))
    counts, _ = basis.bin_counts(x, 0, 1, n)
    np.testing.assert_array_equal(counts[0], np.bincount((x[:, 0] * n).astype(int), minlength=n))


def test_shards_add_up():
    x = np.random.default_rng(2).normal(size=(1001, 2))
    parts = [basis.bin_counts(part, -1, 1, 20) for part in np.array_split(x, 7)]
    whole = basis.bin_counts(x, -1, 1, 20)
    for k in (0, 1):
        np.testing.assert_array_equal(sum(p[k] for p in parts), whole[k])


def test_infinities_are_outside_and_nan_is_an_error():
    x = np.array([[np.inf], [-np.inf], [0.5]])
    counts, outside = basis.bin_counts(x, 0, 1, 2)
    assert (counts.tolist(), outside.tolist()) == ([[0, 1]], [[1, 1]])
    with pytest.raises(ValueError, match="NaN"):
        basis.bin_counts(np.array([[np.nan], [0.5]]), 0, 1, 2)
    with pytest.raises(ValueError, match="NaN"):
        binning.count_on_device(torch.tensor([[torch.nan]]), np.zeros(1), np.ones(1), 2)


@pytest.mark.parametrize(
    ("low", "high"), [(1, 1), (2, 1), (0, np.inf), (np.nan, 1), (-1e308, 1e308)]
)
def test_bounds_must_be_in_order(low, high):
    with pytest.raises(ValueError, match="low < high, both finite.*feature 0"):
        basis.bin_counts(np.zeros((2, 1)), low, high, 4)


def test_the_shape_must_be_right():
    with pytest.raises(ValueError, match=r"shape \(N, D\)"):
        basis.bin_counts(np.zeros(5), 0, 1, 4)


# Bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [1, 3, 9000])
def test_the_range_is_that_of_every_feature(n_features):
    x = np.random.default_rng(0).normal(size=(400, n_features)).astype(np.float32)
    low, high = basis.range_bounds(x)
    np.testing.assert_array_equal(low, x.min(0))
    np.testing.assert_array_equal(high, x.max(0))
    assert torch.equal(basis.range_bounds(torch.from_numpy(x))[0], torch.from_numpy(x.min(0)))


def test_robust_bounds_ignore_outliers_and_keep_a_clean_sample():
    x = np.random.default_rng(0).normal(size=(5000, 2))
    clean = basis.robust_bounds(x)
    assert ((clean[1] - clean[0]) > 0.9 * np.ptp(x, axis=0)).all()
    x[:5, 1] = 1e6
    low, high = basis.robust_bounds(x)
    assert (high < 4).all()
    assert low[0] == clean[0][0]


def test_quantiles_are_numpys():
    x = np.random.default_rng(0).normal(size=(101, 3))
    from mixflow.basis.bounds import quantiles

    np.testing.assert_allclose(quantiles(x, [0.013, 0.7]), np.quantile(x, [0.013, 0.7], axis=0))


def test_the_bulk_is_seen_in_the_counts():
    x = np.random.default_rng(0).normal(size=(2000, 1))
    spoiled = np.vstack([x, [[40.0]]])
    shares = []
    for data in (x, spoiled):
        low, high = basis.range_bounds(data)
        shares.append(float(basis.bulk_share(basis.bin_counts(data, low, high, 200)[0])[0]))
    assert shares[0] > 0.9
    assert shares[1] < 0.25
