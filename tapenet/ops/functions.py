"""Calls of ops as functions that programs apply: read from the op's formula, and differentiated by the rules it states."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NoReturn

import numpy as np

from tapenet.ops.batched_calls import LaneCall, over_lanes
from tapenet.ops.called_functions import CalledFunction, content
from tapenet.ops.elementwise.complex import real
from tapenet.ops.formula import Derived
from tapenet.ops.op import FLAT, ONCE, Op, Rule, Scatter
from tapenet.ops.reading import plain, read, symbols, template_of
from tapenet.ops.registry import is_own, stands_for
from tapenet.ops.rule_calls import Gives, RuleCall
from tapenet.ops.signatures import bind
from tapenet.ops.tangents import push
from tapenet.program import linear_algebra, ordering, transforms, ufunc_rows
from tapenet.program.arguments import elements, mapped
from tapenet.program.batching import CannotBatch
from tapenet.program.called_ops import Hole, filled
from tapenet.program.differentiating import DEFINITIONS, NoDerivative, zeros
from tapenet.program.functions import Batched, Function, Given, inputs_for, specs
from tapenet.program.ir import Builder, Input, Program, Value, inline
from tapenet.program.keys import key_of
from tapenet.program.low import is_inexact
from tapenet.program.primitives import Spec
from tapenet.program.pullback import fitted, pullback
from tapenet.program.pushforward import pushforward
from tapenet.program.symbols import FUNCTIONS, CannotLower, Symbol, array_of
from tapenet.program.transposing import transposed
from tapenet.program.value_keys import Same, distinct
from tapenet.typing import Array


class OpFunction(Function):
    """A call of an op.

    Attributes:
        op: the op.
        template: its arguments by name, with a `Hole` for each array.
        reason: why its formula cannot be read, where that is so. Its program is a call of the op as it stands then.
    """

    def __init__(
        self, op: Op, template: Mapping[str, object], inputs: Sequence[Spec], outputs: Sequence[Spec] | None = None
    ) -> None:
        """A call.

        Args:
            op, template: see there.
            inputs: shapes and dtypes of what goes into the holes.
            outputs: those of the results; of the residuals too, where these are results. Found out if it is left out.
        """
        self.op, self.template, self.name = op, template, op.name
        self.inputs = tuple(inputs)
        self.reason = ""
        self._count = op.outputs if outputs is None else len(outputs)
        self.outputs = self._found() if outputs is None else tuple(outputs)

    @property
    def draws(self) -> tuple[str, ...]:
        return ()  # an op that draws is called

    @cached_property
    def ordered(self) -> bool:
        return self.op.ordered is not None

    @cached_property
    def paired(self) -> bool:
        return self.op.paired

    # -- what it computes ----------------------------------------------------------------------------------------

    @cached_property
    def _whole(self) -> Program | None:
        """Outputs and residuals by the formula, None where that cannot be read."""
        op = self.op
        builder = builder_of_ops()
        inputs = inputs_for(self.inputs)
        try:
            if op.effect or op.random:
                raise CannotLower("it draws random numbers" if op.random else "it has an effect")
            values = read(op, builder, self._arguments(inputs))
        except Exception as error:  # whatever a forward makes of a symbol
            self.reason = str(error) or type(error).__name__
            return None
        return Program(inputs, [], builder.body, values, [])

    @cached_property
    def _program(self) -> Program:
        whole = self._whole
        if whole is not None:
            found = specs(whole.outputs[: self._count])
            if found == self.outputs:
                return Program(whole.inputs, [], whole.body, whole.outputs[: self._count], [])
            self.reason = f"gives {list(found)}, not {list(self.outputs)}"
        return self._call(self.outputs)

    def _call(self, outputs: Sequence[Spec]) -> Program:
        """The op called as it stands."""
        inputs = inputs_for(self.inputs)
        builder = Builder()
        total = (self.op.outputs or len(outputs)) + len(self.op.residuals)
        given = [*outputs, *[None] * (total - len(outputs))]
        results = builder.several("call", *inputs, op=self.op, template=self.template, specs=given)
        return Program(inputs, [], builder.body, results[: len(outputs)], [])

    def key(self) -> Hashable:
        template = {n: mapped(_content, t) for n, t in self.template.items()}
        return Same(self.op), distinct(template), self.inputs, self.outputs

    def program(self) -> Program:
        return self._program

    def _arguments(self, inputs: Sequence[object]) -> dict[str, object]:
        """The op's arguments by name."""
        return {n: filled(t, inputs) for n, t in self.template.items()}

    def _found(self) -> tuple[Spec, ...]:
        """Shapes and dtypes of the outputs: of the formula, or of a call on arrays made up for it."""
        if self._whole is not None:
            return specs(self._whole.outputs[: self._count])
        return self._tried()[: self._count]

    def _tried(self) -> tuple[Spec, ...]:
        """Shapes and dtypes of outputs and residuals as a call gives them."""
        result, failure = None, None
        for example in (_example, _irregular, _nothing):
            given = self._arguments([example(s) for s in self.inputs])
            try:
                with np.errstate(all="ignore"):
                    result = self.op.run(given) if self.op.ordered is None else self.op.apply(self.op.ordered, given)
                break
            except Exception as error:
                failure = error
        else:
            raise NoDerivative(
                f"the shape of what op {self.name!r} gives for {[s.shape for s in self.inputs]} is not known before it runs"
            ) from failure
        one = self.op.outputs == 1 and not self.op.residuals
        results = (result,) if one or not isinstance(result, (tuple, list)) else result
        return tuple(Spec(np.shape(r), np.asarray(r).dtype) for r in results)

    def batch(self, batched: Sequence[bool], size: int) -> Function:
        return BatchedCall(self, tuple(batched), size)

    # -- its derivatives -----------------------------------------------------------------------------------------

    @cached_property
    def stated(self) -> dict[str, Rule]:
        """The rules that the op states, by input; "" for one of all."""
        op = self.op
        rules: Mapping[str, Rule] = op.rules if op.joint is None else {"": op.joint}
        return {n: rule for n, rule in rules.items() if not isinstance(rule, Derived)}

    @cached_property
    def _names(self) -> list[str]:
        """The argument that each input belongs to."""
        found: dict[int, str] = {}
        for name, value in self.template.items():
            found |= {leaf.position: name for leaf in elements(value, Hole) if isinstance(leaf, Hole)}
        return [found[i] for i in range(len(self.inputs))]

    def _differentiable(self, positions: Sequence[int]) -> list[int]:
        """Those of the inputs by which the op has a derivative.

        Raises:
            NoDerivative: the op has none, and does not say that there is none.
        """
        op = self.op
        found = []
        for i in sorted(positions):
            name = self._names[i]
            if name in op.differentiable:
                found.append(i)
            elif op.differentiable and name not in op.nondiff:
                raise NoDerivative(f"op {op.name!r} has no gradient rule for {name!r}")
        return found

    def pull(self, wanted: Sequence[int]) -> Program:
        order = sorted(wanted)
        flowing = self._differentiable(order)
        if not flowing:
            pulled = Program([*inputs_for(self.inputs), *inputs_for(self.outputs)], [], [], [], [])
        elif not self.stated:
            pulled = pullback(self.program(), flowing)
        elif self.op.lower is not None and self._whole is not None and self._reference is not None:
            pulled = pullback(self._reference, flowing)  # the rules call kernels, which the formula does not
        elif self.op.reference is not None and self._reference is not None:
            pulled = _as_function(
                _Twofold(f"{self.name} gradient", self._by_rules(flowing), pullback(self._reference, flowing))
            )
        else:
            pulled = self._by_rules(flowing)
        if self.op.once and flowing:
            pulled = _as_function(First(self.op, pulled))
        if flowing == order:
            return pulled
        builder = Builder()
        builder.body = list(pulled.body)
        known = dict(zip(flowing, pulled.outputs, strict=True))
        outputs = [known[i] if i in known else zeros(builder, *self.inputs[i]) for i in order]
        return Program(pulled.inputs, [], builder.body, outputs, [])

    def push(self, active: Sequence[int]) -> Program:
        order = sorted(active)
        flowing = self._differentiable(order)
        if not flowing:
            pushed = self._flat(order)
        elif not self.stated:
            pushed = self._with_tangents(pushforward(self.program(), flowing), flowing, order)
        elif self.op.jvp is not None:
            pushed = self._by_jvp(order)
            if self.op.reference is not None and self._reference is not None:
                others = self._with_tangents(pushforward(self._reference, flowing), flowing, order)
                pushed = _as_function(_Twofold(f"{self.name} jvp", pushed, others))
        else:
            pushed = self._by_transpose(flowing, order)
        return _as_function(First(self.op, pushed)) if self.op.once and flowing else pushed

    def _with_tangents(self, pushed: Program, given: list[int], order: list[int]) -> Program:
        """What pushes tangents of the `given` inputs, as a program that takes those of all in `order`."""
        count = len(self.inputs)
        known = dict(zip(given, pushed.inputs[count:], strict=True))
        tangents = [known[i] if i in known else Input(*self.inputs[i]) for i in order]
        return Program([*pushed.inputs[:count], *tangents], [], pushed.body, pushed.outputs, [])

    def _flat(self, order: list[int]) -> Program:
        builder = Builder()
        inputs, tangents = inputs_for(self.inputs), inputs_for(self.inputs[i] for i in order)
        outs = builder.several("apply", *inputs, function=self)
        found = [zeros(builder, *s) for s in self.outputs if is_inexact(s.dtype)]
        return Program([*inputs, *tangents], [], builder.body, [*outs, *found], [])

    def _by_transpose(self, flowing: list[int], order: list[int]) -> Program:
        """By the rules: they are linear in the gradients that they are given, and their transpose is the derivative itself."""
        if self._reference is None and self.op.reference is not None and is_own(self.op):
            # Its rules call kernels' ops, which state no derivative, not even by the gradients that they are given.
            raise NoDerivative(
                f"op {self.name!r} is called as it stands: its reference is not read, its rules call kernels"
            )
        builder = Builder()
        count = len(self.inputs)
        inputs, tangents = inputs_for(self.inputs), inputs_for(self.inputs[i] for i in order)
        outs = builder.several("apply", *inputs, function=self)
        pulled = self._by_rules(flowing) if self._reference is None else self.pull(flowing)
        pushed = transposed(pulled, range(count, count + len(self.outputs)))
        given = dict(zip(order, tangents, strict=True))
        found = inline(builder, pushed, [*inputs, *(given[i] for i in flowing)])
        results = [t for t, s in zip(found, self.outputs, strict=True) if is_inexact(s.dtype)]
        return Program([*inputs, *tangents], [], builder.body, [*outs, *results], [])

    def _by_jvp(self, order: list[int]) -> Program:
        """By the function that the op states."""
        op, builder = self.op, builder_of_ops()
        inputs, tangents = inputs_for(self.inputs), inputs_for(self.inputs[i] for i in order)
        outs = builder.several("apply", *inputs, function=self)
        moving = dict(zip(order, tangents, strict=True))
        dots = [moving.get(i) or zeros(builder, *s) for i, s in enumerate(self.inputs)]

        def dot(leaf: object) -> object:
            if isinstance(leaf, Hole):
                return dots[leaf.position]
            return leaf if leaf is None else np.zeros_like(leaf)

        known = self._known(builder, inputs, outs, op.jvp_needs)
        known |= {f"{n}_dot": mapped(dot, self.template[n], Hole) for n in op.differentiable}
        found = push(op, builder, known, self.outputs)
        return Program([*inputs, *tangents], [], builder.body, [*outs, *found], [])

    @cached_property
    def _reference(self) -> Program | None:
        """The outputs by the op's reference, which derivatives of higher order are made of, where it has one."""
        op = self.op
        if op.reference is None:
            return None
        builder = builder_of_ops()
        inputs = inputs_for(self.inputs)
        given = {n: symbols(builder, v) for n, v in self._arguments(inputs).items()}
        try:
            result: Any = op.apply(op.reference, given)
        except Exception:  # whatever it makes of a symbol
            return None
        results = [result] if op.outputs == 1 else list(result)
        values = [array_of(builder, r).value for r in results]
        return Program(inputs, [], builder.body, values[: self._count], [])

    def _by_rules(self, wanted: Sequence[int]) -> Program:
        """The stated rules, read on symbols, or called where they cannot be read; of inputs without one the formula's
        derivative."""
        builder = builder_of_ops()
        inputs, gs = inputs_for(self.inputs), inputs_for(self.outputs)
        known = self._known(builder, inputs, gs, {need for asked in self.op.needs.values() for need in asked})
        joint = "" in self.stated
        by_rule: dict[str, list[int]] = {}
        for i in wanted:
            if joint or self._names[i] in self.stated:
                by_rule.setdefault("" if joint else self._names[i], []).append(i)
        known[self.op.special.wanted] = frozenset(self._names[i] for places in by_rule.values() for i in places)
        found: dict[int, Value] = {}
        for rule, places in by_rule.items():
            found |= zip(places, self._by_rule(builder, rule, places, known), strict=True)
        left = [i for i in wanted if i not in found]
        if left:
            found |= zip(left, inline(builder, pullback(self.program(), left), [*inputs, *gs]), strict=True)
        return Program([*inputs, *gs], [], builder.body, [found[i] for i in wanted], [])

    def referred(
        self, rule: str, wanted: Sequence[int], named: Mapping[str, object], given: Sequence[Spec]
    ) -> Function | None:
        """A rule as a function of what it names, then of the op's inputs and the gradients by its outputs. By these it has the
        derivatives that the op's reference says. None if that cannot be read.

        Args:
            rule: the input whose rule it is, "" for the joint rule.
            wanted: the inputs by which it is to give the gradients.
            named: what it names, with a `Hole` for each array.
            given: shapes and dtypes of these.
        """
        if self._reference is None:
            return None
        builder = builder_of_ops()
        values, others = inputs_for(given), inputs_for([*self.inputs, *self.outputs])
        known = {n: symbols(builder, filled(t, values)) for n, t in named.items()}
        runs = Program([*values, *others], [], builder.body, self._by_rule(builder, rule, wanted, known), [])
        pulled = pullback(self._reference, wanted)
        other = Program([*inputs_for(given), *pulled.inputs], [], pulled.body, pulled.outputs, [])
        return _Twofold(f"{self.name} gradient", runs, other)

    def _by_rule(self, builder: Builder, rule: str, wanted: Sequence[int], known: Mapping[str, object]) -> list[Value]:
        """The gradients by some inputs, by the rule of one ("": of all)."""
        op = self.op
        begin = len(builder.body)
        given = {n: known[n] for n in op.needs[rule]}
        try:
            with np.errstate(all="ignore"):
                found = self.stated[rule](*given.values())
                each = [(i, found if rule else found[self._names[i]]) for i in wanted]
                return [_settled(builder, _part(d, self._places.get(i)), self.inputs[i]) for i, d in each]
        except Exception as error:  # whatever a rule makes of a symbol
            del builder.body[begin:]
            gives = tuple(Gives(self._names[i], self._places.get(i), self.inputs[i]) for i in wanted)
            shapes = tuple(s.shape for s in self.outputs)
            why = str(error) or type(error).__name__
            call = RuleCall(op, why, rule, gives, shapes[0] if op.outputs == 1 else shapes)
            held, values = template_of(plain(given))
            return list(builder.several("apply", *values, function=CalledFunction(call, held, specs(values))))

    def position(self, name: str, place: tuple[int, int] | None) -> int:
        """Which of the inputs is an argument, or the array at a place in that."""
        return next(i for i, n in enumerate(self._names) if n == name and self._places.get(i) == place)

    @cached_property
    def _places(self) -> dict[int, tuple[int, int]]:
        """Of the inputs that are in a sequence: the place there, and how many arrays there are."""
        return {
            part.position: (i, len(template))
            for template in self.template.values()
            if isinstance(template, (list, tuple)) and not isinstance(template, Hole)
            for i, part in enumerate(template)
            if isinstance(part, Hole)
        }

    def _known(
        self, builder: Builder, inputs: Sequence[Value], gs: Sequence[Value], needs: Iterable[str]
    ) -> dict[str, object]:
        """What rules may ask for, by name: at least all that they need."""
        op = self.op
        args = self._arguments(inputs)
        count = op.outputs or len(self.outputs) - len(op.residuals)
        given = [
            None if i in op.nondiff_outputs else g if i < len(gs) else zeros(builder, (), np.dtype(float))
            for i, g in enumerate(gs[:count])
        ]
        known: dict[str, object] = {op.special.g: given[0] if op.outputs == 1 else tuple(given), **args}
        for n in op.inputs:
            known |= {f"{n}_shape": _part_of("shape", args[n]), f"{n}_dtype": _part_of("dtype", args[n])}
        residuals = not set(op.residuals).isdisjoint(needs)
        if residuals or op.special.out in needs:
            outs = self._outs(builder, inputs, residuals)
            known[op.special.out] = outs[0] if op.outputs == 1 else tuple(outs[:count])
            known |= dict(zip(op.residuals, outs[count:], strict=False))
        return {n: symbols(builder, v) for n, v in known.items()}

    def _outs(self, builder: Builder, inputs: Sequence[Value], residuals: bool) -> Sequence[Value]:
        """Outputs, and residuals, inside of a rule."""
        if not residuals:
            return builder.several("apply", *inputs, function=self)
        if self._whole is not None:
            return inline(builder, self._whole, inputs)
        return inline(builder, self._call(self._tried()), inputs)


