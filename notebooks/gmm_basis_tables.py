# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tables 1 to 3: how close, against what, and how to be closer
#
# **What the paper claims.** On random targets (8 normals; 8 components that are normal, t or
# uniform) both algorithms of Lu et al. {cite}`lu2023gmm` reach losses $L$ of a few hundredths from
# N = 5000 points with n = 200 Gaussians; $\sigma$ matters (tables 1 and 2), and so does n (table
# 3). The paper shows no other estimator. Here they stand beside it on the same targets, with the
# time of a fit: kernel density estimates {cite}`scott1992multivariate,silverman1986density`,
# Gaussian mixtures by EM {cite}`dempster1977em`, a histogram, and least squares and maximum
# likelihood on the paper's own basis. And there is a better rule on that basis for a fraction of a
# millisecond more.
#
# ## The model
#
# [Another page](gmm_basis_algorithms) says what the algorithms are. The improved rule, live:

# %%
from mixflow import BasisDensity
from mixflow.datasets.univariate import random_mixture

for family in ("gaussians", "mixed"):
    target = random_mixture(family, 0)
    X = target.sample(5000, 1)[:, None]
    for name, model in {
        "algorithm 2, sigma = 2r": BasisDensity(200, sigma=2.0),
        "improved rule": BasisDensity(200, sigma="isj", em_steps=1),
    }.items():
        print(f"{family}, {name}: L = {model.fit(X).loss(target.cdf)[0]:.4f}")

# %% [markdown]
# Its bandwidth is 1.4 times the improved Sheather-Jones bandwidth {cite}`botev2010diffusion`,
# found from the counts alone for every feature, and one EM step on the weights takes back most of
# what the wider Gaussians blur. The factor and the number of steps were chosen on targets of other
# seeds.
#
# ## Parameters

# %% tags=["parameters"]
experiment = "gmm-basis/table-1"
profile = "stored"  # stored, smoke, laptop or paper

# %% [markdown]
# ## Results

# %% tags=["remove-input"]
import pandas as pd
from IPython.display import HTML, Markdown, display

from companion.book.display import show
from companion.book.page import Page
from companion.evidence.questions import load_targets
from companion.figures import basis as pictures
from companion.figures.basis_tables import (
    comparison,
    keys_of,
    mean_table,
    paired,
    published_sampling,
)
from companion.gmm_basis.table_1 import IMPROVED

page = Page(experiment, profile)
pages = {
    "table-1": page,
    "table-2": Page("gmm-basis/table-2", profile),
    "table-3": Page("gmm-basis/table-3", profile),
}
names = {"table-1": "8 normals (table 1)", "table-2": "normals, t and uniforms (table 2)"}
published = [t for t in load_targets() if t.paper == "gmm-basis" and t.value is not None]
per_run = page.runs[0].config["n_targets"]
for part in pages.values():
    display(part.source())

# %% tags=["remove-input"]
display(
    Markdown(
        f"A seed is a batch of {per_run} fresh random targets, and every cell of a table is "
        f"learned on each of them: {per_run * len(page.runs)} targets in all. ± is the standard "
        "deviation between the means of the batches."
    )
)
pages["table-1"].verdicts("table-1")

# %% tags=["remove-input"]
pages["table-2"].verdicts("table-2")

# %% tags=["remove-input"]
pages["table-3"].verdicts("table-3")

# %% [markdown]
# A word on *better*: the paper's random targets are not published, and ours come from families
# whose parameters were chosen to give its averages. Where we are a little better or worse, the
# targets are a little easier or harder: the algorithm is the same. What can be asked is whether the
# few targets that the paper averaged explain the distance.
#
# ## Do few experiments explain the differences?
#
# The published values are means over 20 targets (tables 1 and 2) or 30 (table 3; its caption says
# 25). From our losses we draw means of as many targets: the range holds 95 % of them, and the last
# column says how many are as far from our mean as the published value.

# %% tags=["remove-input"]
sampled = pd.concat(
    {
        item: published_sampling(
            pages[item].runs,
            [t for t in published if t.item == item],
            30 if item == "table-3" else 20,
        )
        for item in pages
    },
    names=["table"],
).reset_index(level="table")
shown = pd.DataFrame(
    {
        "table": sampled["table"],
        "model": sampled["model"],
        "setting": sampled["setting"],
        "paper": sampled["paper"].map("{:.4f}".format),
        "ours": sampled["ours"].map("{:.4f}".format),
        "difference": sampled["difference"].map("{:+.1%}".format),
        "95 % range of such means": [
            f"{low:.4f} to {high:.4f}" for low, high in sampled[["low", "high"]].to_numpy()
        ],
        "as far by chance": sampled["share"].map("{:.2%}".format),
    }
)
HTML(shown.to_html(index=False, border=0))

