"""How probable held-out samples are under a density: in nats, nats per pixel, bits per dimension.

Every function takes log densities in nats, as ``score_samples`` of an estimator gives them. A
density depends on the units of x, so compare only numbers of the same data on the same scale.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import ArrayLike

from mixflow.validation import Real, as_log_densities, check_whole

N_LEVELS = 256  # of a byte


def negative_log_likelihood(log_prob: ArrayLike) -> float:
    r"""Return the mean negative log-likelihood (NLL), :math:`-\frac1N \sum_n \log p(x_n)`.

    Parameters
    ----------
    log_prob
        Log densities in nats, (N,); -inf where the density is 0.

    Returns
    -------
    float
        Nats per sample, lower is better. It may be negative, as a density may exceed 1, and is
        infinite where one sample is impossible.

    Raises
    ------
    ValueError
        No sample, another shape, masked values, NaN or +infinity.

    Notes
    -----
    Its expectation is the entropy of the data plus the Kullback-Leibler divergence of the model
    from them, so the true density has the lowest.

    Examples
    --------
    >>> negative_log_likelihood([-1.0, -3.0])
    2.0
    """
    return float(0.0 - as_log_densities(log_prob, "log_prob", "N").mean())


def nats_per_pixel(log_prob: ArrayLike, n_pixels: int, *, n_levels: int = N_LEVELS) -> Any:
    r"""Return the NLL of images in nats per pixel, :math:`-\log p(x) / D + \log L`, for each.

    Parameters
    ----------
    log_prob
        Log densities of images in nats, any shape, where black and white are 1 apart; -inf
        where the density is 0.
    n_pixels
        D, numbers in an image: C H W.
    n_levels
        L: the density is taken per grey level, of which L are 1 apart in its units. 1 leaves it
        per unit.

    Returns
    -------
    float or numpy.ndarray
        Nats per pixel in the shape of ``log_prob``, a float for a number; lower is better. A
        uniform density between black and white has log L.

    Raises
    ------
    ValueError
        Nothing, masked values, NaN or +infinity; ``n_pixels`` or ``n_levels`` below 1.

    Notes
    -----
    The NLL of EM-GM's table I, https://arxiv.org/abs/1907.13432, by its released code. Where the
    images carry uniform noise of a level's width, its mean over that noise is at least the NLL of
    the grey levels themselves: L. Theis et al., https://arxiv.org/abs/1511.01844, section 3.1.

    Examples
    --------
    >>> nats_per_pixel([0.0, 784.0], 784).round(4).tolist()
    [5.5452, 4.5452]
    """
    check_whole("n_pixels", n_pixels, 1)
    check_whole("n_levels", n_levels, 1)
    nats: Real = math.log(n_levels) - as_log_densities(log_prob, "log_prob") / n_pixels
    return nats if nats.ndim else float(nats)


def bits_per_dim(log_prob: ArrayLike, n_dims: int, *, n_levels: int = N_LEVELS) -> Any:
    r"""Return the NLL of images in bits per dimension, :math:`(-\log p(x) / D + \log L) / \log 2`.

    Parameters
    ----------
    log_prob, n_levels
        As for :func:`nats_per_pixel`.
    n_dims
        D, numbers in an image: C H W.

    Returns
    -------
    float or numpy.ndarray
        Bits per dimension in the shape of ``log_prob``, a float for a number; lower is better. A
        uniform density between black and white has log2 L, 8 for bytes.

    Raises
    ------
    ValueError
        As :func:`nats_per_pixel`.

    Notes
    -----
    As reported by L. Dinh et al., https://arxiv.org/abs/1605.08803. The bound of
    :func:`nats_per_pixel` holds here too.

    Examples
    --------
    >>> bits_per_dim(0.0, 784)
    8.0
    """
    check_whole("n_dims", n_dims, 1)
    return nats_per_pixel(log_prob, n_dims, n_levels=n_levels) / math.log(2)
