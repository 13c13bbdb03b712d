"""What the tensors that a compiled program refers to are called, and its arguments and results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.places import Place
from tapenet.compiler.signature import Parameters
from tapenet.compiler.variant import Result, Target, Variant
from tapenet.drawing.model import Kind
from tapenet.drawing.sources.names import is_module
from tapenet.program.ir import Reference
from tapenet.program.trees import Structure, container, label


class Named(NamedTuple):
    """What a tensor from outside is called, and how it is drawn."""

    kind: Kind
    title: str
    kept: bool = False  # by a model or an optimizer


class Names:
    """The names of everything that comes into a program, or goes out of it.

    Attributes:
        inputs: of its arguments, in order.
        outputs: of its results, by position.
        written: of arguments that are written: by the position of the result that has their new value.
    """

    def __init__(self, variant: Variant, parameters: Parameters) -> None:
        #: By the `id` of an array, and by leaf.
        self._held: dict[object, Named] = {}
        self._of_modules(variant)
        for path, kind, tensor in _reached(variant):
            self._hold(tensor, kind, path, kept=kind == "parameter")
        for slot in (slot for owner in _owners(variant) for slot in getattr(owner, "slots", ())):
            self._hold(slot.param, "parameter", slot.name)
            of = self._held[id(slot.param.numpy())].title
            for name, tensor in slot.state.items():
                self._hold(tensor, "input", f"{of}: {name}")
        entries = parameters.entries(variant.key[0])
        arrays = {path: part[-1] for path, part in entries.items() if part[0] == "array"}
        #: Of the leaves among the arguments: the path.
        self._leaves = {leaf: path for path, leaf in reversed(arrays.items()) if leaf is not None}
        plan = variant.plan
        self.inputs = [*arrays, *(f"gradient of {self._target(target)}" for target in plan.entries)]
        self.outputs = {position: path for path, position in _results(plan.structure, iter(plan.results), "")}
        self.outputs |= {i: f"gradient of {self._target(target)}" for target, i in plan.grads if i is not None}
        self.written = {output: self.inputs[position] for position, output in plan.written}

    def of(self, reference: Reference) -> Named:
        """What a tensor from outside is called."""
        return self._held.get(id(reference.tensor.numpy()), Named("input", "array"))

    def _hold(self, tensor: object, kind: Kind, title: str, *, kept: bool = True) -> None:
        """Note a name, unless there is one already."""
        named = Named(kind, title, kept)
        if isinstance(tensor, Tensor):
            if tensor.node is not None:
                self._held.setdefault(tensor.node, named)
            tensor = tensor.numpy()
        self._held.setdefault(id(tensor), named)

    def _of_modules(self, variant: Variant) -> None:
        """The names in modules: dotted paths from the outermost one, whose own name is said where there are several."""
        modules = [owner for owner in _owners(variant) if is_module(owner)]
        inner = {id(m) for module in modules for _, m in module.named_modules() if m is not module}
        outermost = [module for module in modules if id(module) not in inner]
        variables = {id(value): place.name for place, value in _names(variant)}
        for module in outermost:
            name = variables.get(id(module), type(module).__name__)
            prefix = f"{name}." if len(outermost) > 1 else ""
            for path, tensor in module.named_parameters():
                self._hold(tensor, "parameter", prefix + path)
            for path, tensor in module.named_buffers():
                self._hold(tensor, "input", prefix + path)

    def _target(self, target: Target) -> str:
        """What a leaf is called."""
        if isinstance(target, int):
            return self._leaves[target]
        named = self._held.get(target)
        return "tensor" if named is None else named.title


def _owners(variant: Variant) -> Iterator[object]:
    """The modules and optimizers that a program depends on, each once."""
    return iter({id(owner): owner for owner, _, _ in variant.dependencies}.values())


def _names(variant: Variant) -> Iterator[tuple[Place, object]]:
    """The names that the function reads, with what stood behind them."""
    for place, value in zip(variant.places, variant.values, strict=True):
        if isinstance(place, Place):
            yield place, value


def _reached(variant: Variant) -> Iterator[tuple[str, Kind, object]]:
    """The tensors and arrays behind the names that the function reads, in lists and dicts too."""
    for place, value in _names(variant):
        parts: list[tuple[str, object]] = [("", value)]
        if isinstance(value, dict):
            parts = [(f"[{key!r}]", part) for key, part in value.items()]
        elif isinstance(value, (list, tuple)):
            parts = [(f"[{i}]", part) for i, part in enumerate(value)]
        for path, part in parts:
            if isinstance(part, (Tensor, np.ndarray)):
                learned = isinstance(part, Tensor) and part.requires_grad
                yield place.name + path, "parameter" if learned else "input", part


def _results(structure: Structure, leaves: Iterator[object], path: str) -> Iterator[tuple[str, int]]:
    """The results of a call by what to call them, with the output of the program that each is."""
    found = None if structure.kind is None else container(structure.kind)
    if found is None:
        leaf = next(leaves)
        if type(leaf) is Result:
            yield path or "output", leaf.output
        return
    for i, part in enumerate(structure.parts):
        if path:
            name = path + label(found, structure.names, i)
        else:
            name = f"output {i}" if structure.names is None else str(structure.names[i])
        yield from _results(part, leaves, name)
