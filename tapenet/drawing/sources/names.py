"""Names of tensors and arrays: the variables of the code that draws, and the attributes of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import NamedTuple, Protocol, TypeAlias, TypeGuard

import numpy as np

from tapenet.autodiff.node import Constant, Node, Scope
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.late import use
from tapenet.drawing.model import Cluster, Kind
from tapenet.ops.stack_frames import user_frame
from tapenet.typing import Array

#: How many frames outwards, how many names in each, and how many elements of a list are looked at.
_FRAMES, _NAMES, _ELEMENTS = 8, 1000, 100


_PACKAGE = __name__.partition(".")[0]

#: A tensor by its node, an array by where it is (`key_of`), a module by its `id`.
Key: TypeAlias = Node | int | tuple[object, ...]


class Name(NamedTuple):
    """What the user calls a tensor or array, whether it is an input rather than something learned, and what made it, so
    far as a gradient flows back to that."""

    text: str
    input: bool = False
    node: Node | None = None


def key_of(array: Array | Constant) -> Key:
    """Which array it is: by its place in memory and how it lies there, so that two views of the same are one. One that is
    gone is known by the reference to it."""
    found = array.array() if isinstance(array, Constant) else array
    if found is None:
        assert isinstance(array, Constant)
        return id(array.array)
    return found.__array_interface__["data"][0], found.shape, found.strides, found.dtype


def key_of_whole(array: Array | Constant) -> Key | None:
    """The array that one is a view of all of, such as a transposed or reshaped one; None if it is none, or gone."""
    found = array.array() if isinstance(array, Constant) else array
    base = None if found is None else found.base
    return key_of(base) if found is not None and type(base) is np.ndarray and base.size == found.size else None


def is_transposed(array: Array | Constant) -> bool:
    """Whether an array is another one with its axes in reverse."""
    found = array.array() if isinstance(array, Constant) else array
    return found is not None and found.ndim > 1 and key_of(found.T) == key_of_whole(found)


def variables() -> dict[Key, Name]:
    """The tensors, arrays and modules that the user's code has names for. The innermost frame
    comes first: a function's own names, then those of its caller, then those of its module."""
    found: dict[Key, Name] = {}
    scopes: list[Mapping[str, object]] = []
    frame = _drawing_frame()
    while frame is not None and len(scopes) < _FRAMES:
        scopes.append(frame.f_locals)
        if _outermost(frame):
            scopes.append(frame.f_globals)
        frame = frame.f_back
    for scope in scopes:
        for name, value in list(scope.items())[:_NAMES]:
            if _written(name):
                note_all(found, name, value)
    return found


def _drawing_frame() -> FrameType | None:
    """The innermost frame of the user's; the package's own command line is none."""
    frame = user_frame()
    while frame is not None and frame.f_globals.get("__package__") == _PACKAGE:
        frame = frame.f_back
    return frame


def variable_of(x: object) -> str:
    """The variable of the code that draws that holds this object, "" if there is none."""
    frame = _drawing_frame()
    if frame is not None:
        for scope in (frame.f_locals, frame.f_globals):
            for name, value in list(scope.items())[:_NAMES]:
                if value is x and _written(name):
                    return name
    return ""


def note_all(names: dict[Key, Name], name: str, value: object) -> None:
    """Enter names for what a variable holds: a tensor, an array or a module, or several in a list, tuple or dict."""
    for text, thing in _named(name, value):
        note(names, text, thing)


def note(names: dict[Key, Name], text: str, thing: object, *, input: bool = False) -> None:
    """Enter a name for a tensor, by its node and its array, for an array or a module, unless it has one."""
    if type(thing) is Tensor:
        if thing.node is not None:
            names.setdefault(thing.node, Name(text, input))
        names.setdefault(key_of(thing._data), Name(text, input, thing.node))
    elif isinstance(thing, np.ndarray):
        names.setdefault(key_of(thing), Name(text, input))
    elif is_module(thing) and text not in _OWN:
        known = names.get(id(thing))
        if known is None or "." in known.text:  # a name of its own says more than that in another module
            for path, module in thing.named_modules():
                names.setdefault(id(module), Name(f"{text}.{path}"))
            names[id(thing)] = Name(text)
        for path, parameter in thing.named_parameters():
            note(names, f"{text}.{path}", parameter)


