"""Helpers around layers, under PyTorch's names."""

from __future__ import annotations

from tapenet.nn.utils import parametrizations, parametrize, prune, rnn
from tapenet.nn.utils.clipping import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from tapenet.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from tapenet.nn.utils.parameter_vector import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_linear_bn_eval",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "prune",
    "rnn",
    "vector_to_parameters",
]
