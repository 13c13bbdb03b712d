"""A module's state by name, how it is loaded, and the hooks that are called on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module_tree import Tree, walk
from tapenet.nn.parameter import is_lazy
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.parameters.hook_table import HookTable
from tapenet.program.low import as_array
from tapenet.typing import Array, StateDict

#: The name that a module's extra state has in a state dict, as in PyTorch.
EXTRA = "_extra_state"


class LoadReport(NamedTuple):
    """What `load_state_dict(strict=False)` left alone: names not in the state, and names in the state alone."""

    missing_keys: list[str]
    unexpected_keys: list[str]


StateHook = Callable[..., object]


def _hooks(module: Tree, kind: str) -> list[StateHook]:
    hooks = vars(module).get("_state_hooks")
    return hooks.of(kind) if isinstance(hooks, HookTable) else []


def by_name(root: Tree) -> dict[str, Tensor]:
    """The parameters and buffers in a module's state, under each of their names.

    Raises:
        ValueError: two have the same name.
    """
    found: dict[str, Tensor] = {}
    for name, value in walk(root, repeats=True):
        if isinstance(value, Tensor) and value._kind != "passing buffer" and found.setdefault(name, value) is not value:
            raise ValueError(
                f"two tensors of this {type(root).__name__} are called {name!r}: a dict has a key with a dot in it, or two "
                "that read the same"
            )
    return found


def _prefixed(root: Tree) -> list[tuple[str, Tree]]:
    """A module and those below it, each with what stands before the names of what it holds."""
    found = walk(root, repeats=True)
    return [(name + "." if name else "", m) for name, m in found if not isinstance(m, Tensor)]


def _inner_first(modules: list[tuple[str, Tree]]) -> Iterator[tuple[str, Tree]]:
    """The same with those below a module before it, and neighbours in their order."""
    open_: list[tuple[str, Tree]] = []
    for prefix, module in modules:
        while open_ and not prefix.startswith(open_[-1][0]):
            yield open_.pop()
        open_.append((prefix, module))
    yield from reversed(open_)


def _own_extra(module: Tree) -> bool:
    """Whether a module's class says what its extra state is."""
    return type(module).get_extra_state is not Tree.get_extra_state


def collect(root: Tree, destination: StateDict | None, prefix: str, keep_vars: bool) -> StateDict:
    """The state of a module; see `Module.state_dict`."""
    _check_shapes(root, by_name(root))
    state: StateDict = {} if destination is None else destination
    arrays: dict[int, Tensor | Array] = {}
    #: The open modules, each with the prefix of its names, and the extra state that is still to be added.
    inside: list[tuple[str, Tree]] = []
    extra: list[tuple[str, object]] = []

    def finish() -> None:
        """Come to the end of the innermost module."""
        settle()
        _told(*inside.pop(), state)

    def settle() -> None:
        """Add the extra state, which comes behind what a module holds itself."""
        state.update(extra)
        extra.clear()

    def leave(until: str) -> None:
        """Tell the hooks of the modules that end where a name begins so."""
        while inside and not until.startswith(inside[-1][0]):
            finish()

    for name, value in walk(root, repeats=True):
        if isinstance(value, Tensor):
            leave(prefix + name)
            if value._kind != "passing buffer":
                if id(value) not in arrays:
                    arrays[id(value)] = value if keep_vars else value.numpy().copy()
                state[prefix + name] = arrays[id(value)]
            continue
        settle()
        before = f"{prefix}{name}." if name else prefix
        leave(before)
        inside.append((before, value))
        for hook in _hooks(value, "state_dict_pre"):
            hook(value, before, keep_vars)
        if _own_extra(value):
            extra.append((before + EXTRA, value.get_extra_state()))
    while inside:
        finish()
    return state


def _check_shapes(root: Tree, named: Mapping[str, Tensor]) -> None:
    """Raise ValueError where a tensor has no shape yet."""
    lazy = [name for name, t in named.items() if is_lazy(t)]
    if lazy:
        raise ValueError(
            f"the state of this {type(root).__name__} is not known yet: {', '.join(lazy)} have no shape before the first "
            "call. Call the module once, net(x), or load a state into it"
        )


def _told(prefix: str, module: Tree, state: dict[str, object]) -> None:
    """Call the hooks of a module whose state is in a dict."""
    for hook in _hooks(module, "state_dict_post"):
        if hook(module, state, prefix, {}) is not None:
            raise RuntimeError(
                f"a state-dict hook of {type(module).__name__} returned a value: it is to change the dict that it is "
                "given, and return None"
            )


