"""Sparse Jacobians and Hessians: their pattern is found in the program, coloured, and filled by one batched pass.

What was found is kept by what the function computes: the instructions of its program, and the values of the arrays of indices
that the pattern was read from. A second call runs the function, compares that, and runs the compiled pass.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tapenet.autodiff.node import Leaf
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import BACKENDS, available_backend
from tapenet.ops.called_functions import stated_calls
from tapenet.ops.tracebacks import boundary
from tapenet.program.backend import Runner
from tapenet.program.batching import batch
from tapenet.program.functions import Function, expand
from tapenet.program.ir import Program
from tapenet.program.keys import key_of, program_key
from tapenet.program.passes import simplify
from tapenet.program.sparsity import NotSparse, sparsity
from tapenet.transforms import coloring
from tapenet.transforms.differentiated import Argnums, Differentiated
from tapenet.transforms.over_ranks import several
from tapenet.typing import Array, Ranks

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: What is coloured: columns, rows, or both alike.
Mode = Literal["forward", "reverse", "symmetric"]
#: How many patterns are kept for one function.
KEPT = 4
#: About how many numbers the largest value of a pass may have: more colours than fit take several passes.
BLOCK = 1 << 23


class SparseDerivative:
    """A function that gives a Jacobian or Hessian as a `scipy.sparse.csr_array`.

    Attributes:
        pattern: where the matrix of the last call may be other than 0, a boolean `csr_array`.
        colors: the colour of each of its columns (rows, if `mode` is "reverse"): those of one colour were computed together.
        mode: "forward" or "reverse" for a Jacobian, "symmetric" for a Hessian.
    """

    __wrapped__: Callable[..., object]

    def __init__(
        self,
        name: str,
        f: Callable[..., object],
        argnums: Argnums,
        mode: Mode | None,
        pattern: object,
        has_aux: bool,
        value: bool = False,
        over: Ranks | None = None,
    ) -> None:
        self._over = over if several(over, name) else None
        functools.update_wrapper(self, f, updated=())
        self._name, self._argnums, self._mode, self._has_aux, self._value = name, argnums, mode, has_aux, value
        self._pattern = None if pattern is None else _booleans(pattern)
        self._plans: list[_Plan] = []
        #: The functions whose gradients are recorded anew at each call.
        self._recorded: set[Hashable] = set()

    def __repr__(self) -> str:
        return f"<sparse tn.{self._name} of {getattr(self.__wrapped__, '__name__', self.__wrapped__)}>"

    @property
    def pattern(self) -> csr_array:
        return self._last.pattern

    @property
    def colors(self) -> Array:
        return self._last.colors

    @property
    def mode(self) -> str:
        return self._last.mode

    @property
    def _last(self) -> _Plan:
        if not self._plans:
            raise AttributeError(f"tn.{self._name}: the pattern is found at the first call")
        return self._plans[0]

    @boundary
    def __call__(self, *args: object, **kwargs: object) -> Any:
        given, named = [_tensor(a) for a in args], {n: _tensor(a) for n, a in kwargs.items()}
        work = Differentiated(self._name, self.__wrapped__, self._argnums, given, named, self._has_aux)
        self._check(work)
        work.splits(self._over)
        plan = self._plan(work)
        found = plan.run([t._data for t in work.arguments()])
        if self._value:
            value = work.results.build([t.detach() for t in work.results.leaves])
            return ((value, work.results.aux) if self._has_aux else value), found
        return (found, work.results.aux) if self._has_aux else found

    def _check(self, work: Differentiated) -> None:
        state = local.state
        inside = state.tape is not None and state.tape.captures
        nodes = [t._node for t in work.arguments() if t._node is not None]
        graph = state.grad and any(type(node) is not Leaf or node.argument for node in nodes)
        if inside or graph:
            raise TypeError(
                f"tn.{self._name}: a sparse matrix is made of plain numbers, through which no gradient flows, and no part "
                "of a program. Call it outside of tn.compile and other transformations (its own passes are compiled), and give "
                "x.detach() where x, or what the function reads, is part of a graph"
            )
        if not work.given or not work.results.leaves:
            raise ValueError(f"tn.{self._name}: no array among the {'results' if work.given else 'arguments'}")
        for t in [*work.given, *work.results.leaves]:
            if t.dtype.kind != "f":
                raise TypeError(f"tn.{self._name}: sparse=True takes and gives real floats, not {t.dtype}")

    def _plan(self, work: Differentiated) -> _Plan:
        """What is known of the function that was traced; found out now if it is new."""
        function, symmetric = work.function, self._mode == "symmetric"
        key = key_of(function)
        plan = self._kept(key, work)
        if symmetric and (plan is None or key in self._recorded):
            function = work.gradient()
            if not work.recorded and any(stated_calls(expand(function.program()))):
                # A rule is called as it stands. On tensors it may look at values, and has the derivative of what it took.
                function = work.recorded_gradient(False)
            if work.recorded:
                self._recorded.add(key)
                key = key_of(function)
                plan = self._kept(key, work)
        if plan is None:
            tangents = _tangents(function, len(work.given))
            # What a function with rules of its own computes is known by its derivative alone.
            plan = self._kept(("tangents", program_key(tangents)), work)
            if plan is None:
                plan = _Plan(self._name, key, function, tangents, work, self._mode, self._pattern, self._over)
        self._plans = [plan, *(p for p in self._plans if p is not plan)][:KEPT]
        return plan

    def _kept(self, key: Hashable, work: Differentiated) -> _Plan | None:
        arrays = [t._data for t in work.arguments()]
        return next((p for p in self._plans if key in p.keys and p.holds(arrays)), None)


def _tensor(value: object) -> object:
    """A number in an array as a tensor, which a program is given anew at each call. A Python number is part of the program."""
    if isinstance(value, (np.ndarray, np.generic)) and not np.ndim(value) and value.dtype.kind == "f":
        return Tensor._of(np.asarray(value))
    return value


def _tangents(function: Function, count: int) -> Program:
    """The program of inputs and tangents of the first of them that gives the tangents of the results alone."""
    pushed = function.push(range(count))
    tangents = Program(pushed.inputs, [], pushed.body, pushed.outputs[len(function.outputs) :], [])
    return simplify(expand(tangents))


class _Plan:
    """How the matrix of one function is computed."""

    def __init__(
        self,
        name: str,
        key: Hashable,
        function: Function,
        tangents: Program,
        work: Differentiated,
        mode: Mode | None,
        given: csr_array | None,
        over: Ranks | None,
    ) -> None:
        self._over = over
        arrays = [t._data for t in work.arguments()]
        total, wanted = len(arrays), range(len(work.given))
        #: The inputs whose values the pattern was read from, and these.
        self._read: list[tuple[int, Array]] = []
        self.pattern = self._found(name, tangents, arrays, len(wanted)) if given is None else given
        shape = sum(v.size for v in tangents.outputs), sum(t.size for t in work.given)
        if self.pattern.shape != shape:
            raise ValueError(f"tn.{name}: pattern= has shape {self.pattern.shape}, and the matrix {shape}")
        if mode == "symmetric":  # both halves of one that is found cover the matrix, of one that is given either may do
            mirror = self.pattern.T.tocsr()
            self.pattern = self.pattern.multiply(mirror) if given is None else self.pattern + mirror
            self.pattern.sort_indices()
        self.mode: Mode = mode or "forward"
        if mode == "symmetric":
            self.colors = coloring.symmetric(self.pattern)
        else:
            self._color(mode)
        reverse = self.mode == "reverse"
        self._prepare(simplify(expand(function.pull(wanted))) if reverse else tangents, total)
        #: Of the functions whose matrix it computes.
        self.keys = [key] if reverse else [key, ("tangents", program_key(tangents))]
        if given is not None:
            self._compare(name, tangents, arrays)

    def _found(self, name: str, program: Program, arrays: Sequence[Array], count: int) -> csr_array:
        from scipy import sparse

        total = len(arrays)
        known = [None if i < count else a for i, a in enumerate(arrays)]
        try:
            found = sparsity(program, range(total, total + count), [*known, *[None] * count])
        except NotSparse as error:
            raise ValueError(f"tn.{name}: {error}; leave out sparse=True, or give pattern=") from None
        self._read = [(i, np.array(arrays[i])) for i in found.read]
        pattern: csr_array = sparse.vstack(found.patterns, format="csr")
        return pattern

    def _color(self, mode: Mode | None) -> None:
        """The colouring of columns or of rows, whichever takes fewer colours."""
        least = [int(np.diff(p.indptr).max(initial=0)) for p in (self.pattern, self.pattern.tocsc())]
        both: list[Mode] = ["forward", "reverse"] if least[0] <= least[1] else ["reverse", "forward"]
        fewest = None
        for one in [mode] if mode else both:
            if fewest is not None and fewest <= least[one == "reverse"]:
                break
            colors = coloring.columns(self.pattern if one == "forward" else self.pattern.T.tocsr())
            if fewest is None or colors.max(initial=0) + 1 < fewest:
                fewest, self.colors, self.mode = int(colors.max(initial=0)) + 1, colors, one

    def _prepare(self, program: Program, total: int) -> None:
        """The compiled pass of a block of colours, and where the entries are in what it gives."""
        self._seeds = [(v.shape, v.dtype, v.size) for v in program.inputs[total:]]
        self._dtype = np.result_type(*(v.dtype for v in program.outputs))
        count = int(self.colors.max(initial=0)) + 1
        largest = max([v.size for i in program.body for v in i.results], default=1)
        blocks = max(1, -(-count * largest // BLOCK))
        if self._over is not None:  # as many for each rank
            blocks = -(-blocks // self._over.size) * self._over.size
        self._size = -(-count // blocks)
        flags = [i >= total for i in range(len(program.inputs))]
        made = simplify(batch(program, flags, self._size, everything=True)[0])
        self._runner: Runner = importlib.import_module(BACKENDS[available_backend()]).build(made)
        place, color = self._places()
        block, lane = np.divmod(color, self._size)
        where = lane * sum(v.size for v in program.outputs) + place
        order = np.argsort(block, kind="stable")
        ends = np.searchsorted(block[order], np.arange(1, -(-count // self._size)))
        #: By block: which entries come from it, and from where in what it gives.
        self._entries = [(at, where[at]) for at in np.split(order, ends)]
        self._once = self._vectors(0) if len(self._entries) == 1 else None

    def _places(self) -> tuple[Array, Array]:
        """For each entry of the pattern which element of the product with which colour it is."""
        row = np.repeat(np.arange(self.pattern.shape[0]), np.diff(self.pattern.indptr))
        column = self.pattern.indices
        if self.mode == "forward":
            return row, self.colors[column]
        if self.mode == "reverse":
            return column, self.colors[row]
        # Of an entry and its mirror image, both are read from the same place.
        at = self.pattern.astype(np.int64)
        at.data = np.arange(self.pattern.nnz)
        mirror = at.T.tocsr().data
        shared = coloring.mirrored(self.pattern, self.colors)
        place = np.where(shared, column, row), self.colors[np.where(shared, row, column)]
        return tuple(np.where(row > column, p[mirror], p) for p in place)  # type: ignore[return-value]

    def holds(self, arrays: Sequence[Array]) -> bool:
        """Whether the arrays that the pattern was read from are the same as ever."""
        return all(np.array_equal(arrays[i], before) for i, before in self._read)

    def run(self, arrays: Sequence[Array]) -> csr_array:
        """The matrix at these arguments."""
        from scipy.sparse import csr_array

        data = np.empty(self.pattern.nnz, self._dtype)
        over = self._over
        first, step = (0, 1) if over is None else (over.rank, over.size)
        for block in range(first, len(self._entries), step):
            at, where = self._entries[block]
            outs = self._call([*arrays, *(self._once or self._vectors(block))])
            rows = [out.reshape(self._size, -1) for out in outs]
            joined = np.concatenate(rows, axis=1) if len(rows) > 1 else rows[0]
            data[at] = joined.reshape(-1)[where]
        if over is not None:
            self._exchange(data, over)
        pattern = self.pattern
        return csr_array((data, pattern.indices.copy(), pattern.indptr.copy()), shape=pattern.shape)

    def _exchange(self, data: Array, over: Ranks) -> None:
        """Put the entries that other ranks computed into their places."""
        places = [
            np.concatenate([np.empty(0, np.intp), *(at for at, _ in self._entries[rank :: over.size])])
            for rank in range(over.size)
        ]
        longest = max(map(len, places))
        own = np.zeros(longest, data.dtype)
        own[: len(places[over.rank])] = data[places[over.rank]]
        for at, found in zip(places, over.allgather(own).reshape(over.size, longest), strict=True):
            data[at] = found[: len(at)]

    def _call(self, given: Sequence[Array]) -> Sequence[Array]:
        outs = self._runner.call(*given)
        if outs is NotImplemented:  # an array in another order
            outs = self._runner.call(*(np.array(a, order="C") for a in given))
        assert outs is not NotImplemented
        return outs

    def _vectors(self, block: int) -> list[Array]:
        """The sum of the unit vectors of each colour of a block."""
        made, begin = [], 0
        for shape, dtype, size in self._seeds:
            lane = self.colors[begin : begin + size] - block * self._size
            vectors = np.zeros((self._size, size), dtype)
            inside = np.flatnonzero((lane >= 0) & (lane < self._size))
            vectors[lane[inside], inside] = 1
            made.append(vectors.reshape(self._size, *shape))
            begin += size
        return made

    def _compare(self, name: str, program: Program, arrays: Sequence[Array]) -> None:
        """Hold the matrix of a pattern that was given to a product with a random vector.

        Raises:
            ValueError: the product needs entries that the pattern does not have.
        """
        rng = np.random.default_rng(0)
        vectors = [rng.uniform(1, 2, v.shape).astype(v.dtype) for v in program.inputs[len(arrays) :]]
        outs = program.evaluate([*arrays, *vectors])
        product = np.concatenate([o.reshape(-1) for o in outs])
        matrix = self.run(arrays)
        flat = np.concatenate([v.reshape(-1) for v in vectors])
        eps = float(np.finfo(self._dtype).eps)
        close = eps**0.5 * (abs(matrix) @ flat) + 100 * eps * np.abs(product).max(initial=0)
        wrong = np.flatnonzero(np.abs(matrix @ flat - product) > close)
        if len(wrong):
            raise ValueError(
                f"tn.{name}: pattern= misses entries that are not 0, in row {wrong[0]}"
                f"{f' and {len(wrong) - 1} others' if len(wrong) > 1 else ''}: leave it out, and the pattern is found"
            )


def _booleans(pattern: Any) -> csr_array:
    """A pattern that was given, as those that are found."""
    from scipy.sparse import csr_array

    made = csr_array(pattern)
    made = csr_array((np.ones(made.nnz, bool), made.indices, made.indptr), shape=made.shape)
    made.sum_duplicates()
    made.sort_indices()
    return made
