"""What is found out about an op in each library."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tapenet.typing import Array
from tests.benchmarks.extending.libraries import Function, Library
from tests.benchmarks.extending.recipes import RECIPES
from tests.benchmarks.harness import interleaved

#: The highest derivative that is looked at.
HIGHEST = 3


class Facts(NamedTuple):
    """What does not depend on the machine: how many lines, and of the rest "" where it works, else what happened.

    orders: of the derivatives of each order, until one does not work. compiled: by each compiler, the value and the gradient.
    batched: both under vmap. forward: forward mode.
    """

    lines: int
    orders: list[str]
    compiled: dict[str, str]
    batched: str
    forward: str


def lines(source: str) -> int:
    """How many lines a program has, without comments, docstrings and empty ones."""
    left_out = {0}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            left_out.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and n not in left_out
        for n, line in enumerate(source.splitlines(), 1)
    )


class Call:
    """A recipe's op as a function of real arrays alone, which gives some: complex ones are taken apart."""

    def __init__(self, library: Library, recipe: str) -> None:
        self.library, self.recipe = library, RECIPES[recipe]
        self._op = library.op(recipe)
        self._given = self.recipe.arguments(np.random.default_rng(0))
        self._complex = [np.iscomplexobj(self._given[i]) for i in self.recipe.by]
        self.points: list[Array] = []
        for i in self.recipe.by:
            value = np.asarray(self._given[i])
            self.points += [value.real.copy(), value.imag.copy()] if np.iscomplexobj(value) else [value]
        self._rest = [library.array(v) if isinstance(v, np.ndarray) else v for v in self._given]

    def __call__(self, *points: Any) -> list[Any]:
        stream, values = iter(points), list(self._rest)
        for i, two in zip(self.recipe.by, self._complex, strict=True):
            values[i] = next(stream) + 1j * next(stream) if two else next(stream)
        outs = as_list(self._op(*values))
        return [part for o in outs for part in self.library.parts(o)] if any(self._complex) else outs

    def meant(self, *points: Array) -> list[Array]:
        """What the gradient is meant to be of."""
        values = dict(enumerate(self._given)) | dict(zip(self.recipe.by, points, strict=True))
        assert self.recipe.meant is not None
        return [self.recipe.meant(*values.values())]


def facts(library: Library, recipe: str) -> Facts:
    """Everything about an op but its speed."""
    call = Call(library, recipe)
    compiled = {how: what_happens(lambda how=how: compiles(call, how)) for how in library.compilers}
    return Facts(
        lines(library.source(recipe)),
        orders(call),
        compiled,
        what_happens(lambda: batches(call)),
        what_happens(lambda: goes_forward(call)),
    )


def what_happens(check: Callable[[], None]) -> str:
    """Nothing, or the error."""
    try:
        check()
    except AssertionError as error:
        return f"wrong: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def close(found: Any, expected: Any, what: str) -> None:
    scale = float(np.abs(expected).max(initial=1.0))
    assert np.shape(found) == np.shape(expected), f"{what}: shape {np.shape(found)} in place of {np.shape(expected)}"
    assert np.allclose(found, expected, 0, 1e-4 * scale), f"{what}: {found} in place of {expected}"


def total(f: Function, count: int, seed: Callable[[], None]) -> Function:
    """The sum of what a function of the first arguments gives, weighted by the others; the same random numbers each time."""

    def weighted(*points: Any) -> Any:
        seed()
        return sum((w * o).sum() for w, o in zip(points[count:], f(*points[:count]), strict=True))

    return weighted


