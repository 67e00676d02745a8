"""Mixture densities: everything that is a sum over k."""

from mixflow.mixtures.base import Mixture
from mixflow.mixtures.defensive import DefensiveMixture
from mixflow.mixtures.gaussian import GaussianMixture
from mixflow.mixtures.genmm import GenMM
from mixflow.mixtures.latmm import LatMM
from mixflow.mixtures.vmonf import VMoNF

__all__ = [
    "DefensiveMixture",
    "GaussianMixture",
    "GenMM",
    "LatMM",
    "Mixture",
    "VMoNF",
]