class BatchedCall(Batched):
    """A call of an op of many lanes: by the rule that the op has for lanes, else as its formula says."""

    def __init__(self, inner: OpFunction, batched: tuple[bool, ...], size: int) -> None:
        super().__init__(inner, batched, size)
        self.call = inner

    @cached_property
    def _program(self) -> Program:
        op = self.call.op
        ruled = op.vmap is not None or self.call._whole is None
        found = self._by_rule() if ruled and self.call._count == op.outputs else None
        return super()._program if found is None else found

    def _by_rule(self) -> Program | None:
        """The op's rule read on symbols, or called where it cannot be read; None where it has none for these lanes."""
        op, size = self.call.op, self.size
        builder = builder_of_ops()
        inputs = inputs_for(self.inputs)
        names = frozenset(n for n, flag in zip(self.call._names, self.batched, strict=True) if flag)
        values = [  # of a sequence all have lanes
            builder.broadcast(v, (size, *v.shape)) if n in names and not flag else v
            for v, n, flag in zip(inputs, self.call._names, self.batched, strict=True)
        ]
        args = self.call._arguments(values)
        begin = len(builder.body)
        try:
            with np.errstate(all="ignore"):
                given = {n: symbols(builder, v) for n, v in args.items()}
                found: Any = over_lanes(op, given, names, size, self.call.outputs)
            if found is NotImplemented:
                return None
            results = [array_of(builder, r).value for r in ([found] if op.outputs == 1 else found)]
        except Exception:  # whatever a rule makes of a symbol
            if not callable(op.vmap):
                return None
            del builder.body[begin:]
            rule = LaneCall(op, op.vmap, names, size)
            held, values = template_of({a.name: args[a.name] for a in rule.arguments})
            results = list(builder.several("call", *values, op=rule, template=held, specs=self.outputs))
        if specs(results) != self.outputs:
            raise CannotBatch(
                f"vmap= of op {op.name!r} gives {list(specs(results))} for {size} lanes of what gives {list(self.call.outputs)}"
            )
        return Program(inputs, [], builder.body, results, [])


