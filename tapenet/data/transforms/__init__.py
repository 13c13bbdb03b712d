"""Changes of images, and of labels: crops, flips, rotations, colours, sizes, in plain NumPy.

Each works on one image (C, H, W) and on a batch (N, C, H, W), of which each image gets a draw of its own, and takes a
`np.random.Generator` as `rng=`; of a sample `(image, label)` it changes the image. So they go into `dataset.map(transform)` or
`DataLoader(..., transform=transform)`, which give the generator. Names and arguments are torchvision's.
"""

from tapenet.data.transforms.affine import RandomAffine, RandomRotation
from tapenet.data.transforms.colour import ColorJitter, Grayscale
from tapenet.data.transforms.crops import (
    CenterCrop,
    Pad,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomVerticalFlip,
)
from tapenet.data.transforms.normalizing import Normalize, OneHot, ToFloat
from tapenet.data.transforms.resizing import RandomResizedCrop, Resize
from tapenet.data.transforms.transform import Compose, RandomApply, RandomChoice, Transform

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "Grayscale",
    "Normalize",
    "OneHot",
    "Pad",
    "RandomAffine",
    "RandomApply",
    "RandomChoice",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "ToFloat",
    "Transform",
]
