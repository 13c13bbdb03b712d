"""Averages of a model's parameters over the steps of training, which often predict better than the last ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.observe import mutation
from tapenet.autodiff.observe.capture import Capture, capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.optim.groups import check_range
from tapenet.parameters.named import Parameters, named_parameters
from tapenet.program.low import WIDE, is_inexact, is_low
from tapenet.typing import Array, DType, StateDict


class Averaged:
    """The average a of parameters θ over the updates of it so far: without `decay` their mean, a ← a + (θ - a)/n at
    the n-th (stochastic weight averaging); with it an exponential moving average, a ← decay · a + (1 - decay) · θ. At
    the first update a is θ in either case.

    Call `update` after each step of the optimizer, or after each epoch for the mean. It may stand in a compiled step.

    Args:
        source: a module, tensors or (name, tensor) pairs.
        decay: None, a number in [0, 1), or a function of the number of updates so far, such as
            `lambda n: min(0.999, (1 + n) / (10 + n))`, which forgets the first values sooner.
        use_buffers: average the buffers of a module too, such as running statistics. Else a copy of them is kept, of the
            latest update. Integers are copied in either case.

    The average of a parameter in 16 bits is kept in float32: it moves by less than two such numbers differ.

    Attributes:
        count: the number of updates so far.

    Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018); Polyak and Juditsky,
    "Acceleration of stochastic approximation by averaging" (1992). PyTorch's `swa_utils.AveragedModel`.

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> mean = tn.optim.Averaged([w])
    >>> for value in (1.0, 2.0, 6.0):
    ...     w.data = [value]
    ...     mean.update()
    >>> with mean.applied():
    ...     print(w.item())
    3.0
    >>> w.item()
    6.0
    """

    def __init__(
        self,
        source: Parameters,
        decay: float | Callable[[int], float] | None = None,
        *,
        use_buffers: bool = False,
    ) -> None:
        if decay is not None and not callable(decay):
            check_range("Averaged", "decay", decay, 0.0, 1.0)
        if not hasattr(source, "named_parameters") and isinstance(source, Iterable):
            source = list(source)  # it may be a generator
        self.decay = decay
        self.count = 0
        #: By name, each tensor and what is kept of it.
        self._averaged: dict[str, tuple[Tensor, Tensor]] = {}
        self._copied: dict[str, tuple[Tensor, Tensor]] = {}
        buffers = dict(source.named_buffers()) if hasattr(source, "named_buffers") else {}
        for name, tensor in (*named_parameters(source, "Averaged"), *buffers.items()):
            averaged = is_inexact(tensor.dtype) and (use_buffers or name not in buffers)
            dtype = WIDE if averaged and is_low(tensor.dtype) else tensor.dtype
            kept = tensor, Tensor._of(tensor._data.astype(dtype))
            (self._averaged if averaged else self._copied)[name] = kept

    def _all(self) -> dict[str, tuple[Tensor, Tensor]]:
        return self._averaged | self._copied

    @property
    def values(self) -> dict[str, object]:
        """The averages as arrays, by name, and the buffers that are kept."""
        return {name: kept.data for name, (_, kept) in self._all().items()}

    def update(self) -> None:
        """Take the parameters as they are now into the average."""
        capture = capturing()
        if capture is not None:
            self._record(capture)
            return
        weight = self._advance()
        for tensor, average in self._averaged.values():
            array = average._data
            difference = np.subtract(tensor._data, array, dtype=array.dtype)
            difference *= weight
            array += difference
            mutation.wrote(array, "Averaged.update")
        for tensor, kept in self._copied.values():
            kept.data = tensor._data

    def _advance(self) -> float:
        """Count an update, and say how much the newest values weigh in it."""
        n = self.count
        self.count += 1
        if n == 0:
            return 1.0
        if self.decay is None:
            return 1 / (n + 1)
        return 1 - (self.decay(n) if callable(self.decay) else self.decay)

    def _record(self, capture: Capture) -> None:
        """The update as ops on a tape that captures."""
        capture.before(("average", id(self)), partial(setattr, self, "count", self.count))
        with no_grad():
            weight = ops.host(self._advance, np.float64)
            weights: dict[DType, Array] = {}
            for tensor, average in self._averaged.values():
                dtype = average.dtype
                if dtype not in weights:
                    weights[dtype] = weight.astype(dtype)
                average._write(average + weights[dtype] * (tensor.astype(dtype) - average), "Averaged.update")
            for tensor, kept in self._copied.values():
                kept._write(tensor, "Averaged.update")

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block, the parameters (and buffers) have the values of the average; afterwards their own again, also
        where the block wrote to them."""
        if capturing() is not None:
            raise CaptureError(
                "Averaged.applied changes parameters for a while: enter it outside of the compiled function"
            )
        before = [(tensor, tensor._data.copy(order="K")) for tensor, _ in self._all().values()]
        try:
            self.copy_to()
            yield
        finally:
            for tensor, value in before:
                tensor.data = value

    def copy_to(self, target: Parameters | None = None) -> None:
        """Set parameters and buffers to the average: those that it is of, or those of a `target` of the same names.

        Raises:
            ValueError: the target has not the same names and shapes.
        """
        if target is None:
            for tensor, kept in self._all().values():
                tensor.data = kept._data.astype(tensor.dtype, copy=False)
            return
        own = self._all()
        theirs = dict(named_parameters(target, "Averaged.copy_to"))
        if hasattr(target, "named_buffers"):
            theirs |= dict(target.named_buffers())
        shapes, expected = ({n: t.shape for n, t in d.items()} for d in (theirs, {n: k for n, (_, k) in own.items()}))
        if shapes != expected:
            wrong = sorted(name for name in shapes.keys() | expected.keys() if shapes.get(name) != expected.get(name))
            raise ValueError(f"Averaged.copy_to: the target differs from what was averaged in {', '.join(wrong)}")
        for name, (_, kept) in own.items():
            theirs[name].data = kept._data.astype(theirs[name].dtype, copy=False)

    def state_dict(self, *, keep_vars: bool = False) -> StateDict:
        """The number of updates and the averages, as copies; with `keep_vars` the tensors themselves."""
        values = {name: kept if keep_vars else kept.numpy().copy() for name, (_, kept) in self._all().items()}
        return {"count": self.count, "values": values}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a `state_dict()` of an average of parameters of the same names and shapes.

        Raises:
            ValueError: they are others; changes nothing.
        """
        check_unmasked(state)
        own = self._all()
        saved = state.get("values", {})
        shapes = {name: kept.shape for name, (_, kept) in own.items()}
        if "count" not in state or {name: np.shape(value) for name, value in saved.items()} != shapes:
            wrong = [n for n in {**saved, **own} if n not in saved or n not in own or np.shape(saved[n]) != shapes[n]]
            raise ValueError(f"Averaged.load_state_dict: this state does not fit in {', '.join(wrong or ['count'])}")
        count = int(state["count"])
        cast = {name: np.asarray(value).astype(own[name][1].dtype) for name, value in saved.items()}
        self.count = count
        for name, (_, kept) in own.items():
            kept.data = cast[name]

    def __repr__(self) -> str:
        kind = "mean" if self.decay is None else f"moving average with decay {self.decay}"
        return f"{kind} of {len(self._averaged)} tensors over {self.count} updates"


def update_bn(loader: Iterable[object], model: Any) -> None:
    """Recompute the running statistics of a model's normalisation layers, as means over the batches of a loader.
    After weights were averaged they belong to none of them: no step has run with the average.

    Args:
        loader: gives batches; of a tuple or list the first is what the model takes.
        model: a module. Runs in training mode, without gradients, and returns to the mode it was in.

    PyTorch's `swa_utils.update_bn`, which leaves the statistics of instance norm as they are.

    >>> import numpy as np
    >>> from tapenet import nn, optim
    >>> net = nn.BatchNorm1d(1)
    >>> optim.update_bn([np.array([[1.0], [3.0]]), np.array([[5.0], [7.0]])], net)
    >>> net.running_mean.data
    array([4.], dtype=float32)
    """
    found = [m for m in model.modules() if getattr(m, "running_mean", None) is not None and hasattr(m, "momentum")]
    if not found:
        return
    momenta = [module.momentum for module in found]
    modes = [(module, module.training) for module in model.modules()]
    for module in found:
        module.reset_running_stats()
    model.train()
    try:
        with no_grad():
            for i, batch in enumerate(loader):
                for module in found:
                    module.momentum = 1 / (i + 1)  # so that each batch weighs the same
                model(batch[0] if isinstance(batch, (tuple, list)) else batch)
    finally:
        for module, momentum in zip(found, momenta, strict=True):
            module.momentum = momentum
        for module, training in modes:
            module.training = training
