"""A model on data, without training it: `evaluate` and `predict`."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.observe.autocast import autocast
from tapenet.autodiff.state import no_grad
from tapenet.compiler.compile import CompileWarning
from tapenet.compiler.signature import rebuild
from tapenet.metrics.by_name import Metrics, resolve
from tapenet.metrics.metric import Metric
from tapenet.nn.module import Module
from tapenet.ops.stack_frames import user_site
from tapenet.parallel.ranks import world
from tapenet.parallel.sharding import Shard
from tapenet.training.batches import (
    as_arrays,
    called,
    is_tree_of_arrays,
    leaves,
    looped,
    not_finite,
    samples,
    split,
    whole,
)
from tapenet.training.compiled_step import Routine
from tapenet.training.fit_arguments import check_loss, check_model
from tapenet.training.history import Logs
from tapenet.training.loss_mismatch import Pairing
from tapenet.training.meter import Meter
from tapenet.training.steps import Loss, forward_of, forward_step, measured_by
from tapenet.training.team import Team
from tapenet.training.training_mode import mode


class Evaluation:
    """The loss and the metrics of a model on data, again and again.

    Attributes:
        routine: the forward pass.
    """

    def __init__(
        self,
        model: Module,
        loss: Loss,
        data: Iterable[object],
        metrics: list[Metric[object]],
        compiled: bool,
        precision: DTypeLike | None,
        tell: Callable[[str], None],
    ) -> None:
        self._model = model
        self._data = data
        self._split = whole if loss is None else split
        self._meter = Meter([metric.fresh() for metric in metrics])
        self._team = _team(data)
        if self._team is not None:
            self._team.check(metrics)
        self._pairing = Pairing(loss, "evaluate")
        #: Whether it was said that the loss is nan.
        self._told = False
        function = forward_step(forward_of(model, loss, precision, self._pairing.note), measured_by(metrics))
        self.routine = Routine(function, "the forward pass", compiled, tell, updates=False)

    def run(self, prefix: str = "", stop: Callable[[], bool] = bool) -> Logs | None:
        """The numbers; None where `stop` said so meanwhile."""
        meter, team, begun = self._meter, self._team, False
        meter.reset()
        with mode(self._model, False):
            for batch in self._data:
                begun = True
                inputs, target, weight = self._split(batch)
                loss, measured = self.routine(inputs, target, weight)
                self._pairing.warn()
                value = float(loss.item())
                if value != value and not self._told:
                    self._told = True
                    why = not_finite(inputs, target, weight) or "Is there a sample in it that counts, or a log of 0?"
                    warnings.warn_explicit(f"evaluate: the loss of a batch is nan. {why}", RuntimeWarning, *user_site())
                if team is None or team.counts:
                    meter.add(value, samples(inputs), measured, target, weight)
                if stop():
                    return None
        if not (meter.samples or (team is not None and begun)):  # it may be other ranks that had the samples
            raise ValueError("evaluate: the data gave no batch; is it an iterator that is used up?")
        if team is not None:
            return {prefix + name: value for name, value in team.numbers(meter, {})[0].items()}
        return meter.numbers(prefix)


def evaluate(
    model: Module,
    loss: Loss,
    data: object,
    *,
    metrics: Metrics = (),
    batch_size: int = 256,
    compile: bool = True,
    precision: DTypeLike | None = None,
) -> Logs:
    """The loss and the metrics of a model on data: means over samples. The model is in eval mode meanwhile, and each of its
    modules in its own mode again afterwards, whatever happens.

    Args:
        model, loss, data, metrics, compile, precision: as for `fit`. Of `tn.parallel.shard(...)` each rank evaluates its part,
            and all get the numbers of the whole.
        batch_size: how arrays are cut.

    Returns:
        the numbers by name, "loss" among them.

    Raises:
        TypeError, ValueError: a model or loss that is none, a loss that is not one number for a batch, or data without one.

    >>> import tapenet as tn
    >>> from tapenet import nn
    >>> import tapenet.nn.functional as F
    >>> net = nn.Linear(2, 2)
    >>> net.weight.data, net.bias.data = [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]
    >>> x, y = np.array([[2.0, 1.0], [3.0, 0.0], [0.0, 1.0]], np.float32), np.array([0, 0, 0])
    >>> numbers = tn.training.evaluate(net, F.cross_entropy, (x, y), metrics="accuracy")
    >>> {name: round(value, 4) for name, value in numbers.items()}
    {'loss': 0.5584, 'accuracy': 0.6667}
    """
    if isinstance(model, type):
        check_model("evaluate", model)
    if loss is not None:
        check_loss("evaluate", loss)
    batches = looped(data, batch_size, who="evaluate")
    found = Evaluation(model, loss, batches, resolve(metrics), compile, precision, warn_uncompiled).run()
    assert found is not None
    return found


def predict(
    model: Module,
    data: object,
    *,
    batch_size: int = 256,
    compile: bool = True,
    precision: DTypeLike | None = None,
) -> Any:
    """What a model gives for data, batch by batch, in one array. The model is in eval mode meanwhile, and each of its modules
    in its own mode again afterwards, whatever happens.

    Args:
        model, compile, precision: as for `fit`.
        data: an array of inputs; a tuple or a dict of arrays, for a model of several; or batches to loop over, in which
            targets are passed over: of `(inputs, target)` the inputs are taken. Of `tn.parallel.shard(...)` each rank computes
            its part, and all get the outputs of the whole.
        batch_size: how arrays are cut.

    Returns:
        the outputs, an array whose first axis counts the samples; where the model gives a tuple, list or dict of arrays, the
        same of whole ones.

    Raises:
        TypeError, ValueError: a model that is a class, data without a batch, or outputs that are not one for each sample.

    >>> import tapenet as tn
    >>> from tapenet import nn
    >>> tn.training.predict(nn.Flatten(), np.zeros((1000, 2, 3))).shape
    (1000, 6)
    """
    if isinstance(model, type):
        check_model("predict", model)
    arrays = is_tree_of_arrays(data)

    def predict_step(inputs: object) -> object:
        with no_grad(), contextlib.nullcontext() if precision is None else autocast(precision):
            return called(model, inputs)

    batches = looped(data, batch_size, who="predict")
    team = _team(batches)
    routine = Routine(predict_step, "the forward pass", compile, warn_uncompiled, updates=False)
    found: list[object] = []
    with mode(model, False):
        for batch in batches:
            inputs = batch if arrays else split(batch)[0]
            found.append(_own(as_arrays(routine(inputs)), inputs))
            if team is not None and not team.counts:
                found[-1] = None
    if team is not None:
        found = team.outputs(found)
    if not found:
        raise ValueError("predict: the data gave no batch; is it an iterator that is used up?")
    return _joined(found)


def _team(data: object) -> Team | None:
    """The ranks, where each has a part of the data."""
    return Team(world()) if isinstance(data, Shard) and world().size > 1 else None


def warn_uncompiled(text: str) -> None:
    """Warn of what runs without a program."""
    warnings.warn(text, CompileWarning, stacklevel=2)


def _own(outputs: object, inputs: object) -> object:
    """Outputs that share no memory with inputs (as those of `nn.Flatten` do), since loaders may reuse the memory of a batch."""
    given = leaves(inputs)
    return rebuild(outputs, lambda out: out.copy() if any(np.may_share_memory(out, one) for one in given) else out)


def _joined(parts: list[Any]) -> object:
    """Trees of arrays as one tree of whole arrays."""
    first = parts[0]
    kind = type(first)
    if kind is dict:
        return {key: _joined([part[key] for part in parts]) for key in first}
    if kind is tuple or kind is list:
        return kind(_joined(list(p)) for p in zip(*parts, strict=True))
    if isinstance(first, tuple) and hasattr(kind, "_fields"):
        return kind(*(_joined(list(p)) for p in zip(*parts, strict=True)))
    if not np.ndim(first):
        raise ValueError("predict: the model gives one number for a whole batch, and not one for each sample")
    return first if len(parts) == 1 else np.concatenate(parts)
