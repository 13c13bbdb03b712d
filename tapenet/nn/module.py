"""The module: a Python object whose attributes are its parameters and submodules.

Nothing is registered. What a module holds is found by walking over its attributes, in the order they were set, and
on through plain lists, tuples and dicts, whenever somebody asks. So `__init__` needs no `super().__init__()`, and
there is no second account of the attributes to fall out of step with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tapenet.autodiff.capture import Capture, Same, capturing
from tapenet.autodiff.sites import user_line
from tapenet.autodiff.tape import CaptureError, Scope, ThreadTape, bump, local
from tapenet.autodiff.tensor import Tensor

#: How many scopes a module remembers. A module is called from few places, in few threads.
_SCOPES = 64
_NOTHING: Any = object()


class Module:
    """The base of all layers and models: set parameters and submodules as attributes, and write `forward`.

    Attributes that are `nn.Parameter` or `nn.Buffer` tensors or modules belong to the module, also inside plain
    lists, tuples and dicts. Their names are dotted paths such as `layers.0.weight`, in the order in which the
    attributes were set. What is reached twice is listed once, under its first name.

    Attributes:
        training: whether layers that differ between the two (dropout, batch normalization) are to act as in training.
            Change it with `train()` and `eval()`.

    >>> import tapenet as tn
    >>> from tapenet import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         self.layers = [nn.Linear(2, 3), nn.Linear(3, 1)]
    ...         self.scale = nn.Parameter([1.0])
    ...     def forward(self, x):
    ...         first, second = self.layers
    ...         return second(tn.tanh(first(x))) * self.scale
    >>> net = Net()
    >>> [name for name, _ in net.named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias', 'scale']
    >>> net([[0.0, 1.0]]).shape
    (1, 1)
    """

    __slots__ = ("__dict__", "__weakref__", "_scopes")

    training: bool = True
    #: The scope of a call of this module by the scope it is called in. A slot, so that it is no attribute.
    _scopes: dict[Scope, Scope]

    # -- calling -------------------------------------------------------------------------------------------------

    def __call__(self, x: Any = _NOTHING, /, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` with the same arguments; what it records is marked as this module's."""
        state = local.state
        outer = state.scope
        try:
            state.scope = self._scopes[outer]
        except (AttributeError, KeyError):
            state.scope = self._scope(outer)
        try:
            if args or kwargs or x is _NOTHING:
                return self.forward(*(() if x is _NOTHING else (x,)), *args, **kwargs)
            return self.forward(x)  # the usual call, a quarter cheaper than the general one
        finally:
            state.scope = outer

    def _scope(self, outer: Scope) -> Scope:
        made = Scope(self, outer)
        capture = capturing()
        if capture is not None and not capture.knows(self):
            for module in self.modules():  # those below too: a forward may use the weight of one it does not call
                capture.depend(module, module._fingerprint)
        # Only for a thread's own tape: a scope inside a `tn.Tape()` would keep that tape and its values alive.
        if type(outer.tape) is ThreadTape:
            try:
                known = self._scopes
            except AttributeError:
                known = {}
                object.__setattr__(self, "_scopes", known)
            if len(known) >= _SCOPES:
                known.clear()
            known[outer] = made
        return made

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. Every module defines its own."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward: define `def forward(self, x)` in the class; a call runs it"
        )

    # -- attributes ----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if attributes.get(name, _NOTHING) is value:
            return
        if local.state.tape is not None:
            capture = capturing()
            if capture is not None:
                self._may_change(capture, name, "sets")
        object.__setattr__(self, name, value)
        bump()

    def __delattr__(self, name: str) -> None:
        capture = capturing()
        if capture is not None:
            self._may_change(capture, name, "deletes")
        object.__delattr__(self, name)
        bump()

    def _may_change(self, capture: Capture, name: str, does: str) -> None:
        """Refuse to change an attribute of a module from outside while a step is being captured.

        Raises:
            CaptureError: names the user's line, the attribute and the mend.
        """
        if hasattr(getattr(type(self), name, None), "__set__"):
            return  # a property: what it does to other attributes comes here too
        if not vars(self) and not capture.knows(self):
            capture.made(self)  # its first attribute: the module is made in the step, as a loss may be
        if capture.has_made(self):
            return
        raise CaptureError(
            f"{user_line()} {does} the attribute {name!r} of {_place(self)} while a step is being captured; a replay would "
            "not do it again. Keep what changes from call to call in an nn.Buffer and assign to its .data, or return it. "
            "That goes for a value too that the first forward computes and keeps: make it in __init__, or call the "
            "module once before the step is captured"
        )

    def _fingerprint(self) -> tuple[Any, ...]:
        """The attributes as a captured step depends on them."""
        attributes = {"training": self.training} | vars(self)  # the class's, until it is first set
        # Not what `tn.compile` keeps with an object for its methods.
        return tuple((name, _state(value)) for name, value in attributes.items() if not name.startswith("<compiled "))

    # -- what it holds -------------------------------------------------------------------------------------------

    def parameters(self) -> Iterator[Tensor]:
        """The parameters of this module and of all below it."""
        return (tensor for _, tensor in self.named_parameters())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters with their names."""
        return ((name, t) for name, t in walk(self) if isinstance(t, Tensor) and t._kind == "parameter")

    def buffers(self) -> Iterator[Tensor]:
        """The buffers of this module and of all below it."""
        return (tensor for _, tensor in self.named_buffers())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their names."""
        return ((name, t) for name, t in walk(self) if isinstance(t, Tensor) and t._kind == "buffer")

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, under the name "", and all below it with their names."""
        return ((name, m) for name, m in walk(self) if isinstance(m, Module))

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return (module for _, module in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, with their names."""
        return ((name, m) for name, m in walk(self, deep=False) if isinstance(m, Module) and m is not self)

    def num_parameters(self) -> int:
        """How many numbers the parameters hold."""
        return sum(p.size for p in self.parameters())

    # -- state ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """The parameters and buffers by name, as ndarrays of their own: later training does not change them.

        They go into `numpy.savez(file, **net.state_dict())` and `load_state_dict` as they are.

        Raises:
            ValueError: two tensors have the same name.
        """
        return {name: t.numpy().copy(order="K") for name, t in _by_name(self).items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
        """Copy values into the parameters and buffers, by name: all of them or, if it raises, none.

        Args:
            state: arrays by name, as `state_dict` gives (tensors will do). They are cast to the module's dtypes.
            strict: raise where an entry is missing or unexpected; if False, leave those alone.

        Returns:
            the missing and the unexpected names, both empty if strict.

        Raises:
            ValueError: entries are missing, unexpected, or of the wrong shape or dtype (the last two also where
                strict is False); the error lists every one.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"load_state_dict takes a dict of arrays by name, not {type(state).__name__}"
                + ("; give other.state_dict()" if isinstance(state, Module) else "")
            )
        own = _by_name(self)
        given = {name: v if isinstance(v, Tensor) else np.asarray(v) for name, v in state.items()}
        report = LoadReport([n for n in own if n not in given], [n for n in given if n not in own])
        common = [(name, own[name], given[name]) for name in own if name in given]
        lines = []
        if strict:
            lines += [f"missing     {n}: {own[n].dtype} {own[n].shape}" for n in report.missing_keys]
            lines += [f"unexpected  {n}: {given[n].dtype} {given[n].shape}" for n in report.unexpected_keys]
        for name, target, value in common:
            if value.shape != target.shape:
                lines.append(f"shape       {name}: {target.shape} here, {value.shape} in the state")
            elif not np.can_cast(value.dtype, target.dtype, "same_kind"):
                lines.append(f"dtype       {name}: {target.dtype} here, {value.dtype} in the state")
        if lines:
            hint = "with strict=False missing and unexpected entries are left alone" if strict else ""
            raise ValueError(
                "\n  ".join(
                    [
                        f"the state does not fit this {type(self).__name__}; nothing was loaded",
                        *lines,
                        *filter(None, [hint]),
                    ]
                )
            )
        for _, target, value in common:
            target.data = value
        return report

    # -- switches ------------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Make this module and all below it act as in training."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Make this module and all below it act as in use: no dropout, running statistics."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for the gradients of all parameters, or freeze them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.parameters():
            p.grad = None

    def astype(self, dtype: DTypeLike) -> Self:
        """Cast all floating parameters and buffers, and their gradients, in place; each tensor stays the same object.

        Raises:
            TypeError: `dtype` is not a float.

        >>> from tapenet import nn
        >>> nn.Linear(2, 1).astype("float64").weight.dtype
        dtype('float64')
        """
        target = np.dtype(dtype)
        if target.kind != "f":
            raise TypeError(f"{type(self).__name__}.astype: parameters are floats, not {target}; give a float dtype")
        for _, tensor in walk(self):
            if isinstance(tensor, Tensor) and tensor.dtype.kind == "f":
                _recast(tensor, target)
        return self

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module, on those below a module before itself.

        >>> from tapenet import nn
        >>> def init(module):
        ...     if isinstance(module, nn.Linear):
        ...         nn.init.zeros_(module.bias)
        >>> nn.Sequential(nn.Linear(2, 1)).apply(init)[0].bias
        Tensor([0.], dtype=float32, requires_grad=True)
        """
        _apply(self, fn, {id(self)})
        return self

    # -- copies and words ----------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__  # the attributes alone: a copy starts with scopes of its own

    def extra_repr(self) -> str:
        """The settings of this layer, shown in the repr between the parentheses."""
        return ""

    def __repr__(self) -> str:
        return "\n".join(_described(self))


class LoadReport(NamedTuple):
    """What `load_state_dict(strict=False)` left alone: names not in the state, and names in the state alone."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def walk(root: Module, deep: bool = True, repeats: bool = False) -> Iterator[tuple[str, Module | Tensor]]:
    """The module itself under the name "", then every parameter, buffer and module below it, each once, depth first.

    Args:
        root: where to begin.
        deep: go on into the modules below.
        repeats: give what is reached again too, under each of its names.

    Raises:
        TypeError: modules or parameters in a set, which has no order to name them by.
    """
    seen: set[int] = set()
    stack: list[tuple[str, Any]] = [("", root)]
    while stack:
        name, value = stack.pop()
        if type(value) is Tensor:
            if value._kind is not None and (repeats or id(value) not in seen):
                seen.add(id(value))
                yield name, value
            continue
        parts: Iterable[tuple[Any, Any]]
        if isinstance(value, Module):
            parts = vars(value).items()
        elif isinstance(value, dict):
            parts = value.items()
        elif isinstance(value, (list, tuple)):
            parts = enumerate(value)
        else:
            if isinstance(value, (set, frozenset)) and any(isinstance(v, (Module, Tensor)) for v in value):
                _refuse_set(root, name)
            continue
        if id(value) in seen:
            if repeats and isinstance(value, Module):
                yield name, value
            continue
        seen.add(id(value))
        if isinstance(value, Module):
            yield name, value
            if not deep and value is not root:
                continue
        prefix = name + "." if name else ""
        stack += [(f"{prefix}{key}", part) for key, part in parts][::-1]


