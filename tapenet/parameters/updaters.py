"""Who updates parameters, so that it can tell when a model was given others: an optimizer goes on with the parameters it
was made with, and a layer that is put in the place of another would never learn.

Optimizers enter themselves here; modules say what they are given. Neither needs to know of the other, and nothing is
looked at in a step but in the first after a change.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from tapenet.autodiff.tensor import Tensor
from tapenet.ops.stack_frames import user_site


class Newcomers(NamedTuple):
    """Parameters that came to a model whose others an updater has."""

    #: The attribute they came with, as text.
    place: str
    params: list[weakref.ref[Tensor]]
    #: How many more steps to look whether they have a gradient.
    looks: int = 2


class Updater(Protocol):
    """What updates parameters."""

    #: The parameters it updates, by id.
    _updated: dict[int, Tensor]
    #: Those that came to the model since, until it was looked who updates them.
    _newcomers: list[Newcomers]


_known: weakref.WeakValueDictionary[int, Updater] = weakref.WeakValueDictionary()


def enter(updater: Updater, params: Iterable[Tensor]) -> None:
    """Have an updater of these parameters hear of newcomers for as long as it lives."""
    updater._updated = {id(p): p for p in params}
    _known[id(updater)] = updater


def known() -> list[Updater]:
    """All updaters there are."""
    return [updater for found in _known.valuerefs() if (updater := found()) is not None]


def came(place: str, beside: list[Tensor], new: list[Tensor]) -> None:
    """Tell those who update the parameters beside that there are new ones."""
    for updater in known():
        own = updater._updated
        if any(id(p) in own for p in beside):
            others = [weakref.ref(p) for p in new if id(p) not in own]
            if others:
                updater._newcomers.append(Newcomers(place, others))


def look(updater: Updater, who: str) -> None:
    """Warn of newcomers that have a gradient and that nobody updates. Each is looked at until then, or twice."""
    waiting, places, count = [], [], 0
    taken = {key for other in known() for key in other._updated}
    for place, params, looks in updater._newcomers:
        left = [p for ref in params if (p := ref()) is not None and p.requires_grad and id(p) not in taken]
        if any(p._held_grad() is not None for p in left):
            places.append(place)
            count += len(left)
        elif left and looks > 1:
            waiting.append(Newcomers(place, params, looks - 1))
    updater._newcomers = waiting
    if places:
        file, line = user_site()
        text = (
            f"{who} leaves out {count} parameters that have gradients: {', '.join(places)} came after the optimizer was made, "
            "and no optimizer updates what came. Make the optimizer when the model is complete, or add the new parameters: "
            "opt.add_param_group({'params': layer.parameters()})"
        )
        warnings.warn_explicit(text, RuntimeWarning, file, line)
