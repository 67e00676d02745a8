# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # GenMM on Letter: the first row of table II
#
# **What the paper claims.** Liu, Vu, Chatterjee and Rasmussen {cite}`liu2020emgm` fit one mixture
# of K flows (GenMM) to every class and let the largest likelihood decide. On UCI Letter
# {cite}`frey1991letter` (26 letters, 16 integer features) their table II says that accuracy rises
# with K and at K = 20 passes the best result they cite, a multilayer perceptron trained as an
# extreme learning machine {cite}`tang2016elm`.
#
# Two things to know before reading the numbers. The published values are the **best test accuracy
# over checkpoints, chosen on the test set**; the last epoch of their published curves is lower. We
# report the last epoch and the epoch chosen by validation as ours, and the best on test only in a
# column that says so. And a plain Gaussian mixture per class is already very good here: it stands
# in every table below, because the flows must earn their place.
#
# ## The model
#
# One mixture per class, uniform priors, and $\hat y = \arg\max_y \sum_k \pi_{yk}\, p_{yk}(x)$. All
# flows of all classes are trained side by side as one bank. On scikit-learn's digits, live:

# %%
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from mixflow import MixtureClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0)
model = make_pipeline(
    PCA(16, random_state=0),
    MixtureClassifier(2, noise=0.2, hidden_layers=1, max_epochs=20, random_state=0),
)
accuracy = model.fit(X, y).score(X_test, y_test)
print(f"{len(X_test)} held-out digits, 2 flows per class: accuracy {accuracy:.3f}")

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
experiment = "em-gm/table-2"
profile = "stored"  # stored, smoke, laptop or paper

# %% [markdown]
# ## Results

# %% tags=["remove-input"]
from IPython.display import Markdown, display

from companion import figures
from companion.book.display import show
from companion.book.page import Page
from companion.em_gm.table_2.summary import LAST, accuracies, said, series
from companion.evidence.questions import load_targets

page = Page(experiment, profile)
dataset = "digits" if page.profile == "smoke" else "letter"
page = page.of(dataset=dataset)
page.source()

# %% tags=["remove-input"]
targets = load_targets()
last = page.summary(LAST)
accuracies(page.rows, targets, dataset)

# %% [markdown]
# Test accuracy as a share; ± is the standard deviation over seeds of initialisation, training and
# validation share (one seed: no ±). The test set is the same 6667 samples for every seed.

# %% tags=["remove-input"]
by_k = series(page.rows, targets, dataset)
show(
    figures.accuracy_by_components(by_k, dataset=dataset),
    alt=f"Test accuracy on {dataset} against K. {said(by_k)}",
    caption="Accuracy against the number of components per class; bars: one sd over seeds.",
)

# %% [markdown]
# ## Accuracy over training

# %% tags=["remove-input"]
for name in ("GenMM", "GenMM as published"):
    curves = figures.curves_by_components(page.runs, name)
    if curves:
        show(
            figures.accuracy_over_epochs(curves, dataset=dataset),
            alt=f"Test accuracy over epochs, {name}. "
            + " ".join(
                f"{k}: {c.mean(axis=1).iloc[0]:.4f} at epoch {c.index[0]}, "
                f"{c.mean(axis=1).iloc[-1]:.4f} at epoch {c.index[-1]}."
                for k, c in curves.items()
            ),
            caption=(
                "Our best recipe: mean over seeds; the band runs from the worst seed to the best."
                if name == "GenMM"
                else "As published (one seed at the laptop profile)."
            ),
        )

# %% [markdown]
# ## Paper against ours
#
# Every published number under two protocols. **As published**: the paper's own model and training,
# read as the paper reads it, at the best of its test accuracies (for the last rows: last epoch).
# **Our recipe**: another model of the same family, whose epoch a validation part chose, so it has
# no help from the test set. A cited result stands beside our K = 20.

# %% tags=["remove-input"]
page.verdicts("table-2", "table-2-last-epoch", dataset="letter")


# %% tags=["remove-input"]
def at(metric, model, k):
    return page.value(metric, model, f"K={k}")


top = max(figures.by_components(last, "GenMM").index)
flows = at("test_accuracy_last_epoch", "GenMM", top)
gaussians = at("test_accuracy_last_epoch", "GMM full covariance", top)
best_gaussian = figures.by_components(last, "GMM full covariance")["mean"]
flow_nll = figures.by_components(page.summary("test_nll"), "GenMM")["mean"]
gaussian_nll = figures.by_components(page.summary("test_nll"), "GMM full covariance")["mean"]


