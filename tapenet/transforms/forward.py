"""Forward mode: products of Jacobians with tangents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapenet.autodiff import programs
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Given, expand
from tapenet.program.ir import Program
from tapenet.program.low import is_inexact
from tapenet.program.splitting import split
from tapenet.program.trees import Mismatch, flatten, tree_leaves
from tapenet.transforms.arguments import Arguments, Results, fitting, title_of, zeros
from tapenet.transforms.gradients import vjp
from tapenet.transforms.of_compiled import runs_compiled
from tapenet.transforms.run import function


@boundary
@runs_compiled
def jvp(
    f: Callable[..., object], primals: Sequence[object], tangents: Sequence[object], has_aux: bool = False
) -> tuple[Any, ...]:
    """The value of `f(*primals)`, and the product of its Jacobian with tangents: the derivative in their direction.

    Forward mode: it costs a small multiple of the function, whatever the number of inputs, and no more memory.

    Args:
        f: a function of tensors, or nested structures of them, that returns such.
        primals: its arguments, a tuple.
        tangents: a tuple structured as the primals: for each array one of its shape. None for one that does not vary,
            such as an array of integers.
        has_aux: `f` returns (output, other); `other` is returned as it is.

    Returns:
        the output and its tangent; with `has_aux` `other` too.

    Raises:
        TypeError: `primals` or `tangents` is no tuple or list; a primal with a tangent holds integers.
        ValueError: a tangent has another structure or shape than its primal.
        CaptureError: the function has effects.

    >>> import tapenet as tn
    >>> tn.jvp(lambda x: x**3, (2.0,), (1.0,))
    (Tensor(8.), Tensor(12.))
    """
    work = _Forward("jvp", f, primals, has_aux)
    given = work.tangents(tangents)
    try:
        pushed = Given(work.title.format("jvp"), work.function.push(list(given)))
    except NoDerivative:
        outs, push = work.by_reverse(list(given))
        return work.results.split([*outs, *push(list(given.values()))])
    return work.results.split(programs.run(pushed, [*work.leaves, *work.further, *given.values()]))


@boundary
def linearize(f: Callable[..., Any], *primals: object, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of `f(*primals)`, and the linear function that pushes tangents forward there: `jvp` for many tangents.

    What does not depend on the tangents is computed once.

    Args:
        f: as for `jvp`.
        *primals: its arguments.
        has_aux: `f` returns (output, other); `other` is returned as it is.

    Returns:
        the output, and a function that takes as many tangents as there are primals and returns the tangent of the output;
        with `has_aux` `other` too.

    >>> import tapenet as tn
    >>> y, push = tn.linearize(lambda x: x**3, tn.tensor([1.0, 2.0]))
    >>> push(tn.tensor([1.0, 0.0])), push(tn.tensor([0.0, 1.0]))
    (Tensor([3., 0.]), Tensor([ 0., 12.]))
    """
    work = _Forward("linearize", f, primals, has_aux)
    active = [i for i, t in enumerate(work.leaves) if is_inexact(t.dtype)]
    linear: Push
    try:
        outs, linear = work.split(active)
    except NoDerivative:
        outs, linear = work.by_reverse(active)

    @boundary
    def push(*tangents: object) -> object:
        given = work.tangents(tangents)
        every = [given[i] if i in given else zeros(work.leaves[i]) for i in active]
        return work.results.tangent(linear(every))

    value = work.results.build(outs)
    return (value, push, work.results.aux) if has_aux else (value, push)


#: Pushes tangents forward.
Push = Callable[[list[Tensor]], list[Tensor]]


