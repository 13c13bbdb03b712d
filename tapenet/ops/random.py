"""Random numbers: one generator for the process, seeded by `tn.random.seed`.

Everything that draws takes `rng=` too: a generator, or an integer to make one from. `numpy.random` is imported at the
first draw, not with the package.

What is drawn are plain arrays. While a step is being captured they are tensors: the draw is an op of the step, made
anew from the same generator at every replay.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tapenet import locks
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array, DType, StateDict

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

_default: np.random.Generator | None = None
#: The threads that asked for the process's generator; None unless a capture watches them.
asked: set[int] | None = None


def seed(value: int | None) -> None:
    """Begin the process's generator anew, so that what follows can be repeated. None: from fresh entropy.

    >>> import tapenet as tn
    >>> tn.random.seed(0)
    >>> first = tn.random.uniform(size=3)
    >>> tn.random.seed(0)
    >>> bool((tn.random.uniform(size=3) == first).all())
    True
    """
    negative = isinstance(value, (int, np.integer)) and value < 0
    if negative or isinstance(value, (str, bytes, float)):
        raise (ValueError if negative else TypeError)(
            f"tn.random.seed({value!r}): a seed is an integer of 0 or more, a sequence of them, or None for fresh entropy"
        )
    random_draw(lambda rng: _begin(value))


def _begin(value: int | None) -> int:
    global _default
    _default = np.random.default_rng(value)
    return 0


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """The generator that `rng=` means: itself, a new one from an integer, or for None the process's own.

    Raises:
        TypeError: `rng` is something else.

    >>> import tapenet as tn
    >>> tn.random.generator() is tn.random.generator()
    True
    """
    global _default
    if rng is None:
        known = asked  # read once: another thread may end the watch meanwhile
        if known is not None:
            known.add(get_ident())
        if _default is None:
            _default = np.random.default_rng()
        return _default
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        return np.random.default_rng(rng)
    raise TypeError(
        f"rng={rng!r} is a {type(rng).__name__}: give a NumPy generator (np.random.default_rng(...)), an integer, or "
        "None for the one that tn.random.seed seeds"
    )


def _forked() -> None:
    """Another thread may have been drawing when this process was forked."""
    if _default is not None:
        locks.free(_default.bit_generator.lock)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def places_of_generators() -> tuple[object, ...]:
    """Where the process's generator and NumPy's global one are, to see whether either was drawn from."""
    numpys: object = None
    if "numpy.random" in sys.modules:
        whole = np.random.get_state(legacy=False)
        state = whole["state"]
        # Of two normal numbers that are drawn at once the second is kept.
        numpys = state["key"].tobytes(), state["pos"], whole["has_gauss"], whole["gauss"]
    return numpys, None if _default is None else str(_default.bit_generator.state)


def get_state() -> StateDict:
    """Where the process's generator is: a dict of numbers, texts and arrays, which `tn.save` takes. Call it outside of
    compiled functions: in one it would always give the state at the capture.

    >>> import tapenet as tn
    >>> state = tn.random.get_state()
    >>> first = tn.random.uniform(size=3)
    >>> tn.random.set_state(state)
    >>> bool((tn.random.uniform(size=3) == first).all())
    True
    """
    state: StateDict = dict(generator().bit_generator.state)
    return state


def set_state(state: Mapping[str, object]) -> None:
    """Put the process's generator where it was when `get_state` was called; compiled steps draw from it too.

    Raises:
        ValueError: this is no such state; the generator is as it was.
    """
    name = state.get("bit_generator") if isinstance(state, Mapping) else None
    kind = getattr(np.random, name, None) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)):
        raise ValueError(
            "tn.random.set_state takes what tn.random.get_state gave, a dict with the name of a NumPy bit generator under "
            f"'bit_generator'; this one has {name!r}"
        )

    bits = kind()
    try:
        bits.state = dict(state)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"tn.random.set_state: this is no state of a {name}: {error!r}") from None
    random_draw(lambda _: _put(bits))


def _put(bits: np.random.BitGenerator) -> int:
    global _default
    if _default is not None and type(_default.bit_generator) is type(bits):
        _default.bit_generator.state = bits.state  # who holds the generator goes on with it
    else:
        own = type(bits)()
        own.state = bits.state
        _default = np.random.Generator(own)
    return 0


class Saved:
    """The state of a generator, for None of the process's own. A call restores it."""

    def __init__(self, rng: np.random.Generator | None = None, outer: Saved | None = None) -> None:
        """`outer` is what was saved for a step around this one."""
        self.rng = rng
        self._before = self._now()
        self._seen: _Seen = _Seen(self._before) if outer is None else outer._seen

    def _now(self) -> tuple[np.random.Generator | None, Any]:
        rng = _default if self.rng is None else self.rng
        return rng, None if rng is None else rng.bit_generator.state

    def draws(self) -> None:
        """Called before a step draws. With `drew` after it, `disturbed` can tell draws of others."""
        self._seen.alone = self._seen.alone and equal_states(self._now(), self._seen.last)

    def drew(self) -> None:
        """Called after the step has drawn."""
        self._seen.last = self._now()

    def disturbed(self) -> bool:
        """Whether something else drew, such as another thread. Its numbers must not be drawn again."""
        self.draws()
        return not self._seen.alone

    def __call__(self) -> None:
        global _default
        rng, state = self._before
        if self.rng is None:
            _default = rng
        if rng is not None:
            rng.bit_generator.state = state
        self._seen.last = self._before


