"""Weights set to 0 for good: a parameter is multiplied by a mask, under PyTorch's names.

A pruned `weight` is no attribute any more but a property of the module's class, which multiplies the parameter `weight_orig`
(the same tensor as before, so that an optimizer goes on) by the buffer `weight_mask`. Masks are chosen by methods: classes,
each with a function of its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import EllipsisType
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module import Module
from tapenet.nn.parameter import Buffer, Parameter
from tapenet.nn.utils.derived_class import derived_class
from tapenet.nn.utils.parametrize import is_parametrized
from tapenet.ops.random import generator
from tapenet.typing import Array

M = TypeVar("M", bound=Module)


# -- the attribute -------------------------------------------------------------------------------------------------


def _masked(name: str) -> property:
    """The property that a pruned attribute becomes."""

    def get(module: Module) -> object:
        return getattr(module, name + "_orig") * getattr(module, name + "_mask")

    def put(module: Module, value: ArrayLike) -> None:
        getattr(module, name + "_orig").data = value

    return property(get, put, doc=f"{name}_orig times {name}_mask.")


def _members(base: type[Module], names: tuple[str, ...]) -> dict[str, object]:
    return {**{name: _masked(name) for name in names}, "_pruned": (base, names)}


def _pruned(module: Module) -> tuple[type[Module], tuple[str, ...]]:
    """The class of a module without its pruned attributes, and their names."""
    found: tuple[type[Module], tuple[str, ...]] = getattr(type(module), "_pruned", (type(module), ()))
    return found


def _become(module: Module, names: tuple[str, ...]) -> None:
    """Have these attributes pruned, and no others."""
    module.__class__ = derived_class("Pruned", _members, _pruned(module)[0], names)


def _put_mask(module: Module, name: str, mask: Array) -> None:
    _, names = _pruned(module)
    if name in names:
        getattr(module, name + "_mask").data = mask
        return
    _check_plain(module)
    tensor = _parameter(module, name)
    delattr(module, name)
    setattr(module, name + "_orig", tensor)
    setattr(module, name + "_mask", Buffer(mask.astype(tensor.dtype)))
    _become(module, (*names, name))


def _check_plain(module: Module) -> None:
    """Raise ValueError if a module is parametrised, which changes its class too."""
    if is_parametrized(module):
        raise ValueError(
            f"prune: {type(module).__name__} has parametrised attributes: which are pruned is said before and not changed after"
        )


def _parameter(module: Module, name: str) -> Tensor:
    """The parameter that is pruned, or to be."""
    tensor = getattr(module, name + "_orig" if name in _pruned(module)[1] else name, None)
    if not isinstance(tensor, Parameter):
        raise ValueError(f"prune: this {type(module).__name__} has no parameter {name!r} of its own")
    return tensor


def _present(module: Module, name: str) -> Array:
    """The mask as it is now."""
    if name in _pruned(module)[1]:
        mask: Array = getattr(module, name + "_mask").numpy().copy()
        return mask
    return np.ones_like(_parameter(module, name).numpy())


# -- methods -------------------------------------------------------------------------------------------------------


def _count(amount: object, size: int) -> int:
    """How many of `size` are to go: an integer as it is, a fraction of them rounded."""
    if not isinstance(amount, (int, float, np.number)) or isinstance(amount, bool):
        raise TypeError(f"prune: amount must be a number, not {type(amount).__name__}")
    if isinstance(amount, (int, np.integer)):
        if not 0 <= amount <= size:
            raise ValueError(f"prune: amount={amount} must be from 0 to {size}, the number of candidates")
        return int(amount)
    if not 0.0 <= float(amount) <= 1.0:
        raise ValueError(f"prune: amount={amount} must be a fraction from 0 to 1, or an integer")
    return round(float(amount) * size)


class BasePruningMethod:
    """How a mask is chosen. One of your own says in `PRUNING_TYPE` what it looks at and defines `compute_mask`:

    >>> import numpy as np
    >>> from tapenet import nn
    >>> class EveryOther(nn.utils.prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...     def compute_mask(self, t, default_mask):
    ...         mask = default_mask.copy()
    ...         mask.reshape(-1)[::2] = 0
    ...         return mask
    >>> layer = EveryOther.apply(nn.Linear(2, 2), "bias")
    >>> layer.bias_mask
    Tensor([0., 1.], dtype=float32)

    Attributes:
        PRUNING_TYPE: of an attribute that is pruned already the method is given: "unstructured", the elements that are left, in
            one axis; "structured", the slices along `dim` in which something is left; "global", all.
    """

    PRUNING_TYPE: str = "unstructured"

    def compute_mask(self, t: Array, default_mask: Array) -> Array:
        """The mask of 0 and 1 for what `t` says of importance; the default mask has the present one."""
        raise NotImplementedError(f"{type(self).__name__} has no compute_mask")

    def prune(
        self, t: ArrayLike, default_mask: ArrayLike | None = None, importance_scores: ArrayLike | None = None
    ) -> Array:
        """What is left of a tensor, in no graph."""
        values = _array(t)
        mask = np.ones_like(values) if default_mask is None else _array(default_mask)
        pruned: Array = values * self._combined(
            values if importance_scores is None else _array(importance_scores), mask
        )
        return pruned

    def _combined(self, scores: Array, mask: Array) -> Array:
        """The mask after this method too."""
        part: EllipsisType | Array | tuple[slice | Array, ...] = Ellipsis
        if self.PRUNING_TYPE == "unstructured":
            part = mask == 1
        elif self.PRUNING_TYPE == "structured":
            dim: int = self.dim  # type: ignore[attr-defined]  # such methods have one
            if not -mask.ndim <= dim < mask.ndim:
                raise ValueError(f"prune: dim={dim} is no axis of a parameter of shape {mask.shape}")
            dim %= mask.ndim
            left = mask.sum(axis=tuple(axis for axis in range(mask.ndim) if axis != dim)) != 0
            part = (slice(None),) * dim + (left,)
        elif self.PRUNING_TYPE != "global":
            raise ValueError(
                f"{type(self).__name__}: PRUNING_TYPE={self.PRUNING_TYPE!r} must be 'unstructured', 'structured' or 'global'"
            )
        made = mask.copy()
        made[part] = self.compute_mask(scores[part], mask[part])
        return made

    @classmethod
    def apply(
        cls, module: M, name: str, *args: object, importance_scores: ArrayLike | None = None, **kwargs: object
    ) -> M:
        """Prune an attribute of a module.

        Args:
            module: what has it.
            name: of the parameter.
            *args, **kwargs: for the method.
            importance_scores: what to go by in place of the values, of the same shape.

        Raises:
            ValueError: there is no such parameter, or the scores have another shape.
        """
        tensor = _parameter(module, name)
        scores = tensor.numpy() if importance_scores is None else _array(importance_scores)
        if scores.shape != tensor.shape:
            raise ValueError(f"prune: importance_scores has shape {scores.shape}, {name} has {tensor.shape}")
        _put_mask(module, name, cls(*args, **kwargs)._combined(scores, _present(module, name)))
        return module


def _array(value: ArrayLike) -> Array:
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)


def _without(mask: Array, places: Array) -> Array:
    made = mask.copy()
    made.reshape(-1)[places] = 0
    return made


class Identity(BasePruningMethod):
    """Prunes nothing."""

    def compute_mask(self, t: Array, default_mask: Array) -> Array:
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes `amount` random elements."""

    def __init__(self, amount: float, *, rng: np.random.Generator | int | None = None) -> None:
        self.amount = amount
        self._rng = generator(rng)

    def compute_mask(self, t: Array, default_mask: Array) -> Array:
        return _without(default_mask, self._rng.permutation(t.size)[: _count(self.amount, t.size)])


class L1Unstructured(BasePruningMethod):
    """Prunes the `amount` elements of least magnitude."""

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def compute_mask(self, t: Array, default_mask: Array) -> Array:
        return _without(default_mask, np.argsort(np.abs(t).ravel(), kind="stable")[: _count(self.amount, t.size)])


class _Structured(BasePruningMethod):
    """Prunes slices along an axis."""

    PRUNING_TYPE = "structured"
    amount: float
    dim: int

    def _scores(self, t: Array) -> Array:
        """How important each slice is."""
        raise NotImplementedError

    def compute_mask(self, t: Array, default_mask: Array) -> Array:
        slices = np.moveaxis(t, self.dim, 0)
        made = default_mask.copy()
        gone = np.argsort(self._scores(slices), kind="stable")[: _count(self.amount, len(slices))]
        np.moveaxis(made, self.dim, 0)[gone] = 0
        return made


class RandomStructured(_Structured):
    """Prunes `amount` random slices along an axis."""

    def __init__(self, amount: float, dim: int = -1, *, rng: np.random.Generator | int | None = None) -> None:
        self.amount = amount
        self.dim = dim
        self._rng = generator(rng)

    def _scores(self, t: Array) -> Array:
        return self._rng.random(len(t))


class LnStructured(_Structured):
    """Prunes the `amount` slices along an axis with the least n-norm; `n` may be infinite."""

    def __init__(self, amount: float, n: float | str, dim: int = -1) -> None:
        self.amount = amount
        self.n = n
        self.dim = dim

    def _scores(self, t: Array) -> Array:
        order = {"inf": np.inf, "fro": 2.0}.get(self.n) if isinstance(self.n, str) else self.n
        if order is None:
            raise ValueError("prune: n='nuc' is a norm of matrices; give a number, 'fro' or infinity")
        scores: Array = np.linalg.norm(t.reshape(len(t), -1), ord=order, axis=1)
        return scores


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is 0."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: ArrayLike) -> None:
        self.mask = _array(mask)

    def compute_mask(self, t: Array, default_mask: Array) -> Array:
        if self.mask.shape != default_mask.shape:
            raise ValueError(f"prune: the mask has shape {self.mask.shape}, the parameter {default_mask.shape}")
        return default_mask * self.mask


# -- functions -----------------------------------------------------------------------------------------------------


def identity(module: M, name: str) -> M:
    """Prune nothing: add a mask of ones."""
    return Identity.apply(module, name)


def random_unstructured(module: M, name: str, amount: float, *, rng: np.random.Generator | int | None = None) -> M:
    """Set random elements to 0.

    Args:
        module: what has the parameter.
        name: of the parameter.
        amount: how many of those that are left: an integer, or a fraction.
        rng: a generator; by default the one that `tn.random.seed` seeds.

    Returns:
        the module.
    """
    return RandomUnstructured.apply(module, name, amount, rng=rng)


def l1_unstructured(module: M, name: str, amount: float, importance_scores: ArrayLike | None = None) -> M:
    """Set the elements of the least magnitude to 0; arguments as of `random_unstructured`.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.Linear(2, 2)
    >>> layer.weight.data = [[1.0, -2.0], [0.5, 3.0]]
    >>> nn.utils.prune.l1_unstructured(layer, "weight", 0.5).weight.numpy()
    array([[ 0., -2.],
           [ 0.,  3.]], dtype=float32)
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_orig']
    """
    return L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)


