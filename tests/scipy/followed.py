"""What every op of a SciPy function is held to: its values are SciPy's to the bit, its derivatives those of differences."""

from __future__ import annotations

import functools

import numpy as np

import tapenet as tn
from tapenet.names import homes
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample
from tapenet.scipy.followed import scipys


def ops(space: str) -> dict[str, Op]:
    """The ops of a namespace with SciPy's name, such as "fft"."""
    module = functools.reduce(getattr, space.split("."), tn.scipy)
    found = {name: getattr(module, name) for name in homes(f"tapenet.scipy.{space}")}
    return {name: value for name, value in found.items() if isinstance(value, Op)}


def check_values(space: str, op: Op) -> None:
    """Hold the values of an op on its samples to SciPy's own: numbers, shapes and dtypes, of float32 too."""
    theirs = scipys(f"{space}.{op.name}")
    assert op.samples is not None
    for each in op.samples(np.random.default_rng(1)):
        for narrow in (False, True):
            given = [_narrow(a) if narrow else a for a in each.args]
            tensors = [tn.tensor(a) if isinstance(a, np.ndarray) else a for a in given]
            found, expected = op(*tensors, **each.kwargs), theirs(*map(_number, given), **each.kwargs)
            several = isinstance(expected, tuple)
            for ours, value in zip(found if several else [found], expected if several else [expected], strict=True):
                assert isinstance(ours, tn.Tensor)
                np.testing.assert_array_equal(ours.numpy(), value, strict=isinstance(value, np.ndarray))


def _number(value: object) -> object:
    """An array without axes as a number, which some of SciPy's functions want."""
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


def _narrow(value: object) -> object:
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fc":  # parameters stay
        return value.astype(np.complex64 if value.dtype.kind == "c" else np.float32)
    return value


def check_promises(op: Op, order: int = 2, narrow: bool = True) -> None:
    """Hold an op to what `tn.testing.check_op` knows on its first sample, but for dtypes, which are SciPy's; on the others its
    gradients to differences; and those of float32 to those of float64."""
    assert op.samples is not None
    first, *others = op.samples(np.random.default_rng(0))
    tn.testing.check_op(op, [first], order=1, skip=("dtype", "threads", "drawing", "documentation"))
    _check_gradients(op, first, order)
    for each in others:
        _check_gradients(op, each, 1)
    if narrow:
        for each in (first, *others):
            for wide, less in zip(*(_gradients(op, each, narrow) for narrow in (False, True)), strict=True):
                np.testing.assert_allclose(less, wide, rtol=1e-2, atol=1e-3)


def _check_gradients(op: Op, each: Sample, order: int) -> None:
    names = [a.name for a in op.arguments][: len(each.args)]
    places = [i for i, a in enumerate(each.args) if isinstance(a, np.ndarray) and names[i] in op.differentiable]

    def f(*given: object) -> list[object]:
        args = list(each.args)
        for i, a in zip(places, given, strict=True):
            args[i] = a
        outs = op(*args, **each.kwargs)
        several = outs if isinstance(outs, tuple) else [outs]
        return [t for i, t in enumerate(several) if i not in op.nondiff_outputs]

    tn.testing.check_grads(f, [each.args[i] for i in places], order=order)


def _gradients(op: Op, each: Sample, narrow: bool) -> list[np.ndarray]:
    args = [_narrow(a) if narrow else a for a in each.args]
    leaves = [tn.tensor(a, requires_grad=True) if isinstance(a, np.ndarray) else a for a in args]
    outs = op(*leaves, **each.kwargs)
    loss = sum(abs(t).sum() for t in (outs if isinstance(outs, tuple) else [outs]) if t.requires_grad)
    assert isinstance(loss, tn.Tensor)
    loss.backward()
    tensors = [leaf for leaf in leaves if isinstance(leaf, tn.Tensor)]
    assert all(leaf.grad.dtype == leaf.dtype for leaf in tensors)
    return [leaf.grad.numpy() for leaf in tensors]
