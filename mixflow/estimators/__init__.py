"""The scikit-learn face of the mixtures."""

from mixflow.estimators.classifier import MixtureClassifier
from mixflow.estimators.genmm import GenMM
from mixflow.estimators.persistence import load

__all__ = ["GenMM", "MixtureClassifier", "load"]
