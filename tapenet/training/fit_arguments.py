"""Checks of the arguments of `fit`, before anything is learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import Signature

import numpy as np

from tapenet.compiler.compile import Compiled
from tapenet.nn.module import Module
from tapenet.ops.signatures import parameters
from tapenet.optim.lr_scheduler import LRScheduler
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.rules.lbfgs import LBFGS
from tapenet.optim.weight_averaging import Averaged
from tapenet.training.checkpoint import Checkpoint


def check_model(who: str, model: object) -> None:
    """Raise TypeError unless it is a module."""
    if isinstance(model, type):
        raise TypeError(f"{who}: the model is the class {model.__name__}; make one: {model.__name__}(...)")
    if isinstance(model, Compiled):
        raise TypeError(f"{who}: the model is compiled; give the model itself, since {who} compiles the whole step")
    if not hasattr(model, "parameters"):
        raise TypeError(f"{who}: the model is a {type(model).__name__}; give a module, such as nn.Sequential(...)")


def check_loss(who: str, loss: object) -> None:
    """Raise TypeError unless it is a function of output and target, and ValueError if it gives no mean."""
    if isinstance(loss, Optimizer):
        raise TypeError(
            f"{who} takes the loss first, then the optimizer, such as F.mse_loss, optim.SGD(lr=0.1); the loss is "
            f"{type(loss).__name__}"
        )
    if isinstance(loss, type) or not callable(loss):
        what = f"the class {loss.__name__}; make one: {loss.__name__}()" if isinstance(loss, type) else repr(loss)
        if len(what) > 100:  # an array
            what = f"a {type(loss).__name__}"
        raise TypeError(
            f"{who}: the loss is a function of output and target, such as F.mse_loss or nn.MSELoss(), not {what}"
        )
    known = parameters(getattr(loss, "forward", loss))
    if known is not None:
        try:
            Signature(known).bind(None, None)
        except TypeError as error:
            raise TypeError(
                f"{who}: the loss is called with output and target, and {getattr(loss, '__name__', type(loss).__name__)} takes "
                f"({', '.join(map(str, known))}): {error}"
            ) from None
    if (reduction := getattr(loss, "reduction", "mean")) in ("sum", "none"):
        raise ValueError(
            f"{who} takes the mean loss of a batch, and counts it by the length of the batch; make {type(loss).__name__} with "
            f"reduction='mean', not {reduction!r}"
        )


def check_optimizer(who: str, optimizer: object) -> None:
    """Raise TypeError unless it is an optimizer."""
    if isinstance(optimizer, type) or not hasattr(optimizer, "bound"):
        what = (
            f"the class; make one: optim.{optimizer.__name__}(lr=0.1)"
            if isinstance(optimizer, type)
            else repr(optimizer)
        )
        raise TypeError(f"{who}: the optimizer is one such as optim.SGD(lr=0.1), not {what}")


def bind(who: str, optimizers: list[Optimizer], model: Module) -> None:
    """Give the parameters of a model to the optimizer that has none.

    Raises:
        ValueError: there is no optimizer; several have no parameters, or the same; or it is one that `fit` cannot use.
        RuntimeError: one has no parameter of the model, and so would train another.
    """
    if not optimizers:
        raise ValueError(f"{who}: there is no optimizer; give one, such as optim.Adam(lr=1e-3)")
    owners: dict[int, Optimizer] = {}
    for one in optimizers:
        for slot in one.slots if one.bound else ():
            if owners.setdefault(id(slot.param), one) is not one:
                raise ValueError(
                    f"{who}: {slot.name}, of shape {slot.param.shape}, is a parameter of two optimizers, which would update "
                    "it twice: give each its own part of the parameters"
                )
    for one in optimizers:
        if isinstance(one, LBFGS):
            raise ValueError(
                f"{who}: LBFGS computes the loss several times for an update, which the usual step does not; give one of your "
                "own, step=f, which ends with return opt.step(closure), where closure() clears the gradients, computes the "
                "loss, calls backward and returns the loss"
            )
        if not one.bound:
            if len(optimizers) > 1:
                raise ValueError(
                    f"{who}: of several optimizers each needs its part of the parameters, and {type(one).__name__} has none: "
                    f"optim.{type(one).__name__}(net.head.parameters(), lr=0.1)"
                )
            one.bind(model)
        elif not one._updated.keys() & {id(param) for param in model.parameters()}:
            raise RuntimeError(
                f"{who}: {type(one).__name__} has no parameter of this model, and would train another; make one without "
                f"parameters, as in optim.{type(one).__name__}(lr=0.1), and it gets those of the model"
            )


def check_average(average: object, model: Module) -> None:
    """Raise unless it is an average of weights of the model, or None."""
    if average is None:
        return
    if not isinstance(average, Averaged):
        raise TypeError(f"fit: average={average!r}; give an average of the weights: optim.Averaged(net, 0.999)")
    if not {id(tensor) for tensor, _ in average._averaged.values()} & {id(param) for param in model.parameters()}:
        raise ValueError(
            "fit: the average is of the weights of another model; give optim.Averaged(net, 0.999) of this one"
        )


def check_step(step: object, beside: Mapping[str, bool]) -> None:
    """Raise unless a step of the user's can be called, and ValueError if arguments are given beside it that it does not see."""
    if not callable(step):
        raise TypeError(f"fit: step={step!r} must be a function of the batch, step(*batch)")
    if unused := [name for name, given in beside.items() if given]:
        raise ValueError(
            f"fit: step= makes its own updates, where {', '.join(unused)} would do nothing: do it in step, as by "
            "optim.clip_grad_norm, tn.autocast or average.update(), and leave the argument out"
        )