def _refuse_set(root: Module, name: str) -> NoReturn:
    raise TypeError(
        f"{type(root).__name__}.{name} is a set of modules or tensors, which has no order to name them by: make it a "
        "list"
    )


def _by_name(root: Module) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, value in walk(root):
        if isinstance(value, Tensor):
            if name in found:
                raise ValueError(
                    f"two tensors of this {type(root).__name__} are called {name!r}: a dict has a key with a dot "
                    "in it, or two that read the same"
                )
            found[name] = value
    return found


def _apply(module: Module, fn: Callable[[Module], Any], seen: set[int]) -> None:
    for child in module.children():
        if id(child) not in seen:
            seen.add(id(child))
            _apply(child, fn, seen)
    fn(module)


def _recast(tensor: Tensor, dtype: np.dtype[Any]) -> None:
    """Give a tensor storage of another dtype, in the same memory order."""
    if tensor.dtype == dtype:
        return
    grad, needs = tensor.grad, tensor.requires_grad
    tensor.requires_grad_(False)
    tensor._rebind(tensor._data.astype(dtype, order="K"))
    if needs:
        tensor.requires_grad_()
        tensor.grad = grad


# -- attributes as a captured step depends on them ---------------------------------------------------------------

#: Types of attributes that are compared by value. Others that do not hold parts are compared by identity.
_VALUES = frozenset({int, float, complex, bool, str, bytes, type(None), type(Ellipsis)})


