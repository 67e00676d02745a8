"""Invertible maps, each for a bank of K components at once."""

from mixflow.flows.bijection import Bijection, Chain
from mixflow.flows.curves import ToneCurve
from mixflow.flows.glow import Glow, GlowLevel
from mixflow.flows.layers import ActNorm, AffineCoupling, InvertibleLinear, Rotation, Squeeze
from mixflow.flows.marginals import Marginals
from mixflow.flows.permutation import Permutation
from mixflow.flows.shared import Shared
from mixflow.flows.spline_coupling import SplineCoupling, SplineFlow
from mixflow.flows.started import StartedSplines
from mixflow.flows.vector import VectorFlow
from mixflow.flows.whitening import Whitening

__all__ = [
    "ActNorm",
    "AffineCoupling",
    "Bijection",
    "Chain",
    "Glow",
    "GlowLevel",
    "InvertibleLinear",
    "Marginals",
    "Permutation",
    "Rotation",
    "Shared",
    "SplineCoupling",
    "SplineFlow",
    "Squeeze",
    "StartedSplines",
    "ToneCurve",
    "VectorFlow",
    "Whitening",
]
