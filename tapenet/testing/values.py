"""What an op computes: the same value and dtype however it is called, and nothing written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import Node
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler import agreement
from tapenet.ops import random
from tapenet.ops.derived import Derived, pure
from tapenet.ops.op import Op, Scatter
from tapenet.program.symbols import CannotLower
from tapenet.program.trees import tree_leaves
from tapenet.testing import mistakes
from tapenet.testing.cases import Case
from tapenet.testing.gradients import GradientMismatch, floats, is_float
from tapenet.testing.writes import changed, guarded
from tapenet.typing import Array

_NARROW = (np.dtype(np.float32), np.dtype(np.complex64))


@contextmanager
def random_state() -> Iterator[None]:
    """A block that leaves the process's generator as it was. One that nobody has drawn from stays so."""
    if "numpy.random" not in sys.modules:
        yield
        return
    before = random.get_state()
    try:
        yield
    finally:
        random.set_state(before)


def same(a: object, b: object, what: str, rounding: float = 0.0) -> None:
    """Raise an AssertionError unless two results have the same structure, shapes, dtypes and values, these but for
    rounding relative to the largest."""
    left, right = tree_leaves(a), tree_leaves(b)
    assert len(left) == len(right), f"{what}: {len(left)} results against {len(right)}"
    for x, y in zip(left, right, strict=True):
        x, y = (v.data if isinstance(v, Tensor) else np.asarray(v) for v in (x, y))
        assert x.shape == y.shape, f"{what}: shape {x.shape} against {y.shape}"
        assert x.dtype == y.dtype, f"{what}: dtype {x.dtype} against {y.dtype}"
        if rounding and x.dtype.kind in "fc":
            scale = float(np.abs(y[np.isfinite(y)]).max(initial=1.0))
            fits = np.isclose(x, y, rounding, rounding * scale, equal_nan=True)
        else:
            fits = np.asarray((x == y) | ((x != x) & (y != y)))
        if not fits.all():
            at = tuple(int(k) for k in np.argwhere(~fits)[0])
            raise AssertionError(
                f"{what}: values differ, {x[at]:.6g} against {y[at]:.6g} at element {at} of shape {x.shape}"
            )


def tensors(leaf: object) -> object:
    """An array as a tensor."""
    return Tensor._of(leaf) if isinstance(leaf, np.ndarray) else leaf


def values(case: Case, order: int) -> None:
    """The same value from arrays, tensors and the NumPy function, and arguments that are only read."""
    op = case.op
    compute = op.returning
    effect = isinstance(op, Op) and op.effect
    makes = isinstance(op, Derived) and op.makes
    raw = compute(*case.args, **case.options) if effect else _read_only(case)
    tensors_out = [isinstance(t, Tensor) for t in tree_leaves(raw)]
    assert makes or not any(tensors_out), "arrays in, but a tensor out"
    assert not makes or all(tensors_out), "it makes tensors, but something else came out"
    args, options = case.filled(
        [Tensor._of(p).requires_grad_() for p in case.given], list(map(Tensor._of, case.others))
    )
    case.seed()
    on_tensors = compute(*args, **options)
    if any(isinstance(t, Tensor) for t in tree_leaves([args, options])):
        assert all(isinstance(t, Tensor) for t in tree_leaves(on_tensors)), "tensors in, but no tensor out"
    same(raw, on_tensors, "arrays against tensors")
    # A function made of others may add in another order than NumPy's own does.
    rounding = 1e-13 if isinstance(op, Derived) else 0.0
    for function in op.numpy:
        numpy: Callable[..., object] = function if compute is op else pure(function)
        plain, named = case.filled(case.given)
        same(raw, numpy(*plain, **named), f"{function.__name__} on arrays against the op", rounding)
        asks = hasattr(function, "_implementation")  # whether its arguments know tensors; else it has like=
        like = {"like": Tensor._of(np.zeros(()))} if makes and not asks else {}
        same(raw, numpy(*args, **options, **like), f"{function.__name__} on tensors against the op")
    if not case.points and not effect:
        assert not any(isinstance(t, Tensor) and t.requires_grad for t in tree_leaves(on_tensors))


def _read_only(case: Case) -> object:
    """What the op gives for arrays.

    Raises:
        AssertionError: it writes into one; or a second call gives something else.
    """
    args, options = case.filled(case.given)
    before = case.by_name(args, options)

    def run(writeable: bool = False) -> object:
        positional, named = guarded((args, options), writeable=writeable)
        case.seed()
        found = case.op.returning(*positional, **named)
        for name, value in case.by_name(positional, named).items():
            assert not changed(value, before[name]), (
                f"the forward writes into its argument {name!r}, which is the caller's: begin with {name} = {name}.copy(), "
                "or write a = a * b in place of a *= b and out="
            )
        return found

    try:
        found = run()
    except Exception as error:
        if "read-only" not in str(error):
            raise
        run(writeable=True)
        raise AssertionError(
            f"the forward fails on arrays that are read-only, as a caller's may be: {error}. Pass a copy on, np.array(x), or "
            "declare the array const where it is compiled"
        ) from error
    words = (
        "draw from tn.random.generator(), which tn.random.seed repeats"
        if case.random
        else "if it draws random numbers, declare random=True"
    )
    same(found, run(), f"a call against a second one with the same arguments: {words}")
    return found


