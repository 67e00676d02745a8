"""One fit to a set in the plane: config, run, and what is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from companion.runs.config import Config
from companion.runs.experiment import RunContext
from companion.runs.formats import arrays_bytes, read_arrays
from companion.runs.result import Result
from companion.runs.weights import pack
from companion.vmonf.methods import Fitted, fit, samples_by_component, uses_labels
from companion.vmonf.recipes import BASELINES, Model, recipe
from companion.vmonf.sets import Plane, PlaneSet, draw
from mixflow.estimators import GenMM, VMoNF
from mixflow.files import write_atomically
from mixflow.metrics import components_in_use, integral_2d, matched_accuracy, separation
from mixflow.metrics.integration import plane as grid_around

Start = Literal["kmeans", "random", "labels", "spectral"]
N_FRAMES, N_CURVE = 48, 2000
GRID, FRAME_GRID, FRAME_SAMPLES = 160, 72, 150
# A component is in use when it owns at least this share of the test samples.
IN_USE = 0.01


class PlaneConfig(Config):
    """One fit to a set in the plane; None takes the model's recipe (``vmonf/recipes.py``)."""

    dataset: PlaneSet = Field("pinwheel-5", description="the set")
    model: Model = Field("VMoNF", description="what is fitted, and how")
    start: Start = Field("kmeans", description="where responsibilities come from")
    size: float = Field(1.0, gt=0, le=10, description="factor on the number of samples")
    keep: bool = Field(False, description="store the model, maps, samples and frames")
    n_components: int | None = Field(None, ge=1, le=50, description="K")
    n_layers: int | None = Field(None, ge=1, description="couplings of a flow")
    hidden_features: int | None = Field(None, ge=1)
    hidden_layers: int | None = Field(None, ge=1)
    mixing: Literal["rotation", "lu", "reverse"] | None = None
    posterior_features: int | None = Field(None, ge=1, description="width of q's network")
    posterior_layers: int | None = Field(None, ge=0)
    epochs: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    schedule: Literal["cosine", "noam", "constant"] | None = None
    warmup: int | None = Field(None, ge=0, description="steps")
    noise: float | None = Field(None, ge=0, description="sd on standardised samples")
    start_share: float | None = Field(None, ge=0, lt=1, description="of the steps")
    temperature_end: float | None = Field(None, gt=0, description="T of q goes from 1 to this")
    weights: Literal["learned", "uniform"] | None = None
    label_weight: float | None = Field(None, ge=0)
    consistency: float | None = Field(None, ge=0)
    annihilation: float | None = Field(None, ge=0, description="lambda")
    shared_layers: int | None = Field(None, ge=0, description="couplings of a common trunk")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Put the recipe in, so that the config says all and its digest changes with it."""
        fields = cls.model_fields
        dataset, model = (values.get(n, fields[n].default) for n in ("dataset", "model"))
        try:
            known = recipe(dataset, model)
        except (KeyError, AttributeError, TypeError):
            return values  # the types say what is wrong
        given = {name: value for name, value in values.items() if value is not None}
        foreign = [
            name
            for name in given
            if name in fields and name not in known and fields[name].default is None
        ]
        if foreign:
            raise ValueError(f"{model!r} has no parameter {', '.join(foreign)}")
        return {**known, **given}


def run(config: PlaneConfig, context: RunContext) -> Result:
    """Fit the model, and measure it on fresh samples."""
    plane = draw(config.dataset, config.seed, size=config.size)
    watch = _Watch(config, plane, context.checkpoint)
    start = time.perf_counter()
    fitted = fit(config, plane, context, watch)
    costs = {"fit_seconds": time.perf_counter() - start - watch.seconds}
    metrics = _clustering(config, plane, fitted) | _density(plane, fitted)
    arrays: dict[str, np.ndarray] = {}
    if config.model not in BASELINES:
        arrays = watch.curves(fitted.model.history_)
        parameters = fitted.model._module().parameters()
        costs["parameters"] = float(sum(p.numel() for p in parameters))
    if config.keep and config.model not in BASELINES:
        arrays |= {**watch.frames(), **_pictures(config, plane, fitted)}
    return Result(_rows(config, metrics), arrays, costs)


def _clustering(config: PlaneConfig, plane: Plane, fitted: Fitted) -> dict[str, float]:
    component = fitted.component
    y = plane.y_test if fitted.of_test else plane.y[: len(component)]
    k = config.n_components or int(component.max()) + 1
    wrong = separation(y, component, n_components=max(k, int(component.max()) + 1))
    labelled = fitted.of_test and uses_labels(config, plane)
    return {
        # Where labels name the components, they need no matching.
        "accuracy": float((y == component).mean()) if labelled else matched_accuracy(y, component),
        "ari": float(adjusted_rand_score(y, component)),
        "nmi": float(normalized_mutual_info_score(y, component)),
        "components_in_use": float(len(components_in_use(component, IN_USE))),
        "class_cut": float(wrong.class_cut),
        "class_shared": float(wrong.class_shared),
        "dead": float(wrong.dead),
    }


def _density(plane: Plane, fitted: Fitted) -> dict[str, float]:
    if fitted.log_prob is None:
        return {}
    true = float(plane.log_density(plane.x_test).mean())
    ours = float(fitted.log_prob(plane.x_test).mean())
    out = {
        "test_log_likelihood": ours,
        "true_log_likelihood": true,
        "nats_below_true": true - ours,
        "integral": integral_2d(fitted.log_prob, plane.x),
    }
    if type(fitted.model) is VMoNF:
        out["elbo_gap"] = float(fitted.model.gap(plane.x_test).mean())
        posterior = fitted.model.posterior(plane.x_test).argmax(1)
        out["posterior_accuracy"] = matched_accuracy(plane.y_test, posterior)
    return out


def _pictures(config: PlaneConfig, plane: Plane, fitted: Fitted) -> dict[str, np.ndarray]:
    """Return what the figures draw: the model, q over the plane, samples of every component."""
    model = fitted.model
    x, y, nodes = grid_around(plane.x[:N_CURVE], GRID)
    q = model.predict_proba(nodes).reshape(GRID, GRID, -1)
    shown = slice(0, 3000)
    # Only what ``mixflow.load`` reads: a mixture trained by EM on batches is no estimator.
    packed = {"model": pack(model)} if type(model) in (VMoNF, GenMM) else {}
    return {
        **packed,
        "grid_x": x,
        "grid_y": y,
        "posterior": np.round(255 * q).astype(np.uint8),
        "samples": samples_by_component(model, 600, config.seed).astype(np.float32),
        "weights": model.weights_,
        "data": plane.x[shown].astype(np.float32),
        "classes": plane.y[shown],
        "labels": plane.labels[shown],
    }


class _Watch:
    """Look at a fit while it runs: ELBO and log p on test samples, and frames.

    The curves go into the fit's history, which its checkpoints hold; frames into a file beside
    the checkpoints, so that a run that was cut has those from before.
    """

    def __init__(self, config: PlaneConfig, plane: Plane, folder: Path) -> None:
        self.config, self.plane, self.seconds = config, plane, 0.0
        self.every = max(1, (config.epochs or 1) // N_FRAMES)
        self.lines = grid_around(plane.x[:N_CURVE], FRAME_GRID)
        self.path = folder / "frames.npz"
        self.seen = read_arrays(self.path) if self.path.exists() else {}

    def __call__(self, model: Any, epoch: int) -> dict[str, float]:
        if epoch % self.every and epoch + 1 != self.config.epochs:
            return {}
        start = time.perf_counter()
        x, y = self.plane.x_test[:N_CURVE], self.plane.y_test[:N_CURVE]
        record = {"test_log_likelihood": float(model.score(x))}
        if type(model) is VMoNF:
            record["test_elbo"] = float(model.elbo(x).mean())
            record["accuracy"] = matched_accuracy(y, model.predict(x))
            if self.config.keep:
                self._frame(model, epoch)
        self.seconds += time.perf_counter() - start
        return record

    def _frame(self, model: VMoNF, epoch: int) -> None:
        q = model.predict_proba(self.lines[2])
        drawn = samples_by_component(model, FRAME_SAMPLES, self.config.seed)
        self.seen[f"map {epoch:06d}"] = np.round(255 * q).astype(np.uint8)
        self.seen[f"samples {epoch:06d}"] = drawn.reshape(-1, 2).astype(np.float32)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, arrays_bytes(self.seen))

    def curves(self, history: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the curves of a fit, by name, each (T,)."""
        if "test_log_likelihood" not in history:
            return {}
        looked = pd.DataFrame(history).dropna(subset=["test_log_likelihood"])
        names = [n for n in ("test_log_likelihood", "test_elbo", "accuracy") if n in looked]
        out = {f"curve_{name}": looked[name].to_numpy() for name in names}
        return {"curve_epoch": looked["epoch"].to_numpy() + 1, **out}

    def frames(self) -> dict[str, np.ndarray]:
        """Return maps (T, G, G, K), samples (T, K M, 2) and the components (K M,)."""
        maps = [self.seen[name] for name in sorted(self.seen) if name.startswith("map")]
        drawn = [self.seen[name] for name in sorted(self.seen) if name.startswith("samples")]
        if not maps:
            return {}
        k = maps[0].shape[1]
        return {
            "frame_maps": np.stack(maps).reshape(-1, FRAME_GRID, FRAME_GRID, k),
            "frame_samples": np.stack(drawn),
            "frame_components": np.repeat(np.arange(k), FRAME_SAMPLES),
            "frame_x": self.lines[0],
            "frame_y": self.lines[1],
        }


def _rows(config: PlaneConfig, metrics: Mapping[str, float]) -> pd.DataFrame:
    k = f"K={config.n_components}"
    start = "k-means" if config.start == "kmeans" else config.start
    same = {
        "dataset": config.dataset,
        "model": config.model,
        "setting": k if config.model in BASELINES else f"{k}, {start} start",
        "seed": config.seed,
    }
    return pd.DataFrame([{**same, "metric": m, "value": v} for m, v in sorted(metrics.items())])