def _as_function(function: Given) -> Program:
    """A program that applies a function."""
    builder = Builder()
    inputs = inputs_for(function.inputs)
    results = builder.several("apply", *inputs, function=function)
    return Program(inputs, [], builder.body, results, [])


class First(Given):
    """A derivative of an op that has none of higher order, since it says `once=True`."""

    def __init__(self, op: Op, program: Program) -> None:
        super().__init__(op.name, program)

    def pull(self, wanted: Sequence[int]) -> NoReturn:
        raise NoDerivative(ONCE.format(self.name))

    def push(self, active: Sequence[int]) -> NoReturn:
        raise NoDerivative(ONCE.format(self.name))


class _Twofold(Given):
    """A program, and another one that computes the same and whose derivatives are its own."""

    def __init__(self, name: str, runs: Program, differentiated: Program) -> None:
        super().__init__(name, runs)
        self._other = differentiated

    def pull(self, wanted: Sequence[int]) -> Program:
        return pullback(self._other, wanted)

    def push(self, active: Sequence[int]) -> Program:
        return pushforward(self._other, active)


def builder_of_ops(calls: bool = True) -> Builder:
    """A builder for code that may apply ops; whether also such as can only be called, and by NumPy's names for them."""
    builder = Builder()
    if calls:
        builder.applies, builder.stands_for = apply, stands_for
    else:
        builder.applies = partial(apply, calls=False)
    return builder


