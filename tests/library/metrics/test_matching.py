"""Matching of components and classes, by hand and by trying every permutation."""

import itertools

import numpy as np
import pytest

from mixflow.metrics import (
    Separation,
    adjusted_rand_index,
    best_matching,
    components_in_use,
    contingency_table,
    effective_components,
    matched_accuracy,
    normalized_mutual_information,
    separation,
)


def by_trying(y, component):
    """Accuracy of the best one-to-one map, every one of them tried."""
    classes, components = np.unique(y), np.unique(component[component >= 0])
    slots = [*classes, *[None] * len(components)]
    best = 0
    for chosen in itertools.permutations(slots, len(components)):
        given = dict(zip(components, chosen, strict=True))
        best = max(best, sum(given.get(c) == k for c, k in zip(component, y, strict=True)))
    return best / len(y)


@pytest.mark.parametrize(("n_classes", "n_components"), [(3, 3), (3, 5), (4, 2), (1, 3), (3, 1)])
def test_accuracy_is_the_best_of_all_matchings(n_classes, n_components):
    rng = np.random.default_rng(n_classes * 7 + n_components)
    for _ in range(3):
        y, component = rng.integers(n_classes, size=30), rng.integers(-1, n_components, size=30)
        assert matched_accuracy(y, component) == pytest.approx(by_trying(y, component))


def test_the_greedy_matching_is_not_enough():
    y = np.repeat([0, 0, 1, 1], [10, 8, 9, 0])
    component = np.repeat([0, 1, 0, 1], [10, 8, 9, 0])
    assert matched_accuracy(y, component) == pytest.approx(17 / 27)


def test_names_of_components_and_classes_do_not_matter():
    y = np.array(["u", "u", "v", "v", "w"])
    assert matched_accuracy(y, [4, 4, 0, 0, 2]) == 1
    assert matched_accuracy([7, 7, 3, 3, -2], [4, 4, 0, 0, 2]) == 1


def test_surplus_components_and_noise_count_as_wrong():
    assert matched_accuracy([0, 0, 0, 0], [0, 0, 0, 1]) == 0.75
    assert matched_accuracy([0, 0, 0, 0], [0, 0, 0, -1]) == 0.75
    assert matched_accuracy([0, 0], [-1, -1]) == 0


def test_contingency_table_has_all_columns():
    table = contingency_table([5, 5, 9, 9], [0, 2, 2, -1], n_components=4)
    assert table.classes.tolist() == [5, 9]
    assert table.counts.tolist() == [[1, 0, 1, 0], [0, 0, 1, 0]]
    assert table.unassigned.tolist() == [0, 1]
    assert contingency_table([5], [1]).counts.tolist() == [[0, 1]]
    assert contingency_table([5], [-1]).counts.tolist() == [[0]]


def test_best_matching_gives_positions_of_classes():
    matching = best_matching(contingency_table([5, 5, 9, 9], [3, 3, 1, -1]).counts)
    assert (matching[3], matching[1]) == (0, 1)
    assert len(matching) == 2


def test_components_in_use():
    assert components_in_use([0] * 98 + [1, 3], 0.01).tolist() == [0, 1, 3]
    assert components_in_use([0] * 98 + [1, 3], 0.02).tolist() == [0]
    assert components_in_use([-1, -1, 1]).tolist() == [1]
    assert components_in_use(np.array([[0.9, 0.1, 0.0], [0.7, 0.3, 0.0]]), 0.2).tolist() == [0, 1]
    assert components_in_use(np.array([[0.9, 0.1, 0.0], [0.7, 0.3, 0.0]]), 0.21).tolist() == [0]