def check_uncut(data: object, options: Mapping[str, object]) -> None:
    """Raise ValueError if one of the options is given that say how arrays are cut, for data that comes in batches."""
    if told := [name for name, value in options.items() if value is not None]:
        raise ValueError(
            f"fit: {', '.join(told)} would say how fit cuts arrays, and data is a {type(data).__name__}, which gives "
            "batches in an order of its own: say it where that is made, as in tn.data.batches(x, y, batch_size=32)"
        )


def check_repeatable(loops: Mapping[str, object], epochs: int) -> None:
    """Raise ValueError if one of these, by name, can be looped over but once."""
    for name, loop in loops.items():
        if hasattr(loop, "__next__"):
            raise ValueError(
                f"fit: {name} is a {type(loop).__name__}, which can be looped over once, and epochs={epochs}: give "
                "something that can be looped over again and again, such as a list or tn.data.batches(...)"
            )


def callbacks_of(callbacks: object) -> list[Callable[..., object]]:
    """One or several callbacks as a list.

    Raises:
        TypeError: one cannot be called with a state.
    """
    found = list(callbacks) if isinstance(callbacks, Iterable) and not isinstance(callbacks, str) else [callbacks]
    for one in found:
        if isinstance(one, type):
            raise TypeError(f"fit: the callback {one.__name__} is the class; make one: {one.__name__}(...)")
        if isinstance(one, (Checkpoint, Averaged)):
            argument = "checkpoint" if isinstance(one, Checkpoint) else "average"
            raise TypeError(f"fit: {type(one).__name__} is no callback; give it as {argument}=")
        if isinstance(getattr(one, "__self__", None), LRScheduler):
            raise TypeError("fit: a scheduler is a callback itself: callbacks=scheduler, not scheduler.step")
        if not callable(one):
            raise TypeError(f"fit: a callback is a function of the state of the run, not {one!r}")
    return [one for one in found if callable(one)]


def number(name: str, value: object, least: int) -> int:
    """An integer that is not below `least`.

    >>> number("epochs", 2.5, 0)
    Traceback (most recent call last):
    TypeError: fit: epochs=2.5 must be an integer
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"fit: {name}={value!r} must be an integer")
    if value < least:
        raise ValueError(f"fit: {name}={value} must be at least {least}")
    return int(value)
