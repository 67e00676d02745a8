"""How results are written."""

import numpy as np
import pytest

from companion.evidence.text import mean_and_sd


@pytest.mark.parametrize(
    ("mean", "sd", "written"),
    [
        (0.97, 0.0012, "0.970\u00a0±\u00a00.001"),
        (0.97, np.nan, "0.970"),
        (np.nan, np.nan, ""),
        (12.0, 0.0, "12.000\u00a0±\u00a00.000"),
    ],
)
def test_a_mean_and_its_sd_are_one_word(mean, sd, written):
    assert mean_and_sd(mean, sd, digits=3) == written
