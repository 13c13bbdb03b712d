"""Data sets, loaders and mini-batches.

`ArrayDataset`, `Dataset` and `Stream` say what the samples are, `DataLoader` makes batches of them, in the order of a
sampler, and goes on where a saved run stopped; `split` and `kfold` cut data into parts. `batches` cuts plain arrays into
mini-batches. `table`, `csv` and `csv_chunks` read tables, `image_folder` images, which `transforms` changes. `digits`,
`mnist` and others by name are data sets, and `read_idx` reads the file format of MNIST and its kin. What they need beyond
NumPy is loaded when they are called.
"""

from tapenet.data import transforms as transforms
from tapenet.data.array_dataset import ArrayDataset
from tapenet.data.bundled import digits, iris
from tapenet.data.cifar_files import CIFAR10_CLASSES, cifar10
from tapenet.data.collation import PadCollate, Padded, collate
from tapenet.data.columns import Columns
from tapenet.data.csv_files import CsvChunks, csv, csv_chunks
from tapenet.data.dataset import Concat, Dataset, Mapped, Subset
from tapenet.data.housing_files import california_housing
from tapenet.data.idx_files import read_idx
from tapenet.data.image_files import ImageFolder, image_folder, read_image
from tapenet.data.loader import DataLoader
from tapenet.data.minibatch import Batches, batches
from tapenet.data.mnist_files import FASHION_MNIST_CLASSES, LabelledImages, fashion_mnist, mnist
from tapenet.data.samplers import (
    BalancedSampler,
    BatchSampler,
    LengthBatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StratifiedSampler,
    WeightedSampler,
)
from tapenet.data.splits import kfold, split
from tapenet.data.stream import Stream
from tapenet.data.tables import Table, table
from tapenet.data.text_files import tiny_shakespeare

__all__ = [
    "CIFAR10_CLASSES",
    "FASHION_MNIST_CLASSES",
    "ArrayDataset",
    "BalancedSampler",
    "BatchSampler",
    "Batches",
    "Columns",
    "Concat",
    "CsvChunks",
    "DataLoader",
    "Dataset",
    "ImageFolder",
    "LabelledImages",
    "LengthBatchSampler",
    "Mapped",
    "PadCollate",
    "Padded",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StratifiedSampler",
    "Stream",
    "Subset",
    "Table",
    "WeightedSampler",
    "batches",
    "california_housing",
    "cifar10",
    "collate",
    "csv",
    "csv_chunks",
    "digits",
    "fashion_mnist",
    "image_folder",
    "iris",
    "kfold",
    "mnist",
    "read_idx",
    "read_image",
    "split",
    "table",
    "tiny_shakespeare",
    "transforms",
]
