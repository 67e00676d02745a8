"""The experiments by name: one module per table or figure of a paper."""

from __future__ import annotations

import difflib
import importlib

from companion.runs.config import ParameterError
from companion.runs.experiment import Experiment

# Name -> module; modules are imported only when asked for. Each defines EXPERIMENT.
_MODULES = {
    "em-gm/average-or-divide": "companion.em_gm.table_2.average_or_divide",
    "em-gm/beyond-glow": "companion.em_gm.images.beyond_glow",
    "em-gm/classifier": "companion.em_gm.classifier.experiment",
    "em-gm/convergence": "companion.em_gm.convergence",
    "em-gm/equal-steps": "companion.em_gm.images.equal_steps",
    "em-gm/features": "companion.em_gm.images.features",
    "em-gm/figures-3-6": "companion.em_gm.images.figures_3_6",
    "em-gm/further-epochs": "companion.em_gm.images.further_epochs",
    "em-gm/hybrids": "companion.em_gm.images.hybrids",
    "em-gm/image-doubt": "companion.em_gm.images.doubt",
    "em-gm/interpolation": "companion.em_gm.images.interpolation",
    "em-gm/long-flow": "companion.em_gm.images.long_flow",
    "em-gm/nearest-images": "companion.em_gm.images.nearest",
    "em-gm/norb-components": "companion.em_gm.table_2.norb_components",
    "em-gm/norb-light": "companion.em_gm.table_2.norb_light",
    "em-gm/optimizer": "companion.em_gm.images.optimizer",
    "em-gm/satimage-recipes": "companion.em_gm.table_2.satimage_recipes",
    "em-gm/satimage-windows": "companion.em_gm.table_2.satimage_windows",
    "em-gm/resizing": "companion.em_gm.images.resizing",
    "em-gm/single-flow": "companion.em_gm.images.single_flow",
    "em-gm/table-1": "companion.em_gm.images.table_1",
    "em-gm/table-2": "companion.em_gm.table_2.experiment",
    "em-gm/table-2-context": "companion.em_gm.table_2.context",
    "em-gm/table-2-sharing": "companion.em_gm.table_2.sharing",
    "gmm-basis/digits": "companion.gmm_basis.digits",
    "gmm-basis/figures-1-7": "companion.gmm_basis.figures",
    "gmm-basis/findings": "companion.gmm_basis.findings",
    "gmm-basis/style": "companion.gmm_basis.style",
    "gmm-basis/table-1": "companion.gmm_basis.table_1",
    "gmm-basis/table-2": "companion.gmm_basis.table_2",
    "gmm-basis/table-3": "companion.gmm_basis.table_3",
    "vmonf/ablations": "companion.vmonf.ablations",
    "vmonf/circles": "companion.vmonf.circles",
    "vmonf/circles-semi": "companion.vmonf.circles_semi",
    "vmonf/head-to-head": "companion.vmonf.head_to_head",
    "vmonf/mnist": "companion.vmonf.mnist",
    "vmonf/pinwheel-3": "companion.vmonf.pinwheel_3",
    "vmonf/pinwheel-5": "companion.vmonf.pinwheel_5",
}


def names() -> list[str]:
    """Return the names of all experiments, sorted."""
    return sorted(_MODULES)


def find(name: str) -> Experiment:
    """Return the experiment of that name.

    Raises
    ------
    ParameterError
        If there is none, with the closest name.
    """
    if name not in _MODULES:
        close = difflib.get_close_matches(name, _MODULES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ParameterError(f"no experiment {name!r}{hint} (see 'mixflow list')")
    experiment: Experiment = importlib.import_module(_MODULES[name]).EXPERIMENT
    return experiment
