"""The right side of a differential equation as a compiled function of time, state and parameters."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from types import NotImplementedType
from typing import NamedTuple

import numpy as np

from tapenet import ops
from tapenet.autodiff import programs
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import BACKENDS, available_backend
from tapenet.program import numpy_backend
from tapenet.program.backend import Runner
from tapenet.program.functions import Function, Given
from tapenet.program.ir import Program
from tapenet.program.keys import program_key
from tapenet.program.low import is_inexact
from tapenet.scipy.integrate.kept import Kept
from tapenet.scipy.integrate.tangents import tangent
from tapenet.transforms.tracing import Traced, trace
from tapenet.typing import Array

#: What was compiled of right sides.
_kept: Kept[Hashable, RightSide] = Kept()
#: From which call on a function runs as machine code: that takes a tenth of a second to make.
WARM = 2000


class Read(NamedTuple):
    """A function of time and state that was read.

    Attributes:
        side: what it computes.
        params: the tensors from outside that gradients flow to.
        fixed: the other tensors from outside.
    """

    side: RightSide
    params: list[Tensor]
    fixed: list[Tensor]


class RightSide:
    """f of y' = f(t, y, params, fixed), with what is made of it: programs of its derivatives, and their compiled forms.

    Attributes:
        function: of t, of y, of the parameters that derivatives are taken by, and of those that stay fixed.
        count: how many of the first there are.
        block: the Jacobian by y is taken as equal blocks along the diagonal, as many rows each: tangents are carried along
            behind y, and what they have of y is left out. LSODA's iteration converges all the same.
        inner: what it is the equation of tangents of, if it is one.
        root: the right side that the blocks are the Jacobian of.
    """

    def __init__(
        self, function: Function, examples: Sequence[Array], count: int, inner: RightSide | None = None
    ) -> None:
        self.function = function
        self.count = count
        self.inner = inner
        self.root: RightSide = self if inner is None else inner.root
        self.size = int(np.prod(function.inputs[1].shape))
        self.block: int = self.size if inner is None else inner.block
        self._examples = [np.array(a) for a in examples]
        self._tangents: dict[int | None, RightSide] = {}

    # -- in numbers --------------------------------------------------------------------------------------------------

    @cached_property
    def run(self) -> Callable[..., tuple[Array, ...]]:
        """It, compiled."""
        return compiled(self.function)

    def bound(self, others: Sequence[Array]) -> Callable[[float, Array], Array]:
        """It for given parameters, as SciPy calls it."""
        run, others = self.run, in_order(others)
        return lambda t, y: run(np.asarray(t, np.float64), y, *others)[0]

    @cached_property
    def _jacobian(self) -> Callable[..., tuple[Array, ...]]:
        """The transpose of ∂f/∂y, compiled."""
        f = self.function
        return compiled(tangent(f, [1]).batch([*[False] * len(f.inputs), True], self.size))

    def jacobian(self, others: Sequence[Array]) -> Callable[[float, Array], Array]:
        """∂f/∂y for given parameters; of an equation of tangents one of its blocks."""
        if self.inner is not None:
            behind = self.root.count
            inner, n = self.root.jacobian([*others[:behind], *others[self.count :]]), self.block
            return lambda t, y: inner(t, y[:n])
        run, seeds, others = self._jacobian, np.eye(self.size), in_order(others)
        return lambda t, y: run(np.asarray(t, np.float64), y, *others, seeds)[0].T

    def pulled(self, wanted: Sequence[int]) -> Function:
        """What pulls gradients by f back to some of its arguments: a function of these and of a gradient by f."""
        return programs.pulled_function(self.function, tuple(wanted), (True,))

    @cached_property
    def _pulled(self) -> Callable[..., tuple[Array, ...]]:
        return compiled(self.pulled(range(1, 2 + self.count)))

    def adjoint(self, others: Sequence[Array]) -> Callable[[float, Array, Array], list[Array]]:
        """Gradients by y and the parameters, of gradients by f."""
        run, others = self._pulled, in_order(others)
        return lambda t, y, g: [np.ravel(d) for d in run(np.asarray(t, np.float64), y, *others, g)]

    # -- tangents ----------------------------------------------------------------------------------------------------

    def tangent(self, lanes: int | None = None) -> RightSide:
        """The equation of a solution and of its tangents, one behind the other.

        Its parameters are those of this one, then their tangents; with lanes these have a first axis more. So tangents of
        tangents, and adjoints of tangents, are made of it as of any other.
        """
        if lanes not in self._tangents:
            self._tangents[lanes] = self._tangent(lanes)
        return self._tangents[lanes]

    def _tangent(self, lanes: int | None) -> RightSide:
        f, n, count = self.function, self.size, self.count
        pushed, head = tangent(f, range(1, 2 + count)), () if lanes is None else (lanes,)
        if lanes is not None:
            pushed = pushed.batch([*[False] * len(f.inputs), *[True] * (1 + count)], lanes)

        def run(values: list[Tensor]) -> list[Tensor]:
            t, z, *rest = values
            params, dots, fixed = rest[:count], rest[count : 2 * count], rest[2 * count :]
            given = [t, z[:n], *params, *fixed]
            value = programs.run(f, given)[0]
            moved = programs.run(pushed, [*given, z[n:].reshape((*head, n)), *dots])[0]
            return [ops.concatenate([value, ops.ravel(moved)])]

        t, y, *others = self._examples
        params, fixed = others[:count], others[count:]
        dots = [np.ones((*head, *p.shape), p.dtype) for p in params]
        examples = [t, np.concatenate([y, np.ones(n * (lanes or 1))]), *params, *dots, *fixed]
        traced = trace("solve_ivp", run, [Tensor._of(a) for a in examples])
        return RightSide(traced.function, examples, 2 * count, self)


def in_order(arrays: Sequence[Array]) -> list[Array]:
    """Arrays in the memory order that programs take without a copy."""
    return [np.require(a, requirements=["C", "A"]) for a in arrays]


def applied(function: Function, arguments: Sequence[Array]) -> tuple[Array, ...]:
    """A function of arrays or tensors, as an op."""
    flows = tuple(i for i, spec in enumerate(function.inputs) if is_inexact(spec.dtype))
    found: tuple[Array, ...] = programs.program_op(list(arguments), function=function, flows=flows)
    return found


def compiled(function: Function) -> Callable[..., tuple[Array, ...]]:
    """A function of arrays, compiled: by NumPy's functions first, and to machine code if it is called often."""
    program = function.expanded
    quick = numpy_backend.build(program).call
    calls = 0

    def run(*arrays: Array) -> tuple[Array, ...]:
        nonlocal quick, calls
        calls += 1
        if calls == WARM:
            runner: Runner = importlib.import_module(BACKENDS[available_backend()]).build(program)
            quick = runner.call
        found = quick(*arrays)
        if isinstance(found, NotImplementedType):  # arrays in another memory order
            found = quick(*in_order(arrays))
        assert not isinstance(found, NotImplementedType)
        return found

    return run


