"""MNIST: 70,000 handwritten digits, read from files that are here or downloaded once."""

import io
import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapenet.data.idx import read_idx, unpacked

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_TIMEOUT = 30.0  # Seconds without a byte from a mirror.
_LARGEST = 16 + 60_000 * 28 * 28  # Bytes of the largest of the four files, unpacked.

# SHA-256 of the files unpacked: there is one MNIST, but it is compressed in more than one way.
_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


class Digits(NamedTuple):
    """Images float32 (N, 1, 28, 28), 0 is paper and 1 is ink; their labels int64 (N,), 0 to 9."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def mnist(folder: str | os.PathLike[str] | None = None, download: bool = True) -> Digits:
    """The MNIST digits: 60,000 to train on and 10,000 to test with.

    Looks for the four files, gzipped or plain, in `folder` if it is given, and nowhere else. Otherwise looks
    in the folder that `$TAPENET_DATA` names, in its subfolder `mnist`, and in the user's cache
    (`~/.cache/tapenet/mnist`, or under `$XDG_CACHE_HOME`, or under `%LOCALAPPDATA%` on Windows); if all four
    are in none of these, downloads the missing ones (11 MB) into the cache, unless `download` is false.

    Returns `(train_images, train_labels, test_images, test_labels)`, also by these names: images float32
    (N, 1, 28, 28) in [0, 1], labels int64 (N,).

    Raises FileNotFoundError if the files are not there, ConnectionError if no mirror delivers them, and
    ValueError, naming the file, if one is malformed or does not hold digits. `digits` needs no files.

    >>> train_images, train_labels, test_images, test_labels = mnist()  # doctest: +SKIP
    >>> mnist("nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: MNIST is not whole in nowhere (train-images-idx3-ubyte[.gz] and 3 more missing)...
    """
    return to_digits(read_raw(_find(folder, download)))


def files_in(folder: str | os.PathLike[str]) -> dict[str, str]:
    """The paths of those of the four MNIST files that lie in `folder`, gzipped or plain, by bare name.

    >>> files_in("nowhere")
    {}
    """
    paths = ((name, os.path.join(folder, name + suffix)) for suffix in (".gz", "") for name in _SHA256)
    return {name: path for name, path in paths if os.path.isfile(path)}


def read_raw(paths: dict[str, str]) -> tuple[NDArray[np.uint8], ...]:
    """The four arrays as stored, uint8: training images (N, 28, 28), their labels (N,), the same for testing.

    Raises ValueError, naming the file, where one is malformed or holds something else.

    >>> read_raw(files_in("data/mnist"))  # doctest: +SKIP
    """
    raw = []
    for images_name, labels_name in (list(_SHA256)[:2], list(_SHA256)[2:]):
        images, labels = read_idx(paths[images_name]), read_idx(paths[labels_name])
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
            raise _no_digits(paths[images_name], "uint8 images (N, 28, 28)", images)
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise _no_digits(paths[labels_name], f"uint8 labels ({len(images)},), one for each image", labels)
        if labels.max(initial=0) > 9:
            raise _no_digits(paths[labels_name], "labels from 0 to 9", labels)
        raw += [images, labels]
    return tuple(raw)


def to_digits(raw: Iterable[NDArray[np.uint8]]) -> Digits:
    """Images uint8 (N, 28, 28) and labels uint8 (N,), training then testing, as `Digits`.

    >>> images, labels = np.full((2, 28, 28), 255, np.uint8), np.array([3, 7], np.uint8)
    >>> digits = to_digits([images, labels, images, labels])
    >>> digits.train_images.shape, digits.train_images.max().item(), digits.test_labels
    ((2, 1, 28, 28), 1.0, array([3, 7]))
    """
    train_images, train_labels, test_images, test_labels = raw
    return Digits(
        train_images=_scaled(train_images),
        train_labels=train_labels.astype(np.int64),
        test_images=_scaled(test_images),
        test_labels=test_labels.astype(np.int64),
    )


def check(data: bytes, name: str, source: str) -> None:
    """Raise ValueError unless `data`, gzipped or plain, is the MNIST file of that bare name, by its SHA-256.

    >>> check(b"<html>", "t10k-labels-idx1-ubyte", "http://example.org")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: http://example.org: wrong checksum: expected SHA-256 ff7bcfd4... for t10k-labels-idx1-ubyte...
    """
    import hashlib

    with unpacked(io.BufferedReader(io.BytesIO(data)), source) as stream:
        content = stream.read(_LARGEST + 1)  # Whatever it unpacks to, no more than this.
    found = hashlib.sha256(content).hexdigest()
    if found != _SHA256[name]:
        raise ValueError(
            f"{source}: wrong checksum: expected SHA-256 {_SHA256[name]} for {name} (unpacked), "
            f"found {found} in {len(data):,} bytes"
        )


def _find(folder: str | os.PathLike[str] | None, download: bool) -> dict[str, str]:
    if folder is not None:
        places = [os.fspath(folder)]
    else:
        data = os.environ.get("TAPENET_DATA")
        places = [data, os.path.join(data, "mnist")] if data else []
        places.append(_cache())
    for place in places:
        found = files_in(place)
        if len(found) == len(_SHA256):
            return found
    if folder is None and download:
        return _download(places[-1])
    looked = ", nor in ".join(f"{place} ({_missing(place)} missing)" for place in places)
    mend = "allow download=True" if folder is None else "call tapenet.data.mnist() with no folder to download"
    raise FileNotFoundError(
        f"MNIST is not whole in {looked}; put the files there, {mend}, or use tapenet.data.digits(), "
        "which needs no files"
    )


def _missing(place: str) -> str:
    first, *more = (name for name in _SHA256 if name not in files_in(place))
    return f"{first}[.gz]" + (f" and {len(more)} more" if more else "")


def _cache() -> str:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser(r"~\AppData\Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "tapenet", "mnist")


def _scaled(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled = images[:, np.newaxis].astype(np.float32)
    scaled /= 255
    return scaled


def _no_digits(path: str, expected: str, found: NDArray[np.uint8]) -> ValueError:
    return ValueError(
        f"{path}: expected {expected}, found {found.dtype} {found.shape}"
        + (f" up to {found.max()}" if found.size else "")
        + "; put the MNIST file of this name in its place, or read other data with tapenet.data.read_idx"
    )


def _download(folder: str) -> dict[str, str]:
    """Completes the MNIST files in `folder` and returns their paths."""
    try:
        os.makedirs(folder, exist_ok=True)
        for name in _SHA256:
            if name not in files_in(folder):
                _write(os.path.join(folder, f"{name}.gz"), _fetch(name, folder))
    except ConnectionError:
        raise
    except OSError as error:
        mend = "make it writable, or set XDG_CACHE_HOME (LOCALAPPDATA on Windows) to a folder that is"
        raise OSError(f"cannot keep MNIST in {folder} ({error}); {mend}") from error
    return files_in(folder)


def _fetch(name: str, folder: str) -> bytes:
    """The gzipped file of that name, from the first mirror that delivers it whole."""
    from http.client import HTTPException

    failures = []
    for mirror in _MIRRORS:
        url = f"{mirror}{name}.gz"
        try:
            data = _receive(url)
            check(data, name, url)
        except (OSError, HTTPException, ValueError) as error:
            failures.append(str(error) if url in str(error) else f"{url}: {error}")
        else:
            return data
    by_hand = "\n  ".join(f"{_MIRRORS[0]}{name}.gz" for name in _SHA256)
    reasons = "\n  ".join(failures)
    raise ConnectionError(
        f"could not download {name}.gz:\n  {reasons}\n"
        "Try again; or get these files by hand, on a machine with a network, and put them in\n"
        f"{folder} or in a folder that $TAPENET_DATA names:\n  {by_hand}\n"
        "or use tapenet.data.digits(), which needs no download."
    )


def _receive(url: str) -> bytes:
    from urllib.request import urlopen

    from tqdm import tqdm

    data = bytearray()
    with urlopen(url, timeout=_TIMEOUT) as response:
        length = response.length  # None where the server does not say.
        # disable=None: no bar where standard error is no terminal.
        with tqdm(desc=url.rpartition("/")[2], total=length, unit="B", unit_scale=True, disable=None) as bar:
            while chunk := response.read(1 << 16):
                data += chunk
                bar.update(len(chunk))
                if len(data) > _LARGEST:
                    raise ConnectionError(f"{url}: sends more than {_LARGEST:,} bytes, which no file of MNIST has")
    if length is not None and len(data) < length:
        raise ConnectionError(f"{url}: the transfer was cut short: {len(data):,} of {length:,} bytes")
    return bytes(data)


def _write(path: str, data: bytes) -> None:
    """Writes the file whole or not at all: a reader beside us never sees half of it."""
    part = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.part"
    try:
        with open(part, "xb") as file:
            file.write(data)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.remove(part)
        raise
