# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Mixtures of flows in five lines
#
# A mixture of flows {cite}`liu2020emgm,pires2020vmonf` is what a Gaussian mixture becomes when
# every Gaussian is replaced by an invertible network $f_k$ with a standard normal behind it:
#
# $$p(x) = \sum_{k=1}^K \pi_k\; \mathcal N\bigl(f_k(x);\, 0, I\bigr)\,
# \left|\det \frac{\partial f_k}{\partial x}\right|.$$
#
# It has a density that integrates to one, samples, responsibilities and likelihoods, as the
# Gaussian mixture has, but its components can bend. `GenMM` fits it by EM and follows
# scikit-learn's conventions {cite}`pedregosa2011sklearn`: what you know of `GaussianMixture`
# holds.
#
# The example is a pinwheel {cite}`johnson2016pinwheel`. For your own data name a CSV file of two
# columns of numbers in the parameters, and run the page again (the command is at its end).

# %% tags=["parameters"]
experiment = None
csv = ""  # your own file: two columns, a header line
n_components = 5
max_epochs = 40
seed = 0

# %% tags=["remove-input"]
import numpy as np
import pandas as pd
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from companion.book.display import show
from companion.figures import density, side_by_side
from mixflow.datasets import pinwheel

if csv:
    X_all = pd.read_csv(csv).iloc[:, :2].dropna().to_numpy(float)
else:
    X_all, _ = pinwheel(600, n_wings=5, random_state=seed)
X, X_test = train_test_split(X_all, test_size=0.3, random_state=seed)

# %% [markdown]
# ## The five lines

# %%
from mixflow import GenMM

model = GenMM(n_components, max_epochs=max_epochs, random_state=seed).fit(X)
log_density = model.score_samples(X_test)  # log p(x) in nats
component = model.predict(X_test)  # the most responsible flow
X_new, source = model.sample(500)  # samples, and the flow of each

# %% [markdown]
# ## What it learned
#
# Left the mixture of flows, right scikit-learn's Gaussian mixture with the same number of
# components, both with the held-out points on top, marked by their component.

# %% tags=["remove-input"]
gaussian = GaussianMixture(n_components, random_state=seed, n_init=5).fit(X)
fig = side_by_side(
    [
        (model.score_samples, X_test, component, f"{n_components} flows (GenMM)"),
        (gaussian.score_samples, X_test, gaussian.predict(X_test), f"{n_components} Gaussians"),
    ]
)
show(
    fig,
    alt=(
        f"Two density maps of the same {len(X_test)} held-out points. Left, {n_components} flows, "
        f"mean log density {log_density.mean():.2f} nats a point: the density follows the bent "
        f"wings. Right, {n_components} Gaussians, {gaussian.score(X_test):.2f} nats: straight "
        "ellipses."
    ),
    caption="Density p(x), darker is higher. Points: held-out data, marked by component.",
)

# %% tags=["remove-input"]
table = pd.DataFrame(
    {
        "held-out log p(x), nats a sample": [log_density.mean(), gaussian.score(X_test)],
        "standard error": [
            s.std() / np.sqrt(len(s)) for s in (log_density, gaussian.score_samples(X_test))
        ],
    },
    index=["GenMM", "GaussianMixture"],
).round(3)
table

# %% [markdown]
# Samples from the model, marked by the flow that made them:

# %% tags=["remove-input"]
show(
    density(model.score_samples, X_new, labels=source, around=X, title="samples of the mixture"),
    alt=(
        f"500 samples of the fitted mixture on its density, marked by component; weights "
        f"{', '.join(f'{w:.2f}' for w in model.weights_)}."
    ),
)

# %% [markdown]
# ## Is it a density?
#
# Whatever the flows do, $p(x)$ must integrate to one. On a grid over the plane, finer where the
# mass is:

# %%
from mixflow.metrics import integral_2d

total = integral_2d(model.score_samples, X, tolerance=1e-3)
print(f"integral of p(x) over the plane: {total:.4f}")

# %% [markdown]
# ## The rest of the interface
#
# `predict_proba` gives responsibilities, `score` the mean log density, `bic` and `aic` compare
# models, `encode` and `decode` go to the latents and back, `save` and `mixflow.load` keep a model
# in one file without pickle, and `history_` holds a value per epoch. `GenMM` works inside
# `Pipeline`, `GridSearchCV` and `cross_val_score`. With labels, `MixtureClassifier` fits one
# mixture per class: the page on Letter shows it at work.

# %%
columns = ["epoch", "loss", "learning_rate", "validation_score"]
pd.DataFrame(model.history_)[columns].ffill().tail(3).round(4)

# %% [markdown]
# ## Rerun this page
#
# With your own file:
#
# ```bash
# mixflow notebook five_lines -p csv=my_points.csv -p n_components=3
# ```
