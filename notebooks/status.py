# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Every table and figure: where we stand
#
# Each line is a number or a claim of one of the three papers, under two protocols: **as published**
# and by **our recipe**, which is chosen without test data. Our value, in brackets the number of
# seeds, and the verdict are computed from the stored results when this page was made. A claim
# stands with the test that it is put to, and the chance that it holds by luck. Below each table
# stands what speaks against the paper: a finding, or our own shortfall, and what would settle it.
# How to read a verdict: see [verdicts](../verdicts.md). The same table comes from
# `mixflow status`.

# %% tags=["parameters"]
experiment = None
paper = "all"  # or em-gm, vmonf, gmm-basis

# %% tags=["remove-input"]
from IPython.display import HTML, Markdown, display

from companion.book.contents import PAPERS
from companion.book.verdicts import verdict_counts, verdict_table
from companion.evidence.questions import load_targets
from companion.runs.store import Store

targets = [t for t in load_targets() if paper in ("all", t.paper)]
store = Store()
verdict_counts(store, targets)

# %% tags=["remove-input"]
for name in dict.fromkeys(t.paper for t in targets):
    display(Markdown(f"## {PAPERS[name]}"))
    display(HTML(verdict_table(store, [t for t in targets if t.paper == name])))

# %% [markdown]
# ## Run it again
#
# ```bash
# mixflow status --format csv
# ```
