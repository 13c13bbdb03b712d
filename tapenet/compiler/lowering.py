"""From a captured tape to a program: each op becomes the primitives that its own forward is made of.

What cannot be read (a branch on a value, a function that is no primitive) becomes a `call` of the op, with the reason
for `explain()`. Nothing is refused.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.attached import Rule, attached_op
from tapenet.autodiff.control.body import Body, bodies
from tapenet.autodiff.control.branches import cond_op
from tapenet.autodiff.control.loops import scan_op
from tapenet.autodiff.control.replay import DRAWN, escaped
from tapenet.autodiff.control.whiles import while_op
from tapenet.autodiff.node import Node, Output, Traced
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.programs import program_op
from tapenet.autodiff.recorded_functions import function_op
from tapenet.autodiff.telling import tell
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.reach import Reach, users
from tapenet.compiler.storage import Storage
from tapenet.ops.called_functions import StatedCall, stated_calls
from tapenet.ops.functions import OpFunction
from tapenet.ops.indexing.items import assign, host
from tapenet.ops.op import Op
from tapenet.ops.random import Sampler, random_draw
from tapenet.ops.reading import holds, read, symbols, template_of
from tapenet.ops.registry import is_own
from tapenet.program import checks
from tapenet.program.arguments import mapped, refilled
from tapenet.program.functions import Function, expand
from tapenet.program.ir import (
    Builder,
    Constant,
    Host,
    Input,
    Instruction,
    Program,
    Result,
    Value,
    Write,
    infer,
    inline,
    repeat,
    substitute,
)
from tapenet.program.layout import Order
from tapenet.program.low import is_inexact, is_low
from tapenet.program.passes import simplify
from tapenet.program.primitives import Spec
from tapenet.program.symbols import CannotLower, Sized, Symbol, array_of
from tapenet.program.value_keys import distinct
from tapenet.typing import Array, Shape

#: Arguments of a recorded call.
Args = Sequence[Traced]
#: What the host computes at the beginning of a call.
Evaluate = Callable[[], object]
#: What draws are called.
_DRAWN = "random numbers"


class Called(NamedTuple):
    """An op that is called from the program as it stands, and why."""

    op: Op | StatedCall
    reason: str


class Lowered(NamedTuple):
    """What lowering a tape gives."""

    program: Program
    #: The results of every node of the tape.
    values: dict[Node, tuple[Value, ...]]
    called: list[Called]
    #: Whether values say how many elements some result has: the program may raise `Resized`, and has changed nothing then.
    sized: bool


class Lowering:
    """The work of turning one tape into a program."""

    def __init__(self, tape: Capture, applies: bool = False, whole: Collection[Op] = (), in_turn: bool = False) -> None:
        """Begin.

        Args:
            tape: the capture.
            whole: ops that stay calls, though they could be read.
            applies: whether ops become functions that are applied, which know their derivatives.
            in_turn: whether random numbers are drawn in their turn, though the host may be asked ahead.
        """
        self.tape = tape
        self.whole = whole
        self.applies = applies
        self.in_turn = in_turn
        #: Whether this is the body of a loop or branch: it takes what it reads from outside as arguments.
        self.inside = isinstance(tape, Body)
        self.builder = Builder()
        #: The arguments of a whole step.
        self.inputs: list[Input] = []
        self.hosts: list[Host] = []
        self.called: list[Called] = []
        self.values: dict[Node, tuple[Value, ...]] = {}
        #: What later nodes take from an op with several results: its spec, by node and position.
        self.picked = {
            (node.source_node, node.index): Spec(tuple(node.shape), node.dtype)
            for node in tape.nodes
            if isinstance(node, Output)
        }
        #: What ops became, by what is alike of their calls (`_alike`), and whether residuals were kept.
        self.known: dict[Op, dict[Hashable, _Read]] = {}
        #: What random ops drew, by their results.
        self.draws: dict[tuple[Value, ...], list[Symbol]] = {}
        #: The large arrays that the code of each of the user's ops reaches.
        self.beside: dict[Op, list[Array]] = {}
        #: The tensors from outside.
        self.storage = Storage(tape)
        #: How many writes there were when each node was lowered (none if it is missing).
        self.since: dict[Node, int] = {}
        #: Whether something with an effect runs inside the program: then nothing is moved ahead of it.
        self.effects = False
        #: `sized`: values decide how many elements there are; where they decide on another number the call must not have
        #: changed anything yet. `counted`: the host was asked for something that it counts, or something had an effect.
        self.sized = False
        self.counted = False

    def node(self, node: Node) -> None:
        """Lower one node of the tape."""
        if self.storage.count:
            self.since[node] = self.storage.count
        if isinstance(node, Output):
            self.values[node] = (self.values[node.source_node][node.index],)
            return
        call = node.call
        assert call is not None
        self.builder.line = node.line or ""
        if not self._repeats(node, call):
            self._lower(node, call)
            self.counted = self.counted or _counts(node)

    def _repeats(self, node: Node, call: Mapping[str, Any]) -> bool:
        """Lower a call of an op that gives one array like one that was read before, if it is one: a chain of 20,000 ops and its
        gradient are lowered in 0.4 s so, where it takes 0.7 to make all ready to be read first."""
        op = node.op
        read = self.known.get(op)
        if read is None or op.residuals or op.outputs != 1 or DRAWN in call:
            return False
        alike = _alike([self.resolve(value) for value in call.values()])
        known = None if alike is None else read.get((False, alike[0]))
        if alike is None or known is None or known.sized:
            return False
        (found,) = known.found
        if found.shape != node.shape or found.dtype != node.dtype:
            return False
        self.values[node] = tuple(known.repeated(self.builder, alike[1]))
        return True

    def _lower(self, node: Node, call: Mapping[str, Any]) -> None:
        if node.op is assign:
            self.values[node] = (self._assign(call["target"], call["value"]),)
            return
        if node.op is scan_op:
            self.values[node] = self._loop(**call)
            return
        if node.op is while_op:
            self.values[node] = self._while(**call)
            return
        if node.op is cond_op:
            self.values[node] = self._branch(**call)
            return
        if node.op is program_op:
            self.values[node] = self._program(node, **call)
            return
        if node.op is function_op:
            self.values[node] = tuple(inline(self.builder, call["program"], [self.given(v) for v in call["inputs"]]))
            return
        if node.op is attached_op and self.applies:
            self.values[node] = self._attached(node, **call)
            return
        args = {name: self.resolve(value) for name, value in call.items()}
        if self.applies:
            args = {n: self._stopped(node, n, value) for n, value in args.items()}
        ahead = node.op is host or (node.op.random and not self.in_turn)
        if not self.effects and ahead and not holds(args):
            moved = self._ahead(node.op, call, node)
            if moved is not None:
                self.values[node] = moved
                return
        self.values[node] = self.op(node.op, args, self._specs(node))

    def resolve(self, value: object) -> object:
        """An argument of a recorded call with its tensors replaced by values."""
        if isinstance(value, Traced):
            if value.node is None:
                return self.storage.reference(value.tensor, value.data)
            if self.storage.count and self.storage.changed(value.data, self.since.get(value.node, 0)):
                return self._again(value.node, value.data)
            if value.node not in self.values:
                raise escaped(value.node)
            return self.values[value.node][0]
        if isinstance(value, np.ndarray) and value.flags.writeable and value.dtype.kind in "biufc" and not self.inside:
            return self.storage.reference(None, value)  # the user's, who may write to it between calls
        return mapped(self.resolve, value, Traced) if isinstance(value, (list, tuple)) else value

    def _again(self, node: Node, data: Array) -> Value:
        """The value of a node computed anew, since the memory that its array shows, of a tensor from outside, has been
        written.

        Raises:
            CaptureError: it is not computed by a plain op.
        """
        latest = self.storage.latest(data)
        if latest is not None:
            return latest
        source = node.source_node if isinstance(node, Output) else node
        if not source.call:  # an argument; whether it shares memory with what is written is checked elsewhere
            return self.values[node][0]
        if source.op.effect or source.op.random:
            raise CaptureError(
                f"{self.builder.line}: {source.op.name} gives a view of a tensor of shape {tuple(node.shape)} "
                "which is written after that, and is read again: return a copy from it"
            )
        self.node(source)
        if source is not node:
            self.node(node)
        return self.values[node][0]

    def _assign(self, target: object, value: object) -> Value:
        """Note a write to a tensor from outside; what is read from it later in the step is the new value."""
        assert isinstance(target, Traced)
        new = array_of(self.builder, symbols(self.builder, self.resolve(value))).value
        made = self.builder.broadcast(self.builder.cast(new, target.data.dtype), target.data.shape)
        self.storage.write(target, made)
        return made

    def _loop(
        self, inputs: Args, states: Args, body: Body, carries: int, slices: int, length: int, reverse: bool
    ) -> tuple[Value, ...]:
        """A captured loop. What its body writes is carried too. What the body asks the host for is computed ahead, for
        all iterations, and cut into slices."""
        given = [self.given(v) for v in inputs]
        held = [self.given(v) for v in states]
        carried, xs, closed = given[:carries], given[carries : carries + slices], given[carries + slices :]
        turns_draw = self.in_turn and body.random  # behind what the turn around has drawn
        fixed = [isinstance(x, Constant) for x in xs]
        program, hosts = self._body(body, states, carries, fixed, ahead=not (self.effects or turns_draw))
        draws = [h.evaluate for h in hosts if isinstance(h.evaluate, Drawing)]
        others = [h.evaluate for h in hosts if not isinstance(h.evaluate, Drawing)]
        # Quicker drawn in their turn than by Python ahead; an optimizer's rates are asked ahead all the same.
        apart = all(map(is_own, others)) and not (_joined(draws) and not others)
        if draws and apart and not self.applies:  # derivatives, and lanes, have none of effects
            program, hosts = self._body(body, states, carries, fixed, ahead=bool(others), in_turn=True)
        sized = any(i.params.get("sized") for i in program.body)
        if sized:
            self._check_sized("scan", self.counted or not _ASSIGNS.issuperset(body.effects))
        turns = [Host((length, *h.shape), h.dtype, h.evaluate, h.title) for h in hosts]
        for value, evaluate in zip(turns, turn_by_turn([h.evaluate for h in hosts], length, reverse), strict=True):
            value.evaluate = evaluate
        self.hosts += turns
        params: dict[str, object] = {
            "body": program,
            "carries": len(carried) + len(held),
            "slices": len(xs) + len(turns),
            "length": length,
        }
        flags = (("reverse", reverse), ("sized", sized))
        params |= {name: True for name, flag in flags if flag}
        self._note_effects(params, program)
        outs = self.builder.several("loop", *carried, *held, *xs, *turns, *closed, **params)
        after = outs[carries : carries + len(held)]
        self._written(states, after)
        return (*outs[:carries], *outs[carries + len(held) :], *after)

    def _note_effects(self, params: dict[str, object], *programs: Program) -> None:
        """Say of a loop or branch whether its bodies have effects, and whether one of them tells the user something."""
        inside = [i for program in programs for i in program.body if i.effect]
        if inside:
            params["effect"] = True
            self.effects = self.effects or not all(i.tells for i in inside)
        if any(i.tells for i in inside):
            params["tells"] = True

    def _while(
        self, inputs: Args, states: Args, test: Body, body: Body, carries: int, most: int | None, recompute: bool
    ) -> tuple[Value, ...]:
        """A captured loop of any number of turns. What its body asks the host for is asked there: nobody knows how often."""
        given = [self.given(v) for v in inputs]
        held = [self.given(v) for v in states]
        program, tested = (self._body(b, states, carries, [], ahead=False)[0] for b in (body, test))
        params: dict[str, object] = {
            "test": Program(tested.inputs, [], tested.body, tested.outputs[:1], []),
            "body": program,
            "carries": carries + len(held),
        }
        if most is not None:
            params["length"] = most
        self._note_effects(params, program)
        if any(i.params.get("sized") for p in (program, tested) for i in p.body):
            self._check_sized("while_loop", self.counted or not _ASSIGNS.issuperset(body.effects))
            params["sized"] = True
        outs = self.builder.several("while", *given[:carries], *held, *given[carries:], **params)
        after = outs[carries : carries + len(held)]
        self._written(states, after)
        return (*outs[:carries], *outs[carries + len(held) :], *after)

    def _branch(self, pred: object, inputs: Args, states: Args, true: Body, false: Body) -> tuple[Value, ...]:
        """A captured branch. What it asks the host for is asked in the body, if that runs."""
        condition = self.builder.reshape(self.builder.cast(self.given(pred), np.dtype(bool)), ())
        given, held = [self.given(v) for v in inputs], [self.given(v) for v in states]
        programs = [self._body(body, states, 0, [], ahead=False)[0] for body in (true, false)]
        params: dict[str, object] = {"true": programs[0], "false": programs[1]}
        self._note_effects(params, *programs)
        if any(i.params.get("sized") for p in programs for i in p.body):
            self._check_sized("cond", self.counted)
            params["sized"] = True
        outs = self.builder.several("branch", condition, *held, *given, **params)
        after = outs[: len(held)]
        self._written(states, after)
        return (*outs[len(held) :], *after)

    def _program(self, node: Node, inputs: Args, function: Function, flows: object) -> tuple[Value, ...]:
        """A program that a transformation made."""
        args = [self.given(v) for v in inputs]
        if self.applies:
            return self.builder.several("apply", *self._stopped(node, "inputs", args), function=function)
        program = expand(function.program())
        self.called += [Called(op, op.reason) for op in stated_calls(program)]
        return tuple(inline(self.builder, program, args))

    def _attached(self, node: Node, inputs: Args, outs: Args, kept: Args, rule: Rule) -> tuple[Value, ...]:
        """Values with a rule of their own."""
        parts = [[self.given(v) for v in part] for part in (inputs, outs, kept)]
        parts[0] = self._stopped(node, "inputs", parts[0])
        function = rule.function(*([np.asarray(getattr(v, "data", v)) for v in part] for part in (inputs, outs, kept)))
        return self.builder.several("apply", *itertools.chain(*parts), function=function)

    def _stopped(self, node: Node, name: str, value: Any) -> Any:
        """An argument, cut off from what it was computed from where no gradient flows to it, as where it was detached."""
        if name not in node.op.differentiable:
            return value
        parent = getattr(node, name + "_node", None)
        if isinstance(value, (list, tuple)):
            parents = [None] * len(value) if parent is None else parent
            pairs = zip(value, parents, strict=True)
            return refilled(value, [self.cut(v, p) if isinstance(v, Value) else v for v, p in pairs])
        return self.cut(value, parent) if isinstance(value, Value) else value

    def cut(self, value: Value, parent: object) -> Value:
        """A value, cut off from what it was computed from if there is nothing that its gradient flows to."""
        return self.builder.emit("stop", value) if parent is None and is_inexact(value.dtype) else value

    def given(self, value: object) -> Value:
        found = self.resolve(value)
        if isinstance(found, np.ndarray) and is_low(found.dtype):
            return Constant(found)
        return found if isinstance(found, Value) else array_of(self.builder, symbols(self.builder, found)).value

    def _written(self, states: Args, values: Sequence[Value]) -> None:
        """Note what became of the tensors that a body writes."""
        for state, value in zip(states, values, strict=True):
            self.storage.write(state, value)

    def _body(
        self, body: Body, states: Args, carries: int, fixed: Sequence[bool], ahead: bool, in_turn: bool = False
    ) -> tuple[Program, list[Host]]:
        """The program of a body, and what it asks the host for, which comes in as slices: what may be asked `ahead`, but for
        random numbers that are drawn `in_turn`. Of the other slices it is told which are `fixed`, the same at each call.

        Its inputs are the carries, the states, the slices, those of the host, and what is closed over; its outputs the
        carries, the states, the other results.
        """
        work = Lowering(body, self.applies, in_turn=in_turn)
        work.builder.turn = True
        work.effects = not ahead
        work.counted = self.counted
        inputs = [Input(tuple(node.shape), node.dtype) for node in body.inputs]
        work.values.update((node, (value,)) for node, value in zip(body.inputs, inputs, strict=True))
        count = len(inputs) - body.states
        given, held = inputs[:count], inputs[count:]
        work.storage.states = {id(state.data): value for state, value in zip(states, held, strict=True)}
        work.storage.now = {value: value for value in held}
        for node in body.nodes:
            if node not in work.values:
                work.node(node)
        outs = [work.given(v) for v in body.results]
        if self.applies:  # results that were detached; what was saved comes after them
            outs = [*map(work.cut, outs, body.ends), *outs[len(body.ends) :]]
        if work.hosts and any(i.effect and not (in_turn and _draws(i)) for i in work.builder.body):
            return self._body(body, states, carries, fixed, ahead=False)  # all has to be asked in its turn
        self.called += work.called
        hosts: dict[Value, Input] = {h: Input(h.shape, h.dtype) for h in work.hosts}
        begin, end = carries, carries + len(fixed)
        program = Program(
            [*given[:begin], *held, *given[begin:end], *hosts.values(), *given[end:]],
            [],
            work.builder.body,
            [*outs[:carries], *work.storage.now.values(), *outs[carries:]],
            [],
        )
        program = substitute(program, hosts)
        if not self.applies:
            program = simplify(
                checks.kept(program, {x for x, same in zip(given[begin:end], fixed, strict=True) if same})
            )
        return program, work.hosts

    def _ahead(self, op: Op, call: Mapping[str, Any], node: Node) -> tuple[Value, ...] | None:
        """What the host computes at the beginning of each call, if the op is all of that: numbers and draws."""
        if op.outputs != 1 or op.residuals:
            return None
        (spec,) = self._specs(node)
        assert spec is not None

        evaluate: Evaluate = partial(op.run, call)
        title = _DRAWN
        if op is random_draw:
            evaluate = _drawing(call["sample"], call["rng"])
        if op is host:
            evaluate = call["evaluate"]
            title = getattr(evaluate, "__name__", "").removeprefix("<lambda>")
        value = Host(spec.shape, spec.dtype, evaluate, title)
        self.hosts.append(value)
        return (value,)

    def op(self, op: Op, args: Mapping[str, object], specs: Sequence[Spec | None]) -> tuple[Value, ...]:
        """Lower one call of an op to primitives, or to a call."""
        body = self.builder.body
        begin, hosts = len(body), len(self.hosts)
        if self.applies and not (op.alters or op.random or op is tell):
            self.effects = self.effects or op.effect
            return self._apply(op, args, specs)
        try:
            if op.effect:
                raise CannotLower("it has an effect")
            if op in self.whole:
                raise CannotLower("it stays whole")
            if op.random and op.lower is None:
                raise CannotLower("it draws random numbers")
            beside = self._beside(op)
            if beside:
                array = beside[0]
                raise CannotLower(
                    f"it reads an array of {array.dtype} {array.shape} beside its arguments: give it as one of them"
                )
            values = self._read(op, args, any(specs[len(specs) - len(op.residuals) :]))
            found = [Spec(v.shape, v.dtype) for v in values]
            sized = any(i.params.get("sized") for i in body[begin:])
            if any(s is not None and s != f for s, f in zip(specs, found, strict=True)):
                raise (Sized if sized else CannotLower)(f"gives {found}, not {list(specs)}")
            if sized:
                self._check_sized(op.name, self.counted)
            return tuple(values)
        except CaptureError:
            raise
        except Exception as error:  # whatever an op's forward makes of a symbol
            del body[begin:], self.hosts[hosts:]  # a draw too: the op called makes its own
            self.called.append(Called(op, str(error) or type(error).__name__))
            error.__traceback__ = None  # who keeps the error must not keep frames, and the tensors in them
            if isinstance(error, Sized):
                self._check_sized(op.name, self.counted)
            return self._call(op, args, specs, isinstance(error, Sized))

    def _read(self, op: Op, args: Mapping[str, object], kept: bool) -> list[Value]:
        """Read a call of an op, of which residuals may be `kept`. What drew random numbers before, and is to give the same, is
        computed anew of them."""
        again = args.get(DRAWN)
        known = self.draws.get(tuple(again)) if isinstance(again, list) else None
        if known is not None:
            left = iter(known)
            others = {name: value for name, value in args.items() if name != DRAWN}
            return read(op.forward.op, self.builder, others, {"draw": lambda *_: next(left)})  # type: ignore[attr-defined]
        if not op.random:
            return self._read_once(op, args, kept)
        drawn: list[Symbol] = []

        def draw(*given: Any) -> Symbol:
            drawn.append(self._draw(*given))
            return drawn[-1]

        values = read(op, self.builder, args, {"draw": draw})
        self.draws[tuple(values)] = drawn
        return values

    def _read_once(self, op: Op, args: Mapping[str, object], kept: bool) -> list[Value]:
        """Read a call of an op, or repeat what was read of one like it."""
        alike = _alike(args.values()) if is_own(op) else None
        if alike is None:
            return read(op, self.builder, args, kept=kept)
        told, values = alike
        known = self.known.setdefault(op, {}).get((kept, told))
        if known is not None:
            return known.repeated(self.builder, values)
        body = self.builder.body
        begin = len(body)
        found = read(op, self.builder, args, kept=kept)
        steps = body[begin:]
        self.known[op][kept, told] = _Read(values, steps, found, any(i.params.get("sized") for i in steps))
        return found

    def _apply(self, op: Op, args: Mapping[str, object], specs: Sequence[Spec | None]) -> tuple[Value, ...]:
        """A call of an op as a function that is applied."""
        held, values = template_of(args)
        known = [s for s in specs if s is not None]
        plain = not any(specs[len(specs) - len(op.residuals) :])  # no residual is used
        outputs = known if plain or len(known) == len(specs) else None
        function = OpFunction(op, held, [Spec(v.shape, v.dtype) for v in values], outputs)
        return self.builder.several("apply", *values, function=function)

    def _check_sized(self, name: str, counted: bool) -> None:
        """Note that values say how many elements an op gives.

        Raises:
            CaptureError: something that cannot be taken back comes before it.
        """
        if counted:
            raise CaptureError(
                f"{self.builder.line}: values say how many elements op {name!r} gives, and by then an optimizer has "
                "stepped, or something else had an effect: for another number a compiled step has to begin anew. Do it before, "
                "or keep the shape: np.where(mask, x, 0) in place of x[mask]"
            )
        self.sized = True

    def _beside(self, op: Op) -> list[Array]:
        """The large arrays that an op of the user's reads beside its arguments. A program would keep their values."""
        if op not in self.beside:
            self.beside[op] = [a for _, a in Reach(op.lower or op.forward).large] if users(op.__module__) else []
        return self.beside[op]

    def _draw(self, sample: Callable[[object], object], rng: object, shape: Shape, dtype: type | np.dtype) -> Symbol:
        """Random numbers for an op that is read."""
        if self.effects or self.in_turn:
            (made,) = self._call(random_draw, {"sample": sample, "rng": rng}, [Spec(shape, np.dtype(dtype))])
            return Symbol(self.builder, made, shared=True)
        value = Host(shape, np.dtype(dtype), _drawing(sample, rng), _DRAWN)
        self.hosts.append(value)
        return Symbol(self.builder, value, shared=True)

    def _call(
        self, op: Op, args: Mapping[str, object], specs: Sequence[Spec | None], sized: bool = False
    ) -> tuple[Value, ...]:
        held, values = template_of(args)
        params: dict[str, object] = {"op": op, "template": held, "specs": specs}
        if sized:
            params["sized"] = True
        if op is tell:
            params["effect"] = params["tells"] = True
        elif op.effect or op.random:
            params["effect"] = True
            self.effects = self.effects or op.alters or (op.random and not self.in_turn)
        instruction = Instruction("call", values, params, infer("call", values, params), self.builder.line)
        self.builder.body.append(instruction)
        return instruction.results

    def _specs(self, node: Node) -> list[Spec | None]:
        """Shapes and dtypes of all that a node's forward returned; None for a residual that nobody uses."""
        found: list[Spec | None]
        if node.op.outputs == 1:
            found = [Spec(tuple(node.shape), node.dtype)]
        else:
            found = [Spec(tuple(s), d) for s, d in zip(node.shape, node.dtype, strict=True)]
        count = len(found)
        return found + [self.picked.get((node, count + i)) for i in range(len(node.op.residuals))]


