"""What a page shows: the stored runs, else a smoke run that leaves the results alone."""

import base64
import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from companion.book import verdicts
from companion.book.page import Page
from companion.book.verdicts import verdict_counts, verdict_table
from companion.evidence.evidence import PROTOCOLS
from companion.evidence.questions import load_targets
from companion.evidence.status import KEYS
from companion.runs import formats, runner
from companion.runs.result import Result
from companion.runs.runner import execute
from companion.runs.store import Store
from companion.runs.stored import DONE


@pytest.fixture
def results(monkeypatch, tmp_path):
    monkeypatch.setenv("MIXFLOW_RESULTS", str(tmp_path / "results"))
    return Store()


def rewrite(path, name, change):
    """Alter a stored file and make the hashes fit."""
    (path / name).write_text(change((path / name).read_text()))
    hashes = json.loads((path / DONE).read_text())
    hashes["sha256"][name] = formats.sha256((path / name).read_bytes())
    (path / DONE).write_text(json.dumps(hashes))


def test_without_stored_runs_it_computes_smoke_elsewhere(toy, results):
    page = Page(toy.name)
    assert page.profile == "smoke"
    assert "reproduces nothing" in page.source().data
    assert len(page.runs) == 4
    assert list(results.runs(toy.name)) == []


def test_stored_runs_are_shown_not_computed(toy, results):
    for config in toy.experiment.configs("laptop"):
        execute(toy.experiment, config, results, progress=False)
    calls = toy.calls
    page = Page(toy.name)
    assert toy.calls == calls
    assert page.profile == "laptop"
    assert "Stored results" in page.source().data
    assert page.value("accuracy", "Toy", "K=2") == pytest.approx(0.92 + 0.5 / 7000)
    assert page.summary("accuracy")["count"].tolist() == [2, 2]
    assert page.value("accuracy", "Toy", "K=9") != page.value("accuracy", "Toy", "K=9")  # NaN


def test_a_profile_that_is_asked_for_is_run(toy, results):
    page = Page(toy.name, "smoke", n_components=2)
    assert {run.config["n_components"] for run in page.runs} == {2}
    assert len(list(results.runs(toy.name))) == 2


def test_the_download_holds_the_rows(toy, results):
    page = Page(toy.name)
    content = re.search(r"base64,([^\"]+)", page.downloads().data).group(1)
    lines = base64.b64decode(content).decode().splitlines()
    assert len(lines) == len(page.rows) + 1
    assert lines[0].startswith("dataset,model,setting,seed,metric,value")


def test_command_and_provenance_say_how(toy, results):
    page = Page(toy.name)
    assert "mixflow run toy/table-1 --profile smoke" in page.command().data
    assert "torch" in page.provenance().data


SCRIPT = "<script>alert(1)</script>"


def test_what_stored_files_say_is_shown_and_not_obeyed(toy, results):
    for config in toy.experiment.configs("laptop"):
        rows = toy.rows(config).assign(setting=SCRIPT)
        record = {
            "code": {"commit": SCRIPT, "dirty": SCRIPT},
            "packages": {SCRIPT: SCRIPT},
            "seconds": SCRIPT,
            "device": {"name": SCRIPT},
            "torch_threads": SCRIPT,
            "finished": SCRIPT,
            "data": {SCRIPT: SCRIPT},
        }
        results.save(toy.name, config, Result(rows), record)
    page = Page(toy.name)
    shown = [page.source(), page.command(), page.provenance(), page.downloads()]
    assert not [part for part in shown if "<script" in part.data]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.provenance().data
    assert "<script" not in page.rows.style.hide(axis="index").to_html()
    assert "<script" not in verdict_table(results, load_targets()[:3])


@pytest.mark.parametrize("record", [{}, {"code": [], "packages": None, "device": "x", "data": 1}])
def test_a_provenance_that_says_nothing_is_shown_as_that(toy, results, record):
    for config in toy.experiment.configs("laptop"):
        results.save(toy.name, config, Result(toy.rows(config)), record)
    assert "<li><b>code</b>: ? (4 runs)</li>" in Page(toy.name).provenance().data


def test_a_config_of_another_run_is_not_shown(toy, results):
    for config in toy.experiment.configs("laptop"):
        run = execute(toy.experiment, config, results, progress=False)
    rewrite(run.path, "config.json", lambda text: text.replace('"toy"', f'"{SCRIPT}"'))
    with pytest.warns(UserWarning, match="config.json is of another run"):
        assert len(Page(toy.name).runs) == 3


