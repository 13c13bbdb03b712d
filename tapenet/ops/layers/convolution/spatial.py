"""Convolution of arrays, over any number of spatial axes, as products of matrices.

The windows of the input are columns, the kernels rows. The columns lie in memory as (channel, kernel offset, spatial
axes, batch), batch innermost, whatever the order of the input: a window's shift is then a copy of long runs, one product
serves the whole batch, and its result (channel, spatial axes, batch) needs no transposition. Results are views of that
memory with axes (batch, channel, spatial axes).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tapenet.ops.layers.convolution import kernel_dispatch, lowered
from tapenet.ops.layers.convolution.geometry import Ints, Padding, Plan, Size, check_bias, plan
from tapenet.typing import Array

# -- memory ------------------------------------------------------------------------------------------------------


def _batch_last(x: Array, plan: Plan) -> Array:
    """(N, C, ...) or (C, ...) as (C, ..., N), without a copy."""
    return x.transpose(*range(1, x.ndim), 0) if plan.batched else x[..., None]


def _batch_first(x: Array, plan: Plan) -> Array:
    """The inverse, without a copy."""
    return x.transpose(x.ndim - 1, *range(x.ndim - 1)) if plan.batched else x[..., 0]


def _bordered(x: Array, plan: Plan) -> Array:
    """x in its border, as (C, ..., N) in that order in memory."""
    x = _batch_last(x, plan)
    if not plan.bordered:
        return np.ascontiguousarray(x)
    padded = np.zeros((plan.channels, *plan.padded, plan.batch), x.dtype)
    padded[plan.inside] = x
    return padded


def _columns(x: Array, plan: Plan) -> Array:
    """The windows of x in its border as columns: (groups, width, places)."""
    x = _bordered(x, plan)
    if plan.alone:  # each place is a column as it lies
        return x.reshape(plan.groups, plan.width, -1)
    shape, strides = _windows(plan, x.strides)
    windows: Array = np.ndarray(shape, x.dtype, x, strides=strides)  # as_strided takes 5 us longer
    return windows.reshape(plan.groups, plan.width, -1)


@functools.lru_cache(maxsize=512)  # a plan is one object for all calls with the same shapes
def _windows(plan: Plan, steps: Ints) -> tuple[Ints, Ints]:
    """Shape and strides of the windows of an array with these strides."""
    by_channel, *by_axis, by_batch = steps
    offsets = (s * d for s, d in zip(by_axis, plan.dilation, strict=True))
    places = (s * d for s, d in zip(by_axis, plan.stride, strict=True))
    return (plan.channels, *plan.kernel, *plan.out, plan.batch), (by_channel, *offsets, *places, by_batch)


# -- the three products ------------------------------------------------------------------------------------------


def _conv(x: Array, weight: Array, bias: Array | None, p: Plan) -> Array:
    if not isinstance(x, np.ndarray):
        return lowered.conv(x, weight, bias, p)
    found = kernel_dispatch.conv(_batch_last(x, p), weight, bias, p)
    if found is None:
        if p.single:  # 240-10 and 10-240 channels take 0.78 of the time of matmul with columns
            found = weight.reshape(p.outs, p.width).dot(x.reshape(p.width))
        else:
            found = np.matmul(weight.reshape(p.groups, -1, p.width), _columns(x, p))
        found = found.reshape(p.outs, *p.out, p.batch)
        if bias is not None:
            found += bias.reshape(-1, *(1,) * (found.ndim - 1))
    return _batch_first(found, p)


def _conv_input_grad(y: Array, weight: Array, p: Plan) -> Array:
    if not isinstance(y, np.ndarray):
        return lowered.input_grad(y, weight, p)
    found = kernel_dispatch.input_grad(_batch_last(y, p), weight, p)
    if found is not None:
        return _batch_first(found, p)
    rows = weight.reshape(p.groups, -1, p.width).swapaxes(1, 2)
    columns = np.matmul(rows, np.ascontiguousarray(_batch_last(y, p)).reshape(p.groups, p.outs // p.groups, -1))
    if p.alone and not p.bordered:
        return _batch_first(columns.reshape(p.channels, *p.out, p.batch), p)
    columns = columns.reshape(p.channels, *p.kernel, *p.out, p.batch)
    found = np.zeros((p.channels, *p.padded, p.batch), columns.dtype)
    for tap, reach in p.taps:
        part = found[:, *reach]
        part += columns[:, *tap]
    return _batch_first(found[p.inside] if p.bordered else found, p)


def _conv_weight_grad(x: Array, y: Array, shape: Ints, p: Plan) -> Array:
    if not isinstance(x, np.ndarray):
        return lowered.weight_grad(x, y, shape, p)
    found = kernel_dispatch.weight_grad(_batch_last(x, p), _batch_last(y, p), p)
    if found is not None:
        return found
    columns = _columns(x, p)
    flat = np.ascontiguousarray(_batch_last(y, p)).reshape(p.groups, p.outs // p.groups, -1)
    turned = columns.swapaxes(1, 2)
    found = (
        flat * turned if flat.shape[2] == 1 else np.matmul(flat, turned)
    )  # BLAS takes four times as long for one column
    return found.reshape(shape)


def _fits(y: Array, p: Plan, x_shape: Ints) -> None:
    expected = ((p.batch,) if p.batched else ()) + (p.outs, *p.out)
    if y.shape != expected:
        raise ValueError(f"y has shape {y.shape}; for an input of shape {tuple(x_shape)} it must be {expected}")


# -- forwards ----------------------------------------------------------------------------------------------------


def forwards(axes: int) -> tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array]]:
    """The forwards of the three ops of a family, over so many spatial axes."""

    def conv(
        x: Array,
        weight: Array,
        bias: Array | None = None,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Array:
        p = plan(x.shape, weight.shape, stride, padding, dilation, groups, axes)
        check_bias(bias, p.outs)
        return _conv(x, weight, bias, p)

    def conv_input_grad(
        y: Array,
        weight: Array,
        shape: Ints,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
    ) -> Array:
        p = plan(tuple(shape), weight.shape, stride, padding, dilation, groups, axes)
        _fits(y, p, shape)
        return _conv_input_grad(y, weight, p)

    def conv_weight_grad(
        x: Array, y: Array, shape: Ints, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1
    ) -> Array:
        p = plan(x.shape, tuple(shape), stride, padding, dilation, groups, axes)
        _fits(y, p, x.shape)
        return _conv_weight_grad(x, y, shape, p)

    return conv, conv_input_grad, conv_weight_grad
