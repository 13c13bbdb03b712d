"""What gives something else here than in PyTorch, without an error: one table, for the scope that warns, for the page in the
documentation, and for the tests, which run both.

NumPy's own names say that NumPy's meaning is wanted: `axis=` and the like, by keyword, and functions of `np`.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple, cast

import numpy as np

from tapenet.typing import Array


class Use(NamedTuple):
    """A call as a user writes it, of a function or a method, with its result and the user's frame."""

    args: tuple[object, ...]
    kwargs: dict[str, object]
    result: object
    frame: FrameType

    def given(self, place: int, name: str) -> bool:
        """Whether an argument is given at a place, or under PyTorch's name, and not None."""
        return (len(self.args) > place and self.args[place] is not None) or self.kwargs.get(name) is not None

    def by_operator(self) -> bool:
        """Whether the user's code has an operator there, and no call."""
        code = dis.get_instructions(self.frame.f_code)
        return any(i.offset == self.frame.f_lasti and i.opname.startswith("BINARY") for i in code)

    def called(self, *names: str) -> str:
        """By which of some names the function was called; the last of them that the code reads before it calls."""
        found = ""
        for instruction in dis.get_instructions(self.frame.f_code):
            if instruction.offset >= self.frame.f_lasti:
                break
            found = instruction.argval if instruction.argval in names else found
        return found


class Difference(NamedTuple):
    """A difference from PyTorch that raises no error.

    Attributes:
        functions, methods: where it is, by name.
        when: whether a call gives something else than PyTorch's.
        there, here: what PyTorch does, and what is done here.
        example: code that gives something else.
        instead: code that gives here what the example gives in PyTorch.
    """

    functions: str
    methods: str
    when: Callable[[Use], bool]
    there: str
    here: str
    example: str
    instead: str


_WIDE = ("float64", "complex128")
#: Functions that may give float64 where PyTorch's give float32.
_WIDENING = (
    "acos acosh add angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh clip concatenate "
    "copysign corrcoef cos cosh cov deg2rad divide erf exp exp2 expm1 floor_divide fmax fmin fmod hardtanh hypot i0 inner kron "
    "ldexp log log10 log1p log2 logaddexp logaddexp2 maximum minimum multiply nextafter power rad2deg reciprocal "
    "relu6 remainder sigmoid sin sinc sinh softsign sqrt stack subtract tan tanh tanhshrink where fft.fft fft.fft2 fft.fftn "
    "fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ihfft fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn"
)
_OPERATORS = (
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __pow__ __rpow__ "
    "__floordiv__ __rfloordiv__ __mod__ __rmod__ __array_ufunc__ clip"
)


def _by_axis(use: Use) -> bool:
    # They are amax and amin, too, which give the values alone in PyTorch.
    return use.given(1, "dim") and use.called("max", "min", "amax", "amin") not in ("amax", "amin")


def _not_named(*names: str) -> Callable[[Use], bool]:
    return lambda use: use.kwargs.keys().isdisjoint(names)


def _wider(use: Use) -> bool:
    """Whether float64 comes of arrays that are narrower, or of whole numbers. PyTorch leaves numbers without axes out."""
    if str(getattr(use.result, "dtype", "")) not in _WIDE:
        return False
    if any(isinstance(a, np.ufunc) for a in use.args) and not use.by_operator():
        return False  # np.exp(x) is NumPy's, and np.sqrt(2.0) * x is an operator of a number of NumPy's
    given = (*use.args, *use.kwargs.values())
    parts = [part for a in given for part in (a if isinstance(a, (tuple, list)) else [a])]
    arrays = [a for a in parts if getattr(a, "ndim", 0)]
    return bool(arrays) and not any(str(getattr(a, "dtype", "")) in _WIDE for a in arrays)


def _of_numbers(place: int) -> Callable[[Use], bool]:
    """Whether float64 comes of Python's numbers, where no dtype is given, also not at this place."""

    def when(use: Use) -> bool:
        asked = len(use.args) > place or "dtype" in use.kwargs
        return (
            not asked
            and getattr(use.result, "dtype", None) == np.float64
            and not any(hasattr(a, "dtype") for a in use.args)
        )

    return when


def _in_order(use: Use) -> bool:
    match use.args:
        case (array, int(first), int(second)):
            return cast("Array", array).ndim == 2 and first % 2 < second % 2
    return False


def _crossed(use: Use) -> bool:
    shape = cast("Array", use.args[0]).shape
    return not use.given(5, "dim") and "axis" not in use.kwargs and 3 in shape[:-1]


def _to_front(use: Use) -> bool:
    """Whether NumPy puts the axis of an index first only since there is an integer beside an array."""
    index = use.args[1]
    if not isinstance(index, tuple):
        return False
    arrays = [isinstance(i, (list, np.ndarray)) or getattr(i, "ndim", 0) > 0 for i in index]
    whole = [a or isinstance(i, (int, np.integer)) for a, i in zip(arrays, index, strict=True)]
    without = [a for a, w in zip(arrays, whole, strict=True) if a or not w]  # PyTorch takes integers away first
    return any(arrays) and _apart(whole) and not _apart(without)


def _apart(which: list[bool]) -> bool:
    places = [i for i, w in enumerate(which) if w]
    return places != list(range(places[0], places[-1] + 1))


def _of_several(use: Use) -> bool:
    return len(use.args) > 1 and "indexing" not in use.kwargs


def _alone(use: Use) -> bool:
    return "axis" not in use.kwargs and not isinstance(use.result, (tuple, list))