class _Forward:
    """A function on its way through forward mode."""

    def __init__(self, name: str, f: Callable[..., object], primals: Sequence[object], has_aux: bool) -> None:
        function(name, f)
        if not isinstance(primals, (tuple, list)):
            raise TypeError(
                f"tn.{name}: primals is {type(primals).__name__}, not a tuple of arguments: write (x,) for one"
            )
        self.name = name
        self.title = title_of(f)
        self.arguments = Arguments(name, primals, "primals")
        self.leaves = self.arguments.leaves
        self.results = Results(name, has_aux)
        calling = self.arguments.calling(f)
        self.flat = self.results.flat(calling)
        self.function, self.further = self.results.trace(calling, self.leaves)

    def tangents(self, given: Sequence[object]) -> dict[int, Tensor]:
        """The tangents of the leaves that have one."""
        primals = self.arguments.trees
        if not isinstance(given, (tuple, list)) or len(given) != len(primals):
            what = f"{len(given)} tangents" if isinstance(given, (tuple, list)) else type(given).__name__
            raise TypeError(
                f"tn.{self.name}: {what} for {len(primals)} primals: give a tuple of one for each, None if it does not vary"
            )
        tangents: dict[int, Tensor] = {}
        begin = 0
        for i, (primal, tangent) in enumerate(zip(primals, given, strict=True)):
            structure = flatten(primal)[1]
            places = range(begin, begin := begin + structure.count)
            if tangent is None:
                continue
            try:
                parts = structure.take(tangent, f"tangents[{i}]", ("the primal", "the tangent"))
            except Mismatch as error:
                raise ValueError(f"tn.{self.name}: a tangent is structured as its primal, and {error}") from None
            paths = structure.paths(f"tangents[{i}]")
            for place, t, path in zip(places, parts, paths, strict=True):
                like = self.leaves[place]
                if not is_inexact(like.dtype):
                    raise TypeError(
                        f"tn.{self.name}: {self.arguments.paths[place]} holds {like.dtype}, which has no tangent: pass floats, "
                        "or None as the tangent of that argument"
                    )
                tangents[place] = fitting(t, like, self.name, path, "primal")
        return tangents

    def split(self, active: list[int]) -> tuple[list[Tensor], Push]:
        """The results, and what pushes tangents forward; what does not depend on these is computed now."""
        pushed = expand(self.function.push(active))
        tangents = Program(pushed.inputs, [], pushed.body, pushed.outputs[len(self.results.leaves) :], [])
        once, each = split(tangents, range(len(self.function.inputs)))
        given = [*self.leaves, *self.further]
        outs = programs.run(self.function, given)
        held = programs.run(Given(self.title.format("linearize"), once), given)
        linear = Given(self.title.format("linear part"), each)
        return outs, lambda tangents: programs.run(linear, [*held, *tangents])

    def _check_linear(self, pulled: Callable[..., object], seeds: list[Tensor]) -> None:
        """Raise if what pulls gradients back is not linear in them: then it is the transpose of nothing.

        Raises:
            TypeError: says so.
        """
        with no_grad():
            once, twice = (tree_leaves(pulled(*(k * g for g in seeds))) for k in (1, 2))
        for a, b in zip(once, twice, strict=True):
            scale = np.abs(a._data[np.isfinite(a._data)]).max(initial=0)
            if not np.allclose(2 * a._data, b._data, rtol=1e-3, atol=1e-3 * scale, equal_nan=True):
                raise TypeError(
                    f"tn.{self.name}: a gradient rule is not linear in the gradient that it is given, as where it clips that: "
                    "such a function has no forward mode. Use tn.vjp"
                )

    def by_reverse(self, active: list[int]) -> tuple[list[Tensor], Push]:
        """The same by two passes of reverse mode, since what pulls gradients back is linear in them: for complex numbers, and
        for rules that look at values."""

        def again(*values: Tensor) -> list[Tensor]:
            full = list(self.leaves)
            for i, v in zip(active, values, strict=True):
                full[i] = v
            return self.flat(full)

        outs, pull = vjp(again, *(self.leaves[i] for i in active))
        # No zeros: for those, rules may leave something out.
        draw = np.random.default_rng(0).normal
        seeds = [Tensor._of(draw(size=t.shape).astype(t.dtype)) for t in outs if is_inexact(t.dtype)]

        def pulled(*gs: Tensor) -> object:
            each = iter(gs)
            return pull([next(each) if is_inexact(t.dtype) else zeros(t) for t in outs])

        _, push = vjp(pulled, *seeds)
        if capturing() is None:
            self._check_linear(pulled, seeds)

        def linear(tangents: list[Tensor]) -> list[Tensor]:
            found = push(tangents[0] if len(active) == 1 else tuple(tangents))
            results = list(found) if isinstance(found, tuple) else [found]
            outside = [*self.leaves, *self.further, *tangents]
            # Else they hang on the inner one of the two passes alone.
            return results if any(t._node is not None for t in outside) else [t.detach() for t in results]

        return outs, linear
