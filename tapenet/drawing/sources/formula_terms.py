"""Reads a function of arrays as a term: what an op's forward or rule computes, in the usual case.

Local names are put in, own helpers read as well. What mathematics leaves out is left out here: checks, casts, broadcasting,
branches on dtypes and on what was not given.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import FunctionType, ModuleType, NoneType

import numpy as np

from tapenet.drawing.sources.function_source import statements
from tapenet.drawing.sources.terms import NONE, ONE, OPAQUE, Term, is_number, name, number, term
from tapenet.ops.op import Op
from tapenet.ops.registry import is_own
from tapenet.program.derivatives import RULES


class Unreadable(Exception):
    """A function does what no term says."""


#: Functions and methods that change nothing that mathematics tells: types, memory, axes of length 1.
_PLAIN = frozenset({
    "array", "asanyarray", "asarray", "ascontiguousarray", "astype", "atleast_1d", "broadcast_arrays", "broadcast_to",
    "cast_to", "copy", "expand_dims", "fitted", "float", "floats", "int", "of_dtype", "spread", "squeeze", "unbroadcast",
    "without_minus_inf",
})  # fmt: skip
#: NumPy's functions by the names that terms have for them.
_HEADS = {
    "abs": "absolute", "true_divide": "divide", "mod": "remainder", "pow": "power", "bitwise_not": "invert",
    "conj": "conjugate", "matrix_transpose": "transpose", "amax": "max", "amin": "min", "around": "round",
}  # fmt: skip
_OPERATORS: dict[type, str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder", ast.Pow: "power", ast.MatMult: "matmul", ast.BitAnd: "logical_and", ast.BitOr: "logical_or",
    ast.BitXor: "logical_xor", ast.LShift: "left_shift", ast.RShift: "right_shift", ast.USub: "negative",
    ast.UAdd: "positive", ast.Not: "logical_not", ast.Invert: "logical_not", ast.And: "logical_and", ast.Or: "logical_or",
    ast.Eq: "equal", ast.NotEq: "not_equal", ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater",
    ast.GtE: "greater_equal",
}  # fmt: skip
#: Reductions: their other arguments are options.
_FOLDS = frozenset(["sum", "mean", "var", "std", "prod", "max", "min", "any", "all", "ptp"])
_REDUCTIONS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all"}
_ATTRIBUTES = {"T": "transpose", "mT": "transpose", "real": "real", "imag": "imag"}
#: How deep helpers of helpers are read, and how large a term may be.
_DEPTH, _SIZE = 6, 400


def forward(op: Op) -> Term:
    """What an op computes, of its arguments.

    Raises:
        Unreadable: what it does is no term, or its source cannot be had.
    """
    names = [a.name for a in op.arguments]
    if isinstance(op.lower, str):
        return term(op.lower, *map(name, names))
    if isinstance(op.forward, np.ufunc):
        return term(_HEADS.get(op.forward.__name__, op.forward.__name__), *map(name, names))
    made = read(op.forward, {n: name(n) for n in names}, usual(op))
    if made.head == "tuple" and len(made.args) == 1:
        made = made.args[0]
    if op.residuals and made.head == "tuple":
        outputs = made.args[: len(made.args) - len(op.residuals)]
        made = outputs[0] if op.outputs == 1 and outputs else Term("tuple", outputs)
    return made


def usual(op: Op) -> dict[str, object]:
    """The options of an op that are taken for given: texts and truths, and arrays without a gradient that are left out."""
    return {
        a.name: a.default
        for a in op.arguments
        if not a.required
        and (isinstance(a.default, (str, bool)) or (a.default is None and a.name not in op.differentiable))
    }


def read(
    function: Callable[..., object],
    given: Mapping[str, Term] | None = None,
    defaults: Mapping[str, object] | None = None,
    depth: int = 0,
) -> Term:
    """What a function returns, as a term.

    Args:
        function: the function, in Python.
        given: what stands for its arguments; else their names.
        defaults: the values of options that are taken for given where it asks for them.
        depth: how many functions it is called from.

    Raises:
        Unreadable: its source cannot be had, or does what no term says.
    """
    function = inspect.unwrap(getattr(function, "__func__", function))
    body = statements(function)
    if body is None or depth > _DEPTH or not isinstance(function, FunctionType):
        raise Unreadable(function)
    code = function.__code__
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    made = _Reader(function, defaults or {}, depth)
    if given is None:
        made.names.update((n, name(n)) for n in arguments)
    else:
        values = dict(zip(reversed(arguments[: code.co_argcount]), reversed(function.__defaults__ or ()), strict=False))
        values |= function.__kwdefaults__ or {}
        for n in arguments:
            made.names[n] = given[n] if n in given else number(values.get(n))
    found = made.run(body)
    if found is None:
        raise Unreadable(function)
    return found


def _is_default(test: ast.expr, body: Sequence[ast.stmt]) -> bool:
    """Whether a branch gives an option a value that was left out."""
    match test, body:
        case ast.Compare(left=ast.Name(id=n), ops=[ast.Is()]), [ast.Assign(targets=[ast.Name(id=m)])]:
            return n == m
    return False


class _Reader:
    """Reads one call of a function."""

    def __init__(self, function: FunctionType, defaults: Mapping[str, object], depth: int) -> None:
        self.names: dict[str, Term] = {}
        self.defaults = defaults
        self.depth = depth
        self.outside = inspect.getclosurevars(function)
        self.size = 0

    def run(self, body: Sequence[ast.stmt]) -> Term | None:
        """Statements up to what they return; None where they end before."""
        for statement in body:
            found = None
            match statement:
                case ast.Return(value=ast.expr() as value):
                    return self.expr(value)
                case (
                    ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value)
                ):
                    self.assign(target, self.expr(value))
                case ast.AugAssign(target=ast.Name(id=n), op=operator, value=value):
                    self.names[n] = term(_OPERATORS[type(operator)], self.names[n], self.expr(value))
                case ast.With(body=inner):
                    found = self.run(inner)
                case ast.If(test=test, body=yes, orelse=no):
                    if all(isinstance(s, ast.Raise) for s in yes) or _is_default(test, yes):
                        found = self.run(no)
                    else:
                        found = self.run(yes if self.holds(test) else no)
                case ast.Expr(value=ast.Constant()) | ast.Raise() | ast.Pass() | ast.Assert():
                    pass
                case ast.Expr(value=ast.Call(func=callee)) if re.match(r"_*(check|warn)", ast.unparse(callee)):
                    pass
                case _:
                    raise Unreadable(type(statement))
            if found is not None:
                return found
        return None

    def assign(self, target: ast.expr, value: Term) -> None:
        if isinstance(target, ast.Tuple) and value.head == "tuple" and len(target.elts) == len(value.args):
            for each, part in zip(target.elts, value.args, strict=True):
                self.assign(each, part)
        elif isinstance(target, ast.Name):
            self.names[target.id] = Term("local", (), target.id) if value == OPAQUE else value
        else:
            raise Unreadable("what is assigned to")

    # -- branches ------------------------------------------------------------------------------------------------

    def holds(self, test: ast.expr) -> bool:
        """Whether the usual case has this: arrays of real numbers, options that are given, texts as they are by default."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return not self.holds(inner)
            case ast.BoolOp(op=operator, values=values):
                return (all if isinstance(operator, ast.And) else any)(map(self.holds, values))
            case ast.Call(func=ast.Name(id="isinstance" | "hasattr" | "iscomplexobj")):
                return False
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                if any(isinstance(part, ast.Attribute) and part.attr in ("kind", "dtype") for part in (left, right)):
                    return isinstance(operator, (ast.NotEq, ast.NotIn, ast.IsNot))
                if "type(" in ast.unparse(test):
                    return isinstance(operator, (ast.NotEq, ast.NotIn, ast.IsNot))
                a, b = self.known(self.expr(left)), self.known(self.expr(right))
                same = a == b
                if a == OPAQUE or (not a.head == b.head == "number" and not (b == NONE or is_number(b))):
                    raise Unreadable("a branch")
                if isinstance(operator, (ast.Eq, ast.Is)):
                    return same
                if isinstance(operator, (ast.NotEq, ast.IsNot, ast.Gt)):  # options are positive
                    return not same
            case ast.Name(id=n) if n not in self.names:
                value = self.found(test)
                if isinstance(value, (int, float, str, NoneType)):
                    return bool(value)
            case ast.Name() | ast.Constant():
                value = self.known(self.expr(test))
                if value != OPAQUE:
                    return value.head != "number" or bool(value.value)
        raise Unreadable("a branch")

    def known(self, a: Term) -> Term:
        return number(self.defaults[a.value]) if a.head == "name" and a.value in self.defaults else a  # type: ignore[index]

    # -- expressions ---------------------------------------------------------------------------------------------

    def expr(self, node: ast.expr) -> Term:
        """An expression."""
        self.size += 1
        if self.size > _SIZE:
            raise Unreadable("too long")
        match node:
            case ast.Constant(value=value):
                return name("...") if value is ... else number(value)
            case ast.Name(id=n):
                return self.names[n] if n in self.names else self.constant(n, self.found(node))
            case ast.BinOp(left=left, op=operator, right=right):
                return term(_OPERATORS[type(operator)], self.expr(left), self.expr(right))
            case ast.UnaryOp(op=operator, operand=operand):
                return term(_OPERATORS[type(operator)], self.expr(operand))
            case ast.BoolOp(op=operator, values=values):
                made = self.expr(values[0])
                if isinstance(operator, ast.Or) and isinstance(values[1], ast.Constant):
                    return made  # `n or 1`, which guards against 0
                for value in values[1:]:
                    made = term(_OPERATORS[type(operator)], made, self.expr(value))
                return made
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                if type(operator) not in _OPERATORS or ".kind" in ast.unparse(node):
                    return number(self.holds(node))
                return term(_OPERATORS[type(operator)], self.expr(left), self.expr(right))
            case ast.IfExp(test=test, body=yes, orelse=no):
                return self.expr(yes if self.holds(test) else no)
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return Term("tuple", tuple(map(self.expr, elements)))
            case ast.Dict(keys=keys, values=values):
                known = {
                    k.value: self.expr(v) for k, v in zip(keys, values, strict=True) if isinstance(k, ast.Constant)
                }
                return Term("dict", tuple(known.values()), tuple(known))
            case ast.Attribute(value=value, attr=attribute):
                return self.attribute(node, value, attribute)
            case ast.Subscript(value=value, slice=index):
                return self.item(self.expr(value), index)
            case ast.Call(func=callee, args=args, keywords=keywords):
                return self.call(callee, args, {k.arg: k.value for k in keywords})
            case ast.Lambda():
                return OPAQUE
        raise Unreadable(type(node))

    def constant(self, n: str, value: object) -> Term:
        """A name from outside: the value of a constant, else the name."""
        if isinstance(value, (bool, str)):
            return number(value)
        if isinstance(value, (int, float)) and (n.isupper() or n.startswith("_")):
            root = Fraction(value * value).limit_denominator(100)
            if root != value * value and abs(root - value * value) < 1e-12:
                above, below = (ONE if part == 1 else term("sqrt", number(part)) for part in root.as_integer_ratio())
                return term("divide", above, below)
            return number(value)
        return OPAQUE if isinstance(value, (dict, list)) else name(n)

    def found(self, node: ast.expr) -> object:
        """What a name outside the function stands for, with attributes of modules; None where that is not known."""
        if isinstance(node, ast.Attribute):
            module = self.found(node.value)
            return getattr(module, node.attr, None) if isinstance(module, (ModuleType, np.ufunc)) else None
        if not isinstance(node, ast.Name) or node.id in self.names:
            return None
        spaces = (self.outside.nonlocals, self.outside.globals, self.outside.builtins)
        return next((space[node.id] for space in spaces if node.id in space), None)

    def attribute(self, node: ast.Attribute, value: ast.expr, attribute: str) -> Term:
        found = self.found(node)
        if found is not None:
            if found == math.pi:
                return name("π")
            if isinstance(found, (int, float)):
                return number(found)
            raise Unreadable(attribute)
        inner = self.expr(value)
        if attribute in _ATTRIBUTES:
            return term(_ATTRIBUTES[attribute], inner)
        if attribute == "size":
            return name("N")
        if attribute in ("shape", "dtype") and inner.head == "name":
            return name(f"{inner.value}_{attribute}")
        raise Unreadable(attribute)

    def item(self, value: Term, index: ast.expr) -> Term:
        listed = index.elts if isinstance(index, ast.Tuple) else [index]
        if all(self.whole(i) for i in listed):
            return value
        if isinstance(index, ast.Constant) and isinstance(index.value, int) and value.head == "tuple":
            return value.args[index.value]
        if value == OPAQUE:
            return OPAQUE
        return Term("item", (value, self.index(index)))

    def whole(self, index: ast.expr) -> bool:
        """Whether an index takes everything: `...`, `:` or a new axis."""
        if isinstance(index, ast.Slice):
            return index.lower is index.upper is index.step is None
        return isinstance(index, ast.Constant) and (index.value is None or index.value is ...)

    def index(self, node: ast.expr) -> Term:
        match node:
            case ast.Slice(lower=low, upper=high, step=step):
                return Term("slice", tuple(NONE if part is None else self.expr(part) for part in (low, high, step)))
            case ast.Tuple(elts=elements):
                return Term("indices", tuple(map(self.index, elements)))
        return self.expr(node)

    # -- calls ---------------------------------------------------------------------------------------------------

    def call(self, callee: ast.expr, args: Sequence[ast.expr], keywords: Mapping[str | None, ast.expr]) -> Term:
        function = self.found(callee)
        if function is None and isinstance(callee, ast.Attribute):  # a method
            return self.function(callee.attr, None, [callee.value, *args], keywords)
        if function is None and isinstance(callee, ast.Name) and callee.id not in self.names:
            return self.function(callee.id, None, args, keywords)
        called = getattr(function, "__name__", None)
        if function is None or not isinstance(called, str):
            raise Unreadable("a call")
        if called == "reduce" and isinstance(callee, ast.Attribute):
            called = _REDUCTIONS.get(getattr(self.found(callee.value), "__name__", ""), called)
        return self.function(called, function, args, keywords)

    def function(
        self, called: str, function: object, args: Sequence[ast.expr], keywords: Mapping[str | None, ast.expr]
    ) -> Term:
        called = _HEADS.get(called.lstrip("_"), called.lstrip("_"))
        if any(isinstance(a, ast.Starred) for a in args):
            raise Unreadable("starred arguments")
        if called in _PLAIN and args:
            return self.expr(args[-1 if called == "of_dtype" else 0])
        if called in ("full", "full_like"):
            return self.expr(args[1])
        if called in ("zeros_like", "ones_like", "zeros", "ones"):
            return number(int(called.startswith("ones")))
        if called == "transpose" or (called == "swapaxes" and {ast.unparse(a) for a in args[1:]} == {"-1", "-2"}):
            return term("transpose", self.expr(args[0]))
        if called in _FOLDS and args:
            inner = self.expr(args[0])
            return name("n") if called == "prod" and str(inner.value).endswith("_shape") else term(called, inner)
        if isinstance(function, FunctionType) and called != "safe_mul" and None not in keywords:
            names = function.__code__.co_varnames
            try:
                given = {n: self.expr(a) for n, a in zip(names, args, strict=False)}
                given |= {str(n): self.expr(a) for n, a in keywords.items()}
                return read(function, given, self.defaults, self.depth + 1)
            except Unreadable:
                if called == "sum_of_squares":
                    return term("sum", term("square", self.expr(args[0])))
                if called == "mean_of":
                    return term("mean", self.expr(args[0]))
                if is_own(function):
                    return OPAQUE
        given_args = [self.expr(a) for a in args]
        if isinstance(function, Op) and called not in RULES and called != "sigmoid":
            return Term(called, tuple(given_args), function)
        return term(called, *given_args, *(self.expr(a) for n, a in keywords.items() if n in ("a_min", "a_max")))
