"""CIFAR-10: 60,000 small colour photographs of ten classes."""

import os

import numpy as np
from numpy.typing import NDArray

from tapenet.data.archives import GET_AGAIN, malformed, tar_members, unpacked
from tapenet.data.download import File, Source, find
from tapenet.data.mnist_files import LabelledImages

_RECORDS = 10_000  # images in each of the six files
_RECORD = 1 + 3 * 32 * 32  # bytes: a label and the pixels, red, green, blue

CIFAR10 = Source(
    title="CIFAR-10",
    function="cifar10",
    # The binary version: the Python version is pickled, and unpickling runs what the file says.
    # MD5: the publisher's page, www.cs.toronto.edu/~kriz/cifar.html. Length and SHA-256: TensorFlow Datasets,
    # tensorflow_datasets/url_checksums/cifar10.txt.
    files=(
        File(
            "cifar-10-binary.tar.gz",
            170_052_171,
            (
                "md5:c32a1d4ab5d03f1284b67883e8d87530",
                "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    instead="use tapenet.data.digits(), which needs no files",
    bare=True,
)

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def cifar10(folder: str | os.PathLike[str] | None = None, download: bool = True) -> LabelledImages:
    """CIFAR-10: photographs of ten kinds of things, 50,000 to train on and 10,000 to test with.

    By Krizhevsky, Nair and Hinton, who state no licence and ask to be cited (Learning Multiple Layers of Features from Tiny
    Images, 2009). The names of the classes, in the order of the labels, are in `CIFAR10_CLASSES`.

    Looks for the archive `cifar-10-binary.tar.gz`, or unpacked `cifar-10-binary.tar`, where `mnist` looks, with a subfolder
    `cifar10`, and downloads it (170 MB) into the cache if it is not there. It is read where it lies; nothing is unpacked
    on the disk.

    Returns `(train_images, train_labels, test_images, test_labels)`, also by these names: images float32
    (N, 3, 32, 32) in [0, 1], 737 MB in all, labels int64 (N,), 0 to 9.

    Raises FileNotFoundError, ConnectionError and ValueError as `mnist` does.

    >>> train_images, train_labels, test_images, test_labels = cifar10()  # doctest: +SKIP
    >>> cifar10("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: CIFAR-10 is not whole in nowhere (cifar-10-binary.tar[.gz] missing)...
    """
    (path,) = find(CIFAR10, folder, download).values()
    parts = [f"cifar-10-batches-bin/{part}.bin" for part in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")]
    with open(path, "rb") as file, unpacked(file, path, GET_AGAIN) as stream:
        stored = tar_members(stream, dict.fromkeys(parts, _RECORDS * _RECORD), path, GET_AGAIN)
    train_images, train_labels = _decoded(stored, parts[:5], path)
    test_images, test_labels = _decoded(stored, parts[5:], path)
    return LabelledImages(train_images, train_labels, test_images, test_labels)


def _decoded(stored: dict[str, bytes], parts: list[str], path: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images and labels of some files, which are taken out of `stored`: the pixels lie in memory once."""
    images = np.empty((len(parts) * _RECORDS, 3, 32, 32), np.float32)
    labels = np.empty(len(images), np.int64)
    for i, part in enumerate(parts):
        data = stored.pop(part)
        if len(data) != _RECORDS * _RECORD:
            expected = f"{_RECORDS:,} records of {_RECORD:,} bytes in {part}"
            raise malformed(path, expected, f"{len(data):,} bytes", GET_AGAIN)
        records = np.frombuffer(data, np.uint8).reshape(_RECORDS, _RECORD)
        rows = slice(i * _RECORDS, (i + 1) * _RECORDS)
        labels[rows] = records[:, 0]
        np.divide(records[:, 1:].reshape(-1, 3, 32, 32), np.float32(255), out=images[rows])
        if labels[rows].max() > 9:
            raise malformed(path, f"labels from 0 to 9 in {part}", f"one of {labels[rows].max()}", GET_AGAIN)
    return images, labels
