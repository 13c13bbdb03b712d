"""The module: a Python object whose attributes are its parameters and submodules, and which is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.node import Scope
from tapenet.autodiff.observe.capture import Capture, capturing
from tapenet.autodiff.observe.epoch import bump
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.hooks import Hook, fingerprint
from tapenet.nn.hooks import call as call_with_hooks
from tapenet.nn.layer_arguments import (
    check_device,
    checked,
    is_device,
    is_layer,
    library_class,
    refuse_data,
    without_foreign,
)
from tapenet.nn.module_repr import described
from tapenet.nn.module_tree import Tree, walk
from tapenet.nn.notebook_display import bundle, note
from tapenet.nn.parameter import Buffer, Parameter
from tapenet.nn.placing import named, placed
from tapenet.nn.state_dict import LoadReport, StateHook, collect, load
from tapenet.nn.strays import check_class, warn_of_strays
from tapenet.ops.hook_handle import Handle
from tapenet.ops.signatures import check_keywords
from tapenet.ops.stack_frames import user_line, user_site, warn_once
from tapenet.ops.tracebacks import boundary, hide
from tapenet.parameters import updaters
from tapenet.parameters.hook_table import HookTable
from tapenet.program.low import dtype_of, is_float, meet
from tapenet.program.trees import register_stand
from tapenet.program.value_keys import Same
from tapenet.typing import Array, DType, StateDict

#: How many scopes a module remembers. A module is called from few places, in few threads.
_SCOPES = 64
_NOTHING = object()
R = TypeVar("R", covariant=True)


class _Computes(Protocol[R]):
    """A module, whose call returns what its `forward` does."""

    @property
    def forward(self) -> Callable[..., R]: ...


class Module(Tree):
    """The base of all layers and models: set parameters and submodules as attributes, and write `forward`.

    Attributes that are `nn.Parameter` or `nn.Buffer` tensors or modules belong to the module, also inside plain
    lists, tuples and dicts. Their names are dotted paths such as `layers.0.weight`. As in PyTorch, a module's own
    parameters and buffers come before those of the modules in it, else the order is that in which the attributes were
    set. What is reached twice is listed once, under its first name.

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
    ['scale', 'layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']
    >>> net([[0.0, 1.0]]).shape
    (1, 1)
    """

    __slots__ = ("__dict__", "__weakref__", "_hooks", "_scopes", "_seen")

    training: bool = True
    #: The names of layers whose parameters `forward` computes with itself, without calling the layers. What puts other
    #: layers in place of some, such as `nn.quantize`, leaves these.
    takes_parameters_of: ClassVar[tuple[str, ...]] = ()
    #: The scope of a call of this module by the scope it is called in. A slot, so that it is no attribute. Empty where
    #: there are hooks.
    _scopes: dict[Scope, Scope]
    #: Set when the first hook is registered.
    _hooks: HookTable[Hook]
    #: Shapes and dtypes of the inputs of a call: of the first in a scope, so that others cost nothing. See `showing`.
    _seen: tuple[tuple[tuple[int, ...], DType], ...]

    if not TYPE_CHECKING:  # a type checker knows by the class's own `__init__` what it takes

        @boundary
        def __new__(cls, *args: object, **kwargs: object) -> Self:
            """Look at what a module is made with: Python's own errors would not say which arguments there are."""
            if (kwargs or args) and cls.__init__ is library_class(cls).__init__:
                args, kwargs = without_foreign(cls, args, kwargs)
            if cls.__init__ is object.__init__:
                if args or kwargs:
                    refuse_data(cls, None, args, kwargs)
                    raise TypeError(f"{cls.__name__}() takes no arguments: it has no __init__ of its own")
            elif kwargs:
                check_keywords(cls.__name__, cls.__init__, kwargs)
            return super().__new__(cls)

        # For help and editors, where there is no `__init__`.
        __new__.__signature__ = inspect.signature(lambda cls: None)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_class(cls, vars(cls))
        init = vars(cls).get("__init__")
        if init is not None and is_layer(cls):
            cls.__init__ = checked(init)  # type: ignore[method-assign]

    # -- calling -------------------------------------------------------------------------------------------------

    def _call_forward(self, x: object = _NOTHING, /, *args: object, **kwargs: object) -> object:
        """Run `forward` with the same arguments; what it records is marked as this module's."""
        state = local.state
        outer = state.scope
        hooks = None
        try:
            scope = self._scopes[outer]
        except (AttributeError, KeyError):
            scope = self._scope(outer)
            if x is not _NOTHING and not kwargs:
                note(self, (x, *args))
            hooks = getattr(self, "_hooks", None)
        if scope is state.last:
            if scope.again is None:
                scope.again = Scope(self, outer)
            scope = scope.again
        try:
            state.scope = scope
            if hooks:
                out = call_with_hooks(self, self.forward, hooks, args if x is _NOTHING else (x, *args), kwargs)
            elif args or kwargs or x is _NOTHING:
                out = self.forward(*(() if x is _NOTHING else (x,)), *args, **kwargs)
            else:
                out = self.forward(x)  # the usual call, a quarter cheaper than the general one
        except Exception as error:
            hide(error)
            raise
        finally:
            state.scope = outer
            state.last = scope
        if out is None:
            _warn_of_none(self)
        return out

    if TYPE_CHECKING:

        def __call__(self: _Computes[R], x: object = None, /, *args: object, **kwargs: object) -> R: ...

    else:
        __call__ = _call_forward

    def _scope(self, outer: Scope) -> Scope:
        made = Scope(self, outer)
        capture = capturing()
        if capture is not None and not capture.knows(self):
            for module in self.modules():  # those below too: a forward may use the weight of one it does not call
                capture.depend(module, module._fingerprint)
        # Only for a thread's own tape: the scopes inside a `tn.Tape()` are of no use after it.
        if outer.tape is None and not getattr(self, "_hooks", None):
            try:
                known = self._scopes
            except AttributeError:
                warn_of_strays(self)
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

    # -- hooks ---------------------------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., object], *, prepend: bool = False, with_kwargs: bool = False
    ) -> Handle:
        """Call `hook(module, args)` before each forward; what it returns, unless None, takes the place of `args`.

        Hooks are called where the module is (`net(x)`), not where its `forward` is; while a step is being captured
        they are called once, and what they compute with tensors becomes part of the program. Copies have none.

        Args:
            hook: returns None, a tuple of arguments, or one argument.
            prepend: call it before the hooks that are there, not behind them.
            with_kwargs: call `hook(module, args, kwargs)`, which returns None or a pair (args, kwargs).

        Returns:
            a handle, whose `remove()` takes the hook away; as a context manager it does so at the end of the block.
        """
        return self._hook("forward_pre", Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., object],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> Handle:
        """Call `hook(module, args, output)` after each forward; what it returns, unless None, takes the place of the
        output. See `register_forward_pre_hook`.

        Args:
            hook: the function.
            prepend: call it before the hooks that are there, not behind them.
            with_kwargs: call `hook(module, args, kwargs, output)`.
            always_call: call it also if the forward or another hook raises, with None or the output there is by then.

        >>> from tapenet import nn
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
        >>> with net[0].register_forward_hook(lambda module, args, output: print(output.shape)):
        ...     y = net([[1.0, 2.0]])
        (1, 3)
        """
        return self._hook("forward", Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., object], prepend: bool = False) -> Handle:
        """Call `hook(module, grad_output)` when a backward pass comes to the module's outputs; what it returns, unless
        None, takes the place of the gradients. See `register_full_backward_hook`."""
        return self._hook("backward_pre", Hook(hook), prepend)

    def register_full_backward_hook(self, hook: Callable[..., object], prepend: bool = False) -> Handle:
        """Call `hook(module, grad_input, grad_output)` when a backward pass has gone through the module; what it
        returns, unless None, takes the place of `grad_input`.

        Both are tuples: an entry for each positional argument, and for each output (of a tuple or list; else one). An
        entry is None where there is no gradient: what is no tensor or needs none, tensors inside other structures, and
        keyword arguments. If no argument needs a gradient, the hook is called as the pass comes to the outputs.

        Returns:
            a handle, as of the other hooks.

        >>> import tapenet as tn
        >>> from tapenet import nn
        >>> layer = nn.Linear(2, 1)
        >>> handle = layer.register_full_backward_hook(lambda module, grad_input, grad_output: (abs(grad_input[0]) * 0,))
        >>> x = tn.tensor([[1.0, 2.0]], dtype="float32", requires_grad=True)
        >>> layer(x).sum().backward()
        >>> x.grad.tolist(), layer.bias.grad.tolist()
        ([[0.0, 0.0]], [1.0])
        """
        return self._hook("backward", Hook(hook), prepend)

    def _hook(self, kind: str, hook: Hook, prepend: bool) -> Handle:
        if not callable(hook.function):
            raise TypeError(f"{type(self).__name__}: a hook is a function, not {type(hook.function).__name__}")
        try:
            hooks = self._hooks
        except AttributeError:
            hooks = HookTable[Hook]()
            object.__setattr__(self, "_hooks", hooks)
        handle = hooks.add(kind, hook, prepend)
        object.__setattr__(self, "_scopes", {})
        return handle

    # -- attributes ----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: object) -> None:
        before = self.__dict__.get(name, _NOTHING)
        if before is value:
            return
        if (type(before) is Tensor and before._kind is not None) or isinstance(before, Tree):
            _check_place(self, name, before, value)
        if local.state.tape is not None:
            capture = capturing()
            if capture is not None:
                self._may_change(capture, name, "sets")
        if (isinstance(value, Tree) or (type(value) is Tensor and value._kind is not None)) and name in _METHODS:
            raise TypeError(
                f"{type(self).__name__}.{name} is a method of every module: give the {type(value).__name__} another name"
            )
        new = _learned(value) if updaters.known() else []
        beside = [*_learned(before), *islice(self.parameters(), 1)] if new else []
        object.__setattr__(self, name, value)
        bump()
        if beside:
            updaters.came(f"{type(self).__name__}.{name}", beside, new)

    def __delattr__(self, name: str) -> None:
        capture = capturing()
        if capture is not None:
            self._may_change(capture, name, "deletes")
        object.__delattr__(self, name)
        bump()

    def _may_change(self, capture: Capture, name: str, does: str) -> None:
        """Refuse to change an attribute of a module from outside while a step is being captured.

        Raises:
            CaptureError: names the user's line, the attribute and what to write instead.
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

    def _fingerprint(self) -> tuple[object, ...]:
        """The attributes as a captured step depends on them."""
        attributes = {"training": self.training} | vars(self)  # the class's, until it is first set
        # Not what `tn.compile` keeps with an object for its methods.
        found = tuple((name, _state(value)) for name, value in attributes.items() if not name.startswith("<compiled "))
        hooks = getattr(self, "_hooks", None)
        return (*found, ("its hooks", fingerprint(hooks))) if hooks else found

    # -- what it holds -------------------------------------------------------------------------------------------

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """This module, under the name "" or `prefix`, and all below it with their names."""
        for name, value in walk(self, repeats=not remove_duplicate):
            if isinstance(value, Module):
                yield ".".join(filter(None, (prefix, name))), value

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return (module for _, module in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, with their names."""
        return ((n, v) for n, v in walk(self, deep=False) if isinstance(v, Module) and v is not self)

    def get_submodule(self, target: str) -> Module:
        """The module with this dotted name, such as "encoder.layers.0"; "" for this one.

        Raises:
            AttributeError: there is no such name; the message lists those there are.
        """
        found: Module | None = dict(self.named_modules(remove_duplicate=False)).get(target)
        if found is None:
            self._has_no("module", target, [name for name, _ in self.named_modules()][1:])
        return found

    def register_parameter(self, name: str, param: Tensor | None) -> None:
        """Set a parameter as an attribute; the same as `self.name = nn.Parameter(...)`.

        Raises:
            TypeError: not a parameter.
            KeyError: the name has a dot in it, or is in use.
        """
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name!r} takes nn.Parameter(...), not {type(param).__name__}")
        self._register(name, param)

    def register_buffer(self, name: str, tensor: object, persistent: bool = True) -> None:
        """Set a buffer as an attribute; the same as `self.name = nn.Buffer(tensor)`. None leaves the place empty.

        Args:
            name: of the attribute.
            tensor: its values.
            persistent: False leaves it out of state dicts: what can be computed again, such as a mask.

        Raises:
            KeyError: the name has a dot in it, or is in use.
        """
        own = isinstance(tensor, Buffer) and (tensor._kind == "passing buffer") != persistent
        self._register(name, tensor if own or tensor is None else Buffer(tensor, persistent=persistent))

    def add_module(self, name: str, module: Module | None) -> None:
        """Set a module as an attribute; the same as `self.name = module`.

        Raises:
            TypeError: not a module.
            KeyError: the name has a dot in it, or is in use.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {name!r} takes a module, not {type(module).__name__}")
        self._register(name, module)

    register_module = add_module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module in the place with a dotted name, such as "encoder.layers.0".

        Args:
            target: the name; what is before the last dot must be there.
            module: the module.
            strict: there must be a module already.

        Raises:
            AttributeError: there is no such place.
            TypeError: not a module.

        >>> from tapenet import nn
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> net.set_submodule("1", nn.Tanh())
        >>> net[1]
        Tanh()
        """
        if not isinstance(module, Module):
            raise TypeError(f"set_submodule: {target!r} takes a module, not {type(module).__name__}")
        if strict:
            self.get_submodule(target)
        *path, last = target.split(".")
        holder: object = self
        try:
            for name in path:
                holder = _part(holder, name)
            if isinstance(holder, (list, dict)):
                _part(holder, last)
        except (AttributeError, KeyError, IndexError, ValueError):
            raise AttributeError(f"this {type(self).__name__} has no place {target!r} for a module") from None
        if isinstance(holder, list):
            holder[int(last)] = module
        elif isinstance(holder, dict):
            holder[next(key for key in holder if str(key) == last)] = module
        else:
            setattr(holder, last, module)
        bump()

    def _register(self, name: str, value: object) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{type(self).__name__}: {name!r} is no name for an attribute; give a string without dots")
        if hasattr(self, name) and getattr(self, name) is not None:
            raise KeyError(
                f"{type(self).__name__} has an attribute {name!r} already: choose another name, or delete it"
            )
        setattr(self, name, value)

    # -- state ---------------------------------------------------------------------------------------------------

    def state_dict(
        self, *, destination: StateDict | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Array]:
        """The parameters and buffers by name, as ndarrays of their own: later training does not change them.

        They are in C order, and go into `numpy.savez(file, **net.state_dict())`, safetensors and `load_state_dict` as they
        are. What the module has under several names is there under each, as in PyTorch's: the same array. Buffers with
        `persistent=False` are left out; what `get_extra_state` gives is there as `_extra_state`.

        Args:
            destination: a dict to put the entries into, which is returned.
            prefix: put before each name as it is.
            keep_vars: give the tensors themselves in place of arrays.

        Raises:
            ValueError: two tensors have the same name, or one has no shape yet.
        """
        return collect(self, destination, prefix, keep_vars)

    def load_state_dict(self, state: Mapping[str, object], strict: bool = True, assign: bool = False) -> LoadReport:
        """Copy values into the parameters and buffers, by name: all of them or, if it raises, none.

        What the module has under several names may be in the state under any of them, or under all, as in PyTorch's.

        Args:
            state: arrays by name, as `state_dict` gives (tensors will do). They are cast to the module's dtypes.
            strict: raise where an entry is missing or unexpected; if False, leave those alone.
            assign: PyTorch's option to put the state's tensors in the place of the module's, which there is not here.

        Returns:
            the missing and the unexpected names, both empty if strict.

        Raises:
            ValueError: entries are missing, unexpected, of the wrong shape or dtype, or different where the module has
                one tensor (these three also where strict is False); the error lists every one.
        """
        if assign:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: assign=True would put other tensors in the place of those that "
                "optimizers and compiled steps know; values are copied. For another dtype cast the module first, net.to(dtype)"
            )
        return load(self, state, strict)

    def register_state_dict_pre_hook(self, hook: Callable[..., object]) -> Handle:
        """Call `hook(module, prefix, keep_vars)` before the state of this module is taken, also as a part of another's.

        Copies of the module have the hooks of its state, other than those of its calls.

        Returns:
            a handle, whose `remove()` takes the hook away.
        """
        return self._state_hook("state_dict_pre", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., object]) -> Handle:
        """Call `hook(module, state, prefix, metadata)` when this module's state is in the dict `state`, its entries under
        names that begin with `prefix`. The hook changes the dict, and returns None. `metadata` is an empty dict.

        >>> from tapenet import nn
        >>> layer = nn.Linear(2, 1)
        >>> handle = layer.register_state_dict_post_hook(lambda module, state, prefix, metadata: state.pop(prefix + "bias"))
        >>> layer.state_dict()
        Traceback (most recent call last):
        RuntimeError: a state-dict hook of Linear returned a value: it is to change the dict that it is given, and return None
        """
        return self._state_hook("state_dict_post", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., object]) -> Handle:
        """Call `hook(module, state, prefix, metadata, strict, missing_keys, unexpected_keys, errors)` before this module is
        loaded, also as a part of another. What the hook changes in `state`, a dict of its own, is what is loaded, such as
        names that were others once; what it appends to the lists is reported.

        >>> from tapenet import nn
        >>> layer = nn.Linear(2, 1)
        >>> def renamed(module, state, prefix, *others):
        ...     state[prefix + "weight"] = state.pop(prefix + "kernel")
        >>> handle = layer.register_load_state_dict_pre_hook(renamed)
        >>> layer.load_state_dict({"kernel": [[1.0, 2.0]], "bias": [3.0]}).missing_keys
        []
        """
        return self._state_hook("load_pre", hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., object]) -> Handle:
        """Call `hook(module, report)` when this module was loaded, also as a part of another. What the hook takes from the
        lists `report.missing_keys` and `report.unexpected_keys` is not complained of; it returns None."""
        return self._state_hook("load_post", hook)

    def _state_hook(self, kind: str, hook: Callable[..., object]) -> Handle:
        if not callable(hook):
            raise TypeError(f"{type(self).__name__}: a hook is a function, not {type(hook).__name__}")
        hooks = vars(self).get("_state_hooks")
        if hooks is None:
            hooks = HookTable[StateHook]()
            object.__setattr__(self, "_state_hooks", hooks)
        return hooks.add(kind, hook)

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
        """Ask for the gradients of all parameters; or freeze them, here and below: `net.encoder.requires_grad_(False)`.

        Frozen parameters get no gradient, and the backward pass does not compute any. Give an optimizer the others:
        `[p for p in net.parameters() if p.requires_grad]`.
        """
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or with `set_to_none=False` fill them with zeros."""
        for p in self.parameters():
            grad = None if set_to_none else p.grad
            p.grad = None if grad is None else np.zeros_like(grad)

    def astype(self, dtype: DTypeLike) -> Self:
        """Cast all floating parameters and buffers, and their gradients, in place; each tensor stays the same object.

        With "float16" or "bfloat16" they are stored so; ops then compute in float32 and round (docs/precision.md).

        Raises:
            TypeError: `dtype` is not a float.

        >>> from tapenet import nn
        >>> nn.Linear(2, 1).astype("float64").weight.dtype
        dtype('float64')
        """
        target = dtype_of(dtype)
        if not is_float(target):
            raise TypeError(f"{type(self).__name__}.astype: parameters are floats, not {target}; give a float dtype")
        meet(target)
        for _, tensor in walk(self):
            if isinstance(tensor, Tensor) and is_float(tensor.dtype):
                _recast(tensor, target)
        return self

    def to(
        self,
        *args: DTypeLike | Tensor | bool | None,
        dtype: DTypeLike | None = None,
        device: object = None,
        non_blocking: bool = False,
        **more: object,
    ) -> Self:
        """`astype` as PyTorch writes it: `to(dtype)`, `to(tensor)` for the dtype of the tensor, `to("cpu")` for nothing.

        Raises:
            ValueError: another device than the CPU.
            TypeError: what is neither dtype, tensor nor device.
        """
        title = f"{type(self).__name__}.to"
        more.pop("memory_format", None)  # of the memory alone
        if more or len(args) > 4:
            raise TypeError(
                f"{title} takes a dtype, a tensor or a device, not {', '.join(more) or 'so many arguments'}"
            )
        for value in args[:2]:
            if is_device(value):
                device = value
            elif value is not None and not isinstance(value, bool):  # non_blocking
                dtype = value.dtype if isinstance(value, Tensor) else value
        check_device(title, device)
        return self if dtype is None else self.astype(dtype)

    def cpu(self) -> Self:
        """Nothing: modules are on the CPU. PyTorch's name."""
        return self

    def cuda(self, device: object = None) -> Self:
        """Raises ValueError, since there is no other device than the CPU."""
        check_device(f"{type(self).__name__}.cuda", "cuda")
        raise AssertionError

    def type(self, dst_type: DTypeLike) -> Self:
        """`astype` under PyTorch's name."""
        return self.astype(dst_type)

    def float(self) -> Self:
        """Cast to float32; see `astype`."""
        return self.astype(np.float32)

    def double(self) -> Self:
        """Cast to float64; see `astype`."""
        return self.astype(np.float64)

    def half(self) -> Self:
        """Cast to float16; see `astype`."""
        return self.astype(np.float16)

    def bfloat16(self) -> Self:
        """Cast to bfloat16, for which ml_dtypes must be installed; see `astype`."""
        return self.astype("bfloat16")

    def apply(self, fn: Callable[[Module], object]) -> Self:
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

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__  # the attributes alone: a copy starts with scopes of its own

    def __repr__(self) -> str:
        return "\n".join(described(self))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return bundle(self)


