"""MNIST and Fashion-MNIST: 70,000 small grey images of ten classes, in the same four files."""

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapenet.data.download import File, Source, find
from tapenet.data.idx_files import read_idx

_LARGEST = 16 + 60_000 * 28 * 28  # bytes of the largest of the four files, unpacked

MNIST = Source(
    title="MNIST",
    function="mnist",
    # The publisher's page gave no checksums. SHA-256 of the files unpacked, since they are compressed in more than one way:
    # those of the files with the MD5 sums that torchvision (torchvision/datasets/mnist.py) states for the packed ones.
    files=tuple(
        File(f"{name}.gz", _LARGEST, (f"sha256:{total}",), unpacked=True)
        for name, total in {
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        }.items()
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    instead="use tapenet.data.digits(), which needs no files",
    bare=True,
)

FASHION_MNIST = Source(
    title="Fashion-MNIST",
    function="fashion_mnist",
    # MD5: the table in the README of the publisher's repository, github.com/zalandoresearch/fashion-mnist.
    # SHA-256: TensorFlow Datasets, tensorflow_datasets/url_checksums/fashion_mnist.txt.
    files=tuple(
        File(f"{name}.gz", _LARGEST, (f"md5:{md5}", f"sha256:{sha256}"))
        for name, md5, sha256 in (
            (
                "train-images-idx3-ubyte",
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            (
                "train-labels-idx1-ubyte",
                "25c81989df183df01b3e8a0aad5dffbe",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            (
                "t10k-images-idx3-ubyte",
                "bef4ecab320f06d8554ea6380940ec79",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            (
                "t10k-labels-idx1-ubyte",
                "bb300cfdad3c16e7a12a480ee83cd310",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        )
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    instead="use tapenet.data.digits(), which needs no files",
)

FASHION_MNIST_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


class LabelledImages(NamedTuple):
    """Images to train on and to test with, float32 (N, C, H, W) in [0, 1], and their labels, int64 (N,)."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def mnist(folder: str | os.PathLike[str] | None = None, download: bool = True) -> LabelledImages:
    """The MNIST digits: 60,000 to train on and 10,000 to test with.

    Looks for the four files, gzipped or plain, in `folder` if it is given, and nowhere else. Otherwise looks
    in the folder that `$TAPENET_DATA` names, in its subfolder `mnist`, and in the user's cache
    (`~/.cache/tapenet/mnist`, or under `$XDG_CACHE_HOME`, or under `%LOCALAPPDATA%` on Windows); if all four
    are in none of these, downloads the missing ones (11 MB) into the cache, unless `download` is false.

    Returns `(train_images, train_labels, test_images, test_labels)`, also by these names: images float32
    (N, 1, 28, 28) in [0, 1], 0 is paper and 1 is ink, labels int64 (N,), 0 to 9.

    Raises FileNotFoundError if the files are not there, ConnectionError if no mirror delivers them, and
    ValueError, naming the file, if one is malformed or does not hold digits. `digits` needs no files.

    >>> train_images, train_labels, test_images, test_labels = mnist()  # doctest: +SKIP
    >>> mnist("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: MNIST is not whole in nowhere (train-images-idx3-ubyte[.gz] and 3 more missing)...
    """
    return to_labelled(read_raw(find(MNIST, folder, download), MNIST))


def fashion_mnist(folder: str | os.PathLike[str] | None = None, download: bool = True) -> LabelledImages:
    """Fashion-MNIST: pictures of clothes, 60,000 to train on and 10,000 to test with, in the shape of MNIST but harder.

    Zalando's article images (MIT licence). The names of the ten classes, in the order of the labels, are in
    `FASHION_MNIST_CLASSES`.

    The files are looked for and downloaded (30 MB) as those of `mnist` are, with a subfolder `fashion_mnist`; but not in
    `$TAPENET_DATA` itself, since they are called as MNIST's are. The result and the errors are those of `mnist` too.

    >>> train_images, train_labels, test_images, test_labels = fashion_mnist()  # doctest: +SKIP
    >>> FASHION_MNIST_CLASSES[9]
    'Ankle boot'
    """
    return to_labelled(read_raw(find(FASHION_MNIST, folder, download), FASHION_MNIST))


def read_raw(paths: Mapping[str, str], source: Source) -> tuple[NDArray[np.uint8], ...]:
    """The four arrays as stored, uint8: training images (N, 28, 28), their labels (N,), the same for testing.

    Raises ValueError, naming the file, where one is malformed or holds something else.

    >>> read_raw(find(MNIST, "data/mnist", False), MNIST)  # doctest: +SKIP
    """
    raw = []
    for images_file, labels_file in (source.files[:2], source.files[2:]):
        images_path, labels_path = paths[images_file.name], paths[labels_file.name]
        images, labels = read_idx(images_path), read_idx(labels_path)
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
            raise _other(images_path, "uint8 images (N, 28, 28)", images, source)
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise _other(labels_path, f"uint8 labels ({len(images)},), one for each image", labels, source)
        if labels.max(initial=0) > 9:
            raise _other(labels_path, "labels from 0 to 9", labels, source)
        raw += [images, labels]
    return tuple(raw)


def to_labelled(raw: Iterable[NDArray[np.uint8]]) -> LabelledImages:
    """Images uint8 (N, 28, 28) and labels uint8 (N,), training then testing, as `LabelledImages`.

    >>> images, labels = np.full((2, 28, 28), 255, np.uint8), np.array([3, 7], np.uint8)
    >>> digits = to_labelled([images, labels, images, labels])
    >>> digits.train_images.shape, digits.train_images.max().item(), digits.test_labels
    ((2, 1, 28, 28), 1.0, array([3, 7]))
    """
    train_images, train_labels, test_images, test_labels = raw
    return LabelledImages(
        train_images=_scaled(train_images),
        train_labels=train_labels.astype(np.int64),
        test_images=_scaled(test_images),
        test_labels=test_labels.astype(np.int64),
    )


def _scaled(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled = images[:, np.newaxis].astype(np.float32)
    scaled /= 255
    return scaled


def _other(path: str, expected: str, found: NDArray[np.uint8], source: Source) -> ValueError:
    return ValueError(
        f"{path}: expected {expected}, found {found.dtype} {found.shape}"
        + (f" up to {found.max()}" if found.size else "")
        + f"; put the {source.title} file of this name in its place, or read other data with tapenet.data.read_idx"
    )
