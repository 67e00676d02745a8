# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # VMoNF in the plane: wings and rings
#
# **What the paper claims.** Pires and Figueiredo {cite}`pires2020vmonf` train K flows and a network
# $q(c \mid x)$ together on the evidence lower bound,
#
# $$\begin{aligned}
# \mathrm{ELBO} &= \sum_{c=1}^K q(c \mid x)\,\bigl[\log p(x \mid c) + \log \pi_c
# - \log q(c \mid x)\bigr] \\
# &= \log p(x) - \mathrm{KL}\bigl(q(c \mid x)\,\|\,p(c \mid x)\bigr),
# \end{aligned}$$
#
# and show in pictures that each component takes one wing of a pinwheel
# {cite}`johnson2016pinwheel`, without labels, and one of two rings, with 32 labels. The paper
# prints no numbers and one run of each. We ask the same of many seeds: how often does it work, how
# close does the density come to the true one, and how loose is the bound?
#
# ## Live: three wings
#
# `VMoNF` is an estimator like scikit-learn's. `y` may hold a component for some samples and -1 for
# the others; here it knows none.

# %%
from mixflow import VMoNF
from mixflow.datasets import pinwheel

X, wing = pinwheel(512, n_wings=3, rate=0.25, random_state=7)
model = VMoNF(3, n_layers=4, max_epochs=40, random_state=7).fit(X)
q = model.predict_proba(X)  # the network's posterior, (N, K)
print(f"ELBO {model.elbo(X).mean():.3f}, log p(x) {model.score(X):.3f} nats")
print(f"mean of the largest q: {q.max(1).mean():.4f}")

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
experiment = "vmonf/pinwheel-5"
profile = "stored"  # stored, smoke, laptop or paper

# %% tags=["remove-input"]
import numpy as np

from companion import figures
from companion.book.display import show
from companion.book.page import Page
from companion.figures.player import show_animation
from companion.vmonf.summary import recipes, separation


def kept(page, model="VMoNF"):
    """The run of a model that stored its pictures; None where there is none."""
    return next((r for r in page.runs if r.config["keep"] and r.config["model"] == model), None)


def pictures(page, model="VMoNF", title=""):
    """Data and posterior, then samples, as in the paper's figures."""
    run = kept(page, model)
    if run is None:
        return
    a, seed = run.arrays, run.config["seed"]
    accuracy = page.rows.query("run == @run.digest and metric == 'accuracy'")["value"].iloc[0]
    shown = (
        np.where(a["labels"] >= 0, a["classes"], -1) if (a["labels"] >= 0).any() else a["classes"]
    )
    show(
        figures.data_and_posterior(
            a["data"], shown, a["posterior"], lines=(a["grid_x"], a["grid_y"])
        ),
        alt=f"{title}, {model}, seed {seed}. Left, {len(a['data'])} samples by class. Right, the "
        f"plane coloured by the component that q(c | x) prefers; accuracy {accuracy:.4f}.",
        caption=f"{title}, {model}: data, and the network's posterior (seed {seed}).",
    )
    k = len(a["samples"])
    component = np.repeat(np.arange(k), a["samples"].shape[1])
    show(
        figures.samples_by_component(a["samples"].reshape(-1, 2), component, around=a["data"]),
        alt=f"{title}, {model}: {a['samples'].shape[1]} samples of each of the {k} components, "
        f"weights {', '.join(f'{w:.3f}' for w in a['weights'])}.",
        caption="Samples of every component.",
    )


def successes(page, target, title):
    table = recipes(page.rows)
    good = table.assign(good=table["accuracy"] >= target).groupby("recipe", sort=False)["good"]
    show(
        figures.success_over_seeds(table, target=target),
        alt=f"{title}: accuracy of every seed by recipe; at least {target:g} in "
        + ", ".join(f"{int(g.sum())} of {len(g)} ({name})" for name, g in good)
        + ".",
        caption=f"{title}: every dot is a seed; the line is the target of {target:g}.",
    )


# %% [markdown]
# ## Five wings

# %% tags=["remove-input"]
five = Page(experiment, profile)
five.source()

# %% tags=["remove-input"]
pictures(five, title="Five wings")

# %% [markdown]
# The paper's picture is one run. Below, a dot per seed: our recipe, the same with q's temperature
# annealed, the published recipe (random start, Adam at 0.001, $T = e^{-t/1000}$) with and without
# annealing, one flow as large as all K together, and three clusterings of scikit-learn.

# %% tags=["remove-input"]
successes(five, 0.985, "Five wings")

# %% tags=["remove-input"]
separation(five.rows, 0.985)

