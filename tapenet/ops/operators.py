"""Python's operators, ndarray's methods and NumPy's two protocols, for anything that ops accept.

`Tensor` derives from `Operand`, and so may any type that answers `__tapenet_op__` (batched or foreign arrays): it then
takes part in `a + b`, `np.f(a)` and method calls as a tensor does.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeVar

import numpy as np

from tapenet import ops
from tapenet.ops.masked_arrays import MASKED
from tapenet.ops.registry import numpy_functions, numpy_name, ufunc_name
from tapenet.ops.tracebacks import hide
from tapenet.program.low import dtype_of
from tapenet.typing import Axis, DType, Shape

if TYPE_CHECKING:
    from typing import TypeAlias

    from tapenet.ops.indexing.flat import Flat
    from tapenet.typing import Array, ArrayLike, CapsuleType, Casting, DTypeLike

    #: What operators take beside the tensor itself, and what `out=` takes.
    Other: TypeAlias = "ArrayLike | Operand"
    Out: TypeAlias = "Operand | Array | None"


S = TypeVar("S")
#: The versions of the array API standard, all of which the newest includes. None is any.
VERSIONS = (None, "2021.12", "2022.12", "2023.12", "2024.12", "2025.12")
_TO_PRINT = (
    "tn.debug_print('{}', t) prints it at each run; or return it from the captured function and print it there. repr(t) can be "
    "printed: it shows shape and dtype"
)


class _Method(Protocol):
    """An op of a tensor and more, that gives a tensor of its kind."""

    def __call__(self, t: S, /, *args: object, **options: object) -> S: ...


class _Methods(Protocol):
    def __getattr__(self, name: str) -> _Method: ...


#: The ops, as methods call them.
methods: _Methods = ops


def _given(name: str, result: S, out: Out) -> S:
    """A result, or the tensor it was to be written to."""
    return result if out is None else ops.protocol.write(f"{name}()", result, out)


# -- operators: each is the op of its name, whose errors show the user's lines -----------------------------------


def _operator(name: str) -> Callable[[S, Other], S]:
    op: _Method | None = None  # loaded when it is first needed

    def operator(self: S, other: Other) -> S:
        nonlocal op
        try:
            if op is None:
                op = getattr(ops, name)
            return op(self, other)
        except Exception as error:
            hide(error)
            raise

    return operator


def _reflected(name: str) -> Callable[[S, Other], S]:
    def operator(self: S, other: Other) -> S:
        try:
            found: S = getattr(ops, name)(other, self)
            return found
        except Exception as error:
            hide(error)
            raise

    return operator


def _unary(name: str) -> Callable[[S], S]:
    def operator(self: S) -> S:
        try:
            found: S = getattr(ops, name)(self)
            return found
        except Exception as error:
            hide(error)
            raise

    return operator


class Operand:
    """Operators, ndarray's methods and NumPy's protocols in terms of ops. A method that works in place, such as `sort`, does
    as `t[...] = value` does: a new node behind the same handle."""

    __slots__ = ()
    __hash__ = object.__hash__

    if TYPE_CHECKING:

        @property
        def shape(self) -> Shape: ...
        @property
        def dtype(self) -> DType: ...
        def __setitem__(self, index: object, value: Other) -> None: ...
        def __eq__(self, other: object) -> Self: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Self: ...  # type: ignore[override]
        def __divmod__(self, other: Other) -> tuple[Self, Self]: ...
        def __rdivmod__(self, other: Other) -> tuple[Self, Self]: ...
    else:
        __eq__, __ne__ = _operator("equal"), _operator("not_equal")
        __divmod__, __rdivmod__ = _operator("divmod"), _reflected("divmod")
    __add__, __radd__ = _operator("add"), _reflected("add")
    __sub__, __rsub__ = _operator("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _operator("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _operator("divide"), _reflected("divide")
    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _operator("remainder"), _reflected("remainder")
    __pow__, __rpow__ = _operator("power"), _reflected("power")
    __matmul__, __rmatmul__ = _operator("matmul"), _reflected("matmul")
    __and__, __rand__ = _operator("bitwise_and"), _reflected("bitwise_and")
    __or__, __ror__ = _operator("bitwise_or"), _reflected("bitwise_or")
    __xor__, __rxor__ = _operator("bitwise_xor"), _reflected("bitwise_xor")
    __lshift__, __rlshift__ = _operator("left_shift"), _reflected("left_shift")
    __rshift__, __rrshift__ = _operator("right_shift"), _reflected("right_shift")
    __lt__, __le__ = _operator("less"), _operator("less_equal")
    __gt__, __ge__ = _operator("greater"), _operator("greater_equal")
    __neg__, __pos__ = _unary("negative"), _unary("positive")
    __abs__, __invert__ = _unary("absolute"), _unary("invert")

    def __getitem__(self, index: object) -> Self:
        try:
            return methods.getitem(self, index)
        except Exception as error:
            hide(error)
            raise

    # -- reductions --------------------------------------------------------------------------------------------

    def sum(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: Out = None,
        keepdims: bool = False,
        **options: object,
    ) -> Self:
        """Sum over `axis` (None: all, or a tuple)."""
        return _given("sum", methods.sum(self, axis, dtype, keepdims=keepdims, **options), out)

    def mean(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: Out = None,
        keepdims: bool = False,
        **options: object,
    ) -> Self:
        """Mean over `axis`."""
        return _given("mean", methods.mean(self, axis, dtype, keepdims=keepdims, **options), out)

    def var(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: Out = None,
        ddof: int = 0,
        keepdims: bool = False,
        **options: object,
    ) -> Self:
        """Variance over `axis`."""
        return _given("var", methods.var(self, axis, dtype, ddof=ddof, keepdims=keepdims, **options), out)

    def std(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: Out = None,
        ddof: int = 0,
        keepdims: bool = False,
        **options: object,
    ) -> Self:
        """Standard deviation over `axis`."""
        return _given("std", methods.std(self, axis, dtype, ddof=ddof, keepdims=keepdims, **options), out)

    def max(self, axis: Axis = None, out: Out = None, keepdims: bool = False, **options: object) -> Self:
        """Maximum over `axis`."""
        return _given("max", methods.max(self, axis, keepdims=keepdims, **options), out)

    def min(self, axis: Axis = None, out: Out = None, keepdims: bool = False, **options: object) -> Self:
        """Minimum over `axis`."""
        return _given("min", methods.min(self, axis, keepdims=keepdims, **options), out)

    def prod(
        self,
        axis: Axis = None,
        dtype: DTypeLike | None = None,
        out: Out = None,
        keepdims: bool = False,
        **options: object,
    ) -> Self:
        """Product over `axis`."""
        return _given("prod", methods.prod(self, axis, dtype, keepdims=keepdims, **options), out)

    def argmax(self, axis: Axis = None, out: Out = None, *, keepdims: bool = False, **options: object) -> Self:
        """Index of the maximum; a tensor without gradient."""
        return _given("argmax", methods.argmax(self, axis, keepdims=keepdims, **options), out)

    def argmin(self, axis: Axis = None, out: Out = None, *, keepdims: bool = False, **options: object) -> Self:
        """Index of the minimum; a tensor without gradient."""
        return _given("argmin", methods.argmin(self, axis, keepdims=keepdims, **options), out)

    def all(self, axis: Axis = None, out: Out = None, *, keepdims: bool = False, **options: object) -> Self:
        """Whether all elements along `axis` are true."""
        return _given("all", methods.all(self, axis, keepdims=keepdims, **options), out)

    def any(self, axis: Axis = None, out: Out = None, *, keepdims: bool = False, **options: object) -> Self:
        """Whether any element along `axis` is true."""
        return _given("any", methods.any(self, axis, keepdims=keepdims, **options), out)

    def trace(
        self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None, out: Out = None
    ) -> Self:
        """The sum along a diagonal."""
        return _given("trace", methods.trace(self, offset, axis1, axis2, dtype), out)

    def cumsum(self, axis: Axis = None, dtype: DTypeLike | None = None, out: Out = None, **options: object) -> Self:
        """Running sums along `axis` (None: of all elements in one axis)."""
        return _given("cumsum", methods.cumsum(self, axis, dtype, **options), out)

    def cumprod(self, axis: Axis = None, dtype: DTypeLike | None = None, out: Out = None, **options: object) -> Self:
        """Running products along `axis`."""
        return _given("cumprod", methods.cumprod(self, axis, dtype, **options), out)

    # -- values ------------------------------------------------------------------------------------------------

    def clip(self, min: Other | None = None, max: Other | None = None, out: Out = None, **options: object) -> Self:
        """Limit the values to [min, max]."""
        return _given("clip", methods.clip(self, min, max, **options), out)

    def round(self, decimals: int = 0, out: Out = None) -> Self:
        """Rounded to so many decimals; the gradient is 0."""
        return _given("round", methods.round(self, decimals), out)

    def conj(self) -> Self:
        """The complex conjugate; of real numbers the tensor itself."""
        return methods.conjugate(self) if self.dtype.kind == "c" else self

    conjugate = conj

    @property
    def real(self) -> Self:
        """The real part; of real numbers the tensor itself."""
        return methods.real(self) if self.dtype.kind == "c" else self

    @property
    def imag(self) -> Self:
        """The imaginary part; of real numbers zeros."""
        return methods.imag(self)

    def astype(
        self, dtype: DTypeLike, order: str = "K", casting: Casting = "unsafe", subok: bool = True, copy: bool = True
    ) -> Self:
        """The values in another dtype; the gradient comes back in this one. The memory order is for arrays alone.

        Raises:
            TypeError: `casting` does not allow the cast.
        """
        dtype = dtype_of(dtype)
        if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(
                f"astype: {self.dtype} cannot be cast to {dtype} by casting={casting!r}: allow another kind of cast"
            )
        return methods.astype(self, dtype) if copy or self.dtype != dtype else self

    def dot(self, other: Other, out: Out = None) -> Self:
        """Dot product, as `np.dot`."""
        return _given("dot", methods.dot(self, other), out)

    # -- shapes ------------------------------------------------------------------------------------------------

    def reshape(self, *shape: int | Sequence[int], order: str = "C", copy: bool | None = None) -> Self:
        """The same values in another shape: `t.reshape(2, -1)` or `t.reshape((2, -1))`. Whether memory is shared makes no
        difference to a tensor, except that `copy=False` raises where NumPy could not share it."""
        given = shape[0] if len(shape) == 1 else shape
        return methods.reshape(self, given, order) if copy is None else methods.reshape(self, given, order, copy=copy)

    def transpose(self, *axes: int | Sequence[int] | None) -> Self:
        """Axes in another order, reversed by default."""
        given = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))) else axes
        return methods.transpose(self, given or None)

    @property
    def T(self) -> Self:
        """The transpose: axes in reverse order."""
        return methods.transpose(self)

    @property
    def mT(self) -> Self:
        """The transpose of the last two axes."""
        return methods.swapaxes(self, -1, -2)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """Two axes exchanged."""
        return methods.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Axis = None, **options: object) -> Self:
        """Axes of length one removed."""
        return methods.squeeze(self, axis, **options)

    def flatten(self, order: str = "C") -> Self:
        """All elements in one axis."""
        return self.reshape(-1, order=order)

    def ravel(self, order: str = "C") -> Self:
        """All elements in one axis."""
        return self.reshape(-1, order=order)

    def repeat(self, repeats: ArrayLike, axis: Axis = None) -> Self:
        """Each element repeated."""
        return methods.repeat(self, repeats, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1, **options: object) -> Self:
        """The elements on a diagonal."""
        return methods.diagonal(self, offset, axis1, axis2, **options)

    # -- order and selection -----------------------------------------------------------------------------------

    def argsort(
        self,
        axis: Axis = -1,
        kind: str | None = None,
        order: None = None,
        *,
        stable: bool | None = None,
        **options: object,
    ) -> Self:
        """The indices that sort along `axis`; a tensor without gradient."""
        return methods.argsort(self, axis, kind, stable=stable, **options)

    def argpartition(self, kth: int | Sequence[int], axis: Axis = -1, kind: str = "introselect") -> Self:
        """The indices that partition along `axis`; a tensor without gradient."""
        return methods.argpartition(self, kth, axis, kind)

    def searchsorted(self, v: ArrayLike, side: str = "left", sorter: ArrayLike | None = None) -> Self:
        """Where values would be inserted to keep the order; a tensor without gradient."""
        return methods.searchsorted(self, v, side, sorter)

    def nonzero(self) -> tuple[Self, ...]:
        """The indices of the elements that are not zero; tensors without gradient."""
        found: tuple[Self, ...] = ops.nonzero(self)
        return found

    def take(self, indices: ArrayLike, axis: Axis = None, out: Out = None, mode: str = "raise") -> Self:
        """The elements at indices along `axis`."""
        return _given("take", methods.take(self, indices, axis, mode=mode), out)

    def compress(self, condition: ArrayLike, axis: Axis = None, out: Out = None) -> Self:
        """The slices along `axis` where a condition holds."""
        found: Self = ops.compress(condition, self, axis)
        return _given("compress", found, out)

    def choose(self, choices: ArrayLike | Sequence[ArrayLike], out: Out = None, mode: str = "raise") -> Self:
        """An element of one of the choices for each index in this tensor."""
        return _given("choose", methods.choose(self, choices, mode=mode), out)

    # -- in place ----------------------------------------------------------------------------------------------

    @property
    def flat(self) -> Flat:
        """The elements in one row, to be read and written: `t.flat[::2] = 0`, `t.flat = values`."""
        found: Flat = import_module("tapenet.ops.indexing.flat").Flat(self)  # which few programs need
        return found

    @flat.setter
    def flat(self, value: Other) -> None:
        self.flat.fill_from(value)

    def sort(self, axis: int = -1, kind: str | None = None, order: None = None, *, stable: bool | None = None) -> None:
        """Sort in place, as `t[...] = np.sort(t)` does it."""
        self[...] = methods.sort(self, axis, kind, stable=stable)

    def partition(self, kth: int | Sequence[int], axis: int = -1, kind: str = "introselect") -> None:
        """Partition in place, as `t[...] = np.partition(t)` does it."""
        self[...] = methods.partition(self, kth, axis, kind)

    def fill(self, value: Other) -> None:
        """Set all elements to a value, as `t[...] = value` does it."""
        self[...] = value

    def put(self, indices: ArrayLike, values: Other, mode: str = "raise") -> None:
        """Set elements by their place in the flattened tensor."""
        methods.put(self, indices, values, mode)

    # -- the array API standard's, and NumPy's protocols ------------------------------------------------------------

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """`tapenet`, the namespace of the array API standard whose functions take this.

        Raises:
            ValueError: a version of the standard that is not there.
        """
        if api_version not in VERSIONS:
            raise ValueError(
                f"api_version={api_version!r} of the array API standard is not there: it is one of {VERSIONS[1:]}"
            )
        return sys.modules["tapenet"]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **kwargs: object) -> object:
        try:
            function = numpy_functions.get(ufunc) or ops.stands_for(ufunc)
            if function is None:
                raise self._unsupported(ufunc_name(ufunc))
            if method == "__call__":
                return ops.protocol.call(ufunc, inputs, **kwargs) if kwargs else function(*inputs)
            for given in ("array", "indices"):  # by name: NumPy has them among the inputs as well
                kwargs.pop(given, None)
            return importlib.import_module("tapenet.ops.ufunc_methods").METHODS[method](ufunc, *inputs, **kwargs)
        except Exception as error:
            hide(error)
            raise

    @property
    def _mask(self) -> NoReturn:
        """What np.ma asks for where a masked array stands to the left of an operator, or is given to a function of np.ma.

        Raises:
            TypeError: always. np.ma has taken the values alone by then, and would go on with these, in no graph.
        """
        raise TypeError(MASKED)

    def _unsupported(self, name: str) -> Exception:
        """The error for a NumPy function that no op stands for."""
        if name.endswith(" (vectorized)"):
            return TypeError(
                f"np.frompyfunc's {name} is not supported on tensors: it calls Python once for each element; give the function "
                "the whole tensor, or define an op for it with tn.op"
            )
        own = name.rpartition(".")[2]
        known = f"tn.{own}, " if hasattr(ops, own) else ""
        return TypeError(
            f"{name} is not supported on tensors: use {known}tensor.numpy() for the values alone, or define an op for it with "
            "tn.op(..., numpy=...)"
        )

    def __array_function__(
        self, func: Callable[..., object], types: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        try:
            function = numpy_functions.get(func) or ops.stands_for(func)
            if function is None:
                raise self._unsupported(numpy_name(func))
            if len(args) > 2 or kwargs or (len(args) == 2 and func in ops.protocol.OUT_SECOND):
                return ops.protocol.function(func, function, args, kwargs)
            if func is np.where and len(args) == 1:  # of a mask alone: another function under the same name
                return ops.nonzero(*args)
            return function(*args)
        except Exception as error:
            hide(error)
            raise


class Augmented(Operand):
    """An operand that can be assigned to in place: `t += v` is `t[...] = t + v`, for arrays of its own shape and dtype."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _augmented(self, op: Callable[..., Self], other: object, by: str, hint: str = "") -> Self: ...