def fit_seconds(model):
    costs = [
        run.provenance["costs"]["fit_seconds"]
        for run in page.runs
        if (run.config["model"], run.config["n_components"]) == (model, top)
    ]
    return min(costs, default=float("nan"))


text = f"""
## Do the flows earn their place?

At K = {top} our flows reach {flows:.4f} at the last epoch; Gaussian mixtures per class reach
{gaussians:.4f} at K = {top} and {best_gaussian.max():.4f} at their best K, which is
{best_gaussian.idxmax()} (chosen on test, in their favour). As densities, the mean negative
log-likelihood of a test sample under its own class is {flow_nll.min():.2f} nats for the flows
(K = {flow_nll.idxmin()}) and {gaussian_nll.min():.2f} for the Gaussians
(K = {gaussian_nll.idxmin()}). The price is time: at K = {top} one fit took
{fit_seconds("GenMM"):.0f} s for the flows and {fit_seconds("GMM full covariance"):.0f} s for
the Gaussians (the fastest seed, on the machine named below, which other programs shared).
"""
splits = page.rows[page.rows["config_split_seed"] > 0]
splits = splits[splits["metric"] == "test_accuracy_last_epoch"].groupby("model")["value"]
if len(splits):
    mean, low, high = splits.mean(), splits.min(), splits.max()
    text += f"""
Is it the split? On {splits.size().iloc[0]} other random splits of the same sizes (whose test
samples overlap with the training samples that chose the recipe), K = {top} gives
{mean["GenMM"]:.4f} ({low["GenMM"]:.4f} to {high["GenMM"]:.4f}) for the flows and
{mean["GMM full covariance"]:.4f} ({low["GMM full covariance"]:.4f} to
{high["GMM full covariance"]:.4f}) for the Gaussians.
"""
if profile != "smoke" and page.profile != "smoke":
    display(Markdown(text))

# %% [markdown]
# ## What differs from the paper, and why
#
# **As published** keeps the released code's settings: the 16 features as a 4 x 4 image in
# [-0.5, 0.5], a Glow {cite}`kingma2018glow` of one level, 12 steps and 8 hidden channels, batch
# 240, Adam at 0.001 with Noam's schedule, noise of sd 1/256, 300 epochs, an EM step every 5 epochs,
# uniform class priors. The posterior divides log densities by the number of features (temperature
# D = 16), as the released code does; that draws responsibilities towards uniform, and the
# mixture towards an average of independently initialised flows. What could not be kept:
#
# - The split: the paper's is not published. Sizes are (13333 and 6667), drawn by a seed.
# - The E-step is computed once per EM period on clean data, not in every batch on noisy data.
# - Within a batch every component sees the same noise; the released code draws one per component.
# - Gradients are clipped by norm per flow instead of per class, at the same bound (100).
# - Curves have a point every 20 epochs, not every 5: our best on test chooses among fewer.
# - One seed.
#
# **Our best recipe** was chosen by accuracy on parts of the training split, never on test. It
# treats features as a vector, standardised, with a fixed random rotation before each of 8
# couplings. Gaussian noise of sd 0.2 is added to each standardised feature, drawn anew in every
# pass: Letter's features are small integers, and a density fitted with little noise puts
# spikes on the grid. Responsibilities start from a full-covariance Gaussian mixture, whose
# components also whiten the flows' inputs. From K = 10 on each class's components are divided into
# blocks of five, each with an EM of its own, pooled with equal weights: with 20 components in one
# EM each would own about 25 samples. The posterior is tempered (T = 2), which shares samples among
# neighbouring components.
#
# The short runs that chose it are not stored. `validation_accuracy` among the rows below compares
# recipes in the same way: give other parameters to the command at the end of the page.
#
# Read the rise with K in our recipe with care: the number of epochs was chosen with K = 20 in view,
# and four blocks see every sample four times an epoch. Few components may want more epochs than
# they get here, so part of the rise may be training. A comparison at equal compute is still to
# come.
#
# *Validation-chosen* means: a companion fit on 90 % of the training split chooses the epoch by
# accuracy on the other 10 %, and the fit on the whole split is read at that epoch.

# %% [markdown]
# ## Provenance

# %% tags=["remove-input"]
page.provenance()

# %% [markdown]
# ## Run it again
#
# The table anew, all seeds (stored runs are kept; `--force` computes them again):
#
# ```bash
# mixflow run em-gm/table-2 --profile laptop
# mixflow run em-gm/table-2 --profile laptop -p model=GenMM -p n_components=20 -p noise=0.1
# mixflow notebook em_gm_letter -p profile=smoke
# ```

# %% tags=["remove-input"]
page.downloads()
