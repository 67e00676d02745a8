"""What the components of each class have learned."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import entr

from companion.em_gm.classifier.config import Findings
from companion.em_gm.classifier.models import FLOWS, Task, mixture_of, standardised
from mixflow.estimators import MixtureClassifier

LEARNED = "components"


@torch.no_grad()
def components(model: MixtureClassifier, task: Task) -> Findings:
    """Look at every class's components: shares, responsibilities, means, typical samples.

    The arrays, in units of the standardised features, are ``component weights`` (C, K),
    ``component means`` (C, K, D), which are means of the class's training samples weighted by
    responsibilities, ``typical samples`` (C, K, D), the training sample of the class where the
    component's density is largest, and ``class means`` (C, D).
    """
    weights, means, typical, centres, largest = [], [], [], [], []
    for c, label in enumerate(model.classes_):
        mixture = mixture_of(model, c)
        x, x_test = (
            standardised(model, part)
            for part in (task.x[task.y == label], task.x_test[task.y_test == label])
        )
        shares = mixture.posterior(x)
        weights.append(mixture.log_weights.exp())
        means.append(shares.T @ x / shares.sum(0)[:, None])
        typical.append(x[mixture.log_prob_components(x).argmax(0)])
        centres.append(x.mean(0))
        largest.append(mixture.posterior(x_test).amax(1))
    found = Findings()
    named = {"component weights": weights, "component means": means, "typical samples": typical}
    for name, values in {**named, "class means": centres}.items():
        found.arrays[name] = torch.stack(values).cpu().numpy()
    effective = np.exp(entr(found.arrays["component weights"]).sum(1))
    found.add(
        FLOWS,
        LEARNED,
        effective_components=effective.mean(),
        least_effective_components=effective.min(),
        largest_responsibility=torch.cat(largest).mean().item(),
        divided_samples=(torch.cat(largest) < 0.9).double().mean().item(),
    )
    return found