#: Names that a parameter, buffer or module would hide.
_METHODS = frozenset(name for name in dir(Module) if not name.startswith("_") and callable(getattr(Module, name)))

register_stand(Module, named, placed)


def _learned(value: object) -> list[Tensor]:
    """The parameters that come with the value of an attribute."""
    if isinstance(value, Tree):
        return list(value.parameters())
    return [value] if isinstance(value, Parameter) else []


def _warn_of_none(module: Module) -> None:
    """Warn, once for each class, that a forward returned None, as one without a `return` does."""
    title, code = type(module).__name__, getattr(module.forward, "__code__", None)
    site = user_site() if code is None else (code.co_filename, code.co_firstlineno)
    warn_once(
        "None",
        f"{title}.forward returned None: does it lack a `return`? End it with `return` and what it computes; if {title} is "
        "called only for its side effects, make it a method of another name",
        site,
    )


def _check_place(module: Module, name: str, before: Tensor | Tree, value: object) -> None:
    """Refuse to replace a parameter, buffer or module by a value that the module would not find.

    Raises:
        TypeError: says what to write instead.
    """
    if value is None or isinstance(value, Tree) or (isinstance(value, Tensor) and value._kind is not None):
        return
    title, kind, given = type(module).__name__, type(before).__name__, type(value).__name__
    what = f"{given} of shape {value.shape}" if isinstance(value, (Tensor, np.ndarray)) else given
    if isinstance(before, Tensor):
        kind, mark = ("parameter", "nn.Parameter") if isinstance(before, Parameter) else ("buffer", "nn.Buffer")
        raise TypeError(
            f"{title}.{name} is a {kind} and cannot be replaced by {what}: {kind}s() and state_dict() would not find it. "
            f"For other values write layer.{name}.data = value; for a new {kind}, layer.{name} = {mark}(value); to remove "
            f"it, layer.{name} = None or del layer.{name}"
        )
    if what != given:
        raise TypeError(
            f"{title}.{name} is a {kind} and cannot be replaced by {what}: give the result another name, such as "
            f"{name}_output, or a local variable"
        )


