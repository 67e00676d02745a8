"""Claims of the three papers, each with its test: what pages and ``mixflow status`` judge."""

from __future__ import annotations

from companion.evidence.claims import (
    em_gm_images,
    em_gm_tables,
    em_gm_walks,
    gmm_basis_fits,
    gmm_basis_images,
    vmonf,
)
from companion.evidence.claims.base import Claim

# Lines of the papers' list that are no claim: there is nothing that a test could fail.
LEFT_OUT = {
    ("gmm-basis", "figure-3"): "shows two random targets, which are drawn to be what it shows",
    ("gmm-basis", "figure-7"): "shows six more fits, and says nothing of them",
    ("gmm-basis", "figure-8"): "is a diagram of the model",
}


def load_claims() -> list[Claim]:
    """Return every claim, paper by paper, in the order of the papers' figures."""
    modules = (em_gm_tables, em_gm_images, em_gm_walks, gmm_basis_fits, gmm_basis_images, vmonf)
    return [claim for module in modules for claim in module.CLAIMS]