def dtype(case: Case, order: int) -> None:
    """float32 stays float32: in values and gradients, and inside of rules."""
    op = case.op
    if (isinstance(op, Op) and op.effect) or (not any(map(is_float, tree_leaves(case.args))) and not case.given):
        return
    others = [Tensor._of(_narrow(a)) for a in case.others]
    leaves = [Tensor._of(_narrow(p)).requires_grad_() for p in case.given]
    args, options = case.filled(leaves, others)
    case.seed()
    outs = floats(op.returning(*args, **options))
    wide = [t.dtype for t in outs if t.dtype not in _NARROW]
    if op.name in ("astype", "float_power", "fromiter"):  # whose dtype is not that of their inputs, as in NumPy
        return
    assert not wide, (
        f"float32 in, but {wide[0]} out: end with .astype(x.dtype) where foreign code computes in 64 bits; elsewhere NumPy's "
        "numbers of 64 bits make everything wide, as np.sqrt(2) does and math.sqrt(2) does not"
    )
    with _watched(op.name):
        flowing = [out for out in outs if out.requires_grad]
        for out in flowing:  # by the rules themselves; a further derivative may go by a reference
            out.backward(np.ones(out.shape, out.dtype), retain_graph=True)
        if order > 1:
            for leaf in leaves:
                leaf.grad = None
            for out in flowing:
                out.backward(np.ones(out.shape, out.dtype), retain_graph=True, create_graph=True)
            for leaf in leaves:
                if leaf.grad is not None and leaf.grad.requires_grad:
                    leaf.grad.backward(np.ones(leaf.shape, leaf.dtype), retain_graph=True)


def _narrow(leaf: Array) -> Array:
    return leaf.astype(_NARROW[leaf.dtype.kind == "c"]) if is_float(leaf) else leaf


@contextmanager
def _watched(title: str) -> Iterator[None]:
    """A block in which a rule that returns a gradient in another dtype than float32's is told.

    Raises:
        GradientMismatch: at the end, if there was one.
    """
    cast: list[str] = []
    put = Gradients.put

    def watch(self: Gradients, node: Node, name: str, parent: Node, d: Array | Scatter) -> None:
        found = getattr(d.g if isinstance(d, Scatter) else d, "dtype", parent.dtype)
        if found not in (parent.dtype, *_NARROW):
            cast.append(f"the rule for {name!r} of {node.name!r} returned {found} for a {parent.dtype} input")
        put(self, node, name, parent, d)

    Gradients.put = watch  # type: ignore[method-assign]  # not unittest.mock: importing that costs half of what importing NumPy does
    try:
        yield
    finally:
        Gradients.put = put  # type: ignore[method-assign]
    if cast:
        raise GradientMismatch(
            f"{cast[0]}. Likely cause: wrong dtype: NumPy's numbers of 64 bits (np.sqrt(2), np.pi * np.ones(1)), a boolean or "
            "integer array times a Python number, or np.arange; use math.sqrt, let g come first, or end with .astype(g.dtype)",
            "wrong dtype",
        )


def lower(case: Case, order: int) -> None:
    """What is given beside the forward computes the same as that: `lower=` and `reference=`."""
    op = case.op
    if not isinstance(op, Op) or op.effect or op.random:
        return
    bound = {a.name: a.default for a in op.arguments} | case.arguments()
    if op.lower is not None:
        try:
            found = agreement.difference(op, bound)
        except (CannotLower, NotImplementedError, ValueError):
            found = ""  # nothing to read on this call: a compiled program calls the op
        assert not found, f"lower= gives another result than the forward: {found}"
    if op.reference is not None:
        before = [np.asarray(v) for v in tree_leaves(case(*case.given))]
        found_by = op.apply(op.reference, bound)
        after = [np.asarray(v.data if isinstance(v, Tensor) else v) for v in tree_leaves(found_by)]
        assert len(before) == len(after), f"reference= gives {len(after)} results, the forward {len(before)}"
        words = (
            "reference= gives another result than the forward, from which derivatives of higher order would be wrong"
        )
        for x, y in zip(after, before, strict=True):
            if x.shape != y.shape:
                raise GradientMismatch(f"{words}: shape {x.shape} against {y.shape}", "wrong shape")
            if x.dtype != y.dtype:
                raise GradientMismatch(f"{words}: dtype {x.dtype} against {y.dtype}", "wrong dtype")
            if not mistakes.close(x, y):
                cause = mistakes.of_values(x, y) or mistakes.FORMULA
                raise GradientMismatch(f"{words}. Likely cause: {cause.words}", cause.kind)
