"""Converts the syntax tree of a function, so that its loops, branches, subscripts and calls are calls of what `_lift` names.

    for i in range(n):               def solve_loop(turn):
        s += a[i]                        nonlocal i, s
                                         i = turn
                                         s += _lift.getitem(a, i)
                                     _lift.for_(_lift.call(range)(n), solve_loop, _lift.State(lambda: (s,), ('s',)), ...)

Run with an `_lift` that does what Python does, a converted function is the function itself (`tests/lifting/plain.py`). Left as
they are: classes, generators and asynchronous functions inside of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from copy import deepcopy

from tapenet.lifting.exits import Unsupported, any_of, without_exits
from tapenet.lifting.names import Liveness, bound, captured, parts

#: The name by which converted code finds what it calls.
LIFT = "_lift"

_COMPARISONS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_OPERATORS = {
    ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.Div: "/=", ast.FloorDiv: "//=", ast.Mod: "%=", ast.Pow: "**=",
    ast.MatMult: "@=", ast.LShift: "<<=", ast.RShift: ">>=", ast.BitAnd: "&=", ast.BitOr: "|=", ast.BitXor: "^=",
}  # fmt: skip


def converted(node: ast.FunctionDef | ast.Lambda, own_class: str | None = None) -> ast.FunctionDef | ast.Lambda:
    """A function converted, with the lines of the original. It changes the tree given.

    Args:
        node: its syntax tree.
        own_class: the class whose method it is, for `super()` and names such as `self.__x`.

    Raises:
        Unsupported: it is a generator, or does what closures cannot.
    """
    if own_class is not None:
        node = _Method(own_class, node.args).visit(node)
    if _is_generator(node):
        raise Unsupported("a generator or an asynchronous function", node.lineno)
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
        _Function(node)
    else:
        node = _Expressions().visit(node)
    return ast.fix_missing_locations(node)


def with_calls(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, own_class: str | None, outer: frozenset[str]
) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda:
    """A function as it is, but for calls of what a name among its globals does not say: methods, and functions that it is
    given; and texts made by `%`. It changes the tree given.

    Args:
        node: its syntax tree.
        own_class: the class whose method it is.
        outer: names from outside whose methods are called, that are no modules.
    """
    if own_class is not None:
        node = _Method(own_class, node.args).visit(node)
    if not isinstance(node, ast.Lambda):
        node.decorator_list = []
    made: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda = _Calls(_variables(node, outer)).visit(node)
    return ast.fix_missing_locations(made)


def has_calls(node: ast.AST, outer: frozenset[str]) -> bool:
    """Whether `with_calls` changes anything."""
    names = _variables(node, outer)
    return any(
        _is_text(part) if isinstance(part, ast.BinOp) else isinstance(part, ast.Call) and _is_variable(part.func, names)
        for part in ast.walk(node)
    )


def _variables(node: ast.AST, outer: frozenset[str]) -> frozenset[str]:
    """The variables of a function and of those inside of it, and some others."""
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load))
    return outer.union((name.id for name in names), (part.arg for part in ast.walk(node) if isinstance(part, ast.arg)))


def _is_variable(function: ast.expr, names: frozenset[str]) -> bool:
    """Whether what is called is one of these variables, or an attribute of one or of what is computed."""
    root = function
    while isinstance(root, ast.Attribute):
        root = root.value
    return root.id in names if isinstance(root, ast.Name) else root is not function


def _is_text(node: ast.BinOp) -> bool:
    """Whether it is `"..." % values`."""
    left = node.left
    return isinstance(node.op, ast.Mod) and isinstance(left, ast.Constant) and isinstance(left.value, str)


def _is_generator(node: ast.AST) -> bool:
    body = node.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else []
    found = (isinstance(part, (ast.Yield, ast.YieldFrom)) for statement in body for part in parts(statement))
    return isinstance(node, ast.AsyncFunctionDef) or any(found)


class _Method(ast.NodeTransformer):
    """Writes out what a class does to the code of its methods."""

    def __init__(self, own_class: str, arguments: ast.arguments) -> None:
        self._prefix = "_" + own_class.lstrip("_")
        positional = [*arguments.posonlyargs, *arguments.args]
        self._first = positional[0].arg if positional else None

    def _name(self, name: str) -> str:
        private = name.startswith("__") and not name.endswith("__") and self._prefix != "_"
        return self._prefix + name if private else name

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._name(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._name(node.arg)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.attr = self._name(node.attr)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args and self._first is not None:
            node.args = [_name("__class__"), _name(self._first)]
        return self.generic_visit(node)


# -- pieces of code ----------------------------------------------------------------------------------------------


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _lift(what: str, *args: ast.expr, **keywords: ast.expr) -> ast.Call:
    function = ast.Attribute(_name(LIFT), what, ast.Load())
    return ast.Call(function, list(args), [ast.keyword(key, value) for key, value in keywords.items()])


def _later(body: ast.expr) -> ast.Lambda:
    """An expression that is evaluated when it is asked for."""
    return ast.Lambda(_parameters(), body)


def _parameters(*names: str) -> ast.arguments:
    return ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])


def _tuple(elements: Iterable[ast.expr]) -> ast.Tuple:
    return ast.Tuple(list(elements), ast.Load())


def _line(node: ast.stmt) -> ast.Constant:
    return ast.Constant(node.lineno)


class _Texts(ast.NodeTransformer):
    """Converts `"..." % values`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return ast.copy_location(_lift("percent", node.left, node.right), node) if _is_text(node) else node


