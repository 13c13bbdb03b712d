"""Data sets and mini-batches.

`digits` and `mnist` give handwritten digits, `batches` cuts arrays into mini-batches, and `read_idx` reads
the file format of MNIST and its kin. What they need beyond NumPy is loaded when they are called.
"""

from tapenet.data.bundled import digits
from tapenet.data.cifar_files import CIFAR10_CLASSES, cifar10
from tapenet.data.idx import read_idx
from tapenet.data.minibatch import Batches, batches
from tapenet.data.mnist_files import FASHION_MNIST_CLASSES, LabelledImages, fashion_mnist, mnist
from tapenet.data.text_files import tiny_shakespeare

__all__ = [
    "CIFAR10_CLASSES",
    "FASHION_MNIST_CLASSES",
    "Batches",
    "LabelledImages",
    "batches",
    "cifar10",
    "digits",
    "fashion_mnist",
    "mnist",
    "read_idx",
    "tiny_shakespeare",
]
