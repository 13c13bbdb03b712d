"""How the training loop reads data and batches.

Data is something that is looped over again and again and gives batches, or arrays or a data set from which batches are cut
here. A batch is `(inputs, target)`, `(inputs, target, weight)`, or one array that is both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.signature import arrays_in, is_array, rebuild
from tapenet.data.dataset import Dataset
from tapenet.data.loader import DataLoader
from tapenet.data.minibatch import batches
from tapenet.ops import random
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.typing import Array, StateDict

ndarray = np.ndarray
R = TypeVar("R")
#: Inputs, target and weight of a batch: arrays, or trees of them.
Parts = tuple[Any, Any, Any]


class Cut:
    """Batches of arrays that are nested in tuples, lists and dicts, as `data.batches` cuts them."""

    def __init__(self, tree: object, batch_size: int, shuffle: bool, seed: int | None) -> None:
        self._tree = tree
        self._loop = batches(*leaves(tree), batch_size=batch_size, shuffle=shuffle, seed=seed)

    def __len__(self) -> int:
        return len(self._loop)

    def __iter__(self) -> Iterator[object]:
        for batch in self._loop:
            rows = iter(batch if type(batch) is tuple else (batch,))
            yield rebuild(self._tree, partial(_next, rows))

    def state_dict(self) -> StateDict:
        """Where the loop over them is."""
        return self._loop.state_dict()

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a saved state."""
        self._loop.load_state_dict(state)


def looped(
    data: object, batch_size: int, *, shuffle: bool = False, seed: int | None = None, who: str = "fit"
) -> Iterable[object]:
    """Data as something to loop over that gives batches. Arrays, alone or nested in a tuple or dict, are cut, and so is a
    `data.Dataset`, by a loader.

    Raises:
        TypeError: it can be neither cut nor looped over.
        ValueError: the arrays differ in length.

    >>> [batch for batch in looped((np.arange(3), np.ones(3)), 2)]
    [(array([0, 1]), array([1., 1.])), (array([2]), array([1.]))]
    """
    if type(data) is tuple:
        data = tuple(map(_as_numpy, data))
    elif hasattr(data, "__array__"):
        data = _as_numpy(data)
    arrays = is_tree_of_arrays(data)
    if (arrays or isinstance(data, Dataset)) and shuffle and seed is None:
        seed = int(random.generator().integers(2**63))
    if isinstance(data, Dataset):
        return DataLoader(data, batch_size, shuffle=shuffle, seed=seed)
    if arrays:
        if type(data) is tuple and all(type(part) is ndarray for part in data):
            return batches(*data, batch_size=batch_size, shuffle=shuffle, seed=seed)
        return Cut(data, batch_size, shuffle, seed)
    if type(data) is list and 2 <= len(data) <= 3 and all(map(is_array, data)) and not _one_kind(data):
        raise TypeError(
            f"{who}: data is a list, which is a list of batches, and its parts are arrays of different kinds: arrays that "
            "belong together are a tuple, (x, y)"
        )
    if type(data).__module__.startswith("torch."):
        raise TypeError(
            f"{who}: data is PyTorch's {type(data).__name__}, whose batches are its tensors; tn.data.DataLoader(dataset, 32, "
            "shuffle=True) takes the same data sets, and gives arrays"
        )
    if hasattr(data, "__iter__"):
        return data
    hint = "; of a function that makes an iterator, tn.data.DataLoader(function, 32)" if callable(data) else ""
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        hint = "; of a data set, tn.data.DataLoader(dataset, 32)"
    raise TypeError(
        f"{who}: data is a {type(data).__name__}; give batches to loop over, such as tn.data.batches(x, y, batch_size=32), "
        "or the arrays themselves, (x, y)" + hint
    )


def _as_numpy(part: object) -> object:
    """What another library calls an array, or a list of numbers, as an array. Floats of 64 bits stay as they are."""
    if is_array(part):
        return part
    if hasattr(part, "__array__"):
        return np.asarray(part)
    if type(part) is list and any(map(is_array, part)):
        return tuple(part)  # several inputs
    if type(part) is list and part:
        try:
            return np.asarray(part)
        except ValueError as error:
            raise ValueError(f"the parts of a list have different shapes, and make no array: {error}") from None
    return part


