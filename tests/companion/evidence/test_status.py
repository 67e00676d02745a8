"""The status table: which rows stand for what, under which protocol, and what is said of them."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from companion.evidence.catalogue import Catalogue
from companion.evidence.claims.base import Claim, values
from companion.evidence.claims.statistics import above, share_above
from companion.evidence.evidence import PROTOCOLS, Answer, Row, Rows, Run, less, open_
from companion.evidence.questions import Question, load_questions, load_targets
from companion.evidence.side_by_side import cell, counts, side_by_side
from companion.evidence.status import STATUS_COLUMNS, status_table
from companion.evidence.targets import Target
from companion.runs import formats, plans, registry, stale
from companion.runs.result import Result
from companion.runs.store import Store
from mixflow.training import EM

ABSENT = "there is no such recipe"


def toy_rows(profile="laptop", metric="accuracy", deviations=(), **where):
    columns = {name: (value,) for name, value in where.items()}
    return Rows("toy/table-1", (metric,), profile, columns, {}, tuple(deviations))


def number(value=0.91, setting="K=1", dataset="toy", **more):
    target = Target(
        "toy", "table-2", dataset, "Toy", setting, "test_accuracy", value, "higher", "", n=None
    )
    rows = toy_rows(dataset=dataset, setting=setting, **more)
    return Question(target, Answer(our_recipe=(rows,), absent={"as_published": ABSENT}))


def claimed(test, deviations=()):
    rows = toy_rows(deviations=deviations, setting="K=1")
    answer = Answer(as_published=(rows,), absent={"our_recipe": ABSENT})
    claim = Claim("toy", "figure-1", "holds", "it is so", "a test", test, answer, model="Toy")
    return Question(claim.target, answer, claim)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def put(store, toy, provenance=None, **values):
    config = toy.config(**values)
    store.save(toy.name, config, Result(toy.rows(config)), provenance or {})
    return config


def status(store, *questions, protocol="our_recipe"):
    frame = status_table(store, questions=questions)
    return frame[frame["protocol"] == protocol].to_dict("records")[0]


def test_not_run(store, toy):
    line = status(store, number())
    assert line["verdict"] == "not run"
    assert (line["seeds"], line["runs"]) == (0, "")
    assert math.isnan(line["ours"])
    other = status(store, number(), protocol="as_published")
    assert (other["verdict"], other["rule"]) == ("not run", ABSENT)


def test_smoke_is_never_a_verdict(store, toy):
    put(store, toy)
    line = status(store, number())
    assert (line["verdict"], line["profile"]) == ("smoke only", "smoke")
    assert math.isnan(line["ours"])
    assert status(store, number(dataset="letter"))["verdict"] == "smoke only"
    assert status(store, number(setting="K=20"))["verdict"] == "not run"


def test_the_rows_of_a_choice_count_with_all_their_seeds(store, toy):
    put(store, toy, profile="smoke", seed=9)
    configs = [put(store, toy, profile="laptop", seed=seed) for seed in range(3)]
    line = status(store, number(0.91))
    assert (line["verdict"], line["profile"], line["seeds"]) == ("reproduced", "laptop", 3)
    assert line["ours"] == pytest.approx(0.91 + 1 / 7000)
    assert line["spread"] == pytest.approx(1 / 7000)
    assert line["low"] < line["difference"] < line["high"]
    assert "half of what K = 20 gains" in line["rule"], "the tolerance has its reason"
    assert set(line["runs"].split()) == {config.digest() for config in configs}


def test_one_seed_is_said(store, toy):
    put(store, toy, profile="laptop")
    line = status(store, number(0.8))
    assert (line["verdict"], line["hint"]) == ("one seed", "higher")
    assert line["kind"] == ""


def test_code_that_was_not_committed_is_said(store, toy):
    put(store, toy, {"code": {"dirty": True}}, profile="laptop")
    line = status(store, number())
    assert line["dirty_runs"] == 1
    assert "1 run(s) of code that was not committed" in line["rule"]


def test_worse_is_a_finding_or_our_shortfall(store, toy):
    for seed in range(3):
        put(store, toy, profile="laptop", seed=seed)
    found = status(store, number(0.99, deviations=[open_("it does not say")]))
    assert (found["verdict"], found["kind"], found["settles"]) == ("worse", "finding", "")
    ours = status(store, number(0.99, deviations=[less("8 x 16; the paper 32 x 64")]))
    assert (ours["verdict"], ours["kind"]) == ("worse", "shortfall")
    assert "8 x 16" in ours["reason"]
    assert "8 x 16" in ours["settles"]
    assert ours["deviations"] == "8 x 16; the paper 32 x 64"


def test_the_first_choice_that_has_rows_counts(store, toy):
    put(store, toy, profile="laptop")
    question = number()
    nearer = replace(question.answer.our_recipe[0], profile="paper")
    answer = Answer(our_recipe=(nearer, *question.answer.our_recipe), absent={"as_published": "x"})
    assert status(store, replace(question, answer=answer))["profile"] == "laptop"


def test_runs_off_the_plan_are_no_evidence(store, toy):
    put(store, toy, profile="laptop", sizes=[3])
    assert status(store, number())["verdict"] == "not run"


def test_runs_from_before_a_parameter_was_added_still_count(store, toy):
    put(store, toy, profile="laptop", seed=0)

    class Later(toy.experiment.config):
        added = ("shape",)
        shape: str = "round"

    later = replace(toy.experiment, config=Later)
    sys.modules["mixflow_toy"].EXPERIMENT = toy.experiment = later
    put(store, toy, profile="laptop", seed=1)
    put(store, toy, profile="laptop", seed=2, shape="square")
    assert status(store, number())["seeds"] == 2, "the square one is off the plan"


def test_larger_profile_on_other_data_is_not_run(store, toy):
    put(store, toy, profile="laptop")
    assert status(store, number(dataset="letter"))["verdict"] == "not run"


def test_a_damaged_run_is_no_evidence(store, toy):
    config = put(store, toy, profile="laptop")
    path = store.directory(toy.name, config) / "rows.csv"
    path.write_text(path.read_text().replace("0.91", "0.99"))
    with pytest.warns(UserWarning, match="rows.csv has sha256"):
        assert status(store, number())["verdict"] == "not run"


@pytest.mark.parametrize("name", ["DONE", "config.json", "rows.csv", "provenance.json"])
@pytest.mark.parametrize("content", [b"[]", b"[" * 100_000, b"\xff", b"", b"null", b"1,2\n"])
def test_an_odd_run_stops_no_table(store, toy, name, content):
    """It is named in a warning, and the run beside it counts; also where its hash was mended."""
    put(store, toy, profile="laptop")
    path = store.directory(toy.name, put(store, toy, profile="laptop", seed=1))
    (path / name).write_bytes(content)
    for mended in (False, True):
        if mended and name != "DONE":
            done = json.loads((path / "DONE").read_text())
            done["sha256"][name] = formats.sha256(content)
            (path / "DONE").write_text(json.dumps(done))
        with pytest.warns(UserWarning, match=f"ignored a damaged result: {path}"):
            assert status(store, number())["seeds"] == 1


def test_claims_are_tested_on_stored_rows(store, toy):
    for seed in range(3):
        put(store, toy, profile="laptop", seed=seed)
    held = claimed(lambda rows: above(list(values(rows).values()), 0.5))
    line = status(store, held, protocol="as_published")
    assert (line["verdict"], line["seeds"], line["published"]) == ("holds", 3, 0.5)
    assert 0 < line["chance"] < 0.1
    failed = claimed(lambda rows: above(list(values(rows).values()), 0.99))
    line = status(store, failed, protocol="as_published")
    assert (line["verdict"], line["kind"]) == ("does not hold", "finding")
    ours = claimed(lambda rows: share_above(0, 10), [less("smaller")])
    assert status(store, ours, protocol="as_published")["kind"] == "shortfall"
    open_question = claimed(lambda rows: share_above(5, 10))
    assert status(store, open_question, protocol="as_published")["verdict"] == "undecided"


def test_one_seed_of_a_claim_is_said(store, toy):
    put(store, toy, profile="laptop")
    line = status(store, claimed(lambda rows: share_above(10, 10)), protocol="as_published")
    assert (line["verdict"], line["hint"]) == ("holds", "one seed")
    line = status(store, claimed(lambda rows: share_above(0, 10)), protocol="as_published")
    assert (line["verdict"], line["kind"]) == ("does not hold", "shortfall")


# Stale --------------------------------------------------------------------------------------------

OLD = {"code": {"commit": "181c585adf"}, "finished": "2026-11-26T20:00:00+00:00"}


def rows_of(experiment, config, provenance, model="GenMM", k=3):
    run = Run(experiment, "0" * 12, config, version=stale.version_of(provenance))
    return stale.is_stale(experiment, config, run.version, model, k)


@pytest.mark.parametrize(
    ("experiment", "config", "model", "k", "expected"),
    [
        ("em-gm/table-2", {"m_step": "sparse"}, "GenMM", 20, True),
        ("em-gm/table-2", {"m_step": "sparse"}, "GenMM", 1, True),
        ("em-gm/table-2", {"m_step": "dense"}, "LatMM", 20, False),
        ("em-gm/table-2", {}, "GMM full covariance", 20, False),
        ("em-gm/table-1", {"batch_size": 64}, "GenMM", 7, True),
        ("em-gm/table-1", {"batch_size": 64}, "GenMM", 1, False),
        ("em-gm/table-1", {"batch_size": 64}, "LatMM", 7, False),
        ("em-gm/table-1", {"batch_size": 16}, "GenMM", 5, False),  # the same samples by luck
        ("em-gm/hybrids", {}, "GenMM", 0, True),
        ("em-gm/hybrids", {}, "single flow", 0, False),
        ("vmonf/pinwheel-5", {}, "VMoNF", 5, False),
    ],
)
def test_what_a_sparse_epoch_changed(experiment, config, model, k, expected):
    assert rows_of(experiment, config, OLD, model, k) is expected
    newer = (
        {"code": {"commit": "d5019fd25199"}, "finished": "2026-11-26T23:59:00+00:00"},
        {"code": {"commit": "123"}, "finished": "2026-12-01T00:00:00+00:00"},
        {"training_version": stale.VERSION},
    )
    for provenance in newer:
        assert rows_of(experiment, config, provenance, model, k) is False
    assert rows_of(experiment, config, {"training_version": 0}, model, k) is expected


def test_the_rule_is_of_todays_training():
    """Whoever raises the version of EM says here which stored rows it makes stale."""
    assert EM.VERSION == stale.VERSION


def test_a_stale_run_says_so_and_what_it_said(monkeypatch, store, toy):
    monkeypatch.setattr("companion.evidence.catalogue.is_stale", lambda *_: True)
    for seed in range(3):
        put(store, toy, profile="laptop", seed=seed)
    line = status(store, number(0.99))
    assert (line["verdict"], line["hint"], line["kind"]) == ("stale", "worse", "")
    assert "3 of 3 runs" in line["rule"]


def row_of(experiment, finished, *, version=1, model="GenMM", k=7, metric="IS"):
    config = {"profile": "laptop", "dataset": "mnist", "model": model, "n_components": k}
    run = Run(experiment, finished, config, finished=finished, version=version)
    old = experiment == "em-gm/table-1" and version == 0
    return Row("mnist", model, f"K={k}", 0, metric, 1.0, run, stale=old)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (row_of("em-gm/table-1", "2026-11-20", version=0), True),
        (row_of("em-gm/table-1", "2026-11-30"), True),  # made anew since
        (row_of("em-gm/table-1", "2026-11-20"), False),
        (row_of("em-gm/table-1", "2026-11-30", k=9), False),  # another mixture
    ],
)
def test_what_reads_a_stale_mixture_is_stale(of, expected):
    walk = row_of("em-gm/interpolation", "2026-11-25", metric="at_an_end")
    read = {"em-gm/table-1": [of], "em-gm/interpolation": [walk]}
    catalogue = Catalogue(lambda name: read[name])
    (found,) = catalogue.rows(Rows("em-gm/interpolation", ("at_an_end",)))
    assert found.stale is expected


def test_published_runs_of_a_sparse_m_step_are_older_than_its_change():
    """252 stored runs name a sparse M-step, and all are older than the change of its epochs."""
    folder = Path("book/results")
    if not folder.is_dir():
        pytest.skip("no published results here")
    sparse = [
        (config, json.loads((path.parent / "provenance.json").read_text()))
        for path in folder.glob("*/*/*/config.json")
        if (config := json.loads(path.read_text())).get("m_step") == "sparse"
    ]
    old = [config for config, provenance in sparse if not stale.version_of(provenance)]
    assert len(old) <= 252
    assert all(stale.is_stale("em-gm/table-2", config, 0, "GenMM", 1) for config in old)


def test_verdicts_of_old_are_retired():
    assert stale.is_retired("claim")
    assert stale.is_retired("claim_figure_7a")
    assert not stale.is_retired("accuracy")


# The packaged questions ---------------------------------------------------------------------------


def test_every_question_is_in_the_table_once_a_protocol(store, toy):
    questions = load_questions()
    frame = status_table(store)
    assert tuple(frame.columns) == STATUS_COLUMNS
    assert len(frame) == 2 * len(questions) == 2 * len({q.target.id for q in questions})
    assert set(frame["verdict"]) == {"not run"}
    assert (frame["rule"] != "").all(), "a cell without runs says why"


@pytest.mark.parametrize("question", load_questions(), ids=lambda question: question.target.id)
def test_every_question_has_an_entry_for_both_protocols(question):
    for protocol in PROTOCOLS:
        choices = question.answer.under(protocol)
        assert choices or question.answer.absent[protocol]
        for choice in choices:
            assert {choice.experiment, *choice.beside} <= set(registry.names())


def test_an_answer_without_a_word_is_an_error():
    with pytest.raises(ValueError, match="as_published: give rows, or say"):
        Answer(our_recipe=(toy_rows(),))
    with pytest.raises(ValueError, match="our_recipe"):
        Answer(as_published=(toy_rows(),), our_recipe=(toy_rows(),), absent={"our_recipe": "x"})


def test_published_numbers_are_those_of_the_projects_list():
    numbers = {t.id: t.value for t in load_targets() if t.value is not None}
    assert len(numbers) == 61
    shown = [q.target for q in load_questions() if q.of is not None]
    assert {t.setting for t in shown} == {"K=1, 45 more epochs by Muon"}


def test_published_results_answer_all_but_what_was_not_run():
    """A misspelt metric or setting would look like a run that is missing."""
    folder = Path("book/results")
    if not folder.is_dir():
        pytest.skip("no published results here")
    frame = status_table(Store(folder))
    missing = frame[frame["rule"].isin(["no run of the plan answers this", HALF])]
    norb = missing["dataset"] == "norb"
    again = (missing["dataset"] == "mnist") & missing["setting"].str.contains("Muon")
    assert (norb | again).all()
    assert norb.sum() == 2 * 10
    against = frame[frame["verdict"].isin(["worse", "does not hold"])]
    assert (against["kind"] != "").all()
    assert (against["settles"] != "").tolist() == (against["kind"] == "shortfall").tolist()


HALF = "the runs there are have not all that the test compares"


def test_norbs_published_rows_take_no_other_data():
    norb = [q for q in load_questions() if q.target.dataset == "norb"]
    assert len(norb) == 6 + 1 + 2 + 1
    for question in norb:
        for protocol in PROTOCOLS:
            for choice in question.answer.under(protocol):
                assert choice.config["dataset"] == ("norb",)


def test_numbers_of_a_table_are_judged_together_whatever_is_shown(store, toy):
    for k in (1, 2):
        for seed in range(3):
            put(store, toy, profile="laptop", seed=seed, n_components=k)
    both = [number(0.91, "K=1"), number(0.5, "K=2")]
    alone = status_table(store, [both[0].target], both)
    assert len(alone) == 2
    whole = status_table(store, questions=both)
    assert alone["rule"].tolist() == whole["rule"].tolist()[:2]


# Plans --------------------------------------------------------------------------------------------


def test_plans_are_kept_until_a_source_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = registry.find("vmonf/pinwheel-5")
    monkeypatch.setattr(registry, "_MODULES", {one.name: "companion.vmonf.pinwheel_5"})
    first = plans.plans()
    (kept,) = (tmp_path / "mixflow").iterdir()
    config = one.configs("laptop")[0].model_dump(mode="json")
    assert config in first[one.name]
    assert {**config, "seed": 12345} in first[one.name]
    assert {**config, "noise": 9.0} not in first[one.name]
    assert plans.plans() == first
    kept.write_text("{")
    assert plans.plans() == first, "a damaged cache is made anew"


def test_plans_of_other_modules_are_not_kept(tmp_path, monkeypatch, toy):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert set(plans.plans()) == {toy.name}
    assert not list(tmp_path.iterdir())


# For people ---------------------------------------------------------------------------------------


def test_both_protocols_stand_side_by_side(store, toy):
    for seed in range(3):
        put(store, toy, profile="laptop", seed=seed)
    frame = status_table(store, questions=[number(0.91), number(0.99, "K=2")])
    shown = side_by_side(frame)
    assert len(shown) == 2
    line = shown.iloc[0]
    assert (line["paper"], line["as published"]) == ("0.91", "not run")
    assert line["our recipe"].endswith("(3) reproduced")
    assert counts(frame)["our recipe"] == {"reproduced": 1, "not run": 1}


def test_a_cell_says_one_seed_once():
    line = {"metric": "L", "ours": 0.5, "spread": math.nan, "seeds": 1, "kind": ""}
    assert cell({**line, "verdict": "one seed", "hint": "within"}) == "0.5000 one seed (within)"
    stale_line = {**line, "verdict": "stale", "hint": "worse", "seeds": 5, "spread": 0.01}
    assert cell(stale_line) == "0.5000 ± 0.0100 (5) stale (worse)"
    assert cell(stale_line, spread=False) == "0.5000 (5) stale (worse)"
