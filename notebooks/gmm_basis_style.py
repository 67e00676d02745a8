# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Styles mixed: one density for every entry of a Gram matrix
#
# **What the paper claims.** In style transfer {cite}`gatys2016style` an image is optimised until
# the Gram matrices of its VGG-19 {cite}`simonyan2015vgg` feature maps are those of a painting. Lu
# et al. {cite}`lu2023gmm` make a data set of Gram matrices from random crops, learn one mixture on
# a fixed basis for each entry (algorithm 2), sample a Gram matrix entry by entry, and optimise an
# image to that (figures 11 and 12). With crops of two paintings in one data set, features of style
# 2 are to grow with its share, 0, 10, 20 ... 80 % (figure 13). The paper shows pictures and no
# numbers.
#
# **What we find** is below, with numbers: it works, and less of it is owed to the densities than
# the pictures suggest.
#
# ## The model in a dozen lines
#
# On scikit-learn's two photographs and with random weights, so that nothing has to be downloaded:

# %%
import numpy as np
import torch

from companion.gmm_basis import gram
from companion.gmm_basis.pictures import load_picture
from companion.gmm_basis.vgg import VGG19, load_weights
from mixflow import BasisDensity

layers = ["conv1_1", "conv2_1"]
network = VGG19(load_weights("random"), layers, padding="reflect")
layout = gram.triangles(network)  # symmetric: the upper triangle is learned
flower = torch.from_numpy(load_picture("flower", short_side=64)) / 255
rng = np.random.default_rng(0)
crops = gram.random_crops(flower.permute(2, 0, 1), 100, 32, rng)
rows = layout.of_crops(network, crops).double()
model = BasisDensity(200, min_range=1e-9, bounds="robust", random_state=0)
sampled = model.fit(rows).sample(1)[0]  # all entries at once
print(f"{rows.shape[1]} entries, {model.weights_.shape[1]} Gaussians for each")
for layer, share in gram.negative_shares(sampled, layout).items():
    print(f"{layer}: negative share of the eigenvalues {share:.2f}")

# %% [markdown]
# The last lines are the catch. Entries of a real Gram matrix go together; drawn one by one they
# make a matrix with negative eigenvalues, which no image has.
#
# ## Parameters

# %% tags=["parameters"]
experiment = "gmm-basis/style"
profile = "stored"  # stored, smoke, laptop or paper

# %% [markdown]
# ## Results

# %% tags=["remove-input"]
import pandas as pd
from IPython.display import Markdown, display

from companion.book.display import show
from companion.book.page import Page
from companion.figures import basis_style as figures
from companion.figures.player import slider
from companion.gmm_basis.style import image_key

page = Page(experiment, profile)
images = figures.images_table(page.rows)
NAMES = {"paintings": ("Starry Night", "Sunflowers"), "photos": ("flower", "palace")}
config = page.runs[0].config
names = NAMES[config["styles"]]
WEIGHTS = {
    "vgg19": "all 16 convolutions, as torchvision trained them",
    "vgg": "the published ones, of which only blocks 1 to 3 are at hand",
    "random": "**random**: nothing learned, and nothing to conclude about style",
}
display(page.source())
Markdown(
    f"Weights of VGG-19: {WEIGHTS[config['weights']]}. Gram matrices of "
    f"{', '.join(config['layers'])}, from {config['n_crops']} crops of each picture."
)

# %% tags=["remove-input"]
page.verdicts("figure-11", "figure-12", "figure-13")


# %% [markdown]
# Distances are of Gram matrices, layer by layer in units of the distance of the two mean ones:
# $d_s = \frac1L \sum_l \|G_l - M_{sl}\|^2 / \|M_{1l} - M_{2l}\|^2$. The *position*
# $(1 + d_1 - d_2)/2$ is the projection onto the line between the means, 0 at style 1, 1 at style 2.
#
# ## Figure 11: Gram matrices of feature maps