class _Seen:
    """What all who save a generator share: its state after their own draws, and whether others drew too."""

    __slots__ = ("alone", "last")

    def __init__(self, last: object) -> None:
        self.last = last
        self.alone = True


def equal_states(a: Any, b: Any) -> bool:
    """Whether two states of a generator are the same."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal_states(v, b[k]) for k, v in a.items())
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal_states, a, b))
    return a is b or bool(np.array_equal(a, b))


@op(
    label="random draw",
    random=True,
    samples=lambda r: [sample(lambda rng: rng.random((2, 3)), 5), sample(lambda rng: rng.random(), rng=1)],
)
def random_draw(sample: Callable[[np.random.Generator], Any], rng: Any = None) -> Any:
    """Random numbers that are drawn anew at every replay of a captured step: `sample(generator)` as an array. The
    samplers of `tn.random` are this.

    Args:
        sample: a function of a NumPy generator that draws from it.
        rng: a generator or an integer to draw from; by default the generator that `tn.random.seed` seeds. An integer
            means a new generator at every draw.

    Raises:
        TypeError: `rng` is something else.

    >>> import tapenet as tn
    >>> tn.random_draw(lambda rng: rng.triangular(-1, 0, 1, size=3), rng=0).shape
    (3,)
    """
    return np.asarray(sample(generator(rng)))


@dataclass(frozen=True)
class Sampler:
    """Draws numbers from a generator, and says what they are: native code may draw the same.

    Attributes:
        kind: what it draws.
        size: the shape.
        joins: whether many draws, in order, are one draw of as many numbers.
    """

    kind: ClassVar[str]
    joins: ClassVar[bool]
    size: tuple[int, ...]

    def __call__(self, rng: np.random.Generator) -> Array:
        raise NotImplementedError

    @staticmethod
    def generator() -> np.random.Generator:
        """The process's own, from which it is drawn by default."""
        return generator()

    def of_size(self, size: tuple[int, ...]) -> Self:
        """What draws the same of another shape."""
        return replace(self, size=size)


@dataclass(frozen=True)
class Standard(Sampler):
    """Draws numbers from a distribution without parameters.

    Attributes:
        method: the generator's: "random", "standard_normal", "standard_exponential".
        dtype: in which it draws, float32 or float64.
    """

    method: str
    dtype: DType
    kind = "floats"
    joins = True

    def __call__(self, rng: np.random.Generator) -> Array:
        return np.asarray(getattr(rng, self.method)(self.size, self.dtype.type))


@dataclass(frozen=True)
class Integers(Sampler):
    """Draws whole numbers from `low` to `high` - 1; from 0 to `low` - 1 where `high` is None."""

    low: int
    high: int | None
    dtype: DTypeLike
    kind = "integers"

    def __call__(self, rng: np.random.Generator) -> Array:
        return np.asarray(rng.integers(self.low, self.high, self.size, self.dtype))

    @property
    def ends(self) -> tuple[int, int] | None:
        """The smallest and the largest one; None where NumPy has to look at what is asked for."""
        dtype = np.dtype(self.dtype)
        if not all(type(n) is int for n in (self.low, self.high or 0)) or dtype.kind not in "iu":
            return None
        first, last = (0, self.low - 1) if self.high is None else (self.low, self.high - 1)
        info = np.iinfo(dtype)
        return (first, last) if info.min <= first <= last <= info.max else None

    @property
    def joins(self) -> bool:  # type: ignore[override]
        """Of shorter numbers several are made of the bits of one."""
        return self.ends is not None and np.dtype(self.dtype).itemsize >= 4


@dataclass(frozen=True)
class Chances(Sampler):
    """Draws truths as `chances` does: `value` with probability `p`, else the other one."""

    p: float
    value: bool = True
    kind = "chances"
    joins = False

    def __call__(self, rng: np.random.Generator) -> Array:
        found = chances(rng, self.size, self.p)
        return found if self.value else np.logical_not(found, found)


Shape = int | tuple[int, ...]


