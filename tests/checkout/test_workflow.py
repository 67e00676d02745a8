"""The workflow's profiles: what a job of each rule may take, as Snakemake resolves it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROFILES = sorted(path.parent.name for path in ROOT.glob("workflow/profiles/*/config.yaml"))
JOB = re.compile(
    r"^rule (?P<rule>\w+):\n(?:    .*\n)*?    output: (?P<output>\S+).*\n(?P<rest>(?:    .*\n)*)",
    re.M,
)
# Minutes and MB of a run.
LIMITS = {"smoke": (30, 4000), "laptop": (240, 8000), "paper": (1440, 32000)}
THREADS = {"local": 1, "slurm": 8}


def snakemake(profile, *arguments):
    command = [sys.executable, "-m", "snakemake"]
    command += ["--workflow-profile", ROOT / "workflow" / "profiles" / profile, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dry_run(profile, *targets, config):
    """Return the resources of each job by its output, numbers where they are."""
    options = ["--dry-run", "--forceall", "--nolock", "--quiet", "host", "--cores", "8"]
    text = snakemake(profile, *targets, *options, "--config", *config)
    jobs = {}
    for match in JOB.finditer(text):
        found = dict(re.findall(r"(?:^    |[ ,])(\w+)(?:=|: )(\d+)\b", match["rest"], flags=re.M))
        jobs[match["output"]] = {name: int(value) for name, value in found.items()}
    return jobs


def run_of(profile):
    return f"_build/runs/{profile}/em-gm/table-1/0123456789ab.done"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_run_gets_the_time_the_memory_and_the_gpu_that_it_needs(profile, device):
    jobs = dry_run(profile, *map(run_of, LIMITS), config=[f"device={device}"])
    for name, (minutes, megabytes) in LIMITS.items():
        job = jobs[run_of(name)]
        assert (job["runtime"], job["mem_mb"], job["gpu"]) == (minutes, megabytes, device == "cuda")
        assert job.get("threads", 1) == THREADS[profile]


def test_on_a_cluster_a_page_has_limits_too():
    page = "book/executed/status.ipynb"
    job = dry_run("slurm", page, config=["pages=book/executed"])[page]
    assert (job["runtime"], job["mem_mb"]) == (120, 8000)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_rule_that_a_profile_names_is_one_of_the_workflow(profile):
    rules = set(snakemake(profile, "--list-rules").split())
    assert {"all", "notebook", "book", "run"} <= rules
    settings = yaml.safe_load((ROOT / "workflow/profiles" / profile / "config.yaml").read_text())
    per_rule = ("set-threads", "set-resources", "set-scatter", "groups")
    named = [rule for key in per_rule for rule in settings.get(key, ())]
    assert set(named) <= rules
