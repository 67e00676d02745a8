"""Which fields of a plan's configs are worth showing."""

import itertools

from pydantic import Field

from companion.cli.values import varying
from companion.runs.config import Config
from companion.runs.registry import find


class Plan(Config):
    model: str = "a"
    k: int = 1
    width: int = 1
    pair: tuple[float, float] = Field((1.0, 2.0))


def test_what_tells_configs_apart_stays():
    configs = [Plan(model=m, k=k, seed=s) for m, k, s in itertools.product("ab", (1, 2), (0, 1))]
    assert varying(configs) == ["seed", "model", "k"]


def test_what_follows_is_left_out():
    widths = {"a": 3, "b": 5}
    configs = [Plan(model=m, width=widths[m], seed=s) for m in "ab" for s in (0, 1)]
    assert varying(configs) == ["seed", "model"]


def test_what_follows_only_mostly_stays():
    configs = [Plan(model="a", width=3), Plan(model="b", width=5), Plan(model="b", width=6)]
    assert varying(configs) == ["width"]


def test_few_configs():
    assert varying([]) == []
    assert varying([Plan()]) == []
    assert varying([Plan(), Plan()]) == []
    assert varying([Plan(pair=(1.0, 2.0)), Plan(pair=(1.0, 3.0))]) == ["pair"]


def test_the_fields_left_still_tell_all_apart():
    for name in ("vmonf/pinwheel-5", "vmonf/head-to-head", "vmonf/ablations", "em-gm/table-2"):
        configs = find(name).configs("laptop")
        fields = varying(configs)
        shown = {tuple(str(getattr(c, f)) for f in fields) for c in configs}
        assert len(shown) == len({c.digest() for c in configs}) == len(configs)
        assert {"seed", "model"} & set(fields)
