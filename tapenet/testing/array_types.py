"""The check of an array type of your own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np

from tapenet.autodiff.creation import tensor
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.ops.operators import Operand
from tapenet.program.trees import tree_leaves

F = TypeVar("F")

_own = op(lambda x, y: x * 2 + y, name="own", broadcasts=True)
_pair = op(lambda x: (x, x * 2), name="pair", outputs=2)
_all = op(lambda arrays: sum(arrays), name="all_of", arrays=lambda g, arrays: tuple(g for _ in arrays))

#: What is tried, as a user would write it: of a square matrix, and of a plain array of its shape.
_TRIED: dict[str, Callable[..., object]] = {
    "x + a": lambda x, a: x + a,
    "a + x": lambda x, a: a + x,
    "2 * x": lambda x, a: 2 * x,
    "-x": lambda x, a: -x,
    "x @ x.T": lambda x, a: x @ x.T,
    "x[0]": lambda x, a: x[0],
    "x > 0": lambda x, a: x > 0,
    "x.sum()": lambda x, a: x.sum(),
    "x.mean(axis=0)": lambda x, a: x.mean(axis=0),
    "x.reshape(-1)": lambda x, a: x.reshape(-1),
    "np.tanh(x)": lambda x, a: np.tanh(x),
    "np.add(a, x)": lambda x, a: np.add(a, x),
    "np.sum(x, axis=1)": lambda x, a: np.sum(x, axis=1),
    "np.where(a > 0, x, 0)": lambda x, a: np.where(a > 0, x, 0),
    "np.concatenate([a, x])": lambda x, a: np.concatenate([a, x]),
    "np.linalg.inv(x)": lambda x, a: np.linalg.inv(x),
    "an op of the user's with (x, a)": lambda x, a: _own(x, a),
    "an op of the user's with (a, x)": lambda x, a: _own(a, x),
    "an op with two results": lambda x, a: _pair(x),
    "an op that takes a list": lambda x, a: _all([a, x, a]),
}


def check_array_type(wrap: Callable[[Tensor], F], unwrap: Callable[[F], object]) -> None:
    """Check that ops, operators, methods and NumPy's functions all arrive at an array type of your own.

    Each is tried on a wrapped tensor. What comes back has to be of the type, with the `shape`, `dtype` and `ndim` of the
    values in it; these have to be what the tensor alone gives; and a gradient has to reach the tensor inside.

    Args:
        wrap: makes one of a tensor.
        unwrap: the values in one: a tensor, or an array where it keeps no tensors (then no gradient is checked).

    Raises:
        AssertionError: says for which call what is not so.

    >>> import tapenet as tn
    >>> class Plain(tn.Operand):
    ...     def __init__(self, value):
    ...         self.value, self.shape, self.dtype, self.ndim = value, value.shape, value.dtype, value.ndim
    ...
    ...     def __tapenet_op__(self, op, args, kwargs):
    ...         args, kwargs = tn.tree.map(lambda a: a.value if isinstance(a, Plain) else a, (args, kwargs))
    ...         return tn.tree.map(Plain, op(*args, **kwargs))
    >>> tn.testing.check_array_type(Plain, lambda p: p.value)
    """
    square = np.array([[2.0, -1.0], [0.5, 3.0]])
    other = np.array([[-1.0, 2.0], [4.0, 0.5]])
    first = wrap(tensor(square))
    kind = type(first)
    assert hasattr(kind, "__tapenet_op__"), (
        f"{kind.__name__} has no method __tapenet_op__(op, args, kwargs): no op would hand it a call"
    )
    assert issubclass(kind, Operand), (
        f"{kind.__name__} does not derive from tn.Operand: operators, methods and NumPy's functions do not reach it"
    )
    for words, call in _TRIED.items():
        _check_call(kind, words, call, wrap, unwrap, square, other)


def _check_call(
    kind: type, words: str, call: Callable[..., object], wrap: Callable[[Tensor], F], unwrap: Callable[[F], object],
    square: np.ndarray, other: np.ndarray,
) -> None:  # fmt: skip
    inside, alone = tensor(square, requires_grad=True), tensor(square, requires_grad=True)
    wrapped = wrap(inside)
    try:
        found = call(wrapped, other)
    except Exception as error:
        raise AssertionError(f"{words}: it raised {type(error).__name__}: {error}") from error
    expected = call(alone, other)
    results, wanted = tree_leaves(found), tree_leaves(expected)
    assert len(results) == len(wanted), (
        f"{words}: it gave {len(results)} results, not {len(wanted)}: wrap each, as by tn.tree.map(wrap, op(*args, **kwargs))"
    )
    for got, want in zip(results, wanted, strict=True):
        assert type(got) is kind, f"{words}: it gave a {type(got).__name__}, not a {kind.__name__}"
        held = unwrap(cast("F", got))
        values = held.data if isinstance(held, Tensor) else np.asarray(held)
        assert isinstance(want, Tensor)
        assert np.array_equal(values, want.data), f"{words}: its values are not those of the tensor alone"
        for name in ("shape", "dtype", "ndim"):
            assert getattr(got, name, None) == getattr(want, name), (
                f"{words}: its {name} is {getattr(got, name, 'missing')}, but that of its values is {getattr(want, name)}"
            )
    if not isinstance(unwrap(wrapped), Tensor):
        return
    for got, want in zip(results, wanted, strict=True):
        if isinstance(want, Tensor) and want.requires_grad:
            held = unwrap(cast("F", got))
            flows = isinstance(held, Tensor) and held.requires_grad
            assert flows, f"{words}: no gradient flows through it; keep the tensors, and call op on these"
            assert isinstance(held, Tensor)
            held.sum().backward(retain_graph=True)
            want.sum().backward(retain_graph=True)
    assert (inside.grad is None) == (alone.grad is None), f"{words}: no gradient reached the tensor inside"
    if inside.grad is not None and alone.grad is not None:
        assert np.array_equal(inside.grad.data, alone.grad.data), (
            f"{words}: the gradient is another than the tensor's alone"
        )
