"""A network in four verbs: add, use, fit, predict."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from tapenet import files
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing import draw
from tapenet.drawing.picture import Picture
from tapenet.metrics.by_name import Metrics
from tapenet.nn.containers import Sequential
from tapenet.nn.module import Module
from tapenet.nn.notebook_display import inputs_like_before
from tapenet.nn.summarize import Summary, summary
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.stack_frames import user_site
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.rules.sgd import SGD
from tapenet.optim.schedules import Schedule
from tapenet.program.low import is_float
from tapenet.training.batches import as_tensors
from tapenet.training.evaluation import evaluate, predict
from tapenet.training.fit_arguments import bind, check_loss, check_optimizer
from tapenet.training.fitting import Callbacks, fit
from tapenet.training.history import History, Logs
from tapenet.training.loss_mismatch import pairing, scale
from tapenet.training.training_mode import mode
from tapenet.typing import Array


class _Used(NamedTuple):
    """What a network learns with."""

    loss: Callable[..., Tensor]
    optimizer: Optimizer


class Network(Sequential):
    """Layers that run one after the other, and how they learn, in four verbs: `add` layers, say what to `use`, `fit` to
    data, `predict`. It is an `nn.Sequential`: whatever takes a module takes it too.

    Args:
        *layers: the first layers; more come by `add`.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet import nn, optim
    >>> import tapenet.nn.functional as F
    >>> tn.random.seed(0)
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    >>> y = np.array([[0], [1], [1], [0]], np.float32)
    >>> net = tn.Network()
    >>> for layer in (nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Tanh()):
    ...     _ = net.add(layer)
    >>> net.use(F.mse_loss)
    Network(
      0: Linear(2, 3)  weight (3, 2), bias (3,)  9
      1: Tanh()
      2: Linear(3, 1)  weight (1, 3), bias (1,)  4
      3: Tanh()
    )
    13 parameters
    >>> history = net.fit(x, y, epochs=1000, learning_rate=0.1, batch_size=1, verbose=0)
    >>> net.predict(x).round().astype(int).ravel().tolist()
    [0, 1, 1, 0]
    """

    # A slot, so that a loss that is a module is no layer. Copies have none: the optimizer has this one's parameters.
    __slots__ = ("_used",)
    _used: _Used

    def __init__(self, *layers: Module) -> None:
        super().__init__(*layers)

    def add(self, layer: Module) -> Self:
        """Put a layer behind the others; returns the network.

        Raises:
            TypeError: no module.
            RuntimeError: the optimizer has the parameters that were there before, and would leave out these.
        """
        used = getattr(self, "_used", None)
        if used is not None and used.optimizer.bound:
            raise RuntimeError(
                "Network.add: the optimizer has the parameters of the layers so far, and would leave out those of this one. "
                "Add layers before fit; or take a new one: net.append(layer), then net.use(loss, optim.SGD(lr=0.1))"
            )
        return self.append(layer)

    def use(self, loss: Callable[..., Tensor], optimizer: Optimizer | None = None) -> Self:
        """Say what the network learns with; returns the network. Called again with an optimizer, training starts with that one.

        Args:
            loss: from the network's output and the target to one number, such as `F.mse_loss`, `F.cross_entropy` or
                `nn.MSELoss()`.
            optimizer: how, such as `optim.Adam(lr=1e-3)`: one without parameters, which gets those of the network at the first
                `fit`, or one that has them. None: `optim.SGD`, whose rate `fit` may give; else it is 0.01.

        Raises:
            TypeError: something else.
        """
        check_loss("Network.use", loss)
        if optimizer is None:
            optimizer = SGD(lr=0.01)
        check_optimizer("Network.use", optimizer)
        object.__setattr__(self, "_used", _Used(loss, optimizer))
        return self

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        epochs: int = 1,
        *,
        learning_rate: float | Schedule | None = None,
        batch_size: int = 32,
        validation_split: float = 0.0,
        validation_data: tuple[ArrayLike, ...] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        verbose: int = 1,
        metrics: Metrics = (),
        callbacks: Callbacks = (),
        **options: Any,
    ) -> History:
        """Learn from examples. Called again it goes on, with the optimizer as it is.

        Args:
            x: the inputs, of shape (samples, ...): an array, or what NumPy makes one of. Floats are cast to the dtype of the
                network.
            y: the targets, (samples, ...), as the loss takes them.
            epochs: how often to go through the samples.
            learning_rate: of the optimizer, from now on; a number or a schedule.
            batch_size: how many samples an update is made from; 1 updates after every sample.
            validation_split: a fraction of the samples, the last ones as they are given, that is not learnt from: the loss
                and the metrics of these are in the history under "val_loss" and so on.
            validation_data: samples for that, (x, y) or (x, y, weights), in place of a fraction.
            shuffle: take the samples in another order in each epoch.
            class_weight: what a sample counts, by its label: {0: 1.0, 1: 5.0}. Of one-hot targets the label is the place
                of the largest. Not in validation.
            sample_weight: what each sample counts, of shape (samples,). The loss is sum(weight · loss of the sample) /
                samples. With `class_weight`, their product.
            verbose, metrics, callbacks: as of `tn.training.fit`.
            **options: further ones of `tn.training.fit`: seed, accumulate, clip_norm, precision, average, checkpoint ...

        Returns:
            the history, which plots itself: `history["loss"]`, `history.plot("curve.svg")`.

        Raises:
            RuntimeError: `use` was not called, there are no layers, or the optimizer is another model's.
            ValueError, TypeError: data or options that do not fit. Then nothing has been learnt.
            FloatingPointError: the loss is nan or infinite; says where x or y are.
        """
        used = self._in_use("fit")
        further = (fit.__kwdefaults__ or {}).keys() - {"validation"}  # that is validation_data here
        if unknown := options.keys() - further:
            raise TypeError(
                f"Network.fit has no argument {', '.join(map(repr, sorted(unknown)))}; beside those of its own, as "
                f"learning_rate and validation_data, it takes {', '.join(sorted(further))}"
            )
        x, y = self._samples("fit", x, y)
        weight = None if sample_weight is None else _weights(sample_weight, len(x))
        data: tuple[Array, ...] = (x, y) if weight is None else (x, y, weight)
        validation: tuple[Array, ...] | None = None
        if validation_data is not None:
            if validation_split:
                raise ValueError("Network.fit: give validation_split or validation_data, not both")
            validation = self._validation(validation_data)
        elif validation_split:
            at = _split(validation_split, len(x))
            data, validation = tuple(a[:at] for a in data), tuple(a[at:] for a in data)
            if problem := _one_sided(data[1], validation[1]):
                warnings.warn_explicit(f"Network.fit: {problem}", RuntimeWarning, *user_site())
        if class_weight is not None:
            by_class = _by_class(class_weight, data[1])
            data = (data[0], data[1], by_class if weight is None else data[2] * by_class)
        self._try("fit", used.loss, x, y)
        if validation_data is not None and validation is not None:
            self._try("fit, validation_data", used.loss, validation[0], validation[1])
        bind("Network.fit", [used.optimizer], self)
        rates = [group["lr"] for group in used.optimizer.groups]
        steps = [slot.step for slot in used.optimizer.slots]
        if learning_rate is not None:
            used.optimizer.lr = learning_rate
        try:
            return fit(
                self, used.loss, used.optimizer, data, epochs=epochs, validation=validation, metrics=metrics,
                callbacks=callbacks, batch_size=batch_size, shuffle=shuffle, verbose=verbose, **options,
            )  # fmt: skip
        except FloatingPointError as error:
            for note in (*_not_finite("x", data[0]), *_not_finite("y", data[1])):
                error.add_note(note)
            raise
        except (TypeError, ValueError):
            if steps == [slot.step for slot in used.optimizer.slots]:  # nothing has been learnt: an option does not fit
                for group, rate in zip(used.optimizer.groups, rates, strict=True):
                    group["lr"] = rate
            raise

    def predict(self, x: ArrayLike, *, batch_size: int = 256) -> Array:
        """The outputs for inputs of shape (samples, ...), batch by batch, in eval mode and without a graph.

        Raises:
            ValueError, TypeError: inputs that do not fit.
        """
        x = self._inputs("predict", x)
        try:
            found: Array = predict(self, x, batch_size=batch_size)
        except ValueError as error:
            known = inputs_like_before(self)
            if known is not None and np.ndim(known[0]) == x.ndim + 1:
                error.add_note(
                    f"x has shape {x.shape}, and the network was called with inputs of shape (samples, "
                    f"{', '.join(map(str, known[0].shape[1:]))}): a single sample is a batch of one, x[None]"
                )
            raise
        if len(found) != len(x):
            raise ValueError(
                f"Network.predict: the network makes {len(found)} outputs, of shape {found.shape}, of an x of shape {x.shape}; "
                "the first axis counts the samples: a single one is a batch of one, x[None]"
            )
        return found

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        metrics: Metrics = (),
        batch_size: int = 256,
    ) -> Logs:
        """The loss, as "loss", and metrics over samples, in eval mode.

        Args:
            x, y: inputs and targets, as of `fit`.
            sample_weight: as of `fit`.
            metrics: as of `tn.training.fit`: "accuracy" and others.
            batch_size: how many samples are computed at once.

        Raises:
            RuntimeError, ValueError, TypeError: as of `fit`.
        """
        used = self._in_use("evaluate")
        x, y = self._samples("evaluate", x, y)
        data = (x, y) if sample_weight is None else (x, y, _weights(sample_weight, len(x)))
        self._try("evaluate", used.loss, x, y)
        return evaluate(self, used.loss, data, metrics=metrics, batch_size=batch_size)

    def summary(self, *inputs: ArrayLike, depth: int | None = None) -> Summary:
        """The layers with their shapes, parameters and work, as a table: `print(net.summary())`. See `nn.summary`.

        Args:
            *inputs: inputs or their shape. Without, those of the first call: after `fit` or `predict` there is one.
            depth: how deep to go into layers that have layers.
        """
        return summary(self, *(inputs or self._known("summary")), depth=depth)

    def draw(self, *inputs: ArrayLike, **options: Any) -> Picture:
        """The network as a picture: `net.draw().save("net.svg")`. See `tn.draw`.

        Args:
            *inputs: inputs. Without, zeros of the shape of the first call: after `fit` or `predict` there is one.
            **options: those of `tn.draw`: direction, depth, title ...
        """
        return draw(self, *(inputs or self._known("draw")), **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and buffers to a file, as safetensors (`tn.save`). The layers themselves are not in it; nor is the
        optimizer's state, which `tn.training.Checkpoint` keeps."""
        files.save(self, path)

    def load(self, path: str | os.PathLike[str]) -> Self:
        """Take parameters and buffers from a file that `save` wrote, of a network of the same layers; returns the network.

        Raises:
            ValueError: the file is damaged, or of other layers; changes nothing.
        """
        self.load_state_dict(files.load(path))
        return self

    # -- checks --------------------------------------------------------------------------------------------------

    def _in_use(self, verb: str) -> _Used:
        used: _Used | None = getattr(self, "_used", None)
        if not len(self):
            raise RuntimeError(f"Network.{verb}: there are no layers; add some: net.add(nn.Linear(2, 3))")
        if used is None:
            raise RuntimeError(
                f"Network.{verb}: it is not said what to learn with: net.use(F.mse_loss, optim.SGD(lr=0.1)) comes before"
            )
        return used

    def _known(self, verb: str) -> tuple[Tensor, ...]:
        inputs = inputs_like_before(self)
        if inputs is None:
            raise RuntimeError(
                f"Network.{verb}: the network was not called yet, so the shape of its input is not known; give an input: "
                f"net.{verb}(x)"
            )
        return inputs

    def _inputs(self, verb: str, x: ArrayLike) -> Array:
        if not len(self):
            raise RuntimeError(f"Network.{verb}: there are no layers; add some: net.add(nn.Linear(2, 3))")
        return self._array(f"Network.{verb}: x", x)

    def _samples(self, verb: str, x: ArrayLike, y: ArrayLike | None) -> tuple[Array, Array]:
        """Inputs and targets as arrays of one length."""
        x = self._inputs(verb, x)
        y = self._array(f"Network.{verb}: y", y)
        if len(x) != len(y):
            raise ValueError(
                f"Network.{verb}: x has {len(x)} samples and y {len(y)}, of shapes {x.shape} and {y.shape}: the first axis "
                "counts the samples, and each needs its target"
            )
        return x, y

    def _array(self, what: str, value: object) -> Array:
        """An array of samples, floats in the dtype of the network."""
        if value is None:
            raise TypeError(f"{what} is None; give an array, (samples, ...)")
        if not hasattr(value, "__array__") and not isinstance(value, (list, tuple)):
            raise TypeError(
                f"{what} is a {type(value).__name__}; give an array. Batches go to tn.training.fit(net, loss, optimizer, "
                "batches), and to evaluate and predict there; a tn.data.Table has arrays, table.x and table.y"
            )
        check_unmasked(value)
        try:
            array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
        except ValueError as error:
            raise ValueError(
                f"{what} is a list of arrays of different shapes, which makes no array ({error}). Pad sequences to one length, "
                "or let tn.data.DataLoader(samples, 32, collate=tn.data.PadCollate()) do it"
            ) from None
        if array.dtype.kind not in "biufc" and not is_float(array.dtype):
            columns = "; columns of text become numbers by tn.data.table(frame, target=...)" if array.ndim > 1 else ""
            labels = what.endswith("y") and array.dtype.kind in "USO"
            raise TypeError(
                f"{what} holds {array.dtype}; a network computes with numbers: "
                + ("names, y = np.unique(y, return_inverse=True)" if labels else "array.astype(np.float32)")
                + columns
            )
        if not array.ndim or not len(array):
            raise ValueError(f"{what} has shape {array.shape}, no samples: the first axis counts them, (samples, ...)")
        dtype = next((p.dtype for p in self.parameters() if is_float(p.dtype)), array.dtype)
        return array.astype(dtype, copy=False) if is_float(array.dtype) else array

    def _validation(self, data: object) -> tuple[Array, ...]:
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise TypeError("Network.fit: validation_data is (x, y), or (x, y, weights)")
        x, y = self._samples("fit, validation_data", data[0], data[1])
        return (x, y) if len(data) == 2 else (x, y, _weights(data[2], len(x)))

    def _try(self, verb: str, loss: Callable[..., Tensor], x: Array, y: Array) -> None:
        """Compute the loss of two samples, so that what does not fit is found before anything is learnt: those of the least
        and the greatest label, where there are labels. Two, since a lone image without an axis for its channel would pass for
        an image with one."""
        ends = [0, -1]
        if y.dtype.kind in "iu" and y.size:
            ends = [int(at) * len(y) // y.size for at in (y.argmin(), y.argmax())]
        with mode(self, False), no_grad():
            out = self(as_tensors(x[ends]))
            if not out.ndim or len(out) != 2:
                raise ValueError(
                    f"Network.{verb}: the network makes an output of shape {out.shape} of 2 samples, x of shape "
                    f"{(2, *x.shape[1:])}; the first axis counts the samples throughout, in x: (samples, ...)"
                )
            value = loss(out, as_tensors(y[ends]))
        if np.size(value) != 1:
            raise ValueError(
                f"Network.{verb}: the loss of a batch has shape {np.shape(value)}; it must be one number, such as the mean "
                "over the batch: reduction='mean'"
            )
        if problem := pairing(loss, out, y[ends]):
            raise ValueError(f"Network.{verb}: {problem}")
        if doubt := scale(loss, out, y):
            warnings.warn_explicit(f"Network.{verb}: {doubt}", RuntimeWarning, *user_site())


def _not_finite(name: str, array: Array) -> Iterator[str]:
    """Where there is nan or infinity in data, in a sentence."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        sample, *place = np.argwhere(~np.isfinite(array))[0].tolist()
        yield f"{name} holds {array[(sample, *place)]} in sample {sample}{f', at {place}' if place else ''}, to begin with"


def _weights(weights: object, count: int, name: str = "sample_weight") -> Array:
    check_unmasked(weights)
    array = np.asarray(weights, np.float32)
    if array.shape != (count,):
        raise ValueError(
            f"Network: {name} has shape {array.shape}, and there are {count} samples: give one number for each, "
            f"({count},)"
        )
    if not np.isfinite(array).all() or not array.any():
        at = np.argwhere(~np.isfinite(array))
        what = f"nan or infinity, first at {at[0, 0]}" if len(at) else "nothing but 0, so that no sample counts"
        raise ValueError(f"Network: {name} holds {what}")
    return array


def _one_sided(y: Array, held: Array) -> str:
    """What is wrong where labels that are validated on are not learnt, or only one of several is validated on."""
    if y.dtype.kind not in "iu" or y.ndim != 1:
        return ""
    learnt, validated = set(np.unique(y).tolist()), set(np.unique(held).tolist())
    if validated <= learnt and (len(validated) > 1 or len(learnt) == 1 or len(held) < 10):
        return ""
    return (
        f"validation_split takes the last samples, whose labels are {', '.join(map(str, sorted(validated)[:10]))}, and those "
        f"before have {', '.join(map(str, sorted(learnt)[:10]))}: the samples seem to be sorted. Mix them first: "
        "order = np.random.permutation(len(x)); x, y = x[order], y[order]"
    )


def _split(fraction: float, count: int) -> int:
    """Where the samples for validation begin."""
    if not 0 < fraction < 1:
        raise ValueError(
            f"Network.fit: validation_split={fraction} must be a fraction, from 0 up to but not 1: 0.2 is a fifth"
        )
    at = math.floor(count * (1 - fraction))
    if not 0 < at < count:
        raise ValueError(
            f"Network.fit: validation_split={fraction} of {count} samples leaves {at} to learn from and {count - at} to "
            "validate on; there must be some of both"
        )
    return at


def _by_class(class_weight: object, y: Array) -> Array:
    """The weight of each sample by its label."""
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"Network.fit: class_weight is a dict from label to weight, {{0: 1.0, 1: 5.0}}, not {class_weight!r}"
        )
    if y.ndim == 2:
        if y.shape[1] > 1 and not np.allclose(y.sum(axis=1), 1, atol=1e-3):
            raise ValueError(
                "Network.fit: class_weight needs one label for each sample, and rows of y do not sum to 1, so a sample may "
                "have several: give a weight per sample, sample_weight; or a loss with a weight per class, as "
                "nn.BCEWithLogitsLoss(pos_weight=...)"
            )
        y = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0]
    if y.ndim != 1 or not np.array_equal(y, np.round(y)):
        raise ValueError(
            f"Network.fit: class_weight needs targets that are labels, (samples,), or one-hot, (samples, classes); y has shape "
            f"{y.shape} and holds {y.dtype}. Give a weight per sample: sample_weight"
        )
    labels, places = np.unique(y.astype(np.int64), return_inverse=True)
    missing = [str(label) for label in labels.tolist() if label not in class_weight]
    if missing:
        raise ValueError(
            f"Network.fit: class_weight has no weight for the labels {', '.join(missing)}, which are in y: give each its own, "
            "1.0 where it is to count as it is"
        )
    each = _weights([class_weight[label] for label in labels.tolist()], len(labels), "class_weight")
    return each[places]
