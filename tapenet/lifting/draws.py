"""Random numbers inside of lifted functions: NumPy's generators, with the numbers that NumPy draws. In a program that is being
recorded each draw is made anew at every run, and so is each seeding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.namespace import OBJECTS, STANDS
from tapenet.ops.derived import array_like, holds_tensors
from tapenet.ops.op import op
from tapenet.typing import Array


@op(random=True, label="random draw")
def stream_draw(sample: Callable[[], object], source: object) -> Array:
    """What a function draws from a generator of NumPy's, `source`. The function is called at every run of a program."""
    return np.asarray(sample())


def _traces() -> bool:
    tape = local.state.tape
    return tape is not None and tape.captures


#: Distributions that are another one moved and stretched: the names of what moves and what stretches it, with what they are by
#: default, and what draws the other one. NumPy draws the same numbers.
_MOVED: Mapping[str, tuple[tuple[str, float], tuple[str, float], str, tuple[float, ...]]] = {
    "normal": (("loc", 0.0), ("scale", 1.0), "normal", (0.0, 1.0)),
    "lognormal": (("mean", 0.0), ("sigma", 1.0), "normal", (0.0, 1.0)),
    "laplace": (("loc", 0.0), ("scale", 1.0), "laplace", (0.0, 1.0)),
    "logistic": (("loc", 0.0), ("scale", 1.0), "logistic", (0.0, 1.0)),
    "gumbel": (("loc", 0.0), ("scale", 1.0), "gumbel", (0.0, 1.0)),
    "exponential": (("", 0.0), ("scale", 1.0), "exponential", (1.0,)),
    "rayleigh": (("", 0.0), ("scale", 1.0), "rayleigh", (1.0,)),
    "uniform": (("low", 0.0), ("high", 1.0), "uniform", (0.0, 1.0)),
}


class Stream:
    """Stands for a generator of NumPy's: what it draws are tensors. Distributions that are a fixed one moved and stretched have
    derivatives by what moves and stretches them."""

    def __init__(self, source: object) -> None:
        self._source = source

    def _ask(self, name: str, *args: object, **kwargs: object) -> object:
        """Call a method of the generator."""
        return getattr(self._source, name)(*args, **kwargs)

    def __getattr__(self, name: str) -> object:
        method = getattr(self._source, name)
        if not callable(method) or name.startswith("_") or name in ("get_state", "spawn"):
            return method

        def draw(*args: object, **kwargs: object) -> object:
            if name in _MOVED and holds_tensors([*args, *kwargs.values()]):
                return self._moved(name, *args, **kwargs)
            given = [_values(name, v) for v in args], {n: _values(name, v) for n, v in kwargs.items()}
            return self._drawn(lambda: method(*given[0], **given[1]))

        return draw

    def _drawn(self, sample: Callable[[], object]) -> object:
        """What a function draws: arrays as tensors, numbers as they are; in a program an op that draws at every run."""
        if _traces():
            return stream_draw(sample, self._source)
        found = sample()
        return Tensor._of(found) if isinstance(found, np.ndarray) else found

    def _begun(self, begin: Callable[[], object]) -> None:
        """Do what seeds the generator, in a program at every run."""

        def sample() -> int:
            begin()
            return 0

        stream_draw(sample, self._source)

    def _moved(self, name: str, *args: object, **kwargs: object) -> object:
        """A distribution whose parameters are tensors."""
        (move, least), (stretch, most), fixed, numbers = _MOVED[name]
        names = [n for n in (move, stretch, "size") if n]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        by, over, size = given.get(move, least), given.get(stretch, most), given.get("size")
        if size is None:
            size = np.broadcast_shapes(array_like(by).shape, array_like(over).shape)
        draw = getattr(self._source, fixed)
        unit = self._drawn(lambda: np.asarray(draw(*numbers, size)))
        found = ops.add(by, ops.multiply(ops.subtract(over, by) if name == "uniform" else over, unit))
        return ops.exp(found) if name == "lognormal" else found

    # -- what changes its argument, or takes from it --------------------------------------------------------------

    def _order(self, length: int) -> object:
        """The order that the elements of an array would be brought to."""

        def order() -> object:
            places = np.arange(length)
            self._ask("shuffle", places)
            return places

        return self._drawn(order)

    def shuffle(self, x: object, axis: int = 0) -> None:
        """Bring the parts of `x` along an axis into random order, in place."""
        if not isinstance(x, Tensor):
            if _traces():
                raise TypeError(
                    "shuffle of a list changes it once, where the program is recorded: shuffle an array of indices"
                )
            self._ask("shuffle", x, *([axis] if axis else []))
            return
        x[...] = ops.take(x, self._order(x.shape[axis]), axis)

    def permutation(self, x: object, axis: int = 0) -> object:
        """The parts of `x` in random order; of a number n those from 0 to n - 1."""
        if isinstance(x, Tensor) and x.ndim:
            return ops.take(x, self._order(x.shape[axis]), axis)
        given = _values("permutation", x)
        return self._drawn(lambda: self._ask("permutation", given))

    def choice(
        self, a: object, size: object = None, replace: bool = True, p: object = None, *args: int, **kwargs: int
    ) -> object:
        """Some of the parts of `a`."""
        chance = _values("choice", p)
        if not (isinstance(a, Tensor) and a.ndim):
            among = _values("choice", a)
            return self._drawn(lambda: self._ask("choice", among, size, replace, chance, *args, **kwargs))
        axis = args[0] if args else kwargs.get("axis", 0)
        length = a.shape[axis]
        rest = {} if isinstance(self._source, np.random.RandomState) else {"shuffle": kwargs.get("shuffle", True)}
        return ops.take(a, self._drawn(lambda: self._ask("choice", length, size, replace, chance, **rest)), axis)

    def seed(self, seed: object = None) -> None:
        """Begin anew, so that what follows can be repeated."""
        value = _values("seed", seed)
        self._begun(lambda: self._ask("seed", value))


