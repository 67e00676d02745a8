"""Save and load fitted estimators: one safetensors file, config in its header, no pickle."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from mixflow.estimators.fitting import Fitting
from mixflow.estimators.schema import Budget, check_axes, check_names, fill
from mixflow.files import write_atomically
from mixflow.modes import own_modes
from mixflow.training.checkpoints import file_bytes, parse_bytes

FORMAT = 1
SUFFIX = ".safetensors"
DTYPES = {"float32": torch.float32, "float64": torch.float64}
NAME = "mixflow"  # of the config in a file's header
CLASSES = ("GenMM", "MixtureClassifier", "LatMM", "VMoNF", "BasisDensity", "RotatedBasisDensity")
# Came after the first models were saved; their defaults are what those models had.
LATER = {"optimizer", "positional_bias", "tone_curve"}
_KINDS: dict[str, Any] = {}  # name -> class of the library, which enters it when it is defined


class Savable(Fitting):
    """Give fitted estimators a method ``save``; :func:`mixflow.load` reads what it writes."""

    # The axes of what was learned beside a module, by the letters of ``check_axes``.
    _axes: ClassVar[dict[str, str]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__name__ in CLASSES and cls.__module__.startswith("mixflow."):
            _KINDS[cls.__name__] = cls

    def save(self, path: str | Path) -> Path:
        """Write the fitted estimator to one safetensors file, config in its header.

        The parameters are those of the fit, whatever was set since, but for ``random_state`` and
        others that describe no model. The file is read back, and
        takes the place of an old one only when it gives the same estimator.

        Parameters
        ----------
        path
            File to write; ``.safetensors`` is added unless the name ends so.

        Returns
        -------
        Path
            The file; ``load`` finds it by the name given, too.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If what was learned does not read back, because something changed it since the fit.
        OSError
            If the folder is missing, or the file cannot be written; an old one stays.
        """
        check_is_fitted(self)
        return save(self, path)

    def _sizes(self) -> dict[str, int]:
        """Return the lengths of axes that parameters set, by their letters."""
        raise NotImplementedError


def save(estimator: Any, path: str | Path) -> Path:
    """Write a fitted estimator; see ``Savable.save``."""
    path = _with_suffix(Path(path))
    learned, tensors = _learned(estimator)
    params = estimator._kept_params()
    header = {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "params": {n: _plain(n, v) for n, v in params.items()},
        "tuples": [n for n, v in params.items() if type(v) is tuple],
        "fitted": {
            n: _encode(v)
            for n, v in vars(estimator).items()
            if _is_fitted_value(n) and n not in tensors
        },
        **learned,
    }
    content = file_bytes(tensors, NAME, json.dumps(header))
    _verify(content, tensors)
    write_atomically(path, content)
    if path.read_bytes() != content:
        raise OSError(f"{path} does not read as it was written; the disk may be failing")
    return path


def _verify(content: bytes, tensors: dict[str, torch.Tensor]) -> None:
    """Raise ``ValueError`` unless the bytes read as an estimator with the same tensors."""
    try:
        other = _learned(_read(content))[1]
    except Exception as error:
        raise ValueError(
            f"the model does not read back as it was fitted ({error}); nothing was written: fit "
            "it again, and leave its attributes alone"
        ) from error
    assert all(torch.equal(other[name], t.detach().cpu()) for name, t in tensors.items())


@own_modes(grad=True)
def load(path: str | Path) -> Any:
    """Read an estimator that ``save`` wrote. Nothing in the file is executed.

    What becomes of the file later does not change the estimator.

    Parameters
    ----------
    path
        The file, with or without its suffix.

    Returns
    -------
    GenMM, LatMM, MixtureClassifier, VMoNF, BasisDensity or RotatedBasisDensity
        Fitted, on the CPU; scores equal those of the saved one.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or was not written by mixflow: names, shapes or sizes do not fit
        together, or numbers are not finite.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from mixflow import BasisDensity
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = load(BasisDensity(20).fit(X).save(f"{folder}/model.safetensors"))
    >>> model.n_features_in_
    2
    """
    path = next((p for p in (Path(path), _with_suffix(Path(path))) if p.is_file()), Path(path))
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return _read(path.read_bytes())
    except _OtherKind as error:
        raise ValueError(f"{path} {error}") from None
    except Exception as error:  # whatever a file leads to that another program made
        raise ValueError(f"{path} is damaged or no mixflow model ({error}); save it anew") from None


class _OtherKind(ValueError):
    """A file of a class or a format that is not ours."""


def _with_suffix(path: Path) -> Path:
    """Return the path with the files' suffix; a number's point, as in run_0.5, begins none."""
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


@own_modes(grad=True)
def _read(content: bytes) -> Any:
    """Return the estimator in the bytes of a file, checked."""
    tensors, text = parse_bytes(content, NAME)
    header = json.loads(text)
    kind, number = header["class"], header["format"]
    if kind not in CLASSES or number != FORMAT:
        raise _OtherKind(
            f"holds a {kind} of format {number}; this version reads {' and '.join(CLASSES)} of "
            f"format {FORMAT}"
        )
    return _made(header, tensors)


def _made(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    kind = _KINDS[header["class"]]
    known = set(kind._get_param_names())
    check_names("parameter", {*header["params"], *LATER & known}, known)
    tuples = {name: tuple(header["params"][name]) for name in header["tuples"]}
    params = {**header["params"], **tuples}
    if "device" in params:
        params["device"] = "cpu"
    estimator = kind(**params)
    estimator._validate_params()
    estimator._fitted_params = params
    for name, value in header["fitted"].items():
        if not _is_fitted_value(name):
            raise ValueError(f"{name!r} is no attribute of a fitted {kind.__name__}")
        setattr(estimator, name, _decode(value))
    _restore(estimator, header, tensors)
    check_axes(vars(estimator), estimator._axes, estimator._sizes())
    return estimator


def _learned(estimator: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what was learned as tensors, and what the header must say to read them."""
    if hasattr(estimator, "_module"):
        core = estimator.mixture_
        dtype = str(core.log_weights.dtype).removeprefix("torch.")
        header = {"bank": core.n_components, "dtype": dtype}
        return header, estimator._module().state_dict()
    values = {name: getattr(estimator, name) for name in estimator._axes}
    kind = "torch" if any(isinstance(v, torch.Tensor) for v in values.values()) else "numpy"
    tensors = {name: torch.as_tensor(v, device="cpu") for name, v in values.items()}
    return {"arrays": kind}, tensors


def _restore(estimator: Any, header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Put back what ``_learned`` gave."""
    if not hasattr(estimator, "_module"):
        check_names("tensor", tensors, estimator._axes)
        if header["arrays"] not in ("torch", "numpy"):
            raise ValueError(f"arrays must be torch's or numpy's, got {header['arrays']!r}")
        for name, tensor in tensors.items():
            setattr(estimator, name, tensor if header["arrays"] == "torch" else tensor.numpy())
        return
    bank, dtype = header["bank"], DTYPES[header["dtype"]]
    if bank != estimator._n_bank():
        raise ValueError(f"it holds {bank} components where {estimator._n_bank()} are asked for")
    with Budget(tensors):
        module = estimator._blank_module(bank)
    fill(module.to(dtype), tensors)
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
