"""How results are written."""

from __future__ import annotations


def mean_and_sd(mean: float, sd: float, digits: int = 4) -> str:
    r"""Write a mean and its standard deviation so that no line breaks between them.

    An sd of NaN, as of a single value, is left out; a mean of NaN gives an empty text.

    Examples
    --------
    >>> mean_and_sd(0.97, 0.0012, digits=3).replace("\u00a0", " ")
    '0.970 ± 0.001'
    """
    if mean != mean:
        return ""
    return f"{mean:.{digits}f}" + (f"\u00a0±\u00a0{sd:.{digits}f}" if sd == sd else "")
