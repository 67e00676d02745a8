# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # mixflow
#
# Three papers on neural mixture models, recomputed: every table and figure stands here beside the
# published number, with a verdict that a program computed. The library underneath fits the same
# models to your own data in [five lines](five_lines).

# %% tags=["parameters", "remove-input"]
experiment = None

# %% tags=["remove-input"]
import matplotlib.pyplot as plt
from IPython.display import HTML

from companion.book.contents import cards, pages_of_items
from companion.book.display import figure_html, only_if
from companion.book.page import Page
from companion.book.verdicts import verdict_counts
from companion.em_gm.images import summary
from companion.em_gm.table_2 import ways as sharing_tables
from companion.evidence.questions import load_targets
from companion.evidence.status import status_table
from companion.figures import basis_digits, front
from companion.gmm_basis.digit_densities import CEILING, EM, PAPER, SHUFFLED
from companion.runs.places import find_checkout
from companion.runs.store import Store

targets = load_targets()
store = Store()
verdict_counts(store, targets).groupby(level="protocol").sum().rename_axis(None)

# %% [markdown]
# Counts of the published numbers and claims, judged twice: as published, and by our recipe. [How to
# read a verdict](../verdicts.md).
#
# ## Three findings

# %% tags=["remove-input"]
table_1 = Page("em-gm/table-1")
rows = table_1.rows[table_1.rows["dataset"] == "mnist"]
gains, published = summary.gains(rows), summary.published_gains(targets)["mnist"]
most = max(published)
by_noise, by_mixture = (
    gains.loc[name, (most, "mean")] for name in (summary.COPIED, "GenMM, noise shared")
)
labels = {summary.COPIED: "copies of one flow", "GenMM, noise shared": "a mixture"}
noise = figure_html(
    front.noise(gains, published, labels),
    alt=f"Gain over one flow on MNIST against K. At K = {most} the published gain is "
    f"{published[most]:.4f}, copies of one flow gain {by_noise:.4f} by noise, a mixture "
    f"{by_mixture:.4f} nat/pixel.",
)

sharing_page = Page("em-gm/table-2-sharing")
sharing = sharing_tables.sharing(sharing_page.rows)
n_seeds = len({run.config["seed"] for run in sharing_page.runs})
ways = {
    "one EM, T = 1": "divided by EM",
    "2 blocks, an EM each, T = 1": "two EMs, averaged",
    "10 flows apart, averaged": "ten flows, averaged",
}
accuracies = {}
for dataset, title in (("letter", "Letter"), ("satimage", "Satimage")):
    of = sharing[sharing["dataset"] == dataset].set_index("way")
    accuracies[title] = of.loc[list(ways), "test_accuracy"].rename(ways)
    alone = of.loc["10 flows apart, averaged", "mean_flow_test_accuracy"]
    accuracies[title]["one flow"] = alone
divided = figure_html(
    front.divided(accuracies),
    alt="Accuracy of ways to use ten flows of every class. "
    + " ".join(
        f"{title}: " + ", ".join(f"{way} {value:.4f}" for way, value in values.items()) + "."
        for title, values in accuracies.items()
    ),
)

