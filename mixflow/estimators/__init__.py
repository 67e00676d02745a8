"""The scikit-learn face of the mixtures."""

from mixflow.estimators.classifier import MixtureClassifier
from mixflow.estimators.genmm import GenMM
from mixflow.estimators.persistence import load
from mixflow.estimators.vmonf import VMoNF

__all__ = ["GenMM", "MixtureClassifier", "VMoNF", "load"]