def apply(
    builder: Builder, op: Op, args: tuple[object, ...], kwargs: dict[str, object], calls: bool = True
) -> object | None:
    """An op called on symbols inside of a formula or rule, as a function that is applied: one that states rules, or
    cannot be read. None for any other."""
    held, values = template_of(plain(bind(op, args, kwargs)))
    function = OpFunction(op, held, specs(values))
    if function.reason and not calls:
        raise CannotLower(f"calls {op.name}: {function.reason}")
    if function._whole is not None and not function.stated and op.differentiable:
        return None
    results = [Symbol(builder, v, shared=True) for v in builder.several("apply", *values, function=function)]
    return results[0] if op.outputs == 1 else op.several(results)


def _part(d: object, place: tuple[int, int] | None) -> object:
    """What a rule gave for an input; of a sequence for the array at a place of so many."""
    if place is None:
        return d
    i, count = place
    if not isinstance(d, (list, tuple)) or len(d) != count:
        raise CannotLower("it gives no gradient for each array of a sequence")
    return d[i]


def _settled(builder: Builder, d: object, spec: Spec) -> Value:
    """What a rule gave for an input, in its shape and dtype."""
    if d is FLAT or type(d) is object:
        return zeros(builder, *spec)
    if type(d) is Scatter:
        nothing = Symbol(builder, zeros(builder, *spec), shared=True)
        d = FUNCTIONS[np.add.at](nothing, d.index, d.g)
    if isinstance(d, Symbol) and d.dtype.kind == "c" != spec[1].kind:  # of a real input only the real part counts
        d = real(d)
    value = array_of(builder, d).value
    return fitted(builder, value, Input(*spec))


