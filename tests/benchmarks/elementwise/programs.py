"""Long elementwise programs: Python written for each length, seeded.

Horner's rule on two arrays and one that may broadcast, quotients of such sums, roots, a logarithm now and then, and values that
are used again far behind, as in an equation of state of sea water.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.side_by_side import cores

#: Instructions between two logarithms.
RARE = 150
#: How the third array broadcasts to the first two, by the shape of these: (8, 4) elements and a multiple of that.
FORMS = {
    "full": lambda n: ((n,), (n,)),
    "inner": lambda n: ((n // 32, 8, 4), (1, 1, 4)),
    "middle": lambda n: ((n // 32, 8, 4), (1, 8, 1)),
    "outer": lambda n: ((n // 64, 64), (n // 64, 1)),
}


class Source(NamedTuple):
    """A program: its lines, and the name of what it computes."""

    lines: list[str]
    result: str


def written(length: int, seed: int = 0) -> Source:
    """A program of so many elementwise instructions on `x`, `y` and `z`, from 0.1 to 1 all of them; and so remain, up to some
    power of ten, all values on the way."""
    r = np.random.default_rng(seed)
    lines: list[str] = []
    values: list[str] = []
    waiting: dict[str, None] = {}  # values that nothing has used

    def earlier(count: int = 0) -> str:
        found = str(r.choice(values[-count:]))
        waiting.pop(found, None)
        return found

    def emit(text: str) -> str:
        lines.append(f"t{len(lines)} = {text}")
        return f"t{len(lines) - 1}"

    def number() -> str:
        return f"{r.choice([-1, 1]) * r.uniform(0.1, 0.9):.3f}"

    def polynomial() -> str:
        inner = emit(f"{r.choice(['x', 'y', 'z'])} * {number()}")
        for _ in range(int(r.integers(1, 5))):
            inner = emit(f"{inner} + {earlier(9) if values and r.random() < 0.3 else number()}")
            inner = emit(f"{inner} * {r.choice(['x', 'y', 'z'])}")
        return inner

    rare = 0
    while len(lines) + len(waiting) < length - 12:
        p = polynomial()
        q = earlier() if values and r.random() < 0.6 else polynomial()  # far behind, too
        kind = r.random()
        if len(lines) // RARE > rare:
            rare += 1
            square = emit(f"{p} * {p}")
            values.append(emit(f"log({emit(f'{square} + 1.25')})"))
        elif kind < 0.15:
            square = emit(f"{p} * {p}")
            values.append(emit(f"sqrt({emit(f'{square} + 0.5')})"))
        elif kind < 0.4:
            square = emit(f"{q} * {q}")
            values.append(emit(f"{p} / {emit(f'{square} + 1.5')}"))
        else:
            values.append(emit(f"{emit(f'{p} * {q}')} - {number()}"))
            values[-1] = emit(f"{values[-1]} * 0.3")
        waiting[values[-1]] = None
    result, *others = waiting
    for other in others:
        result = emit(f"{result} + {other}")
    while len(lines) < length:
        result = emit(f"{result} * {number()}")
    return Source(lines, result)


def function(source: Source, namespace: dict[str, Any]) -> Callable[..., Any]:
    """A function `f(x, y, z)` of a program, with `sqrt` and `log` from a namespace."""
    body = "\n".join(f"    {line}" for line in source.lines)
    made = {"sqrt": namespace["sqrt"], "log": namespace["log"]}
    exec(f"def f(x, y, z):\n{body}\n    return {source.result}\n", made)
    found: Callable[..., Any] = made["f"]
    return found


def loops(source: Source, dtype: np.dtype, domain: tuple[int, ...], third: tuple[int, ...]) -> Callable[..., Any]:
    """The same as a loop over elements by Numba, dealt out to threads where there are several. Its numbers are of the dtype
    too."""
    # Loaded here: only one side needs it.
    import numba

    def rounded(line: str) -> str:
        return re.sub(r"(?<![\w.])-?\d+\.\d+", lambda m: f"real({m[0]})", line)

    indices = "ijk"[: len(domain)]
    heads = [f"for {i} in range({n}):" for i, n in zip(indices, domain, strict=True)]
    heads[0] = heads[0].replace("range", "prange")
    inner = "".join(f"{'    ' * (d + 1)}{head}\n" for d, head in enumerate(heads))
    deep = "    " * (len(domain) + 1)
    at = ", ".join(indices)
    part = ", ".join("0" if n == 1 else i for i, n in zip(indices, third, strict=True))
    body = "".join(f"{deep}{rounded(line)}\n" for line in source.lines)
    text = f"def f(xs, ys, zs, out):\n{inner}{deep}x, y, z = xs[{at}], ys[{at}], zs[{part}]\n{body}"
    text += f"{deep}out[{at}] = {source.result}\n"
    made: dict[str, Any] = {"sqrt": np.sqrt, "log": np.log, "real": dtype.type, "prange": numba.prange}
    exec(text, made)
    compiled = numba.njit(made["f"], boundscheck=False, parallel=cores() > 1)

    def run(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        compiled(x, y, z, out)
        return out

    return run


class Case(NamedTuple):
    """What is measured: instructions, elements, dtype, how the third array broadcasts, with gradient or not."""

    length: int
    size: int
    dtype: str
    form: str
    gradient: bool

    def arrays(self) -> list[np.ndarray]:
        """Its three arguments."""
        r = np.random.default_rng(1)
        domain, third = FORMS[self.form](self.size)
        return [r.uniform(0.1, 1, shape).astype(self.dtype) for shape in (domain, domain, third)]
