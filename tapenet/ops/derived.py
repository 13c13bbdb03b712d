"""Functions composed of ops: registered, documented and tested as ops are, but recorded as their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np

from tapenet import kernels
from tapenet.ops import standing
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.recorder import installed
from tapenet.ops.registry import Samples, registry, ufunc_method
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

R = TypeVar("R")


class Derived:
    """A function composed of ops: registered, documented and tested as an op is, but recorded as its parts."""

    def __init__(
        self, function: Callable[..., object], *, numpy: object, samples: Samples | None, nondiff: bool, inplace: bool,
        replaces: bool | None, makes: bool,
    ) -> None:  # fmt: skip
        self.function = self.__wrapped__ = function
        self.name = self.__name__ = self.__qualname__ = function.__name__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__
        self.numpy = tuple(numpy) if isinstance(numpy, (tuple, list)) else (numpy,)
        self.samples = samples
        self.differentiable = not nondiff
        #: Whether it changes its first argument and returns nothing.
        self.inplace = inplace
        #: Whether it only moves numbers and computes none: then low types need not be widened for it.
        self.replaces = inplace or makes if replaces is None else replaces
        #: Whether it makes tensors of whatever it is given.
        self.makes = makes
        standing.check(self.name, self.numpy, makes)
        registry[f"{self.__module__}.{self.name}"] = self
        standing.stand(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return ufunc_method(self, name)

    @property
    def returning(self) -> Callable[..., object]:
        """The function that returns what it computes: itself, or if it works in place one that changes a copy."""
        return pure(self) if self.inplace else self

    def __repr__(self) -> str:
        return f"<derived op {self.name}>"

    def __reduce__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: object) -> Derived:
        return self


@overload
def derived(function: Callable[..., R], /) -> Callable[..., R]: ...
@overload
def derived(
    *, numpy: object = (), samples: Samples | None = None, nondiff: bool = False, inplace: bool = False,
    replaces: bool | None = None, makes: bool = False,
) -> Callable[[Callable[..., R]], Callable[..., R]]: ...  # fmt: skip
def derived(
    function: Callable[..., object] | None = None, /, *, numpy: object = (), samples: Samples | None = None,
    nondiff: bool = False, inplace: bool = False, replaces: bool | None = None, makes: bool = False,
) -> object:  # fmt: skip
    """Make a function of ops and NumPy functions stand beside ops: it may stand for a NumPy function, and `tn.testing.check_op`
    checks it. It is recorded as its parts, so every derivative follows from theirs.

    It is called with tensors, with arrays, and with whatever else ops take. `tn.array_like(x)` is an argument as something that
    has a shape; `tn.known(x)` are its values, for a check.

    Args:
        function: the function, which has a name. Without it, this is a decorator: `@tn.derived(numpy=np.sinc)`.
        numpy: the NumPy function(s) it stands for on tensors, as for `tn.op`.
        samples: calls for the tests, as for `tn.op`.
        nondiff: it has no derivative.
        inplace: it changes its first argument by item assignment, and returns nothing.
        replaces: it puts numbers in the place of others and computes none, so that float16 and bfloat16 need not be
            widened for it. By default what works in place or makes tensors does so.
        makes: it makes tensors (by `tn.tensor`) of whatever it is given, as NumPy makes arrays. It stands for NumPy's function
            where that is called with a tensor as `like=`.

    >>> import numpy as np, tapenet as tn
    >>> @tn.derived(samples=lambda r: [tn.sample(r.normal(size=3))])
    ... def rms(x):
    ...     "Root of the mean square."
    ...     return np.sqrt((x * x).mean())
    >>> rms(tn.tensor([3.0, 4.0])).round(3)
    Tensor(3.536)
    >>> tn.testing.check_op(rms)
    """

    def made(function: Callable[..., object]) -> Derived:
        return Derived(
            function, numpy=numpy, samples=samples, nondiff=nondiff, inplace=inplace, replaces=replaces, makes=makes
        )

    return made if function is None else made(function)


def made(array: Array, *, shared: bool = False) -> Array:
    """A tensor around an array, which nobody else has unless it is `shared`.

    >>> import tapenet as tn
    >>> made(np.zeros(2))
    Tensor([0., 0.])
    """
    tensor: Array = installed.recorder.tensor(array, shared)
    return tensor


def known(value: object) -> Any:
    """The values of an argument of a derived function, for checks. None for a tensor while a step is captured: at a
    replay its values differ.

    >>> import tapenet as tn
    >>> tn.known(tn.tensor([1.0, 2.0])), tn.known(3)
    (array([1., 2.]), 3)
    """
    return value if isinstance(value, (np.ndarray, np.generic, int, float)) else installed.recorder.values(value)


def pure(function: Callable[..., object]) -> Callable[..., Array]:
    """A function that works in place on its first argument as one that returns a changed copy.

    >>> import numpy as np, tapenet as tn
    >>> pure(lambda a, value: a.fill(value))(np.zeros(2), 3.0)
    array([3., 3.])
    """

    def changed(a: ArrayLike, *args: object, **kwargs: object) -> Array:
        made = np.copy(a)
        function(made, *args, **kwargs)
        return made

    return changed


def array_like(value: object) -> Array:
    """An argument of a derived function as something with a shape and a dtype: what has them as it is (an array, a
    tensor, a symbol), a sequence with such parts joined by `np.stack`, all else as an array.

    >>> import tapenet as tn
    >>> tn.array_like([1.0, 2.0]).shape
    (2,)
    >>> tn.array_like([1.0, tn.tensor(2.0)])
    Tensor([1., 2.])
    """
    if hasattr(value, "shape"):
        if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
            check_unmasked(value)
        return cast("Array", value)
    if isinstance(value, (list, tuple)) and any(hasattr(v, "shape") or isinstance(v, (list, tuple)) for v in value):
        return np.stack([array_like(v) for v in value])
    return np.asarray(value)


def duplicate(array: Array) -> Array:
    """A copy in the memory order that an array has. A large one begins with a cache line: on what NumPy allocates most kernels
    take 1.05 of the time, some 1.2."""
    if array.nbytes < kernels.SMALL:
        return array.copy("K")
    order = None
    if not array.flags.c_contiguous:
        order = tuple(sorted(range(array.ndim), key=lambda i: -abs(array.strides[i])))
    made: Array = kernels.aligned(array.shape, array.dtype, order)
    made[...] = array
    return made


def array_or_number(value: Any) -> Array:
    """An argument beside others: as `array_like` gives it, except that a Python number stays one, since it does not
    change the dtype of a result.

    >>> array_or_number(2), array_or_number([2])
    (2, array([2]))
    """
    return value if type(value) in (int, float, complex) else array_like(value)


def is_tensor(kind: type) -> bool:
    """Whether a type answers NumPy's functions as arrays do, and is not an array's."""
    return hasattr(kind, "__array_function__") and not issubclass(kind, np.ndarray)


def holds_tensors(value: object) -> bool:
    """Whether a value is a tensor, or a nested sequence with one in it."""
    if not isinstance(value, (list, tuple)):
        return is_tensor(type(value))
    kinds = set(map(type, value))
    if any(map(is_tensor, kinds)):
        return True
    return any(issubclass(k, (list, tuple)) for k in kinds) and any(map(holds_tensors, value))
