"""The mixtures of images that runs of table I keep, ready to use."""

from __future__ import annotations

from companion.em_gm.images import table_1
from companion.em_gm.images.models import new_flow
from companion.runs.stored import StoredRun
from companion.runs.weights import unpack_weights
from mixflow.mixtures import GenMM, LatMM


def rebuilt(run: StoredRun) -> GenMM:
    """Return the mixture of a stored run of table I, as it was measured.

    Parameters
    ----------
    run
        Of ``em-gm/table-1``, with ``keep``: ``Store().load(table_1.NAME, config)``.

    Returns
    -------
    GenMM
        On images (N, 1, H, W) in [-0.5, 0.5], on the CPU, without gradients; a
        :class:`~mixflow.mixtures.LatMM` where the run is one.

    Raises
    ------
    ValueError
        The run did not keep its weights, or they are damaged.
    """
    if "weights" not in run.arrays:
        raise ValueError(f"run {run.digest} kept no weights; run {table_1.NAME} with keep=true")
    config = table_1.Images.model_validate(run.config)
    image_shape = run.arrays["samples"].shape[1:]
    if config.model == "LatMM":
        mixture: GenMM = LatMM(new_flow(config, image_shape).flow, config.n_components)
    else:
        mixture = new_flow(config, image_shape, config.n_components)
    mixture.load_state_dict(unpack_weights(run.arrays["weights"]))
    mixture.eval().requires_grad_(False)
    return mixture