class _Calls(_Texts):
    """Converts calls of methods and of functions that are variables."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = _is_variable(node.func, self._names)
        self.generic_visit(node)
        if called:
            node.func = ast.copy_location(_lift("call", node.func), node.func)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node


class _Expressions(_Texts):
    """Converts expressions: what they ask of values, read by index, and call."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        binds = _binds(node.values[1:])
        self.generic_visit(node)
        first, *others = node.values
        name = "and_" if isinstance(node.op, ast.And) else "or_"
        return ast.copy_location(_lift(name, first, *map(_later, others), **binds), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return ast.copy_location(_lift("not_", node.operand), node) if isinstance(node.op, ast.Not) else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        binds = _binds([node.body, node.orelse])
        self.generic_visit(node)
        line = ast.Constant(node.lineno)
        sides = _later(node.body), _later(node.orelse)
        return ast.copy_location(_lift("choose", node.test, *sides, **binds, line=line), node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        binds = _binds(node.comparators[1:])
        self.generic_visit(node)
        if len(node.ops) == 1 and not isinstance(node.ops[0], (ast.In, ast.NotIn)):
            return node
        signs = [ast.Constant(_COMPARISONS[type(op)]) for op in node.ops]
        others = [_tuple([sign, _later(other)]) for sign, other in zip(signs, node.comparators, strict=True)]
        return ast.copy_location(_lift("compare", node.left, *others, **binds), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            return node
        return ast.copy_location(_lift("getitem", node.value, _index(node.slice)), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        folded = _folded(node)
        if folded is not None:
            return ast.copy_location(self.generic_visit(folded), node)
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == "super"):
            node.func = ast.copy_location(_lift("call", node.func), node.func)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        pieces: list[ast.expr] = []
        for piece in node.values:
            if isinstance(piece, ast.FormattedValue):
                form = piece.format_spec or ast.Constant("")
                pieces.append(_tuple([piece.value, ast.Constant(piece.conversion), form]))
            else:
                pieces.append(piece)
        return ast.copy_location(_lift("text", *pieces), node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        if any(isinstance(part, (ast.NamedExpr, ast.Yield)) for part in parts(node.body)):
            return node  # what it binds is its own, and must stay so
        node.args = self.visit(node.args)
        node.body = _Expressions().visit(node.body)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return node  # annotations stay


def _folded(node: ast.Call) -> ast.Call | None:
    """`sum(x for target in iterable if test)` and the like, as a loop: what is folded, then what each turn gives and asks."""
    inner = node.args[0] if node.args else None
    known = isinstance(node.func, ast.Name) and node.func.id in ("sum", "all", "any", "max", "min")
    if not known or len(node.args) > 1 or node.keywords or not isinstance(inner, (ast.GeneratorExp, ast.ListComp)):
        return None
    (turns, *others) = inner.generators
    names = turns.target.elts if isinstance(turns.target, ast.Tuple) else [turns.target]
    if (
        others
        or turns.is_async
        or not all(isinstance(name, ast.Name) for name in names)
        or bound([inner.elt, *turns.ifs])
    ):
        return None
    tests = ast.BoolOp(ast.And(), turns.ifs) if len(turns.ifs) > 1 else next(iter(turns.ifs), ast.Constant(True))
    given = _parameters(*(name.id for name in names if isinstance(name, ast.Name)))
    spread = ast.Constant(isinstance(turns.target, ast.Tuple))
    steps = [ast.Lambda(given, inner.elt), ast.Lambda(deepcopy(given), tests)]
    return _lift("folded", node.func, turns.iter, spread, *steps, line=ast.Constant(node.lineno))


def _binds(expressions: Sequence[ast.expr]) -> dict[str, ast.expr]:
    """The variables that expressions bind which may not be evaluated, as an argument."""
    names = bound(expressions)
    return {"binds": ast.Constant(", ".join(sorted(names)))} if names else {}


def _index(node: ast.expr) -> ast.expr:
    """An index as an expression of its own."""
    if isinstance(node, ast.Slice):
        return _lift("slice", *(bound or ast.Constant(None) for bound in (node.lower, node.upper, node.step)))
    if isinstance(node, ast.Tuple):
        return _tuple(map(_index, node.elts))
    return node


class _Function(_Expressions):
    """Converts the body of one function."""

    def __init__(self, node: ast.FunctionDef) -> None:
        declared = [part for statement in node.body for part in parts(statement)]
        self._globals = {name for part in declared if isinstance(part, ast.Global) for name in part.names}
        outer = {name for part in declared if isinstance(part, ast.Nonlocal) for name in part.names}
        self._name = node.name
        body = without_exits(node.body)
        reads, binds = captured(body)
        always = reads | self._globals | outer
        self._live = Liveness(body, always, binds)
        own = sorted(bound(body) - self._globals - outer)
        documentation = body[:1] if ast.get_docstring(node, clean=False) is not None else []
        body = self._block(body[len(documentation) :])
        beginning: list[ast.stmt] = []
        if self._globals:
            beginning.append(ast.Global(sorted(self._globals)))
        if outer:
            beginning.append(ast.Nonlocal(sorted(outer)))
        if own:  # variables of this function, even if only the closures below assign to them
            targets: list[ast.expr] = [ast.Name(name, ast.Store()) for name in own]
            beginning.append(ast.If(ast.Constant(False), [ast.Assign(targets, ast.Constant(None))], []))
        for statement in beginning:
            ast.copy_location(statement, node.body[0])
        node.body = [*documentation, *beginning, *body] or [ast.Pass()]

    # -- statements ----------------------------------------------------------------------------------------------

    def _block(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in statements:
            made = self.visit(statement)
            found += made if isinstance(made, list) else [made]
        return found

    def _closure(self, body: list[ast.stmt], kind: str, parameters: ast.arguments, at: ast.stmt) -> ast.FunctionDef:
        """A function of the converted statements, which binds the variables of this one."""
        names = bound(body)
        shared: list[ast.stmt] = []
        if names & self._globals:
            shared.append(ast.Global(sorted(names & self._globals)))
        if names - self._globals:
            shared.append(ast.Nonlocal(sorted(names - self._globals)))
        made = self._block(body) or [ast.Pass()]
        function = ast.FunctionDef(f"{self._name} {kind}", _parameters(), [*shared, *made], [])
        function.args = parameters
        function.type_params = []  # type: ignore[attr-defined]  # from Python 3.12 on
        return ast.copy_location(function, at)

    def _state(self, node: ast.stmt) -> ast.expr:
        names, after = self._live.kept[id(node)], self._live.read_after[id(node)]
        told = [_tuple(map(ast.Constant, sorted(some))) for some in (after, names & self._globals)]
        return _lift("State", _later(_tuple(map(_name, sorted(names)))), *(told if told[1].elts else told[:1]))

    def _stop(self, node: ast.For | ast.While) -> ast.expr:
        flags: list[str] = getattr(node, "stop", [])
        return _later(self.visit(any_of(flags))) if flags else ast.Constant(None)

    def visit_For(self, node: ast.For) -> list[ast.stmt]:
        turn = f"turn {node.lineno}"
        body: list[ast.stmt] = [ast.copy_location(ast.Assign([node.target], _name(turn)), node), *node.body]
        closure = self._closure(body, "loop", _parameters(turn), node)
        state, iterated = self._state(node), self.visit(node.iter)
        call = _lift("for_", iterated, _name(closure.name), state, stop=self._stop(node), line=_line(node))
        return [closure, ast.copy_location(ast.Expr(call), node)]

    def visit_While(self, node: ast.While) -> list[ast.stmt]:
        closure = self._closure(node.body, "loop", _parameters(), node)
        state, test = self._state(node), _later(self.visit(node.test))
        call = _lift("while_", test, _name(closure.name), state, stop=self._stop(node), line=_line(node))
        return [closure, ast.copy_location(ast.Expr(call), node)]

    def visit_If(self, node: ast.If) -> list[ast.stmt]:
        test: ast.expr = self.visit(node.test)
        if (error := _only_raises(node.body)) is not None and not node.orelse:
            return [self._raise_if(test, error, node)]
        if (error := _only_raises(node.orelse)) is not None:
            return [self._raise_if(_lift("not_", test), error, node), *self._block(node.body)]
        chosen = self._closure(node.body, "branch", _parameters(), node)
        other = self._closure(node.orelse, "other branch", _parameters(), node)
        state = self._state(node)
        call = _lift("if_", test, _name(chosen.name), _name(other.name), state, line=_line(node))
        return [chosen, other, ast.copy_location(ast.Expr(call), node)]

    def _raise_if(self, test: ast.expr, error: ast.expr, node: ast.stmt) -> ast.stmt:
        call = _lift("raise_if", test, _later(self.visit(error)), line=_line(node))
        return ast.copy_location(ast.Expr(call), node)

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        message = self.visit(node.msg) if node.msg is not None else ast.Constant(None)
        call = _lift("assert_", self.visit(node.test), _later(message), line=_line(node))
        return ast.copy_location(ast.Expr(call) if __debug__ else ast.Pass(), node)

    def visit_With(self, node: ast.With) -> ast.stmt:
        for item in node.items:
            item.context_expr = self.visit(item.context_expr)
        node.body = self._block(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        if not _is_generator(node):
            node.decorator_list = [self.visit(each) for each in node.decorator_list]
            node.args = self.visit(node.args)
            _Function(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        return node

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node)  # they stand at the top

    visit_Nonlocal = visit_Global

    # -- assignments ---------------------------------------------------------------------------------------------

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        name = node.target.id
        if name in self._globals:
            raise Unsupported(f"an assignment to the global {name} in an expression", node.lineno)
        return ast.copy_location(_lift("bind", _later(_name(name)), self.visit(node.value)), node)

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        return self._assigned(node.targets, self.visit(node.value), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        if node.value is None:
            return [ast.copy_location(ast.Pass(), node)]
        return self._assigned([node.target], self.visit(node.value), node)

    def _assigned(self, targets: list[ast.expr], value: ast.expr, node: ast.stmt, depth: int = 0) -> list[ast.stmt]:
        """An assignment, item by item where items of arrays or attributes are among the targets."""
        if all(map(_is_names, targets)):
            return [ast.copy_location(ast.Assign(targets, value), node)]
        if len(targets) > 1:
            kept = f"value {depth}"
            first = ast.copy_location(ast.Assign([ast.Name(kept, ast.Store())], value), node)
            return [first, *(s for t in targets for s in self._assigned([t], _name(kept), node, depth + 1))]
        (target,) = targets
        if isinstance(target, ast.Subscript):
            array, index = self.visit(target.value), _index(self.visit(target.slice))
            call = _lift("setitem", value=value, a=array, index=index)
            return [ast.copy_location(ast.Expr(call), node)]
        if isinstance(target, ast.Attribute):
            call = _lift("set_attribute", value=value, a=self.visit(target.value), name=ast.Constant(target.attr))
            return [ast.copy_location(ast.Expr(call), node)]
        assert isinstance(target, (ast.Tuple, ast.List))
        inner = [e.value if isinstance(e, ast.Starred) else e for e in target.elts]
        names = [f"value {depth} {k}" for k in range(len(inner))]
        stored: list[ast.expr] = [ast.Name(name, ast.Store()) for name in names]
        for k, element in enumerate(target.elts):
            if isinstance(element, ast.Starred):
                stored[k] = ast.Starred(stored[k], ast.Store())
        unpacked = ast.copy_location(ast.Assign([ast.Tuple(stored, ast.Store())], value), node)
        each = zip(inner, names, strict=True)
        return [unpacked, *(s for e, name in each for s in self._assigned([e], _name(name), node, depth + 1))]

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt | list[ast.stmt]:
        value = self.visit(node.value)
        target = node.target
        if isinstance(target, ast.Subscript):
            array, index = self.visit(target.value), _index(self.visit(target.slice))
            sign = ast.Constant(_OPERATORS[type(node.op)])
            return ast.copy_location(ast.Expr(_lift("augmented", array, index, sign, _later(value))), node)
        if isinstance(target, ast.Attribute):
            owner, kept = "owner", "attribute"
            attribute = ast.Attribute(_name(owner), target.attr, ast.Load())
            made: list[ast.stmt] = [
                ast.Assign([ast.Name(owner, ast.Store())], self.visit(target.value)),
                ast.Assign([ast.Name(kept, ast.Store())], attribute),
                ast.AugAssign(ast.Name(kept, ast.Store()), node.op, value),
                ast.Expr(_lift("set_attribute", value=_name(kept), a=_name(owner), name=ast.Constant(target.attr))),
            ]
            return [ast.copy_location(statement, node) for statement in made]
        node.value = value
        return node


def _is_names(target: ast.expr) -> bool:
    """Whether a target is made of variables alone."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return all(map(_is_names, target.elts))
    return isinstance(target, ast.Name) or (isinstance(target, ast.Starred) and _is_names(target.value))


def _only_raises(block: Sequence[ast.stmt]) -> ast.expr | None:
    """What a block raises that does nothing else."""
    if len(block) == 1 and isinstance(block[0], ast.Raise) and block[0].cause is None:
        return block[0].exc
    return None
