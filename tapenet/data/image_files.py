"""Folders of images as data sets: one folder per class."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from tapenet.data.dataset import Dataset, in_range, takes_rng

if TYPE_CHECKING:
    from PIL import Image

R = TypeVar("R")

#: What the names of image files end in.
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
#: What is read at all: others, such as EPS, start programs.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = ("RGB", "L", "RGBA", "keep")
#: What the modes of Pillow become that are kept as they are; all others become RGB.
_KEPT = {"L": "L", "1": "L", "RGBA": "RGBA", "LA": "RGBA", "PA": "RGBA", "La": "RGBA", "RGBa": "RGBA"}


class ImageFolder(Dataset[tuple[object, object]]):
    """A folder of image files as a data set; `image_folder` makes it. A sample is `(image, label)`.

    `classes` are the names of the classes in the order of the labels, `paths` the files, `labels` (N,) their classes.
    """

    def __init__(
        self,
        root: str,
        classes: Sequence[str],
        paths: Sequence[str],
        labels: NDArray[np.int64],
        mode: str,
        transform: Callable[..., object] | None,
        target_transform: Callable[[object], object] | None,
        max_pixels: int,
    ) -> None:
        self.root, self.classes, self.paths, self.labels = root, tuple(classes), tuple(paths), labels
        self.mode, self.max_pixels = mode, max_pixels
        self.transform, self.target_transform = transform, target_transform
        self._takes_rng = transform is not None and takes_rng(transform)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> tuple[object, object]:
        return self.draw(index, np.random.default_rng(in_range(index, len(self))))

    def draw(self, index: int, rng: np.random.Generator) -> tuple[object, object]:
        """The sample as a loader asks for it: `rng` goes to the transform."""
        image: object = read_image(self.paths[index], self.mode, max_pixels=self.max_pixels)
        label: object = self.labels[index]
        if self.transform is not None:
            image = self.transform(image, rng=rng) if self._takes_rng else self.transform(image)
        return image, label if self.target_transform is None else self.target_transform(label)

    @property
    def is_random(self) -> bool:
        """Whether the transform takes a generator."""
        return self._takes_rng

    def __repr__(self) -> str:
        return f"ImageFolder({self.root!r}, {len(self):,} images of {len(self.classes)} classes)"


def image_folder(
    folder: str | os.PathLike[str],
    *,
    mode: str = "RGB",
    transform: Callable[..., object] | None = None,
    target_transform: Callable[[object], object] | None = None,
    classes: Sequence[str] | None = None,
    max_pixels: int = 1 << 26,
) -> ImageFolder:
    """A folder with a subfolder of images for each class, as a data set of `(image, label)`.

    Needs Pillow: `pip install 'tapenet[images]'`.

    Args:
        folder: where the subfolders are. Images may lie in subfolders of these, at any depth. What is hidden (its name begins
            with a dot), or is no image by its name, is passed over. Links are followed.
        mode: what images are made: "RGB", "L" (grey), "RGBA" or "keep", as the file has it (palettes become colours).
        transform: a function of the image, or `f(image, rng=...)`, as in `tapenet.data.transforms`.
        target_transform: a function of the label.
        classes: the names of the subfolders in the order of the labels; by default all of them, sorted.
        max_pixels: no image may have more, by what its header says: it is refused before it is decoded.

    An image is a uint8 array (C, H, W), upright by what the camera wrote (EXIF); a label is an int64. Of an animation it is the
    first picture. Files are read when samples are asked for, in the order of their paths.

    Raises FileNotFoundError if there is no such folder, ValueError if it has no subfolders with images or a class is not there.
    A file that is damaged, or no image, is a ValueError with its path when it is read.

    >>> digits = image_folder("images/train", transform=Compose([Resize(32), ToFloat()]))  # doctest: +SKIP
    >>> image_folder("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: nowhere: no such folder in ...; image_folder needs one with a subfolder of images for each class
    """
    root = os.fspath(folder)
    _checked_mode(mode, "image_folder")
    if not os.path.isdir(root):
        raise FileNotFoundError(
            f"{root}: no such folder in {os.getcwd()}; image_folder needs one with a subfolder of images for each class"
        )
    there = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    chosen = there if classes is None else list(classes)
    if absent := [name for name in chosen if name not in there]:
        raise ValueError(f"{root} has no subfolder {absent[0]!r}; there are: {', '.join(there[:20]) or 'none'}")
    found = [_images_in(os.path.join(root, name)) for name in chosen]
    if empty := [name for name, paths in zip(chosen, found, strict=True) if not paths]:
        raise ValueError(
            f"{os.path.join(root, empty[0])} holds no image (files ending in {', '.join(ENDINGS)}); remove the folder or give "
            "classes=[...] without it"
        )
    if not chosen:
        raise ValueError(
            f"{root} has no subfolders; image_folder needs one for each class, with its images. To read single images use "
            "tapenet.data.read_image(path)"
        )
    labels = np.repeat(np.arange(len(chosen)), [len(paths) for paths in found])
    return ImageFolder(
        root, chosen, [path for paths in found for path in paths], labels, mode, transform, target_transform, max_pixels
    )


def read_image(path: str | os.PathLike[str], mode: str = "RGB", *, max_pixels: int = 1 << 26) -> NDArray[np.uint8]:
    """An image file as a uint8 array (C, H, W); everything else as in `image_folder`.

    >>> read_image("cat.jpg").shape  # doctest: +SKIP
    (3, 480, 640)
    """
    _checked_mode(mode, "read_image")
    name = os.fspath(path)
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ImportError("reading images needs Pillow: pip install 'tapenet[images]'") from None

    def decoded() -> NDArray[np.uint8]:
        return np.asarray(_converted(ImageOps.exif_transpose(image), mode), np.uint8)

    with _Bounded(io.FileIO(name)) as file:  # a file that is not there is an error of its own
        image = _guarded(name, lambda: Image.open(file, formats=_FORMATS))
        if image.width * image.height > max_pixels:
            raise ValueError(
                f"{name}: an image of {image.width:,} by {image.height:,} pixels, by its header, which are more than "
                f"max_pixels={max_pixels:,}; if you trust the file, allow more"
            )
        pixels = _guarded(name, decoded)
    return np.ascontiguousarray(pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


class _Bounded(io.BufferedReader):
    """Reads no further than the file goes. Python makes room for as much as is asked for, and Pillow asks for what chunks of a
    file say that they hold."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


def _guarded(path: str, read: Callable[[], R]) -> R:
    """What `read` gives. Pillow raises what damage leads to: OSError, SyntaxError, struct.error, IndexError ..."""
    try:
        return read()
    except MemoryError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{path}: no image that can be read, or a damaged one ({reason}); replace or remove it"
        ) from None


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """An image in a mode of one byte per channel."""
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode.startswith("I") or image.mode == "F":
        from PIL import Image

        wide = np.asarray(image, np.float64)
        if wide.min(initial=0) < 0 or wide.max(initial=0) > 65535 or (wide != np.rint(wide)).any():
            raise ValueError(f"its pixels (mode {image.mode}) are no grey levels of 8 or 16 bits")
        # Pillow would cut 16 bits off at 255; they are scaled.
        image = Image.fromarray(np.rint(wide / 257).astype(np.uint8))
    if mode == "keep":
        mode = _KEPT.get(image.mode, "RGB")
    return image if image.mode == mode else image.convert(mode)


def _checked_mode(mode: str, who: str) -> None:
    if mode not in _MODES:
        raise ValueError(f"{who} needs mode as one of 'RGB', 'L', 'RGBA', 'keep', got {mode!r}")


def _images_in(folder: str) -> list[str]:
    """The image files in a folder and below it, in the order of their paths."""
    found = []
    seen: set[str] = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        if real not in seen:
            found += [os.path.join(here, n) for n in names if n.lower().endswith(ENDINGS) and not n.startswith(".")]
        seen.add(real)
    return sorted(found)
