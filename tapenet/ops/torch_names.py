"""PyTorch's names for the arguments of functions here, and those of its options that no function here has.

All of these names are here. A call by a function's own names never reads this table: a name is looked up once a call has
failed for it, and the call is made again. Functions made by users (`tn.op`) know their own names alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from tapenet.names import LAYERS

#: By PyTorch's name: ours, the first that a function has.
EVERYWHERE: dict[str, tuple[str, ...]] = {
    "dim": ("axis", "axes"),
    "dims": ("axis", "axes"),
    "dim1": ("axis1",),
    "dim2": ("axis2",),
    "keepdim": ("keepdims",),
    "correction": ("ddof",),
    "size": ("shape",),
    "shifts": ("shift",),
    "end": ("stop",),
    "steps": ("num",),
    "interpolation": ("method",),
    "index": ("indices",),
    "generator": ("rng",),
}
#: By PyTorch's name: the place of the argument.
PLACES = {"input": 0, "input1": 0, "tensor": 0, "tensors": 0, "A": 0, "other": 1, "input2": 1, "exponent": 1, "B": 1}
#: Of single functions, by PyTorch's name: the place.
OF: dict[str, dict[str, int]] = {
    "asarray": {"obj": 0},
    "diag": {"diagonal": 1},
    "diagflat": {"offset": 1},
    "divide": {"dividend": 0, "divisor": 1},
    "dot": {"tensor": 1},
    "eye": {"n": 0, "m": 1},
    "heaviside": {"values": 1},
    "isin": {"elements": 0},
    "outer": {"vec2": 1},
    "searchsorted": {"input": 1, "sorted_sequence": 0, "values": 1},
    "tile": {"dims": 1},
    "tril": {"diagonal": 1},
    "triu": {"diagonal": 1},
    "vecdot": {"x": 0, "y": 1},
    "where": {"input": 1, "other": 2},
}


#: Functions that take lengths one by one in PyTorch, `zeros(2, 3)`.
SIZES = frozenset({"empty", "ones", "zeros"})


class Option(NamedTuple):
    """An argument of PyTorch's that has no counterpart here.

    Attributes:
        of: the functions that have it.
        values: with these it changes nothing; None for all, () for none.
        advice: what to write in its place.
    """

    of: str
    values: tuple[object, ...] | None
    advice: str = ""


_MAKING = (
    "arange asarray empty empty_like eye fftfreq full full_like linspace logspace ones ones_like rfftfreq tensor zeros "
    "zeros_like"
)
_LOSSES = (
    "binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss kl_div "
    "l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss "
    "poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss"
)
_REDUCTION = 'give reduction="mean", "sum" or "none"'
#: What has no argument to answer to it, by its name.
OPTIONS: dict[str, tuple[Option, ...]] = {
    "_stacklevel": (Option("log_softmax softmax softmin", None),),
    "alpha": (
        Option("add subtract", (1,), "multiply the second argument by it"),
        Option("index_add", (), "multiply the values by it"),
    ),
    "as_tuple": (Option("nonzero", (True,), "write tn.argwhere(x) for what as_tuple=False gives"),),
    "atol": (Option("matrix_rank pinv", (None,), "give rtol="),),
    "axis0": (Option("swapaxes", (), "give both axes by position"),),
    "device": (Option(_MAKING, (None, "cpu"), "everything is computed on the CPU: leave it out"),),
    "dim": (
        Option("index_add scatter_add", (), "its arguments are others here, see its help"),
        Option("matrix_norm", ((-2, -1),), "move the axes with tn.moveaxis"),
        Option("select", (), "write x[..., index]"),
    ),
    "dim0": (Option("transpose", (), "write tn.swapaxes(x, dim0, dim1)"),),
    "dim1": (
        Option("transpose", (), "write tn.swapaxes(x, dim0, dim1)"),
        Option("diagonal", (-2,), "write tn.diagonal(x, offset, dim1, dim2)"),
    ),
    "dim2": (Option("diagonal", (-1,), "write tn.diagonal(x, offset, dim1, dim2)"),),
    "driver": (Option("lstsq svd svdvals", None),),
    "eps": (Option("gumbel_softmax", None),),
    "index": (Option("select", (), "write x[..., index]"),),
    "layout": (Option(_MAKING, (None, "torch.strided"), "arrays are dense: leave it out"),),
    "left": (Option("solve", (True,), "write tn.linalg.solve(a.T, b.T).T"),),
    "memory_format": (Option(_MAKING, None),),
    "options": (Option("linear_cross_entropy", (None,), "the result does not depend on it: leave it out"),),
    "other": (Option("max min", (), "write tn.maximum(x, y) or tn.minimum(x, y)"),),
    "out_int32": (Option("searchsorted", (False,), "write .astype(np.int32)"),),
    "pin_memory": (Option(_MAKING, None),),
    "reduce": (Option(_LOSSES, (None,), _REDUCTION),),
    "right": (Option("searchsorted", (False,), 'write side="right"'),),
    "rounding_mode": (
        Option("divide", (None,), 'write tn.floor_divide(x, y) for "floor", tn.trunc(x / y) for "trunc"'),
    ),
    "size_average": (Option(_LOSSES, (None,), _REDUCTION),),
    "source": (Option("index_add", (), "its arguments are others here, see its help"),),
    "spacing": (Option("gradient", (), "give distances or coordinates by position"),),
    "split_size_or_sections": (
        Option("split", (), "it means the size of a part, and tn.split takes their number or where they begin"),
    ),
    "src": (Option("scatter_add", (), "its arguments are others here, see its help"),),
    "unbiased": (Option("std var", (False,), "write correction=1"),),
}  # fmt: skip
#: Activations that PyTorch never computes in place. The others, and dropout, take `inplace`.
_NEW = (
    "gelu glu gumbel_softmax hardshrink log_softmax logsigmoid prelu sigmoid softmax softmin softplus softshrink softsign "
    "tanhshrink"
)
_IN_PLACE = {
    name
    for module, names in LAYERS.items()
    if module.startswith(("tapenet.ops.layers.activations", "tapenet.ops.layers.dropout"))
    for name in names.split()
} - set(_NEW.split())
#: Options of PyTorch's that are carried out around the call, with the functions that have them and no such argument here.
DONE: dict[str, frozenset[str]] = {
    option: frozenset(functions.split())
    for option, functions in {
        "dtype": "log_softmax matrix_norm norm softmax softmin vector_norm",
        "out": "angle arange cholesky column_stack cond cross det diag dstack eig eigh eigvals eigvalsh empty erf eye fftfreq "
        "full hstack i0 index_add inner inv kron linspace logcumsumexp logspace logsumexp matmul matrix_norm matrix_power "
        "matrix_rank nan_to_num nonzero norm normalize ones pinv qr rfftfreq searchsorted sigmoid sign sinc slogdet solve sort "
        "svd svdvals tensordot tensorinv tensorsolve tril triu vdot vecdot vector_norm vstack where zeros",
        "requires_grad": _MAKING,
        "inplace": " ".join(_IN_PLACE),
    }.items()
}
#: Layers that take `inplace` in PyTorch, as their last argument: those of such functions. In small letters.
INPLACE_LAYERS = {name.replace("_", "") for name in _IN_PLACE}
#: Further arguments of PyTorch's layers that say how a thing is computed, and change nothing here, by the layer.
OF_LAYERS = {"TransformerEncoder": frozenset({"enable_nested_tensor", "mask_check"})}
#: Arguments of losses that PyTorch itself has given up, and what to write.
GIVEN_UP = {"size_average": "reduction='mean' or reduction='sum'", "reduce": "reduction='none' for False"}
#: Options of PyTorch's optimizers, each with why it cannot be set; None where any value will do.
OF_OPTIMIZERS: dict[str, str | None] = {
    "capturable": None,
    "foreach": None,
    "fused": None,
    "differentiable": "updates are not recorded. To differentiate through them compute the new parameters as tensors, from "
    "tn.grad, and call the model with these",
}


class Spelt(NamedTuple):
    """A call in our names, and the options that are to be carried out around it."""

    args: tuple[object, ...]
    kwargs: dict[str, object]
    around: dict[str, Any]


def spelt(
    name: str, parameters: Mapping[str, object], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Spelt | None:
    """A call of a function in its own names; None if nothing in it has one of PyTorch's.

    Args:
        name: what the function is called.
        parameters: names and defaults of its arguments, in order.
        args, kwargs: what it was called with.

    Raises:
        TypeError: an argument is given twice, under both names; an option that would make a difference.

    >>> spelt("sum", {"a": None, "axis": None}, (), {"input": 1.0, "dim": 0})
    Spelt(args=(), kwargs={'a': 1.0, 'axis': 0}, around={})
    """
    names = tuple(parameters)
    given = list(args)
    found = False
    if name in SIZES and len(args) > 1 and all(isinstance(n, int) and not isinstance(n, bool) for n in args):
        given, found = [args], True
    kept = {n: value for n, value in kwargs.items() if n in parameters}
    around: dict[str, object] = {}
    for theirs, value in kwargs.items():
        if theirs in parameters:
            continue
        ours = our_name(name, theirs, names)
        if ours is not None:
            _enter(name, ours, theirs, value, parameters, given, kept)
        elif name in DONE.get(theirs, ()):
            around[theirs] = value
        elif not _changes_nothing(name, theirs, value):
            kept[theirs] = value
            continue
        found = True
    return Spelt(tuple(given), kept, around) if found else None


@functools.lru_cache(1024)
def our_name(name: str, theirs: str, names: tuple[str, ...]) -> str | None:
    """Our name for an argument of a function, which has these; None if there is none."""
    for ours in EVERYWHERE.get(theirs, ()):
        if ours in names:
            return ours
    if any(option.values == () and name in option.of.split() for option in OPTIONS.get(theirs, ())):
        return None  # another argument has its place
    place = OF.get(name, {}).get(theirs, PLACES.get(theirs, len(names)))
    return names[place] if place < len(names) else None


def _changes_nothing(name: str, theirs: str, value: object) -> bool:
    """Whether an option is one of PyTorch's that may be left out.

    Raises:
        TypeError: it would make a difference with this value; the error says what to write.
    """
    for option in OPTIONS.get(theirs, ()):
        if name in option.of.split():
            if option.values is None or any(_is(value, v) for v in option.values):
                return True
            raise TypeError(f"{name}(): {theirs}={value!r} is PyTorch's, and has no place here: {option.advice}")
    return False


def _is(value: object, other: object) -> bool:
    return value is other or str(value) == str(other)  # such as a torch.device


def _enter(
    name: str,
    ours: str,
    theirs: str,
    value: object,
    parameters: Mapping[str, object],
    given: list[object],
    kept: dict[str, object],
) -> None:
    """Enter an argument. One that has its default, as methods pass it on, was not given."""
    place, default = list(parameters).index(ours), parameters[ours]
    if place < len(given) and given[place] is default:
        given[place] = value
    elif place < len(given) or kept.get(ours, default) is not default:
        raise TypeError(f"{name}() got {ours}= and {theirs}=, which are two names of one argument: give one of them")
    else:
        kept[ours] = value
