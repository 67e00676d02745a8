import math
import sys
import types
from dataclasses import replace

import pytest

from mixflow import experiments
from mixflow.experiments.base import Answer, Result
from mixflow.results import Store, load_targets, status_table
from mixflow.results.status import STATUS_COLUMNS
from mixflow.results.targets import parse_targets
from mixflow.results.verdicts import judge

HEADER = "paper,item,dataset,model,setting,metric,value,better,note\n"


def target(metric="test_accuracy", value="0.95", better="higher", **cells):
    cells = {"dataset": "toy", "model": "Toy", "setting": "K=1", "item": "table-2", **cells}
    names = ("item", "dataset", "model", "setting")
    line = ",".join(["toy", *(cells[name] for name in names), metric, value, better, "note"])
    return parse_targets(HEADER + line + "\n")[0]


ACCURACY = target()
NLL = target("nll_nat_per_pixel", "1.9", "lower")
L = target("L", "0.1", "lower")
CLAIM = target("claim", "", "")


@pytest.mark.parametrize(
    ("published", "values", "verdict"),
    [
        # one seed: the spread is unknown, the tolerance .005 decides
        (ACCURACY, [0.9551], "better"),
        (ACCURACY, [0.955], "reproduced"),
        (ACCURACY, [0.951], "reproduced"),
        (ACCURACY, [0.95], "reproduced"),
        (ACCURACY, [0.945], "reproduced"),
        (ACCURACY, [0.9449], "short"),
        # two seeds: still the tolerance for better; 2 s may excuse
        (ACCURACY, [0.951, 0.951], "reproduced"),
        (ACCURACY, [0.93, 0.95], "reproduced"),
        # three seeds and more: two standard errors
        (ACCURACY, [0.9511, 0.951, 0.9509], "better"),
        (ACCURACY, [0.94, 0.95, 0.964], "reproduced"),
        (ACCURACY, [0.951, 0.951, 0.951], "better"),
        (ACCURACY, [0.95, 0.95, 0.95], "reproduced"),
        (ACCURACY, [0.94, 0.9401, 0.9399], "short"),
        (ACCURACY, [0.9, 0.93, 0.96], "reproduced"),
        # lower is better
        (NLL, [1.894], "better"),
        (NLL, [1.905], "reproduced"),
        (NLL, [1.906], "short"),
        # 7 % of the published value
        (L, [0.107], "reproduced"),
        (L, [0.108], "short"),
        (L, [0.092], "better"),
        # never a verdict out of broken numbers
        (ACCURACY, [0.99, math.nan], "short"),
        (NLL, [-math.inf], "short"),
        (CLAIM, [1, 1], "reproduced"),
        (CLAIM, [1, 0.5], "short"),
        (CLAIM, [0], "short"),
        (target(better=""), [0.999], "short"),
        (target(better=""), [0.953], "reproduced"),
    ],
)
def test_rule(published, values, verdict):
    judgement = judge(published, values)
    assert judgement.verdict == verdict
    assert judgement.rule


def test_no_value_is_an_error():
    with pytest.raises(ValueError, match="no value to judge"):
        judge(ACCURACY, [])


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def put(store, toy, **values):
    config = toy.config(**values)
    store.save(toy.name, config, Result(toy.rows(config)), {})
    return config


def status(store, published):
    (line,) = status_table(store, [published]).to_dict("records")
    return line


def test_not_run(store, toy):
    line = status(store, ACCURACY)
    assert line["verdict"] == "not run"
    assert (line["seeds"], line["runs"]) == (0, "")
    assert math.isnan(line["ours"])


def test_smoke_is_never_a_reproduction(store, toy):
    put(store, toy)
    line = status(store, ACCURACY)
    assert (line["verdict"], line["profile"], line["ours"]) == ("smoke only", "smoke", 0.91)
    other = status(store, target(dataset="letter"))
    assert (other["verdict"], other["seeds"]) == ("smoke only", 0)
    assert math.isnan(other["ours"])
    assert status(store, target(setting="K=20"))["verdict"] == "not run"


