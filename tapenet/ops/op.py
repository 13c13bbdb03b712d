"""What an operation is: a forward in plain NumPy and one gradient rule per input, by name.

One definition gives everything: the forward, the rules, the NumPy function it stands for, its label on a
drawing, its documentation and its samples for the tests. Nothing here knows what a tensor is: `autodiff`
installs the recorder that runs an op on tensors (`install_recorder`).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tapenet.ops.indexing.adding import add_at
from tapenet.ops.later import stands_for
from tapenet.ops.registry import (
    Refused,
    Samples,
    is_own,
    numpy_functions,
    numpy_name,
    registry,
    ufunc_method,
    ufunc_name,
)
from tapenet.ops.tracebacks import hide
from tapenet.program import primitives

Rule = Callable[..., Any]

#: Names that a rule may ask for beside the op's own arguments and residuals.
RESERVED = frozenset({"g", "out", "wanted"})
_EMPTY: Any = inspect.Parameter.empty


class _Flat:
    """The gradient by an input on which a result depends in steps: 0 wherever there is one."""

    def __repr__(self) -> str:
        return "0 · g"


#: What the rule of such an input returns, in place of zeros. The driver goes no further that way.
FLAT = _Flat()


def flat() -> Any:
    """The rule of an input by which the derivative is 0 wherever there is one."""
    return FLAT


class Argument(NamedTuple):
    """One argument of an op: its name, whether it is keyword-only, and its default (`_EMPTY` if none)."""

    name: str
    keyword_only: bool
    default: Any

    @property
    def required(self) -> bool:
        return self.default is _EMPTY


class Op:
    """An operation with its gradient rules. Made by `tn.op`; called like a function.

    Attributes:
        name: what it is called in drawings, tables and errors.
        forward: the computation on raw arrays.
        arguments: its arguments in order.
        rules: gradient rule by input name; empty when `joint` is given.
        joint: one rule for all inputs, told which are `wanted`; returns a dict by name.
        inputs: names of the arguments that may be arrays: those with a rule, and the non-differentiable ones.
        nondiff: inputs declared non-differentiable.
        outputs: how many results the forward returns (None: as many as its tuple has).
        tell_unused: whether rules get None, not zeros, for an output that the loss does not use.
        sequences: inputs that may be sequences of arrays, each with a gradient of its own; a list of tensors given to any
            other is one array.
        residuals: names of further values the forward returns, after its outputs, for the rules alone.
        reference: the same op in plain NumPy, from which higher orders come when residuals are floats.
        broadcasts: the driver undoes NumPy broadcasting in the gradients.
        random: draws random numbers (never merged, dropped or reordered by a compiler).
        effect: does something beside returning its result (likewise).
        lower: the forward as a compiler can read it, where the forward branches on values; or a primitive's name.
        formula: what it computes, as mathematics, if that was given.
        gradients: its rules as mathematics, if these were given.
        multiply_adds: how many multiplications with an addition one call takes, if that was given.
        more: what answers a call with options beside the op's own, in terms of ops.
        memory: how its results lie in memory, if not row by row: the axes of those with as many, from the slowest to the
            fastest; or "alike", as the first input that has their number of axes and does not lie row by row either.
        result: what makes one of several outputs: a NamedTuple; else they are a tuple.
    """

    name: str
    __doc__: str | None
    #: The classes of the nodes that record it, given by the recorder: the usual one, and one that says more.
    node_class: Any
    full_node_class: Any

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        name: str,
        rules: Mapping[str, Rule],
        joint: Rule | None = None,
        nondiff: Iterable[str] | bool = (),
        outputs: int | None = 1,
        nondiff_outputs: Iterable[int] = (),
        tell_unused: bool = False,
        sequences: Iterable[str] | None = None,
        residuals: Iterable[str] = (),
        reference: Callable[..., Any] | None = None,
        broadcasts: bool = False,
        numpy: Any = (),
        label: str | Callable[..., str] | None = None,
        formula: str | None = None,
        gradients: str | None = None,
        multiply_adds: Callable[..., int] | None = None,
        doc: str | None = None,
        samples: Samples | None = None,
        random: bool = False,
        effect: bool = False,
        lower: Callable[..., Any] | str | None = None,
        mend: Callable[..., str] | None = None,
        more: Callable[..., Any] | None = None,
        result: Callable[..., Any] | None = None,
        memory: str | tuple[int, ...] | None = None,
        module: str = "",
    ) -> None:
        self.name = self.__name__ = self.__qualname__ = name
        self.__module__ = module
        self.__doc__ = doc or getattr(forward, "__doc__", None)  # readers clean it up (inspect.getdoc)
        self.forward = forward
        if inspect.isfunction(forward):
            self.__wrapped__ = forward  # doctest, inspect.signature and editors see through to it
        self.arguments = _arguments(name, forward)
        self.joint = joint
        self.rules = dict(rules)
        names = [a.name for a in self.arguments]
        joint_inputs: list[str] = []
        if joint is not None:
            if rules:
                raise TypeError(f"op {name!r}: give either joint= or rules per input, not both")
            # The arguments a joint rule covers: the required ones, and optional arrays, which default to None.
            excluded = set(names) if nondiff is True else set(nondiff or ())
            joint_inputs = [
                a.name for a in self.arguments if a.name not in excluded and (a.required or a.default is None)
            ]
        self.differentiable = tuple(n for n in names if n in self.rules or n in joint_inputs)
        #: Whether its derivative is 0 by every input: rules that use it take what it gives for a constant.
        self.flat = bool(self.rules) and all(rule is flat for rule in self.rules.values())
        declared = set(names) if nondiff is True else set(nondiff or ())
        if nondiff is True:
            declared = {a.name for a in self.arguments if a.required}
        self.nondiff = frozenset(declared)
        self.inputs = tuple(n for n in names if n in self.differentiable or n in self.nondiff)
        self.options = tuple(n for n in names if n not in self.inputs)
        self.outputs = outputs
        self.nondiff_outputs = frozenset(nondiff_outputs)
        self.tell_unused = tell_unused
        self.residuals = tuple(residuals)
        self.reference = reference
        self.broadcasts = broadcasts
        self.numpy = tuple(numpy) if isinstance(numpy, (tuple, list)) else (numpy,)
        if sequences is None:
            sequences = () if self.numpy or broadcasts else self.differentiable
        self.sequences = frozenset(sequences)
        self.label = label
        self.formula = formula
        self.gradients = gradients
        self.multiply_adds = multiply_adds
        self.samples = samples
        self.random = random
        self.effect = effect
        self.lower = lower
        self.mend = mend
        #: A ufunc answers its own options: by NumPy's protocol, if it meets a tensor.
        self.more = more or next((f for f in self.numpy if isinstance(f, np.ufunc) and f.signature is None), None)
        self.result = result
        self.memory = memory
        self._check(names)
        #: What each rule asks for, by input name ("" for the joint rule).
        self.needs: dict[str, tuple[str, ...]] = (
            {"": rule_names(name, joint)}
            if joint is not None
            else {n: rule_names(name, rule) for n, rule in self.rules.items()}
        )
        self._check_needs(names)
        registry[f"{module}.{name}"] = self

    def _check(self, names: list[str]) -> None:
        for group, given in (("a rule", self.rules), ("nondiff=", self.nondiff)):
            for n in given:
                if n not in names:
                    raise TypeError(
                        f"op {self.name!r}: {group} names {n!r}, which is not an argument; "
                        f"its arguments are {', '.join(names) or 'none'}"
                    )
        both = self.nondiff & set(self.rules)
        if both:
            raise TypeError(
                f"op {self.name!r}: {sorted(both)} have a rule and are declared non-differentiable: drop one"
            )
        for n in names:
            if n in RESERVED:
                raise TypeError(f"op {self.name!r}: the argument name {n!r} is reserved for rules; rename it")
            if n.startswith("_") or n == "self":
                raise TypeError(
                    f"op {self.name!r}: rename its argument {n!r}: a name without leading underscore, not self"
                )
        for function in self.numpy:
            # What NumPy hands over to others: its ufuncs (SciPy's are such), and functions of its own with a dispatcher.
            if not isinstance(function, np.ufunc) and not hasattr(function, "_implementation"):
                words = (
                    f"{function!r}, its name: give the function itself" if isinstance(function, str) else repr(function)
                )
                raise TypeError(
                    f"op {self.name!r}: numpy= is {words}; it takes ufuncs and NumPy's own functions, as numpy=np.sinc. No "
                    "other function asks what stands for it when it meets a tensor"
                )
        self._check_lower()
        if self.residuals and self.outputs is None:
            raise TypeError(f"op {self.name!r}: residuals need a fixed number of outputs=")
        for n in self.residuals:
            if n in RESERVED or n in names or n.startswith("_") or not n.isidentifier():
                raise TypeError(
                    f"op {self.name!r}: rename its residual {n!r}: a name of its own, neither an argument's nor one of "
                    f"{', '.join(sorted(RESERVED))}, without leading underscore"
                )

    def _check_lower(self) -> None:
        if self.lower is None or callable(self.lower):
            return
        count = len(self.inputs)
        fitting = primitives.NAMES.get(count, ())
        if self.lower not in fitting:
            plural = "" if count == 1 else "s"
            raise TypeError(
                f"op {self.name!r}: lower={self.lower!r} is no primitive of {count} input{plural}; those are "
                f"{', '.join(fitting) or 'none'}. Or give a function of the op's arguments, in plain NumPy"
            )

    def _check_needs(self, names: list[str]) -> None:
        shapes = {f"{n}_{what}" for n in self.inputs for what in ("shape", "dtype")}
        allowed = {"g", "out", *names, *self.residuals, *shapes}
        for n, needs in self.needs.items():
            extra = {"wanted"} if n == "" else set()
            for need in needs:
                if need not in allowed | extra:
                    rule = f"rule for {n!r}" if n else "joint rule"
                    raise TypeError(
                        f"op {self.name!r}: its {rule} asks for {need!r}; it may name g, out, "
                        f"{', '.join([*names, *self.residuals])}, and NAME_shape or NAME_dtype of an input"
                    )
        if self.multiply_adds is not None:
            known = {*self.options, "out_shape", *(f"{n}_shape" for n in self.inputs)}
            for need in rule_names(self.name, self.multiply_adds):
                if need not in known:
                    raise TypeError(
                        f"op {self.name!r}: its multiply_adds= asks for {need!r}; it may name {', '.join(sorted(known))}"
                    )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # The recorder replaces this by code made for this op's signature, at the first call: making it for
        # every op at import would cost more than importing NumPy.
        _record(self)
        try:
            return self(*args, **kwargs)
        except Exception as error:
            hide(error)
            raise

    @property
    def returning(self) -> Callable[..., Any]:
        """The function that returns what it computes: the op itself."""
        return self

    def __getattr__(self, name: str) -> Any:
        # `tn.add.reduce` and its kin are those of the ufunc, which knows tensors by their protocol.
        return ufunc_method(self, name)

    def several(self, outs: Iterable[Any]) -> Any:
        """Its outputs, where it has several, as it gives them."""
        return tuple(outs) if self.result is None else self.result(*outs)

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(a.name for a in self.arguments)})>"

    def __reduce__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: Any) -> Op:
        return self


def op(
    forward: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    doc: str | None = None,
    joint: Rule | None = None,
    grads: Mapping[str, Rule] | None = None,
    nondiff: Iterable[str] | bool = (),
    outputs: int | None = 1,
    nondiff_outputs: Iterable[int] = (),
    sequences: Iterable[str] | None = None,
    tell_unused: bool = False,
    residuals: Iterable[str] = (),
    reference: Callable[..., Any] | None = None,
    broadcasts: bool | None = None,
    numpy: Any = (),
    label: str | Callable[..., str] | None = None,
    formula: str | None = None,
    gradients: str | None = None,
    multiply_adds: Callable[..., int] | None = None,
    samples: Samples | None = None,
    random: bool = False,
    effect: bool = False,
    lower: Callable[..., Any] | str | None = None,
    mend: Callable[..., str] | None = None,
    more: Callable[..., Any] | None = None,
    result: Callable[..., Any] | None = None,
    memory: str | tuple[int, ...] | None = None,
    **rules: Rule,
) -> Any:
    """Define an operation: its forward in plain NumPy and a gradient rule for each input, by name.

    Call it with the forward (`tn.op(f, x=rule)`) or use it as a decorator (`@tn.op(x=rule)`).

    A rule is a function that names what it needs among `g` (the gradient of the loss by the output, shaped
    like the output), `out`, the op's arguments, its residuals, and `NAME_shape` / `NAME_dtype` of an input;
    exactly that is saved. It returns the gradient by its input, or anything that broadcasts up to it. Rules
    are plain NumPy without in-place operators, `out=` or `asarray`; for derivatives of higher order the same
    rule runs on tensors. A tensor that needs a gradient, given to an argument without a rule, is an error
    unless the argument is declared in `nondiff`.

    Args:
        forward: the computation on arrays. A NumPy ufunc's inputs are called `x` and `y`.
        name: shown in drawings and errors; the function's own name by default.
        doc: documentation; the function's docstring by default.
        joint: one rule for all inputs that share work. It may name `wanted`, the set of input names whose
            gradients are needed, and returns a dict from input name to gradient.
        grads: rules by name, for inputs whose name clashes with an option of this function.
        nondiff: inputs that take tensors but have no derivative (True: all of them).
        outputs: number of results; rules of an op with several get a tuple `g`, one entry per output (zeros
            where an output was not used, None for a non-differentiable one).
        nondiff_outputs: positions of outputs without a derivative.
        tell_unused: an entry of `g` is None, not zeros, for an output that the loss does not use.
        sequences: inputs that may be a list or tuple of arrays, whose rule returns a tuple with a gradient for each
            (default: all, unless the op broadcasts or stands for a NumPy function). Elsewhere a list is one array.
        residuals: names of values that the forward returns after its outputs, for the rules to use. Integer
            and boolean ones count as constants; float ones need `reference`.
        reference: the same function in plain NumPy without residuals; derivatives of higher order come from it.
        broadcasts: gradients are summed over the axes that NumPy broadcast (default: True for a ufunc).
        numpy: the NumPy function(s) this op stands for when they are called on tensors. A warning says so if another op
            did.
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
        lower: what a compiler reads in place of the forward, if the forward branches on values or works in place
            on views: the same function of the same arguments, in plain NumPy; or the name of a primitive; or
            `called(why)`. The first compilation holds it against the forward. That of an op that draws random numbers
            takes `draw` too: draw(sample, rng, shape, dtype) is the array sample(rng).
        mend: a function of the arguments that says how to mend a failed call; its text, if any, ends the error.
        more: a function of the same arguments and of further options by keyword, in terms of ops: it answers the calls
            that have such options, so that rare ones (`where=` of a sum) cost the usual call nothing. An op that stands for
            a ufunc has the ufunc's, and one that stands for another NumPy function has `out=` and options that say nothing of
            a tensor, as far as that has them.
        result: of an op with several outputs: what they are given as, such as a NamedTuple class; called with them.
        memory: how results usually lie in memory, which spares compiled programs a copy: a tuple of axes, from the slowest
            to the fastest, for results with as many, or "alike" (as an input with as many axes); by default row by row.
        **rules: the gradient rule of each input.

    Raises:
        TypeError: a rule or option that does not fit the forward's arguments.

    >>> import numpy as np, tapenet as tn
    >>> softplus = tn.op(lambda x: np.logaddexp(0, x), name="softplus",
    ...                  x=lambda g, x: g * (0.5 + 0.5 * np.tanh(x / 2)))
    >>> x = tn.tensor([0.0], requires_grad=True)
    >>> softplus(x).sum().backward()
    >>> float(x.grad.item())
    0.5
    """
    if forward is None:
        options: dict[str, Any] = {k: v for k, v in locals().items() if k not in ("forward", "rules")} | rules
        return lambda function: op(function, **options)
    if not callable(forward):
        raise TypeError(
            f"tn.op: the forward must be a function, not {type(forward).__name__}; "
            "options and rules are given by keyword"
        )
    title = str(name or getattr(forward, "__name__", ""))
    if title in ("", "<lambda>"):
        raise TypeError("tn.op: a lambda has no name of its own: give name='...'")
    clash = set(grads or ()) & set(rules)
    if clash:
        raise TypeError(f"op {title!r}: {sorted(clash)} have a rule both in grads= and by keyword")
    for key, rule in {**rules, **(grads or {})}.items():
        if not callable(rule):
            raise TypeError(
                f"op {title!r}: {key}={rule!r} is neither an option of tn.op nor a gradient rule; "
                "a rule is a function of g and what else it names"
            )
    module = getattr(inspect.currentframe().f_back, "f_globals", {}).get("__name__", "")  # type: ignore[union-attr]
    decorated = module == __name__  # called through the decorator form above
    if decorated:
        module = getattr(forward, "__module__", None) or ""
    made = Op(
        forward,
        name=title,
        rules={**rules, **(grads or {})},
        joint=joint,
        nondiff=nondiff,
        outputs=outputs,
        nondiff_outputs=nondiff_outputs,
        tell_unused=tell_unused,
        sequences=sequences,
        residuals=residuals,
        reference=reference,
        broadcasts=isinstance(forward, np.ufunc) if broadcasts is None else broadcasts,
        numpy=numpy,
        label=label,
        formula=formula,
        gradients=gradients,
        multiply_adds=multiply_adds,
        doc=doc,
        samples=samples,
        random=random,
        effect=effect,
        lower=lower,
        mend=mend,
        more=more,
        result=result,
        memory=memory,
        module=module,
    )
    for function in made.numpy:
        if not is_own(made):  # of ours only one stands for each
            _warn_of_another(made, function, 4 if decorated else 3)
        numpy_functions[function] = made
    return made


def _warn_of_another(op: Op, function: Any, level: int) -> None:
    """Say so if an op takes the place of what stands for a NumPy function already; not if that is the same op, defined anew."""
    other: Any = stands_for(function)
    if other is None or isinstance(other, Refused):
        return
    if (other.__module__, getattr(other, "name", "")) == (op.__module__, op.name):
        return
    called = ufunc_name(function) if isinstance(function, np.ufunc) else numpy_name(function)
    warnings.warn(
        f"op {op.name!r} takes the place of {other!r}: from now on it stands for {called} wherever that is called on "
        "tensors, also in other ops' rules. If that is not meant, leave numpy= out and call the op by its own name",
        UserWarning,
        stacklevel=level,
    )


class Scatter:
    """A sparse gradient: `g` belongs at `index` of an array that is zero elsewhere.

    A rule may return it in place of a dense array. The driver adds it in place into a buffer it owns, so that
    n reads of a large array cost n small additions, not n large ones. Repeated indices accumulate.
    """

    __slots__ = ("g", "index")

    def __init__(self, index: Any, g: Any) -> None:
        self.index = index
        self.g = g

    def add_to(self, buffer: np.ndarray[Any, Any]) -> None:
        """Add the gradient into `buffer`, in place."""
        add_at(buffer, self.index, self.g)


def rule_names(name: str, rule: Any) -> tuple[str, ...]:
    """The names of the arguments of a rule of op `name`."""
    if _plain_function(rule) and not rule.__code__.co_kwonlyargcount:
        return tuple(rule.__code__.co_varnames[: rule.__code__.co_argcount])
    parameters = _signature(name, rule)
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and p.default is _EMPTY:
            raise TypeError(f"op {name!r}: a rule's arguments are passed by position: {p.name!r} is keyword-only")
    return tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


def _plain_function(function: Any) -> bool:
    """Whether a function's code object tells its arguments: it is no method, partial or decorated function."""
    return inspect.isfunction(function) and not hasattr(function, "__wrapped__")