# %% tags=["remove-input"]
cells = len(sampled)
odd = sampled[sampled["share"] < 0.05 / cells]
text = (
    f"Of the {cells} published cells {int((sampled['share'] < 0.05).sum())} are outside the range; "
    f"{0.05 * cells:.1f} would be expected by chance alone if every cell had targets of its own. "
)
text += (
    f"With an allowance for asking {cells} times, these remain: "
    + "; ".join(f"{row.setting} ({row.paper:.4f}, ours {row.ours:.4f})" for row in odd.itertuples())
    + "."
    if len(odd)
    else "With an allowance for asking so often, none remains."
)
display(Markdown(text))


# %% tags=["remove-input"]
def of_table_3(model, sigma):
    losses = mean_table(pages["table-3"].rows, model)
    return {
        f"N = {n_samples}": {
            n: losses[f"sigma={sigma} n={n} N={n_samples}"]
            for n in (10, 30, 50, 100, 200, 500, 1000)
        }
        for n_samples in (20000, 50000)
    }


fixed, ours, cut = of_table_3("algorithm-2", "3r"), of_table_3("improved rule", IMPROVED), {}
for size, values in fixed.items():
    cut[f"algorithm 2, sigma = 3r, {size}"] = values
    cut[f"improved rule, {size}"] = ours[size]
    cut[f"paper, {size}"] = {
        int(t.setting.split()[1].removeprefix("n=")): t.value
        for t in published
        if t.item == "table-3" and t.setting.endswith(size.replace(" = ", "="))
    }
by_n = pd.DataFrame(cut)
rate = (fixed["N = 20000"][1000] / fixed["N = 50000"][1000], (50000 / 20000) ** 0.5)
show(
    pictures.series(by_n, x="n, number of Gaussians", y="L"),
    alt=(
        "L against n. Algorithm 2 with sigma = 3r, N = 20000, falls from "
        f"{fixed['N = 20000'][10]:.4f} at n = 10 to {min(fixed['N = 20000'].values()):.4f} and "
        "rises again. The improved rule is flat from n = 100 on, at "
        f"{by_n.loc[200, 'improved rule, N = 20000']:.4f} (N = 20000) and "
        f"{by_n.loc[200, 'improved rule, N = 50000']:.4f} (N = 50000)."
    ),
    caption="Table 3: with sigma tied to r, n is a bandwidth in disguise.",
)
display(
    Markdown(
        "With sigma = 3r, n sets the bandwidth: too few Gaussians blur, too many follow the "
        "noise. Where noise rules, L must shrink with the root of N: from N = 20000 to 50000 by "
        f"{rate[1]:.2f}; at n = 1000 ours shrinks by {rate[0]:.2f}, the published values by "
        f"{cut['paper, N = 20000'][1000] / cut['paper, N = 50000'][1000]:.2f}. That is why the "
        "published cell n = 1000, N = 20000 does not fit its neighbours. The improved rule takes "
        "the bandwidth from the data, and n no longer matters once it is large enough."
    )
)

# %% [markdown]
# ## Beside other estimators
#
# The same targets, the same loss. The estimators that are fitted one target at a time get the first
# targets of every batch (column *targets*); those on the basis are learned for a whole batch at
# once, and their time is the batch's, divided. One thread.

# %% tags=["remove-input"]
tables = {
    names[item]: comparison(pages[item].runs, keys_of(pages[item].runs))
    for item in ("table-1", "table-2")
}
for name, table in tables.items():
    display(Markdown(f"**{name}**"))
    digits = {"L": "{:.4f}".format, "standard error": "{:.4f}".format, "ms": "{:,.3g}".format}
    display(HTML(table.to_html(index=False, border=0, formatters=digits)))

