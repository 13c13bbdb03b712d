"""Takes `break`, `continue` and `return` out of a function's syntax tree: each block is then entered at its top and left at its
end.

What an exit would skip moves into the other branch, where one branch always leaves; elsewhere a flag says that it is skipped:

    for x in xs:                     for x in xs:             # stops at `has broken 1`
        if x < 0:                        if x < 0:
            break                            has broken 1 = True
        total += x                       else:
                                             total += x

The names of flags hold a space, so that they are never those of the program.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

#: The variable that holds what the function returns, and the flag that says that it has one.
VALUE = "returned value"
RETURNED = "has returned"

#: Statements that have a scope of their own, with exits of their own.
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
LOOPS = (ast.For, ast.While)


class Unsupported(Exception):
    """A function that is not converted, since what it does cannot be said with closures.

    Attributes:
        line: where.
    """

    def __init__(self, what: str, line: int) -> None:
        super().__init__(f"{what} in line {line}")
        self.line = line


def without_exits(body: list[ast.stmt]) -> list[ast.stmt]:
    """The body of a function without `break`, `continue` and `return`, but for a `return` at the very end.

    It changes the statements given. A loop that is left early has an attribute `stop`: flags, one of which is true then.

    Raises:
        Unsupported: a `finally` that is left early.
    """
    if not any(isinstance(s, ast.Return) for outer in body for inner in _inner(outer) for s in _walk(inner)):
        return _only_read(_Exits(0, keeps_return=True).block(body))
    if not _leaves(body):
        body = [*body, ast.copy_location(ast.Return(None), body[-1])]
    end = ast.copy_location(ast.Return(ast.Name(VALUE, ast.Load())), body[-1])
    return _only_read([_set(RETURNED, False, body[0]), *_Exits(0, keeps_return=False).block(body), end])


class _End(ast.Break):
    """A `break` where the question of a loop says no: its `else` runs."""


class _Exits:
    """What takes the exits out of the blocks of one loop, or of the function where `depth` is 0."""

    def __init__(self, depth: int, keeps_return: bool) -> None:
        self.depth = depth
        self.keeps_return = keeps_return
        self.broken = f"has broken {depth}"
        self.ended = f"has ended {depth}"
        self.continued = f"has continued {depth}"

    def block(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        """The statements without exits."""
        out: list[ast.stmt] = []
        for k, statement in enumerate(statements):
            rest = list(statements[k + 1 :])
            if isinstance(statement, ast.Return):
                return [*out, *([statement] if self.keeps_return else self._returned(statement))]
            if isinstance(statement, (ast.Break, ast.Continue)):
                return [*out, _set(self._flag(statement), True, statement)]
            flags = self._flags(statement)
            if isinstance(statement, LOOPS):
                return [*out, *self._loop(statement, rest)]
            if isinstance(statement, ast.If) and flags and rest and _leaves(statement.body):
                statement.orelse += rest
                rest = []
            elif isinstance(statement, ast.If) and flags and rest and _leaves(statement.orelse):
                statement.body += rest
                rest = []
            elif flags and rest:
                rest = [_unless(flags, rest)]
            if not isinstance(statement, SCOPES):
                self._inside(statement)
            out.append(statement)
            if flags:
                return [*out, *self.block(rest)]
        return out

    def _returned(self, statement: ast.Return) -> list[ast.stmt]:
        value = statement.value or ast.copy_location(ast.Constant(None), statement)
        assigned = ast.copy_location(ast.Assign([ast.Name(VALUE, ast.Store())], value), statement)
        return [assigned, _set(RETURNED, True, statement)]

    def _flags(self, statement: ast.stmt) -> list[str]:
        """The flags that a statement may set, but for those of loops inside of it."""
        found = set()
        if any(isinstance(s, ast.Return) for s in _walk(statement)):
            found.add(RETURNED)
        for s in _of_this_loop(statement):
            if isinstance(s, (ast.Break, ast.Continue)):
                found.add(self._flag(s))
        return sorted(found)

    def _flag(self, statement: ast.Break | ast.Continue) -> str:
        if isinstance(statement, _End):
            return self.ended
        return self.broken if isinstance(statement, ast.Break) else self.continued

    def _loop(self, loop: ast.For | ast.While, rest: list[ast.stmt]) -> list[ast.stmt]:
        """A loop and what follows it."""
        if isinstance(loop, ast.While) and any(isinstance(part, ast.NamedExpr) for part in ast.walk(loop.test)):
            _ask_inside(loop)
        inner = _Exits(self.depth + 1, keeps_return=False)
        flags = {flag for s in loop.body for flag in inner._flags(s)}
        stop = [flag for flag in (inner.ended, inner.broken, RETURNED) if flag in flags]
        after = loop.orelse
        if after and inner.broken in flags:
            after = [_unless([inner.broken], after)]
        after = [*after, *rest]
        if after and RETURNED in flags:
            after = [_unless([RETURNED], after)]
        loop.body = [_set(inner.continued, False, loop), *inner.block(loop.body)]
        loop.orelse = []
        loop.stop = stop  # type: ignore[union-attr]  # read by the pass that follows
        begin = [_set(flag, False, loop) for flag in (inner.ended, inner.broken)]
        return [*begin, loop, *self.block(after)]

    def _inside(self, statement: ast.stmt) -> None:
        """Take the exits out of the blocks inside of a statement."""
        if isinstance(statement, (ast.Try, ast.TryStar)):
            if any(self._flags(s) for s in statement.finalbody):
                raise Unsupported("an exit from a finally block", statement.finalbody[0].lineno)
            flags = sorted({flag for s in statement.body for flag in self._flags(s)})
            if flags and statement.orelse:
                statement.orelse = [_unless(flags, statement.orelse)]
        for block in blocks(statement):
            block[:] = self.block(block)


def _ask_inside(loop: ast.While) -> None:
    """Put the question of a loop, which binds a variable, into its body: a question only asks."""
    leave = ast.If(ast.UnaryOp(ast.Not(), loop.test), [ast.copy_location(_End(), loop.test)], [])
    loop.body.insert(0, ast.copy_location(leave, loop.test))
    loop.test = ast.copy_location(ast.Constant(True), loop.test)


def blocks(statement: ast.AST) -> list[list[ast.stmt]]:
    """The blocks of a statement: its body, its `else`, its handlers and cases."""
    found = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    found += [part.body for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ()))]
    return [block for block in found if block]


def _inner(statement: ast.stmt) -> list[ast.stmt]:
    """The statements directly inside of one, of the same scope."""
    return [] if isinstance(statement, SCOPES) else [s for block in blocks(statement) for s in block]


def _walk(statement: ast.stmt) -> Iterator[ast.stmt]:
    """A statement and all inside of it, of the same scope."""
    yield statement
    for inner in _inner(statement):
        yield from _walk(inner)


def _of_this_loop(statement: ast.stmt) -> Iterator[ast.stmt]:
    """A statement and those inside of it whose `break` is of the same loop: not the bodies of loops."""
    yield statement
    for inner in statement.orelse if isinstance(statement, LOOPS) else _inner(statement):
        yield from _of_this_loop(inner)


def _leaves(block: Sequence[ast.stmt]) -> bool:
    """Whether what follows a block never runs."""
    return any(
        isinstance(s, (ast.Return, ast.Break, ast.Continue, ast.Raise))
        or (isinstance(s, ast.If) and _leaves(s.body) and _leaves(s.orelse))
        for s in block
    )


def _set(flag: str, value: bool, at: ast.AST) -> ast.stmt:
    return ast.copy_location(ast.Assign([ast.Name(flag, ast.Store())], ast.Constant(value)), at)


def any_of(flags: Sequence[str]) -> ast.expr:
    """Whether one of some flags is set."""
    names: list[ast.expr] = [ast.Name(flag, ast.Load()) for flag in flags]
    return names[0] if len(names) == 1 else ast.BoolOp(ast.Or(), names)


def _unless(flags: Sequence[str], block: list[ast.stmt]) -> ast.stmt:
    return ast.copy_location(ast.If(ast.UnaryOp(ast.Not(), any_of(flags)), block, []), block[0])


def _only_read(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements without settings of flags that nothing reads."""
    nodes = [node for statement in body for node in ast.walk(statement)]
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    read.update(flag for node in nodes for flag in getattr(node, "stop", ()))

    class Drop(ast.NodeTransformer):
        def visit_Assign(self, node: ast.Assign) -> ast.stmt:
            target = node.targets[0]
            unread = isinstance(target, ast.Name) and " " in target.id and target.id not in read
            return ast.copy_location(ast.Pass(), node) if unread else node

    return [Drop().visit(statement) for statement in body]
