"""The loop: `fit`."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from operator import length_hint
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import Compiled
from tapenet.metrics.by_name import Metrics, resolve
from tapenet.nn.module import Module
from tapenet.ops import random
from tapenet.ops.stack_frames import user_site
from tapenet.optim.grad_scaler import GradScaler
from tapenet.optim.weight_averaging import Averaged
from tapenet.program.low import dtype_of
from tapenet.training.batches import Parts, called, looped, not_finite, samples, split, whole
from tapenet.training.callbacks import of_batches
from tapenet.training.checkpoint import Checkpoint
from tapenet.training.compiled_step import Routine
from tapenet.training.evaluation import Evaluation, warn_uncompiled
from tapenet.training.fit_arguments import (
    bind,
    callbacks_of,
    check_average,
    check_loss,
    check_model,
    check_optimizer,
    check_repeatable,
    check_step,
    check_uncut,
    number,
)
from tapenet.training.history import History, Logs
from tapenet.training.interrupts import Interrupts
from tapenet.training.loss_mismatch import Pairing
from tapenet.training.meter import Meter
from tapenet.training.monitor import watched
from tapenet.training.progress import Progress
from tapenet.training.state import Optimizers, State, as_list
from tapenet.training.steps import Clip, Loss, Parted, forward_of, gradient_step, measured_by, whole_step
from tapenet.training.team import Team, team_of
from tapenet.training.training_mode import mode
from tapenet.typing import StateDict

#: Functions that are called with the state of the run, after every epoch or batch.
Callbacks = Callable[[State], object] | Iterable[Callable[[State], object]]


def fit(
    model: Module,
    loss: Loss,
    optimizer: Optimizers,
    data: object,
    *,
    epochs: int = 1,
    validation: object = None,
    metrics: Metrics = (),
    callbacks: Callbacks = (),
    compile: bool = True,
    batch_size: int | None = None,
    shuffle: bool | None = None,
    seed: int | None = None,
    accumulate: int = 1,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    precision: DTypeLike | None = None,
    average: Averaged | None = None,
    keep_average: bool = True,
    checkpoint: Checkpoint | None = None,
    step: Callable[..., object] | None = None,
    verbose: int = 1,
) -> History:
    """Train a model.

    Each batch is one update: `loss(model(inputs), target)`, backward, clipping, the optimizer's step. All of that is compiled
    into one program by `tn.compile`; where it cannot be, the reason is printed and the loop goes on without. After each epoch
    the validation data is evaluated, and the callbacks are called.

    Ctrl-C stops cleanly after the running update: the history says where, callbacks end, a checkpoint is saved. A second one
    stops at once.

    Args:
        model: what is trained, a module. A model that is in eval mode as a whole trains in train mode, and is in eval mode
            again afterwards, whatever happens.
        loss: from output and target to the mean loss of a batch, such as `F.cross_entropy` or `nn.MSELoss()`. None: the model
            takes the whole batch and returns the loss itself.
        optimizer: one that has the parameters of the model, or has none yet (`optim.Adam(lr=1e-3)`) and is given them; or a
            list of optimizers, each with a part of the parameters.
        data: anything that gives batches, epoch by epoch: `tn.data.batches(...)`, `tn.data.DataLoader(...)`, a list; or
            arrays, `(x, y)`, or a `tn.data.Dataset`, which are cut here. A batch is `(inputs, target)`; `(inputs, target,
            weight)` with a weight per sample, for sum(weight · loss of the sample) / samples; or one array, which is both. A
            tuple of arrays as inputs is given to the model as several arguments, a dict as keywords.
        epochs: how many. A run that goes on from a checkpoint counts those that it had.
        validation: data to evaluate after each epoch; its numbers are called "val_loss" and so on.
        metrics: names ("accuracy"), metrics of `tn.metrics`, or functions of output and target; for training and validation.
        callbacks: functions of the `State`, called after each epoch; `training.every_batch(function)` after each batch.
        compile: False runs everything as it stands.
        batch_size, shuffle, seed: how arrays are cut: into batches of so many rows, 32 by default, in another order each epoch
            unless `shuffle=False`, drawn from this seed; None draws a seed from `tn.random`. For data that comes in batches
            they are refused: that has a size and an order of its own.
        accumulate: how many batches make one update. Its gradient is that of the mean over all their samples.
        clip_norm, clip_value: limits on the norm of all gradients, and on each of their elements, before an update.
        precision: "bfloat16" or "float16", for `tn.autocast`; in float16 the loss is scaled by a `GradScaler`.
        average: an `optim.Averaged` of the model, updated with every update.
        keep_average: validation is on the averaged weights, and the model has them in the end. False: on and with its own.
        checkpoint: a `training.Checkpoint`: if it has one, the run goes on from there; and it is saved to as it says.
        step: in place of the usual update a function of the batch, `step(*batch)`, which makes its own updates and returns the
            loss, or a dict of numbers of which "loss" is one. Compiled like the usual one. What else an update needs is
            done there: `accumulate`, `clip_norm`, `clip_value`, `precision` and `average` are refused beside it.
        verbose: 0 shows nothing; 1 a bar in a terminal and in notebooks, elsewhere a line per epoch; 2 a line per epoch.

    Returns:
        the history: the numbers of each epoch. Losses and metrics are means over samples.

    Raises:
        FloatingPointError: the loss is nan or infinite; names epoch, batch and update.
        ValueError, TypeError: arguments or batches that do not fit; say what to give.

    >>> import tapenet as tn
    >>> from tapenet import nn, optim
    >>> import tapenet.nn.functional as F
    >>> tn.training.seed(0)
    >>> images, labels, test_images, test_labels = tn.data.digits()
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Tanh(), nn.Linear(32, 10))
    >>> history = tn.training.fit(
    ...     net, F.cross_entropy, optim.Adam(net, lr=3e-3), (images, labels), epochs=5, metrics="accuracy",
    ...     validation=(test_images, test_labels), verbose=0,
    ... )
    >>> history["loss"][-1] < history["loss"][0], history["val_accuracy"][-1] > 0.85
    (True, True)
    """
    check_model("fit", model)
    clip = Clip(list(model.parameters()), clip_norm, clip_value)
    if loss is not None and step is None:
        check_loss("fit", loss)
    accumulate, epochs = number("accumulate", accumulate, 1), number("epochs", epochs, 0)
    check_average(average, model)
    if step is not None:
        beside = {"accumulate": accumulate > 1, "clip_norm and clip_value": bool(clip.limits)}
        check_step(step, {**beside, "precision": precision is not None, "average": average is not None})
    every = callbacks_of(callbacks)
    measured = resolve(metrics)
    if measured and (loss is None or step is not None):
        raise ValueError(
            "fit: metrics need the output of the model, and with loss=None or step= there is none: leave metrics= out, or "
            "return what you measure from step in a dict"
        )
    size = 32 if batch_size is None else batch_size
    optimizers = as_list(optimizer)
    for one in optimizers:
        check_optimizer("fit", one)
    team = team_of(optimizers)
    drawn = team.seed(int(random.generator().integers(2**63))) if team is not None and seed is None else seed
    batches = looped(data, size, shuffle=shuffle is not False, seed=drawn)
    if batches is data:
        check_uncut(data, {"batch_size": batch_size, "shuffle": shuffle, "seed": seed})
    if epochs > 1:
        check_repeatable({"data": batches, "validation": validation}, epochs)
    if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
        raise TypeError(f"fit: checkpoint={checkpoint!r}; give a checkpoint: tn.training.Checkpoint(folder)")
    if team is not None:
        team.check(measured)
        verbose = verbose if team.speaks else 0
        every = team.heard(every)
        if batches is not data:
            batches = team.shard(batches)
    # Before the optimizer is bound, since this may be no dtype.
    scaler = GradScaler() if precision is not None and dtype_of(precision) == np.float16 else None
    meter = Meter([metric.fresh() for metric in measured])
    # None where it has no length, as a loader over a stream has none.
    progress = Progress(verbose, epochs, length_hint(batches) or None)
    tell = progress.tell if verbose else warn_uncompiled
    if step is None:
        bind("fit", optimizers, model)
    else:
        for one in optimizers:
            if not one.bound:
                one.bind(model)
    watched_pairs = Pairing(loss, "fit")
    forward = forward_of(model, loss, precision, watched_pairs.note)
    measure = measured_by(measured)
    routine: Routine[Any]
    parted: Parted | None = None
    if step is not None:
        routine = Routine(_of_batch(step), "the step", compile and not isinstance(step, Compiled), tell)
    elif accumulate > 1 or scaler is not None:
        routine = Routine(gradient_step(forward, measure), "the training step", compile, tell, keep_grads=True)
        params = [param for one in optimizers for param in one._updated.values()]
        parted = Parted(routine, params, optimizers, clip, average, scaler, accumulate)
    else:
        update = whole_step(forward, optimizers, clip, average, measure)
        routine = Routine(update, "the training step", compile, tell)
    routines = {"train": routine}
    evaluation: Evaluation | None = None
    if validation is not None:
        validation = looped(validation, size, who="fit, validation")
        evaluation = Evaluation(model, loss, validation, measured, compile, precision, tell)
        routines["validation"] = evaluation.routine
    state = State(
        model, loss, optimizer, batches, validation, epochs, average, keep_average, scaler, every, meter, routines
    )
    run = _Loop(
        state,
        batches,
        split if loss is not None and step is None else whole,
        routine,
        parted,
        evaluation,
        meter,
        progress,
        watched_pairs,
        checkpoint,
        keep_average and average is not None,
        team,
    )
    return run.run()


@dataclass(eq=False)
class _Loop:
    """The loop over epochs and batches."""

    state: State
    data: Iterable[object]
    split: Callable[[object], Parts]
    step: Routine[Any]
    #: In place of the step, where an update takes several batches or a scaled loss.
    parted: Parted | None
    evaluation: Evaluation | None
    meter: Meter
    progress: Progress
    pairing: Pairing
    checkpoint: Checkpoint | None
    keep_average: bool
    #: The ranks that train together, if there are several.
    team: Team | None
    told_of_zero: bool = False

    def run(self) -> History:
        state = self.state
        #: The latest update, epoch and phase that are saved.
        self.saved_at: tuple[int, int, bool] | None = None
        if self.checkpoint is not None and (saved := self.saved(self.checkpoint)) is not None:
            state.load_state_dict(saved)
            self.saved_at = state.step, state.epoch, state._within
            if state.stop or state.epoch >= state.epochs:
                self.progress.tell(
                    f"nothing to do: the run in {str(self.checkpoint.folder)!r} has ended, after epoch {state.epoch} of "
                    f"{state.epochs}; for another one give another folder"
                )
        self.interrupts = Interrupts(
            lambda: self.progress.tell("stopping after this update; Ctrl-C again stops at once")
        )
        begun: list[object] = []
        try:
            with mode(state.model, True), self.interrupts:
                for callback in state._callbacks:
                    begun.append(callback)
                    if hasattr(callback, "begin"):
                        callback.begin(state)
                while state.epoch < state.epochs and not state.stop and self.epoch():
                    pass
                state.history.stopped = self.why()
                self.save()
                if self.keep_average and state.average is not None:
                    state.average.copy_to()
        finally:
            self.progress.close()
            with contextlib.ExitStack() as stack:  # each ends, whatever the others raise
                for one in begun:
                    if hasattr(one, "end"):
                        stack.callback(one.end, state)
        return state.history

    def why(self) -> str:
        """Why it ends before its last epoch; "" if it does not."""
        state = self.state
        begun = f"in epoch {state.epoch + 1}" if state._within else f"after epoch {state.epoch}"
        where = f"{begun} of {state.epochs}, after update {state.step}"
        if self.interrupts.asked:
            self.progress.tell(f"stopped by Ctrl-C {where}")
            return f"Ctrl-C {where}"
        if state.stop:
            reason = state.stop if isinstance(state.stop, str) else "a callback"
            self.progress.tell(f"stopped by {reason} after epoch {state.epoch} of {state.epochs}")
            return f"{reason}, after epoch {state.epoch} of {state.epochs}"
        return ""

    def saved(self, checkpoint: Checkpoint) -> StateDict | None:
        """The state to go on from."""
        return checkpoint.load() if self.team is None else self.team.load(checkpoint, self.meter)

    def save(self) -> None:
        """Save a checkpoint, unless this update has one."""
        state = self.state
        at = state.step, state.epoch, state._within
        if self.checkpoint is not None and at != self.saved_at:
            if self.team is not None:
                self.team.save(self.checkpoint, state)
            else:
                self.checkpoint.save(state, step=state.step)
            self.saved_at = at

    def epoch(self) -> bool:
        """An epoch, or what is left of it; False where Ctrl-C came."""
        state, meter, progress = self.state, self.meter, self.progress
        start = perf_counter()
        if not state._within:
            meter.reset()
            state.batch = 0
            state._within, state._drained = True, False
        state.logs = {}
        number = state.epoch + 1
        progress.begin(number, meter.samples)
        if not state._drained and not self.batches():
            return False
        if not (meter.samples or (self.team is not None and state.batch)):  # it may be other ranks that had the samples
            raise ValueError(f"fit: the data gave no batch in epoch {number}; is it an iterator that is used up?")
        validated: Logs | None = {}
        if self.evaluation is not None:
            with state.as_evaluated():
                # Ranks that train together stop together, when each has validated.
                validated = self.evaluation.run("val_", lambda: self.interrupts.asked and self.team is None)
        if validated is None:
            return False
        if self.team is None:
            numbers, count = meter.numbers(), meter.samples
        else:
            numbers, count, validated = self.team.numbers(meter, validated)
        state.logs = {**numbers, **self.rate(), **validated}
        state._within = False
        state.epoch = number
        state.history.append(state.logs, perf_counter() - start)
        if state.logs.get("lr") == 0 and number < state.epochs and not self.told_of_zero:
            self.told_of_zero = True
            text = (
                f"fit: the learning rate is 0 after epoch {number} of {state.epochs}: a schedule counts updates, of which "
                f"there were {state.step} so far, {state.batch} batches an epoch; make it as long as the run"
            )
            warnings.warn_explicit(text, RuntimeWarning, *user_site())
        progress.end(number, state.batch, count, state.history.seconds[-1], state.logs)
        plateaus = [(plateau, plateau.state_dict()) for plateau in state.plateaus]
        for callback in state._callbacks:
            if not of_batches(callback):
                callback(state)
        for plateau, before in plateaus:
            if plateau.state_dict() == before:  # no callback has told it
                plateau.update(state.logs[watched(state.logs, None, "Plateau")])
        self.asked()  # what is saved says whether it stops
        if self.checkpoint is not None and self.checkpoint.due(epoch=number):
            self.save()
        return not self.asked()

    def asked(self) -> bool:
        """Whether Ctrl-C came. Ranks that train together answer alike, and `state.stop` is what one of them wants."""
        if self.team is None:
            return self.interrupts.asked
        self.state.stop, asked = self.team.agreed(self.state.stop, self.interrupts.asked)
        self.interrupts.asked |= asked
        return asked

    def rate(self) -> dict[str, float]:
        """The learning rate, where it changes."""
        groups = [group for one in self.state.optimizers for group in one.groups]
        if any(callable(group["lr"]) for group in groups):
            return {"lr": self.state.optimizers[0].rates()[0]}
        return {}

    def batches(self) -> bool:
        """The batches of an epoch, or what is left of them; False where Ctrl-C came."""
        state, meter, progress = self.state, self.meter, self.progress
        split, parted = self.split, self.parted
        each_batch = [callback for callback in state._callbacks if of_batches(callback)]
        checkpoint = None if self.checkpoint is None or self.checkpoint.steps is None else self.checkpoint
        step = self.step
        iterator = iter(self.data)
        if state.batch and not hasattr(self.data, "state_dict"):
            iterator = islice(iterator, state.batch, None)
        pairing: Pairing | None = self.pairing
        for batch in iterator:
            inputs, target, weight = split(batch)
            count = samples(inputs)
            counts = self.team is None or self.team.counts
            if parted is None:
                loss, measured = step(inputs, target, weight)
                updated = True
            else:
                whole = count if self.team is None else self.team.batch(count)
                loss, measured, updated = parted(inputs, target, weight, whole)
            state.batch += 1
            state.step += updated
            if type(loss) is Tensor:
                value = loss.item()
            else:
                value = self.several(loss, count, counts)
            if value - value != 0.0:
                raise self.not_finite(value, inputs, target, weight)
            if pairing is not None:
                pairing.warn()
                pairing = None
            state.batch_loss = value
            if counts:
                meter.add(value, count, measured, target, weight)
            if perf_counter() >= progress.due:
                progress.show(state.batch, meter.samples, meter.so_far())
            if each_batch:
                state.logs["loss"] = meter.loss
                for callback in each_batch:
                    callback(state)
            if updated:
                if checkpoint is not None and checkpoint.due(step=state.step):
                    self.save()
                if self.asked():
                    return False
                if state.stop:
                    break
        if parted is not None and parted.finish():
            state.step += 1
        state._drained = True
        return True

    def several(self, numbers: object, count: int, counts: bool) -> float:
        """The loss among the numbers that a step returned; the others are taken in, if they count."""
        if isinstance(numbers, dict):
            values = {name: _number(name, value) for name, value in numbers.items()}
            if "loss" not in values:
                raise ValueError(f"fit: step returned a dict of {', '.join(values) or 'nothing'}; one must be 'loss'")
            loss = values.pop("loss")
            if counts:
                self.meter.add_numbers(values, count)
            return loss
        return _number("loss", numbers)

    def not_finite(self, value: float, inputs: object, target: object, weight: object) -> FloatingPointError:
        state = self.state
        where = f"fit: the loss is {value} in epoch {state.epoch + 1}, batch {state.batch}, after update {state.step}. "
        if bad := not_finite(inputs, target, weight):
            return FloatingPointError(f"{where}{bad}; then begin anew, since the parameters are of no use any more")
        return FloatingPointError(
            f"{where}The parameters are of no use any more. Lower the learning rate, limit gradients (clip_norm=1.0), or look "
            "for a division, log or sqrt of 0: with tn.debug() and compile=False the op that gives the first nan is named"
        )


def _of_batch(step: Callable[..., object]) -> Callable[..., tuple[Any, None]]:
    """A step of the whole batch as a routine calls it."""

    def custom_step(batch: object, target: None, weight: None) -> tuple[object, None]:
        return called(step, batch), None

    return custom_step


def _number(name: str, value: Any) -> float:
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError):
        raise TypeError(
            f"fit: {name} is a {type(value).__name__}; a step returns the loss, or a dict of numbers"
        ) from None
