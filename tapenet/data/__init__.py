"""Data sets, loaders and mini-batches.

`ArrayDataset`, `Dataset` and `Stream` say what the samples are, `DataLoader` makes batches of them, in the order of a
sampler, and goes on where a saved run stopped; `split` and `kfold` cut data into parts. `batches` cuts plain arrays into
mini-batches. `table`, `csv` and `csv_chunks` read tables, `image_folder` images, which `transforms` changes. `digits`,
`mnist` and others by name are data sets, and `read_idx` reads the file format of MNIST and the like. What they need beyond
NumPy is loaded when they are called.
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
