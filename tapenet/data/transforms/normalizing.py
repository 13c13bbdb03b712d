"""Changes of numbers: to floats, to mean 0, labels to rows of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapenet.data.transforms.transform import Transform
from tapenet.typing import Array


class ToFloat(Transform):
    """Images as float32: integers divided by the largest number of their dtype, so that uint8 comes into [0, 1].

    torchvision's `ToDtype(torch.float32, scale=True)`, and `ToTensor` but for its change of axes.

    >>> ToFloat()(np.array([[[0, 51, 255]]], np.uint8))
    array([[[0. , 0.2, 1. ]]], dtype=float32)
    """

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        if images.dtype.kind in "iu":
            scaled: Array = np.divide(images, np.float32(np.iinfo(images.dtype).max), dtype=np.float32)
            return scaled
        return images.astype(np.float32)


class Normalize(Transform):
    """`(image - mean) / std`, with one number for all channels or one for each.

    Raises TypeError for images of integers, which the result would not fit into.

    >>> Normalize(0.5, 0.5)(np.array([[[0, 0.5, 1]]], np.float32))
    array([[[-1.,  0.,  1.]]], dtype=float32)
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = mean, std
        if np.ndim(mean) > 1 or np.ndim(std) > 1 or not (np.asarray(std) > 0).all():
            raise ValueError(
                f"Normalize needs mean and std as a number or one for each channel, std above 0; got {mean}, {std}"
            )

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        if images.dtype.kind != "f":
            raise TypeError(f"Normalize needs images of floats, got {images.dtype}; put ToFloat() before it")
        mean, std = (
            np.atleast_1d(np.asarray(v, images.dtype))[:, np.newaxis, np.newaxis] for v in (self.mean, self.std)
        )
        if not {len(mean), len(std)} <= {1, images.shape[1]}:
            raise ValueError(
                f"Normalize needs one mean and std or one for each of {images.shape[1]} channels, got {self.mean}, {self.std}"
            )
        normal: Array = images - mean
        normal /= std
        return normal


class OneHot:
    """Labels as rows of 0 and 1: integers of any shape (...) as float32 (..., classes).

    Raises ValueError for a label outside 0 to classes - 1.

    >>> OneHot(3)(np.array([2, 0]))
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    >>> OneHot(3)(3)
    Traceback (most recent call last):
    ValueError: OneHot(3) got label 3; labels are integers from 0 to 2
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __call__(self, labels: ArrayLike) -> NDArray[np.float32]:
        given = np.asarray(labels)
        wrong = given[(given < 0) | (given >= self.classes)] if given.dtype.kind in "iu" else given.reshape(-1)
        if wrong.size:
            raise ValueError(
                f"OneHot({self.classes}) got label {wrong[0]}; labels are integers from 0 to {self.classes - 1}"
            )
        rows: NDArray[np.bool_] = given[..., np.newaxis] == np.arange(self.classes)
        return rows.astype(np.float32)

    def __repr__(self) -> str:
        return f"OneHot({self.classes})"
