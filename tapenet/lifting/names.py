"""Which names of a function its statements bind, read, and leave to be read later.

It reads functions without `break`, `continue` and `return` in their midst (`exits.py`), so that what follows what is plain.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from tapenet.lifting.exits import LOOPS, SCOPES, blocks


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all inside of it that is of the same scope: of functions, classes and
    comprehensions what is evaluated around them, or binds names there."""
    yield node
    inner: Iterable[ast.AST]
    if isinstance(node, ast.Lambda):
        inner = _defaults(node.args)
    elif isinstance(node, ast.ClassDef):
        inner = [*node.decorator_list, *node.bases, *node.keywords]
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inner = [*node.decorator_list, *_defaults(node.args)]
    elif isinstance(node, ast.comprehension):
        inner = [node.iter, *node.ifs]
    else:
        inner = ast.iter_child_nodes(node)
    for each in inner:
        yield from parts(each)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)]


def bound(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that these bind or delete, in their own scope."""
    found: set[str] = set()
    for outer in nodes:
        for node in parts(outer):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif isinstance(node, (*SCOPES, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name is not None:
                found.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest is not None:
                found.add(node.rest)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    return found


def _read(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that these read, delete or add to, in their own scope."""
    found: set[str] = set()
    for outer in nodes:
        for node in parts(outer):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


def captured(body: Iterable[ast.AST]) -> tuple[set[str], set[str]]:
    """What functions and classes inside of a function may read at any time, and what they may bind, by `nonlocal`."""
    reads: set[str] = set()
    binds: set[str] = set()
    for outer in body:
        for node in ast.walk(outer):
            if isinstance(node, (*SCOPES, ast.Lambda)):
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Name):
                        reads.add(inner.id)
                    elif isinstance(inner, ast.Nonlocal):
                        binds.update(inner.names)
    return reads | binds, binds


class Liveness:
    """Which names must outlast each loop and branch of a function.

    Attributes:
        kept: by the `id` of an `if`, `for` or `while`: the names that it binds and that are read behind it, in a later turn of
            the loop, or in the other branch.
        read_after: those of them that are read behind it.
    """

    def __init__(self, body: Sequence[ast.stmt], always: set[str], bound_elsewhere: set[str]) -> None:
        """
        Args:
            body: the statements of the function.
            always: names that may be read at any time.
            bound_elsewhere: those that may be bound by any statement.
        """
        self.kept: dict[int, set[str]] = {}
        self.read_after: dict[int, set[str]] = {}
        self._elsewhere = bound_elsewhere
        self._before(body, set(always), always)

    def _before(self, block: Sequence[ast.stmt], after: set[str], always: set[str]) -> set[str]:
        """The names that are live before a block, given those behind it. `always` are live everywhere in it."""
        live = after | always
        for statement in reversed(block):
            live = self._one(statement, live, always) | always
        return live

    def _one(self, s: ast.stmt, live: set[str], always: set[str]) -> set[str]:
        if isinstance(s, ast.If):
            inside = self._before(s.body, live, always) | self._before(s.orelse, live, always)
            self._keep(s, [*s.body, *s.orelse], live | inside, live)
            return _read([s.test]) | inside
        if isinstance(s, LOOPS):
            return self._loop(s, live, always)
        if isinstance(s, (ast.With, ast.AsyncWith)):
            inner = self._before(s.body, live, always)
            return (inner - bound(i.optional_vars for i in s.items if i.optional_vars)) | _read(s.items)
        if isinstance(s, ast.Match) or (blocks(s) and not isinstance(s, SCOPES)):
            # It may be left anywhere, and go on in any of its blocks.
            live = live | _read([s])
            for block in blocks(s):
                self._before(block, live, always | live)
            return live
        return (live - _surely_bound(s)) | _read([s])

    def _loop(self, s: ast.For | ast.While, live: set[str], always: set[str]) -> set[str]:
        targets = bound([s.target]) if isinstance(s, ast.For) else set()
        read = _read([s.target]) if isinstance(s, ast.For) else _read([s.test])
        turn = live | read | set(getattr(s, "stop", ()))
        while True:
            before = turn | (self._before(s.body, turn, always) - targets)
            if before == turn:
                break
            turn = before
        self._keep(s, [*s.body, s.target if isinstance(s, ast.For) else s.test], turn, live)
        return turn | _read([s.iter]) if isinstance(s, ast.For) else turn

    def _keep(self, s: ast.stmt, inside: list[ast.AST], live: set[str], after: set[str]) -> None:
        self.kept[id(s)] = (bound(inside) | self._elsewhere) & live
        self.read_after[id(s)] = self.kept[id(s)] & after


def _surely_bound(s: ast.stmt) -> set[str]:
    """Names that a simple statement binds whenever it runs."""
    if isinstance(s, SCOPES):
        return {s.name}
    if isinstance(s, (ast.Import, ast.ImportFrom)):
        return bound([s])
    if isinstance(s, (ast.Assign, ast.AnnAssign)) and s.value is not None:
        return bound(s.targets if isinstance(s, ast.Assign) else [s.target])
    return set()