def load(root: Tree, state: Mapping[str, object], strict: bool) -> LoadReport:
    """Copy values into a module; see `Module.load_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict takes a dict of arrays by name, not {type(state).__name__}"
            + ("; give other.state_dict()" if isinstance(state, Tree) else "")
        )
    modules = _prefixed(root)
    told = LoadReport([], [])
    lines: list[str] = []
    state = dict(state)  # hooks may change it
    for prefix, module in modules:
        for hook in _hooks(module, "load_pre"):
            hook(module, state, prefix, {}, strict, *told, lines)
    extras = {prefix + EXTRA: module for prefix, module in modules if _own_extra(module)}
    given_extras = {name: state.pop(name) for name in extras if name in state}
    named = by_name(root)
    # What layers without shapes would become.
    ready = [made for prefix, m in modules if hasattr(m, "_fitted") and (made := m._fitted(_below(state, prefix)))]
    shapes = {key: shape for layer in ready for key, shape in layer.shapes.items()}
    first: dict[int, str] = {}  # by tensor, the first of its names
    own = {name: t for name, t in named.items() if first.setdefault(id(t), name) == name}
    given: dict[str, Tensor | Array] = {}
    source: dict[str, str] = {}
    for name, entry in state.items():
        target = named.get(name)
        value = _array(entry, target)
        usual = name if target is None else first[id(target)]
        same = given.setdefault(usual, value)
        before = source.setdefault(usual, name)
        if value is not same and not np.array_equal(_plain(value), _plain(same), equal_nan=True):
            lines.append(f"shared      {before}, {name}: one tensor here, and of different values in the state")
    report = LoadReport(
        [n for n in own if n not in given] + [n for n in extras if n not in given_extras] + told.missing_keys,
        [n for n in given if n not in own] + told.unexpected_keys,
    )
    common = [(name, own[name], given[name]) for name in own if name in given]
    misfits: list[str] = []
    for name, target, value in common:
        shape = shapes.get(id(target), target.shape)
        if value.shape != shape:
            misfits.append(f"shape       {name}: {shape} here, {value.shape} in the state")
        elif not np.can_cast(value.dtype, target.dtype, "same_kind"):
            misfits.append(f"dtype       {name}: {target.dtype} here, {value.dtype} in the state")
    told_last = [(module, hook) for _, module in _inner_first(modules) for hook in _hooks(module, "load_post")]
    incomplete = strict and any(report)
    if lines or misfits or not told_last or (incomplete and ready):  # what hooks may correct is lost, or there are none
        _raise(root, lines, report, strict, own, given, misfits)
    # Cast before anything is written: a number too large for the module's dtype warns, and a warning may be an error.
    cast = [value if value.dtype == target.dtype else value.astype(target.dtype) for _, target, value in common]
    before_all = [target.numpy().copy() for _, target, _ in common] if incomplete else []
    for layer in ready:
        layer.adopt()
    for (_, target, _), value in zip(common, cast, strict=True):
        target.data = value
    for name, extra in given_extras.items():
        extras[name].set_extra_state(extra)
    for module, hook in told_last:
        if hook(module, report) is not None:
            raise RuntimeError(
                f"a load hook of {type(module).__name__} returned a value: it is to change the lists of missing_keys and "
                "unexpected_keys that it is given, and return None"
            )
    if incomplete and any(report):
        for (_, target, _), value in zip(common, before_all, strict=False):
            target.data = value
        _raise(root, [], report, strict, own, given, [])
    return report


def _raise(
    root: Tree,
    lines: list[str],
    report: LoadReport,
    strict: bool,
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor | Array],
    misfits: list[str],
) -> None:
    """Raise if a state does not fit."""
    lines = list(lines)
    if strict:
        lines += [f"missing     {n}{_what(own.get(n))}" for n in report.missing_keys]
        lines += [f"unexpected  {n}{_what(given.get(n))}" for n in report.unexpected_keys]
    lines += misfits
    if not lines:
        return
    hint = ["with strict=False missing and unexpected entries are left alone"] if strict else []
    raise ValueError(
        "\n  ".join([f"the state does not fit this {type(root).__name__}; nothing was loaded", *lines, *hint])
    )


def _what(value: Tensor | Array | None) -> str:
    return "" if value is None else f": {value.dtype} {value.shape}"


def _below(state: Mapping[str, object], prefix: str) -> dict[str, object]:
    """The entries of a state whose names begin so, under the rest of their names."""
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}


def _plain(value: Tensor | Array) -> Array:
    return value.numpy() if isinstance(value, Tensor) else value


def _array(value: object, target: Tensor | None) -> Tensor | Array:
    """An entry of a state as an array or tensor. What `numpy.load` gives for a bfloat16 array are its bytes, without a
    type: they are taken for what they were."""
    if isinstance(value, Tensor):
        return value
    check_unmasked(value)
    array = as_array(value)
    if target is not None and array.dtype == np.dtype("V2") and target.dtype.name == "bfloat16":
        return array.view(target.dtype)
    return array