FINE = Separation(class_cut=False, class_shared=False, dead=False)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[100, 0], [0, 100]], FINE),
        ([[95, 5], [5, 95]], FINE),
        ([[94, 6], [0, 100]], Separation(class_cut=True, class_shared=True, dead=False)),
        ([[50, 50, 0], [0, 0, 100]], Separation(class_cut=True, class_shared=False, dead=False)),
        ([[100, 0, 0], [100, 0, 0]], Separation(class_cut=False, class_shared=True, dead=True)),
        ([[100, 0, 0], [0, 100, 0]], Separation(class_cut=False, class_shared=False, dead=True)),
        ([[98, 2, 0], [2, 94, 4]], FINE),
    ],
)
def test_separation(counts, expected):
    counts = np.array(counts)
    rows, columns = np.indices(counts.shape)
    y, component = rows.ravel().repeat(counts.ravel()), columns.ravel().repeat(counts.ravel())
    assert separation(y, component, n_components=counts.shape[1]) == expected


def test_noise_is_no_component_but_part_of_the_class():
    assert separation([0] * 100, [0] * 50 + [-1] * 50) == FINE
    cut = separation([0] * 200, [0] * 10 + [1] * 100 + [-1] * 90)
    assert cut == FINE, "10 of 200 is no more than 5 %"
    assert separation([0] * 199, [0] * 10 + [1] * 100 + [-1] * 89).class_cut


@pytest.mark.parametrize("seed", range(4))
def test_the_rand_index_counts_pairs(seed):
    rng = np.random.default_rng(seed)
    y, component = rng.integers(3, size=25), rng.integers(-1, 4, size=25)
    pairs = [(y[i] == y[j], component[i] == component[j]) for i in range(25) for j in range(i)]
    same_class, same_component, both = (
        sum(a for a, _ in pairs),
        sum(b for _, b in pairs),
        sum(a and b for a, b in pairs),
    )
    chance = same_class * same_component / len(pairs)
    expected = (both - chance) / ((same_class + same_component) / 2 - chance)
    assert adjusted_rand_index(y, component) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_mutual_information_is_by_entropies(seed):
    rng = np.random.default_rng(seed)
    y, component = rng.integers(3, size=25), rng.integers(-1, 4, size=25)

    def entropy(labels):
        shares = np.unique(labels, axis=0, return_counts=True)[1] / len(labels)
        return -(shares * np.log(shares)).sum()

    each = entropy(y) + entropy(component)
    expected = (each - entropy(np.stack([y, component], 1))) / (each / 2)
    assert normalized_mutual_information(y, component) == pytest.approx(expected)


def test_effective_components():
    assert effective_components([0.25] * 4) == pytest.approx(4)
    assert effective_components([0, 1, 0]) == 1
    weights = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]])
    expected = [np.exp(-sum(p * np.log(p) for p in line if p)) for line in weights]
    np.testing.assert_allclose(effective_components(weights), expected)
    assert effective_components(weights[None]).shape == (1, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: matched_accuracy([0, -1, -1], [0, 1, 1]), "unlabelled, for 2 of 3 points"),
        (lambda: matched_accuracy([0, 1], [0]), "each of 2 samples"),
        (lambda: matched_accuracy([], []), "N >= 1"),
        (lambda: matched_accuracy([[0, 1]], [0, 1]), "shape"),
        (lambda: matched_accuracy([0, 1], [0.0, 1.0]), "whole numbers, got float64"),
        (lambda: matched_accuracy([0, 1], [0, -2]), "outside -1 ... inf in 1 of 2"),
        (lambda: contingency_table([0, 1], [0, 4], n_components=3), r"must lie in 5 \.\.\."),
        (lambda: contingency_table([0, 1], [0, 1], n_components=2.0), "whole number"),
        (lambda: components_in_use(np.zeros((2, 2, 2))), "responsibilities"),
        (lambda: components_in_use(np.zeros((0, 2))), "N >= 1"),
        (lambda: components_in_use([]), "N >= 1"),
        (lambda: components_in_use([[np.nan, 1.0]]), "NaN"),
        (lambda: components_in_use([0, 1], 0.0), "min_share"),
        (lambda: separation([0, 1], [0, 1], min_share=1.0), "min_share"),
        (lambda: separation([0, 1], [0, 1], dead_share=0.0), "dead_share"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
