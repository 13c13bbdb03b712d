"""What other packages bring: ops, layers, optimizers, data, themes and more that they name as entry points. Each is loaded when
it is first needed."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Groups of entry points -> the namespace that has their names beside its own; "" where something else looks them up.
GROUPS = {
    "tapenet.ops": "tapenet",
    "tapenet.layers": "tapenet.nn",
    "tapenet.losses": "tapenet.nn.functional",
    "tapenet.initialisers": "tapenet.nn.init",
    "tapenet.optimizers": "tapenet.optim",
    "tapenet.schedules": "tapenet.optim",
    "tapenet.data": "tapenet.data",
    "tapenet.metrics": "tapenet.metrics",
    "tapenet.themes": "",
    "tapenet.renderers": "",
    "tapenet.formats": "",
}


class Plugin(NamedTuple):
    """One thing that a package brings: `value` is "module:object", `package` the distribution's name and version."""

    group: str
    name: str
    value: str
    package: str


class Loaded(NamedTuple):
    """A plugin that was loaded: the object, or the error."""

    value: object
    error: Exception | None = None


def plugins() -> list[Plugin]:
    """Every plugin of the packages that are installed. None is loaded for that."""
    return [plugin for group in GROUPS for plugin in _entries(group)]


def found(group: str) -> Mapping[str, object]:
    """What packages bring in a group such as "tapenet.themes", by name. Those that cannot be loaded are left out, with one
    warning each."""
    loaded = {plugin.name: load(plugin) for plugin in _entries(group)}
    return {name: plugin.value for name, plugin in loaded.items() if plugin.error is None}


def attribute(module: ModuleType, name: str) -> object:
    """What packages bring under a name that a namespace itself has not.

    Raises:
        AttributeError: none does, or it cannot be loaded.
    """
    space = module.__name__
    groups = [group for group, at in GROUPS.items() if at == space and not name.startswith("_")]
    if groups and "__path__" in vars(module):
        from importlib.util import find_spec

        if find_spec(f"{space}.{name}") is not None:
            groups = []  # a submodule, which Python goes on to import
    error = None
    for plugin in (p for group in groups for p in _entries(group) if p.name == name):
        loaded = load(plugin)
        if loaded.error is None:
            setattr(module, name, loaded.value)
            return loaded.value
        error = loaded.error
    raise AttributeError(
        f"module {space!r} has no attribute {name!r}{_of_arrays(space, name)}", name=name, obj=module
    ) from error


def _of_arrays(space: str, name: str) -> str:
    """What to write for a function of SciPy's that takes no tensors."""
    theirs = space.removeprefix("tapenet.")
    if not theirs.startswith("scipy") or name.startswith("_"):
        return ""
    from importlib import import_module

    found = getattr(import_module(theirs), name, None)
    return "" if found is None else f": {theirs}.{name} takes arrays alone, give it t.detach().numpy()"


@functools.cache
def load(plugin: Plugin) -> Loaded:
    """Load a plugin, if that was not done before. Where that fails a warning names it."""
    try:
        return Loaded(_entries(plugin.group)[plugin].load())
    except Exception as error:
        warnings.warn(
            f"the plugin {plugin.name!r} of {plugin.package} ({plugin.group}, {plugin.value}) is left out, as it cannot be "
            f"loaded: {type(error).__name__}: {error}",
            stacklevel=2,
        )
        return Loaded(None, error)


@functools.cache
def _entries(group: str) -> dict[Plugin, EntryPoint]:
    """The entry points of a group, one of each name."""
    from importlib import metadata

    first: dict[str, str] = {}
    entries: dict[Plugin, EntryPoint] = {}
    for entry in metadata.entry_points(group=group):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
        if first.setdefault(entry.name, package) == package:
            entries[Plugin(group, entry.name, entry.value, package)] = entry
        else:
            warnings.warn(
                f"both {first[entry.name]} and {package} bring {entry.name!r} in {group}; the first is used",
                stacklevel=2,
            )
    return entries


def forget() -> None:
    """Look for packages anew, such as those that were installed since."""
    _entries.cache_clear()
    load.cache_clear()
