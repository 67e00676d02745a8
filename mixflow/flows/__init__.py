"""Invertible maps, each for a bank of K components at once."""

from mixflow.flows.bijection import Bijection, Chain
from mixflow.flows.curves import ToneCurve
from mixflow.flows.glow import Glow, GlowLevel
from mixflow.flows.layers import ActNorm, AffineCoupling, InvertibleLinear, Rotation, Squeeze
from mixflow.flows.shared import Shared
from mixflow.flows.spline_coupling import SplineCoupling, SplineFlow
from mixflow.flows.vector import VectorFlow

__all__ = [
    "ActNorm",
    "AffineCoupling",
    "Bijection",
    "Chain",
    "Glow",
    "GlowLevel",
    "InvertibleLinear",
    "Rotation",
    "Shared",
    "SplineCoupling",
    "SplineFlow",
    "Squeeze",
    "ToneCurve",
    "VectorFlow",
]