class ArrayHolder(Augmented):
    """An operand that holds an array: what can be read of it, as of an ndarray."""

    __slots__ = ()
    _data: Array

    if TYPE_CHECKING:

        @property
        def requires_grad(self) -> bool: ...
        def _value(self, what: str, hint: str = "") -> Array: ...  # the array, to be given away by `what`

    def item(self, *place: Any) -> Any:
        """An element as a Python number: the only one, or that at a place, `t.item(3)` in the flattened tensor or
        `t.item(1, 2)`.

        Raises:
            ValueError: the tensor has more than one element, and no place is given.
            IndexError: there is no such place.
        """
        if not place and self._data.size != 1:
            raise ValueError(
                f".item() needs a tensor of one element, this one has shape {self._data.shape}: give a place, as in .item(0)"
            )
        return self._value(".item()").item(*place)

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._value(".tolist()").tolist()

    @property
    def shape(self) -> Shape:
        """Lengths of the axes."""
        shape: Shape = self._data.shape
        return shape

    @property
    def dtype(self) -> DType:
        """Type of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self._data.nbytes

    @property
    def device(self) -> str:
        """Where the values are: always "cpu", as NumPy's arrays say it."""
        return self._data.device

    def to_device(self, device: str, /, *, stream: None = None) -> Self:
        """This, as it is on the one device that there is, "cpu".

        Raises:
            ValueError: another device, or a stream, which the CPU has not.
        """
        if device != "cpu" or stream is not None:
            raise ValueError(f"to_device: {device=}, {stream=}: NumPy's only device is 'cpu', and it has no streams")
        return self

    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> CapsuleType:
        """The memory, for `from_dlpack` of other libraries, which share it unless they ask for a copy.

        Raises:
            BufferError: a gradient flows to this, which the other library would not know of; it lies on another device than
                `dl_device`; the dtype is not of the protocol; or it is read-only, and `max_version` is below 1.0.
        """
        if self.requires_grad:
            raise BufferError(
                "a tensor that needs a gradient is not given to another library in silence: give it t.detach()"
            )
        data = self._value("DLPack")
        return data.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The device of DLPack: the CPU."""
        return self._data.__dlpack_device__()

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("a tensor of no axes has no length")
        return int(self._data.shape[0])

    def __iter__(self) -> Iterator[Self]:
        if not self._data.ndim:
            raise TypeError("a tensor of no axes cannot be iterated over; use .item() for its value")
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        data = self._value("a bool()")
        if data.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {data.shape} is ambiguous: write (...).any() or (...).all(); to choose "
                "element by element np.where(condition, a, b); for whether there is one `t is not None`, and for whether it "
                "has elements t.size"
            )
        return bool(data)

    def __index__(self) -> int:
        return int(self._value("an integer index").__index__())

    def __contains__(self, value: object) -> bool:
        return bool((self._value("`in`") == value).any())

    def __str__(self) -> str:
        self._value("its text (by print, str or format)", _TO_PRINT)
        return repr(self)

    def __format__(self, spec: str) -> str:
        self._value("its text (by print, str or format)", _TO_PRINT)
        if spec and self._data.ndim == 0:
            return format(self.item(), spec)
        try:
            return format(str(self), spec)
        except ValueError:
            raise TypeError(
                f"the format {spec!r} is for a number, and this tensor has shape {self._data.shape}: format an element "
                f"(t[0]), t.item() of the only one, or write np.array2string(t, precision=2)"
            ) from None


# -- what Python calls them --------------------------------------------------------------------------------------


def _augmented(method: Callable[..., object], sign: str) -> Callable[..., object]:
    return lambda self, other: self._augmented(method, other, sign)


_IN_PLACE = {
    "add": "+=", "sub": "-=", "mul": "*=", "truediv": "/=", "floordiv": "//=", "mod": "%=", "pow": "**=", "matmul": "@=",
    "and": "&=", "or": "|=", "xor": "^=", "lshift": "<<=", "rshift": ">>=",
}  # fmt: skip
for _name, _sign in _IN_PLACE.items():
    setattr(Augmented, f"__i{_name}__", _augmented(getattr(Operand, f"__{_name}__"), _sign))
for _owner in (Operand, Augmented):
    for _name, _method in vars(_owner).items():
        if isinstance(_method, FunctionType):
            _method.__name__, _method.__qualname__ = _name, f"{_owner.__name__}.{_name}"
