"""Changes of images, and of labels: crops, flips, rotations, colours, sizes, in plain NumPy.

Each works on one image (C, H, W) and on a batch (N, C, H, W), of which each image gets a draw of its own, and takes a
`np.random.Generator` as `rng=`; of a sample `(image, label)` it changes the image. So they go into `dataset.map(transform)` or
`DataLoader(..., transform=transform)`, which give the generator. Names and arguments are torchvision's.
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
