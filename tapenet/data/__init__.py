"""Data sets and mini-batches.

`digits` and `mnist` give handwritten digits, `batches` cuts arrays into mini-batches, and `read_idx` reads
the file format of MNIST and its kin. What they need beyond NumPy is loaded when they are called.
"""

from tapenet.data.bundled import digits
from tapenet.data.idx import read_idx
from tapenet.data.minibatch import Batches, batches
from tapenet.data.mnist_files import Digits, mnist

__all__ = ["Batches", "Digits", "batches", "digits", "mnist", "read_idx"]
