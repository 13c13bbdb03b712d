"""The base of transforms, and transforms made of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapenet.data.dataset import takes_rng
from tapenet.data.methods import check_methods
from tapenet.typing import Array


class Transform:
    """A change of images. Subclass it and write `apply`, which gets a batch.

    Called with one image (C, H, W) or a batch (N, C, H, W), and a random generator; without one, with a fresh one. Of a tuple,
    a sample or a batch with its labels, the first member is changed. What it is given is not written to.

    >>> class Darker(Transform):
    ...     def apply(self, images, rng):
    ...         return images // 2
    >>> Darker()((np.full((1, 1, 2), 8), "a label"))
    (array([[[4, 4]]]), 'a label')
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_methods(cls, {"apply": ("images", "rng")})

    def __call__(self, sample: object, rng: np.random.Generator | None = None) -> Any:
        if isinstance(sample, tuple):
            return (self(sample[0], rng), *sample[1:])
        return self._changed(sample, np.random.default_rng() if rng is None else rng)

    def _changed(self, sample: object, rng: np.random.Generator) -> object:
        """An image or a batch of images, changed."""
        images = as_images(sample, type(self).__name__)
        return self.apply(images, rng) if images.ndim == 4 else self.apply(images[np.newaxis], rng)[0]

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        """Images (N, C, H, W) changed, each by a draw of its own."""
        raise NotImplementedError(f"{type(self).__name__} is a Transform without apply; write it")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class Compose(Transform):
    """One transform after the other. Plain functions may be among them: `f(image)`, or `f(image, rng=...)`.

    >>> from tapenet.data.transforms import RandomCrop, RandomHorizontalFlip, ToFloat
    >>> change = Compose([RandomCrop(28, padding=2), RandomHorizontalFlip(), ToFloat(), lambda image: 2 * image - 1])
    >>> image, label = change((np.zeros((1, 28, 28), np.uint8), 7), np.random.default_rng(0))
    >>> image.shape, image.dtype, image.min(), label
    ((1, 28, 28), dtype('float32'), np.float32(-1.0), 7)
    """

    def __init__(self, transforms: Sequence[Callable[..., object]]) -> None:
        self.transforms = list(transforms)
        self._takes_rng = [takes_rng(transform) for transform in self.transforms]

    def _changed(self, sample: object, rng: np.random.Generator) -> object:
        for transform, with_rng in zip(self.transforms, self._takes_rng, strict=True):
            sample = transform(sample, rng=rng) if with_rng else transform(sample)
        return sample

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transforms!r})"