#: What a method calls its object, which says nothing.
_OWN = ("self", "cls")


def is_module(thing: object) -> TypeGuard[Module]:
    """Whether something is a module."""
    return hasattr(type(thing), "named_modules")


def _written(name: str) -> bool:
    """Whether a name was written by a person to be read, and not made by Python or a tool."""
    return name.isidentifier() and not name.startswith("_")


def _outermost(frame: FrameType) -> bool:
    """Whether no caller is of the same module, whose names would come up again."""
    outer = frame.f_back
    return outer is None or outer.f_globals is not frame.f_globals


def _named(name: str, value: object) -> Iterator[tuple[str, object]]:
    if type(value) is Tensor or isinstance(value, np.ndarray) or is_module(value):
        yield name, value
    elif isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        yield from ((f"{name}[{i}]", v) for i, v in enumerate(value[:_ELEMENTS]))
    elif type(value) is dict:
        yield from ((f"{name}[{k!r}]", v) for k, v in list(value.items())[:_ELEMENTS] if isinstance(k, (str, int)))


# -- modules ----------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """How to draw a parameter or buffer that a module holds."""

    kind: Kind
    title: str
    path: str
    cluster: int
    node: Node | None = None


class Module(Protocol):
    """What is asked of a module, which this folder does not import."""

    def named_modules(self, *, remove_duplicate: bool = True) -> Iterable[tuple[str, Module]]: ...
    def named_parameters(self, *, remove_duplicate: bool = True) -> Iterable[tuple[str, Tensor]]: ...
    def parameters(self) -> Iterable[Tensor]: ...
    def extra_repr(self) -> str: ...
    def named_buffers(self) -> Iterable[tuple[str, Tensor]]: ...
    def card(self) -> str: ...
    @property
    def forward(self) -> Callable[..., object]: ...


class _Call(NamedTuple):
    """A module running: its scope, and itself if it is still alive."""

    scope: Scope
    module: Module | None

    @property
    def title(self) -> str:
        return self.scope.title


def card_of(module: Module) -> tuple[str, ...]:
    """What a module says of itself, in lines."""
    try:
        said = module.card()
        if not isinstance(said, str):
            raise TypeError(f"{type(module).__name__}.card() returned {said!r}: give a text, lines apart by \\n")
    except Exception as error:
        error.add_note(f"raised by {type(module).__name__}.card(), which says what is in its box in a picture")
        raise
    return tuple(said.split("\n")) if said else ()


