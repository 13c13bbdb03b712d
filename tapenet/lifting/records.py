"""Structured arrays inside of lifted functions: a tensor for each field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet import ops
from tapenet.lifting.namespace import STANDS
from tapenet.ops.derived import made
from tapenet.program.trees import register

if TYPE_CHECKING:
    from tapenet.typing import Array, DType, Shape


class Records:
    """What stands for a structured array: `r["x"]` is the tensor of a field, `r[i]` and `r[1:]` are records again, which share
    memory with it as NumPy's do. A lifted function that makes or is given structured arrays returns this; it is a tree whose
    parts are the fields."""

    __slots__ = ("_fields", "dtype")

    def __init__(self, dtype: DType, fields: Mapping[str, object]) -> None:
        self.dtype = dtype
        self._fields = cast("dict[str, Array]", dict(fields))

    @property
    def shape(self) -> Shape:
        """The shape, without the axes that a field has of its own."""
        name, part = next(iter(self._fields.items()))
        shape: Shape = part.shape
        return shape[: len(shape) - len(self.dtype[name].shape)]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many records there are."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Records]:
        return (cast("Records", self[i]) for i in range(len(self)))

    def __getitem__(self, key: object) -> Array | Records:
        if isinstance(key, str):
            return self._field(key)
        if isinstance(key, list) and key and all(isinstance(name, str) for name in key):
            return Records(self.dtype[key], {name: self._field(name) for name in key})
        whole = key if isinstance(key, tuple) else (key,)
        if not any(part is Ellipsis for part in whole):
            whole = (*whole, ...)  # views of one element, too
        return Records(self.dtype, {name: part[whole] for name, part in self._fields.items()})

    def _field(self, name: str) -> Array:
        try:
            return self._fields[name]
        except KeyError:
            raise ValueError(f"no field of name {name!r}: there are {', '.join(self._fields)}") from None

    def __setitem__(self, key: object, value: object) -> None:
        if isinstance(key, str):
            self._field(key)[...] = value
            return
        for i, (name, part) in enumerate(self._fields.items()):
            if isinstance(value, Records) or is_structured(value):
                given: object = cast("Mapping[str, object]", value)[name]
            elif isinstance(value, list):
                given = ops.stack([row[i] for row in value])
            else:
                given = value[i] if isinstance(value, tuple) else value
            part[key] = given  # type: ignore[call-overload]

    def copy(self) -> Records:
        """Records of their own memory."""
        return Records(self.dtype, {name: part.copy() for name, part in self._fields.items()})

    def __repr__(self) -> str:
        return f"Records({', '.join(f'{name}={part!r}' for name, part in self._fields.items())})"


register(
    Records,
    lambda r: (r._fields, r.dtype),
    lambda dtype, fields: Records(cast("DType", dtype), cast("dict[str, object]", fields)),
)


def is_structured(value: object) -> bool:
    """Whether a value is a structured array or element."""
    return isinstance(value, (np.ndarray, np.void)) and value.dtype.names is not None


def opened(array: Array, inside: Callable[[Array], object]) -> Records:
    """A structured array as records, of whose fields `inside` makes the tensors."""
    names = cast("tuple[str, ...]", array.dtype.names)
    return Records(
        array.dtype,
        {n: opened(array[n], inside) if is_structured(array[n]) else inside(np.asarray(array[n])) for n in names},
    )


def of_values(array: Array) -> Records:
    """A structured array as records of tensors with its values."""
    return opened(array, lambda part: made(np.array(part)))


# -- what makes them ----------------------------------------------------------------------------------------------


def _structured(dtype: object) -> bool:
    """Whether what is given as a dtype is one with fields."""
    if dtype is None or isinstance(dtype, type):
        return False
    return np.dtype(dtype).names is not None  # type: ignore[call-overload]


def _maker(numpy: Callable[..., Array], place: int) -> Callable[..., object]:
    """What stands for a function that makes arrays; its argument at a place is the dtype."""
    plain: Callable[..., object] = getattr(ops, numpy.__name__)

    def make(*args: object, **kwargs: object) -> object:
        dtype = args[place] if len(args) > place else kwargs.get("dtype")
        if _structured(dtype):
            return _made(numpy, args, kwargs)
        if args and isinstance(args[0], Records):
            if numpy in (np.array, np.copy):
                return args[0].copy()
            if numpy in (np.asarray, np.asanyarray):
                return args[0]
            return _made(getattr(np, numpy.__name__.removesuffix("_like")), (args[0].shape,), {"dtype": args[0].dtype})
        return plain(*args, **kwargs)

    make.__name__ = numpy.__name__
    return make


def _made(numpy: Callable[..., Array], args: Sequence[object], kwargs: Mapping[str, object]) -> Records:
    if numpy is np.array or numpy is np.asarray:  # of tuples, which may hold tensors
        dtype: DType = np.dtype(args[1] if len(args) > 1 else kwargs["dtype"])  # type: ignore[call-overload]
        rows = args[0]
        if isinstance(rows, Records):
            return rows.copy()
        found = of_values(np.zeros((len(rows),) if isinstance(rows, list) else (), dtype))
        found[...] = rows
        return found
    return of_values(numpy(*args, **kwargs))


for _function, _place in {
    np.zeros: 1, np.empty: 1, np.ones: 1, np.full: 2, np.array: 1, np.asarray: 1, np.zeros_like: 1, np.empty_like: 1,
    np.ones_like: 1, np.copy: 3,
}.items():  # fmt: skip
    STANDS[_function] = _maker(cast("Callable[..., Array]", _function), _place)