class RandomApply(Compose):
    """Some transforms, one after the other, with probability `p`, else none of them.

    Of a batch each image is changed or not; the changes must keep shape and dtype then.

    >>> from tapenet.data.transforms import Grayscale
    >>> images = np.random.default_rng(0).random((8, 3, 2, 2))
    >>> changed = RandomApply([Grayscale(3)], p=0.25)(images, np.random.default_rng(0))
    >>> np.flatnonzero((changed != images).any((1, 2, 3)))
    array([2, 3])
    """

    def __init__(self, transforms: Sequence[Callable[..., object]], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = probability("RandomApply", p)

    def _changed(self, sample: object, rng: np.random.Generator) -> object:
        images = np.asarray(sample)
        if images.ndim < 4:
            return super()._changed(sample, rng) if rng.random() < self.p else sample
        return replaced("RandomApply", images, rng.random(len(images)) < self.p, super()._changed, rng)


class RandomChoice(Transform):
    """One of some transforms, each with the same probability, or with those in `p`.

    >>> from tapenet.data.transforms import RandomHorizontalFlip, RandomVerticalFlip
    >>> flip = RandomChoice([RandomHorizontalFlip(p=1), RandomVerticalFlip(p=1)])
    >>> flip(np.arange(4).reshape(1, 2, 2), np.random.default_rng(0)).tolist()
    [[[2, 3], [0, 1]]]
    """

    def __init__(self, transforms: Sequence[Callable[..., object]], p: Sequence[float] | None = None) -> None:
        self.transforms = [Compose([transform]) for transform in transforms]
        if p is not None and (len(p) != len(transforms) or abs(sum(p) - 1) > 1e-6 or min(p) < 0):
            raise ValueError(f"RandomChoice needs p as {len(transforms)} probabilities that add up to 1, got {p!r}")
        self.p = None if p is None else np.asarray(p) / np.sum(p)

    def _changed(self, sample: object, rng: np.random.Generator) -> object:
        images = np.asarray(sample)
        if images.ndim < 4:
            return self.transforms[rng.choice(len(self.transforms), p=self.p)](sample, rng)
        chosen = rng.choice(len(self.transforms), len(images), p=self.p)
        for number, transform in enumerate(self.transforms):
            images = replaced("RandomChoice", images, chosen == number, transform, rng)
        return images


def replaced(
    who: str, images: Array, which: NDArray[np.bool_], change: Callable[..., object], rng: np.random.Generator
) -> Array:
    """Images (N, C, H, W) of which some are changed.

    Raises ValueError if that changes their shape or dtype.
    """
    if not which.any():
        return images
    changed = np.asarray(change(images[which], rng))
    if changed.shape[1:] != images.shape[1:] or changed.dtype != images.dtype:
        raise ValueError(
            f"{who} makes {changed.dtype} {changed.shape[1:]} of some images of a batch, the others are {images.dtype} "
            f"{images.shape[1:]}; use it on single images: dataset.map(transform)"
        )
    out = np.array(images)
    out[which] = changed
    return out


def as_images(sample: object, who: str) -> Array:
    """An image (C, H, W) or a batch (N, C, H, W).

    Raises TypeError if it is no array of numbers, and ValueError if its shape is another.

    >>> as_images(np.zeros((28, 28)), "Resize")
    Traceback (most recent call last):
    ValueError: Resize needs an image (C, H, W) or a batch (N, C, H, W), got shape (28, 28); give a grey image one channel: \
image[np.newaxis]
    """
    images = np.asarray(sample)
    if images.dtype.kind not in "biuf":
        raise TypeError(
            f"{who} needs images as an array of numbers, got {type(sample).__name__} of dtype {images.dtype}"
        )
    need = f"{who} needs an image (C, H, W) or a batch (N, C, H, W), got shape {images.shape}"
    if images.ndim not in (3, 4):
        raise ValueError(f"{need}; give a grey image one channel: image[np.newaxis]")
    if images.shape[-1] == 3 and images.shape[-3] not in (1, 2, 3, 4):
        raise ValueError(f"{need}, where channels seem to come last; put them first: np.moveaxis(images, -1, -3)")
    return images


def probability(who: str, p: float) -> float:
    """`p`, if it is a probability.

    >>> probability("RandomApply", 1.5)
    Traceback (most recent call last):
    ValueError: RandomApply needs p from 0 to 1, got 1.5
    """
    if not 0 <= p <= 1:
        raise ValueError(f"{who} needs p from 0 to 1, got {p!r}")
    return p


def pair(who: str, name: str, size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width; one number is both.

    >>> pair("CenterCrop", "size", 7), pair("CenterCrop", "size", (3, 4))
    ((7, 7), (3, 4))
    """
    both = (size, size) if isinstance(size, (int, np.integer)) else tuple(size)
    if len(both) != 2 or min(both) < 1:
        raise ValueError(f"{who} needs {name} as one number or (height, width), each at least 1, got {size!r}")
    return int(both[0]), int(both[1])


def interval(who: str, name: str, given: float | Sequence[float], least: float, around: float) -> tuple[float, float]:
    """From where to where a number is drawn: one number is the distance to both sides `around`; no less than `least`.

    >>> interval("RandomRotation", "degrees", 10, -np.inf, 0), interval("ColorJitter", "contrast", 1.5, 0, 1)
    ((-10, 10), (0, 2.5))
    """
    if isinstance(given, (int, float, np.number)):
        if given < 0:
            raise ValueError(f"{who} needs {name} as a number of at least 0 or (from, to), got {given!r}")
        return max(around - given, least), around + given
    both = tuple(given)
    if len(both) != 2 or not least <= both[0] <= both[1]:
        raise ValueError(f"{who} needs {name} as one number or (from, to) with {least} <= from <= to, got {given!r}")
    return both[0], both[1]


def filling(who: str, fill: float | Sequence[float], images: Array) -> Array:
    """What is put where there is no image, (C, 1, 1) or (1, 1, 1).

    Raises ValueError if it has a number of channels of its own.
    """
    values = np.atleast_1d(np.asarray(fill))
    if values.ndim != 1 or len(values) not in (1, images.shape[1]):
        raise ValueError(f"{who} needs fill as one number or one for each of {images.shape[1]} channels, got {fill!r}")
    filled: Array = values.astype(images.dtype)[:, np.newaxis, np.newaxis]
    return filled


def like(images: Array, values: Array) -> Array:
    """Computed values in the dtype of `images`: rounded and kept in its range if that is of integers.

    >>> like(np.zeros(1, np.uint8), np.array([1.5, 2.5, 300.0, -1.0]))
    array([  2,   2, 255,   0], dtype=uint8)
    """
    if images.dtype == bool:
        rounded: Array = values >= 0.5
    elif images.dtype.kind == "f":
        rounded = values
    else:
        info = np.iinfo(images.dtype)
        rounded = np.rint(values)
        np.clip(rounded, info.min, info.max, out=rounded)
    return rounded.astype(images.dtype, copy=False)