# %% [markdown]
# *Accuracy* is under the best matching of components and wings, on 10,000 fresh samples (spectral
# clustering and HDBSCAN: on training samples, since they label no others; the former sees 2000).
# *Cut / shared / dead* counts runs in which a wing is divided, a component takes two wings, or a
# component is empty. The true log p is that of the generator, whose density we know exactly.

# %% tags=["remove-input"]
five.verdicts("pinwheel-5")

# %% [markdown]
# ## Three wings, and the training as an animation

# %% tags=["remove-input"]
three = Page("vmonf/pinwheel-3", profile)
three.source()


# %% tags=["remove-input"]
def animation(page, model, title):
    run = kept(page, model)
    if run is None:
        return
    a = run.arrays
    steps_per_epoch = max(1, round(len(a["data"]) / run.config["batch_size"]))
    show_animation(
        a["frame_maps"],
        a["frame_samples"],
        a["frame_components"],
        a["curve_epoch"].astype(int) * steps_per_epoch,
        (a["frame_x"], a["frame_y"]),
        elbo=a["curve_test_elbo"],
        accuracy=a["curve_accuracy"],
        alt=f"{title}: posterior regions and samples of each component while {model} trains; "
        f"accuracy {a['curve_accuracy'][0]:.3f} in the first frame, "
        f"{a['curve_accuracy'][-1]:.3f} in the last, ELBO {a['curve_test_elbo'][0]:.2f} and "
        f"{a['curve_test_elbo'][-1]:.2f} nats.",
        caption=f"{title}, {model}, seed {run.config['seed']}: drag the slider or press play.",
    )


animation(three, "VMoNF", "Three wings")

# %% [markdown]
# The published recipe starts from nothing, so its animation shows more of the search:

# %% tags=["remove-input"]
animation(three, "VMoNF as published", "Three wings")

# %% tags=["remove-input"]
successes(three, 0.99, "Three wings")

# %% tags=["remove-input"]
separation(three.rows, 0.99)

# %% tags=["remove-input"]
three.verdicts("pinwheel-3")

# %% [markdown]
# ## Two rings without labels
#
# The paper shows that without labels the mixture need not cut between the rings.

# %% tags=["remove-input"]
rings = Page("vmonf/circles", profile)
rings.source()

# %% tags=["remove-input"]
pictures(rings, title="Two rings, no labels")

# %% tags=["remove-input"]
successes(rings, 0.99, "Two rings, no labels")

# %% tags=["remove-input"]
separation(rings.rows, 0.99)

# %% tags=["remove-input"]
rings.verdicts("circles")

# %% tags=["remove-input"]
from IPython.display import Markdown

from companion.vmonf.summary import wide

ends = wide(rings.rows)
started = ends[ends["setting"].str.contains("spectral")]
lines = [
    f"{model} from spectral clusters: at least 0.99 in {int((runs['accuracy'] >= 0.99).sum())} of "
    f"{len(runs)} seeds (mean {runs['accuracy'].mean():.4f})."
    for model, runs in started.groupby("model", sort=False)
]
clusters = ends[ends["model"] == "spectral clustering"]["accuracy"]
if len(started) and len(clusters):
    lines.insert(
        0,
        "**Does the bound keep rings that it is given?** Spectral clustering of the samples finds "
        f"the rings in {int((clusters >= 0.99).sum())} of {len(clusters)} seeds; VMoNF may start "
        "from what it finds.",
    )
Markdown(" ".join(lines))

# %% [markdown]
# ## Two rings with 32 labels
#
# 16 labels on each ring and 1024 unlabelled samples.

# %% tags=["remove-input"]
semi = Page("vmonf/circles-semi", profile)
semi.source()

# %% tags=["remove-input"]
pictures(semi, title="Two rings, 32 labels")

# %% tags=["remove-input"]
successes(semi, 0.99, "Two rings, 32 labels")

# %% tags=["remove-input"]
separation(semi.rows, 0.99)

# %% tags=["remove-input"]
semi.verdicts("circles-semi")

# %% [markdown]
# ## What the numbers say

# %% tags=["remove-input"]
from IPython.display import display

from companion.runs.weights import unpack
from companion.vmonf.sets import draw
from mixflow.metrics import integral_2d

pages = {"five wings": (five, 0.985), "three wings": (three, 0.99), "32 labels": (semi, 0.99)}


def rate(page, target, model):
    runs = wide(page.rows)
    runs = runs[runs["model"] == model]
    return f"{int((runs['accuracy'] >= target).sum())} of {len(runs)}" if len(runs) else "not run"


