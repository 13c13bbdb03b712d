"""Functions converted from their source do what they did."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any

import pytest

from tapenet.lifting.source import converted_code
from tapenet.lifting.variables import UNBOUND, State
from tests.lifting.plain import Plain, Trials
from tests.lifting.random_programs import Programs

_count = 0


def defined(text: str, name: str = "f") -> FunctionType:
    """The function of a program given as text, with its source where Python looks for it."""
    global _count
    _count += 1
    file = f"<program {_count}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, file, "exec"), namespace)
    found = namespace[name]
    assert isinstance(found, FunctionType)
    return found


def converted(function: FunctionType, lift: Plain) -> FunctionType:
    """The converted function. It shares the globals of the function."""
    code = converted_code(function)
    assert code is not function.__code__
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells["_lift"] = CellType(lift)
    closure = tuple(cells[name] for name in code.co_freevars)
    made = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    return made


def outcome(function: Callable[..., object], *args: object) -> object:
    """What a function returns, or what it raises."""
    try:
        return function(*args)
    except (ArithmeticError, LookupError, OSError, NameError, TypeError, ValueError, AssertionError) as error:
        kind = NameError if isinstance(error, NameError) else type(error)  # of a closure it says so otherwise
        return kind, "" if kind is NameError else str(error)


def same(function: FunctionType, *args: Any, trials: bool = True) -> object:
    """What a function returns, once it is seen that the converted one does so too."""
    expected = outcome(function, *args)
    for lift in [Plain(), *([Trials()] if trials else [])]:
        made = converted(function, lift)
        found = outcome(made, *args)
        assert found == expected, (found, expected)
    return expected


@pytest.mark.parametrize("seeds", [range(30), pytest.param(range(30, 400), marks=pytest.mark.slow)], ids=str)
def test_programs_do_what_they_did(seeds: range) -> None:
    """Programs made by chance, most of which come to their end."""
    for seed in seeds:
        text = Programs(seed).program()
        try:
            same(defined(text), seed % 5 - 1, seed // 5 % 4)
        except Exception as error:
            error.add_note(f"seed {seed}:\n{text}")
            raise


# -- one thing at a time -----------------------------------------------------------------------------------------


def test_items_are_assigned_in_pythons_order() -> None:
    function = defined(
        """
def f():
    log, a = [], [0, 1, 2, 3, 4]
    def at(i):
        log.append(i)
        return i
    i = 1
    a[at(0)], i = at(7), at(2)
    a[i], a[at(1)] = a[at(1)], a[i]
    i = a[i] = at(3)
    a[at(0)] += at(5)
    (a[0], (b, a[1])), *a[2:] = (10, (11, 12)), 13, 14
    a[at(i) - 1:at(4)] = [at(8)] * 2
    for a[at(1)] in range(3):
        pass
    del a[0]
    return a, i, b, log
"""
    )
    assert same(function, trials=False) == ([2, 8, 8], 3, 11, [7, 2, 0, 1, 1, 3, 0, 5, 8, 3, 4, 1, 1, 1])


def test_attributes_and_methods() -> None:
    namespace = defined(
        """
class Base:
    def get(self):
        return self.x

class Sub(Base):
    __limit = 3

    def get(self, more=1, *, scale=2):
        for self.k in range(10):
            if self.__limit == self.k:
                break
            self.x += more
        else:
            return None
        while True:
            return super().get() * scale

f = Sub.get
"""
    ).__globals__
    made = converted(namespace["f"], Plain())
    for function in (namespace["f"], made):
        owner = namespace["Sub"]()
        owner.x = 1
        assert (function(owner), function(owner, 2, scale=1), owner.k) == (8, 10, 3)
    assert made.__code__.co_qualname == "Sub.get"


def test_closures_defaults_and_globals_are_shared() -> None:
    function = defined(
        """
count = 0
def outer(n):
    total = 0
    def f(x, step=n):
        global count
        nonlocal total
        for i in range(x):
            count += step
            total += i
            if total > 5:
                return lambda: (i, total)
        return lambda: (total,)
    return f
