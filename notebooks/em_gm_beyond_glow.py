# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Beyond Glow: what a flow of images should know
#
# **What the paper has.** The mixtures of table I {cite}`liu2020emgm` are of Glow
# {cite}`kingma2018glow`: its couplings are convolutions, which do the same wherever in the image
# they look, and they are affine: they shift and scale the pixels' values.
#
# **What the data have.** The images are centred, and were resized from 28 to 32 pixels: it may
# matter where a pixel lies. And pixels gather at black and at white, two spikes as wide as the
# noise. An affine map of a Gaussian is a Gaussian: it can say where a pixel's value lies, and how
# surely, but hardly "black or white". So two things were added, which the paper does not have. A
# training step takes about as long as before (`benchmarks/README.md`), and the density stays exact:
# the slopes of the curves are in the log determinant, so that all numbers here are of the same
# noisy images and can be compared.
#
# - **Positional bias.** The first hidden layer of every coupling has a learned bias at every
#   pixel, zero at the start.
# - **Tone curve.** First of all, the value of every pixel goes through a learned increasing curve,
#   $z = x + \sum_j w_j \tanh((x - c_j) / s_j)$ with positive $w_j$ and $s_j$; a relative of the
#   logit that {cite}`dinh2017realnvp` apply to pixels.
#
# How the models are trained, and what the numbers mean, is on [the page of table
# I](em_gm_table_1).
#
# ## Live: one flow of small digits, with either

# %%
from companion.em_gm.images.data import NOISE, load_images
from mixflow import GenMM

images = load_images("digits")
flow = {"image_shape": (1, 8, 8), "n_layers": 2, "noise": NOISE}
train = {"standardize": False, "max_epochs": 30, "random_state": 0}
bias, curve = {"positional_bias": True}, {"tone_curve": True}
kinds = {"Glow": {}, "with bias": bias, "with curve": curve, "both": bias | curve}
for name, more in kinds.items():
    model = GenMM(**flow, **more, **train).fit(images.train.numpy())
    score = model.score(images.held_out.numpy())
    print(f"{name:10} {score:7.1f} nats a held-out image")

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
experiment = "em-gm/beyond-glow"
profile = "stored"  # stored, smoke, laptop or paper

# %% [markdown]
# ## Results

# %% tags=["remove-input"]
from IPython.display import Markdown, display

from companion.book.display import show
from companion.book.page import Page
from companion.em_gm.images import beyond_summary, compute, mixtures, summary
from companion.em_gm.images.data import FLOOR, SIDE, TITLES
from companion.evidence.questions import load_targets
from companion.figures import em_gm_beyond_glow as figures
from companion.figures.em_gm_images import samples
from companion.runs.registry import find
from mixflow.flows import ToneCurve

page = Page(experiment, profile)
plain = Page("em-gm/table-1", profile).of(model="GenMM", seed=0)
longer = Page("em-gm/long-flow", profile).of(seed=0)
runs = plain.runs + longer.runs + page.runs
display(page.source())
ones = [run for run in runs if run.config["n_components"] == 1]
both = page.of(n_components=1, positional_bias=True, tone_curve=True).runs
best = min(both, key=lambda run: (run.config["dataset"] != "mnist", -run.config["epochs"]))
Markdown(
    "With both: "
    + compute.say_long_flow(best, load_targets(), find("em-gm/table-1").configure("paper"))
)

# %% [markdown]
# ## NLL by epoch, one flow

# %% tags=["remove-input"]
published = {name: values[1] for name, values in summary.published(load_targets()).items()}
show(
    figures.curves(ones, published, FLOOR),
    alt=figures.describe_curves(ones),
    caption="Seed 0; the axis of epochs is logarithmic. Dotted: what the paper reaches.",
)

# %% [markdown]
# ## All K
#
# NLL of the training images, in nat/pixel, by what the flow has:

# %% tags=["remove-input"]
beyond_summary.with_published(beyond_summary.by_kind(runs, "nll_train"), load_targets())

