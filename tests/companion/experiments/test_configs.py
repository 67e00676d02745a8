"""What every experiment's parameters refuse, whatever is given."""

from typing import Literal, get_args

import pytest
from pydantic import Field

from companion.runs.config import PROFILES, Config, ParameterError
from companion.runs.numbers import MOST, MOST_OF
from companion.runs.registry import find, names

ODD = (True, False, 0, 1, -1, 10**8, 10**400, 1.5, float("inf"), float("nan"), "", "x", "1", None)
ODD += ([], {}, [[1]], [True], ["x"], {"a": 1}, [1] * 3)


def leaves(annotation):
    """Yield the plain types of which an annotation is made."""
    arguments = get_args(annotation)
    if not arguments or getattr(annotation, "__origin__", None) is Literal:
        yield annotation
    for argument in arguments:
        yield from leaves(argument)


@pytest.mark.parametrize("name", names())
def test_an_unknown_profile_is_refused_with_the_closest(name):
    for ask in (find(name).configs, find(name).configure):
        with pytest.raises(ParameterError, match="'lptop' is unknown; did you mean 'laptop'"):
            ask("lptop")


@pytest.mark.parametrize("name", names())
def test_odd_values_are_refused_in_words_or_are_what_they_were(name):
    experiment = find(name)
    for field in set(experiment.config.model_fields) - {"profile"}:
        for value in ODD:
            try:
                found = getattr(experiment.configure("smoke", **{field: value}), field)
            except ParameterError:  # and nothing else
                continue
            given = tuple(value) if isinstance(value, list) else value
            assert found == given or value is None, (field, value, found)  # a recipe fills None
            assert value is None or isinstance(found, bool) == isinstance(value, bool)


@pytest.mark.parametrize("name", names())
def test_whole_numbers_have_a_largest_value(name):
    experiment = find(name)
    for field, info in experiment.config.model_fields.items():
        if int in set(leaves(info.annotation)):
            with pytest.raises(ParameterError, match="less than|Value error|valid"):
                experiment.configure(**{field: max(MOST, MOST_OF.get(field, 0)) + 1})


class Small(Config):
    on: bool = False
    rate: float = 0.5
    k: int = 1
    own: int = Field(1, le=3_000_000)
    pair: tuple[int, ...] = (1, 2)


@pytest.mark.parametrize(
    "values",
    [{"on": 1}, {"on": "true"}, {"rate": True}, {"rate": "1"}, {"rate": float("inf")}]
    + [{"k": True}, {"k": 1.0}, {"k": MOST + 1}, {"pair": [True]}, {"pair": [MOST + 1]}]
    + [{"own": 3_000_001}, {"seed": 2**31}],
)
def test_numbers_are_strict(values):
    with pytest.raises(ValueError, match="validation error"):
        Small(**values)


def test_numbers_that_are_taken():
    found = Small(on=True, rate=1, k=MOST, own=3_000_000, pair=[3])
    assert (found.rate, type(found.rate), found.pair) == (1.0, float, (3,))


def test_a_truth_value_selects_no_point_of_the_plan(toy):
    with pytest.raises(ParameterError, match="seed=True: Input should be a valid integer"):
        toy.experiment.configs("smoke", [{"seed": True}])
    assert len(toy.experiment.configs("smoke", [{"seed": 1}])) == 2


def test_all_plans_are_taken():
    assert sum(len(find(name).configs(profile)) for name in names() for profile in PROFILES) > 2000


def test_long_values_are_cut_in_messages(toy):
    with pytest.raises(ParameterError) as caught:
        toy.experiment.configure(sizes="x" * 100_000)
    assert len(str(caught.value)) < 300