def _size(size: Shape | None, *parameters: ArrayLike) -> Shape:
    """The shape to draw, which for None is that of the parameters."""
    shape = np.broadcast_shapes(*map(np.shape, parameters))
    if size is None or shape == ():
        return shape if size is None else size
    wanted = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    try:
        fits = np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"size={size} does not fit parameters of shape {shape}: leave it out, or give one they broadcast to"
        )
    return wanted


def _native(dtype: DTypeLike) -> tuple[DType, Any]:
    """The dtype asked for, and the one NumPy draws it in."""
    wanted = np.dtype(dtype)
    if wanted.kind != "f":
        raise TypeError(f"dtype={wanted}: these are drawn as floats; for whole numbers use tn.random.integers")
    return wanted, np.float32 if wanted.itemsize <= 4 else np.float64


def draw(sample: Callable[[np.random.Generator], ArrayLike], rng: np.random.Generator | int | None = None) -> Array:
    """What a function draws from a generator: for distributions that are not here. In a compiled function it is drawn
    anew at every call.

    Args:
        sample: a function of a NumPy generator.
        rng: a generator, or an integer to make one from; by default the generator that `tn.random.seed` seeds.

    >>> import tapenet as tn
    >>> tn.random.draw(lambda rng: rng.laplace(size=3), rng=0).shape
    (3,)
    """
    return random_draw(sample, rng)  # type: ignore[no-any-return]


def uniform(
    low: ArrayLike = 0.0,
    high: ArrayLike = 1.0,
    size: Shape | None = None,
    dtype: DTypeLike = np.float64,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """Numbers spread evenly over [low, high), which may be arrays; `size` is by default their shape.

    >>> import tapenet as tn
    >>> tn.random.uniform(-1, 1, (2, 3), "float32", rng=0).shape
    (2, 3)
    """
    wanted, native = _native(dtype)
    size = _size(size, low, high)

    def draw(rng: np.random.Generator) -> Array:
        drawn = np.asarray(rng.random(size, native))
        drawn *= np.asarray(np.subtract(high, low), native)
        drawn += low
        return drawn.astype(wanted, copy=False)

    return random_draw(draw, rng)  # type: ignore[no-any-return]


def normal(
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    size: Shape | None = None,
    dtype: DTypeLike = np.float64,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """Numbers from the normal distribution of mean `loc` and standard deviation `scale`, which may be arrays; `size` is by
    default their shape.

    >>> import tapenet as tn
    >>> tn.random.normal(size=3, rng=0).shape
    (3,)
    """
    wanted, native = _native(dtype)
    size = _size(size, loc, scale)

    def draw(rng: np.random.Generator) -> Array:
        drawn = np.asarray(rng.standard_normal(size, native))
        drawn *= scale
        drawn += loc
        return drawn.astype(wanted, copy=False)

    return random_draw(draw, rng)  # type: ignore[no-any-return]


def integers(
    low: int,
    high: int | None = None,
    size: Shape = (),
    dtype: DTypeLike = np.int64,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """Whole numbers from low to high - 1, all equally likely (with one argument: from 0 to low - 1).

    >>> import tapenet as tn
    >>> int(tn.random.integers(1))
    0
    """
    shape = (size,) if isinstance(size, (int, np.integer)) else () if size is None else tuple(size)
    return random_draw(Integers(shape, low, high, dtype), rng)  # type: ignore[no-any-return]


def permutation(n: int, rng: np.random.Generator | int | None = None) -> NDArray[np.int64]:
    """The numbers 0 to n - 1 in random order.

    >>> import tapenet as tn
    >>> sorted(tn.random.permutation(3).tolist())
    [0, 1, 2]
    """
    return random_draw(lambda rng: rng.permutation(n), rng)  # type: ignore[no-any-return]


def probability(p: float) -> None:
    """Refuse what is no probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"p={p} is no probability: give a number from 0 to 1")


def chances(rng: np.random.Generator, shape: Shape, p: float) -> NDArray[np.bool_]:
    """Independent truths that are True with probability `p`, exactly: a random byte decides each.

    Bytes below 256 p are True. Where 256 p is not whole, the one byte in 256 that equals its whole part is decided by
    a second draw. So a truth costs little more than eight random bits; a float32 draw costs six times as much.
    """
    count = math.prod(shape) if isinstance(shape, tuple) else int(shape)
    words = rng.integers(0, 0xFFFF_FFFF_FFFF_FFFF, -(-count // 8), np.uint64, endpoint=True)
    drawn = words.view(np.uint8)[:count]
    part, whole = math.modf(p * 256)
    found = drawn < whole if whole < 256 else np.ones(count, np.bool_)
    if part:
        ties = np.flatnonzero(drawn == int(whole))
        found[ties] = rng.random(ties.size) < part
    return found.reshape(shape)
