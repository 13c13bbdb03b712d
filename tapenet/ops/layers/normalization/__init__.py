"""Normalisation: inputs brought to mean 0 and variance 1, or to length 1, then scaled and shifted by learned parameters."""

from __future__ import annotations

from tapenet.ops.layers.normalization.batch import batch_norm, batch_norm_train
from tapenet.ops.layers.normalization.group import group_norm, group_norm_statistics, instance_norm
from tapenet.ops.layers.normalization.layer import layer_norm, rms_norm
from tapenet.ops.layers.normalization.length import local_response_norm, normalize

__all__ = [
    "batch_norm",
    "batch_norm_train",
    "group_norm",
    "group_norm_statistics",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "normalize",
    "rms_norm",
]