lines = [
    f"- **{name}** (accuracy at least {target:g}): our recipe {rate(page, target, 'VMoNF')} seeds, "
    f"annealed {rate(page, target, 'VMoNF annealed')}; as published "
    f"{rate(page, target, 'VMoNF as published')}, without annealing "
    f"{rate(page, target, 'VMoNF as published, T = 1')}."
    for name, (page, target) in pages.items()
]
table = wide(five.rows)
ours = table[table["model"] == "VMoNF"]
one = table[table["model"] == "single flow"]
lines.append(
    f"- **Is it the true density?** On five wings the held-out log p(x) of our recipe lies "
    f"{ours['nats_below_true'].mean():.3f} nats below the true density's (mean of {len(ours)} "
    f"seeds; the farthest {ours['nats_below_true'].max():.3f})"
    + (
        "; that of one flow with as many couplings as all five have, "
        f"{one['nats_below_true'].median():.3f} (median)."
        if len(one)
        else "."
    )
)
integrals = np.concatenate(
    [wide(page.rows)["integral"].dropna() for page in (five, three, rings, semi)]
)
misses = np.abs(integrals - 1)
lines.append(
    f"- **Is it a density?** The integral over the plane misses 1 by more than 0.001 in "
    f"{int((misses > 1e-3).sum())} of {len(misses)} fits of all models above, at most by "
    f"{misses.max():.4f}. The grid's 400 x 400 cells are divided where mass is, until the integral "
    "settles; runs from before that rule were kept where a plain grid gave 1 within 0.001, and "
    "made again where it did not."
)
run = kept(five)
if run is not None:
    stored = unpack(run.arrays["model"])
    total = integral_2d(stored.score_samples, run.arrays["data"])
    lines[-1] += f" The stored model of seed {run.config['seed']} gives {total:.5f} again here."
run = kept(three)
if run is not None:
    stored = unpack(run.arrays["model"])
    fresh = draw("pinwheel-3", run.config["seed"]).x_test
    gap = np.sort(stored.gap(fresh))[::-1]
    few = len(gap) // 100
    lines.append(
        f"- **How loose is the bound?** Of the stored model on three wings, asked again here: mean "
        f"gap {gap.mean():.4f} nats, median {np.median(gap):.1e}; the loosest hundredth of the "
        f"samples makes {gap[:few].sum() / gap.sum():.0%} of it. Where a sample lies far from all "
        "wings, log densities differ by hundreds of nats, and a q that is wrong by a hair pays."
    )
display(Markdown("\n".join(lines)))

# %% [markdown]
# The start decides. Flows that begin at random divide the wings before they know their shapes, and
# the bound has no way back from a wing cut in two: giving half a wing up costs more than keeping
# it. k-means cuts the tips of the wings off wrongly, but it gives each wing one owner, and the ELBO
# mends the tips. For rings k-means is the wrong start (it halves them) and labels spread along
# neighbours are the right one. Annealing q's temperature is secondary: compare the rows above.
#
# ## What differs from the paper, and why
#
# **As published**: RealNVP {cite}`dinh2017realnvp` flows of 4 couplings with reversed order between
# them, one hidden layer of 16 (two of 8 on rings), a network q with one hidden layer of 16 (two on
# rings), Adam at 0.001, batches of 128, uniform weights, $T = e^{-t/1000}$, a random start. What
# the paper leaves open and what we took: epochs on pinwheels (until T reaches 0.01), tanh in q,
# a bounded scale in the couplings, and a first affine layer that whitens the data. The released
# code's cross-entropy of labelled samples has the wrong sign; ours has the right one.
#
# **Our recipe**, chosen on seeds 0 to 3 and measured on seeds from 100 on: k-means (ten starts)
# gives every flow its first samples; for a tenth of the steps flows and q learn from these, then
# they climb the ELBO at T = 1 with learned weights. Two hidden layers, a learning rate of 0.01 with
# warm-up and cosine decay. With labels: label spreading instead of k-means, noise of sd 0.05 on the
# samples, and a labelled sample weighs as much as an unlabelled one in the density.
#
# Test samples are fresh draws; the sets themselves are drawn anew for every seed.
#
# ## Provenance

# %% tags=["remove-input"]
for page in (five, three, rings, semi):
    display(Markdown(f"**{page.experiment.name}**"))
    display(page.provenance(), page.downloads())

# %% [markdown]
# ## Run it again
#
# ```bash
# mixflow run vmonf/pinwheel-5 --profile laptop
# mixflow run vmonf/circles-semi --profile laptop -p model=VMoNF -p noise=0.1 --seeds 0-4
# mixflow notebook vmonf_plane -p profile=smoke
# ```
