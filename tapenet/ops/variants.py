"""Formulas read for the values at hand: kernels of forwards and rules, and gradients derived from formulas.

A variant is made for shapes, dtypes and options once, and then called again and again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from tapenet.ops.called_functions import content, stated_calls
from tapenet.ops.derived import is_tensor, made
from tapenet.ops.elementwise import special
from tapenet.ops.formula import MOST, Fused, outside
from tapenet.ops.functions import RUNS, OpFunction, builder_of_ops
from tapenet.ops.indexing.items import index_add
from tapenet.ops.op import Op
from tapenet.ops.reading import read, symbols, template_of
from tapenet.ops.recorder import installed
from tapenet.ops.registry import is_own
from tapenet.program import generated, split_rows
from tapenet.program.arguments import elements, mapped
from tapenet.program.called_ops import filled
from tapenet.program.functions import Given, expand, specs
from tapenet.program.ir import Builder, Constant, Input, Program, Value, substitute
from tapenet.program.numpy_code import function
from tapenet.program.passes import simplify
from tapenet.program.primitives import numpy_slices
from tapenet.program.pullback import NoDerivative, pullback
from tapenet.program.row_programs import NotByRows
from tapenet.program.symbols import CannotLower, array_of
from tapenet.program.value_keys import distinct
from tapenet.typing import Array, Index, Shape


class _Arguments:
    """Values as the inputs of a program: arrays and tensors become inputs, all else stays as it is."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []

    def __call__(self, value: object) -> object:
        return mapped(self._input, value)

    def _input(self, value: object) -> object:
        if _is_array(value):
            self.inputs.append(Input(value.shape, value.dtype))
            return self.inputs[-1]
        return value


def arrays_of(values: Iterable[object]) -> list[Array]:
    """The arrays and tensors among values, in the order of a program's inputs."""
    return [leaf for value in values for leaf in elements(value) if _is_array(leaf)]


def _is_array(value: object) -> TypeGuard[Array]:
    return isinstance(value, (np.ndarray, np.generic)) or is_tensor(type(value))


def _positions(values: Sequence[object]) -> list[int] | None:
    """Where the arrays and tensors among values are; None if there are sequences of them."""
    found = [i for i, v in enumerate(values) if arrays_of([v])]
    return None if any(isinstance(values[i], (list, tuple)) for i in found) else found


def _nothing(values: Sequence[object]) -> None:
    """The variant of what cannot be fused."""


def kernel(
    fused: Fused, values: tuple[object, ...], options: dict[str, object]
) -> Callable[[Sequence[object]], object]:
    """The kernel of a forward or rule for such values; a function that gives None if there is none."""
    op = fused.op
    if not is_own(op) and outside(fused.function) != ():
        return _nothing  # what it reads beside its arguments may change
    try:
        program = simplify(_rule_program(fused, values) if fused.rule else formula(op, values, options))
        run = split_rows.kernel(program)
    except Exception:  # whatever the formula makes of a symbol: it runs as it is
        return _nothing
    single, simple = (op.outputs == 1 and not op.residuals) or fused.rule, _positions(values)

    def launched(values: Sequence[object]) -> object:
        found = run(*(arrays_of(values) if simple is None else [values[i] for i in simple]))
        return found[0] if single else tuple(found)

    return launched


def formula(op: Op, values: Sequence[object], options: dict[str, object]) -> Program:
    """The program of an op's forward for such values."""
    make = _Arguments()
    names = [a.name for a in op.arguments if not a.keyword_only]
    given = {n: make(v) for n, v in zip(names, values, strict=False)} | {n: make(v) for n, v in options.items()}
    builder = Builder()
    return Program(make.inputs, [], builder.body, read(op, builder, given), [])


def _rule_program(fused: Fused, values: Sequence[object]) -> Program:
    make = _Arguments()
    builder = Builder()
    given = [symbols(builder, make(v)) for v in values]
    with np.errstate(all="ignore"):
        found = fused.function(*given)
    return Program(make.inputs, [], builder.body, [array_of(builder, found).value], [])


# -- gradients from formulas -------------------------------------------------------------------------------------


