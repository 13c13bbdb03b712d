"""Exchanges between ranks, as ops: each with its adjoint, which is another exchange.

The loss of a run is the sum of all ranks' losses; a gradient on one rank is the derivative of that sum by what the rank gave.
Forward mode goes in the direction that the tangents of all ranks make together: a Hessian's column is that of an input that all
ranks share. `send` and `recv` send tangents, and gradients, beside the arrays; all ranks must take the same derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from tapenet.autodiff.creation import tensor
from tapenet.autodiff.state import is_grad_enabled
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op, op
from tapenet.parallel import compiled
from tapenet.parallel.ranks import World, world
from tapenet.program.c_effects import CEffect
from tapenet.program.low import is_inexact
from tapenet.typing import Array, Shape

#: Reductions by name, with what MPI calls them.
REDUCTIONS = {"sum": "SUM", "mean": "SUM", "max": "MAX", "min": "MIN"}


def _sent(name: str, dtype: np.dtype, reduces: bool = True) -> np.dtype:
    """The dtype that MPI takes for one. Numbers of 16 bits are added in float32."""
    if not (dtype.kind in "iu" or is_inexact(dtype) or (dtype.kind == "b" and not reduces)):
        raise TypeError(f"{name}: MPI does not add up {dtype}; give numbers, as by x.astype(np.int64)")
    return np.dtype(np.float32) if reduces and dtype.itemsize == 2 and is_inexact(dtype) else dtype.newbyteorder("=")


def _sendable(name: str, x: Array, reduces: bool = True) -> Array:
    """The array as MPI takes it: behind each other in memory."""
    return np.asarray(x, _sent(name, x.dtype, reduces), order="C")


@lru_cache(maxsize=1000)
def _words(name: str, dtype: np.dtype, shape: Shape, *more: object) -> str:
    """What a call is, for all ranks to compare."""
    return " ".join([name, str(dtype), str(shape), *map(str, more)])


def _compiled(made: Callable[..., CEffect | None], op: Op, reduces: bool = False) -> None:
    """Say what C functions do for an op in compiled programs, of an array as MPI takes it."""

    def c_effect(shape: Shape, dtype: np.dtype, **options: Any) -> CEffect | None:
        ranks = world()
        if ranks.size == 1 or _sent(op.name, dtype, reduces) != dtype:
            return None
        return made(ranks, shape, dtype, **options)

    vars(op.forward)["c_effect"] = c_effect


def _check_root(name: str, root: int, ranks: World) -> None:
    if not 0 <= root < ranks.size:
        raise ValueError(f"{name}: there is no rank {root}; of {ranks.size} ranks the last is {ranks.size - 1}")


# What each gives, by shape and dtype: what is found out beforehand must not exchange anything.


def _alike(x: Array, *_: object) -> Array:
    return np.zeros(x.shape, x.dtype)


def _gathered(x: Array) -> Array:
    return np.zeros((world().size * x.shape[0], *x.shape[1:]), x.dtype)


def _scattered(x: Array) -> Array:
    return np.zeros((x.shape[0] // world().size, *x.shape[1:]), x.dtype)


# -- reductions ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1000)
def _reduction(dtype: np.dtype, shape: Shape, how: str) -> Callable[[Array], Array]:
    """What reduces arrays, made once: a small sum of two ranks takes 5 µs in all, checks and words 3 more."""
    ranks = world()
    if how not in REDUCTIONS:
        raise ValueError(f"allreduce: op={how!r}; give one of {', '.join(map(repr, REDUCTIONS))}")
    if how == "mean" and not is_inexact(dtype):
        raise TypeError(f"allreduce: a mean of {dtype} is none; give x.astype(float)")
    if how in ("max", "min") and dtype.kind == "c":
        raise TypeError(f"allreduce: {dtype} has no {how}: complex numbers have no order")
    sent = _sent("allreduce", dtype)
    if ranks.size == 1:
        return np.copy
    combine = ranks.combining(_words("allreduce", sent, shape, how), shape, sent, REDUCTIONS[how])
    if how != "mean" and sent == dtype:
        return combine

    def reduced(x: Array) -> Array:
        out = combine(x.astype(sent, copy=False))
        if how == "mean":
            np.divide(out, ranks.size, out=out)
        return out.astype(dtype, copy=False)

    return reduced


def _allreduce_rule(g: Array, x: Array, out: Array, op: str) -> Array:
    if op in ("sum", "mean"):
        return allreduce(g, op)
    hit = np.equal(x, out).astype(g.dtype)
    found: Array = allreduce(g) * hit / allreduce(hit)
    return found


def _allreduce_push(x_dot: Array, x: Array, out: Array, op: str) -> Array:
    if op in ("sum", "mean"):
        return allreduce(x_dot, op)
    hit = np.equal(x, out).astype(x_dot.dtype)
    found: Array = allreduce(x_dot * hit) / allreduce(hit)
    return found


@op(
    ordered=_alike,
    vmap="leading",
    jvp=_allreduce_push,
    x=_allreduce_rule,
    label=lambda op: f"allreduce {op}",
    formula="Σ x over all ranks",
)
def allreduce(x: Array, op: str = "sum") -> Array:
    """The sum of all ranks' arrays, on each of them; or their mean, maximum or minimum, element by element.

    Its adjoint is the same for sum and mean; of a maximum or minimum the ranks that have it share the gradient.
    A maximum or minimum of nan and numbers is one of them, as MPI has it.

    Args:
        x: an array, of the same shape and dtype on all ranks.
        op: "sum", "mean", "max" or "min".

    Raises:
        RuntimeError: on all ranks, where they give other shapes or make other calls.

    >>> import numpy as np, tapenet as tn
    >>> tn.parallel.allreduce(np.ones(2)) / tn.parallel.size
    array([1., 1.])
    """
    return _reduction(x.dtype, x.shape, op)(x)


def _allreduce_c(ranks: World, shape: Shape, dtype: np.dtype, op: str) -> CEffect | None:
    what = _words("allreduce", dtype, shape, op)
    return compiled.allreduce(ranks, what, shape, dtype, REDUCTIONS[op], ranks.size if op == "mean" else 1)


_compiled(_allreduce_c, allreduce, reduces=True)


# -- gathering and distributing --------------------------------------------------------------------------------------


def _gather_push(x_dot: Array) -> Array:
    return allgather(x_dot)


def _gather_rule(g: Array) -> Array:
    return reduce_scatter(g)


def _gather_lanes(x: Array) -> Array:
    return np.moveaxis(allgather(np.moveaxis(x, 0, -1)), -1, 0)


@op(ordered=_gathered, vmap=_gather_lanes, jvp=_gather_push, x=_gather_rule, formula="x of rank 0, x of rank 1, …")
def allgather(x: Array) -> Array:
    """All ranks' arrays behind each other along the first axis, on each of them. Its adjoint is `reduce_scatter`.

    Args:
        x: (n, ...), of the same shape and dtype on all ranks.

    Returns:
        (size · n, ...).

    >>> import numpy as np, tapenet as tn
    >>> tn.parallel.allgather(np.ones((3, 2))).shape == (3 * tn.parallel.size, 2)
    True
    """
    ranks = world()
    if x.ndim == 0:
        raise ValueError(
            "allgather: x is a number, which has no axis to put ranks behind each other in: give x.reshape(1)"
        )
    given = _sendable("allgather", x, reduces=False)
    out = np.empty((ranks.size * x.shape[0], *x.shape[1:]), given.dtype)
    if ranks.size == 1:
        out[...] = given
        return out
    ranks.agree(_words("allgather", given.dtype, given.shape))
    with ranks.waiting("allgather"):
        ranks.comm.Allgather(_bytes(given), _bytes(out))
    return out


def _allgather_c(ranks: World, shape: Shape, dtype: np.dtype) -> CEffect | None:
    return compiled.allgather(ranks, _words("allgather", dtype, shape), shape, dtype)


_compiled(_allgather_c, allgather)


def _scatter_push(x_dot: Array) -> Array:
    return reduce_scatter(x_dot)


def _scatter_rule(g: Array) -> Array:
    return allgather(g)


def _scatter_lanes(x: Array) -> Array:
    return np.moveaxis(reduce_scatter(np.moveaxis(x, 0, -1)), -1, 0)


@op(
    ordered=_scattered,
    vmap=_scatter_lanes,
    jvp=_scatter_push,
    x=_scatter_rule,
    formula="this rank's part of Σ x over all ranks",
)
def reduce_scatter(x: Array) -> Array:
    """The sum of all ranks' arrays, of which each rank gets its part along the first axis. Its adjoint is `allgather`.

    Args:
        x: (size · n, ...), of the same shape and dtype on all ranks.

    Returns:
        (n, ...): of rank r the rows from r · n.

    Raises:
        ValueError: the length is no multiple of the number of ranks.

    >>> import numpy as np, tapenet as tn
    >>> x = np.ones((2 * tn.parallel.size, 3))
    >>> tn.parallel.reduce_scatter(x).shape
    (2, 3)
    """
    ranks = world()
    if x.ndim == 0 or x.shape[0] % ranks.size:
        raise ValueError(
            f"reduce_scatter: x has shape {x.shape}; its first axis must be a multiple of the {ranks.size} ranks"
        )
    given = _sendable("reduce_scatter", x)
    out = np.empty((x.shape[0] // ranks.size, *x.shape[1:]), given.dtype)
    if ranks.size == 1:
        out[...] = given
    else:
        ranks.agree(_words("reduce_scatter", given.dtype, given.shape))
        with ranks.waiting("reduce_scatter"):
            ranks.comm.Reduce_scatter_block(given, out, ranks.MPI.SUM)
    return out.astype(x.dtype, copy=False)


def _reduce_scatter_c(ranks: World, shape: Shape, dtype: np.dtype) -> CEffect | None:
    return compiled.reduce_scatter(ranks, _words("reduce_scatter", dtype, shape), shape, dtype)


_compiled(_reduce_scatter_c, reduce_scatter, reduces=True)


def _broadcast_push(x_dot: Array, root: int) -> Array:
    return broadcast(x_dot, root)


def _broadcast_rule(g: Array, root: int) -> Array:
    return reduce(g, root)


@op(
    ordered=_alike,
    vmap="leading",
    jvp=_broadcast_push,
    x=_broadcast_rule,
    label=lambda root: f"broadcast of rank {root}",
    formula="x of rank root",
)
def broadcast(x: Array, root: int = 0) -> Array:
    """The array of one rank, on all of them. Its adjoint is `reduce`.

    Args:
        x: an array; those of other ranks than `root` say shape and dtype alone.
        root: whose.

    >>> import numpy as np, tapenet as tn
    >>> tn.parallel.broadcast(np.arange(3.0))
    array([0., 1., 2.])
    """
    ranks = world()
    _check_root("broadcast", root, ranks)
    given = _sendable("broadcast", x, reduces=False)
    out = given.copy()
    if ranks.size > 1:
        ranks.agree(_words("broadcast", given.dtype, given.shape, root))
        with ranks.waiting("broadcast"):
            ranks.comm.Bcast(_bytes(out), root)
    return out


def _broadcast_c(ranks: World, shape: Shape, dtype: np.dtype, root: int) -> CEffect | None:
    return compiled.broadcast(ranks, _words("broadcast", dtype, shape, root), shape, dtype, root)


_compiled(_broadcast_c, broadcast)


def _reduce_push(x_dot: Array, root: int) -> Array:
    return reduce(x_dot, root)


def _reduce_rule(g: Array, root: int) -> Array:
    return broadcast(g, root)


@op(
    ordered=_alike,
    vmap="leading",
    jvp=_reduce_push,
    x=_reduce_rule,
    label=lambda root: f"reduce to rank {root}",
    formula="Σ x over all ranks, on rank root",
)
def reduce(x: Array, root: int = 0) -> Array:
    """The sum of all ranks' arrays on one of them, and zeros on the others. Its adjoint is `broadcast`.

    Args:
        x: an array, of the same shape and dtype on all ranks.
        root: who gets it.

    >>> import numpy as np, tapenet as tn
    >>> tn.parallel.reduce(np.ones(2)).shape
    (2,)
    """
    ranks = world()
    _check_root("reduce", root, ranks)
    given = _sendable("reduce", x)
    out = np.zeros(given.shape, given.dtype)
    if ranks.size == 1:
        out[...] = given
    else:
        ranks.agree(_words("reduce", given.dtype, given.shape, root))
        with ranks.waiting("reduce"):
            ranks.comm.Reduce(given, out if ranks.rank == root else None, ranks.MPI.SUM, root)
    return out.astype(x.dtype, copy=False)


def _bytes(x: Array) -> Array:
    """The same memory as bytes: what is only moved need not be a type that MPI knows."""
    return x.reshape(-1).view(np.uint8)


# -- from one rank to another ----------------------------------------------------------------------------------------


# Each derivative exchanges where the ones before did. So what comes, or the receipt, depends on what the rule is of: a further
# derivative goes that way too, with zeros.


def _send_rule(g: Array, out: Array, x_shape: Shape, to: int) -> Array | Tensor:
    return recv(np.broadcast_to(np.where(False, out, 0 * g), x_shape), to)


def _send_push(x_dot: Array, to: int) -> Array:
    return send(x_dot, to)


def _send_lanes(x: Array, to: int, lanes: int) -> Array:
    return np.broadcast_to(send(x, to), (lanes,))


def _receipt(x: Array, to: int) -> Array:
    return np.zeros((), x.dtype if is_inexact(x.dtype) else np.float64)


@op(
    ordered=_receipt,
    paired=True,
    vmap=_send_lanes,
    jvp=_send_push,
    x=_send_rule,
    label=lambda to: f"send to rank {to}",
    formula="x to another rank",
)
def send(x: Array, to: int) -> Array:
    """Send an array to another rank, where `recv` takes it. Several to the same rank arrive in their order.

    It does not wait: the other rank takes the array when it comes to it.

    Args:
        x: an array.
        to: the other rank.

    Returns:
        the receipt: the number 0, to be added to the loss. Where the loss has it, `backward` fetches the gradient by `x` from
        the other rank.

    Raises:
        ValueError: there is no such rank, or it is this one.
    """
    ranks = world()
    _check_root("send", to, ranks)
    if to == ranks.rank:
        raise ValueError(f"send: rank {to} would send to itself; use the array as it is")
    given = _sendable("send", x, reduces=False)
    ranks.post(given, to)
    return _receipt(x, to)


def _recv_rule(g: Array, out: Array, source: int) -> Array:
    return np.where(False, out, send(g, source))


def _recv_push(like_dot: Array, source: int) -> Array:
    return _recv(like_dot, source)


@op(
    ordered=_alike,
    paired=True,
    vmap="leading",
    jvp=_recv_push,
    like=_recv_rule,
    name="recv",
    label=lambda source: f"recv from rank {source}",
    formula="x of another rank",
)
def _recv(like: Array, source: int) -> Array:
    ranks = world()
    _check_root("recv", source, ranks)
    if source == ranks.rank:
        raise ValueError(f"recv: rank {source} would wait for itself; use the array as it is")
    return ranks.fetch(like.shape, like.dtype, source)


def recv(like: Array | Tensor, source: int) -> Array | Tensor:
    """Wait for the next array that another rank sends to this one.

    Args:
        like: an array of its shape and dtype; its values mean nothing.
        source: the other rank.

    Returns:
        the array; a tensor, whose gradient goes back to the other rank, where tensors are asked for by a tensor and gradients
        are recorded.

    Raises:
        ValueError: there is no such rank, or it is this one.
        RuntimeError: an array of another shape or dtype arrived.
    """
    if isinstance(like, Tensor) and is_grad_enabled() and is_inexact(like.dtype) and not like.requires_grad:
        like = tensor(np.zeros(like.shape, like.dtype), requires_grad=True)
    return _recv(like, source)
