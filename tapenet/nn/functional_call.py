"""A module called with other parameters and buffers than its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module import Module
from tapenet.nn.module_tree import walk
from tapenet.nn.parameter import is_lazy
from tapenet.nn.placing import held, placed_by_name
from tapenet.ops.tracebacks import boundary


@boundary
def functional_call(module: Module, params: object, *args: object, **kwargs: object) -> Any:
    """What `module(*args, **kwargs)` gives with other parameters, and buffers, than its own. Gradients flow to these.

    Args:
        module: the module. It has its own tensors again when the call ends, also by an error. While the call runs its code
            sees the others, and other threads that make such a call with this module wait; they should not call it directly.
        params: the parameters by dotted name, as `dict(module.named_parameters())` has them: a dict, nested dicts and lists
            by the parts of the names, a module of the same architecture, or a tuple of such, of parameters and buffers, say.
            All parameters must be there; a buffer that is not is the module's own.
        *args, **kwargs: the arguments of the call.

    What the call writes to a buffer, as batch normalization does in training, it writes to the one that is used: to the tensor
    in `params`, if it is there, else to the module's own. So does PyTorch's `torch.func.functional_call`, whose `args` are one
    tuple. In a function that is traced, as by `tn.vmap` or `tn.jvp`, give the buffers as arguments, and return them: they stand
    for the new values then.

    Raises:
        ValueError: a parameter is missing, or a name is none of the module's (the message lists them); a tensor has another
            shape than that of the module, or a name is there twice.

    >>> import tapenet as tn
    >>> net = tn.nn.Linear(2, 1)
    >>> params = {"weight": tn.tensor([[1.0, 2.0]]), "bias": tn.tensor([3.0])}
    >>> tn.functional_call(net, params, tn.tensor([1.0, 1.0]))
    Tensor([6.])
    >>> tn.grad(lambda p: tn.functional_call(net, p, tn.tensor([1.0, 1.0])).sum())(params)
    {'weight': Tensor([[1., 1.]]), 'bias': Tensor([1.])}
    """
    if not isinstance(module, Module):
        raise TypeError(f"tn.functional_call takes a module, not {type(module).__name__}")
    title = f"tn.functional_call({type(module).__name__})"
    given: dict[str, Tensor] = {}
    for tree in params if type(params) is tuple else (params,):
        for name, value in _by_name(tree, ""):
            if name in given:
                raise ValueError(f"{title}: {name!r} is given twice")
            given[name] = asarray(value)
    with held(module):  # or another thread's tensors might be in it when it is looked at
        _check(title, module, given)
        with placed_by_name(module, given):
            return module(*args, **kwargs)


def _by_name(tree: object, prefix: str) -> Iterator[tuple[str, object]]:
    """The tensors in a tree by dotted name."""
    parts: Iterator[tuple[object, object]]
    if isinstance(tree, Module):
        parts = ((name, value) for name, value in walk(tree) if isinstance(value, Tensor))
    elif isinstance(tree, Mapping):
        parts = iter(tree.items())
    elif isinstance(tree, (list, tuple)) and prefix:
        parts = iter(enumerate(tree))
    elif prefix:
        yield prefix, tree
        return
    else:
        raise TypeError(
            f"tn.functional_call: params is {type(tree).__name__}: give a dict by parameter name, such as "
            "dict(module.named_parameters()), or a module"
        )
    for name, value in parts:
        yield from _by_name(value, f"{prefix}.{name}" if prefix else str(name))


def _check(title: str, module: Module, given: Mapping[str, Tensor]) -> None:
    own = {name: value for name, value in walk(module, repeats=True) if isinstance(value, Tensor)}
    unknown = [name for name in given if name not in own]
    if unknown:
        raise ValueError(f"{title}: there is no {_listed(unknown)}; the names are {_listed(list(own))}")
    by_tensor: dict[int, str] = {}
    for name, value in given.items():
        tensor = own[name]
        if is_lazy(tensor):
            raise ValueError(f"{title}: {name!r} has no shape yet: call the module once before")
        if value.shape != tensor.shape:
            raise ValueError(f"{title}: {name!r} has shape {tensor.shape} in the module, and {value.shape} was given")
        other = by_tensor.setdefault(id(tensor), name)
        if given[other]._data is not value._data:
            raise ValueError(
                f"{title}: {other!r} and {name!r} are one tensor in the module, and two were given: give the same, or one of "
                "the names alone"
            )
    missing = [name for name, p in module.named_parameters() if id(p) not in by_tensor]
    if missing:
        raise ValueError(
            f"{title}: {_listed(missing)} is missing; to use the module's own give "
            "{**dict(module.named_parameters()), **params}"
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