# %% tags=["remove-input"]
def pick(target="basis", levels=1, variations=1, examples=False):
    """Return the first run of that kind, if there is one."""
    for run in page.runs:
        c = run.config
        if c["target"] == target and len(c["shares"]) >= levels and c["n_variations"] >= variations:
            if c["examples"] or not examples:
                return run
    return None


large = pick(examples=True)
if large is not None:
    arrays = large.arrays
    show(
        figures.crops_and_grams(arrays, names),
        alt=f"Two pictures, {names[0]} and {names[1]}, four random crops of each, and the Gram "
        f"matrix of {config['layers'][0]} of the first crop as a map of grey values: the two "
        "matrices light up in other channels.",
        caption=f"Crops are {large.config['crop_size']} pixels wide; the matrix is that of "
        f"{large.config['layers'][0]}.",
    )
right = page.rows[page.rows["metric"] == "accuracy"]["value"]
display(Markdown(f"Of further crops {right.mean():.1%} are nearer to their own style's mean."))

# %% [markdown]
# ## Figure 12: the pipeline
#
# One density of each entry, learned at once by algorithm 2 on the upper triangles:

# %% tags=["remove-input"]
if large is not None:
    show(
        figures.entry_densities(
            arrays,
            n_components=large.config["n_components"],
            sigma=large.config["sigma"],
            share=0.4,
        ),
        alt="For one entry of every layer: the values in crops of both styles as ticks, the "
        "density learned from style 1, and that of a data set with 40 % of style 2, which has two "
        "humps.",
        caption="The largest entry off the diagonal of each layer; ticks: crops (dark: style 1).",
    )
    shares = large.config["shares"]
    made = [arrays[image_key(share)] for share in shares]
    titles = [f"share {share:g} of style 2" for share in shares]
    if "content" in arrays:
        made, titles = [arrays["content"], *made], ["start and content", *titles]
    show(
        figures.pictures(made, titles, height=3.2),
        alt=f"A photograph of a palace, and the images made from it with Gram matrices sampled "
        f"from {names[0]} and from {names[1]}: its shapes stay, colours and strokes are those of "
        "the paintings.",
        caption=f"Figure 12: {large.config['size']} x {large.config['size']} pixels, "
        f"{large.config['steps']} evaluations of L-BFGS.",
    )


# %% tags=["remove-input"]
def mean(metric, model=None, **where):
    """Return the mean of a metric over images."""
    found = images if model is None else images[images["model"] == model]
    for name, value in where.items():
        found = found[found[name] == value]
    return found[metric].mean() if metric in found else float("nan")


def row_mean(metric, model, start=""):
    rows = page.rows[(page.rows["metric"] == metric) & (page.rows["model"] == model)]
    return rows[rows["setting"].str.startswith(start)]["value"].mean()


if large is not None:
    show(
        figures.eigenvalues(arrays),
        alt="Eigenvalues by rank, layer by layer: those of a real crop's Gram matrix fall to zero "
        "and stay there; those of a sampled one cross zero and end as far below it.",
        caption="Eigenvalues of one crop's Gram matrices and of sampled ones (style 1).",
    )
display(
    Markdown(
        "**Sampled entry by entry, a Gram matrix is not one.** The negative eigenvalues make up "
        f"{mean('target_negative_share', 'basis', share=0.0):.0%} of their absolute sum for style "
        f"1 alone, and {mean('target_negative_share', 'basis', share=0.4):.0%} at a share of 40 %. "
        "What is negative no image can reach. The style loss that is left at the end is "
        f"{mean('style_loss', 'basis', share=0.0):.4f}; the nearest positive semi-definite matrix, "
        "which need not be that of any image, has "
        f"{mean('style_loss_floor', 'basis', share=0.0):.4f}."
        "\n\n"
        "**The image ends near the mean.** Its distance from style 1 is "
        f"{mean('distance_1', 'basis', share=0.0):.4f}, that of the sampled matrix "
        f"{mean('target_distance_1', 'basis', share=0.0):.4f}, that of a real crop "
        f"{row_mean('distance_1', 'real crops', 'style 1'):.4f}. Independent deviations of "
        "thousands of entries point in no direction that an image could follow; most of what was "
        "sampled is "
        "lost on the way, and the images look like those of the mean."
    )
)

