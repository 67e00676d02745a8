# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Table II: Letter, Satimage, Norb
#
# **What the paper claims.** In table II of Liu, Vu, Chatterjee and Rasmussen {cite}`liu2020emgm` a
# mixture of K flows per class (GenMM) classifies by the largest likelihood. Accuracy rises with K
# on three data sets, and at K = 20 passes the best result they cite on each: Letter
# {cite}`tang2016elm`, Satimage {cite}`srinivasan1993satimage,jiang2013ksvd` and small Norb
# {cite}`lecun2004norb,salakhutdinov2009dbm`. [Another page](em_gm_letter) shows Letter in detail;
# this one has the table, and asks what the protocol and the number of flows do to it. What the
# flows of a class divide is on [a page of its own](em_gm_average_or_divide), and what the data ask
# is in [the appendix](em_gm_table_2_data).
# LatMM, and what lies between it and GenMM, have GenMM's recipe here; [a page](em_gm_hybrids)
# compares them at equal size and cost.
#
# ## The model
#
# A mixture per class, and the class of the largest posterior. On scikit-learn's digits, live:

# %%
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from mixflow import MixtureClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0)
for n_components in (1, 4):
    model = MixtureClassifier(
        n_components, noise=0.2, hidden_layers=1, max_epochs=20, random_state=0
    )
    accuracy = make_pipeline(PCA(16, random_state=0), model).fit(X, y).score(X_test, y_test)
    print(f"K={n_components}: accuracy {accuracy:.3f} on {len(X_test)} held-out digits")

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
from companion.em_gm.table_2 import summary
from companion.em_gm.table_2.choices import choices, choices_shown
from companion.evidence.questions import load_targets

page = Page(experiment, profile)
targets = load_targets()
names = summary.NAMES
shown = [name for name in names if name in set(page.rows["dataset"])]
page.source()

# %% tags=["remove-input"]
for dataset in shown:
    display(Markdown(f"### {names[dataset]}"))
    table = summary.accuracies(page.rows, targets, dataset)
    for columns in (["paper", "ours, as published"], ["ours, best recipe", "Gaussian mixture"]):
        display(table[columns])

# %% [markdown]
# Test accuracy as a share; ± is the standard deviation over seeds of initialisation, training and
# validation share (one seed: no ±), on one test set. *Best on test* is the paper's protocol: the
# best of a curve's points, chosen on the test set; it stands here for comparison only. An empty
# cell was not run. The plain Gaussian mixture per class has the same K. Smoke has digits only.

# %% tags=["remove-input"]
if len(table := summary.views(page.rows)):
    display(Markdown(summary.views_said(page.rows)), table)

# %% [markdown]
# What shares a flow with the recipe of GenMM, validation-chosen; LatMM's K are Gaussians in the
# latents of one flow:

# %% tags=["remove-input"]
for dataset in shown:
    if len(table := summary.sharing_models(page.rows, dataset)):
        display(Markdown(f"**{names[dataset]}**"), table)

# %% [markdown]
# ## Does accuracy rise with K?

# %% tags=["remove-input"]
for dataset in shown:
    by_k = summary.series(page.rows, targets, dataset)
    show(
        figures.accuracy_by_components(by_k, dataset=names[dataset]),
        alt=f"Test accuracy on {names[dataset]} against K. {summary.said(by_k)}",
        caption=f"{names[dataset]}: accuracy against K; bars: one sd over seeds.",
    )

# %% tags=["remove-input"]
summary.trends(page.rows).style.hide(axis="index")

# %% [markdown]
# Page's trend test {cite}`page1963trend` takes the seeds as blocks and the values of K, in their
# order, as treatments; p is the probability of a rise as steady as this one if K did not matter.
# The seeds share one split, so p says that training gains from K on this test set, and not how
# another test set would rank them.
#
# ## What the protocol does
#
# The published numbers are the best of each test curve. How much that flatters, in percentage
# points:

# %% tags=["remove-input"]
summary.protocol(page.rows, targets).style.hide(axis="index")

# %% tags=["remove-input"]
said = [summary.flattery_said(page.rows, targets, name, names[name]) for name in shown]
display(Markdown("\n".join(f"- {line}" for line in said if line)))

# %% [markdown]
# A curve with more points, more noise and a smaller test set flatters more. Our rate falls to zero
# along a cosine, so the end of a curve hardly moves; the published runs end at a rate that still
# does.
#
# Where a validation curve is flat, noise says which of its points is the best, and that may be one
# before the rate has fallen. The one-standard-error rule takes the latest point that is not further
# below the best than that noise. It was looked at when the test accuracies of the last epoch were
# known, so the verdicts below do not use it. Test accuracy by how the epoch is chosen:

# %% tags=["remove-input"]
choices_shown(choices(page.runs)).style.hide(axis="index")

# %% [markdown]
# ## Beside other classifiers
#
# The same splits. Parameters of kNN, the SVM and QDA are chosen by cross-validation on the training
# split; those that draw at random have several seeds.

# %% tags=["remove-input"]
context = Page("em-gm/table-2-context", profile)
for dataset in shown:
    table = summary.others(
        context.rows[context.rows["dataset"] == dataset],
        page.rows[page.rows["dataset"] == dataset],
        summary.cited(targets, dataset),
    )
    display(Markdown(f"### {names[dataset]}"))
    display(table.style.hide(axis="index"))

# %% [markdown]
# ## Paper against ours

# %% [markdown]
# Every published number under two protocols. **As published**: the paper's model and training, at
# the best of its test accuracies (last rows: last epoch). **Our recipe**: its epoch is chosen by a
# validation part. Norb's numbers are of images of 32 x 64; ours of 8 x 16 are other data, and stand
# in the tables above alone.

# %% tags=["remove-input"]
page.verdicts("table-2", "table-2-last-epoch")

# %% [markdown]
# ## What differs from the paper, and why
#
# The settings of both recipes and what could not be kept are on
# [the page on Letter](em_gm_letter). The other data sets differ from Letter in this:
#
# - **Satimage, best recipe**: one EM for all flows of a class, where Letter has blocks of five.
#   Folds of the training split preferred it; they also kept the temperature and the noise of
#   Letter.
# - **Satimage, as published**: images of 6 x 6, batch 200. The grey values that become -0.5 and
#   0.5 are the least and the greatest of the training split; the paper gives no scaling.
# - **Satimage, eight views**: not in the paper. A sample is a window of 3 x 3 pixels and its class
#   is that of the middle one, so the window may be turned and mirrored; the density of a class is
#   averaged over these eight views when it is measured, of flows and of Gaussians that are trained
#   as before. It was tried because it helps on
#   [parts of the training split](em_gm_table_2_data), with models of four fifths of its
#   samples; the numbers above say what it does on the test split.
# - Satimage's classes are of unequal size. The published model takes the largest likelihood; ours
#   and the Gaussian mixtures weight likelihoods by the classes' shares in the training split. The
#   rows have both (`test_accuracy_uniform_priors`, `test_accuracy_class_priors`).

# %% tags=["remove-input"]
if summary.NORB_AT_LAPTOP in set(page.rows["config_dataset"]):
    display(Markdown(summary.norb_at_laptop()))

# %% [markdown]
# ## Provenance

# %% tags=["remove-input"]
page.provenance()

# %% [markdown]
# ## Run it again
#
# ```bash
# mixflow run em-gm/table-2 --profile laptop -p dataset=satimage
# mixflow run em-gm/table-2-context --profile laptop
# mixflow notebook em_gm_table_2 -p profile=smoke
# ```

# %% tags=["remove-input"]
for part in (page, context):
    display(part.downloads())