def _values(name: str, value: object) -> object:
    """The values of an argument that nothing is derived by.

    Raises:
        TypeError: a gradient is asked by it, or it differs from run to run of a program.
    """
    if not isinstance(value, Tensor):
        return value
    if value._node is not None:
        raise TypeError(
            f"{name}: there is no derivative by what a random number is drawn with here: distributions that are moved and "
            f"stretched have one ({', '.join(_MOVED)}); or give the values alone, t.detach()"
        )
    return value.numpy() if value.ndim else value.item()


def _refuse_bits(seed: object) -> None:
    """Refuse a generator that a program would not begin anew."""
    if _traces() and isinstance(seed, (np.random.BitGenerator, np.random.SeedSequence, Stream)):
        raise CaptureError(
            f"a random generator is made of a {type(seed).__name__} in a function that is being captured: a program would go "
            "on with its numbers where the function begins anew. Make it by np.random.default_rng(seed), or outside"
        )


class Generator(Stream):
    """Stands for `np.random.Generator`."""

    def __init__(self, bit_generator: np.random.BitGenerator) -> None:
        _refuse_bits(bit_generator)
        super().__init__(np.random.Generator(bit_generator))


class RandomState(Stream):
    """Stands for `np.random.RandomState`."""

    def __init__(self, seed: object = None) -> None:
        _refuse_bits(seed)
        super().__init__(np.random.RandomState(cast("int", _values("RandomState", seed))))
        if seed is not None:
            self._restart()

    def _restart(self) -> None:
        state = self._ask("get_state", legacy=False)
        self._begun(lambda: self._ask("set_state", state))


def default_rng(seed: object = None) -> Generator:
    """Stands for `np.random.default_rng`."""
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, np.random.Generator):
        return cast("Generator", stands_for(seed))
    _refuse_bits(seed)
    made = np.random.default_rng(cast("int", _values("default_rng", seed)))
    stands = cast("Generator", stands_for(made))
    if seed is not None:
        state = made.bit_generator.state
        stands._begun(lambda: setattr(made.bit_generator, "state", state))
    return stands


def stands_for(source: np.random.Generator | np.random.RandomState) -> Stream:
    """What stands for a generator from outside."""
    made = object.__new__(Generator if isinstance(source, np.random.Generator) else RandomState)
    Stream.__init__(made, source)
    return made


_everybodys = stands_for(np.random.mtrand._rand)
for _name in dir(np.random):
    _method = getattr(np.random, _name)
    if getattr(_method, "__self__", None) is np.random.mtrand._rand:
        STANDS[_method] = getattr(_everybodys, _name)
STANDS |= {
    np.random.default_rng: default_rng, np.random.Generator: Generator, np.random.RandomState: RandomState,
    np.random.seed: _everybodys.seed, np.random.ranf: _everybodys.random_sample, np.random.sample: _everybodys.random_sample,
}  # fmt: skip
OBJECTS |= dict.fromkeys((np.random.Generator, np.random.RandomState), lambda _, source: stands_for(source))
