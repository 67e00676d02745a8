from collections import Counter

import pytest

from companion.em_gm.table_2 import average_or_divide as experiment
from companion.runs.experiment import RunContext
from companion.runs.registry import find


def test_flows_that_divide_run_again_at_the_total_cost_of_flows_apart():
    configs = find("em-gm/average-or-divide").configs("laptop", [{"seed": 0}])
    epochs = Counter(
        (c.dataset, c.n_components, c.n_blocks, c.posterior_temperature, c.epochs) for c in configs
    )
    for dataset, base in experiment.EPOCHS.items():
        for k in experiment.COMPONENTS:
            assert epochs[dataset, k, k, 1.0, base] == 1
            assert epochs[dataset, k, 1, 1.0, base] == 1
            assert epochs[dataset, k, 1, 1.0, k * base] == 1


@pytest.mark.parametrize("blocks", [1, 4])
def test_rows_name_the_way(blocks, tmp_path):
    found = find("em-gm/average-or-divide")
    config = found.configure("smoke", n_components=4, n_blocks=blocks, epochs=2, seed=0)
    rows = found.run(config, RunContext(tmp_path)).rows.set_index("metric")
    assert rows.loc["test_accuracy", "setting"] == f"K=4 blocks={blocks} T=2.0 epochs=2"
    assert 0 < rows.loc["test_accuracy", "value"] <= 1
