"""Small stand-ins for the published data sets: the same files in the same formats, with a few samples each."""

import gzip
import hashlib
import importlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tapenet import data
from tapenet.data.download import Source
from tests.data.idx_files import idx

IMAGES_AND_LABELS = (
    ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", 5),
    ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", 3),
)


class Stand(NamedTuple):
    """A stand-in: where its description is, and its files as published, by name."""

    module: str
    constant: str
    files: dict[str, bytes]

    def source(self) -> Source:
        """The description of the real data set, or of this one where it is in use."""
        source: Source = getattr(importlib.import_module(f"tapenet.data.{self.module}"), self.constant)
        return source

    def use(self, monkeypatch: pytest.MonkeyPatch, mirrors: tuple[str, ...] = ()) -> Source:
        """Put the checksums of these files and other mirrors in the place of the published ones."""
        files = tuple(
            file._replace(
                sums=tuple(
                    f"{kind}:{hashlib.new(kind, gzip.decompress(content) if file.unpacked else content).hexdigest()}"
                    for kind in ("md5", "sha256")
                )
            )
            for file in self.source().files
            for content in [self.files[file.name]]
        )
        source = self.source()._replace(files=files, mirrors=mirrors)
        monkeypatch.setattr(importlib.import_module(f"tapenet.data.{self.module}"), self.constant, source)
        return source

    def read(self, folder: Path | None = None, **options: Any) -> Any:
        """What the data set's function gives."""
        return getattr(data, self.source().function)(folder, **options)


def grey_images() -> dict[str, bytes]:
    """The four files of MNIST's format: 5 training and 3 test images."""
    rng = np.random.default_rng(0)
    files = {}
    for images, labels, count in IMAGES_AND_LABELS:
        pixels = rng.integers(0, 256, (count, 28, 28), np.uint8)
        pixels[0, 0, :2] = 0, 255
        files[images] = gzip.compress(idx(pixels), mtime=0)
        files[labels] = gzip.compress(idx(rng.integers(0, 10, count, np.uint8)), mtime=0)
    return files


def tar(members: Mapping[str, bytes], end: bool = True) -> bytes:
    """A tar archive of these files, with its end or without, so that another one may follow."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        for path, content in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
        length = packed.offset
    return archive.getvalue() if end else archive.getvalue()[:length]


def colour_images() -> dict[str, bytes]:
    """What lies in CIFAR-10's archive: two images in each of six files, with a page for people beside them."""
    rng = np.random.default_rng(0)
    parts = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    members = {"cifar-10-batches-bin/readme.html": b"<html></html>"}
    for part in parts:
        records = rng.integers(0, 256, (2, 3073), np.uint8)
        records[:, 0] = rng.integers(0, 10, 2)
        members[f"cifar-10-batches-bin/{part}.bin"] = records.tobytes()
    return members


def houses() -> bytes:
    """The lines of California housing's file: three districts."""
    lines = [
        "-122.23,37.88,41,880,129,322,126,8.3252,452600",
        "-122.22,37.86,21,7099,1106,2401,1138,8.3014,358500",
        "-122.24,37.85,52,1467,190,496,177,7.2574,352100",
    ]
    return "".join(f"{line}\n" for line in lines).encode()


STANDS = {
    "mnist": Stand("mnist_files", "MNIST", grey_images()),
    "fashion_mnist": Stand("mnist_files", "FASHION_MNIST", grey_images()),
    "cifar10": Stand(
        "cifar_files", "CIFAR10", {"cifar-10-binary.tar.gz": gzip.compress(tar(colour_images()), mtime=0)}
    ),
    "tiny_shakespeare": Stand("text_files", "TINY_SHAKESPEARE", {"input.txt": b"First Citizen:\nBefore we proceed\n"}),
    "california_housing": Stand(
        "housing_files",
        "CALIFORNIA_HOUSING",
        {"cal_housing.tgz": gzip.compress(tar({"CaliforniaHousing/cal_housing.data": houses()}), mtime=0)},
    ),
}


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the readers expect as few samples as the stand-ins have."""
    monkeypatch.setattr(importlib.import_module("tapenet.data.cifar_files"), "_RECORDS", 2)
    monkeypatch.setattr(importlib.import_module("tapenet.data.housing_files"), "_ROWS", 3)


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def unpacked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files as they are after gunzip; a `.tgz` keeps its name."""
    return {
        name.removesuffix(".gz"): gzip.decompress(content) if name.endswith("gz") else content
        for name, content in files.items()
    }
