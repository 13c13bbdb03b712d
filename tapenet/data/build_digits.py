"""Makes `digits.npz`, the part of MNIST that comes with the package, from the MNIST files in a folder.

    python -m tapenet.data.build_digits FOLDER [--out FILE]

Takes 100 images of each digit at random from the training set and 100 from the test set, in a mixed order.
(The test set's first half is easier than its second: "the first 100" would make an easier test.) The random
stream is NumPy's `RandomState(0)`, which is frozen: every NumPy makes the same choice.
"""

import argparse
import os

import numpy as np
from numpy.typing import NDArray

from tapenet.data.download import check, files_in
from tapenet.data.mnist_files import MNIST, read_raw

PER_DIGIT = 100


def build(folder: str, out: str) -> None:
    """Writes `out` (.npz, uint8 arrays named as the fields of `LabelledImages`) from the MNIST files in `folder`.

    The same files give the same bytes, with the same zlib.

    Raises FileNotFoundError if a file is not there, and ValueError if one is not MNIST's, by its checksum.

    >>> build("nowhere", "digits.npz")
    Traceback (most recent call last):
    FileNotFoundError: nowhere holds 0 of the 4 MNIST files; give their folder
    """
    paths = files_in(MNIST, folder)
    if len(paths) < 4:
        raise FileNotFoundError(f"{folder} holds {len(paths)} of the 4 MNIST files; give their folder")
    for file in MNIST.files:
        with open(paths[file.name], "rb") as stream:
            check(file, stream, paths[file.name])
    train_images, train_labels, test_images, test_labels = read_raw(paths, MNIST)
    rng = np.random.RandomState(0)
    train, test = choose(train_labels, rng), choose(test_labels, rng)
    np.savez_compressed(
        out,
        train_images=train_images[train],
        train_labels=train_labels[train],
        test_images=test_images[test],
        test_labels=test_labels[test],
    )


def choose(labels: NDArray[np.uint8], rng: np.random.RandomState) -> NDArray[np.int64]:
    """Positions (1000,) of 100 of each digit in `labels`, in a mixed order.

    >>> labels = np.arange(2000, dtype=np.uint8) % 10
    >>> np.bincount(labels[choose(labels, np.random.RandomState(0))])
    array([100, 100, 100, 100, 100, 100, 100, 100, 100, 100])
    """
    of_each = [rng.permutation(np.flatnonzero(labels == digit))[:PER_DIGIT] for digit in range(10)]
    return rng.permutation(np.concatenate(of_each))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tapenet.data.build_digits", description="Makes digits.npz from MNIST."
    )
    parser.add_argument("folder", metavar="FOLDER", help="where the four MNIST files are")
    default = os.path.join(os.path.dirname(__file__), "digits.npz")
    parser.add_argument("--out", metavar="FILE", default=default, help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        build(arguments.folder, arguments.out)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(f"{arguments.out}: {os.path.getsize(arguments.out):,} bytes")


if __name__ == "__main__":
    main()