class Modules:
    """The calls of modules that ops were made in, as clusters, and what these modules hold, by name.

    Ops that follow each other in a module make one cluster; a module called again later makes another, so
    that clusters are as free of circles as ops are. Modules are known weakly: one that is gone has no names.
    """

    def __init__(self, ops: list[Node], names: Mapping[Key, Name]) -> None:
        self._variables = names
        self.clusters: list[Cluster] = []
        self.around: dict[Node, int | None] = {}
        self.outermost: dict[Node, int | None] = {}
        self.held: dict[Key, Held] = {}
        #: Of each parameter: the keys by which it is in `held`, and itself.
        self.parameters: list[tuple[list[Key], Tensor]] = []
        self._first: dict[int, int] = {}  # by id of a module: its first cluster
        self._names: dict[int, dict[int, str]] = {}  # by id of a module: the names of those in it, by id
        self._counts: dict[int, tuple[int, int]] = {}  # by id of a module: how much it learns, in numbers and bytes
        self._bytes: list[int] = []  # by cluster
        outermost: dict[int, Module] = {}
        chains: dict[Scope, list[_Call]] = {}
        running: list[_Call] = []
        inside: list[int] = []
        for node in ops:
            chain = chains.get(node.scope)
            if chain is None:
                chain = chains[node.scope] = _chain(node.scope)
            same = 0
            while same < min(len(chain), len(running)) and chain[same].scope is running[same].scope:
                same += 1
            del inside[same:]
            for level in range(same, len(chain)):
                call = chain[level]
                if level == 0 and call.module is not None:
                    outermost[id(call.module)] = call.module
                self._enter(call, chain[level - 1].module if level else None, inside[-1] if inside else None)
                inside.append(len(self.clusters) - 1)
            running = chain
            self.around[node] = inside[-1] if inside else None
            self.outermost[node] = inside[0] if inside else None
        for module in outermost.values():
            self._hold(module)

    def _enter(self, call: _Call, outer: Module | None, parent: int | None) -> None:
        """Add the cluster of a call."""
        module = call.module
        name = path = variable = ""
        depth = 0
        if parent is None:
            variable = self._variables[id(module)].text if id(module) in self._variables else ""
        else:
            if module is not None and outer is not None:
                name = self._names_in(outer).get(id(module), "")
            path = ".".join(part for part in (self.clusters[parent].path, name) if part)
            depth = self.clusters[parent].depth + 1
        count = in_bytes = 0
        if module is not None:
            self._first.setdefault(id(module), len(self.clusters))
            if id(module) not in self._counts:
                own = {id(p): p for _, p in module.named_parameters()}.values()
                self._counts[id(module)] = sum(p.size for p in own), sum(p.nbytes for p in own)
            count, in_bytes = self._counts[id(module)]
        self._bytes.append(in_bytes)
        card = () if module is None else card_of(module)
        self.clusters.append(Cluster(name, call.title, path, parent, depth, count, card=card, variable=variable))

    def total(self, cluster: int, multiply_adds: int) -> None:
        """Say of an outermost module what all of it takes."""
        learns = self.clusters[cluster].parameters
        if learns:
            text = use("sources.totals").totals(learns, multiply_adds, self._bytes[cluster])
            self.clusters[cluster] = self.clusters[cluster]._replace(totals=text)

    def _names_in(self, outer: Module) -> dict[int, str]:
        names = self._names.get(id(outer))
        if names is None:
            names = self._names[id(outer)] = {}
            for name, module in outer.named_modules():
                names.setdefault(id(module), name)
        return names

    def _hold(self, outermost: Module) -> None:
        """Note the names of what an outermost module holds, by leaf and by array."""
        modules = dict(outermost.named_modules())
        held: list[tuple[Kind, str, Tensor | Array]] = [("parameter", *item) for item in outermost.named_parameters()]
        held += [("input", *item) for item in outermost.named_buffers()]
        held += [("input", *item) for path, module in modules.items() for item in _arrays(path, module)]
        for kind, path, tensor in held:
            # In the innermost module on its path that was called: a module may use a parameter of another.
            prefix = path.rpartition(".")[0]
            while prefix and id(modules.get(prefix)) not in self._first:
                prefix = prefix.rpartition(".")[0]
            module = modules[prefix] if prefix else outermost
            title = path[len(prefix) + 1 :] if prefix else path
            node = tensor.node if isinstance(tensor, Tensor) else None
            found = Held(kind, title, path, self._first[id(module)], node)
            keys: list[Key] = [key_of(tensor if isinstance(tensor, np.ndarray) else tensor.numpy())]
            if node is not None:
                keys.insert(0, node)
            for key in keys:
                self.held.setdefault(key, found)
            if kind == "parameter" and isinstance(tensor, Tensor):
                self.parameters.append((keys, tensor))


def _arrays(path: str, module: object) -> Iterator[tuple[str, Array]]:
    """The plain arrays that a module has as attributes, such as masks, by path."""
    for name, value in vars(module).items():
        if type(value) is np.ndarray and value.ndim:
            yield f"{path}.{name}" if path else name, value


def _chain(scope: Scope) -> list[_Call]:
    """The modules running in a scope, from the outermost to the innermost."""
    found = []
    at: Scope | None = scope
    while at is not None:
        if at.owner is not None:
            found.append(_Call(at, at.owner()))
        at = at.parent
    return found[::-1]
