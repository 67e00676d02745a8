"""The scikit-learn face of the mixtures."""

from mixflow.estimators.basis import BasisDensity
from mixflow.estimators.classifier import MixtureClassifier
from mixflow.estimators.genmm import GenMM
from mixflow.estimators.latmm import LatMM
from mixflow.estimators.persistence import load
from mixflow.estimators.rotated import RotatedBasisDensity
from mixflow.estimators.vmonf import VMoNF

__all__ = [
    "BasisDensity",
    "GenMM",
    "LatMM",
    "MixtureClassifier",
    "RotatedBasisDensity",
    "VMoNF",
    "load",
]
