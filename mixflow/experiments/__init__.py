"""Experiments: one module per table or figure of a paper."""

from __future__ import annotations

import difflib
import importlib

from mixflow.experiments.base import Config, Experiment, ParameterError, Result, RunContext

__all__ = [
    "Config",
    "Experiment",
    "ParameterError",
    "Result",
    "RunContext",
    "find",
    "names",
]

# Name -> module; modules are imported only when asked for. Each defines EXPERIMENT.
_MODULES = {
    "em-gm/average-or-divide": "mixflow.experiments.em_gm.table_2.average_or_divide",
    "em-gm/beyond-glow": "mixflow.experiments.em_gm.images.beyond_glow",
    "em-gm/classifier": "mixflow.experiments.em_gm.classifier.experiment",
    "em-gm/convergence": "mixflow.experiments.em_gm.convergence",
    "em-gm/equal-steps": "mixflow.experiments.em_gm.images.equal_steps",
    "em-gm/features": "mixflow.experiments.em_gm.images.features",
    "em-gm/figures-3-6": "mixflow.experiments.em_gm.images.figures_3_6",
    "em-gm/further-epochs": "mixflow.experiments.em_gm.images.further_epochs",
    "em-gm/hybrids": "mixflow.experiments.em_gm.images.hybrids",
    "em-gm/image-doubt": "mixflow.experiments.em_gm.images.doubt",
    "em-gm/interpolation": "mixflow.experiments.em_gm.images.interpolation",
    "em-gm/long-flow": "mixflow.experiments.em_gm.images.long_flow",
    "em-gm/nearest-images": "mixflow.experiments.em_gm.images.nearest",
    "em-gm/norb-components": "mixflow.experiments.em_gm.table_2.norb_components",
    "em-gm/norb-light": "mixflow.experiments.em_gm.table_2.norb_light",
    "em-gm/optimizer": "mixflow.experiments.em_gm.images.optimizer",
    "em-gm/satimage-recipes": "mixflow.experiments.em_gm.table_2.satimage_recipes",
    "em-gm/satimage-windows": "mixflow.experiments.em_gm.table_2.satimage_windows",
    "em-gm/resizing": "mixflow.experiments.em_gm.images.resizing",
    "em-gm/single-flow": "mixflow.experiments.em_gm.images.single_flow",
    "em-gm/table-1": "mixflow.experiments.em_gm.images.table_1",
    "em-gm/table-2": "mixflow.experiments.em_gm.table_2.experiment",
    "em-gm/table-2-context": "mixflow.experiments.em_gm.table_2.context",
    "em-gm/table-2-sharing": "mixflow.experiments.em_gm.table_2.sharing",
    "gmm-basis/digits": "mixflow.experiments.gmm_basis.digits",
    "gmm-basis/figures-1-7": "mixflow.experiments.gmm_basis.figures",
    "gmm-basis/findings": "mixflow.experiments.gmm_basis.findings",
    "gmm-basis/style": "mixflow.experiments.gmm_basis.style",
    "gmm-basis/table-1": "mixflow.experiments.gmm_basis.table_1",
    "gmm-basis/table-2": "mixflow.experiments.gmm_basis.table_2",
    "gmm-basis/table-3": "mixflow.experiments.gmm_basis.table_3",
    "vmonf/ablations": "mixflow.experiments.vmonf.ablations",
    "vmonf/circles": "mixflow.experiments.vmonf.circles",
    "vmonf/circles-semi": "mixflow.experiments.vmonf.circles_semi",
    "vmonf/head-to-head": "mixflow.experiments.vmonf.head_to_head",
    "vmonf/mnist": "mixflow.experiments.vmonf.mnist",
    "vmonf/pinwheel-3": "mixflow.experiments.vmonf.pinwheel_3",
    "vmonf/pinwheel-5": "mixflow.experiments.vmonf.pinwheel_5",
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
