"""Save and load fitted estimators: one safetensors file, config in its header, no pickle."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from mixflow.files import write_atomically
from mixflow.modes import own_modes
from mixflow.training.checkpoints import file_bytes, read_file

FORMAT = 1
NAME = "mixflow"  # of the config in a file's header
CLASSES = ("GenMM", "MixtureClassifier", "LatMM", "VMoNF", "BasisDensity", "RotatedBasisDensity")


class Savable:
    """Give fitted estimators a method ``save``; :func:`mixflow.load` reads what it writes."""

    def save(self, path: str | Path) -> Path:
        """Write the fitted estimator to one safetensors file, config in its header.

        Parameters
        ----------
        path
            File to write; ``.safetensors`` is added when there is no suffix.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(self)
        return save(self, path)


def save(estimator: Any, path: str | Path) -> Path:
    """Write a fitted estimator; see ``Savable.save``."""
    path = Path(path)
    path = path if path.suffix else path.with_suffix(".safetensors")
    learned, tensors = _learned(estimator)
    header = {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "params": {n: _plain(n, v) for n, v in estimator.get_params(deep=False).items()},
        "tuples": [n for n, v in estimator.get_params(deep=False).items() if type(v) is tuple],
        "fitted": {
            n: _encode(v)
            for n, v in vars(estimator).items()
            if _is_fitted_value(n) and n not in tensors
        },
        **learned,
    }
    write_atomically(path, file_bytes(tensors, NAME, json.dumps(header)))
    return path


@own_modes(grad=True)
def load(path: str | Path) -> Any:
    """Read an estimator that ``save`` wrote. Nothing in the file is executed.

    What becomes of the file later does not change the estimator.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    GenMM, LatMM, MixtureClassifier, VMoNF, BasisDensity or RotatedBasisDensity
        Fitted, on the CPU; scores equal those of the saved one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or was not written by mixflow.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    try:
        tensors, text = read_file(path, NAME)
        header = json.loads(text)
        kind, number = header["class"], header["format"]
        if kind in CLASSES and number == FORMAT:
            return _made(header, tensors)
    # What a file leads to that another program made.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged or no mixflow model ({error}); save it anew") from None
    raise ValueError(
        f"{path} holds a {kind} of format {number}; this version reads {' and '.join(CLASSES)} of "
        f"format {FORMAT}"
    )


def _made(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    from mixflow import estimators

    tuples = {name: tuple(header["params"][name]) for name in header["tuples"]}
    params = {**header["params"], **tuples}
    if "device" in params:
        params["device"] = "cpu"
    estimator = getattr(estimators, header["class"])(**params)
    for name, value in header["fitted"].items():
        setattr(estimator, name, _decode(value))
    _restore(estimator, header, tensors)
    return estimator


def _learned(estimator: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what was learned as tensors, and what the header must say to read them."""
    if names := getattr(estimator, "_arrays", None):
        values = {name: getattr(estimator, name) for name in names}
        kind = "torch" if isinstance(values[names[0]], torch.Tensor) else "numpy"
        return {"arrays": kind}, {
            name: torch.as_tensor(v, device="cpu") for name, v in values.items()
        }
    core = estimator.mixture_
    dtype = str(core.log_weights.dtype).removeprefix("torch.")
    header = {"bank": core.n_components, "dtype": dtype}
    return header, estimator._module().state_dict()


def _restore(estimator: Any, header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Put back what ``_learned`` gave."""
    if kind := header.get("arrays"):
        for name, tensor in tensors.items():
            setattr(estimator, name, tensor if kind == "torch" else tensor.numpy())
        return
    module = estimator._blank_module(header["bank"]).to(getattr(torch, header["dtype"]))
    module.load_state_dict(tensors)
    module.eval().requires_grad_(False)


def _is_fitted_value(name: str) -> bool:
    # _count_: what add_class needs to go on.
    module = name in ("mixture_", "model_")
    public = name.endswith("_") and not name.startswith("_") and not module
    return public or name == "_count_"


def _plain(name: str, value: Any) -> Any:
    """Return a parameter as JSON; what JSON cannot hold is left out with a warning."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, (tuple, list)):
        value = [x.tolist() if isinstance(x, (np.ndarray, np.generic)) else x for x in value]
    try:
        json.dumps(value)
    except TypeError:
        warnings.warn(
            f"parameter {name}={value!r} cannot be saved; None stands for it", stacklevel=4
        )
        return None
    return value


def _encode(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"items": {name: _encode(item) for name, item in value.items()}}
    if isinstance(value, np.ndarray):
        # Object arrays (class labels) must hold plain strings or numbers.
        return {"array": value.tolist(), "dtype": value.dtype.str}
    return {"value": value.item() if isinstance(value, np.generic) else value}


def _decode(value: dict[str, Any]) -> Any:
    if "items" in value:
        return {name: _decode(item) for name, item in value["items"].items()}
    if "frame" in value:  # of version 0.1, whose history was a table
        frame = json.loads(value["frame"])
        columns = np.array(frame["data"], dtype=float).reshape(-1, len(frame["columns"])).T
        return dict(zip(frame["columns"], columns, strict=True))
    if "array" in value:
        return np.array(value["array"], dtype=np.dtype(value["dtype"]))
    return value["value"]