def _part_of(what: str, value: object) -> object:
    """The shape or dtype of an argument; of a sequence those of its parts."""
    if isinstance(value, (list, tuple)):
        return tuple(_part_of(what, v) for v in value)
    return getattr(value if hasattr(value, what) else np.asarray(value), what)


def _example(spec: Spec) -> Array:
    """An array that few ops refuse: of square matrices a diagonal one without equal values, else ones; of integers zeros."""
    shape, dtype = spec
    if not is_inexact(dtype):
        return np.zeros(shape, dtype)
    if len(shape) >= 2 and shape[-1] == shape[-2]:
        return np.broadcast_to(np.diag(np.arange(1, shape[-1] + 1)).astype(dtype), shape).copy()
    return np.ones(shape, dtype)


def _irregular(spec: Spec) -> Array:
    """Numbers between 1 and 2 without a pattern: what is solved with them is not singular. Of integers those from 0 on."""
    count = np.arange(1, math.prod(spec.shape) + 1)
    values = 1 + np.modf(count * 0.618034)[0] if is_inexact(spec.dtype) else count - 1
    return values.astype(spec.dtype).reshape(spec.shape)


def _nothing(spec: Spec) -> Array:
    return np.zeros(*spec)


def _content(value: object) -> object:
    """A function by what it computes, anything else as `content` says."""
    return key_of(value) if isinstance(value, Function) else content(value)


