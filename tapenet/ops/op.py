"""What an operation is: a forward in plain NumPy and one gradient rule per input, by name.

One definition gives everything: the forward, the rules, the NumPy function it stands for, its label on a
drawing, its documentation and its samples for the tests. Nothing here knows what a tensor is: `autodiff`
installs the `recorder` that has an op run on tensors.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

import numpy as np

from tapenet import kernels
from tapenet.ops import definitions, standing
from tapenet.ops.foreign_forwards import adapted
from tapenet.ops.formula import Derived, fused
from tapenet.ops.formula import derive as derive
from tapenet.ops.indexing.adding import add_at
from tapenet.ops.recorder import installed
from tapenet.ops.registry import Samples, is_own, registry, ufunc_method
from tapenet.ops.tracebacks import hide
from tapenet.ops.transposed import Transposed
from tapenet.typing import Array

Rule = Callable[..., Any]
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class _Flat:
    """The gradient by an input on which the result depends in steps: it is 0 wherever it exists."""

    def __repr__(self) -> str:
        return "0 · g"


#: What the rule of such an input returns, in place of zeros. The driver goes no further that way.
FLAT = _Flat()


def flat() -> _Flat:
    """The rule of such an input."""
    return FLAT


#: What the documentation says of an op with `once=True`.
FIRST = "First derivatives alone: one of higher order is an error."
#: What is said where a derivative of higher order is asked of an op that has none.
ONCE = (
    "op {0!r} has first derivatives alone (once=True), and one of higher order was asked for: define it without once= if its "
    "rules are right to second order, or cut it off with tn.stop_gradient"
)


@dataclass(eq=False, repr=False, match_args=False)
class Op:
    """An operation with its gradient rules. Made by `tn.op`, which says what each option means; called like a function.

    Its first call may change its class (`Recorder.called`), so a copy with other options is made by `op.replace`.
    """

    forward: Callable[..., Any]
    _: KW_ONLY
    name: str
    rules: Mapping[str, Rule] = field(default_factory=dict)
    joint: Rule | None = None
    jvp: Rule | None = None
    once: bool = False
    nondiff: frozenset[str] = frozenset()
    outputs: int | None = 1
    nondiff_outputs: frozenset[int] = frozenset()
    tell_unused: bool = False
    sequences: frozenset[str] = None  # type: ignore[assignment]  # set by `__post_init__`, as is `broadcasts`
    residuals: tuple[str, ...] = ()
    reference: Callable[..., object] | None = None
    fuse: bool | Literal["rules"] | None = None
    broadcasts: bool = None  # type: ignore[assignment]
    check: Callable[..., None] | None = None
    lower: Callable[..., object] | str | None = None
    opaque: str | None = None
    vmap: Callable[..., object] | str | Mapping[str, Any] | None = None
    numpy: tuple[Callable[..., object], ...] = ()
    more: Callable[..., object] | None = None
    result: Callable[..., object] | None = None
    random: bool = False
    effect: bool = False
    ordered: Callable[..., object] | None = None
    paired: bool = False
    memory: str | tuple[int, ...] | None = None
    precision: str | None = None
    doc: str | None = None
    label: str | Callable[..., str] | None = None
    formula: str | None = None
    gradients: str | None = None
    hint: Callable[..., str] | None = None
    multiply_adds: Callable[..., int] | None = None
    samples: Samples | None = None
    module: str = ""

    def __post_init__(self) -> None:
        #: Whether what it does beside returning its result forbids that a derivative runs it again.
        self.alters = self.effect
        self.effect = self.effect or self.ordered is not None
        self.__name__ = self.__qualname__ = self.name
        self.__module__ = self.module
        self.__doc__ = self.doc or getattr(self.forward, "__doc__", None)  # readers clean it up (inspect.getdoc)
        if self.once:
            self.__doc__ = f"{inspect.cleandoc(self.__doc__ or '')}\n\n{FIRST}".lstrip()
        if inspect.isfunction(self.forward):
            self.__wrapped__ = self.forward  # doctest, inspect.signature and editors see through to it
        if self.joint is not None and self.rules:
            raise TypeError(f"op {self.name!r}: give either joint= or rules per input, not both")
        self.arguments = definitions.arguments(self.name, self.forward)
        names = [a.name for a in self.arguments]
        #: The arguments that are given by position, and those that are given by keyword.
        self.positional = tuple([a.name for a in self.arguments if not a.keyword_only])
        self.by_keyword = tuple([a.name for a in self.arguments if a.keyword_only])
        #: What its rules call the gradient, the output and the wanted inputs.
        self.special = definitions.special(names)
        given: object = self.nondiff
        everything = given is True
        # Rules are stated, else the transpose of `jvp=`, else derived from the formula. What is left then has none.
        self._transpose(names)
        self._derive(names, everything)
        self.nondiff = frozenset([a.name for a in self.arguments if a.required] if everything else self.nondiff or ())
        # The arguments a joint rule covers: the required ones, and optional arrays, which default to None.
        covered = [
            a.name
            for a in self.arguments
            if self.joint and not everything and a.name not in self.nondiff and (a.required or a.default is None)
        ]
        if isinstance(self.joint, (Derived, Transposed)):
            covered = list(self.joint.inputs)
        if self.reference is derive or (self.reference is None and self.fuse and self.residuals):
            self.reference = self._without_residuals
        #: The inputs with a gradient; all that may be arrays; and the other arguments.
        self.differentiable = tuple(n for n in names if n in self.rules or n in covered)
        self.inputs = tuple(n for n in names if n in self.differentiable or n in self.nondiff)
        self.options = tuple(n for n in names if n not in self.inputs)
        #: Whether its derivative is 0 by every input. In rules its results are constants.
        self.flat = bool(self.rules) and all(rule is flat for rule in self.rules.values())
        self.nondiff_outputs = frozenset(self.nondiff_outputs)
        self.residuals = tuple(self.residuals)
        self.numpy = tuple(self.numpy) if isinstance(self.numpy, (tuple, list)) else (self.numpy,)
        if self.sequences is None:
            self.sequences = frozenset(() if self.numpy or self.broadcasts else self.differentiable)
        #: Whether containers of tensors are taken apart for it (`ops.containers`).
        self.opens = not is_own(self)
        #: The forward's `*args`, a sequence in any case.
        self.starred = frozenset([a.name for a in self.arguments if a.starred])
        self.sequences = self.starred.union(self.sequences)
        if self.more is None:  # a ufunc answers its own options: by NumPy's protocol, if it meets a tensor
            self.more = next((f for f in self.numpy if isinstance(f, np.ufunc) and f.signature is None), None)
        self._check(names)
        self._ask(names)
        registry[f"{self.module}.{self.name}"] = self

    def _transpose(self, names: list[str]) -> None:
        """Give it the rules that are the transpose of its `jvp=`: of the inputs whose tangents that names, but for those with
        a rule."""
        if isinstance(self.joint, Transposed):  # in a copy
            self.joint = None
        self.rules = {n: rule for n, rule in self.rules.items() if not isinstance(rule, Transposed)}
        left = [] if self.joint else [n for n in definitions.moving(self.name, self.jvp, names) if n not in self.rules]
        rules = {n: Transposed(self, [n]) for n in left} if len(left) < 2 or self.rules else {}
        self.rules |= rules
        if left and not rules:  # one pass for all
            self.joint = Transposed(self, left)

    def _derive(self, names: list[str], everything: bool) -> None:
        """Give it the rules that are derived from its formula: all, if it states none."""
        if isinstance(self.joint, Derived):  # in a copy, whose forward may be another
            self.rules, self.joint = dict.fromkeys(self.joint.inputs, derive), None
        self.rules = {n: derive if isinstance(rule, Derived) else rule for n, rule in self.rules.items()}
        stated = [n for n, rule in self.rules.items() if rule is not derive]
        own = is_own(self) and self.nondiff  # then it names the inputs whose rules are derived
        if not self.rules and not (self.joint or own or everything or self.random or self.effect):
            left = [a.name for a in self.arguments if a.required and a.name not in self.nondiff]
            self.rules = dict.fromkeys(left, derive)
        if len(stated) < len(self.rules):
            if len(self.rules) > 1 and not stated:  # one pass for all
                self.rules, self.joint = {}, Derived(self, names, list(self.rules))
            else:
                self.rules = {n: Derived(self, names, [n]) if r is derive else r for n, r in self.rules.items()}
            if self.fuse is None:
                self.fuse = True
        if self.broadcasts is None:
            self.broadcasts = isinstance(self.forward, np.ufunc)

    def _check(self, names: list[str]) -> None:
        definitions.check_names(self.name, names, self.rules, self.nondiff)
        standing.check(self.name, self.numpy)
        definitions.check_lower(self.name, self.lower, len(self.inputs))
        definitions.check_residuals(self.name, names, self.residuals, self.outputs)
        definitions.check_once(self.name, self.once, self.reference)

    def _ask(self, names: list[str]) -> None:
        """Find what its functions ask for."""
        shapes = [f"{n}_{what}" for n in self.inputs for what in ("shape", "dtype")]
        special = self.special
        values = {special.out, *names, *self.residuals, *shapes}
        words = f"{special.out}, {', '.join([*names, *self.residuals])}, and NAME_shape or NAME_dtype of an input"
        #: What `jvp=`, the check and the count ask for.
        none: tuple[str, ...] = ()
        self.jvp_needs = self.check_needs = self.count_needs = none
        if self.jvp is not None:
            dots = [f"{n}_dot" for n in self.differentiable]
            known = values | set(dots)
            self.jvp_needs = definitions.asked(self.name, "jvp=", self.jvp, known, f"{', '.join(dots)}, {words}")
            definitions.check_dots(self.name, self.jvp_needs, names, self.differentiable)
        #: What each rule asks for, by input name ("" for the joint rule).
        self.needs: dict[str, tuple[str, ...]] = {}
        for n, rule in (self.rules if self.joint is None else {"": self.joint}).items():
            if isinstance(rule, Transposed):
                rule.ask()
            if isinstance(rule, (Derived, Transposed)):
                self.needs[n] = rule.needs
                continue
            what = f"rule for {n!r}" if n else "joint rule"
            known = values | ({special.g} if n else {special.g, special.wanted})
            self.needs[n] = definitions.asked(self.name, what, rule, known, f"{special.g}, {words}")
            definitions.check_gradient_named(self.name, what, self.needs[n], special.g)
        if self.check is not None:
            self.check_needs = definitions.asked(self.name, "check=", self.check, names)
        if self.multiply_adds is not None:
            counts = (*self.options, "out_shape", *shapes[::2])
            self.count_needs = definitions.asked(self.name, "multiply_adds=", self.multiply_adds, counts)
        definitions.check_vmap(self.name, self.vmap, names)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # The recorder replaces this by code made for this op's signature, at the first call that asks for it: making it
        # for every op at import would cost more than importing NumPy.
        try:
            return installed.recorder.called(self, args, kwargs)
        except Exception as error:
            hide(error)
            raise

    @functools.cached_property
    def node_class(self) -> Any:
        """The class of the nodes that record it."""
        return installed.recorder.node_class(self)

    @functools.cached_property
    def full_node_class(self) -> Any:
        """That of nodes which say more."""
        return installed.recorder.full_node_class(self)

    @functools.cached_property
    def eager(self) -> Callable[..., object]:
        """The forward as eager calls run it on arrays."""
        return fused(self, self.forward)

    @functools.cached_property
    def values(self) -> Callable[..., object]:
        """The forward as eager calls run it that make no node: nobody asks for the residuals, which may be empty then."""
        return kernels.asking(self.eager, (True,) * (self.outputs or 0))

    @functools.cached_property
    def eager_rules(self) -> dict[str, Rule]:
        """The rules as eager passes run them on arrays, by input name ("" for the joint rule)."""
        rules = self.rules if self.joint is None else {"": self.joint}
        return {n: fused(self, rule, rule=True) for n, rule in rules.items()}

    def run(self, values: Mapping[str, object]) -> object:
        """What the forward gives for all arguments by name, once the check has passed them."""
        if self.check is not None:
            self.check(*(values[n] for n in self.check_needs))
        return self.apply(self.eager, values)

    def apply(self, function: Callable[..., R], values: Mapping[str, object], **more: object) -> R:
        """What a function of the op's arguments gives for them."""
        if self.starred:
            args, options = self.spread(values)
            return function(*args, **options, **more)
        options = {n: values[n] for n in self.by_keyword}
        return function(*[values[n] for n in self.positional], **options, **more)

    def spread(self, values: Mapping[str, object]) -> tuple[list[object], dict[str, object]]:
        """A call's arguments, by position and by keyword."""
        args: list[object] = []
        for a in self.arguments:
            if not a.keyword_only:
                value = values[a.name]
                args += value if a.starred and isinstance(value, (list, tuple)) else (value,)
        return args, {n: values[n] for n in self.by_keyword}

    def _without_residuals(self, *args: object, **options: object) -> object:
        """What the forward gives, for a reference: a forward in plain NumPy runs on tensors too."""
        outs = self.forward(*args, **options)[: self.outputs]
        return outs[0] if self.outputs == 1 else outs

    def checked(self) -> Callable[..., object]:
        """The forward behind its check: to be given all arguments, a starred one as one."""
        if self.check is None and not self.starred:
            return self.eager
        names = self.positional
        check, eager = self.check, self.eager
        if check is None or self.starred or not set(self.check_needs) <= set(names):
            return lambda *args, **options: self.run(dict(zip(names, args, strict=True)) | options)
        places = [names.index(n) for n in self.check_needs]

        def call(*args: object, **options: object) -> object:
            check(*[args[i] for i in places])
            return eager(*args, **options)

        return call

    @property
    def returning(self) -> Callable[..., object]:
        """The function that returns what it computes: the op itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        # `tn.add.reduce` and the like are those of the ufunc, which knows tensors by their protocol.
        return ufunc_method(self, name)

    def several(self, outs: Iterable[object]) -> object:
        """Its outputs, where it has several, as it gives them."""
        return tuple(outs) if self.result is None else self.result(*outs)

    def replace(self, **options: Any) -> Op:
        """An op with some options changed."""
        return Op(**{n: getattr(self, n) for n in _FIELDS} | options)

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(a.written for a in self.arguments)})>"

    def __reduce__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: object) -> Op:
        return self


_FIELDS = tuple(f.name for f in fields(Op))
_OPTIONS = frozenset(_FIELDS) - {"forward", "rules", "module"}

if TYPE_CHECKING:
    from tapenet.ops.operators import Operand

    class TypedOp(Op, Generic[P, R]):
        """An op as type checkers see it: with the arguments of its forward, and what a call returns."""

        @overload  # of tensors, for which the forward says arrays
        def __call__(
            self, x: Operand | Sequence[Operand] | Mapping[str, Operand], /, *args: Any, **kwargs: Any
        ) -> Any: ...
        @overload
        def __call__(self, x: object, y: Operand, /, *args: Any, **kwargs: Any) -> Any: ...
        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
        @overload
        def __call__(self, *args: Any, **kwargs: Any) -> R: ...  # what stands for arrays
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


@overload
def op(forward: np.ufunc, /, *, name: str | None = None, **options_and_rules: object) -> TypedOp[..., Array]: ...
@overload
def op(forward: Callable[P, R], /, *, name: str | None = None, **options_and_rules: object) -> TypedOp[P, R]: ...
@overload
def op(*, result: Callable[..., T], **options_and_rules: Any) -> Callable[[Callable[P, object]], TypedOp[P, T]]: ...
@overload
def op(*, residuals: tuple[str, ...], **options_and_rules: Any) -> Callable[[Callable[P, object]], TypedOp[P, Any]]: ...
@overload
def op(*, name: str | None = None, **options_and_rules: Any) -> Callable[[Callable[P, R]], TypedOp[P, R]]: ...
def op(forward: Any = None, /, **options_and_rules: Any) -> Any:
    """Define an operation: its forward in plain NumPy, and gradient rules by name where they are not derived from that.

    Call it with the forward (`tn.op(f)`, `tn.op(f, x=rule)`) or use it as a decorator (`@tn.op(x=rule)`).

    An op without any rule is differentiated by its forward, to every order: that is read once for each shape and
    dtype, so it may not branch on values and uses NumPy's functions and other ops alone. It stays one node. Its inputs
    are then all required arguments but those of `nondiff`.

    A rule is a function that names what it needs among `g` (the gradient of the loss by the output, shaped
    like the output), `out`, the op's arguments, its residuals, and `NAME_shape` / `NAME_dtype` of an input;
    exactly that is saved. A parameter with a default that is none of these is the rule's own. It returns the gradient by
    its input, or anything that broadcasts up to it. Rules
    are plain NumPy without in-place operators, `out=` or `asarray`; for derivatives of higher order the same
    rule runs on tensors. One that calls other code, or branches on values, is called as it stands by compiled programs, and
    for derivatives of higher order there must be `reference`. Once there is a rule, a tensor that needs a gradient, given
    to an argument without one, is an error unless the argument is declared in `nondiff`.

    Args:
        forward: the computation on arrays. A NumPy ufunc's inputs are called `x` and `y`.
        name: shown in drawings and errors; the function's own name by default.
        doc: documentation; the function's docstring by default.
        joint: one rule for all inputs that share work. It may name `wanted`, the set of input names whose
            gradients are needed, and returns a dict from input name to gradient.
        jvp: the derivative in a direction, of all inputs at once: a function that names what it needs as rules do, but for
            `g`, and the tangents: NAME_dot is that of the input NAME, zeros if it has none. It returns the tangent of the
            output (of several a tuple, None for zeros), linear in those. Forward mode uses it; and reverse mode, by its
            transpose, for inputs without a rule. Where it cannot be read it is called, for a gradient once for each element
            of the input.
        once: there are first derivatives alone; one of higher order is an error. For rules that are not to be
            differentiated.
        grads: rules by name, for inputs whose name clashes with an option of this function. Then arguments may be called
            g, out or wanted too: rules call the gradient g_, the output out_ and the wanted inputs wanted_ there.
        nondiff: inputs that take tensors but have no derivative (True: all of them).
        outputs: number of results; rules of an op with several get a tuple `g`, one entry per output (zeros
            where an output was not used, None for a non-differentiable one).
        nondiff_outputs: positions of outputs without a derivative.
        tell_unused: an entry of `g` is None, not zeros, for an output that the loss does not use.
        sequences: inputs that may be a list or tuple of arrays, whose rule returns a tuple with a gradient for each
            (default: all, unless the op broadcasts or stands for a NumPy function). Elsewhere a list is one array. A
            forward's `*arrays` are one in any case.
        residuals: names of values that the forward returns after its outputs, for the rules to use. Integer
            and boolean ones count as constants; float ones need `reference` or `fuse`.
        reference: the same function in plain NumPy without residuals; derivatives of higher order come from it. Where the
            forward is such a function but for the residuals, `derive`: the default where `fuse` is given.
        fuse: whether the forward and the rules, on large arrays, run as machine code made from them, each in one pass
            (default: where the rules are derived); "rules": these alone. Other results differ by rounding.
        check: a function of some of the op's arguments, by name, that raises where they do not fit. It runs before the
            forward, on arrays, and on a compiler's symbols, which have shapes and dtypes but no values; so the forward is
            the formula alone.
        broadcasts: gradients are summed over the axes that NumPy broadcast (default: True for a ufunc).
        numpy: the function(s) this op stands for when they are called on tensors: NumPy's and SciPy's, or any that is written
            in Python. A warning says so if another op did.
        label: text on a drawing, or a function that returns it and names what it needs among the options and
            `NAME_shape` of an input.
        formula: what it computes, as mathematics: "ln(1 + eˣ)". Shown where a drawing explains the op.
        gradients: its rules as mathematics, one for each input: "x: g · y; y: g · x". By default drawings show the
            rules' source.
        multiply_adds: how many multiplications with an addition one call takes; a function that names what it needs
            among the options, `NAME_shape` of an input and `out_shape`. Profiles add them up.
        samples: a function of a random generator that returns calls (`sample(...)`) for the tests.
        random: it draws random numbers.
        effect: it does something beside returning its result (writes an array, asks the host).
        ordered: what it does is right only in the order of the calls, as with exchanges between processes, but its result has
            a derivative all the same: a function of the same arguments whose result has the same shape and dtype, and that
            does nothing else. Every call runs, in its turn, in derivatives and for many lanes too.
        paired: another process answers each call. It cannot know what varies here: in derivatives tangents and gradients are
            exchanged though they may be zeros, and over lanes all of these.
        lower: what a compiler reads in place of the forward, if the forward branches on values or works in place
            on views: the same function of the same arguments, in plain NumPy; or the name of a primitive. The first
            compilation holds it against the forward. That of an op that draws random numbers takes `draw` too:
            draw(sample, rng, shape, dtype) is the array sample(rng).
        opaque: why a compiler does not read the forward but calls the op as it is.
        vmap: how an op that cannot be read is computed for many arguments at once, which lie in lanes along a first axis.
            "leading": it computes once for each place in the leading axes, which broadcast, as NumPy's linear algebra does.
            "axis": its first argument may have any axes, and `axis` says along which it computes. `{"x": 0, "out": 0}`: where
            arguments have a batch, and the result (of several a tuple), which lanes are then part of. Or a function that
            names what it needs among `batched` (the names of the arguments that have lanes; the others are as they are),
            `lanes` (how many there are) and the op's arguments, in terms of NumPy and ops; it returns the result with lanes
            in front, or NotImplemented. By default it is called once for each lane.
        hint: a function of the arguments that says how to repair a failed call; its text, if any, ends the error.
        more: a function of the same arguments and of further options by keyword, in terms of ops: it answers the calls
            that have such options, so that rare ones (`where=` of a sum) cost the usual call nothing. An op that stands for
            a ufunc has the ufunc's, and one that stands for another NumPy function has `out=` and options that say nothing of
            a tensor, as far as that has them.
        result: of an op with several outputs: what they are given as, such as a NamedTuple class; called with them.
        precision: what it does with numbers of 16 bits in place of computing in float32: "same", as with any others (it
            moves them, or runs other ops); "moves", the same, but its rules add, in float32; "wide", it is given float32
            inside `tn.autocast`.
        memory: how results usually lie in memory, which spares compiled programs a copy: a tuple of axes, from the slowest
            to the fastest, for results with as many, or "alike" (as an input with as many axes); by default row by row.
        **rules: the gradient rule of each input.

    Raises:
        TypeError: a rule or option that does not fit the forward's arguments.

    >>> import numpy as np, tapenet as tn
    >>> softplus = tn.op(lambda x: np.logaddexp(0, x), name="softplus")
    >>> x = tn.tensor([0.0], requires_grad=True)
    >>> softplus(x).sum().backward()
    >>> float(x.grad.item())
    0.5
    >>> softplus = tn.op(lambda x: np.logaddexp(0, x), name="softplus",
    ...                  x=lambda g, x: g * (0.5 + 0.5 * np.tanh(x / 2)))
    """
    if forward is None:
        return lambda function: _define(function, getattr(function, "__module__", None) or "", **options_and_rules)
    return _define(forward, sys._getframe(1).f_globals.get("__name__", ""), **options_and_rules)


def _define(
    forward: Any, module: str, *, name: str | None = None, grads: Mapping[str, Rule] | None = None, **given: Any
) -> Op:
    if not callable(forward):
        raise TypeError(
            f"tn.op: the forward must be a function, not {type(forward).__name__}; "
            "options and rules are given by keyword"
        )
    title = str(name or getattr(forward, "__name__", ""))
    if title in ("", "<lambda>"):
        raise TypeError("tn.op: a lambda has no name of its own: give name='...'")
    options = {n: given.pop(n) for n in list(given) if n in _OPTIONS}
    clash = set(grads or ()) & set(given)
    if clash:
        raise TypeError(f"op {title!r}: {sorted(clash)} have a rule both in grads= and by keyword")
    rules = given | dict(grads or {})
    for key, rule in rules.items():
        if not callable(rule):
            raise TypeError(
                f"op {title!r}: {key}={rule!r} is neither an option of tn.op nor a gradient rule; "
                "a rule is a function of g and what else it names"
            )
    forward, known = adapted(title, forward, options)
    made = Op(forward, name=title, rules=rules, module=module, **(options | known))
    if grads is None:
        stated = [*rules, *(n for n in ("joint", "jvp") if options.get(n) is not None)]
        definitions.check_reserved(title, [a.name for a in made.arguments], stated)
    standing.stand(made)
    return made


class Scatter:
    """A sparse gradient: `g` belongs at `index` of an array that is zero elsewhere.

    A rule may return it in place of a dense array. The driver adds it in place into a buffer it owns, so that
    n reads of a large array cost n small additions, not n large ones. Repeated indices accumulate.
    """

    __slots__ = ("g", "index")

    def __init__(self, index: Any, g: Array) -> None:
        self.index = index
        self.g = g

    def add_to(self, buffer: Array) -> None:
        """Add the gradient into `buffer`, in place."""
        add_at(buffer, self.index, self.g)
