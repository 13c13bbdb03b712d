"""`tn.vmap`: a function of one sample becomes a function of many."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from tapenet import ops
from tapenet.autodiff import programs
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.program.batching import batch, draw_apart, drawing_ops
from tapenet.program.trees import Mismatch, container, flatten, tree_map
from tapenet.transforms.arguments import Arguments, Results
from tapenet.transforms.of_compiled import follows_compiled
from tapenet.transforms.over_ranks import batched, several
from tapenet.transforms.run import function
from tapenet.transforms.tracing import trace
from tapenet.typing import Ranks

#: What becomes of random numbers: an error, the same ones in each lane, or others.
Randomness = Literal["error", "same", "different"]
#: Which axis of each array holds the lanes: an int, None for no axis, or a structure of them.
Axes = object


@boundary
@follows_compiled
def vmap(
    f: Callable[..., object],
    in_axes: Axes = 0,
    out_axes: Axes = 0,
    randomness: Randomness = "error",
    *,
    over: Ranks | None = None,
) -> Callable[..., Any]:
    """A function that computes `f` for many samples at once, each in a lane of its own.

    The function is written for one sample, and runs once: each op of it becomes one of all lanes, without a loop.

    Args:
        f: a function of tensors, or nested structures of them, that returns such.
        in_axes: the axis of the arguments that holds the lanes: an int for all, or one for each argument, or a structure as
            the arguments'. None: the argument is the same in every lane, as those are that the call gives by keyword.
        out_axes: likewise where the lanes of the results are. None: a result that is the same in every lane, without them.
        randomness: of random numbers drawn inside: "error", "same" ones in every lane, or "different" ones.
        over: `tn.parallel`: each rank computes its part of the lanes, and all get the whole result
            ([how](../../docs/parallel.md#parallel-derivatives)).

    Raises:
        ValueError: axes that do not fit, or lanes that differ in number; a result with lanes where `out_axes` is None.
        CaptureError: `f` asks for the value of a tensor, which each lane has its own of, or has effects; or random
            numbers are drawn turn by turn of a loop, or in a branch.
        RuntimeError: random numbers are drawn, and `randomness` is "error".

    >>> import numpy as np, tapenet as tn
    >>> tn.vmap(lambda x, y: x @ y, in_axes=(0, None))(np.eye(3), np.arange(3.0))
    Tensor([0., 1., 2.])
    """
    function("vmap", f)
    if randomness not in ("error", "same", "different"):
        raise ValueError(f"tn.vmap: randomness={randomness!r} is none of 'error', 'same', 'different'")

    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: object, **kwargs: object) -> object:
        arguments = Arguments("vmap", args)
        given = arguments.leaves
        axes = _axes_in(in_axes, arguments)
        size = _lanes(given, axes, arguments.paths)
        results = Results("vmap", False)
        lane = [t if axis is None else _lane(t, axis, size) for t, axis in zip(given, axes, strict=True)]
        called = functools.partial(f, **kwargs) if kwargs else f
        traced = trace("vmap", results.flat(arguments.calling(called)), lane, lanes=True)
        drawing = list(drawing_ops(traced.function.program()))
        for name, inside in drawing:
            if inside:
                raise CaptureError(
                    f"tn.vmap: op {name!r} draws random numbers when it is called, in a loop, a branch or another tn.vmap, "
                    "which is not once for each lane: draw outside and pass them, with in_axes=None for the same in every lane"
                )
        if (traced.draws or drawing) and randomness == "error":
            raise RuntimeError(
                "tn.vmap: the function draws random numbers: say randomness='different' for others in each lane, or 'same'"
            )
        if (traced.draws or drawing) and randomness == "same" and several(over, "vmap"):
            raise RuntimeError(
                "tn.vmap: each rank would draw random numbers of its own for all lanes: draw outside and pass them with "
                "in_axes=None, or say randomness='different'"
            )
        if drawing and randomness == "same":
            raise RuntimeError(
                f"tn.vmap: op {drawing[0][0]!r} draws random numbers when it is called, which is once for each lane: say "
                "randomness='different', or draw outside and pass them with in_axes=None"
            )
        moved = [t if a is None else ops.moveaxis(t, a, 0) if a else t for t, a in zip(given, axes, strict=True)]
        per_lane = randomness == "different"
        if per_lane:
            draw_apart(traced.function.program())
        draws = traced.drawn(size if per_lane else None)
        flags = [*(a is not None for a in axes), *[False] * len(traced.closed), *[per_lane] * len(draws)]
        outer = _axes_out(out_axes, results)
        laned = batched("vmap", traced.function, flags, size, over)
        laned.name = f"vmap ×{size}"
        outs = programs.run(laned, [*moved, *traced.closed, *draws])
        if None in outer:
            differs = batch(traced.function.program(), flags, size)[1]
            for i, axis in enumerate(outer):
                if axis is None and differs[i]:
                    raise ValueError(
                        f"tn.vmap: out_axes is None for result {i}, of shape {results.leaves[i].shape} in each lane, which "
                        "differs from lane to lane: give the axis where its lanes are to be"
                    )
        made = [
            t[0] if axis is None else ops.moveaxis(t, 0, axis) if axis else t
            for t, axis in zip(outs, outer, strict=True)
        ]
        return results.build(made)

    return wrapped


def _lane(t: Tensor, axis: int, size: int) -> Tensor:
    """The first lane of an argument: what the function runs on while it is recorded."""
    if size:
        return Tensor._of(np.asarray(np.take(t._data, 0, axis)))  # of one axis it is a number
    return Tensor._of(np.zeros((*t.shape[:axis], *t.shape[axis + 1 :]), t.dtype))


def _spread(axes: Axes, tree: object, found: list[object]) -> None:
    """The axis of each leaf: where `axes` is an int or None, that of all leaves below.

    Raises:
        Mismatch: the two differ in structure.
    """
    if axes is None or hasattr(axes, "__index__"):
        found += [axes] * flatten(tree)[1].count
        return
    found_container = container(type(tree))
    if found_container is None or type(axes) is not type(tree):
        raise Mismatch
    outer, inner = found_container.apart(axes), found_container.apart(tree)
    if len(outer.values) != len(inner.values) or set(outer.names or ()) != set(inner.names or ()):
        raise Mismatch
    by_name = dict(zip(outer.names or range(len(outer.values)), outer.values, strict=True))
    for name, value in zip(inner.names or range(len(inner.values)), inner.values, strict=True):
        _spread(by_name[name], value, found)


def _axes_in(in_axes: Axes, arguments: Arguments) -> list[int | None]:
    found: list[Any] = []
    try:
        _spread(tuple(in_axes) if isinstance(in_axes, list) else in_axes, arguments.trees, found)
    except Mismatch:
        raise ValueError(
            f"tn.vmap: in_axes={in_axes!r} does not fit the {len(arguments.trees)} argument(s): give an int, or a tuple "
            "with an int, None or a structure of them for each"
        ) from None
    axes: list[int | None] = []
    for axis, t, path in zip(found, arguments.leaves, arguments.paths, strict=True):
        if axis is not None and not -t.ndim <= axis < t.ndim:
            raise ValueError(f"tn.vmap: in_axes has axis {axis} for {path}, of shape {t.shape}")
        axes.append(None if axis is None else axis % t.ndim)
    return axes


def _lanes(given: list[Tensor], axes: list[int | None], where: list[str]) -> int:
    sizes = {p: t.shape[a] for t, a, p in zip(given, axes, where, strict=True) if a is not None}
    if not sizes:
        raise ValueError("tn.vmap: in_axes gives no argument an axis of lanes: one at least must have it")
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{path} has {n}" for path, n in sizes.items())
        raise ValueError(f"tn.vmap: the arguments must have as many lanes, and {told}; in_axes={axes}")
    return next(iter(sizes.values()))


def _axes_out(out_axes: Axes, results: Results) -> list[int | None]:
    found: list[Any] = []
    model = results.build([0] * len(results.leaves))
    try:
        _spread(out_axes, model, found)
    except Mismatch:
        raise ValueError(
            f"tn.vmap: out_axes={out_axes!r} does not fit the result, {tree_map(lambda _: '·', model)}: give an int, or a "
            "structure like it"
        ) from None
    axes: list[int | None] = []
    for axis, t in zip(found, results.leaves, strict=True):
        if axis is not None and not -t.ndim - 1 <= axis <= t.ndim:
            raise ValueError(f"tn.vmap: out_axes={axis} for a result of shape {t.shape} in each lane")
        axes.append(None if axis is None else axis % (t.ndim + 1))
    return axes