def _state(value: Any, depth: int = 1) -> Any:
    """An attribute's value for a fingerprint: plain values and dtypes as they are, tuples, lists and dicts (`depth`
    levels of these) by their parts, everything else by its identity. A tensor also says whether it needs a gradient."""
    kind = type(value)
    if kind in _VALUES or isinstance(value, np.generic):
        return kind, value
    if isinstance(value, np.dtype):
        return value
    if kind is Tensor:
        return Same(value), value.requires_grad, value.dtype
    if kind is tuple:
        return kind, tuple(_state(v, depth) for v in value)
    if kind is list and depth:
        return kind, tuple(_state(v, depth - 1) for v in value)
    if kind is dict and depth:
        return kind, tuple((_state(k, 0), _state(v, depth - 1)) for k, v in value.items())
    return Same(value)


def _place(module: Module) -> str:
    """A module in words: its class and, where the outermost one that is running holds it, its path."""
    title = type(module).__name__
    outer = next(iter(local.state.scope.modules), None)
    if outer is None or outer is module:
        return title
    path = next((name for name, m in outer.named_modules() if m is module), "")
    return f"{title} ({path})" if path else title


# -- the repr ----------------------------------------------------------------------------------------------------


class _Line(NamedTuple):
    """One line of the repr: a module, its own parameters, and how many numbers they hold."""

    text: str
    parameters: str = ""
    size: int = 0