def test_best_profile_counts_with_all_its_seeds(store, toy):
    put(store, toy, profile="smoke", seed=9)
    configs = [put(store, toy, profile="laptop", seed=seed) for seed in range(3)]
    line = status(store, target(value="0.91"))
    assert (line["verdict"], line["profile"], line["seeds"]) == ("reproduced", "laptop", 3)
    assert line["ours"] == pytest.approx(0.91 + 1 / 7000)
    assert line["spread"] == pytest.approx(1 / 7000)
    assert set(line["runs"].split()) == {config.digest() for config in configs}


def test_runs_off_the_plan_are_no_evidence(store, toy):
    put(store, toy, profile="laptop", sizes=[3])
    assert status(store, ACCURACY)["verdict"] == "not run"


def test_runs_from_before_a_parameter_was_added_still_count(store, toy):
    put(store, toy, profile="laptop", seed=0)

    class Later(toy.experiment.config):
        added = ("shape",)
        shape: str = "round"

    later = replace(toy.experiment, config=Later)
    sys.modules["mixflow_toy"].EXPERIMENT = toy.experiment = later
    put(store, toy, profile="laptop", seed=1)
    put(store, toy, profile="laptop", seed=2, shape="square")
    assert status(store, ACCURACY)["seeds"] == 2, "the square one is off the plan"


def test_an_answer_that_comes_first_stands_alone(store, toy, monkeypatch):
    nearer = types.ModuleType("mixflow_nearer")
    answers = {"table-2": Answer({"test_accuracy": "accuracy"}, first=True)}
    nearer.EXPERIMENT = replace(toy.experiment, name="toy/nearer", answers=answers)
    monkeypatch.setitem(sys.modules, "mixflow_nearer", nearer)
    modules = {toy.name: "mixflow_toy", "toy/nearer": "mixflow_nearer"}
    monkeypatch.setattr(experiments, "_MODULES", modules)
    put(store, toy, profile="laptop", seed=0)
    config = toy.config(profile="laptop", seed=1)
    store.save("toy/nearer", config, Result(toy.rows(config)), {})
    line = status(store, ACCURACY)
    assert (line["runs"], line["seeds"]) == (config.digest(), 1)
    put(store, toy, profile="smoke", n_components=2)
    assert status(store, target(setting="K=2"))["verdict"] == "smoke only", "it has no such row"


def test_larger_profile_on_other_data_is_not_run(store, toy):
    put(store, toy, profile="laptop")
    assert status(store, target(dataset="letter"))["verdict"] == "not run"


def test_stand_ins_and_claims(store, toy):
    put(store, toy, profile="laptop", n_components=2)
    line = status(store, target(model="RBF", setting="as cited", value="0.9"))
    assert (line["verdict"], line["ours"]) == ("better", 0.92)
    claim = target("claim", "", "", dataset="", model="", setting="")
    assert status(store, claim)["verdict"] == "reproduced"
    assert status(store, target(item="table-9"))["verdict"] == "not run"
    assert status(store, target("IS"))["verdict"] == "not run"


def test_every_packaged_target_is_in_the_table_once(store, toy):
    targets = load_targets()
    frame = status_table(store)
    assert tuple(frame.columns) == STATUS_COLUMNS
    assert len(frame) == len(targets) == len({target.id for target in targets})
    assert set(frame["verdict"]) == {"not run"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("toy,table-1,d,m,s,acc,x,higher,", "could not convert"),
        ("toy,table-1,d,m,s,acc,nan,higher,", "not finite"),
        ("toy,table-1,d,m,s,acc,,higher,", "a claim has none"),
        ("toy,table-1,d,m,s,claim,1,,", "a claim has none"),
        ("toy,table-1,d,m,s,acc,1,more,", "expected higher, lower"),
        ("toy,,d,m,s,acc,1,lower,", "must not be empty"),
        ("toy,table-1,d,m,s,acc,1", "9 cells"),
        ("toy,table-1,d,m,s,acc,1,lower,n,x", "9 cells"),
        ("toy,t,d,m,s,acc,1,lower,\ntoy,t,d,m,s,acc,2,lower,", "line 3: .* twice"),
    ],
)
def test_malformed_targets(lines, message):
    with pytest.raises(ValueError, match=message):
        parse_targets(HEADER + lines + "\n")


def test_wrong_columns():
    with pytest.raises(ValueError, match="expected"):
        parse_targets("a,b\n1,2\n")


def test_ids_are_stable():
    assert ACCURACY.id == "toy/table-2/toy-toy-k=1-test-accuracy"
