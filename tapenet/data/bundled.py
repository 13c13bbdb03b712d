"""Data sets that come with the package: they need no network and no files."""

import numpy as np

from tapenet.data.csv_files import csv
from tapenet.data.mnist_files import LabelledImages, to_labelled
from tapenet.data.tables import Table


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


def iris() -> Table:
    """150 iris flowers of three species, 50 of each: four lengths in centimetres, the species to be told; needs no network.

    Measured by Edgar Anderson, published by R. A. Fisher (The use of multiple measurements in taxonomic problems, 1936), as
    printed there. (The file at UCI differs from it in two flowers.) UCI offers the data under CC BY 4.0
    (doi.org/10.24432/C56C76).

    >>> flowers = iris()
    >>> flowers.names, flowers.classes
    (('sepal_length', 'sepal_width', 'petal_length', 'petal_width'), ('setosa', 'versicolor', 'virginica'))
    >>> train, test = flowers.split(test=0.2, seed=0)
    >>> train.x.shape, test.y.shape
    ((120, 4), (30,))
    """
    from importlib.resources import as_file, files

    with as_file(files("tapenet.data") / "iris.csv") as path:
        return csv(path, target="species")