def _guessed(use: Use) -> bool:
    return not use.given(1, "dim") and "axis" not in use.kwargs and getattr(use.result, "ndim", 0) == 3


DIFFERENCES = (
    Difference(
        "std var", "std var", _not_named("ddof", "correction", "unbiased"), "divides by n - 1", "divides by n",
        "tn.std(x, 0)", "tn.std(x, 0, correction=1)",
    ),
    Difference(
        "max min", "max min", _by_axis, "gives the values and their places", "gives the values alone",
        "tn.max(x, 1)", "(tn.max(x, axis=1), tn.argmax(x, 1))",
    ),
    Difference(
        "median nanmedian", "", _not_named("axis"),
        "takes the lower of two values in the middle, and with dim gives places too", "takes their mean",
        "tn.median(x)", 'tn.quantile(x, 0.5, interpolation="lower")',
    ),
    Difference(
        "sort", "", _not_named("axis"), "gives the values and their places", "gives the values alone",
        "tn.sort(x)", "(tn.sort(x, axis=-1), tn.argsort(x))",
    ),
    Difference(
        "", "sort", _not_named("axis"), "gives a sorted copy and the places", "sorts in place and gives None",
        "x.sort()", "(tn.sort(x, axis=-1), tn.argsort(x))",
    ),
    Difference(
        "nonzero", "nonzero", _not_named("as_tuple"), "gives a matrix with a row for each place", "gives a tuple of vectors",
        "tn.nonzero(x)", "tn.argwhere(x)",
    ),
    Difference(
        "meshgrid", "", _of_several, 'has indexing="ij"', 'has indexing="xy"',
        "tn.meshgrid(v, w)", 'tn.meshgrid(v, w, indexing="ij")',
    ),
    Difference(
        "split", "", lambda use: len(use.args) > 1, "takes the sizes of the parts", "takes their number, or where they begin",
        "tn.split(v, 2)", "tn.split(v, indices_or_sections=[2, 4])",
    ),
    Difference(
        "one_hot", "", lambda use: len(use.args) < 3 and "dtype" not in use.kwargs, "gives int64", "gives float32",
        "F.one_hot(i, 5)", "F.one_hot(i, 5, dtype=np.int64)",
    ),
    Difference(
        "gradient", "", _alone, "always gives a tuple", "gives the tensor, of one axis",
        "tn.gradient(v)", "(tn.gradient(v, axis=0),)",
    ),
    Difference(
        "logspace", "", lambda use: len(use.args) > 3, "takes the base as its fourth argument", "takes endpoint there",
        "tn.logspace(0.0, 3.0, 4, 2.0)", "tn.logspace(0.0, 3.0, 4, base=2.0, dtype=np.float32)",
    ),
    Difference(
        "cross", "", _crossed, "takes the first axis of length 3", "takes the last axis",
        "tn.cross(s, s * s)", "tn.cross(s, s * s, axis=0)",
    ),
    Difference(
        "softmax log_softmax softmin", "", _guessed,
        "takes axis 0 of three", "takes the last axis", "F.softmax(cube)", "F.softmax(cube, 0)",
    ),
    Difference(
        "tensor", "", _of_numbers(1), "makes float32 of Python's floats", "makes float64",
        "tn.tensor([0.1])", "tn.tensor([0.1], dtype=np.float32)",
    ),
    Difference(
        "asarray zeros ones empty", "", _of_numbers(1), "makes float32", "makes float64",
        "tn.zeros(3)", "tn.zeros(3, dtype=np.float32)",
    ),
    Difference(
        "full eye", "", _of_numbers(3), "makes float32", "makes float64",
        "tn.full((2,), 0.5)", "tn.full((2,), 0.5, dtype=np.float32)",
    ),
    Difference(
        "arange linspace logspace", "", _of_numbers(5), "makes float32", "makes float64",
        "tn.linspace(0.0, 1.0, 3)", "tn.linspace(0.0, 1.0, 3, dtype=np.float32)",
    ),
    Difference(
        _WIDENING, _OPERATORS, _wider,
        "keeps to float32: with whole numbers, and beside a number of no axes", "gives float64",
        "i / 2", "i.astype(np.float32) / 2",
    ),
    Difference(
        "", "transpose", _in_order, "exchanges the two axes", "puts the axes in that order",
        "x.transpose(0, 1)", "x.swapaxes(0, 1)",
    ),
    Difference(
        "", "repeat", _not_named("repeats", "axis"), "repeats the whole", "repeats each element",
        "v.repeat(2)", "tn.tile(v, 2)",
    ),
    Difference(
        "", "put", _not_named("indices"), "gives a changed copy", "works in place and gives None",
        "x.put(i, v[:3])", "x.copy().put(indices=i, values=v[:3])",
    ),
    Difference(
        "", "__getitem__", _to_front, "keeps the place of the axis", "puts the axis of the list first",
        "cube[0, :, [0, 1]]", "cube[0][:, [0, 1]]",
    ),
)  # fmt: skip
#: Methods that give another view of the same numbers: in PyTorch a change of one changes the other.
VIEWS = "T __getitem__ detach diagonal flatten mT ravel reshape squeeze swapaxes transpose"
#: What is said where such a result is changed.
OF_VIEWS = Difference(
    "", "", lambda use: True, "changes the tensor too of which this is a part or a view", "changes this one alone",
    "y = x[0]; y += 1; x", "y = x.copy(); y[0] += 1; y",
)  # fmt: skip