digits = Page("gmm-basis/digits")
sizes = sorted({run.config["latent_size"] for run in digits.runs})
size = sizes[len(sizes) // 2]
found = basis_digits.means(digits.runs, size)["frechet_to_test"]
methods = {
    PAPER: "GMM-basis, as published",
    SHUFFLED: "perfect, but independent",
    EM: "Gaussian mixture by EM",
    CEILING: "the codes themselves",
}
distances = found.loc[list(methods)].rename(methods)
independent = figure_html(
    front.distances(distances),
    alt=f"Fréchet distance of generated digits, latent size {size}: "
    + ", ".join(f"{name} {value:.1f}" for name, value in distances.items())
    + ".",
)
shown = [
    (
        noise,
        only_if(by_noise > published[most] / 2, "Noise gives most of table I's gain"),
        f"The released code gives each of the K flows noise of its own. On MNIST at K = {most} "
        f"that alone gives {most} copies of one flow {by_noise:.4f} nat/pixel. A mixture whose "
        f"flows share the noise gains {by_mixture:.4f}. The paper prints {published[most]:.4f}. "
        "Our flows are smaller than the paper's.",
        "em_gm_table_1",
    ),
    (
        divided,
        "Do K flows average, or divide?",
        "Ten flows of a class can be averaged, or EM can divide the samples among them. On Letter "
        f"dividing reaches {accuracies['Letter']['divided by EM']:.4f} and averaging "
        f"{accuracies['Letter']['ten flows, averaged']:.4f}. On Satimage they reach "
        f"{accuracies['Satimage']['divided by EM']:.4f} and "
        f"{accuracies['Satimage']['ten flows, averaged']:.4f}. Means over {n_seeds} seeds.",
        "em_gm_average_or_divide",
    ),
    (
        independent,
        only_if(
            distances.iloc[1] > distances.iloc[0] / 2 > distances.iloc[2],
            "GMM-basis: independence is the limit, not the fit",
        ),
        "The paper learns one density for every dimension of a code. Perfect densities of that "
        f"kind would give a distance of {distances.iloc[1]:.0f}, and its own reach "
        f"{distances.iloc[0]:.0f}. A Gaussian mixture of whole codes gives "
        f"{distances.iloc[2]:.0f}.",
        "gmm_basis_digits",
    ),
]
plt.close("all")  # they are shown below, not here
HTML(
    "".join(
        f"<div class='mixflow-finding'>{figure}<div><h3><a href='{page}.html'>{title}</a></h3>"
        f"<p>{text}</p></div></div>"
        for figure, title, text, page in shown
    )
)

# %% [markdown]
# ## Start
#
# ```bash
# make book     # from a clone of the repository: environment, notebooks, book
# ```
#
# ```python
# from mixflow import GenMM
#
# model = GenMM(n_components=5, random_state=0).fit(X)  # X: (N, D)
# model.score_samples(X)  # log p(x) in nats
# model.predict(X)  # the most responsible flow of each sample
# X_new, source = model.sample(100)
# ```
#
# [Five lines](five_lines) shows them at work. [How to rerun](../rerun.md) a page or an experiment.
# To cite mixflow, use `CITATION.cff` in the repository; the three papers are in the
# [references](../references.md).
#
# ## Every table and figure

# %% tags=["remove-input"]
checkout = find_checkout()
pages = pages_of_items(checkout / "notebooks") if checkout else {}
HTML(cards(status_table(store, targets), pages))

# %% [markdown]
# ## The three papers
#
# All three build a density as a sum,
#
# $$p(x) = \sum_{k=1}^K \pi_k\, p_k(x), \qquad \sum_k \pi_k = 1,$$
#
# and differ in what the components are and how they are found.
#
# **EM-GM** {cite}`liu2020emgm`. Every component is a normalizing flow
# {cite}`papamakarios2021flows,dinh2017realnvp,kingma2018glow`: an invertible network that carries
# data to a standard normal, so that $p_k$ is known exactly (*GenMM*). A cheaper model has one flow
# whose latent distribution is a Gaussian mixture (*LatMM*). Both are fitted by
# expectation-maximization {cite}`dempster1977em`: the E-step computes responsibilities
# $\gamma_{nk} = p(k \mid x_n)$ under frozen parameters, and the M-step climbs
# $Q = \sum_n \sum_k \gamma_{nk} \log \pi_k p_k(x_n)$ by gradients.
#
# **VMoNF** {cite}`pires2020vmonf`. K flows as well. A second network $q(k \mid x)$ takes the place
# of the E-step, and both are trained together on the evidence lower bound. It uses a few labels,
# where there are some.
#
# **GMM-basis** {cite}`lu2023gmm`. One-dimensional densities on a fixed grid of Gaussians, of which
# only the weights are learned, in one pass over the data; for digit generation and style transfer.