def random_structured(
    module: M, name: str, amount: float, dim: int, *, rng: np.random.Generator | int | None = None
) -> M:
    """Set random slices along an axis to 0; arguments as of `random_unstructured`."""
    return RandomStructured.apply(module, name, amount, dim, rng=rng)


def ln_structured(
    module: M, name: str, amount: float, n: float | str, dim: int, importance_scores: ArrayLike | None = None
) -> M:
    """Set the slices along an axis to 0 whose n-norm is least; arguments as of `random_unstructured`."""
    return LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)


def custom_from_mask(module: M, name: str, mask: ArrayLike) -> M:
    """Set the elements to 0 where a mask is."""
    return CustomFromMask.apply(module, name, mask)


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], ArrayLike] | None = None,
    **kwargs: object,
) -> None:
    """Prune several parameters as if they were one.

    Args:
        parameters: pairs of a module and a name.
        pruning_method: a class, such as `L1Unstructured`.
        importance_scores: what to go by in place of the values, by pair.
        **kwargs: for the method.

    >>> from tapenet import nn
    >>> net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    >>> pairs = [(layer, "weight") for layer in net]
    >>> nn.utils.prune.global_unstructured(pairs, nn.utils.prune.L1Unstructured, amount=0.25)
    >>> sum(int((layer.weight_mask.numpy() == 0).sum()) for layer in net)
    6
    """
    pairs = list(parameters)
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            f"global_unstructured: {pruning_method.__name__} is {method.PRUNING_TYPE}, and parameters of different shapes have "
            "no slices in common"
        )
    given = importance_scores or {}
    scores = [_array(given.get((module, name), _parameter(module, name))) for module, name in pairs]
    masks = [_present(module, name) for module, name in pairs]
    joined = method._combined(*(np.concatenate([array.ravel() for array in arrays]) for arrays in (scores, masks)))
    ends = np.cumsum([mask.size for mask in masks])[:-1]
    for (module, name), mask, new in zip(pairs, masks, np.split(joined, ends), strict=True):
        _put_mask(module, name, new.reshape(mask.shape))


def remove(module: M, name: str) -> M:
    """Make a pruned attribute a parameter again, with the zeros in it.

    Raises:
        ValueError: it is not pruned.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.utils.prune.custom_from_mask(nn.Linear(2, 1), "weight", np.array([[0, 1]]))
    >>> nn.utils.prune.remove(layer, "weight")
    Linear(2, 1)  bias (1,), weight (1, 2)  3 parameters
    """
    _, names = _pruned(module)
    if name not in names:
        raise ValueError(f"prune.remove: {name!r} of this {type(module).__name__} is not pruned")
    _check_plain(module)
    tensor = getattr(module, name + "_orig")
    tensor.data = tensor.numpy() * getattr(module, name + "_mask").numpy()
    _become(module, tuple(n for n in names if n != name))
    delattr(module, name + "_orig")
    delattr(module, name + "_mask")
    setattr(module, name, tensor)
    return module


def is_pruned(module: Module) -> bool:
    """Whether an attribute of a module, or of one below it, is pruned.

    >>> from tapenet import nn
    >>> nn.utils.prune.is_pruned(nn.Sequential(nn.Linear(2, 1)))
    False
    """
    return any(_pruned(m)[1] for m in module.modules())
