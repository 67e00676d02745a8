"""Measures of fitted models."""

from mixflow.metrics.likelihood import integral_2d

__all__ = ["integral_2d"]
