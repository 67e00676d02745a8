"""The rule of the verdicts on constructed cases, and the table of published numbers."""

import math

import pytest

from companion.evidence.estimates import difference, estimate
from companion.evidence.evidence import less, open_, recipe
from companion.evidence.shortfall import rule
from companion.evidence.targets import parse_targets
from companion.evidence.verdicts import TOLERANCES, VERDICTS, Comparison, Judgement, judge

HEADER = "paper,item,dataset,model,setting,metric,value,better,n,note\n"
TIGHT = (-0.0002, 0.0, 0.0002)  # of three seeds about their mean


def compared(published, values, sign=1, tolerance=0.01, error=None, comparable=True):
    found = difference(estimate({0: values}), published, error)
    return Comparison(found, tolerance, sign, comparable)


def about(mean, spread=TIGHT):
    return [mean + part for part in spread]


@pytest.mark.parametrize(
    ("values", "verdict", "hint"),
    [
        (about(0.951), "reproduced", ""),
        (about(0.95), "reproduced", ""),
        (about(0.9599), "consistent", ""),  # it may be beyond the tolerance
        ((0.93, 0.95, 0.97), "consistent", ""),
        (about(0.97), "better", ""),
        (about(0.93), "worse", ""),
        ((0.93, 0.99, 0.96), "consistent", ""),  # beyond, but not for certain
        ([0.955], "one seed", "within"),
        ([0.99], "one seed", "higher"),
        ([0.5], "one seed", "lower"),
        ((0.95, math.nan, 0.95), "not run", ""),
        ((-math.inf,), "not run", ""),
    ],
)
def test_rule(values, verdict, hint):
    (judgement,) = judge([compared(0.95, values)])
    assert (judgement.verdict, judgement.hint) == (verdict, hint)
    assert judgement.rule


SWAPPED = {"better": "worse", "worse": "better", "higher": "lower", "lower": "higher"}


@pytest.mark.parametrize("error", [None, 0.002])
@pytest.mark.parametrize("spread", [TIGHT, (-0.02, 0.0, 0.02), (0.0,)])
@pytest.mark.parametrize("off", [0.0, 0.003, 0.0099, 0.011, 0.02, 0.2])
def test_the_rule_is_the_same_on_both_sides(off, spread, error):
    above, below = (
        judge([compared(0.5, about(0.5 + side * off, spread), error=error)])[0] for side in (1, -1)
    )
    assert SWAPPED.get(below.verdict, below.verdict) == above.verdict
    assert SWAPPED.get(below.hint, below.hint) == above.hint
    mirrored = judge([compared(-0.5, about(-0.5 - off, spread), sign=-1, error=error)])[0]
    assert mirrored.verdict == above.verdict, "lower is better, and lower by as much"


def test_without_a_tolerance_nothing_is_reproduced():
    (exact,) = judge([compared(0.95, about(0.95), tolerance=0.0)])
    assert exact.verdict == "consistent"


def test_a_published_error_makes_it_harder_to_differ_and_to_be_the_same():
    assert judge([compared(0.95, about(0.97), error=0.02)])[0].verdict == "consistent"
    assert judge([compared(0.95, about(0.95), error=0.02)])[0].verdict == "consistent"


def test_holm_corrects_within_the_table():
    near = compared(0.95, (0.964, 0.970, 0.976), tolerance=0.005)
    assert near.difference.p < 0.05
    assert judge([near])[0].verdict == "better"
    table = judge([near] + [compared(0.95, (0.94, 0.95, 0.96))] * 3)
    assert table[0].verdict == "consistent"
    clear = judge([compared(0.95, about(0.97))] + [compared(0.95, (0.94, 0.95, 0.96))] * 3)
    assert clear[0].verdict == "better"
    assert "after Holm" in clear[0].rule


def test_nothing_is_better_than_numbers_of_other_targets():
    better = compared(0.07, about(0.05), sign=-1, comparable=False)
    (judgement,) = judge([better])
    assert judgement.word == "consistent (other targets)"
    (worse,) = judge([compared(0.07, about(0.09), sign=-1, comparable=False)])
    assert worse.verdict == "worse"


def test_every_tolerance_has_a_reason():
    for tolerance in TOLERANCES.values():
        assert tolerance.reason
        assert tolerance.set_on
        assert max(tolerance.absolute, tolerance.relative) > 0


def test_words():
    assert Judgement("one seed", "", "higher").word == "one seed (higher)"
    assert Judgement("one seed", "", "higher").as_hint == "one seed, higher"
    assert Judgement("better", "").word == "better"
    assert {"reproduced", "stale", "holds", "does not hold", "undecided"} < set(VERDICTS)


# Finding or shortfall -----------------------------------------------------------------------------


def test_a_finding_needs_the_setting_the_seeds_and_the_power():
    free = [open_("the paper does not say")]
    assert rule(free, 3).kind == "finding"
    assert rule(free, 3).settles == ""
    for deviations, seeds, can_tell, reason in (
        ([less("8 x 16; the paper 32 x 64")], 5, True, "8 x 16"),
        ([recipe("another schedule")], 5, True, "another schedule"),
        (free, 2, True, "2 seeds"),
        (free, 1, True, "1 seed"),
        (free, 5, False, "too few"),
    ):
        ruling = rule(deviations, seeds, can_tell)
        assert ruling.kind == "shortfall"
        assert reason in ruling.reason
        assert ruling.settles


# The table of published numbers -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("toy,table-1,d,m,s,acc,x,higher,,", "could not convert"),
        ("toy,table-1,d,m,s,acc,nan,higher,,", "not finite"),
        ("toy,table-1,d,m,s,acc,1,higher,many,", "invalid literal"),
        ("toy,table-1,d,m,s,acc,,higher,,", "a claim has none"),
        ("toy,table-1,d,m,s,claim,1,,,", "a claim has none"),
        ("toy,table-1,d,m,s,acc,1,more,,", "expected higher, lower"),
        ("toy,,d,m,s,acc,1,lower,,", "must not be empty"),
        ("toy,table-1,d,m,s,acc,1", "10 cells"),
        ("toy,table-1,d,m,s,acc,1,lower,,n,x", "10 cells"),
        ("toy,t,d,m,s,acc,1,lower,,\ntoy,t,d,m,s,acc,2,lower,,", "line 3: .* twice"),
    ],
)
def test_malformed_targets(lines, message):
    with pytest.raises(ValueError, match=message):
        parse_targets(HEADER + lines + "\n")


def test_wrong_columns():
    with pytest.raises(ValueError, match="expected"):
        parse_targets("a,b\n1,2\n")


def test_ids_are_stable():
    (target,) = parse_targets(HEADER + "toy,table-2,toy,Toy,K=1,test_accuracy,0.95,higher,10,x\n")
    assert target.id == "toy/table-2/toy-toy-k=1-test-accuracy"
    assert target.n == 10