def orders(call: Call) -> list[str]:
    """Whether the derivatives are right, by finite differences in random directions: each as a function of the one before,
    and of the gradient that comes in."""
    library, rng = call.library, np.random.default_rng(1)
    f: Function = call
    points, found = call.points, []
    expected: Function | None = call.meant if call.recipe.meant else None
    for order in range(1, HIGHEST + 1):

        def right(
            order: int = order, f: Function = f, points: list[Array] = points, expected: Function | None = expected
        ) -> None:
            outs = [library.numpy(o) for o in f(*map(library.array, points))]
            weights = [rng.normal(size=o.shape) for o in outs]
            scalar, n = total(f, len(points), library.seed), len(points)
            everything = [*points, *weights]
            got = [library.numpy(g) for g in library.gradient(scalar)(*map(library.array, everything))]
            for _ in range(3):
                way = [rng.normal(size=p.shape) for p in everything]
                if expected is not None:  # whose value is another one
                    way[n:] = [np.zeros(w.shape) for w in weights]
                ends = [[p + step * w for p, w in zip(everything, way, strict=True)] for step in (1e-4, -1e-4)]
                if expected is None:
                    high, low = (float(library.numpy(scalar(*map(library.array, end)))) for end in ends)
                else:
                    high, low = (float(total(expected, n, library.seed)(*end)) for end in ends)
                along = sum(float((g * w).sum()) for g, w in zip(got, way, strict=True))
                close(along, (high - low) / 2e-4, f"order {order}")

        found.append(what_happens(right))
        if found[-1]:
            break
        outs = [library.numpy(o) for o in f(*map(library.array, points))]
        n = len(points)
        points = [*points, *(rng.normal(size=o.shape) for o in outs)]
        f, expected = derivative(library.gradient(total(f, n, library.seed)), None if expected is None else n), None
    return found


def derivative(gradient: Function, count: int | None) -> Function:
    """The gradients by the first `count` arguments alone: where the op's is meant to be that of another function, its value
    has another derivative."""
    return lambda *points: gradient(*points)[:count]


def _loss(call: Call) -> Function:
    def loss(*points: Any) -> Any:
        return sum((o * o).sum() for o in call(*points))

    return loss


def compiles(call: Call, how: str) -> None:
    """Raise where the compiled value or gradient is no good."""
    library = call.library
    points, loss = list(map(library.array, call.points)), _loss(call)
    # Twice: the first call may be the one that is looked at.
    for what, made, f in (
        ("value", library.compiled(loss, how), loss),
        ("gradient", library.compiled_gradient(loss, how), library.gradient(loss)),
    ):
        library.seed()
        expected = f(*points)
        for _ in range(2):
            library.seed()
            found = made(*points)
            for one, other in zip(*map(as_list, (found, expected)), strict=True):
                close(library.numpy(one), library.numpy(other), what)


def as_list(value: Any) -> list[Any]:
    """Several results; autograd has a class of its own for them."""
    return [value] if hasattr(value, "shape") or isinstance(value, float) else list(value)


def batches(call: Call) -> None:
    """Raise where the value or gradient of a batch is not that of its samples."""
    library, loss = call.library, _loss(call)
    lanes = [np.stack([p, 0.9 * p]) for p in call.points]
    for what, f, batched in (
        ("value", loss, library.vmap(loss)),
        ("gradient", library.gradient(loss), library.vmap_gradient(loss)),
    ):
        found = as_list(batched(*map(library.array, lanes)))
        expected = [as_list(f(*(library.array(p[i]) for p in lanes))) for i in range(2)]
        for n, one in enumerate(found):
            if not call.recipe.random:
                close(library.numpy(one), np.stack([library.numpy(e[n]) for e in expected]), what)


def goes_forward(call: Call) -> None:
    """Raise where forward mode gives something else than the gradient says."""
    library, loss = call.library, _loss(call)
    rng = np.random.default_rng(2)
    points = list(map(library.array, call.points))
    way = [rng.normal(size=p.shape) for p in call.points]
    library.seed()
    gradient = [library.numpy(g) for g in library.gradient(loss)(*points)]
    library.seed()
    found = library.jvp(loss, points, list(map(library.array, way)))
    close(library.numpy(found), sum((g * w).sum() for g, w in zip(gradient, way, strict=True)), "forward mode")


def times(libraries: Sequence[Library], recipe: str, works: Callable[[str, str], bool]) -> dict[str, dict[str, float]]:
    """µs of a value and of a gradient, by "library, way": eager and by each compiler that works."""
    found: dict[str, dict[str, float]] = {}
    for what in ("value", "gradient"):
        steps = {}
        for library in libraries:
            call = Call(library, recipe)
            points = list(map(library.array, call.points))
            f = call if what == "value" else _loss(call)
            ways: dict[str, Function] = {"eager": f if what == "value" else library.gradient(f)}
            for how in library.compilers:
                if works(library.name, how):
                    ways[how] = library.compiled(f, how) if what == "value" else library.compiled_gradient(f, how)
            for way, made in ways.items():
                steps[f"{library.name}, {way}"] = lambda made=made, points=points, done=library.done: done(
                    made(*points)
                )
        for key, time in interleaved(steps, rounds=7, seconds=0.02).items():
            found.setdefault(key, {})[what] = time
    return found
