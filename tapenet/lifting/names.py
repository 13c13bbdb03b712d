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
        #: By the `id` of a statement: what it reads that it has not bound, and what it surely binds.
        self._effects: dict[int, tuple[set[str], set[str]]] = {}
        self._mark(body, set(always))

    def _of(self, s: ast.stmt) -> tuple[set[str], set[str]]:
        """What a statement reads that it has not bound, and what it surely binds."""
        if id(s) not in self._effects:
            self._effects[id(s)] = self._found(s)
        return self._effects[id(s)]

    def _found(self, s: ast.stmt) -> tuple[set[str], set[str]]:
        if isinstance(s, ast.If):
            (reads, binds), (others, also) = self._of_block(s.body), self._of_block(s.orelse)
            return _read([s.test]) | reads | others, binds & also
        if isinstance(s, ast.While):
            return _read([s.test]) | self._of_block(s.body)[0], set()
        if isinstance(s, ast.For):
            return _read([s.iter, s.target]) | (self._of_block(s.body)[0] - bound([s.target])), set()
        if isinstance(s, (ast.With, ast.AsyncWith)):
            return _read(s.items) | (self._of_block(s.body)[0] - _bound_by_with(s)), set()
        if _may_be_left(s):
            return _read([s]), set()
        return _read([s]), _surely_bound(s)

    def _of_block(self, block: Sequence[ast.stmt]) -> tuple[set[str], set[str]]:
        reads: set[str] = set()
        binds: set[str] = set()
        for s in reversed(block):
            read, surely = self._of(s)
            reads = read | (reads - surely)
            binds |= surely
        return reads, binds

    def _mark(self, block: Sequence[ast.stmt], always: set[str], after: set[str] | None = None) -> None:
        """Find what is kept in a block, given what is read behind it; `always` are read anywhere."""
        live = always | (after or set())
        for s in reversed(block):
            if isinstance(s, ast.If):
                inside = self._of_block(s.body)[0] | self._of_block(s.orelse)[0]
                self._keep(s, [*s.body, *s.orelse], live | inside, live)
                self._mark(s.body, always, live)
                self._mark(s.orelse, always, live)
            elif isinstance(s, LOOPS):
                reads = self._of_block(s.body)[0]
                asked = s.test if isinstance(s, ast.While) else s.target
                targets = set() if isinstance(s, ast.While) else bound([asked])
                turn = live | _read([asked]) | (reads - targets) | set(getattr(s, "stop", ()))
                self._keep(s, [*s.body, asked], turn, live)
                self._mark(s.body, always, turn)
            elif isinstance(s, (ast.With, ast.AsyncWith)):
                self._mark(s.body, always, live)
            elif _may_be_left(s):
                for inner in blocks(s):
                    self._mark(inner, always | live | _read([s]))
            read, surely = self._of(s)
            live = read | (live - surely) | always

    def _keep(self, s: ast.stmt, inside: list[ast.AST], live: set[str], after: set[str]) -> None:
        self.kept[id(s)] = (bound(inside) | self._elsewhere) & live
        self.read_after[id(s)] = self.kept[id(s)] & after


def _bound_by_with(s: ast.With | ast.AsyncWith) -> set[str]:
    return bound(item.optional_vars for item in s.items if item.optional_vars is not None)


def _may_be_left(s: ast.stmt) -> bool:
    """Whether a statement is left anywhere, and goes on in any of its blocks."""
    return isinstance(s, ast.Match) or (bool(blocks(s)) and not isinstance(s, SCOPES))


def _surely_bound(s: ast.stmt) -> set[str]:
    """Names that a simple statement binds whenever it runs."""
    if isinstance(s, SCOPES):
        return {s.name}
    if isinstance(s, (ast.Import, ast.ImportFrom)):
        return bound([s])
    if isinstance(s, (ast.Assign, ast.AnnAssign)) and s.value is not None:
        return bound(s.targets if isinstance(s, ast.Assign) else [s.target])
    return set()