# %% tags=["remove-input"]
best = {
    name: table.groupby("method", sort=False).first().reset_index()
    for name, table in tables.items()
}
em = {name: t.set_index(["method", "setting"]) for name, t in tables.items()}
show(
    pictures.loss_against_time(tables),
    alt="L against the time of a fit, logarithmic, for both families. "
    + " ".join(
        f"{name}: "
        + ", ".join(f"{r.method} {r.L:.4f} in {r.ms:.3g} ms" for r in t.itertuples())
        + "."
        for name, t in best.items()
    ),
    caption="Down and left is better. A method's points are its settings.",
)

# %% tags=["remove-input"]
rows = {}
for name, table in em.items():
    a, b = table.loc[("improved rule", f"sigma={IMPROVED}")], table.loc[("EM-GMM", "k=8")]
    bic = table.loc[("EM-GMM", "k by BIC"), "L"]
    rows[name] = (
        f"On {name} the improved rule has L = {a['L']:.4f} in {a['ms']:.2g} ms a target; "
        f"scikit-learn's EM with the true number of components {b['L']:.4f} in {b['ms']:.3g} ms; "
        f"with the number chosen by BIC {bic:.4f}; the best kernel estimate "
        f"{table.loc['KDE', 'L'].min():.4f}."
    )
display(Markdown("\n\n".join(rows.values())))

# %% [markdown]
# Maximum likelihood and least squares on the paper's basis are worse than one pass: the weights
# then follow the noise, which the fixed narrow Gaussians cannot smooth away.
#
# ## The improved rule against the paper's best cell
#
# Target by target, against the algorithm and the $\sigma$ that turn out best on these very targets
# (in the paper's favour), and against algorithm 1 as it is printed:

# %% tags=["remove-input"]
rule = ("improved rule", f"sigma={IMPROVED} n=200 N=5000")
rivals = {
    "the tables' cells": ["algorithm-1", "algorithm-2"],
    "algorithm 1 as printed": ["algorithm-1, as printed"],
}
tests = {
    (names[item], rival): paired(pages[item].runs, rule, models)
    for item in ("table-1", "table-2")
    for rival, models in rivals.items()
}
pd.DataFrame(
    {
        name: {
            "the best": f"{t['best'][0]}, {t['best'][1].split()[0]}",
            "its L": f"{t['paper'].mean():.4f}",
            "L of the improved rule": f"{t['ours'].mean():.4f}",
            "mean difference": f"{t['gain']:.4f} ± {t['error']:.4f} (standard error)",
            "paired t": f"{t['t']:.1f}",
            "p (t test)": f"{t['p']:.1e}",
            "p (Wilcoxon)": f"{t['wilcoxon_p']:.1e}",
            "targets where it is better": f"{t['better']:.1%} of {len(t['ours'])}",
        }
        for name, t in tests.items()
    }
)

# %% tags=["remove-input"]
shown = {key: t for key, t in tests.items() if key[1] == "the tables' cells"}
show(
    pictures.gains({name: (t["paper"], t["ours"]) for (name, _), t in shown.items()}),
    alt="L of the improved rule against L of the paper's best cell, a point per target. "
    + " ".join(
        f"{n}: {t['better']:.0%} of the points lie below the diagonal."
        for (n, _), t in shown.items()
    ),
    caption="Below the diagonal the improved rule is better.",
)

# %% [markdown]
# On the mixed family the Sheather-Jones bandwidth alone is a little better still: at an edge the EM
# step overshoots. A prototype took two steps; one is at least as good on both families (both are in
# the tables above).
#
# ## What differs from the paper, and why
#
# - The parameters of the random targets are ours; see [the algorithms](gmm_basis_algorithms).
# - *algorithm-1* learns with Gaussians of $0.5r$, which gives the published numbers; *as printed*
#   it learns with the mixture's own and gives others.
# - scikit-learn's EM stops at a change of the mean log-likelihood of 1e-5, not at its default of
#   1e-3, which is far from the maximum here; BIC compares fits at 1e-4, and stops after two rises.
# - Scott's and Silverman's rules suit one bump; the targets have several.
#
# ## Provenance

# %% tags=["remove-input"]
for part in pages.values():
    display(part.provenance())

# %% [markdown]
# ## Run it again
#
# ```bash
# mixflow run gmm-basis/table-1 --profile laptop
# mixflow run gmm-basis/table-2 --profile laptop
# mixflow run gmm-basis/table-3 --profile laptop
# mixflow notebook gmm_basis_tables -p profile=smoke
# ```

# %% tags=["remove-input"]
for part in pages.values():
    display(part.downloads())