def pull(
    op: Op, names: Sequence[str], wanted: Collection[str], g: Array | Sequence[Array | None], values: Sequence[object],
    fast: bool, single: bool, arrays: bool = False,
) -> Callable[..., object]:  # fmt: skip
    """The gradients of an op by its formula, for such values: a function of `g` and the values that gives a dict by name.

    It is for all values with these shapes and dtypes. Arrays among the options whose elements the formula asks for, such as
    the window of a filter, are constants of it: then it is made anew for each content of them.

    Args:
        op: the op.
        names: of the values.
        wanted: names of the inputs whose gradients are wanted.
        g: the gradient by the output, or a list of those by each.
        values: the op's arguments.
        fast: whether to make a kernel.
        single: whether the function gives the one gradient itself.
        arrays: whether it is for arrays alone.

    Raises:
        TypeError: the formula cannot be read, or has no derivative; it says what to write.
    """
    held = [i for i, name in enumerate(names) if name in op.options and arrays_of([values[i]])]
    try:
        return _pulled(op, names, wanted, g, values, fast, single, arrays, None if held else {})
    except TypeError:
        if not held:
            raise
    free = [i for i in range(len(names)) if i not in held]
    variants: dict[Hashable, Callable[..., object]] = {}

    def pulled(g: Array | Sequence[Array | None], *values: object) -> object:
        constants = {names[i]: mapped(functools.partial(_as_known, op, names[i]), values[i]) for i in held}
        others = [values[i] for i in free]
        key = distinct([mapped(content, value) for value in constants.values()])
        variant = variants.get(key)
        if variant is None:
            variant = _pulled(op, [names[i] for i in free], wanted, g, others, fast, single, arrays, constants)
            if len(variants) < MOST:
                variants[key] = variant
        return variant(g, *others)

    return pulled


def _as_known(op: Op, name: str, value: object) -> object:
    try:
        return np.asarray(value) if is_tensor(type(value)) else value
    except Exception as error:  # it is computed in a compiled program, or has lanes
        error.add_note(f"the gradient of {op.name} depends on what is in {name}=: give that as an array that is known")
        raise


def _pulled(
    op: Op, names: Sequence[str], wanted: Collection[str], g: Array | Sequence[Array | None], values: Sequence[object],
    fast: bool, single: bool, arrays: bool, constants: Mapping[str, object] | None,
) -> Callable[..., object]:  # fmt: skip
    """What `pull` gives, for these `constants` among the arguments beside the values. None: some of the values should be such
    if the formula cannot be read else."""
    make = _Arguments()
    builder = builder_of_ops(calls=False)
    given = dict(constants or {})
    places: dict[str, list[int]] = {}
    for name, value in zip(names, values, strict=True):
        begin = len(make.inputs)
        given[name] = make(value)
        places[name] = list(range(begin, len(make.inputs)))
    several = isinstance(g, (list, tuple))
    used = [i for i, h in enumerate(g if several else (g,)) if h is not None]
    order = [i for name in names if name in wanted for i in places[name]]
    run: Any = None
    applied = False
    program = Program([], [], [], [], [])
    try:
        outs = read(op, builder, given)[: len(g) if several else 1]
        forward = Program(make.inputs, [], builder.body, [outs[i] for i in used], [])
        program = simplify(expand(pullback(forward, order)))
        for called in stated_calls(program):
            raise CannotLower(f"the rule of {called.op.name} in it is called: {called.reason}")
    except Exception as error:
        if constants is None:
            raise _unreadable(op, wanted, error) from error
        try:
            run, applied = _applied(op, given, order, used), True
        except Exception:  # nor does it make anything of functions
            raise _unreadable(op, wanted, error) from error
    if fast and not applied:
        try:
            run = split_rows.kernel(program)
        except NotByRows:
            run = None
    shapes = [
        (n, isinstance(v, (list, tuple)), len(places[n])) for n, v in zip(names, values, strict=True) if n in wanted
    ]
    simple = None if several or applied else _positions(values)
    others = None if arrays else _ON_TENSORS
    if simple is not None:

        def returned(found: Sequence[str]) -> str:
            parts = iter(found)
            by_name = f"{{{', '.join(f'{n!r}: {next(parts) if count else None}' for n, _, count in shapes)}}}"
            return found[0] if single else by_name

        if run is None:
            at = {i: k for k, i in enumerate(simple)}
            return function(program, others, [len(simple), *map(at.get, range(len(values)))], returned)
        taken = "".join(f"x{i}, " for i in range(len(values)))
        call = f"run({''.join(f'x{i}, ' for i in simple)}g)"
        results = returned([f"found[{i}]" for i in range(len(program.outputs))])
        code = f"def pulled(g, {taken}):\n    found = {call}\n    return {results}\n"
        return generated.function("pulled", code, {"run": run}, "kernel")
    plain: Callable[..., Any] = function(program, others) if run is None else run

    def pulled(g: Array | Sequence[Array | None], *values: Array) -> object:
        arrays = [*arrays_of(values), *([g[i] for i in used] if several else (g,))]
        parts = iter(plain(*arrays))
        gradients = {
            name: tuple(next(parts) for _ in range(count)) if sequence else next(parts) if count else None
            for name, sequence, count in shapes
        }
        return gradients[shapes[0][0]] if single else gradients

    return pulled


