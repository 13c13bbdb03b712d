"""What the checks of layers, losses, optimizers and the like have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import BACKENDS, available_backend
from tapenet.ops import random
from tapenet.program.trees import tree_leaves
from tapenet.typing import Array


class Findings:
    """The name of a check and of what it looks at, which begin each of its errors."""

    def __init__(self, check: str, subject: object) -> None:
        self.title = f"{check}({name_of(subject)})"

    def fail(self, text: str, cause: Exception | None = None) -> NoReturn:
        """Raise AssertionError with this text."""
        raise AssertionError(f"{self.title}: {text}") from cause


def name_of(value: object) -> str:
    """A function or class by its name, anything else by that of its class.

    >>> name_of(np.sin), name_of(3)
    ('sin', 'int')
    """
    wrapped = getattr(value, "func", None)  # of functools.partial
    if callable(wrapped):
        return name_of(wrapped)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    return str(name).rpartition("<locals>.")[2] if isinstance(name, str) else type(value).__name__


def has_home(cls: type) -> bool:
    """Whether a class is found in its module by its name, as pickle wants it: one made in a function is not."""
    return getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls


def backends() -> Sequence[str]:
    """The backends of the compiler that there are."""
    return [name for name in BACKENDS if name != "native" or available_backend() == name]


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """The process's generator begins with a seed, and is where it was afterwards; so is NumPy's global one."""
    state, numpys = random.get_state(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.set_state(state)
        np.random.set_state(numpys)


def place_of_numpys() -> str:
    """Where NumPy's global generator is."""
    return str(np.random.get_state(legacy=False))


def arrays(tree: object) -> list[Array]:
    """The arrays of what a function returned, of its tensors too."""
    return [np.asarray(leaf.data if isinstance(leaf, Tensor) else leaf) for leaf in tree_leaves(tree)]


def floats(tree: object) -> list[Tensor]:
    """The tensors of floating-point numbers in what a function returned."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.dtype.kind in "fc"]


def difference(found: Sequence[Array], expected: Sequence[Array], rounding: float = 0.0) -> str:
    """How the arrays of one run differ from those of another; empty if they do not."""
    if len(found) != len(expected):
        return f"{len(found)} arrays against {len(expected)}"
    for a, b in zip(found, expected, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{a.dtype}{list(a.shape)} against {b.dtype}{list(b.shape)}"
        if a.dtype.kind not in "fc":
            equal = np.asarray(a == b)
        elif rounding:
            scale = float(np.abs(b[np.isfinite(b)]).max(initial=1.0))
            equal = np.isclose(a, b, rounding, rounding * scale, equal_nan=True)
        else:
            equal = (a == b) | ((a != a) & (b != b))
        if not equal.all():
            at = tuple(int(k) for k in np.argwhere(~equal)[0])
            return f"{a[at]:.8g} against {b[at]:.8g} at {at}"
    return ""


def derivative(value: Callable[[float], float], eps: float = 1e-6) -> float:
    """The derivative of a function at 0, by a central difference.

    >>> round(float(derivative(np.exp)), 6)
    1.0
    """
    return float(value(eps) - value(-eps)) / (2 * eps)


def has_kink(value: Callable[[float], float], eps: float = 1e-6) -> bool:
    """Whether a function has another derivative to the right of 0 than to the left.

    >>> has_kink(abs), has_kink(np.exp)
    (True, False)
    """
    middle = value(0.0)
    right, left = (value(eps) - middle) / eps, (middle - value(-eps)) / eps
    return bool(abs(right - left) > 0.01 * max(1.0, abs(right), abs(left)))


def attempt(findings: Findings, what: str, run: Callable[[], object]) -> object:
    """The result of a function; where it raises, a finding that says while doing what."""
    try:
        return run()
    except Exception as error:
        if isinstance(error, AssertionError) and str(error).startswith(findings.title):
            raise  # it says already what is wrong
        findings.fail(f"{what}: {type(error).__name__}: {error}", error)
