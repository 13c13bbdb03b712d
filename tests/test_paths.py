"""Paths through the code that a reader follows: which files they lead through, and that no call climbs a layer.

The way from a node to its picture is counted in `tests/drawing/test_picture.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tapenet as tn
from tapenet import nn
from tapenet.nn import functional as F
from tests.test_architecture import KNOWS, ROOT, folder_of

X, Y = np.ones((2, 4), np.float32), np.ones((2, 3), np.float32)


def _module(file: str) -> str | None:
    """The module of a file of the package; the code that ops' calls are made of is the recorder's, that of rules ops'."""
    if file.startswith("<"):
        return "tapenet.autodiff.generate" if file.startswith("<op ") else "tapenet.ops.formula"
    path = Path(file)
    return ".".join(("tapenet", *path.relative_to(ROOT).with_suffix("").parts)) if ROOT in path.parents else None


def _calls(run: Callable[[], object]) -> list[tuple[str | None, str]]:
    """The calls of the package's functions, in order: the modules of caller and called."""
    found: list[tuple[str | None, str]] = []

    def seen(frame: object, event: str, argument: object) -> None:
        if event == "call":
            of = _module(frame.f_code.co_filename)  # type: ignore[attr-defined]
            if of is not None:
                found.append((_module(frame.f_back.f_code.co_filename), of))  # type: ignore[attr-defined]

    sys.setprofile(seen)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


def _files(calls: list[tuple[str | None, str]]) -> list[str]:
    """The files that are read, each once, in the order in which they are come to."""
    generated = {"tapenet.autodiff.generate", "tapenet.ops.formula"}
    return [module for module in dict.fromkeys(of for _, of in calls) if module not in generated]


def _climbs(calls: list[tuple[str | None, str]]) -> set[tuple[str, str]]:
    """The calls of a folder that the caller's may not import."""
    return {(by, of) for by, of in calls if by is not None and folder_of(of) not in KNOWS[folder_of(by)]}


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def test_a_gradient() -> None:
    net = _net()
    first, again = (F.mse_loss(net(tn.tensor(X)), Y) for _ in range(2))
    first.backward()
    calls = _calls(again.backward)
    assert _files(calls) == [
        "tapenet.autodiff.tensor",
        "tapenet.autodiff.backward",
        "tapenet.ops.stack_frames",
        "tapenet.autodiff.gradients",
        "tapenet.ops.layers.losses.distances",
        "tapenet.ops.layers.losses.reduction",
        "tapenet.ops.products.matmul",
        "tapenet.ops.layers.activations.rectifiers",
    ]
    assert not _climbs(calls)


def test_an_array_through_a_layer() -> None:
    layer, x = _net()[0], tn.tensor(X)
    layer(x)
    calls = _calls(lambda: layer(x))
    assert set(_files(calls)) == {
        "tapenet.nn.module",
        "tapenet.nn.linear",
        "tapenet.autodiff.node",
        "tapenet.ops.products.matmul",
    }
    assert not _climbs(calls)