# %% [markdown]
# ## Figure 13: the mixing series

# %% tags=["remove-input"]
SHOWN = {
    "basis": "as published",
    "basis, PSD": "made positive semi-definite",
    "basis, rotated": "principal components, mixed data",
    "basis, blended": "principal components, blended",
    "mean": "control: the mean",
    "crop": "control: a crop",
}
series = {target: pick(target, levels=3) for target in SHOWN}
series = {target: run for target, run in series.items() if run is not None}
first = series["basis"]
shares = first.config["shares"]
show(
    figures.pictures(
        [first.arrays[image_key(share)] for share in shares],
        [f"{share:.0%}" for share in shares],
        height=1.5,
    ),
    alt=f"{len(shares)} images of the same palace; from left to right the share of style 2 grows: "
    f"colours and strokes go from {names[0]} to {names[1]}.",
    caption=f"Figure 13: as published, share of crops of style 2; {first.config['size']} pixels, "
    f"seed {first.config['seed']}.",
)

# %% tags=["remove-input"]
shown = [t for t in ("basis", "basis, blended", "mean", "crop") if t in series]
slider(
    figures.frames(
        [[series[t].arrays[image_key(share)] for share in shares] for t in shown],
        [SHOWN[t] for t in shown],
        side=300 if len(shown) < 3 else 220,
    ),
    [f"share of style 2: {share:.0%}" for share in shares],
    alt=f"Images by share of style 2, {', '.join(SHOWN[t] for t in shown)} side by side; the last "
    f"has {shares[-1]:.0%}.",
    caption="Move the slider: the share of style 2.",
    seconds=0.5,
)

# %% tags=["remove-input"]
size = first.config["size"]
table = images[(images["size"] == size) & images["share"].isin(shares)]
table = table[table["model"].isin(series)].copy()
table["model"] = pd.Categorical(table["model"].map(SHOWN), list(SHOWN.values()), ordered=True)
table = table.sort_values(["model", "seed", "share"]).astype({"model": str})
show(
    figures.distances_by_share(table),
    alt="Left, as published: the distance from style 1 rises with the share of style 2, that from "
    "style 2 falls. Right: the position between the styles against the share, for all ways to draw "
    "a Gram matrix; as published, blended and the mean lie on the diagonal, a crop and rotated "
    "draws jump between the styles.",
    caption="Distances in units of that between the styles; bands from the least to the greatest "
    "seed.",
)

# %% tags=["remove-input"]
ranks = page.rows[page.rows["metric"].isin(["spearman_1", "spearman_2"])]
ranks = ranks.groupby("metric")["value"]
apart = {}
for target in series:
    found = images[(images["model"] == target) & (images["size"] == size)]
    apart[target] = (found["position"] - found["share"]).abs().mean()
lines = [
    "**In numbers**: the rank correlation of the share with the distance from style "
    f"1 is {ranks.min()['spearman_1']:.3f} at least over seeds, with that from style 2 "
    f"{ranks.max()['spearman_2']:.3f} at most.",
    "How far the position is from the share, on average: "
    + "; ".join(f"{SHOWN[target]} {value:.3f}" for target, value in apart.items())
    + ".",
]
if "mean" in apart:
    lines.append(
        "The mean Gram matrix of the same mixed crops, without any density, gives the same series. "
        "Drawing every entry from crops of style 1 or 2 at random is, over thousands of entries, "
        "the blend of the two means with that share, and noise about it: at 40 % the images are "
        f"{mean('distance_1', 'basis', share=0.4, size=size):.3f} and "
        f"{mean('distance_2', 'basis', share=0.4, size=size):.3f} from the styles, those of "
        f"the mean {mean('distance_1', 'mean', share=0.4, size=size):.3f} and "
        f"{mean('distance_2', 'mean', share=0.4, size=size):.3f}."
    )
