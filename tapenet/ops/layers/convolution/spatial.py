"""Convolution of arrays, over any number of spatial axes, as products of matrices.

The windows of the input are columns, the kernels rows. The columns lie in memory as (channel, kernel offset, spatial
axes, batch), batch innermost, whatever the order of the input: a window's shift is then a copy of long runs, one product
serves the whole batch, and its result (channel, spatial axes, batch) needs no transposition. Results are views of that
memory with axes (batch, channel, spatial axes). Columns are made a block of rows at a time, small enough for the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tapenet.ops.layers.convolution import banded, kernel_dispatch
from tapenet.ops.layers.convolution.geometry import Block, Ints, Plan, Size, plan, reaches

# -- memory ------------------------------------------------------------------------------------------------------


def _batch_last(x: Any, plan: Plan) -> Any:
    """(N, C, ...) or (C, ...) as (C, ..., N), without a copy."""
    return x.transpose(*range(1, x.ndim), 0) if plan.batched else x[..., None]


def _batch_first(x: Any, plan: Plan) -> Any:
    """The inverse, without a copy."""
    return x.transpose(x.ndim - 1, *range(x.ndim - 1)) if plan.batched else x[..., 0]


def _bordered(x: Any, plan: Plan) -> Any:
    """x in its border, as (C, ..., N) in that order in memory."""
    x = _batch_last(x, plan)
    if not plan.bordered:
        return np.ascontiguousarray(x)
    padded = np.zeros((plan.channels, *plan.padded, plan.batch), x.dtype)
    padded[plan.inside] = x
    return padded


def _columns(x: Any, plan: Plan) -> Iterator[tuple[Block, Any]]:
    """The windows of x in its border as columns, block by block: (groups, width, places), in a buffer used anew."""
    if plan.direct:
        yield plan.blocks[0], x.reshape(plan.groups, plan.width, -1)
        return
    by_channel, *by_axis, by_batch = x.strides
    strides = (
        by_channel,
        *(s * d for s, d in zip(by_axis, plan.dilation, strict=True)),
        *(s * d for s, d in zip(by_axis, plan.stride, strict=True)),
        by_batch,
    )
    buffer = None
    for block in plan.blocks:
        shape = (plan.channels, *plan.kernel, block.rows, *plan.out[1:], plan.batch)
        windows: Any = np.ndarray(shape, x.dtype, x, block.first * by_axis[0], strides)
        if buffer is None or buffer.shape != shape:
            buffer = np.empty(shape, x.dtype)
        np.copyto(buffer, windows)
        yield block, buffer.reshape(plan.groups, plan.width, -1)


def _product(a: Any, b: Any, out: Any = None) -> Any:
    """The matrix product in each group."""
    if a.shape[0] == 1:  # without the loop over groups
        if out is None:
            return a[0].dot(b[0])[None]
        return np.matmul(a[0], b[0], out=out[0])[None]
    if a.shape[2] == 1:
        return np.multiply(a, b, out=out)
    return np.matmul(a, b, out=out)


# -- the three products ------------------------------------------------------------------------------------------


def _conv(x: Any, weight: Any, bias: Any, p: Plan) -> Any:
    found = kernel_dispatch.conv(_batch_last(x, p), weight, bias, p)
    if found is not None:
        return _batch_first(found, p)
    x = _bordered(x, p)
    if banded.pays(p, 32):
        out = banded.conv(x, weight, p).reshape(p.outs, *p.out, p.batch)
        if bias is not None:
            out += bias.reshape(-1, *(1,) * (out.ndim - 1))
        return _batch_first(out, p)
    if bias is not None:
        bias = bias.reshape(p.groups, -1, 1)
    kernels = weight.reshape(p.groups, -1, p.width)
    out = np.empty((p.outs, *p.out, p.batch), np.result_type(x, weight))
    flat = out.reshape(p.groups, p.outs // p.groups, -1)
    for block, columns in _columns(x, p):
        into = flat[:, :, block.places]
        _product(kernels, columns, into)
        if bias is not None:
            into += bias
    return _batch_first(out, p)


def _conv_input_grad(y: Any, weight: Any, p: Plan) -> Any:
    found = kernel_dispatch.input_grad(_batch_last(y, p), weight, p)
    if found is not None:
        return _batch_first(found, p)
    if banded.pays(p, 8):
        found = mirrored(y, weight, p)
        if found is not None:
            turned, q = found
            return _batch_first(banded.conv(_bordered(y, q), turned, q).reshape(q.outs, *q.out, q.batch), q)
    y = np.ascontiguousarray(_batch_last(y, p))
    if banded.pays(p, 8):
        found = banded.input_grad(y, weight, p).reshape(p.channels, *p.padded, p.batch)
        return _batch_first(found[p.inside] if p.bordered else found, p)
    flat = y.reshape(p.groups, p.outs // p.groups, -1)
    kernels = weight.reshape(p.groups, -1, p.width).swapaxes(1, 2)
    if p.direct and not p.bordered:
        return _batch_first(_product(kernels, flat).reshape(p.channels, *p.padded, p.batch), p)
    found = np.zeros((p.channels, *p.padded, p.batch), np.result_type(y, weight))
    buffer = None
    for block in p.blocks:
        part = flat[:, :, block.places]
        if buffer is None or buffer.shape[2] != part.shape[2]:
            buffer = np.empty((p.groups, p.width, part.shape[2]), found.dtype)
        _product(kernels, part, buffer)
        columns = buffer.reshape(p.channels, *p.kernel, block.rows, *p.out[1:], p.batch)
        for tap, reach in block.taps:
            found[reach] += columns[tap]
    return _batch_first(found[p.inside] if p.bordered else found, p)


def mirrored(y: Any, weight: Any, p: Plan) -> tuple[Any, Plan] | None:
    """With stride 1 the gradient by the input is the convolution of y with kernels whose elements stand the other way
    round, and what are inputs and outputs has changed places: these kernels, and the plan of that convolution."""
    befores = [i.start for i in p.inside[1:]]
    afters = [n - i.stop for n, i in zip(p.padded, p.inside[1:], strict=True)]
    borders = tuple(
        (r - 1 - b, r - 1 - a) for r, b, a in zip(reaches(p.kernel, p.dilation), befores, afters, strict=True)
    )
    if any(s != 1 for s in p.stride) or min(map(min, borders)) < 0:
        return None
    axes = len(p.kernel)
    turned = weight.reshape(p.groups, -1, p.channels // p.groups, *p.kernel).swapaxes(1, 2)
    turned = turned[(..., *(slice(None, None, -1),) * axes)].reshape(p.channels, -1, *p.kernel)
    return turned, plan(y.shape, turned.shape, p.stride, borders, p.dilation, p.groups, axes)


def _conv_weight_grad(x: Any, y: Any, shape: Ints, p: Plan) -> Any:
    found: Any = kernel_dispatch.weight_grad(_batch_last(x, p), _batch_last(y, p), p)
    if found is not None:
        return found
    x, y = _bordered(x, p), np.ascontiguousarray(_batch_last(y, p))
    if banded.pays(p, 128):
        return banded.weight_grad(x, y, p).reshape(shape)
    flat = y.reshape(p.groups, p.outs // p.groups, -1)
    for block, columns in _columns(x, p):
        # Columns first: OpenBLAS is up to a third faster on it than on the transposed product.
        part = _product(columns, flat[:, :, block.places].swapaxes(1, 2))
        found = part if found is None else np.add(found, part, out=found)
    return found.swapaxes(1, 2).reshape(shape)


def _fits(y: Any, p: Plan, x_shape: Ints) -> None:
    expected = ((p.batch,) if p.batched else ()) + (p.outs, *p.out)
    if y.shape != expected:
        raise ValueError(f"y has shape {y.shape}; for an input of shape {tuple(x_shape)} it must be {expected}")


def check_bias(bias: Any, outs: int) -> None:
    """Raise unless a bias that is given has a number for each output channel."""
    if bias is not None and bias.shape != (outs,):
        raise ValueError(f"bias has shape {bias.shape}; it must be ({outs},), one per output channel")


# -- forwards ----------------------------------------------------------------------------------------------------


def forwards(axes: int) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """The forwards of the three ops of a family, over so many spatial axes."""

    def conv(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Size = 1,
        padding: Any = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Any:
        p = plan(x.shape, weight.shape, stride, padding, dilation, groups, axes)
        check_bias(bias, p.outs)
        return _conv(x, weight, bias, p)

    def conv_input_grad(
        y: Any, weight: Any, shape: Ints, stride: Size = 1, padding: Any = 0, dilation: Size = 1, groups: int = 1
    ) -> Any:
        p = plan(tuple(shape), weight.shape, stride, padding, dilation, groups, axes)
        _fits(y, p, shape)
        return _conv_input_grad(y, weight, p)

    def conv_weight_grad(
        x: Any, y: Any, shape: Ints, stride: Size = 1, padding: Any = 0, dilation: Size = 1, groups: int = 1
    ) -> Any:
        p = plan(x.shape, tuple(shape), stride, padding, dilation, groups, axes)
        _fits(y, p, x.shape)
        return _conv_weight_grad(x, y, shape, p)

    return conv, conv_input_grad, conv_weight_grad


_conv1d, _conv1d_input_grad, _conv1d_weight_grad = forwards(1)
_conv2d, _conv2d_input_grad, _conv2d_weight_grad = forwards(2)
_conv3d, _conv3d_input_grad, _conv3d_weight_grad = forwards(3)