def _applied(
    op: Op, given: Mapping[str, object], order: Sequence[int], used: Sequence[int]
) -> Callable[..., Sequence[Array]]:
    """What gives the gradients where a formula calls ops that cannot be read, by the rules of these.

    Args:
        op, given: a call, with inputs of a program in the place of arrays.
        order: the inputs whose gradients are wanted.
        used: the outputs by which there is a gradient.

    Raises:
        CannotLower, or whatever else the formula raises on symbols.
    """
    template, values = template_of(given)
    function = OpFunction(op, template, specs(values))
    called = [i.params["function"] for i in function.program().body if i.name == "apply"]
    ours = op.lower is None and all(
        is_own(f.op) and not f.reason for f in called
    )  # what else than foreign code is in the way of reading?
    if not called or ours or any(f.op.differentiable and not f.stated for f in called):
        raise CannotLower("it calls no op with foreign code and rules, or one without beside")
    pulled = function.pull(order)
    nothing: dict[Value, Value] = {
        v: Constant(np.broadcast_to(np.zeros((), v.dtype), v.shape))
        for i, v in enumerate(pulled.inputs[len(values) :])
        if i not in used
    }
    changed = substitute(pulled, nothing)
    inputs = [v for v in pulled.inputs if v not in nothing]
    whole = Given(f"{op.name} gradient", Program(inputs, [], changed.body, changed.outputs, []))

    def run(*arrays: Array) -> Sequence[Array]:
        if any(is_tensor(type(a)) for a in arrays):
            return installed.recorder.run(whole, arrays)
        return whole.evaluate(arrays)

    return run


def _beside(base: Array, *others: Array) -> Array:
    """An array as a tensor where an index or a value that goes with it is one: NumPy's functions do not ask these."""
    there = not is_tensor(type(base)) and any(is_tensor(type(v)) for v in others)
    return made(base, shared=True) if there else base


def _assigned(base: Array, index: Index, *others: Array) -> Array:
    """A copy of an array or tensor with the first of the others, a value, at an index with the rest."""
    out = np.copy(_beside(base, *others))
    out[index] = others[0]
    return out


def _scatter_add(values: Array, *index: Array, template: object, shape: Shape) -> Array:
    values = _beside(values, *index)
    zeros = np.zeros(shape, values.dtype)
    if not is_tensor(type(values)):
        np.add.at(zeros, filled(template, index), values)
        return zeros
    return index_add(made(zeros), values, filled(template, index))


#: What arrays and tensors compute alike, where the primitive's own function knows arrays alone.
_ON_TENSORS: dict[str, Callable[..., object]] = RUNS | {
    "cumprod": lambda x, axis: np.cumprod(x, axis, dtype=x.dtype),
    "cumsum": lambda x, axis: np.cumsum(x, axis, dtype=x.dtype),
    "erf": special.erf,
    "normal_cdf": special.normal_cdf,
    "provided": lambda x, wrong, **_: x,  # a captured step knows no values, and the forward has asked
    "take": lambda x, i, axis: np.take(_beside(x, i), i, axis),
    "index": lambda x, *index, template: _beside(x, *index)[filled(template, index)],
    "update": lambda base, value, slices: _assigned(base, numpy_slices(slices), value),
    "put": lambda a, value, *index, template: _assigned(a, filled(template, index), value, *index),
    "scatter_add": _scatter_add,
}


def _unreadable(op: Op, wanted: Collection[str], error: Exception) -> TypeError:
    name = next(iter(wanted))
    why = str(error) or type(error).__name__
    if not isinstance(error, CannotLower):
        why = f"{type(error).__name__}: {why}"
    lost = "has no derivative that is known" if isinstance(error, NoDerivative) else "cannot be read"
    return TypeError(
        f"op {op.name!r} gives no gradient rule for {name!r}, and its formula {lost} ({why}). Write the formula in NumPy "
        f"functions alone, with np.where in place of a branch on values; or give the rule, {name}=lambda g, {name}: ...; or "
        f"declare nondiff=({name!r},)"
    )
