"""`tn.save` and `tn.load`: states in files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from tapenet.files import safetensors
from tapenet.files.atomic_write import atomic
from tapenet.files.safetensors import DamagedFile
from tapenet.files.structure import Flat, rebuilt

#: The name of the metadata that hold the structure of the state, in JSON.
STRUCTURE = "tapenet.structure"


def save(state: object, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write a state to a file in the safetensors format, whole or not at all.

    A dict of arrays by name, such as `net.state_dict()`, is what PyTorch's users write: they read it with
    `safetensors.torch.load_file(path)`, bfloat16 and all. Anything else that is nested of the values below is stored
    with its structure (as JSON in the metadata), for `tn.load`; to other readers it is a dict of its arrays, under
    paths such as "model.0.weight".

    Arrays are written in C order. One that is there several times (the same object) is stored once, under its first
    name, and is one array again after loading. A file holds a checksum, which `tn.load` compares. Nothing is pickled.

    Args:
        state: a module or anything else that has a `state_dict()`, or dicts (keys: str and int), lists and tuples of
            these, of arrays, tensors, NumPy scalars, numbers, texts, True, False and None. Arrays are of any dtype that
            safetensors has: bool, integers, float16, bfloat16, float32, float64, complex64; complex128 is stored as
            pairs of float64.
        path: the file, usually "*.safetensors". Its folder must be there.
        metadata: texts by name that go with it; `tn.files.metadata` reads them.

    Raises:
        TypeError: something that cannot be stored: says where it is in the state, and what to do.
        OSError: the file could not be written, as on a full disk. What was at `path` before is as it was.

    >>> import os, tempfile
    >>> import numpy as np
    >>> import tapenet as tn
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "state.safetensors")
    >>> tn.save({"weights": [np.eye(2), np.ones(3, np.float32)], "epoch": 7, "betas": (0.9, 0.999)}, path)
    >>> tn.load(path)
    {'weights': [array([[1., 0.],
           [0., 1.]]), array([1., 1., 1.], dtype=float32)], 'epoch': 7, 'betas': (0.9, 0.999)}
    >>> folder.cleanup()
    """
    given = dict(metadata or {})
    for name, text in given.items():
        if not isinstance(name, str) or not isinstance(text, str) or name.startswith("tapenet."):
            raise TypeError(
                f"tn.save: metadata are texts by name, and names that begin with 'tapenet.' are taken; not {name!r}: {text!r}"
            )
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"tn.save(state, path): the path is second, a text or a Path; it is a {type(path).__name__}")
    flat = Flat(state, "tn.save")
    structure = json.dumps(flat.structure, separators=(",", ":"))
    with atomic(path, "tn.save") as file:
        safetensors.write(file, flat.arrays, {STRUCTURE: structure, **given})


def load(path: str | os.PathLike[str]) -> Any:
    """The state in a file that `tn.save` wrote, with ndarrays; of another safetensors file, a dict of its arrays by name.

    What is damaged is not loaded: the checksum that `tn.save` writes is compared. Memory is taken for what is in the
    file, whatever it says of itself, and no code in it is run: files from anywhere may be loaded.

    Raises:
        DamagedFile: (a ValueError) the file is cut off, was changed, or is of another kind; says what is wrong.
        OSError: there is no such file, or it may not be read.
        ImportError: it has bfloat16 arrays, and ml_dtypes is not installed.

    >>> import os, tempfile
    >>> import tapenet as tn
    >>> from tapenet import nn
    >>> net = nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.safetensors")
    ...     tn.save(net, path)
    ...     state = tn.load(path)
    >>> {name: array.shape for name, array in state.items()}
    {'weight': (1, 2), 'bias': (1,)}
    >>> net.load_state_dict(state)
    LoadReport(missing_keys=[], unexpected_keys=[])
    """
    arrays, texts = safetensors.read(path)
    try:
        return rebuilt(json.loads(texts[STRUCTURE]), arrays) if STRUCTURE in texts else arrays
    except RecursionError:
        raise DamagedFile(f"{os.fspath(path)!r} cannot be loaded: its structure is nested too deeply") from None
    except ValueError as error:
        raise DamagedFile(f"{os.fspath(path)!r} cannot be loaded: its structure is wrong: {error}") from None


def metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts that were stored with a state (`tn.save(..., metadata=...)`), read without the arrays.

    Raises:
        DamagedFile, OSError: as of `load`; the checksum, which is of the whole file, is not compared.
    """
    return {name: text for name, text in safetensors.read_metadata(path).items() if not name.startswith("tapenet.")}