def _part(holder: object, name: str) -> object:
    """What a module, list or dict has under a name."""
    if isinstance(holder, (list, tuple)):
        return holder[int(name)]
    if isinstance(holder, dict):
        return holder[next((key for key in holder if str(key) == name), name)]
    return getattr(holder, name)


def _apply(module: Module, fn: Callable[[Module], object], seen: set[int]) -> None:
    for child in module.children():
        if id(child) not in seen:
            seen.add(id(child))
            _apply(child, fn, seen)
    fn(module)


def _recast(tensor: Tensor, dtype: DType) -> None:
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


def _state(value: object, depth: int = 1) -> object:
    """An attribute's value for a fingerprint: plain values and dtypes as they are, tuples, lists and dicts (`depth`
    levels of these) by their parts, everything else by its identity. A tensor also says whether it needs a gradient."""
    kind = type(value)
    if kind in _VALUES or isinstance(value, np.generic):
        return (kind, value) if value else (kind, value, repr(value))  # 0.0 and -0.0 are equal
    if isinstance(value, np.dtype):
        return value
    if type(value) is Tensor:
        return Same(value), value.requires_grad, value.dtype
    if type(value) is tuple:
        return kind, tuple(_state(v, depth) for v in value)
    if type(value) is list and depth:
        return kind, tuple(_state(v, depth - 1) for v in value)
    if type(value) is dict and depth:
        return kind, tuple((_state(k, 0), _state(v, depth - 1)) for k, v in value.items())
    return Same(value)


def _place(module: Module) -> str:
    """A module for errors: its class and, inside the outermost running module, its path."""
    title = type(module).__name__
    outer = next(iter(local.state.scope.modules), None)
    if outer is None or outer is module:
        return title
    path = next((name for name, m in outer.named_modules() if m is module), "")
    return f"{title} ({path})" if path else title