def test_a_page_says_how_much_of_it_is_unpublished(toy, results, tmp_path, monkeypatch):
    monkeypatch.setattr("companion.runs.store.published_root", lambda: tmp_path / "published")
    configs = toy.experiment.configs("laptop")
    for config in configs[:3]:
        execute(toy.experiment, config, Store(tmp_path / "published"), progress=False)
    assert "unpublished" not in Page(toy.name).source().data
    execute(toy.experiment, configs[3], results, progress=False)
    note = f"1 of the 4 runs shown is unpublished, from {tmp_path / 'results'}"
    assert f"(4 runs, seeds 0-1). **{note}.**" in Page(toy.name).source().data
    status = verdicts.status_table(Store()).assign(runs=" ".join(c.digest() for c in configs))
    monkeypatch.setattr("companion.book.verdicts.status_table", lambda *_: status)
    assert verdict_table(Store(), load_targets()).endswith(f"<p><b>{note}.</b></p>")


def test_smoke_runs_of_a_page_go_with_the_process(toy, results, tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from companion.book import page\nprint(page._scratch())"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, root], capture_output=True, text=True, check=True
    )
    assert not Path(done.stdout.strip()).exists()


def test_the_verdict_table_has_a_line_for_every_target(toy, results):
    targets = load_targets()
    again = 2  # flows that were trained on have lines of their own
    assert verdict_table(results, targets).count("<tr") == len(targets) + again + 1
    counted = verdict_counts(results, targets)
    assert int(counted.to_numpy().sum()) == 2 * (len(targets) + again)
    assert set(counted.index.get_level_values("protocol")) == {"as published", "our recipe"}


def test_a_claim_stands_with_its_test_and_what_would_settle_it(toy, results, monkeypatch):
    claim = next(t for t in load_targets() if t.value is None)
    line = {name: getattr(claim, name) for name in KEYS}
    line |= {"kind": "shortfall", "reason": "1 seed", "settles": "3 seeds or more", "seeds": 1}
    line |= {"published": 0.0, "ours": 0.0, "spread": 0.0, "hint": "one seed", "chance": 0.04}
    line |= {"runs": ""}
    both = [{**line, "protocol": p, "verdict": "does not hold"} for p in PROTOCOLS]
    monkeypatch.setattr("companion.book.verdicts.status_table", lambda *_: pd.DataFrame(both))
    shown = verdict_table(results, [claim])
    assert claim.note in html.unescape(shown)
    assert "▼\u00a0does not hold (one seed): shortfall; by luck 0.04" in shown
    assert "It would be settled by 3 seeds or more." in shown


def test_a_page_is_narrowed_to_some_of_its_runs(toy, results):
    page = Page(toy.name)
    narrow = page.of(n_components=2)
    assert {run.config["n_components"] for run in narrow.runs} == {2}
    assert set(narrow.rows["config_n_components"]) == {2}
    assert len(page.runs) > len(narrow.runs)


def test_the_profile_is_shown_of_whose_plan_most_is_there(toy, results, monkeypatch):
    plan = toy.experiment.plan
    toy.experiment = replace(toy.experiment, plan=lambda profile: plan("laptop"))
    monkeypatch.setattr(sys.modules["mixflow_toy"], "EXPERIMENT", toy.experiment)
    for profile, count in (("laptop", 2), ("paper", 1)):
        for config in toy.experiment.configs(profile)[:count]:
            execute(toy.experiment, config, results, progress=False)
    page = Page(toy.name)
    assert (page.profile, len(page.runs)) == ("laptop", 2)
    larger = page.at("paper")
    assert (larger.profile, len(larger.runs)) == ("paper", 1)
    assert set(larger.rows["run"]) == {larger.runs[0].digest}
    assert not page.at("smoke").runs
    execute(toy.experiment, toy.experiment.configs("paper")[1], results, progress=False)
    assert Page(toy.name).profile == "paper"  # as much of it as of laptop's
    execute(toy.experiment, toy.experiment.configs("laptop")[2], results, progress=False)
    assert Page(toy.name).profile == "laptop"


def test_a_page_waits_for_a_run_that_another_process_computes(toy, results, monkeypatch):
    tries = []

    def busy_at_first(*arguments, **how):
        tries.append(arguments)
        if len(tries) == 1:
            raise runner.BusyError
        return execute(*arguments, **how)

    monkeypatch.setattr(runner, "execute", busy_at_first)
    monkeypatch.setattr(runner, "POLL_SECONDS", 0.0)
    assert len(Page(toy.name, "smoke").runs) == 4
    assert len(tries) == 5
