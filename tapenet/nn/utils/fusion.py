"""Batch normalisation folded into the layer before it, for use after training."""

from __future__ import annotations

import copy
from typing import TypeVar

import numpy as np

from tapenet.nn.batch_normalization import _BatchNorm
from tapenet.nn.module import Module
from tapenet.nn.parameter import Parameter

M = TypeVar("M", bound=Module)


def fuse_conv_bn_eval(conv: M, bn: _BatchNorm, transpose: bool = False) -> M:
    """A convolution that computes what a convolution and the batch normalisation after it do in evaluation.

    Args:
        conv: the convolution; it stays as it is.
        bn: the batch normalisation.
        transpose: the convolution is a transposed one, whose outputs are along the second axis of its weight.

    Raises:
        ValueError: one of the two is in training, or there are no running statistics.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> conv, bn = nn.Conv2d(1, 2, 3).eval(), nn.BatchNorm2d(2).eval()
    >>> x = np.ones((1, 1, 4, 4), np.float32)
    >>> bool(np.allclose(nn.utils.fuse_conv_bn_eval(conv, bn)(x).data, bn(conv(x)).data, atol=1e-6))
    True
    """
    return _fused("fuse_conv_bn_eval", conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: M, bn: _BatchNorm) -> M:
    """An affine layer that computes what an affine layer and the batch normalisation after it do in evaluation.

    Raises:
        ValueError: one of the two is in training, or there are no running statistics.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> linear, bn = nn.Linear(3, 2).eval(), nn.BatchNorm1d(2).eval()
    >>> x = np.ones((1, 3), np.float32)
    >>> bool(np.allclose(nn.utils.fuse_linear_bn_eval(linear, bn)(x).data, bn(linear(x)).data, atol=1e-6))
    True
    """
    return _fused("fuse_linear_bn_eval", linear, bn, 0)


def _fused(name: str, layer: M, bn: _BatchNorm, axis: int) -> M:
    if layer.training or bn.training:
        raise ValueError(
            f"{name}: both layers must be in eval mode: in training the statistics are those of each batch"
        )
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError(f"{name}: the batch normalisation has no running statistics")
    made = copy.deepcopy(layer)
    weight, bias = made.weight, made.bias  # type: ignore[attr-defined]
    channels = weight.shape[axis] * (getattr(layer, "groups", 1) if axis else 1)
    if channels != bn.num_features:
        raise ValueError(
            f"{name}: the layer has {channels} outputs, the batch normalisation {bn.num_features} features"
        )
    factor = 1 / np.sqrt(bn.running_var.data + bn.eps)
    if bn.weight is not None:
        factor = factor * bn.weight.data
    shift = (0 if bias is None else bias.data) - bn.running_mean.data
    shift = shift * factor
    if bn.bias is not None:
        shift = shift + bn.bias.data
    old = weight.data
    if axis:
        # A transposed convolution's weight is (in, out / groups, ...): the inputs of a group make the group's outputs.
        groups = getattr(layer, "groups", 1)
        split = old.reshape(groups, -1, *old.shape[1:])
        new = (split * factor.reshape(groups, 1, -1, *(1,) * (old.ndim - 2))).reshape(old.shape)
    else:
        new = old * factor.reshape(-1, *(1,) * (old.ndim - 1))
    made.weight = Parameter(new.astype(old.dtype), requires_grad=weight.requires_grad)
    made.bias = Parameter(shift.astype(old.dtype), requires_grad=weight.requires_grad)
    return made
