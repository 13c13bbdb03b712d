"""Rules for whole functions: what a function's derivative is, said by the user in place of derived."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, Generic, ParamSpec, TypeVar

from tapenet.autodiff.attached import attach, gradients
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.state import enable_grad, local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.definitions import argument_names
from tapenet.ops.tracebacks import boundary
from tapenet.program.low import is_inexact
from tapenet.program.trees import Mismatch, flatten, tree_map
from tapenet.transforms.rule_functions import TracedRule
from tapenet.transforms.whole_calls import Arguments, Results, fitting, is_array, zeros

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
S = TypeVar("S")


class _Custom(Generic[P, R]):
    """A function with rules of its own."""

    __name__: str
    _kind: str

    def __init__(self, f: Callable[P, R], nondiff_argnums: Sequence[int] = ()) -> None:
        if not callable(f):
            raise TypeError(f"tn.{self._kind}: f is a function, not {type(f).__name__}")
        functools.update_wrapper(self, f, updated=())  # type: ignore[arg-type]  # subclasses are called
        self.f = f
        self.title = f"tn.{self._kind} {getattr(f, '__name__', type(f).__name__)}"
        self._signature: inspect.Signature | None
        try:
            self._signature = inspect.signature(f)
        except (TypeError, ValueError):  # of a builtin
            self._signature = None
        self.nondiff_argnums = tuple(nondiff_argnums)

    def _positional(self, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[object, ...]:
        """The arguments by position, defaults too."""
        if self._signature is None:
            if kwargs:
                raise TypeError(f"{self.title}: give its arguments by position")
            return args
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(
                f"{self.title}: the argument {next(iter(bound.kwargs))!r} can be given by name alone, and rules know arguments "
                "by position: let the function take it by position"
            )
        return bound.args

    def names(self, count: int) -> list[str]:
        """What the arguments are called."""
        known = [] if self._signature is None else [p.name for p in self._signature.parameters.values()]
        return [known[i] if i < len(known) else f"argument {i}" for i in range(count)]

    def fixed(self, count: int) -> set[int]:
        """The positions of the arguments without derivative."""
        for n in self.nondiff_argnums:
            if not -count <= n < count:
                raise ValueError(f"{self.title}: nondiff_argnums has {n}, and the call has {count} argument(s)")
        return {n % count for n in self.nondiff_argnums}

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)  # type: ignore[arg-type]  # its call is the classes' own

    def _run(self, call: Callable[..., object], arguments: Arguments) -> object:
        """Run the function, or the one that runs in its place, on arguments in no graph."""
        with (
            enable_grad(),
            arguments.given([t.detach() for t in arguments.inputs], [t.detach() for t in arguments.kept]) as given,
        ):
            return call(*given)

    def check_closed(self, leaves: Sequence[object]) -> None:
        """Raise if a result depends on what the function closes over.

        Raises:
            TypeError: says what to write.
        """
        for t in leaves:
            if isinstance(t, Tensor) and t._node is not None:
                raise TypeError(
                    f"{self.title}: the function closes over a tensor that needs a gradient, which its rule says nothing of: "
                    "make it an argument, or close over tn.stop_gradient(t)"
                )


def _unknown(title: str, what: str) -> TypeError:
    return TypeError(f"{title} has no rule: say it with {what}")


# -- reverse mode ------------------------------------------------------------------------------------------------


class custom_vjp(_Custom[P, R]):
    """A function whose gradients are given by the user. For a function of arrays in plain NumPy `tn.op` does the same.

    The rule is said in one of two ways. By name, as those of `tn.op`: for each argument a function that names what it needs
    among `g`, the gradient by the result, `out`, the result, and the arguments:

    >>> import numpy as np, tapenet as tn
    >>> f = tn.custom_vjp(lambda x, limit: x.sum(), x=lambda g, x, limit: np.clip(g * np.ones_like(x), -limit, limit))
    >>> tn.grad(f)(tn.tensor([1.0, 2.0]), 0.5)
    Tensor([0.5, 0.5])

    Or by `defvjp(fwd, bwd)`, as in JAX: `fwd` takes the arguments and returns the result and whatever is to be kept; `bwd`
    takes that and the gradient by the result, and returns a tuple with a gradient for each argument:

    >>> @tn.custom_vjp
    ... def log1pexp(x):
    ...     return np.log(1 + np.exp(x))
    >>> log1pexp.defvjp(lambda x: (log1pexp(x), x), lambda x, g: (g * (1 - 1 / (1 + np.exp(x))),))
    >>> tn.grad(log1pexp)(100.0)
    Tensor(1.)

    Rules run on tensors. A second derivative is that of the rule; the one of what `fwd` kept is that of `fwd`'s own code.
    Forward mode (`tn.jvp`) transposes the rule, which is linear in the gradient. Gradients and arguments may be nested
    structures; the gradient of an argument is structured as it, or None for zeros. That by a complex result is as `tn.vjp`
    gives it.

    Args:
        f: the function. It returns arrays, or nested structures of them.
        nondiff_argnums: positions of arguments to which no gradient flows, such as functions. `bwd` is given them first.
        **rules: the rule of each argument, by its name.

    Raises:
        TypeError: `f` closes over a tensor that needs a gradient; a tensor that needs one is given to an argument without a
            rule; a gradient has another structure than its argument.
        ValueError: a gradient has another shape than its argument.
    """

    _kind = "custom_vjp"

    def __init__(self, f: Callable[P, R], nondiff_argnums: Sequence[int] = (), **rules: Callable[..., object]) -> None:
        super().__init__(f, nondiff_argnums)
        self._fwd: Callable[..., object] | None = None
        self._bwd: Callable[..., object] | None = None
        self.rules = rules
        #: What each rule asks for.
        self.needs: dict[str, tuple[str, ...]] = {}
        known = [] if self._signature is None else list(self._signature.parameters)
        for name, rule in rules.items():
            if name not in known or not callable(rule):
                raise TypeError(
                    f"{self.title}: {name}={rule!r}: give a function for an argument among {', '.join(known)}"
                )
            self.needs[name] = argument_names(self.title, rule, {"g", "out", *known})
            for need in self.needs[name]:
                if need not in ("g", "out", *known):
                    raise TypeError(
                        f"{self.title}: the rule of {name!r} asks for {need!r}; it may name g, out, {', '.join(known)}"
                    )

    def defvjp(self, fwd: Callable[..., object], bwd: Callable[..., object]) -> None:
        """Say the rule.

        Args:
            fwd: takes the arguments of the function; returns a pair of its result and what `bwd` needs, of any structure.
            bwd: takes the arguments of `nondiff_argnums`, what `fwd` kept, and the gradient by the result, structured as
                that; returns a tuple of gradients, one for each other argument.
        """
        self._fwd, self._bwd = fwd, bwd

    @boundary
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        given = self._positional(args, kwargs)
        if self._bwd is None and not self.rules:
            raise _unknown(self.title, "defvjp(fwd, bwd), or by name: tn.custom_vjp(f, x=lambda g, x: ...)")
        arguments = Arguments(given, self.fixed(len(given)))
        if not local.state.grad or not arguments.inputs:
            return self.f(*given)  # type: ignore[call-arg, arg-type]
        rule: _ByName | _ByPair
        if self._bwd is not None:
            rule = _ByPair(self, arguments)
        else:
            self._check_ruled(arguments)
            rule = _ByName(self, arguments)
        outs = attach(rule, arguments.inputs, rule.results.detached(), rule.kept)
        found: R = rule.results.structure.build(outs)
        return found

    def _check_ruled(self, arguments: Arguments) -> None:
        for name, places in zip(self.names(len(arguments.args)), arguments.places, strict=True):
            if name not in self.rules and any(p is not None for p in places):
                raise TypeError(
                    f"{self.title}: {name} needs a gradient and has no rule: give {name}=, or {name}=lambda g: None for zeros"
                )


class _ByPair(TracedRule):
    """The rule of a call, said by `defvjp`."""

    def __init__(self, custom: custom_vjp[..., object], arguments: Arguments) -> None:
        self.custom = custom
        self.name = custom.__name__
        self.arguments = arguments
        assert custom._fwd is not None
        out, held = self._forward(custom._run(custom._fwd, arguments))
        self.results = Results(out, custom.title)
        leaves, self.structure = flatten(held)
        custom.check_closed([*self.results.leaves, *leaves])
        #: What is held for `bwd` and is no array, by place.
        self.plain = {i: leaf for i, leaf in enumerate(leaves) if not is_array(leaf)}
        self.kept = [*arguments.kept, *(asarray(leaf) for i, leaf in enumerate(leaves) if i not in self.plain)]

    def _forward(self, found: object) -> tuple[object, ...]:
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(
                f"{self.custom.title}: fwd returns a pair (result, what bwd needs), not {type(found).__name__}"
            )
        return found

    def pull(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], gs: list[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients by the arguments."""
        custom, arguments = self.custom, self.arguments
        assert custom._fwd is not None
        assert custom._bwd is not None
        count = len(arguments.kept)
        if local.state.grad:  # what is held depends on the arguments
            with arguments.given(inputs, kept[:count]) as given:
                held = self._forward(custom._fwd(*given))[1]
        else:
            rest = iter(kept[count:])
            held = self.structure.build(
                [self.plain[i] if i in self.plain else next(rest) for i in range(self.structure.count)]
            )
        fixed = custom.fixed(len(arguments.args))
        with arguments.given(inputs, kept[:count]) as given:
            first = [given[i] for i in sorted(fixed)]
            found = custom._bwd(*first, held, self.results.cotangents(gs, outs))
        wanted = [i for i in range(len(arguments.args)) if i not in fixed]
        if not isinstance(found, (tuple, list)) or len(found) != len(wanted):
            got = f"{len(found)}" if isinstance(found, (tuple, list)) else type(found).__name__
            raise TypeError(
                f"{custom.title}: bwd returns a tuple with a gradient, or None, for each of {len(wanted)} argument(s), and "
                f"gave {got}"
            )
        by_place = dict(zip(wanted, found, strict=True))
        every = [by_place.get(i) for i in range(len(arguments.args))]
        return arguments.gradients(every, custom.names(len(arguments.args)), custom.title)