def _one_kind(parts: list[Array]) -> bool:
    """Whether arrays may be batches of one data set."""
    return len({(part.dtype, part.shape[1:]) for part in parts}) == 1


def is_tree_of_arrays(data: object) -> bool:
    """Whether it is an array, or a tuple or dict of nothing but arrays, nested or not. A list is batches.

    >>> is_tree_of_arrays((np.ones(2), {"a": np.ones(2)})), is_tree_of_arrays([np.ones(2)])
    (True, False)
    """
    if type(data) is tuple or type(data) is dict:
        parts = data.values() if isinstance(data, dict) else data
        return bool(data) and all(part is None or is_tree_of_arrays(part) for part in parts)
    return is_array(data)


def _next(rows: Iterator[object], _: object) -> object:
    return next(rows)


def leaves(tree: object) -> list[Array]:
    """The arrays in nested tuples, lists and dicts, in order.

    >>> leaves({"a": np.float32(1), "b": (np.float32(2), None)})
    [np.float32(1.0), np.float32(2.0)]
    """
    return arrays_in(tree)


def split(batch: object) -> Parts:
    """A batch as inputs, target and weight (None where there is none).

    Raises:
        TypeError: it is nothing of the kind.

    >>> split((1, 2))
    (1, 2, None)
    """
    if type(batch) is tuple or type(batch) is list or (isinstance(batch, tuple) and hasattr(batch, "_fields")):
        if len(batch) == 2:
            return batch[0], batch[1], None
        if len(batch) == 3:
            return batch[0], batch[1], batch[2]
        if len(batch) == 1:
            return batch[0], batch[0], None
        words = f"{len(batch)} parts"
    elif is_array(batch):
        return batch, batch, None
    else:
        words = f"a {type(batch).__name__}"
    raise TypeError(
        f"a batch is {words}; the loop takes (inputs, target), (inputs, target, weight), or one array that is both. Nest "
        "several inputs: ((x1, x2), target). Or give loss=None, where the model takes the whole batch and returns the loss"
    )


def not_finite(inputs: object, target: object, weight: object) -> str:
    """Where a batch holds nan or infinity, in a sentence without its full stop; "" if nowhere.

    >>> not_finite(np.array([1.0, np.nan]), None, None)
    'The inputs of this batch hold nan at (1,): fill or leave out what is missing in the data, np.isfinite finds it'
    """
    for what, part in (("inputs", inputs), ("targets", target), ("weights", weight)):
        for array in map(as_array, leaves(part)):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                at = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
                return (
                    f"The {what} of this batch hold {array[at]} at {at}: fill or leave out what is missing in the data, "
                    "np.isfinite finds it"
                )
    return ""


def whole(batch: object) -> Parts:
    """A batch as arguments for a model, or a step, that takes all of it."""
    return batch, None, None


def samples(inputs: object) -> int:
    """How many samples there are: the length of the first array.

    >>> samples((np.ones((5, 2)), np.ones(5)))
    5
    """
    found = [inputs] if type(inputs) is ndarray else leaves(inputs)
    return found[0].shape[0] if found and found[0].shape else 1


def called(function: Callable[..., R], inputs: object) -> R:
    """A function of its inputs: several where they are a tuple or list, named where they are a dict."""
    if type(inputs) is tuple or type(inputs) is list or (isinstance(inputs, tuple) and hasattr(inputs, "_fields")):
        return function(*inputs)
    if type(inputs) is dict:
        return function(**inputs)
    return function(inputs)


def as_array(value: ArrayLike) -> Array:
    """A tensor's numbers, or an array."""
    return value.data if type(value) is Tensor else np.asarray(value)


def as_arrays(value: object) -> Any:
    """The same tree with arrays in the place of tensors."""
    return value.data if type(value) is Tensor else rebuild(value, as_array)


def as_tensors(value: object) -> object:
    """The same tree with tensors in the place of arrays."""
    return rebuild(value, _tensor)


def _tensor(value: ArrayLike) -> Tensor:
    if type(value) is Tensor:
        return value
    check_unmasked(value)
    return Tensor._of(np.asarray(value))
