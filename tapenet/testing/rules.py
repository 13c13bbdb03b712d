"""The gradient rules that an op states, run directly on arrays: what they do that a rule must not, and why one is wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import numpy as np

from tapenet.autodiff.backward import value_of
from tapenet.autodiff.node import Output
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.formula import Derived
from tapenet.ops.op import FLAT, Op, Scatter
from tapenet.ops.shapes.broadcast_views import broadcasts_to
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.ops.transposed import Transposed
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.testing import mistakes
from tapenet.testing.cases import Case
from tapenet.testing.gradients import GradientMismatch, differences, random_like
from tapenet.testing.mistakes import Mistake, close
from tapenet.testing.trials import Given, Trial, not_summed, places, trials
from tapenet.testing.writes import changed, guarded
from tapenet.typing import Array, DType, Shape


class Rules:
    """The rules that an op states, on one call of it.

    Attributes:
        names: the inputs that have one, and are given an array.
    """

    def __init__(self, op: Op, case: Case) -> None:
        self.op = op
        self.case = case
        leaves = [Tensor._of(p).requires_grad_() for p in case.points]
        node = next((t._node for t in case.floats(*leaves) if t._node is not None), None)
        if isinstance(node, Output):
            node = node.source_node
        # Not so where other ops answer a call with rare options, or this one on other arrays.
        known = node is not None and node.op is op and {*node.parents} <= {leaf._node for leaf in leaves}
        self.names = [n for n in dict.fromkeys(case.inputs) if known and self._stated(n) is not None]
        if node is None or not self.names:
            return
        several = node.shape if op.outputs != 1 else (node.shape,)
        dtypes = node.dtype if op.outputs != 1 else (node.dtype,)
        rng = np.random.default_rng(0)
        gs = [self._g(rng, i, s, d) for i, (s, d) in enumerate(zip(several, dtypes, strict=True))]
        self.shapes: list[Shape] = [tuple(s) for s in several]
        needs = {need for name in self.names for need in self._needs(name)}
        needs -= {op.special.g, op.special.wanted}
        self.known: dict[str, object] = {n: tree_map(_raw, value_of(node, n, Tensor)) for n in needs}
        self.known[op.special.g] = gs[0] if op.outputs == 1 else tuple(gs)
        self.known[op.special.wanted] = frozenset(self.names)
        self.gs = gs

    def _g(self, rng: np.random.Generator, i: int, shape: Shape, dtype: DType) -> Array | None:
        if i in self.op.nondiff_outputs:
            return None
        made = random_like(rng, np.empty(shape, dtype))
        return made if dtype.kind in "fc" else np.zeros(shape, dtype)

    def _stated(self, name: str) -> Callable[..., object] | None:
        """The rule by an input, if the op states it: not one that is derived from its forward or `jvp=`."""
        rule = self.op.rules.get(name) if self.op.joint is None else self.op.joint
        return None if isinstance(rule, (Derived, Transposed)) else rule

    # -- runs --------------------------------------------------------------------------------------------------------

    def _needs(self, name: str) -> tuple[str, ...]:
        return self.op.needs["" if self.op.joint is not None else name]

    def _run(self, name: str, given: Mapping[str, object]) -> object:
        """What the rule returns, with some values in the place of those that it would get."""
        known = {**self.known, **given}
        with np.errstate(all="ignore"):
            if self.op.joint is None:
                return self.op.rules[name](*(known[k] for k in self._needs(name)))
            found = self.op.joint(*(known[k] for k in self._needs(name)))
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise GradientMismatch(
                f"{self.op.name}: the joint rule returned {_describe(found)}. Likely cause: wrong shape: it returns a "
                "dict, with an entry for every input in `wanted`",
                "wrong shape",
            )
        return found[name]

    def _parts(self, name: str, d: object) -> list[Array]:
        """What a rule returned, as an array for each array of the input.

        Raises:
            ValueError: it returned more or fewer.
        """
        inputs = self._inputs(name)
        value = self.case.arguments()[name]
        found = list(d) if isinstance(d, (list, tuple)) and isinstance(value, (list, tuple)) else tree_leaves(d)
        if isinstance(value, (list, tuple)):
            found = [f for f, v in zip(found, value, strict=True) if isinstance(v, np.ndarray) and v.dtype.kind in "fc"]
        return [_dense(f, p) for f, p in zip(found, inputs, strict=True)]

    def _inputs(self, name: str) -> list[Array]:
        return [p for p, of in zip(self.case.points, self.case.inputs, strict=True) if of == name]

    def _settled(self, name: str, d: object) -> list[Array] | None:
        """A rule's result in the shapes and dtypes of the input, as the driver brings it there; None if it does not fit."""
        found = []
        for part, like in zip(self._parts(name, d), self._inputs(name), strict=True):
            if self.op.broadcasts and part.shape in self.shapes:
                part = unbroadcast(part, like.shape)
            if not broadcasts_to(part.shape, like.shape):
                return None
            found.append(_fitted(part, like))
        return found

    @cached_property
    def _expected(self) -> dict[str, list[Array]]:
        """The right gradients, by finite differences, as rules know them: the conjugates of what users see."""

        def value(*parts: Array) -> float:
            outs = tree_leaves(self.case.meant(*parts))
            return sum(float((o * g).sum().real) for o, g in zip(outs, self.gs, strict=False) if g is not None)

        found: dict[str, list[Array]] = {}
        for i, name in enumerate(self.case.inputs):
            found.setdefault(name, []).append(np.conj(differences(value, self.case.points, i)))
        return found

    # -- what a rule must not do -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Run each rule once.

        Raises:
            AssertionError: a rule writes into what it was given, gives nothing, or an array that is none of its input's.
        """
        for name in self.names:
            self._check(name)

    def _check(self, name: str) -> None:
        given = {k: guarded(self.known[k]) for k in self._needs(name)}
        try:
            d = self._run(name, given)
        except Exception as error:
            raise self._failed(name, error) from None
        self._written(name, given)
        said = f"{self.op.name}: the gradient rule for {name!r} returned"
        if d is None:
            raise GradientMismatch(
                f"{said} None: its function, or a branch of it, ends without return. Return the gradient by {name!r}, an "
                f"array of its shape; or declare nondiff=({name!r},) if there is none",
                "None",
            )
        try:
            parts = self._parts(name, d)
        except (TypeError, ValueError):
            count = len(self._inputs(name))
            raise GradientMismatch(
                f"{said} {_describe(d)}. Likely cause: wrong shape: of an input that holds {count} arrays a rule returns "
                f"{'as many gradients, in the same container' if count != 1 else 'one array'}",
                "wrong shape",
            ) from None
        for part, like in zip(parts, self._inputs(name), strict=True):
            if self._settled(name, d) is None:
                raise self._wrong_shape(f"{said} shape {part.shape}, but {name} has shape {like.shape}", name, d)
            if part.dtype.kind in "fc" and np.finfo(part.dtype).bits < np.finfo(like.dtype).bits:
                raise GradientMismatch(
                    f"{said} {part.dtype} for a {like.dtype} input, which loses digits. Likely cause: wrong dtype: a cast to "
                    "float32 (astype, dtype=). Keep the dtype of g, or cast to it: .astype(g.dtype)",
                    "wrong dtype",
                )

    def _written(self, name: str, given: Mapping[str, object]) -> None:
        for k, value in given.items():
            if changed(value, self.known[k]):
                what = "the gradient that it is given" if k == self.op.special.g else "an array that the call has saved"
                raise AssertionError(
                    f"{self.op.name}: the gradient rule for {name!r} writes into {k!r}, {what}: others read it, and their "
                    f"gradients are wrong then. Write a = a * b in place of a *= b and out=, or begin with {k} = {k}.copy()"
                )

    def _failed(self, name: str, error: Exception) -> Exception:
        """What a rule raised, as an error that says why."""
        if isinstance(error, GradientMismatch):
            return error
        if "read-only" in str(error):
            given = {k: guarded(self.known[k], writeable=True) for k in self._needs(name)}
            self._run(name, given)
            self._written(name, given)
            return AssertionError(
                f"{self.op.name}: the gradient rule for {name!r} fails on arrays that are read-only, as g may be: {error}. "
                "Pass a copy on, np.array(g), or declare the array const where it is compiled"
            )
        if isinstance(error, KeyError) and self.op.joint is not None:
            return GradientMismatch(
                f"{self.op.name}: the joint rule gave no gradient for {name!r}. Likely cause: a forgotten input: it returns a "
                f"dict with an entry for every input in `wanted`, here {', '.join(map(repr, self.names))}",
                "forgotten input",
            )
        found = self._by_trial(name)
        if found is None:
            error.add_note(f"in the gradient rule for {name!r} of op {self.op.name!r}")
            return error
        return GradientMismatch(
            f"{self.op.name}: the gradient rule for {name!r} failed: {error}. Likely cause: {found.words}", found.kind
        )

    def _wrong_shape(self, text: str, name: str, d: object) -> GradientMismatch:
        found = self._of_shape(name, d)
        return GradientMismatch(
            f"{text} (the output has {self.shapes[0] if len(self.shapes) == 1 else self.shapes}). Likely cause: {found.words}",
            found.kind,
        )

    def _of_shape(self, name: str, d: object) -> Mistake:
        """Why the gradient by an input has another shape."""
        found = self._by_trial(name)
        if found is not None:
            return found
        raw = [np.asarray(p) for p in tree_leaves(d)]
        for part, like in zip(raw, self._inputs(name), strict=False):
            if part.shape in self.shapes and broadcasts_to(like.shape, part.shape):
                return not_summed(part.shape, like.shape)
        return Mistake(
            "wrong shape",
            "wrong shape: a rule returns the shape of its input, or one that broadcasts up to it. Ask for it by "
            f"{name}_shape, and bring the result there by np.reshape, np.expand_dims or a sum",
        )

    # -- what is wrong -----------------------------------------------------------------------------------------------

    def mistake(self, name: str) -> Mistake | None:
        """What is wrong with the rule for an input, as far as one can tell; None if it is right, or nobody knows."""
        if name not in self.names:
            return None
        d = self._run(name, {})
        found = self._settled(name, d)
        expected = self._expected[name]
        if found is None or all(map(close, found, expected)):
            return None
        got, right = (np.concatenate([p.ravel() for p in parts]) for parts in (found, expected))
        if not np.isfinite(got).all():
            return mistakes.SINGULAR
        if got.any() and self._ignores_g(name, d):
            return Mistake("forgotten g", f"a forgotten g: a rule returns the derivative times {self.op.special.g}")
        if any(p.dtype.kind in "iub" and (p.ndim or p.any()) for p in self._parts(name, d)):
            return Mistake(
                "wrong dtype", "wrong dtype: integers or booleans, which cut off digits; compute in the dtype of g"
            )
        return self._exchanged(name, found) or self._by_values(name, got, right) or self._by_trial(name)

    def _by_values(self, name: str, got: Array, right: Array) -> Mistake | None:
        sizes: dict[str, float] = {}
        for n, p in zip(self.case.inputs, self.case.points, strict=True):
            sizes[f"the number of elements of {n!r}"] = p.size
            sizes |= {f"the length of {n!r} along axis {i}": length for i, length in enumerate(p.shape)}
        found = mistakes.of_values(got, right, sizes)
        if found is None or found.kind == "sign of some elements":
            return None
        exchanged = self._first(name, places(self._given(name))) if found.kind == "sign" else None
        return found if exchanged is None else found._replace(words=f"{found.words}. Or {exchanged.words}")

    def _ignores_g(self, name: str, d: object) -> bool:
        g = self.op.special.g
        twice = self._run(name, {g: tree_map(lambda part: part * 2, self.known[g])})
        return all(map(close, self._parts(name, twice), self._parts(name, d)))

    def _exchanged(self, name: str, found: list[Array]) -> Mistake | None:
        """Whether it is the gradient by another input, whose rule is wrong as well."""
        expected = self._expected
        for other in self.names:
            if other == name or not all(map(close, found, expected[other])):
                continue
            theirs = self._settled(other, self._run(other, {}))
            if theirs is not None and not all(map(close, theirs, expected[other])):
                return Mistake(
                    "swapped inputs", f"swapped inputs: it is the gradient by {other!r}. Exchange the rules of the two"
                )
        orders = itertools.permutations(found) if 1 < len(found) < 6 else ()
        if any(all(map(close, order, expected[name])) for order in orders):
            return Mistake(
                "swapped inputs", f"swapped inputs: the gradients of the parts of {name!r} are in another order"
            )
        return None

    def _by_trial(self, name: str) -> Mistake | None:
        return self._first(name, trials(self._given(name)))

    def _given(self, name: str) -> Given:
        g = self.op.special.g
        arguments = self.case.arguments()
        known = {n: self.known[n] for n in self._needs(name) if _holds_arrays(self.known.get(n))}
        others = {n: arguments[n] for n in self.op.inputs if n in arguments}
        others |= {n: v for n, v in known.items() if n != g}
        return Given(name, g, known, others, self._inputs(name), self.shapes)

    def _first(self, name: str, tried: Iterable[Trial]) -> Mistake | None:
        """The first of some mistakes without which the rule is right."""
        for trial in tried:
            try:
                d = self._run(name, trial.given)
                parts = [trial.returned(p) for p in self._parts(name, d)]
                found = self._settled(name, tuple(parts) if len(parts) > 1 else parts[0])
            except Exception:  # so it is another
                continue
            if found is not None and all(map(close, found, self._expected[name])):
                return trial.mistake
        return None


def _holds_arrays(value: object) -> bool:
    return any(isinstance(leaf, np.ndarray) for leaf in tree_leaves(value))


def _raw(value: object) -> object:
    return value.data if isinstance(value, Tensor) else value


def _dense(d: object, like: Array) -> Array:
    if d is FLAT or type(d) is object:
        return np.zeros_like(like)
    if isinstance(d, Scatter):
        made = np.zeros(like.shape, np.result_type(d.g))
        d.add_to(made)
        return made
    return np.asarray(d)


def _fitted(d: Array, like: Array) -> Array:
    """A gradient in the shape and dtype of its input."""
    return np.broadcast_to(d if like.dtype.kind == "c" else d.real, like.shape).astype(like.dtype)


def _describe(value: object) -> str:
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"shape {np.shape(value)}" if hasattr(value, "shape") else f"a {type(value).__name__}"
