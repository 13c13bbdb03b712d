"""A small part of MNIST that comes with the package."""

import numpy as np

from tapenet.data.mnist_files import LabelledImages, to_labelled


def digits() -> LabelledImages:
    """1,000 training and 1,000 test images of real MNIST, 100 of each digit in both; needs no network.

    They are drawn from MNIST's own training and test sets, in a mixed order that is always the same
    (`tapenet/data/build_digits.py` says how).

    Returns `(train_images, train_labels, test_images, test_labels)`, also by these names: images float32
    (1000, 1, 28, 28) in [0, 1], labels int64 (1000,). Every call reads them afresh: they are yours to change.

    >>> images, labels, _, _ = digits()
    >>> images.shape, images.dtype, labels[:8]
    ((1000, 1, 28, 28), dtype('float32'), array([9, 6, 8, 9, 9, 0, 5, 1]))
    """
    from importlib.resources import files

    resource = files("tapenet.data") / "digits.npz"
    with resource.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return to_labelled(stored[name] for name in LabelledImages._fields)