f = outer(10)
"""
    )
    made = converted(function, Plain())
    assert function(3)() == (3,)
    assert made(4)() == (2, 6)
    assert function.__globals__["count"] == 60


def test_lambdas_are_found_by_their_place() -> None:
    function = defined("f, g = (lambda x: x[0] if x else None), (lambda x: x[1] if x else None)")
    for name in ("f", "g"):
        assert same(function.__globals__[name], [1, 2]) == (1 if name == "f" else 2)
    function = defined("f = lambda x, g=(lambda y: y + 5), *, h=(lambda z: z + 7): g(x) if x > 0 else h(x)")
    assert [same(function, x) for x in (1, -1)] == [6, 6]


@pytest.mark.filterwarnings("ignore:'return' in a 'finally':SyntaxWarning")
def test_what_is_left_alone() -> None:
    for text in (
        "def f(): yield 1",
        "async def f(): return 1",
        "x = 1\ndef f():\n  global x\n  return (x := 3)",
        "def f():\n  try:\n    pass\n  finally:\n    return 1",
    ):
        function = defined(text)
        assert converted_code(function) is function.__code__
    namespace: dict[str, Any] = {}
    exec("def f(): return 1", namespace)
    assert converted_code(namespace["f"]) is namespace["f"].__code__, "it has no source"


def test_errors_show_the_users_line() -> None:
    function = defined("def f(x):\n  for i in range(3):\n    if i == 1:\n      x.nothing\n  return x")
    made = converted(function, Plain())
    with pytest.raises(AttributeError, match="nothing") as raised:
        made(1)
    last = raised.traceback[-1]
    assert (last.lineno + 1, last.name) == (4, "f branch")
    assert last.frame.code.raw.co_filename == function.__code__.co_filename


def test_a_state_holds_what_is_read_later_and_no_more() -> None:
    """`t` is bound in each turn before it is read, and not read behind the loop; `k` is read in the next turn alone."""
    found: list[State] = []

    class Recorder(Plain):
        def for_(self, iterable: Any, body: Any, state: State, *, stop: Any, line: int) -> None:
            found.append(state)
            super().for_(iterable, body, state, stop=stop, line=line)

    function = defined(
        """
def f(xs):
    s = k = 0
    for x in xs:
        t = x * 2
        k = k + t
        s += k
        last = t
    return s + last
"""
    )
    made = converted(function, Recorder())
    assert made([1, 2]) == 12
    (state,) = found
    assert (state.names, state.after) == (("k", "last", "s"), {"last", "s"})
    assert state.get() == (6, 4, 8)
    state.set((UNBOUND, 1, 2))
    assert state.get() == (UNBOUND, 1, 2)


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("def f(x):\n  if x > 1: return 1\n  elif x > 0: return 2\n", (0,)),
        ("def f(x):\n  match x:\n    case [a, *b] if a: return b\n    case {'k': v, **r}: x = v, r\n  return x", ([1, 2],)),
        ("def f(x):\n  match x:\n    case [a, *b] if a: return b\n    case {'k': v, **r}: x = v, r\n  return x", ({"k": 1},)),
        ("def f(x):\n  y: int = x\n  z: int\n  return y if x else z", (0,)),
        ("def f(x):\n  import math as m\n  from math import pi\n  return m.floor(pi) if x else m", (1,)),
        ("def f(x):\n  class A:\n    y = x\n    def g(self): return [self.y for _ in range(2)]\n  return A().g()", (1,)),
        ("def f(*xs, **ks):\n  for x in xs:\n    if x: continue\n    return f(*xs[1:], **ks)\n  return xs, ks", (0, 1)),
        ("def f(x):\n  '''Doc.'''\n  while (y := x - 1) > 0: x = y\n  return f.__doc__, x, y", (4,)),
        ("def f(x):\n  while x:\n    x -= 1\n    for y in 'ab':\n      if x: break\n    else: continue\n    break", (4,)),
        ("def f(x):\n  with open('/nowhere') as g: return g", (4,)),
        ("def f(x):\n  for i in range(3):\n    try:\n      if x: break\n    finally:\n      x += 1\n  return i, x", (0,)),
    ],
)  # fmt: skip
def test_other_statements(text: str, args: tuple[object, ...]) -> None:
    same(defined(text), *args)
