"""Every function of the array API standard, 2025.12: those with a derivative as calls of it, the others by why there is none.

A call takes the namespace, as a library finds it by `x.__array_namespace__()`, and arrays of positive numbers: `x` (2, 3),
whose elements differ, `y` (3,) and a square matrix `m`, which is positive definite. Functions of the extensions are named
"linalg.NAME" and "fft.NAME".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = Callable[[Any, Any, Any, Any], Any]


def _named(names: str, call: Callable[[str], Call], space: str = "") -> dict[str, Call]:
    return {space + name: call(name) for name in names.split()}


def _unary(name: str) -> Call:
    return lambda xp, x, y, m: getattr(xp, name)(x)


def _binary(name: str) -> Call:
    return lambda xp, x, y, m: getattr(xp, name)(x, y)


def _along(name: str) -> Call:
    return lambda xp, x, y, m: getattr(xp, name)(x, axis=1, keepdims=True)


def _matrix(name: str) -> Call:
    return lambda xp, x, y, m: getattr(xp.linalg, name)(m)


def _transform(name: str) -> Call:
    return lambda xp, x, y, m: getattr(xp.fft, name)(x)


def _of_complex(name: str) -> Call:
    return lambda xp, x, y, m: getattr(xp.fft, name)(xp.astype(x, xp.complex128))


#: Elementwise functions of one argument that complex numbers have too.
OF_COMPLEX = (
    "abs acos acosh asin asinh atan atanh conj cos cosh exp expm1 imag log log10 log1p log2 negative positive real reciprocal "
    "sin sinh sqrt square tan tanh"
)

DIFFERENTIABLE: dict[str, Call] = {
    **_named(OF_COMPLEX.replace("acosh ", "").replace("imag ", ""), _unary),
    "acosh": lambda xp, x, y, m: xp.acosh(x + 1),
    "imag": lambda xp, x, y, m: xp.imag(x * (1 + 2j)),
    **_named("add atan2 copysign divide hypot logaddexp maximum minimum multiply pow remainder subtract", _binary),
    "clip": lambda xp, x, y, m: xp.clip(x, 0.4, y),
    # creation
    "arange": lambda xp, x, y, m: xp.arange(x[0, 0], 3.1, 0.5),
    "asarray": lambda xp, x, y, m: xp.asarray(x, dtype=xp.float64, copy=True),
    "full": lambda xp, x, y, m: xp.full((2, 2), x[0, 0]),
    "full_like": lambda xp, x, y, m: xp.full_like(m, x[0, 0]),
    "linspace": lambda xp, x, y, m: xp.linspace(x[0, 0], y[0], 4),
    "meshgrid": lambda xp, x, y, m: xp.meshgrid(x[0], y, indexing="ij"),
    "tril": lambda xp, x, y, m: xp.tril(x, k=-1),
    "triu": lambda xp, x, y, m: xp.triu(x, k=1),
    "astype": lambda xp, x, y, m: xp.astype(x, xp.complex128),
    # indexing and shapes
    "take": lambda xp, x, y, m: xp.take(x, xp.asarray([2, 0, 2]), axis=1),
    "take_along_axis": lambda xp, x, y, m: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1),
    "where": lambda xp, x, y, m: xp.where(x > y, x, y),
    "broadcast_arrays": lambda xp, x, y, m: xp.broadcast_arrays(x, y),
    "broadcast_to": lambda xp, x, y, m: xp.broadcast_to(y, (2, 3)),
    "concat": lambda xp, x, y, m: xp.concat([x, y[None]], axis=0),
    "expand_dims": lambda xp, x, y, m: xp.expand_dims(x, axis=(0, -1)),
    "flip": lambda xp, x, y, m: xp.flip(x, axis=1),
    "moveaxis": lambda xp, x, y, m: xp.moveaxis(x, 0, 1),
    "permute_dims": lambda xp, x, y, m: xp.permute_dims(x, (1, -2)),
    "repeat": lambda xp, x, y, m: xp.repeat(x, 2, axis=1),
    "reshape": lambda xp, x, y, m: xp.reshape(x, (3, 2)),
    "roll": lambda xp, x, y, m: xp.roll(x, 1, axis=1),
    "squeeze": lambda xp, x, y, m: xp.squeeze(x[None], axis=0),
    "stack": lambda xp, x, y, m: xp.stack([x[0], y], axis=1),
    "tile": lambda xp, x, y, m: xp.tile(x, (2, 1)),
    "unstack": lambda xp, x, y, m: xp.unstack(x, axis=1),
    # order and sets
    "sort": lambda xp, x, y, m: xp.sort(x, axis=0, descending=True),
    "unique_all": lambda xp, x, y, m: xp.unique_all(x).values,
    "unique_counts": lambda xp, x, y, m: xp.unique_counts(x).values,
    "unique_inverse": lambda xp, x, y, m: xp.unique_inverse(x).values,
    "unique_values": lambda xp, x, y, m: xp.unique_values(x),
    # statistics
    **_named("max mean min prod sum", _along),
    "cumulative_sum": lambda xp, x, y, m: xp.cumulative_sum(x, axis=1, include_initial=True),
    "cumulative_prod": lambda xp, x, y, m: xp.cumulative_prod(x, axis=0),
    "diff": lambda xp, x, y, m: xp.diff(x, axis=1, prepend=y[:2, None]),
    "std": lambda xp, x, y, m: xp.std(x, axis=1, correction=1.0),
    "var": lambda xp, x, y, m: xp.var(x, axis=0, correction=0.5, keepdims=True),
    # linear algebra
    "matmul": lambda xp, x, y, m: xp.matmul(x, y),
    "matrix_transpose": lambda xp, x, y, m: xp.matrix_transpose(x),
    "tensordot": lambda xp, x, y, m: xp.tensordot(x, m, axes=((1,), (0,))),
    "vecdot": lambda xp, x, y, m: xp.vecdot(x, y, axis=-1),
    **_named("det eigh eigvalsh inv matrix_norm pinv slogdet svdvals trace", _matrix, "linalg."),
    "linalg.cholesky": lambda xp, x, y, m: xp.linalg.cholesky(m, upper=True),
    "linalg.cross": lambda xp, x, y, m: xp.linalg.cross(x[0], y),
    "linalg.diagonal": lambda xp, x, y, m: xp.linalg.diagonal(x, offset=1),
    "linalg.eig": lambda xp, x, y, m: xp.linalg.eig(m).eigenvalues,
    "linalg.eigvals": lambda xp, x, y, m: xp.linalg.eigvals(m),
    "linalg.matmul": lambda xp, x, y, m: xp.linalg.matmul(x, m),
    "linalg.matrix_power": lambda xp, x, y, m: xp.linalg.matrix_power(m, 3),
    "linalg.matrix_transpose": lambda xp, x, y, m: xp.linalg.matrix_transpose(x),
    "linalg.outer": lambda xp, x, y, m: xp.linalg.outer(x[0], y),
    "linalg.qr": lambda xp, x, y, m: xp.linalg.qr(m),
    "linalg.solve": lambda xp, x, y, m: xp.linalg.solve(m, y),
    "linalg.svd": lambda xp, x, y, m: xp.linalg.svd(m, full_matrices=False).S,
    "linalg.tensordot": lambda xp, x, y, m: xp.linalg.tensordot(x, y, axes=1),
    "linalg.vecdot": lambda xp, x, y, m: xp.linalg.vecdot(x, y),
    "linalg.vector_norm": lambda xp, x, y, m: xp.linalg.vector_norm(x, axis=1, ord=3),
    # transforms
    **_named("fft fftn fftshift ifft ifftn ifftshift ihfft rfft rfftn", _transform, "fft."),
    **_named("hfft irfft irfftn", _of_complex, "fft."),
    "fft.fftfreq": lambda xp, x, y, m: xp.fft.fftfreq(4, d=x[0, 0]),
    "fft.rfftfreq": lambda xp, x, y, m: xp.fft.rfftfreq(4, d=x[0, 0]),
}
#: Steps, whose derivative is 0.
STEPS: dict[str, Call] = {
    **_named("ceil floor round sign trunc", _unary),
    **_named("floor_divide", _binary),
}
#: Functions whose results have no derivative: truths, indices, other integers, and what is made of no numbers.
CONSTANT: dict[str, Call] = {
    **_named("all any argmax argmin argsort count_nonzero isfinite isinf isnan logical_not nonzero signbit", _unary),
    **_named("empty_like ones_like zeros_like", _unary),
    **_named("equal greater greater_equal isin less less_equal logical_and logical_or logical_xor not_equal", _binary),
    "nextafter": _binary("nextafter"),
    **_named(
        "bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor",
        lambda name: lambda xp, x, y, m: getattr(xp, name)(xp.asarray([3, 1, 2]), xp.asarray([1, 2, 0])),
    ),
    "bitwise_invert": lambda xp, x, y, m: xp.bitwise_invert(xp.asarray([3, 1])),
    "empty": lambda xp, x, y, m: xp.empty((2, 3)),
    "eye": lambda xp, x, y, m: xp.eye(2, 3, k=1),
    "from_dlpack": lambda xp, x, y, m: xp.from_dlpack(xp.ones(2)),
    "ones": lambda xp, x, y, m: xp.ones(2, dtype=xp.float32),
    "zeros": lambda xp, x, y, m: xp.zeros((2,), device="cpu"),
    "searchsorted": lambda xp, x, y, m: xp.searchsorted(xp.sort(y), x[0], side="right"),
    "linalg.matrix_rank": lambda xp, x, y, m: xp.linalg.matrix_rank(m, rtol=1e-3),
}
#: Functions of dtypes and shapes, which give no tensors.
OF_DTYPES = "broadcast_shapes can_cast finfo iinfo isdtype result_type"
