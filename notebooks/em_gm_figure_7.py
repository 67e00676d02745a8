# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Between two images: whose generator decodes?
#
# **What the paper claims.** Liu et al. {cite}`liu2020emgm` code two images, each by its likeliest
# component, walk along the line between the codes, and decode (figure 7). With the generator of the
# first image for half of the way and that of the last for the rest, images change smoothly from one
# to the other and stay what the ends are (7a, 7c). With a generator drawn from the weights $\pi$
# for each image unexpected digits appear (7b): each generator models a subset of the data. LatMM,
# whose components share one flow, needs no such rule (7d to 7f). The paper shows pictures and no
# numbers.
#
# **What we ask.** A network that was trained to classify the data reads every image on the way: is
# it of the class of one of the ends, and of the nearer one? A mean of the two images, pixel by
# pixel, stands beside the models: it knows nothing of the data.
#
# ## Live: from a 0 to a 1, through two flows

# %%
import matplotlib.pyplot as plt
import torch

from companion.book.display import show
from companion.em_gm.images.data import NOISE, load_images
from mixflow import GenMM

images = load_images("digits")
model = GenMM(
    n_components=2, image_shape=(1, 8, 8), n_layers=2, max_epochs=8, noise=NOISE,
    standardize=False, random_state=0,
)  # fmt: skip
mixture = model.fit(images.train.numpy()).mixture_
first, last = (images.held_out[images.y_held_out == digit][:1] for digit in (0, 1))
k_first, k_last = mixture.predict(first), mixture.predict(last)
z_first, z_last = mixture.encode(first, k_first), mixture.encode(last, k_last)
way = [
    mixture.decode((1 - a) * z_first + a * z_last, k_first if a < 0.5 else k_last)[0, 0]
    for a in torch.linspace(0, 1, 9)
]
fig, axes = plt.subplots(figsize=(8, 1.1))
axes.imshow(torch.cat(way, dim=1), cmap="gray_r", vmin=-0.5, vmax=0.5)
axes.set_axis_off()
show(fig, alt="Nine images in a row that change from a held-out 0 to a held-out 1.")

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
experiment = "em-gm/interpolation"
profile = "stored"  # stored, smoke, laptop or paper

# %% [markdown]
# ## Results

# %% tags=["remove-input"]
from IPython.display import Markdown, display

from companion.book.page import Page
from companion.em_gm.images.interpolation import PIXELS, SHARED
from companion.em_gm.images.walks import DRAWN, ENDS
from companion.figures import em_gm_interpolation as figures
from companion.figures.player import slider

page = Page(experiment, profile)
runs = sorted(page.runs, key=lambda r: (r.config["seed"], r.config["model"]))
config = page.runs[0].config
# Model, K and rule -> the figure; LatMM's three examples are three sets of pairs.
FIGURES = {("GenMM", 7, ENDS): "7a", ("GenMM", 7, DRAWN): "7b", ("GenMM", 9, ENDS): "7c"}
panels, sources = {}, {}
for run in runs:
    of = run.config["model"], run.config["n_components"]
    for rule in (ENDS, DRAWN):
        if (*of, rule) in FIGURES:
            sources.setdefault(FIGURES[*of, rule], (run, rule))
    if of == ("LatMM", 9) and run.config["seed"] < 3:
        sources["7" + "def"[run.config["seed"]]] = run, SHARED
for figure, (run, rule) in sorted(sources.items()):
    title = f"{figure}: {run.config['model']}, K = {run.config['n_components']}, {rule}"
    panels[title] = figures.Walks.of(run, rule)
display(page.source())
page.verdicts("figure-7a", "figure-7b", "figure-7c", "figure-7d-f")

# %% [markdown]
# ## Figure 7