# %% [markdown]
# Of held-out images:

# %% tags=["remove-input"]
display(beyond_summary.by_kind(runs, "nll_held_out"))
Markdown(beyond_summary.say_outliers(runs))

# %% [markdown]
# Fréchet distance of samples from real images (features of a network trained on the same data; less
# is better):

# %% tags=["remove-input"]
beyond_summary.by_kind(runs, "FID", digits=2)

# %% [markdown]
# What mixtures gain over one flow of the same kind at equal epochs, on training images (in brackets
# on held-out ones), in nat/pixel; seed 0:

# %% tags=["remove-input"]
Markdown(beyond_summary.say_gains(runs))

# %% [markdown]
# ## Samples of one flow

# %% tags=["remove-input"]
for dataset in dict.fromkeys(run.config["dataset"] for run in ones):
    drawn = {
        f"{beyond_summary.kind(r.config)}, {compute.epochs_of(r.config)} epochs": r.arrays[
            "samples"
        ]
        for r in ones
        if r.config["dataset"] == dataset and "samples" in r.arrays
    }
    show(
        samples(drawn),
        alt=f"{TITLES[dataset]}: samples of one flow. {', '.join(drawn)}.",
        caption=f"{TITLES[dataset]}: the first samples of each, not chosen.",
    )

# %% [markdown]
# ## Position, or the grid of the resizing?
#
# The images were resized from 28 to 32 pixels, by bilinear interpolation whose weights return every
# eight pixels. A flow that knows the position knows the grid, and can say a pixel that follows from
# its neighbours; couplings that do the same everywhere can not. So what the positional bias gains
# may be the resizing, not the digits. One flow of each kind, on resized images and on the same with
# a black border of two pixels instead (NLL in nat/pixel; in brackets: gained over Glow):

# %% tags=["remove-input"]
resizing = Page("em-gm/resizing", profile)
display(Markdown(beyond_summary.say_resizing(resizing.rows, SIDE**2)))
beyond_summary.by_resizing(resizing.rows)

# %% [markdown]
# Where padded images keep an addition's gain, it is about the images themselves: inside the border
# every pixel is as the data set has it.
#
# ## What the curves learned
#
# If the grid of the resizing matters, its period of eight pixels should show in the curves, too:
# where a pixel falls on one of the file's, it is as often quite black as that one; between, less.

# %% tags=["remove-input"]
mixture = mixtures.rebuilt(best)
(curve,) = (part for part in mixture.modules() if isinstance(part, ToneCurve))
side = curve.event_shape[0]
pixels = {"corner": (1, 1), "edge": (side // 2, side // 8), "middle": (side // 2, side // 2)}
show(
    figures.tones(curve, pixels),
    alt="Left: the learned curves of three pixels, bent value against value. Right: an image of "
    "the curves' slope at black, on a logarithmic scale.",
    caption="Left: curves of three pixels, scaled so that black is 0 and white 1. Right: how much "
    "every pixel's curve stretches the values about black, that is, the noise on a black pixel.",
)

# %% [markdown]
# ## How the two were chosen
#
# By short trainings of one flow on table I's MNIST images, seed 0, of which both the training and
# the held-out NLL were looked at: held-out numbers here are of images that had a say in the choice.
# Tried besides: normalisations that differ by position (no gain beside the bias), one curve for all
# pixels (better than none, worse than one for each) and a higher learning rate (worse).
#
# ## Provenance

# %% tags=["remove-input"]
page.provenance()

# %% [markdown]
# ## Run it again
#
# ```bash
# mixflow run em-gm/beyond-glow --profile laptop
# mixflow run em-gm/resizing --profile laptop
# mixflow run em-gm/beyond-glow --profile laptop -p dataset=mnist -p n_components=3 --seeds 1
# mixflow run em-gm/table-1 --profile laptop -p tone_curve=true -p n_components=1 --seeds 3
# mixflow notebook em_gm_beyond_glow -p profile=smoke
# ```

# %% tags=["remove-input"]
page.downloads()