class _ByName(TracedRule):
    """The rule of a call, said by name."""

    def __init__(self, custom: custom_vjp[..., object], arguments: Arguments) -> None:
        self.custom = custom
        self.name = custom.__name__
        self.arguments = arguments
        self.results = Results(custom._run(custom.f, arguments), custom.title)
        custom.check_closed(self.results.leaves)
        self.kept = arguments.kept

    def pull(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], gs: list[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients by the arguments."""
        custom, arguments = self.custom, self.arguments
        names = custom.names(len(arguments.args))
        found: list[object] = []
        with arguments.given(inputs, kept) as given:
            known = dict(zip(names, given, strict=True))
            known |= {"g": self.results.cotangents(gs, outs), "out": self.results.structure.build(outs)}
            for name, places in zip(names, arguments.places, strict=True):
                rule = custom.rules.get(name)
                if rule is None or all(p is None for p in places):
                    found.append(None)
                else:
                    found.append(rule(*(known[need] for need in custom.needs[name])))
        return arguments.gradients(found, names, custom.title)


# -- forward mode ------------------------------------------------------------------------------------------------


class custom_jvp(_Custom[P, R]):
    """A function whose derivative in a direction is given by the user.

    The rule takes the arguments and their tangents, and returns the result and its tangent, which is linear in the
    tangents of the arguments. Reverse mode transposes it.

    >>> import numpy as np, tapenet as tn
    >>> @tn.custom_jvp
    ... def f(x, y):
    ...     return np.sin(x) * y
    >>> @f.defjvp
    ... def rule(primals, tangents):
    ...     x, y = primals
    ...     x_dot, y_dot = tangents
    ...     return f(x, y), np.cos(x) * x_dot * y + np.sin(x) * y_dot
    >>> tn.grad(f)(0.0, 3.0)
    Tensor(3.)

    `defjvps` takes a rule for each argument in place of that: a function of its tangent, the result, and all arguments.

    >>> square = tn.custom_jvp(lambda x: x * x)
    >>> square.defjvps(lambda t, out, x: 2 * x * t)
    >>> tn.grad(square)(3.0), tn.grad(tn.grad(square))(3.0)
    (Tensor(6.), Tensor(2.))

    Args:
        f: the function. It returns arrays, or nested structures of them.
        nondiff_argnums: positions of arguments without tangents, such as functions. The rule is given them first.

    Raises:
        TypeError: `f` closes over a tensor that needs a gradient; the rule's tangent has another structure than the result.
        ValueError: the rule's tangent has another shape than the result.
    """

    _kind = "custom_jvp"

    def __init__(self, f: Callable[P, R], nondiff_argnums: Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.rule: Callable[..., object] | None = None

    def defjvp(self, rule: Callable[..., S]) -> Callable[..., S]:
        """Say the rule; it may be used as a decorator.

        Args:
            rule: takes the arguments of `nondiff_argnums`, a tuple of the other arguments, and a tuple of their tangents:
                structured as they are, None for what is no float. It returns the result and its tangent.
        """
        self.rule = rule
        return rule

    def defjvps(self, *rules: Callable[..., object] | None) -> None:
        """Say a rule for each argument.

        Args:
            *rules: for each argument a function of its tangent, the result and all arguments, which gives what it adds to
                the tangent of the result; None where that is zeros.
        """
        if self.nondiff_argnums:
            raise TypeError(f"{self.title}: defjvps knows no nondiff_argnums: use defjvp, or None for such an argument")

        def rule(primals: tuple[object, ...], tangents: tuple[object, ...]) -> tuple[object, object]:
            if len(rules) != len(primals):
                raise TypeError(f"{self.title}: defjvps was given {len(rules)} rule(s) for {len(primals)} argument(s)")
            out = self(*primals)  # type: ignore[call-arg, arg-type]
            parts = [
                r(t, out, *primals) for r, t in zip(rules, tangents, strict=True) if r is not None and t is not None
            ]
            total = parts[0] if parts else tree_map(zeros, out)
            for part in parts[1:]:
                total = tree_map(operator.add, total, part)
            return out, total

        self.rule = rule

    @boundary
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        given = self._positional(args, kwargs)
        if self.rule is None:
            raise _unknown(self.title, "defjvp(rule) or defjvps(rule, ...)")
        arguments = Arguments(given, self.fixed(len(given)))
        if not local.state.grad or not arguments.inputs:
            return self.f(*given)  # type: ignore[call-arg, arg-type]
        rule = _Jvp(self, arguments)
        found: R = rule.results.structure.build(attach(rule, arguments.inputs, rule.results.detached(), arguments.kept))
        return found


class _Jvp(TracedRule):
    """The rule of a call, said by `defjvp`."""

    def __init__(self, custom: custom_jvp[..., object], arguments: Arguments) -> None:
        self.custom = custom
        self.name = custom.__name__
        self.arguments = arguments
        self.results = Results(custom._run(custom.f, arguments), custom.title)
        custom.check_closed(self.results.leaves)

    def push(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], tangents: list[Tensor]
    ) -> list[Tensor]:
        """The tangents of the results that are inexact."""
        custom, arguments = self.custom, self.arguments
        fixed = custom.fixed(len(arguments.args))
        assert custom.rule is not None
        with arguments.given(inputs, kept) as given:
            primals = tuple(v for i, v in enumerate(given) if i not in fixed)
            moved = tuple(t for i, t in enumerate(arguments.tangents(given, tangents)) if i not in fixed)
            found = custom.rule(*(given[i] for i in sorted(fixed)), primals, moved)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise TypeError(f"{custom.title}: the rule returns a pair (result, tangent), not {type(found).__name__}")
        title = f"{custom.title}: the tangent of the result"
        try:
            leaves = self.results.structure.take(found[1], "the result", ("the result", "its tangent"))
        except Mismatch as error:
            raise TypeError(f"{title} is structured as the result, and {error}") from None
        return [fitting(t, like, title) for t, like in zip(leaves, outs, strict=True) if is_inexact(like.dtype)]

    def pull(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], gs: list[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients by the arguments: the rule transposed. It is linear, so anywhere will do, zeros too."""
        ends = [zeros(t)._require() for t in inputs]
        with enable_grad():
            found = self.push(inputs, kept, outs, ends)
        seeds = [g for g, out in zip(gs, outs, strict=True) if is_inexact(out.dtype)]
        return gradients([t._node for t in ends], found, seeds, release=False)
