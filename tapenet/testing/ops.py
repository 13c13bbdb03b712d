"""What an op promises, on its samples: `check_op`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import Node
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler import agreement
from tapenet.ops.derived import Derived, pure
from tapenet.ops.op import Op, Scatter
from tapenet.ops.registry import Sample
from tapenet.program.symbols import CannotLower
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.testing.gradients import check_grads, is_float, zeros_are_fine
from tapenet.typing import Array


def check_op(op: Callable[..., object], samples: Iterable[Sample] | None = None, *, order: int = 2) -> None:
    """Check everything an op promises, on its samples.

    The same value from arrays, tensors and the NumPy function it stands for; read-only inputs; float32 kept in values
    and gradients, also inside the rules; what a compiler reads in place of the forward (`lower=`); gradients by finite
    differences up to `order`; documentation.

    Args:
        op: made by `tn.op`.
        samples: calls to check on; its own by default.
        order: the highest derivative to check.

    Raises:
        AssertionError: says which promise the op breaks, on which call.
        TypeError: it is a function, and no op.

    >>> import tapenet as tn
    >>> tn.testing.check_op(tn.exp)
    """
    if not isinstance(op, (Op, Derived)):
        raise TypeError(f"check_op checks what tn.op makes, not {op!r}: use check_grads for a function")
    doc = op.__doc__ or ""
    assert doc.strip(), f"{op!r} has no documentation: give doc= or a docstring"
    if samples is None:
        assert op.samples is not None, f"{op!r} has no samples: give samples="
        samples = op.samples(np.random.default_rng(0))
    calls = list(samples)
    assert calls, f"{op!r} has no samples"
    unseen = set(op.differentiable) if isinstance(op, Op) else set()
    for call in calls:
        if isinstance(op, Op):
            unseen -= {name for name, value in _bound(op, call).items() if _holds_array(value)}
        try:
            with zeros_are_fine():
                _check_call(op, call, order)
        except Exception as error:
            shapes = [_brief(a) for a in call.args]
            error.add_note(f"in check_op of {op!r} on {', '.join(map(str, shapes))} {call.kwargs or ''}")
            raise
    assert not unseen, f"no sample of {op!r} has an array for {sorted(unseen)}, so that the rule for it is not checked"


def _bound(op: Op, call: Sample) -> dict[str, object]:
    """The arguments of a call by name, with defaults."""
    args = {a.name: a.default for a in op.arguments}
    return args | dict(zip((a.name for a in op.arguments if not a.keyword_only), call.args, strict=False)) | call.kwargs


def _holds_array(value: object) -> bool:
    return any(isinstance(leaf, np.ndarray) for leaf in tree_leaves(value))


def _brief(value: object) -> object:
    return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else value


def _tensors(tree: object, requires_grad: bool) -> Any:
    def convert(value: object) -> object:
        if not isinstance(value, np.ndarray):
            return value
        return Tensor._of(value).requires_grad_(requires_grad and value.dtype.kind in "fc")

    return tree_map(convert, tree)


def _same(a: object, b: object, what: str, rounding: float = 0.0) -> None:
    left, right = tree_leaves(a), tree_leaves(b)
    assert len(left) == len(right), f"{what}: {len(left)} results against {len(right)}"
    for x, y in zip(left, right, strict=True):
        x, y = (v.data if isinstance(v, Tensor) else np.asarray(v) for v in (x, y))
        assert x.shape == y.shape, f"{what}: shape {x.shape} against {y.shape}"
        assert x.dtype == y.dtype, f"{what}: dtype {x.dtype} against {y.dtype}"
        if rounding and x.dtype.kind in "fc":
            scale = float(np.abs(y[np.isfinite(y)]).max(initial=1.0))
            assert np.allclose(x, y, rounding, rounding * scale, equal_nan=True), f"{what}: values differ"
        else:
            assert np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"), f"{what}: values differ"


_NARROW = (np.dtype(np.float32), np.dtype(np.complex64))


def _as_float32(value: object) -> object:
    return value.astype(_NARROW[value.dtype.kind == "c"]) if is_float(value) else value


def _read_only(value: object) -> object:
    if isinstance(value, np.ndarray):
        value = value.copy(order="K")
        value.flags.writeable = False
    return value


def _check_call(op: Op | Derived, call: Sample, order: int) -> None:
    args = tree_map(_read_only, call.args)
    kwargs = call.kwargs
    # Inputs with a rule that are given by keyword become tensors as the others do.
    named = {n: v for n, v in kwargs.items() if isinstance(op, Op) and n in op.differentiable and _holds_array(v)}
    effect = isinstance(op, Op) and op.effect
    if effect:
        args = call.args
    numpy: Iterable[Callable[..., object]] = op.numpy
    # A function made of others may add in another order than NumPy's own does.
    rounding = 1e-13 if isinstance(op, Derived) else 0.0
    check = op.returning
    if check is not op:
        numpy = [pure(f) for f in numpy]
    raw = check(*args, **kwargs)
    makes = isinstance(op, Derived) and op.makes
    assert makes or not any(isinstance(t, Tensor) for t in tree_leaves(raw)), "arrays in, but a tensor out"
    if makes:
        assert all(isinstance(t, Tensor) for t in tree_leaves(raw)), "it makes tensors, but something else came out"
    tensors, options = _tensors(args, True), {**kwargs, **_tensors(named, True)}
    on_tensors = check(*tensors, **options)
    if _holds_array([*call.args, *named.values()]):
        assert all(isinstance(t, Tensor) for t in tree_leaves(on_tensors)), "tensors in, but no tensor out"
    _same(raw, on_tensors, "arrays against tensors")
    for function in numpy:
        _same(raw, function(*args, **kwargs), f"{function.__name__} on arrays against the op", rounding)
        like = {"like": Tensor._of(np.zeros(()))} if makes else {}
        _same(raw, function(*tensors, **options, **like), f"{function.__name__} on tensors against the op")
    if isinstance(op, Op) and op.lower is not None and not effect and not op.random:
        _check_lower(op, call)
    floats = [a for a in tree_leaves([*call.args, *named.values()]) if is_float(a)]
    results = [t for t in tree_leaves(raw) if np.asarray(t).dtype.kind in "fc"]
    differentiable = bool(op.differentiable) and floats and results
    if floats and not effect:
        _check_float32(op, check, call, named, bool(differentiable))
    if differentiable:

        def by_position(*given: Any, **others: object) -> object:
            return check(*given[:-1], **given[-1], **others)

        by_position.__name__ = op.name
        rest = {n: v for n, v in kwargs.items() if n not in named}
        check_grads(by_position, [*call.args, named], order, kwargs=rest)
    elif not effect:
        assert not any(isinstance(t, Tensor) and t.requires_grad for t in tree_leaves(on_tensors))


def _check_lower(op: Op, call: Sample) -> None:
    try:
        found = agreement.difference(op, _bound(op, call))
    except (CannotLower, NotImplementedError, ValueError):
        return  # nothing to read on this call: a compiled program calls the op
    assert not found, f"lower= gives another result than the forward: {found}"


def _check_float32(
    op: Op | Derived, f: Callable[..., object], call: Sample, named: dict[str, object], differentiable: bool
) -> None:
    args, given = _tensors(tree_map(_as_float32, (call.args, named)), True)
    outs = [
        t for t in tree_leaves(f(*args, **{**call.kwargs, **given})) if isinstance(t, Tensor) and t.dtype.kind in "fc"
    ]
    wide = [t.dtype for t in outs if t.dtype not in _NARROW]
    if op.name in ("astype", "float_power", "fromiter"):  # whose dtype is not that of their inputs, as in NumPy
        return
    assert not wide, f"float32 in, but {wide[0]} out"
    if not differentiable:
        return
    cast: list[str] = []
    put = Gradients.put

    def watch(self: Gradients, node: Node, name: str, parent: Node, d: Array | Scatter) -> None:
        dtype = getattr(d.g if isinstance(d, Scatter) else d, "dtype", parent.dtype)
        if dtype not in (parent.dtype, *_NARROW):
            cast.append(f"the rule for {name!r} of {node.name!r} returned {dtype} for a {parent.dtype} input")
        put(self, node, name, parent, d)

    Gradients.put = watch  # type: ignore[method-assign]  # not unittest.mock: importing that costs half of what importing NumPy does
    try:
        for out in outs:
            if out.requires_grad:
                out.backward(np.ones(out.shape, out.dtype), retain_graph=True)
    finally:
        Gradients.put = put  # type: ignore[method-assign]
    assert not cast, cast[0]