def _standing(builder: Builder, args: Sequence[Value], params: Mapping[str, object], *, run: object) -> Sequence[Value]:
    """What an op gives, applied: this one, or that which stands for a function of NumPy's."""
    builder.applies, builder.stands_for = apply, stands_for
    stands: Any = run if isinstance(run, Op) else stands_for(run)
    made = stands(*(Symbol(builder, a, shared=True) for a in args), **params)
    return [array_of(builder, m).value for m in (made if isinstance(made, tuple) else (made,))]


#: NumPy's functions behind primitives, which ops stand for.
RUNS: dict[str, Callable[..., object]] = {name: row.run for name, row in linear_algebra.ROWS.items()} | ordering.RUNS
_FLAT = ("argsort", "searchsorted")
#: The same of NumPy's Fourier transforms, which it loads at their first use.
DEFINITIONS.update(
    {name: lambda *given, name=name: _standing(*given, run=getattr(np.fft, name)) for name in transforms.NAMES}
)
DEFINITIONS.update(
    {name: partial(_standing, run=run) for name, run in RUNS.items() if name not in _FLAT and name not in DEFINITIONS}
)
#: The same of its ufuncs that native code has no formulas for.
DEFINITIONS.update({name: partial(_standing, run=ufunc) for name, ufunc in ufunc_rows.UFUNCS.items()})


def stand_for_primitive(name: str, op: Op) -> None:
    """Have a primitive differentiated as an op that gives the same."""
    DEFINITIONS[name] = partial(_standing, run=op)


def make_primitive(ufunc: np.ufunc) -> None:
    """Make a ufunc of SciPy's a primitive, if it has one result; it is differentiated as the op that stands for it."""
    name = ufunc_rows.add(ufunc)
    if name is not None:
        DEFINITIONS[name] = partial(_standing, run=ufunc)
