"""What every fit keeps to: all or nothing, known parameters, and a record of those it used."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

# What other libraries call parameters of ours.
ELSEWHERE = {
    "epochs": "max_epochs",
    "lr": "learning_rate",
    "max_iter": "max_epochs",
    "n_clusters": "n_components",
    "n_iter": "max_epochs",
    "seed": "random_state",
}
# Parameters that say nothing of what was fitted: where it ran, what was told, what sample draws.
AROUND = ("callback", "checkpoint", "device", "random_state", "verbose")
TOO_LARGE = "alloc"  # in what torch and NumPy say of memory that they cannot have


class Fitting(BaseEstimator):
    """Name parameters that are not known, and leave nothing behind when a fit fails."""

    # The parameters of the last fit, whatever ``set_params`` does later.
    _fitted_params: dict[str, Any]
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Else Python before 3.11.3 shows the signature of __new__.
        own = inspect.signature(cls.__init__)
        cls.__signature__ = own.replace(parameters=list(own.parameters.values())[1:])

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse unknown parameters by the name of the class that was called."""
        known = cls._get_param_names()
        for name in kwargs:
            if name not in known:
                raise TypeError(_unknown(cls.__name__, name, known))
        return super().__new__(cls)

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of parts as ``part__parameter``."""
        known = self._get_param_names()
        for name in params:
            if name.partition("__")[0] not in known:
                raise ValueError(_unknown(type(self).__name__, name, known))
        return super().set_params(**params)

    def _feature(self, d: int) -> str:
        """Return what messages call a feature: its column's name, or its number."""
        names = getattr(self, "feature_names_in_", None)
        return f"feature {d}" if names is None else f"column {names[d]!r}"

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose how samples come: "default" for arrays, "pandas" or "polars" for data frames.

        As scikit-learn's transformers have it, whose ``set_config(transform_output=...)`` counts
        here too. None changes nothing.
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of samples: those of X, or x0, x1, ..."""
        check_is_fitted(self, "n_features_in_")
        return np.asarray(_check_feature_names_in(self, input_features))

    def _framed(self, x: Any) -> Any:
        """Return samples (N, D) as ``set_output`` asks: an array, or a frame with named columns."""
        wanted = _get_output_config("transform", self)["dense"]
        if wanted == "default" or not isinstance(x, np.ndarray) or x.ndim != 2:
            return x
        container = ADAPTERS_MANAGER.adapters[wanted]
        return container.create_container(x, x, columns=self.get_feature_names_out())

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Leave the estimator as it was when what is inside fails, else note its parameters."""
        before = dict(vars(self))
        try:
            yield
            self._fitted_params = _copies(self)
        except BaseException as error:
            self.__dict__ = before
            if isinstance(error, RuntimeError | MemoryError) and TOO_LARGE in str(error):
                raise MemoryError(_too_large(self, error)) from error
            raise

    def _kept_params(self) -> dict[str, Any]:
        """Return the parameters of the fit, those of ``AROUND`` as they are now."""
        now = {n: v for n, v in self.get_params(deep=False).items() if n in AROUND}
        return {**self._fitted_params, **now}

    def _refuse_changes(self, names: tuple[str, ...], remedy: str) -> None:
        """Raise ``ValueError`` for parameters that are no longer those of the fit."""
        fitted = self._fitted_params
        for name in names:
            if name in fitted and not _same(fitted[name], getattr(self, name)):
                raise ValueError(
                    f"{name} was {fitted[name]!r} when this {type(self).__name__} was fitted, and "
                    f"is {getattr(self, name)!r} now: {remedy}, or set it back"
                )


def _copies(estimator: BaseEstimator) -> dict[str, Any]:
    """Return the parameters; those that have parameters of their own, and could move, as copies."""
    params = estimator.get_params(deep=False)
    return {n: clone(v) if hasattr(v, "get_params") else v for n, v in params.items()}


def _same(a: Any, b: Any) -> bool:
    if hasattr(a, "get_params") and type(a) is type(b):
        mine, theirs = a.get_params(), b.get_params()
        return mine.keys() == theirs.keys() and all(_same(mine[n], theirs[n]) for n in mine)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)


def _unknown(kind: str, name: str, known: list[str]) -> str:
    close = [ELSEWHERE[name]] if ELSEWHERE.get(name) in known else []
    close = close or difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
    return f"{kind} has no parameter {name!r}; {hint}"


def _too_large(estimator: BaseEstimator, error: BaseException) -> str:
    sizes = {n: v for n, v in estimator.get_params().items() if type(v) is int and v >= 1000}
    most = ", ".join(f"{n}={v}" for n, v in sizes.items()) or "these parameters"
    return (
        f"{type(estimator).__name__} with {most} does not fit into memory; take smaller numbers "
        f"({str(error).splitlines()[0][-120:]})"
    )