def parted(name: str, traced: Traced) -> tuple[Program, list[Tensor], list[Tensor]]:
    """What was read of a function: a program of its arguments, of the tensors from outside that gradients flow to, and of the
    other tensors from outside; and both kinds of tensors.

    Raises:
        CaptureError: it draws random numbers.
    """
    if traced.draws:
        raise CaptureError(
            f"{name}: the function draws random numbers: draw them outside, and close over what was drawn"
        )
    closed, whole = traced.closed, traced.function.program()
    flows = [t._node is not None and is_inexact(t.dtype) for t in closed]
    order = sorted(range(len(closed)), key=lambda i: not flows[i])
    own = len(whole.inputs) - len(closed)
    inputs = [*whole.inputs[:own], *(whole.inputs[own + i] for i in order)]
    program = Program(inputs, [], whole.body, whole.outputs, [])
    return program, [closed[i] for i in order if flows[i]], [closed[i] for i in order if not flows[i]]


def read(name: str, f: Callable[..., object], t: Array, y: Array) -> Read:
    """A function of time and state, that gives as many numbers as the state has, as one of all that it is computed from.

    What it closes over, arguments that are bound to it, and parameters of modules that it calls are found by running it once.

    Args:
        name: who asks, for errors.
        f: the function.
        t, y: where to run it.

    Raises:
        CaptureError: it branches on values, or does something beside returning values.
        TypeError, ValueError: what it returns does not fit.
    """
    traced = trace(name, lambda values: [_vector(f(*values))], [Tensor._of(t), Tensor._of(y)], lanes=True)
    program, params, fixed = parted(name, traced)

    def made() -> RightSide:
        return RightSide(Given(name, program), [t, y, *(p._data for p in (*params, *fixed))], len(params))

    side = _kept.get((len(params), program_key(program)), made)
    return Read(side, params, fixed)


def _vector(value: object) -> Tensor:
    """What a function gave as a vector of float64."""
    if isinstance(value, (list, tuple)):
        value = ops.stack([ops.reshape(asarray(v), ()) for v in value])
    made = asarray(value)
    if made.dtype != np.float64:
        made = made.astype(np.float64)
    flat: Tensor = ops.ravel(made)
    return flat


@functools.lru_cache(maxsize=256)
def band(block: int) -> tuple[Array, Array]:
    """Where the elements of a block are in banded storage: rows and columns."""
    i, j = np.indices((block, block))
    return i - j + block - 1, j