def _signature(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:
        raise TypeError(
            f"op {name!r}: {function!r} does not say what its arguments are called: give a lambda that names them"
        ) from None


def _arguments(name: str, forward: Callable[..., Any]) -> tuple[Argument, ...]:
    """The arguments of a forward, in order."""
    if isinstance(forward, np.ufunc):
        return tuple(Argument(n, False, _EMPTY) for n in "xyzw"[: forward.nin])
    if not _plain_function(forward):
        parameters = _signature(name, forward)
        starred = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
        arguments = tuple(Argument(p.name, p.kind is p.KEYWORD_ONLY, p.default) for p in parameters)
    else:
        # Reading the code object is ten times cheaper than inspect.signature, and this runs for every op at
        # import.
        function: Any = forward
        code = function.__code__
        count, keyword_only = code.co_argcount, code.co_kwonlyargcount
        names = code.co_varnames
        defaults = function.__defaults__ or ()
        padded = (_EMPTY,) * (count - len(defaults)) + defaults
        kwdefaults = function.__kwdefaults__ or {}
        arguments = tuple(Argument(n, False, d) for n, d in zip(names[:count], padded, strict=True))
        arguments += tuple(Argument(n, True, kwdefaults.get(n, _EMPTY)) for n in names[count : count + keyword_only])
        starred = bool(code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS))
    if starred:
        raise TypeError(
            f"op {name!r}: the forward takes *args or **kwargs; name its arguments, and give several arrays as one "
            "sequence argument"
        )
    return arguments


def _not_installed(op: Op) -> None:
    raise RuntimeError("no recorder is installed; import tapenet, not tapenet.ops alone")


_record: Callable[[Op], None] = _not_installed


def install_recorder(record: Callable[[Op], None]) -> None:
    """Say how an op becomes callable: `record(op)` runs at its first call and gives it its `__call__`."""
    global _record
    _record = record


def called(why: str) -> Callable[..., NoReturn]:
    """A `lower=` for an op that no compiler can read, and why: programs call the op as it is."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(why)

    return refuse
