"""Metrics given by a name, a function, or a function of scikit-learn."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import SupportsFloat, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from tapenet.metrics import inputs
from tapenet.metrics.accuracy import Accuracy, TopK
from tapenet.metrics.broadcasting import pairing_of
from tapenet.metrics.metric import Mean, Metric
from tapenet.metrics.perplexity import Perplexity
from tapenet.metrics.precision_recall import F1, Precision, Recall
from tapenet.metrics.ranking import AUC, AveragePrecision
from tapenet.metrics.regression import MAE, MSE, R2, RMSE
from tapenet.typing import Array, StateDict

#: What a metric is called in text.
NAMES: dict[str, Callable[[], Metric[object]]] = {
    **{kind.name: kind for kind in (Accuracy, Precision, Recall, F1, AUC, AveragePrecision, Perplexity)},
    **{kind.name: kind for kind in (MAE, MSE, RMSE, R2)},
    "top5": TopK,
}

Spec = str | Metric[object] | Callable[..., object]
Metrics = Spec | Iterable[Spec]


def resolve(specs: Metrics) -> list[Metric[object]]:
    """Metrics from one or several names, functions of output and target, or metrics.

    The value of a plain function is taken as a mean over the samples of its batch, and the mean over batches is by their
    lengths.

    Raises:
        ValueError: there is no metric of that name, or two have the same.
        TypeError: it is none of these.

    >>> resolve(["accuracy", F1("micro")])
    [<accuracy>, <f1>]
    >>> resolve("acuracy")
    Traceback (most recent call last):
    ValueError: there is no metric 'acuracy'; the names are accuracy, precision, ...
    """
    several = isinstance(specs, Iterable) and not isinstance(specs, str)
    found = [_metric(spec) for spec in (specs if several else [specs])]  # type: ignore[union-attr]
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"{names.count(name)} metrics are called {name!r}; name them apart: F1('micro', name='micro_f1')"
            )
    return found


def _metric(spec: object) -> Metric[object]:
    if isinstance(spec, Metric):
        return spec
    if isinstance(spec, str):
        if spec not in NAMES:
            raise ValueError(f"there is no metric {spec!r}; the names are {', '.join(NAMES)}")
        return NAMES[spec]()
    if isinstance(spec, type) and issubclass(spec, Metric):
        raise TypeError(f"{spec.__name__} is the class; make a metric of it: {spec.__name__}()")
    if callable(spec):
        name = getattr(spec, "__name__", "")
        if getattr(spec, "__module__", "").startswith("sklearn."):
            raise TypeError(
                f"{name} of scikit-learn takes the targets first, and wants classes where the model gives scores; "
                f"write from_sklearn({name}, classes=True), or without classes=True where it takes scores or numbers"
            )
        return _Function(spec)
    raise TypeError(f"{spec!r} is no metric; give a name, a metric of tn.metrics, or a function of output and target")


#: What a model of several outputs gives.
Arrays: TypeAlias = "Array | tuple[Arrays, ...] | dict[object, Arrays]"


class _Function(Mean):
    """A plain function of a batch, averaged by samples."""

    def __init__(self, function: Callable[[object, object], object]) -> None:
        self.function = function
        super().__init__(name=getattr(function, "__name__", type(function).__name__))

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        if weight is not None:
            raise ValueError(
                f"{self.name}: a plain function takes no weights; derive from tn.metrics.Metric, whose update does"
            )
        outputs, targets = _arrays(output), _arrays(target)
        first = isinstance(outputs, np.ndarray) and isinstance(targets, np.ndarray) and not self.seen
        if first and (problem := pairing_of(self.function, inputs.array(outputs), inputs.array(targets))):
            raise ValueError(f"{self.name} {problem}")
        value = inputs.array(self.function(outputs, targets))
        if value.size != 1:
            raise ValueError(f"{self.name} gave an array of shape {value.shape}; a metric is one number for a batch")
        while not isinstance(targets, np.ndarray):  # of several, the first
            targets = next(iter(targets.values() if isinstance(targets, dict) else targets))
        self.total += float(value.reshape(())) * len(targets)
        self.seen += len(targets)


def _arrays(value: object) -> Arrays:
    """Arrays in a tuple or dict, as a model of several outputs gives them; anything else as one array."""
    if isinstance(value, dict):
        return {name: _arrays(part) for name, part in value.items()}
    return tuple(map(_arrays, value)) if isinstance(value, tuple) else inputs.array(value)


def from_sklearn(
    function: Callable[..., object] | str,
    *,
    classes: bool = False,
    axis: int = 1,
    threshold: float | None = None,
    ignore_index: int | None = None,
    name: str | None = None,
    **options: object,
) -> Metric[object]:
    """A metric of scikit-learn as one that grows batch by batch: outputs and targets are kept, and it is computed of all.

    Args:
        function: a function (targets, outputs, ...) such as those of `sklearn.metrics`, or its name there.
        classes: give the function the classes that outputs predict, as `Accuracy` finds them, instead of outputs as they
            are. `axis`, `threshold` and `ignore_index` belong to that.
        axis: where the classes of scores are; 1 as in `cross_entropy`.
        threshold: for binary outputs, what class 1 is above: 0 for logits, 0.5 for probabilities.
        ignore_index: targets of this number do not count.
        name: what it is called in logs; by default the function's name.
        **options: passed to the function. Weights of samples, where given, are passed as `sample_weight`.

    Raises:
        ModuleNotFoundError: a name was given, and scikit-learn is not installed.
        ValueError: it has no function of that name.

    >>> def share_of_ones(true, predicted):
    ...     return float((predicted == 1).mean())
    >>> ones = from_sklearn(share_of_ones, classes=True)
    >>> ones.update([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    >>> ones.update([[0.3, 0.7], [0.2, 0.8]], [0, 1])
    >>> ones.compute()
    0.75
    """
    if isinstance(function, str):
        found = getattr(_sklearn(), function, None)
        if found is None:
            raise ValueError(f"sklearn.metrics has no function {function!r}; see scikit-learn.org for their names")
        function = found
    if not classes and (threshold is not None or ignore_index is not None):
        raise ValueError("from_sklearn: threshold and ignore_index are for classes=True")
    assert callable(function)
    return _Whole(function, classes, axis, threshold, ignore_index, name, options)


def _sklearn() -> ModuleType:
    try:
        return importlib.import_module("sklearn.metrics")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "metrics.from_sklearn with a name needs scikit-learn; write: pip install 'tapenet[metrics]'"
        ) from None


@dataclass(eq=False, repr=False)
class _Whole(Metric[object]):
    """A function of all outputs and targets."""

    kept = ("outputs", "targets", "weights")
    adds = True

    function: Callable[..., object]
    classes: bool
    axis: int
    threshold: float | None
    ignore_index: int | None
    called: str | None
    options: dict[str, object]

    def __post_init__(self) -> None:
        super().__init__(name=getattr(self.function, "__name__", "function") if self.called is None else self.called)

    def reset(self) -> None:
        self.outputs: list[Array] = []
        self.targets: list[Array] = []
        self.weights: list[inputs.Floats] = []

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        if self.classes:
            output, target, weight, _ = inputs.classes(
                self.name, output, target, weight, axis=self.axis, threshold=self.threshold, ignore=self.ignore_index
            )
            output, target = output.reshape(-1), target.reshape(-1)
            weight = None if weight is None else weight.reshape(-1)
        else:
            output, target = inputs.array(output), inputs.array(target)
            if len(output) != len(target):
                raise ValueError(f"{self.name}: {len(output)} outputs for {len(target)} targets")
            inputs.not_nan(self.name, output)
            weight = inputs.weights(self.name, weight, target.shape[:1])
        if self.outputs and (weight is None) == bool(self.weights):
            raise ValueError(f"{self.name}: weights must be given with every batch or with none")
        self.outputs = [*self.outputs, np.array(output)]
        self.targets = [*self.targets, np.array(target)]
        if weight is not None:
            self.weights = [*self.weights, np.array(weight)]

    def merge(self, state: StateDict) -> None:
        if self.outputs and state["outputs"] and bool(self.weights) != bool(state["weights"]):
            raise ValueError(f"{self.name}: one was given weights, and the other none")
        super().merge(state)

    def compute(self) -> object:
        if not sum(map(len, self.targets)):
            raise self._nothing()
        options = dict(self.options)
        if self.weights:
            options["sample_weight"] = np.concatenate(self.weights)
        value = self.function(np.concatenate(self.targets), np.concatenate(self.outputs), **options)
        return float(value) if isinstance(value, SupportsFloat) and np.ndim(inputs.array(value)) == 0 else value
