"""What a primitive promises, on its op's samples: `check_primitive`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from tapenet.compiler.compile import compile
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
from tapenet.testing.findings import Findings, arrays, attempt, backends, difference
from tapenet.testing.gradients import is_float, zeros_are_fine
from tapenet.testing.ops import check_op
from tapenet.typing import Array

#: Numbers at which a function of elements shows what it does where it is not smooth, or has no value.
SPECIAL = (0.0, -0.0, 0.5, -2.0, np.inf, -np.inf, np.nan)


def check_primitive(
    op: Callable[..., object], samples: Iterable[Sample] | None = None, *, order: int | None = None, rtol: float = 0.0
) -> None:
    """Check everything a primitive promises: all that `check_op` checks of its op, and of the primitive itself that every
    backend gives what its NumPy code gives, in float32 and float64, and native code at zeros, infinities and nan too; that
    where there is native code no Python is called; that it works element by element, or gives the shape it says; that forward
    and reverse mode agree; and that lanes are computed as one by one.

    Args:
        op: made by `tn.primitive`.
        samples: calls to check on; its own by default.
        order: the highest derivative to check, 2 by default.
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
    AssertionError: check_primitive(centred): it is -0.5 against 0 at (0,), in an array and alone: give shape=
    """
    if not isinstance(op, Op) or not isinstance(op.lower, Lower):
        raise TypeError(f"check_primitive checks what tn.primitive makes, not {op!r}")
    if samples is None:
        assert op.samples is not None, f"{op!r} has no samples: give samples="
        samples = op.samples(np.random.default_rng(0))
    calls = [[np.asarray(a) for a in call.args] for call in samples]
    check = _Check(op, op.lower.name, rtol)
    with zeros_are_fine(), np.errstate(all="ignore"):
        for dtypes in scalar.ADDED.get(check.name, ()):
            check.special(dtypes[:-1])
        for call in calls:
            for args in (call, [a.astype(np.float32) if is_float(a) else a for a in call]):
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
        self.findings = Findings("check_primitive", op)
        self.names = [a.name for a in op.arguments]
        self.elementwise = PRIMITIVES[name].kind == "elementwise"

    def forward(self, args: Sequence[Array]) -> Array:
        return np.asarray(self.op.eager(*args))

    def compared(self, found: object, right: Array, what: str) -> None:
        """Fail unless a result is right, but for rounding."""
        rounding = self.rtol or (64 * float(np.finfo(right.dtype).eps) if right.dtype.kind in "fc" else 0.0)
        differs = difference(arrays(found), [right], rounding)
        if differs:
            self.findings.fail(f"it is {differs}, {what}")

    def run(self, args: Sequence[Array], backend: str) -> object:
        """What it gives in a compiled function at its second call, which the program answers."""
        step = compile(lambda *given: self.op(*given), backend=backend)
        step(*args)
        found = step(*args)
        known = scalar.ADDED.get(self.name) or CALLS.get(self.name) or {}
        dtypes = tuple(a.dtype for a in args)
        if backend == "native" and all(a.size for a in args) and any(d[: len(args)] == dtypes for d in known):
            (variant,) = step.variants
            if "calls of Python: 0" not in variant.runner.report(full=False):
                self.findings.fail(f"a program calls Python, though there is native code for {_words(args)}")
        return found

    # -- what is checked -----------------------------------------------------------------------------------------

    def special(self, dtypes: Sequence[np.dtype]) -> None:
        """Native code against NumPy's at special numbers, in all combinations, each by itself."""
        if "native" not in backends() or any(d.kind != "f" for d in dtypes) or len(dtypes) > 4:
            return
        points = np.array(list(itertools.product(SPECIAL, repeat=len(dtypes)))).T
        args = [p.astype(d) for p, d in zip(points, dtypes, strict=True)]
        (found,), right = arrays(self.run(args, "native")), self.forward(args)
        for i, (a, b) in enumerate(zip(found, right, strict=True)):
            where = ", ".join(f"{n}={x[i]}" for n, x in zip(self.names, args, strict=True))
            self.compared(a, np.asarray(b), f"by native code and by NumPy, at {where} ({_words(args)})")

    def compiled(self, args: Sequence[Array]) -> None:
        """Every backend against NumPy's code."""
        right = self.forward(args)
        for backend in backends():
            self.compared(self.run(args, backend), right, f"by backend {backend!r} and by NumPy, for {_words(args)}")

    def elements(self, args: Sequence[Array]) -> None:
        """Each element of the result against that of the same elements of the arguments."""
        right = self.forward(args).reshape(-1)
        spread = [s.reshape(-1) for s in np.broadcast_arrays(*args)]
        alone = [self.forward([s[i : i + 1] for s in spread]) for i in range(right.size)]
        if alone:
            self.compared(right, np.concatenate(alone), "in an array and alone: give shape=")

    def program(self, args: Sequence[Array]) -> Program:
        """The primitive alone, as a program."""
        builder = Builder()
        inputs = [Input(a.shape, a.dtype) for a in args]
        return Program(inputs, [], builder.body, [builder.emit(self.name, *inputs)], [])

    def lanes(self, args: Sequence[Array]) -> None:
        """Lanes of all arguments, and of each alone, against one by one."""
        every = range(len(args))
        for having in [{*every}, *({i} for i in every if len(args) > 1)]:
            names = ", ".join(self.names[i] for i in sorted(having))
            stacked = [np.stack([a, a * 2, a]).astype(a.dtype) if i in having else a for i, a in enumerate(args)]
            each = [[s[k] if i in having else s for i, s in enumerate(stacked)] for k in range(3)]
            batched, _ = batch(self.program(args), [i in having for i in every], 3, everything=True)
            found = attempt(self.findings, f"over lanes of {names}", partial(batched.evaluate, stacked))
            self.compared(found, np.stack([self.forward(one) for one in each]), f"over lanes of {names} and one by one")

    def tangents(self, args: Sequence[Array]) -> None:
        """Forward mode against reverse mode: they give the same number."""
        flowing = [i for i, a in enumerate(args) if self.names[i] in self.op.rules and a.dtype.kind == "f"]
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
        if not np.isclose(forth, back, 1e-6, 1e-9):
            self.findings.fail(
                f"a tangent pushed forward gives {forth} along a gradient, which pulled back gives {back} along the tangent: a "
                "rule is not linear in g, or, element by element, mixes elements"
            )


def _words(args: Sequence[Array]) -> str:
    return ", ".join(str(a.dtype) for a in args)