# %% tags=["remove-input"]
titles = list(panels)
for start in range(0, len(titles), 2):
    shown = {title: panels[title] for title in titles[start : start + 2]}
    strangers = [
        f"{title}: {1 - (walks.classes[:, :, None] == walks.ends[:, None]).any(2).mean():.0%}"
        for title, walks in shown.items()
    ]
    show(
        figures.walks(shown),
        alt="Columns of images that change from one image to another, alpha from top to bottom. "
        f"Share of those shown that are read as neither end's class: {'; '.join(strangers)}.",
        caption="Framed, with the class in the corner: read as neither end's class. The first "
        "pairs drawn, not chosen.",
    )

# %% [markdown]
# Move along $\alpha$; the last row is the mean of pixels.

# %% tags=["remove-input"]
alphas = runs[0].arrays["alpha"]
slider(
    figures.frames({**panels, "mean of the pixels": figures.Walks.of(runs[0], PIXELS)}),
    [f"alpha = {a:.2g}" for a in alphas],
    alt="The same images, one value of alpha at a time, the figures below each other; the last "
    "picture shows the decoded last images.",
    caption="Framed: read as neither end's class.",
    seconds=0.6,
)

# %% [markdown]
# ## What the network sees

# %% tags=["remove-input"]
by = {}
for run in runs:
    for rule in (SHARED,) if run.config["model"] == "LatMM" else (ENDS, DRAWN):
        name = f"{run.config['model']}, K = {run.config['n_components']}, {rule}"
        by.setdefault((name, rule), []).append(run)
by[PIXELS, PIXELS] = list({run.config["seed"]: run for run in runs}.values())
lines = {name: figures.mean_by_alpha(found, rule) for (name, rule), found in by.items()}
show(
    figures.by_alpha(lines),
    alt="Share of images read as the class of an end, against alpha. In the middle: "
    + "; ".join(f"{name} {share[len(share) // 2]:.2f}" for name, (_, share) in lines.items())
    + ".",
    caption="Means over sets of pairs.",
)

# %% tags=["remove-input"]
figures.shares(page.rows)

# %% tags=["remove-input"]
between = page.summary("at_an_end")["mean"].sort_index()
pixels = between[PIXELS, ""]
text = [
    f"- **pixels**: {pixels:.1%} of the images between the ends are of the class of one of them."
]
for (model, setting), share in between.items():
    if model != PIXELS:
        more = 100 * (share - pixels)
        text.append(f"- **{model}, {setting}**: {share:.1%}, {more:+.1f} points against pixels.")
for (model, setting), share in page.summary("same_component")["mean"].sort_index().items():
    text.append(
        f"- **{model}, {setting}**: {share:.0%} of the pairs have ends of the same component."
    )
Markdown(
    "Means, ± the standard deviation over sets of pairs where there are several. *Out of range*: "
    "pixels blacker than black or whiter than white.\n\n" + "\n".join(text)
)

# %% [markdown]
# ## What differs from the paper, and why
#
# - **Mixtures** are those of table I, fitted to 10,000 images.
# - **Ends** are held-out images, with the noise that the mixtures learned with (sd 1/256): without
#   it they would lie where the models expect no image. The mixtures never saw them; the network
#   that reads learned from them, but from no image between.
# - **Codes** have all latents: those that leave Glow at its splits are mixed as well, not drawn
#   anew. Of LatMM the latents before its Gaussians are mixed; after them they would be in units of
#   one component or the other.
# - **The middle**, $\alpha = 0.5$, is decoded by the last image's generator.
# - **7b** draws a generator for each image between the ends; the ends are decoded by their own.
# - **Numbers** and rules are ours.
#
# ## Provenance

# %% tags=["remove-input"]
page.provenance()

# %% [markdown]
# ## Run it again
#
# ```bash
# mixflow run em-gm/interpolation --profile laptop
# mixflow run em-gm/interpolation --profile laptop -p dataset=fashion-mnist
# mixflow notebook em_gm_figure_7 -p profile=smoke
# ```
#
# A mixture of table I that is not stored is trained first, which takes hours.

# %% tags=["remove-input"]
page.downloads()