#: Types of options that say all by their values.
_PLAIN = frozenset({int, float, bool, str, slice, type(None), type(Ellipsis), type})


def _alike(args: Iterable[object]) -> tuple[Hashable, list[Value]] | None:
    """What is equal for calls of an op that become the same but for the values they are of; and these, each once. None for
    calls that hold anything else than values and plain options."""
    numbers: dict[Value, int] = {}
    told: list[Hashable] = []
    for given in args:
        parts: Sequence[object] = (given,)
        if isinstance(given, (list, tuple)):
            parts = given
            told += (type(given), len(parts))
        for part in parts:
            if isinstance(part, Value):
                # Of a constant the numbers count; whether an array is of zeros is read, too (`symbol_indexing.add_at`).
                if isinstance(part, Constant) or (isinstance(part, Result) and part.instruction.name == "broadcast"):
                    return None
                told.append((numbers.setdefault(part, len(numbers)), part.shape, part.dtype))
            elif type(part) in _PLAIN or isinstance(part, np.dtype):
                told.append(distinct(part))
            else:
                return None
    return tuple(told), list(numbers)


class _Read(NamedTuple):
    """What a call of an op was read as: of these values those instructions, which give what is found; whether values say how
    many elements that has."""

    values: list[Value]
    steps: list[Instruction]
    found: list[Value]
    sized: bool

    def repeated(self, builder: Builder, values: list[Value]) -> list[Value]:
        """The same of other values."""
        now = dict(zip(self.values, values, strict=True))
        repeat(builder, self.steps, now, builder.line)
        return [now.get(v, v) for v in self.found]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A draw that native code may make too."""

    sample: Sampler
    rng: np.random.Generator | None

    def __call__(self) -> object:
        return random_draw.forward(self.sample, self.rng)


def _drawing(sample: Callable[..., object], rng: object) -> Evaluate:
    """What draws."""
    if isinstance(sample, Sampler) and not isinstance(rng, (int, np.integer)):
        return Drawing(sample, rng)  # type: ignore[arg-type]  # else it raises
    return lambda: random_draw.forward(sample, rng)


def _draws(instruction: Instruction) -> bool:
    """Whether an instruction draws random numbers, and does nothing else that has an effect."""
    return instruction.name == "call" and instruction.params["op"] is random_draw


def _joined(draws: Sequence[Drawing]) -> bool:
    """Whether the draws of many turns, in order, are one draw of as many numbers."""
    # What does not join may hold arrays, which are not compared.
    return all(d.sample.joins for d in draws) and len({(id(d.rng), d.sample.of_size(())) for d in draws}) == 1


def _at_once(evaluates: Sequence[Evaluate], length: int) -> list[Array] | None:
    """The draws of all turns, each with an axis of turns, if they are of one kind: drawn at once, in order."""
    draws = [e for e in evaluates if isinstance(e, Drawing)]
    if len(draws) < len(evaluates) or not _joined(draws):
        return None
    first = draws[0]
    counts = [math.prod(d.sample.size) for d in draws]
    drawn = Drawing(first.sample.of_size((length, sum(counts))), first.rng)()
    parts = np.split(np.asarray(drawn), np.cumsum(counts)[:-1], axis=1)
    return [part.reshape(length, *d.sample.size) for part, d in zip(parts, draws, strict=True)]


@dataclass(frozen=True, eq=False)
class _Turns:
    """What the host computes in each turn of a loop: in each turn, all of it is asked in order."""

    evaluates: Sequence[Evaluate]
    length: int
    reverse: bool
    #: The values of all turns, of the last call.
    columns: list[Array] = field(default_factory=list, compare=False)

    def column(self, i: int) -> Array:
        """What one gives, with an axis of turns. The first has all of them asked."""
        if i == 0:
            found = _at_once(self.evaluates, self.length)
            if found is None:
                each = [[np.asarray(evaluate()) for evaluate in self.evaluates] for _ in range(self.length)]
                found = [np.stack(column) for column in zip(*each, strict=True)]
            self.columns[:] = found
        return self.columns[i][:: -1 if self.reverse else 1]


def turn_by_turn(evaluates: Sequence[Evaluate], length: int, reverse: bool) -> list[Evaluate]:
    """What the host computes in each turn of a loop, as one array of all turns per value, to be asked in order."""
    turns = _Turns(evaluates, length, reverse)
    return [partial(turns.column, i) for i in range(len(evaluates))]


def lower(
    tape: Capture,
    inputs: Sequence[Node],
    outputs: Sequence[object],
    orders: Sequence[Order | None] = (),
    whole: Collection[Op] = (),
) -> Lowered:
    """Turn a captured step into a program.

    Args:
        tape: the capture.
        inputs: the nodes on it that stand for the arguments.
        outputs: what the step returned: tensors.
        orders: how the arguments lie in memory (`Input.order`), in the usual order if it is left out.
        whole: ops that stay calls, though they could be read.
    """
    work = _lowered(tape, inputs, orders, whole, ahead=True)
    if work.sized and work.hosts:  # a program that begins anew must not have asked the host for more than it used
        work = _lowered(tape, inputs, orders, whole, ahead=False)
    results = [array_of(work.builder, symbols(work.builder, work.resolve(traced(t)))).value for t in outputs]
    work.storage.check_apart()
    writes = [Write(reference, value) for reference, value in work.storage.writes.items() if value is not reference]
    program = checks.kept(Program(work.inputs, work.hosts, work.builder.body, results, writes))
    return Lowered(program, work.values, work.called, work.sized)


def _lowered(
    tape: Capture, inputs: Sequence[Node], orders: Sequence[Order | None], whole: Collection[Op], ahead: bool
) -> Lowering:
    """The nodes of a tape, lowered; what the host is asked for is asked `ahead`, or in its turn."""
    work = Lowering(tape, whole=whole)
    work.effects = not ahead
    for node, order in zip(inputs, orders or [None] * len(inputs), strict=True):
        value = Input(node.shape, node.dtype, order)
        work.inputs.append(value)
        work.values[node] = (value,)
    for node in tape.nodes:
        if node not in work.values:
            work.node(node)
    return work


#: Ops whose effects can be undone, since a program writes at its end.
_ASSIGNS = frozenset({assign.name})


def _counts(node: Node) -> bool:
    """Whether a node does what cannot be taken back: it counts steps, or has an effect of its own."""
    inside = bodies(node)
    if inside:
        return any(not _ASSIGNS.issuperset(body.effects) for body in inside)
    return node.op.effect and node.op is not assign


def traced(value: object) -> object:
    """A tensor as an argument of a recorded call is kept."""
    return Traced(value, value._trace, value._data) if isinstance(value, Tensor) else value