if "basis, rotated" in apart:
    lines.append(
        "Densities along the principal components of the mixed data keep what goes together: the "
        "negative share falls to "
        f"{mean('target_negative_share', 'basis, rotated', share=0.4):.1%}. But the first "
        "component then says which style it is, and every draw is of one or the other. Drawn from "
        "each style "
        "alone and blended with the share, matrices have natural variation and lie where they "
        "should (the variant *blended*, negative share "
        f"{mean('target_negative_share', 'basis, blended', share=0.4):.1%})."
    )
Markdown("\n\n".join(lines))

# %% [markdown]
# ## Ten variations of one level

# %% tags=["remove-input"]
varied = {t: pick(t, variations=2) for t in ("basis", "basis, blended")}
varied = {t: run for t, run in varied.items() if run is not None}
run = varied["basis"]
share = 0.4 if 0.4 in run.config["shares"] else run.config["shares"][0]
numbers = range(run.config["n_variations"])
slider(
    figures.frames(
        [[r.arrays[image_key(share, n)] for n in numbers] for r in varied.values()],
        [SHOWN[t] for t in varied],
    ),
    [f"variation {n + 1}" for n in numbers],
    alt=f"{len(numbers)} images with {share:.0%} of style 2, each from another sampled Gram "
    "matrix: as published they hardly differ; blended draws along principal components differ in "
    "colour "
    "and contrast.",
    caption=f"Variations at a share of {share:.0%}; without scripts the last.",
    seconds=0.6,
    play=True,
)

# %% tags=["remove-input"]
lines = []
for target in varied:
    start = f"share={share:g}"
    lines.append(
        f"- **{SHOWN[target]}**: sampled Gram matrices spread by "
        f"{row_mean('spread_of_targets', target, start):.4f} about their mean, the images made "
        f"from them by {row_mean('spread_of_images', target, start):.4f}"
    )
real = page.rows[page.rows["metric"] == "spread_of_crops"]["value"].mean()
lines.append(f"- crops of one painting: {real:.4f}")
Markdown("\n".join(lines))

# %% [markdown]
# Spreads are mean squared distances from the mean, in the unit of the distances above. Sampled
# entry by entry, matrices differ more than crops of one painting do, and images that are optimised
# to them much less: the difference is in directions that no image has.
#
# ## What differs from the paper, and why
#
# - **Weights.** The laptop profile has blocks 1 to 3 of the published weights, so its Gram matrices
#   are of five feature maps of these; the paper's profile takes one of every block, from the full
#   file that is downloaded.
# - **Paintings, crops, sizes.** The paper names neither its crops nor its resolution. Ours: two
#   paintings by van Gogh, the series at 128 pixels to keep it within minutes of a CPU.
# - **Content.** A photograph of scikit-learn's, held by the squared error of conv2_2 at a small
#   weight; the image starts from it.
# - **Mixing.** "80 % of style 2" is read as a data set of which 80 % of the crops are from style 2.
# - **Upper triangles.** Entries (i, j) and (j, i) are one number, and are drawn once.
# - **Pooling** is by the mean in place of the maximum, as in {cite}`gatys2015texture`, and images
#   are padded by reflection, which keeps frames out of them.
# - The optimiser is L-BFGS with a line search.
#
# ## Provenance

# %% tags=["remove-input"]
page.provenance()

# %% [markdown]
# ## Run it again
#
# ```bash
# mixflow run gmm-basis/style --profile laptop
# mixflow run gmm-basis/style --profile laptop -p target=mean
# mixflow notebook gmm_basis_style -p profile=smoke
# ```

# %% tags=["remove-input"]
page.downloads()