def _described(root: Module) -> list[str]:
    lines = _lines(root, "", 0, {})
    total = f"{root.num_parameters():,} parameters"
    frozen = sum(p.size for p in root.parameters() if not p.requires_grad)
    if frozen:
        total += f" ({frozen:,} frozen)"
    buffers = sum(b.size for b in root.buffers())
    if buffers:
        total += f", buffers: {buffers:,}"
    if len(lines) == 1:
        line = lines[0]
        return ["  ".join([line.text, line.parameters, total]) if line.parameters else line.text]
    sizes = [f"{line.size:,}" if line.size else "" for line in lines]
    widths = [max(map(len, column)) for column in ([n.text for n in lines], [n.parameters for n in lines], sizes)]
    rows = zip(lines, sizes, strict=True)
    text = [f"{n.text:<{widths[0]}}  {n.parameters:<{widths[1]}}  {c:>{widths[2]}}".rstrip() for n, c in rows]
    return [*text, total]


def _lines(module: Module, name: str, depth: int, seen: dict[int, str]) -> list[_Line]:
    """The lines of a module and those below it. `seen` has the full name of everything shown so far."""
    parts = list(walk(module, deep=False, repeats=True))[1:]
    prefix = name + "." if name else ""
    seen[id(module)] = name or "the whole"
    shown, size = [], 0
    below: list[_Line] = []
    for n, value in parts:
        before = seen.get(id(value))
        seen.setdefault(id(value), prefix + n)
        if isinstance(value, Module):
            if before is None:
                lines = _lines(value, prefix + n, depth + 1, seen)
            else:
                lines = [_Line(f"{type(value).__name__}, the same as {before}")]
            below.append(lines[0]._replace(text=f"{'  ' * (depth + 1)}{n}: {lines[0].text}"))
            below += lines[1:]
        elif value._kind == "parameter":
            notes = [str(value.shape)]
            if value.dtype != np.float32:
                notes.append(str(value.dtype))
            if not value.requires_grad:
                notes.append("frozen")
            if before is not None:
                notes.append(f"the same as {before}")
            else:
                size += value.size
            shown.append(" ".join([n, *notes]))
    title = f"{type(module).__name__}({module.extra_repr()}"
    if not below:
        return [_Line(title + ")", ", ".join(shown), size)]
    return [_Line(title, ", ".join(shown), size), *below, _Line("  " * depth + ")")]
