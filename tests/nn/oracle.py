"""A layer beside PyTorch's of the same name, made by the same lines; and the tables of layers that the tests have."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tapenet as tn
import tests.nn
from tapenet import nn

#: Makes a layer, given the module that has it.
Make = Callable[[Any], Any]
R = np.random.default_rng(0)


def tables() -> Iterator[dict[str, Any]]:
    """Every `LAYERS` and `LOSSES` of the tests: by the name of a layer, and words that tell its rows apart."""
    for found in pkgutil.iter_modules(tests.nn.__path__):
        module = importlib.import_module(f"tests.nn.{found.name}")
        yield from (getattr(module, name) for name in ("LAYERS", "LOSSES") if hasattr(module, name))


def randomise(layer: Any) -> None:
    """Give its parameters random values."""
    for p in layer.parameters():
        p.data = R.normal(size=p.shape)


def arrays(layer: Any) -> dict[str, Any]:
    """PyTorch's state as arrays."""
    return {name: value.numpy() for name, value in layer.state_dict().items()}


def same_state(mine: Any, theirs: Any) -> None:
    """Names, order, shapes and values of the state."""
    ours, expected = mine.state_dict(), arrays(theirs)
    assert list(ours) == list(expected)
    for name, value in ours.items():
        assert value.shape == expected[name].shape, name
        np.testing.assert_allclose(value, expected[name], rtol=1e-10, atol=1e-12, err_msg=name)


def same_gradients(mine: Any, theirs: Any) -> None:
    """Of all parameters."""
    for (name, p), q in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-9, atol=1e-11, err_msg=name)


def pair(make: Make) -> tuple[Any, Any]:
    """Our layer and PyTorch's, with the same random parameters, that went through both states."""
    import torch

    mine, theirs = make(nn).astype("float64"), make(torch.nn).double()
    mine.load_state_dict(theirs.state_dict())
    same_state(mine, theirs)
    randomise(mine)
    theirs.load_state_dict({n: torch.tensor(v) for n, v in mine.state_dict().items()})
    return mine, theirs


def beside_torch(make: Make, shape: tuple[int, ...]) -> None:
    """State both ways, values, gradients and running statistics, in training and outside of it."""
    import torch

    mine, theirs = pair(make)
    for training in (True, True, False, True):
        mine.train(training)
        theirs.train(training)
        mine.zero_grad()
        theirs.zero_grad()
        data = R.normal(size=shape)
        x, tx = tn.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
        out, expected = mine(x), theirs(tx)
        assert out.shape == tuple(expected.shape)
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
        g = R.normal(size=out.shape)
        out.backward(g)
        expected.backward(torch.tensor(g))
        np.testing.assert_allclose(x.grad.data, tx.grad.numpy(), rtol=1e-8, atol=1e-10)
        same_gradients(mine, theirs)
        same_state(mine, theirs)
