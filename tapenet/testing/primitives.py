"""What a primitive promises, on its op's samples: `check_primitive`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import available_backend, compile
from tapenet.llvm import scalar
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample
from tapenet.ops.user_primitives import Lower
from tapenet.program.batching import batch
from tapenet.program.c_rows import CALLS
from tapenet.program.ir import Builder, Input, Program
from tapenet.program.primitives import PRIMITIVES
from tapenet.program.pullback import pullback
from tapenet.program.pushforward import pushforward
from tapenet.program.trees import tree_leaves
from tapenet.testing.gradients import is_float, zeros_are_fine
from tapenet.testing.ops import check_op
from tapenet.typing import Array

#: Numbers at which a function of elements shows what it does where it is not smooth, or has no value.
SPECIAL = (0.0, -0.0, 0.5, -2.0, np.inf, -np.inf, np.nan)


def check_primitive(
    op: Callable[..., object], samples: Iterable[Sample] | None = None, *, order: int = 2, rtol: float = 0.0
) -> None:
    """Check everything a primitive promises: all that `check_op` checks of its op, and of the primitive itself that every
    backend gives what its NumPy code gives, in float32 and float64, and native code at zeros, infinities and nan too; that
    where there is native code no Python is called; that it works element by element, or gives the shape it says; that forward
    and reverse mode agree; and that lanes are computed as one by one.

    Args:
        op: made by `tn.primitive`.
        samples: calls to check on; its own by default.
        order: the highest derivative to check.
        rtol: how far native code may be from NumPy's, relative to the largest number; by default 64 times the rounding of
            the dtype.

    Raises:
        AssertionError: says which promise is broken, and where.
        TypeError: it is no primitive.

    >>> import numpy as np, tapenet as tn
    >>> wrong = tn.primitive(lambda x: x - x.mean(), name="centred", x=lambda g: g, doc="Without its mean.")
    >>> tn.testing.check_primitive(wrong, [tn.sample(np.array([1.0, 2.0]))])
    Traceback (most recent call last):
    ...
    AssertionError: primitive 'centred': element 0 is -0.5 in an array and 0.0 alone: give shape=
    """
    if not isinstance(op, Op) or not isinstance(op.lower, Lower):
        raise TypeError(f"check_primitive checks what tn.primitive makes, not {op!r}")
    if samples is None:
        assert op.samples is not None, f"{op!r} has no samples: give samples="
        samples = op.samples(np.random.default_rng(0))
    calls = [[np.asarray(a) for a in call.args] for call in samples]
    check = _Check(op, op.lower.name, rtol)
    if check.elementwise and available_backend() == "native":
        for dtypes in scalar.ADDED.get(check.name, ()):
            check.special(dtypes[:-1])
    with zeros_are_fine(), np.errstate(all="ignore"):
        for call in calls:
            narrow = [a.astype(np.float32) if is_float(a) else a for a in call]
            for args in (call, narrow):
                check.compiled(args)
            if check.elementwise:
                check.elements(call)
            check.lanes(call)
            check.tangents(call)
    check_op(op, [Sample(tuple(call), {}) for call in calls], order=order)


class _Check:
    """The checks of one primitive."""

    def __init__(self, op: Op, name: str, rtol: float) -> None:
        self.op = op
        self.name = name
        self.rtol = rtol
        self.title = f"primitive {op.name!r}"
        self.elementwise = PRIMITIVES[name].kind == "elementwise"
        self.backends = ["numpy", *(["native"] if available_backend() == "native" else [])]

    def forward(self, args: Sequence[Array]) -> Array:
        return np.asarray(self.op.eager(*args))

    def run(self, function: Callable[..., object], args: Sequence[Array], backend: str) -> list[Array]:
        """What a compiled function gives at its second call, which the program answers."""
        step = compile(function, backend=backend)
        step(*args)
        found = step(*args)
        if backend == "native" and self.native(args):
            (variant,) = step.variants
            assert "calls of Python: 0" in variant.runner.report(full=False), (
                f"{self.title}: native code is there for {_dtypes(args)}, and a program calls Python all the same"
            )
        return [t.data if isinstance(t, Tensor) else np.asarray(t) for t in tree_leaves(found)]

    def native(self, args: Sequence[Array]) -> bool:
        """Whether there is native code for arguments of these dtypes."""
        known = scalar.ADDED.get(self.name) or CALLS.get(self.name) or {}
        return any(dtypes[: len(args)] == tuple(a.dtype for a in args) for dtypes in known) and all(
            a.size for a in args
        )

    def close(self, found: Array, right: Array, what: str, of: str) -> None:
        assert found.shape == right.shape, f"{self.title}: {what} has shape {found.shape}, {of} {right.shape}"
        assert found.dtype == right.dtype, f"{self.title}: {what} has {found.dtype}, {of} {right.dtype}"
        far = np.flatnonzero(~self.near(found, right).reshape(-1))
        assert not far.size, (
            f"{self.title}: {what} is {found.reshape(-1)[far[0]]} at element {far[0]}, {of} {right.reshape(-1)[far[0]]}"
        )

    def near(self, found: Array, right: Array) -> Array:
        """Where two arrays agree."""
        if right.dtype.kind not in "fc":
            return np.asarray(found == right)
        rtol = self.rtol or 64 * float(np.finfo(right.dtype).eps)
        scale = float(np.abs(right[np.isfinite(right)]).max(initial=0.0)) if right.size else 0.0
        return np.isclose(found, right, rtol, rtol * scale, equal_nan=True)

    # -- what is checked -----------------------------------------------------------------------------------------

    def special(self, dtypes: Sequence[np.dtype]) -> None:
        """Native code against NumPy's at special numbers, in all combinations."""
        if not all(d.kind == "f" for d in dtypes) or len(dtypes) > 4:
            return
        points = np.array(list(itertools.product(SPECIAL, repeat=len(dtypes)))).T
        args = [p.astype(d) for p, d in zip(points, dtypes, strict=True)]
        with np.errstate(all="ignore"):
            right = self.forward(args)
            (found,) = self.run(lambda *x: self.op(*x), args, "native")
        wrong = np.flatnonzero(~self.near_each(found, right))
        if wrong.size:
            i = wrong[0]
            where = ", ".join(f"{a.name}={x[i]}" for a, x in zip(self.op.arguments, args, strict=True))
            raise AssertionError(
                f"{self.title}: native code gives {found[i]} at {where} ({_dtypes(args)}), NumPy {right[i]}"
            )

    def near_each(self, found: Array, right: Array) -> Array:
        if right.dtype.kind != "f":
            return np.asarray(found == right)
        rtol = self.rtol or 64 * float(np.finfo(right.dtype).eps)
        return np.isclose(found, right, rtol, rtol, equal_nan=True)

    def compiled(self, args: Sequence[Array]) -> None:
        """Every backend against NumPy's code."""
        right = self.forward(args)
        for backend in self.backends:
            (found,) = self.run(lambda *x: self.op(*x), args, backend)
            self.close(found, right, f"what backend {backend!r} gives for {_dtypes(args)}", "the function")

    def elements(self, args: Sequence[Array]) -> None:
        """Each element of the result against that of the same elements of the arguments."""
        right = self.forward(args)
        spread = np.broadcast_arrays(*args)
        for i in range(min(right.size, 16)):
            (one,) = self.forward([s.reshape(-1)[i : i + 1] for s in spread])
            near = self.near(np.asarray(one), right.reshape(-1)[i])
            assert near, f"{self.title}: element {i} is {right.reshape(-1)[i]} in an array and {one} alone: give shape="

    def program(self, args: Sequence[Array]) -> Program:
        """The primitive alone, as a program."""
        builder = Builder()
        inputs = [Input(a.shape, a.dtype) for a in args]
        return Program(inputs, [], builder.body, [builder.emit(self.name, *inputs)], [])

    def lanes(self, args: Sequence[Array]) -> None:
        """Lanes of all arguments, and of each alone, against one by one."""
        program = self.program(args)
        alone: list[tuple[int, ...]] = [(i,) for i in range(len(args))] if len(args) > 1 else []
        for having in (tuple(range(len(args))), *alone):
            flags = [i in having for i in range(len(args))]
            stacked = [np.stack([a, a * 2, a]).astype(a.dtype) if i in having else a for i, a in enumerate(args)]
            each = [[s[k] if flag else s for s, flag in zip(stacked, flags, strict=True)] for k in range(3)]
            batched, _ = batch(program, flags, 3, everything=True)
            names = ", ".join(self.op.arguments[i].name for i in having)
            try:
                (found,) = batched.evaluate(stacked)
            except ValueError as error:
                raise AssertionError(f"{self.title}: over lanes of {names} it fails: {error}") from error
            self.close(found, np.stack([self.forward(one) for one in each]), f"over lanes of {names} it", "one by one")

    def tangents(self, args: Sequence[Array]) -> None:
        """Forward mode against reverse mode: they give the same number."""
        flowing = [i for i, a in enumerate(args) if self.op.arguments[i].name in self.op.rules and a.dtype.kind == "f"]
        out = self.forward(args)
        if not flowing or out.dtype.kind != "f":
            return
        r = np.random.default_rng(0)
        tangents = [np.asarray(r.normal(size=args[i].shape), args[i].dtype) for i in flowing]
        g = np.asarray(r.normal(size=out.shape), out.dtype)
        program = self.program(args)
        (*_, tangent) = pushforward(program, flowing).evaluate([*args, *tangents])
        pulled = pullback(program, flowing).evaluate([*args, g])
        forth = float(np.vdot(g, tangent))
        back = sum(float(np.vdot(t, d)) for t, d in zip(tangents, pulled, strict=True))
        assert np.isclose(forth, back, 1e-6, 1e-9), (
            f"{self.title}: a tangent pushed forward gives {forth} along a gradient, which pulled back gives {back} along the "
            "tangent: a rule is not linear in g, or, element by element, mixes elements"
        )


def _dtypes(args: Sequence[Array]) -> str:
    return ", ".join(str(a.dtype) for a in args)
