"""The handle that users hold: an array, and the node that made it.

`_node` is set only where a gradient flows; a tape that records everything uses `_trace` beside it. Both, and what else is
rare, are plain slots of one exact type, so that recording an op stays cheap.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tapenet import ops
from tapenet.autodiff import aliasing
from tapenet.autodiff.backward import run
from tapenet.autodiff.gradients import accumulate_grad, conj_cotangent
from tapenet.autodiff.node import BaseTensor, Leaf, Node, add_hook, hooks_of, next_number, remove_hook
from tapenet.autodiff.observe import leaves, mutation, zero_gradients
from tapenet.autodiff.observe.epoch import bump, referred
from tapenet.autodiff.state import local
from tapenet.ops.hook_handle import Handle
from tapenet.ops.indexing.items import Given, raw_index
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.operators import ArrayHolder
from tapenet.ops.pickling import Packed, packed, unpacked
from tapenet.ops.stack_frames import assigns_item, calculates_with_it, warn_once
from tapenet.ops.torch_methods import instead
from tapenet.ops.tracebacks import hide
from tapenet.program.low import is_inexact
from tapenet.typing import Array, DType, Shape

if TYPE_CHECKING:
    from tapenet.ops.op import Op
    from tapenet.typing import ArrayLike, DTypeLike

#: The slots that are mostly not set.
_RARE = frozenset({"_alias", "_trace", "_grad", "_kind", "_rows"})

#: The slots that are unset while a view is stale.
_SHARED = frozenset({"_data", "_node", "_trace"})


class Tensor(BaseTensor, ArrayHolder):
    """An n-dimensional array that remembers how it was computed.

    Made by `tn.tensor` and `tn.asarray`; every op on a tensor gives tensors. Behaves as an ndarray does under
    operators, indexing, methods and `np.*` functions.

    >>> import tapenet as tn
    >>> x = tn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([[2., 4.],
            [6., 8.]])
    """

    __slots__ = ()

    _grad: Tensor | None

    def __init_subclass__(cls) -> None:
        raise TypeError("Tensor has no subclasses, so that ops meet one exact type: derive from Operand and answer "
                        "__tapenet_op__, or keep a tensor in an attribute")  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        # Reading a slot that is unset ends up here. Rare ones are left unset by the recorder: they are None.
        if name in _RARE and (name != "_trace" or self._alias is None or not self._alias.stale):
            return None
        # Those of a view are unset while it is stale.
        if name in _SHARED and self._alias is not None:
            aliasing.refresh(self)
            return getattr(self, name)
        # A gradient that is kept by rows has no array before it is asked for.
        if name == "_data" and self._rows is not None:
            self._data, self._rows = self._rows.dense(), None
            return self._data
        if name == "view" and local.state.lifted is not None:
            return self._view
        hint = instead(name)
        if hasattr(np.ndarray, name):
            words = f": it belongs to arrays, write t.numpy().{name}" + (hint and f"; or {hint}")
        elif hint:
            words = f": write {hint}"
        else:
            words = "; functions are in tn.* and np.*"
        raise AttributeError(f"a Tensor has no attribute {name!r}{words}", name=name, obj=self)

    def _view(self, dtype: DTypeLike | None = None) -> Tensor:
        """`a.view()` inside a lifted function."""
        if dtype is not None and np.dtype(dtype) != self.dtype:
            raise TypeError(
                f"a view of {self.dtype} as {np.dtype(dtype)} reads bytes, which cannot be followed: write t.astype(dtype) for "
                "the values in another dtype, t.real and t.imag for the parts of complex numbers"
            )
        return self[...]

    @property
    def real(self) -> Tensor:
        """The real part; of real numbers the tensor itself. `t.real = v` is `t.real[...] = v`, inside a lifted function."""
        return super().real

    @real.setter
    def real(self, value: object) -> None:
        self._lifted_only("real")[...] = value

    @property
    def imag(self) -> Tensor:
        """The imaginary part; of real numbers zeros. It is set as the real part is."""
        return super().imag

    @imag.setter
    def imag(self, value: object) -> None:
        self._lifted_only("imag")[...] = value

    def _lifted_only(self, part: str) -> Tensor:
        """A part that is about to be set.

        Raises:
            AttributeError: it shares no memory with this tensor, so that nothing would be set.
        """
        if local.state.lifted is None or (part == "imag" and self.dtype.kind != "c"):
            raise AttributeError(
                f"t.{part} is not set: compute with tn.real(t) and tn.imag(t), as in t = v + 1j * t.imag"
            )
        found: Tensor = getattr(self, part)
        return found

    @property
    def shape(self) -> Shape:
        """Lengths of the axes. Inside a lifted function it may be set."""
        shape: Shape = self._data.shape
        return shape

    @shape.setter
    def shape(self, shape: int | Sequence[int]) -> None:
        if local.state.lifted is None:
            raise AttributeError("a tensor keeps its shape: write t = t.reshape(shape)")
        aliasing.take(self, self.reshape(shape))

    def ravel(self, order: str = "C") -> Tensor:
        """All elements in one axis."""
        made = super().ravel(order)
        aliasing.ravelled(made)
        return made

    def flatten(self, order: str = "C") -> Tensor:
        """All elements in one axis; inside a lifted function a copy, as NumPy's is."""
        made = super().flatten(order)
        aliasing.separate(made)
        return made

    # -- reading it ----------------------------------------------------------------------------------------------

    def _value(self, what: str, hint: str = "") -> Array:
        """The array, unless a layer is on that could not follow where it goes."""
        state = local.state
        if state.tape is not None:
            state.tape.reads(self, what, hint)
        if state.left is not None and self._node is not None:
            leaves.values(self._node, what)
        return self._data

    def numpy(self) -> Array:
        """The values as an ndarray, shared with the tensor; the way out of the graph."""
        return self._value(".numpy()")

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if leaves.left_to_tensors(sys._getframe(1)):
            return np.empty((), object)
        data = self._value("an ndarray (np.asarray)")
        if self._node is not None:
            raise leaves.array()
        return np.array(data, dtype=dtype, copy=copy)

    @property
    def _numba_type_(self) -> NoReturn:
        # Numba asks for this first. It would compile for a Python object in vain, and keep the error with all its frames.
        raise TypeError(
            "a function compiled by Numba takes arrays, and is given a tensor: make an op of it, tn.op(f, x=rule)"
        )

    def __float__(self) -> float:
        return float(self._number("a float()"))

    def __int__(self) -> int:
        return int(self._number("an int()"))

    def __complex__(self) -> complex:
        return complex(self._number("a complex()"))

    def _number(self, what: str) -> Any:
        """The only element, for `float(t)` and its kin; but not for `array[i] = t`, where NumPy calls these too."""
        data = self._value(what)
        node = self._node
        if node is not None:
            frame = sys._getframe(2)
            if assigns_item(frame):
                raise leaves.array()
            if local.state.grad and node.released is None and data.size == 1:
                leaves.number(node)
        return data.item()

    def __repr__(self) -> str:
        tape = local.state.tape
        if tape is not None and tape.captures and self._trace is not None:
            return f"<captured Tensor {self.dtype} {self.shape}>"
        if self._is_lifted():
            return repr(self._data[()])
        text = np.array2string(self._data, separator=", ", prefix="Tensor(", threshold=200)
        extra = "" if self.dtype == np.float64 or self.dtype.kind in "b" else f", dtype={self.dtype}"
        if type(self._node) is Leaf:
            extra += ", requires_grad=True"
        elif self._node is not None:
            extra += f", op={self._node.name}"
        return f"Tensor({text}{extra})"

    def __str__(self) -> str:
        return str(self._data[()]) if self._is_lifted() else super().__str__()

    def __format__(self, spec: str) -> str:
        return format(self._data[()], spec) if self._is_lifted() else super().__format__(spec)

    def _is_lifted(self) -> bool:
        """Whether a lifted function runs, where texts are those of NumPy's arrays."""
        state = local.state
        return state.lifted is not None and not (state.tape is not None and state.tape.captures)

    def _unsupported(self, name: str) -> Exception:
        tape = local.state.tape
        return (None if tape is None else tape.unsupported(name)) or super()._unsupported(name)

    # -- the array -----------------------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The values as an ndarray, shared with the tensor. Assigning copies into the tensor's storage.

        Raises:
            ValueError: assigning an array of another shape.
        """
        return self._value("its .data")

    @data.setter
    def data(self, value: ArrayLike | Tensor) -> None:
        self._write(value, "an assignment to .data")

    def _writes_storage(self, by: str, hint: str) -> bool:
        """Whether a change goes into the storage; else a new array comes behind the handle. `by` says what changes it, and
        `hint` what to write in place of that.

        Raises:
            RuntimeError: this is a leaf that needs a gradient, and gradients are recorded.
            CaptureError: a replay of the step that is being captured would not do it again.
        """
        node, state = self._node, local.state
        stored = self._kind is not None if node is None else type(node) is Leaf and not node.argument
        if not stored:
            if state.tape is not None:
                state.tape.rebinds(self, by, hint)
            return False
        if node is not None and state.grad:
            raise RuntimeError(
                f"{by} to a leaf that needs a gradient: the old values would be lost to the graph. To update it, as an "
                f"optimizer does, write it under tn.no_grad(); else {hint or _anew(by)}"
            )
        return True

    def _write(self, value: object, by: str) -> None:
        """Copy a value into the storage, noting the write for pending backward passes."""
        check_unmasked(value)
        new = value if isinstance(value, Tensor) else np.asarray(value)
        if new.shape != self._data.shape:
            raise ValueError(
                f"{by} of shape {new.shape} to a tensor of shape {self._data.shape}: the shape of a tensor's storage is "
                "fixed; make a new tensor for another shape"
            )
        tape = local.state.tape
        data = new._data if isinstance(new, Tensor) else new
        if (tape is None or not tape.writes(self, new, by)) and data is not self._data:
            np.copyto(self._data, data, casting="same_kind")
        mutation.wrote(self._data, by)

    def _become(self, new: Tensor, by: str) -> None:
        """Let the handle stand for what another one does."""
        if local.state.lifted is not None and self._alias is not None:
            self._write_shared(self._alias.path, new, by)
            return
        if new._node is None and self._node is not None and not local.state.grad:
            warn_once(
                "left",
                f"{by} under tn.no_grad() takes a tensor out of its graph: no gradient flows any more through what it was, the "
                f"result of op {self._node.name!r}. Change it outside of the block, or t = t.detach() first",
            )
        self._data, self._node = new._data, new._node
        # Nothing is traced outside of tapes; to ask for what is unset takes longer than all the rest.
        self._trace = None if local.state.tape is None else new._trace
        if id(self) in referred:  # by a compiled program, which has the old array
            bump()

    def _write_shared(self, path: Sequence[aliasing.Step], value: object, by: str) -> None:
        """Write a value to where steps lead from the array that this tensor is a view of."""
        memory = self._alias.memory
        whole: Tensor = memory.whole
        stored = whole._writes_storage(by, "write to a copy: t = t.copy()")
        new: BaseTensor = aliasing.written(self, path, value, by)
        if stored:
            whole._write(new, by)
            new = whole
        memory.become(new)

    def _rebind(self, data: Array) -> None:
        """Let the tensor stand for another array."""
        self._data = data
        bump()

    # -- copies --------------------------------------------------------------------------------------------------

    def __copy__(self) -> Tensor:
        made = self.detach()
        made._node = self._node
        made._kind = self._kind
        return made

    def __deepcopy__(self, memo: dict[int, object]) -> Tensor:
        if self._node is not None and type(self._node) is not Leaf:
            raise TypeError(
                "deepcopy of a tensor inside a graph would copy the graph: use t.detach(), or copy the parameters it "
                "was computed from"
            )
        made: Tensor = ops.copy(self.detach())  # keeps the memory order, which is part of a parameter's speed
        made._kind = self._kind
        memo[id(self)] = made
        if self._node is not None:
            made._require()
            grad = self._held_grad()
            if grad is not None:
                made.grad = grad.detach()
        bump()  # what was copied with it, such as an optimizer, still has the array of the original
        return made

    def __reduce__(self) -> tuple[object, ...]:
        """For other processes, by `multiprocessing`. What is to be kept goes into files by `tn.save`."""
        if self._node is not None and type(self._node) is not Leaf:
            raise TypeError(
                "pickle of a tensor inside a graph would leave the graph behind: give t.detach() or t.numpy(), or compute in "
                "one process what is to have gradients"
            )
        grad = self._held_grad()
        return _unpickled, (
            packed(self.numpy()),
            self._kind,
            self.requires_grad,
            None if grad is None else packed(grad.numpy()),
        )

    # -- gradients -----------------------------------------------------------------------------------------------

    @property
    def node(self) -> Node | None:
        """The node that made this tensor, or None where nothing was recorded."""
        return self._node if self._node is not None else self._trace

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for this tensor's gradient (or no longer), in place.

        Raises:
            TypeError: the dtype is neither float nor complex, or the tensor is inside a graph.
        """
        if self._node is not None and type(self._node) is not Leaf:
            if not requires_grad:
                raise TypeError(
                    f"this tensor is the result of op {self._node.name!r}: use t.detach() to leave the graph"
                )
            return self
        if bool(requires_grad) == (self._node is not None):
            return self
        if local.state.tape is not None:
            local.state.tape.requires_grad(self)
        if requires_grad:
            self._require()
        else:
            self._node = None
        bump()
        return self

    def _require(self) -> Tensor:
        """Ask for the gradient of a tensor that is new, so that nothing can have been captured with it."""
        if not is_inexact(self._data.dtype):
            raise TypeError(
                f"a tensor of dtype {self._data.dtype} has no gradient: make it float, for instance with "
                "t.astype(np.float32)"
            )
        self._node = Leaf(self._data, local.state.scope)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor is no op's result (as far as gradients go)."""
        return self._node is None or type(self._node) is Leaf

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient of a leaf, or of any tensor after `retain_grad()`; None before."""
        node = self._node
        if type(node) is Leaf:
            if local.state.tape is not None:
                local.state.tape.reads_grad(node, user=True)
            if node.grad is None and calculates_with_it():
                raise TypeError(
                    "t.grad is None, and stands in a calculation: no gradient has come to this tensor since it was made, or "
                    "since its gradient was last cleared. Call backward() on a result that depends on it first"
                )
            grad: Tensor | None = node.grad
            return grad
        if node is not None and self._grad is None:
            present = hooks_of(node).values()
            if not any(type(hook) is _Keep for hook in present):
                warn_once(
                    "grad",
                    f".grad of a tensor inside a graph, the result of op {node.name!r}, is None: gradients are kept for "
                    "leaves. Call t.retain_grad() before backward, or ask for the gradient of a leaf it was computed from",
                )
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | ArrayLike | None) -> None:
        if value is not None and value is not self._held_grad():  # after `t.grad *= v` it is: changed behind its handle
            check_unmasked(value)
            # A copy in either case: the leaf adds to its gradient in place.
            value = value.astype(self.dtype) if isinstance(value, Tensor) else Tensor._of(np.array(value, self.dtype))
            if value.shape != self.shape:
                raise ValueError(f"a gradient of shape {value.shape} for a tensor of shape {self.shape}")
        node = self._node
        if type(node) is Leaf:
            tape = local.state.tape
            if tape is not None:
                tape.sets_grad(node, clears=value is None)
            node.grad = value
        else:
            self._grad = value

    def _held_grad(self) -> Tensor | None:
        """What `.grad` gives, without counting as the user's look at it."""
        return self._node.grad if type(self._node) is Leaf else self._grad

    def detach(self) -> Tensor:
        """The same storage outside the graph: no gradient flows through it."""
        made = Tensor._of(self._data, None, self._trace)
        if local.state.tape is not None:
            local.state.tape.detaches(made, self)
        return made

    def copy(self, order: str = "K") -> Tensor:
        """A copy with storage of its own, inside the graph, in the same memory order or another ("C", "F" or "A")."""
        made: Tensor = ops.copy(self, order)
        return made

    def retain_grad(self) -> Tensor:
        """Keep the gradient of this tensor in `.grad` at each backward, though it is not a leaf."""
        if self._node is None:
            raise RuntimeError("retain_grad() on a tensor that needs no gradient: nothing flows to it")
        if type(self._node) is not Leaf:
            present = hooks_of(self._node).values()
            if not any(type(hook) is _Keep and hook.holder() is self for hook in present):
                self.register_hook(_Keep(self))
        return self

    def register_hook(self, hook: Callable[[Tensor], object]) -> Handle:
        """Call `hook(grad)` with this tensor's whole gradient at each backward; what it returns, unless None,
        goes on in its place, and so does `grad` where the hook changes it (`grad *= 2`).

        Returns:
            a handle, whose `remove()` takes the hook away; as a context manager it does so at the end of the block.

        Raises:
            RuntimeError: the tensor needs no gradient.

        >>> import tapenet as tn
        >>> x = tn.tensor([1.0], requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> (x * 2).sum().backward()
        >>> x.grad
        Tensor([20.])
        >>> handle.remove()
        """
        node = self._node
        if node is None:
            raise RuntimeError("register_hook() on a tensor that needs no gradient: nothing flows to it")
        key = next_number()
        add_hook(node, key, hook)
        bump()  # a program that was captured without it does not call it
        watched = weakref.ref(node)

        def remove() -> None:
            alive = watched()
            if alive is not None:
                remove_hook(alive, key)
                bump()

        return Handle(remove)

    def backward(
        self,
        gradient: Tensor | ArrayLike | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this tensor by every leaf it depends on to that leaf's `.grad`.

        Args:
            gradient: the gradient by this tensor, of its shape; may be left out for a single element (then 1).
            retain_graph: keep saved arrays for another backward (default: as `create_graph`). The graph's
                structure is kept in any case, for drawing.
            create_graph: record the backward pass itself, so that the gradients can be differentiated.

        Raises:
            RuntimeError: no gradient is needed, or an earlier backward released the graph.
            ValueError: the gradient is missing for a non-scalar, or has another shape.
        """
        state = local.state
        try:
            if self._node is None:
                raise RuntimeError(
                    "backward() on a tensor that no gradient flows to: no tensor with requires_grad=True was used, or it was "
                    f"computed under tn.no_grad() or cut off by .detach(){_ended(self._data.dtype, state.ended)}"
                )
            state.ended = None
            data = self._data
            tape = state.tape
            if create_graph or (tape is not None and tape.captures):
                g: Tensor | Array = self._seed(gradient)
            elif gradient is None and data.ndim == 0 and data.dtype.kind == "f":
                g = _one(data.dtype)
            else:
                g = self._seed(gradient)._data
            release = not (create_graph if retain_graph is None else retain_graph)
            if tape is not None and tape.rehearses:
                release = False
            lost: zero_gradients.Lost = []
            found = run([(self._node, g)], tensor=Tensor, release=release, create_graph=create_graph, lost=lost)
            del g
            accumulate_grad(found, Tensor)
            if lost:
                zero_gradients.warn(lost)
        except Exception as error:
            hide(error)
            raise

    def _seed(self, gradient: Tensor | ArrayLike | None) -> Tensor:
        data = self._data
        if gradient is None:
            if data.dtype.kind == "c":
                raise TypeError(
                    f"backward() of a {data.dtype} tensor: a gradient is that of a real number. Take the tensor's .real, its "
                    "absolute value or another real function of it, or give gradient="
                )
            if data.size != 1:
                raise ValueError(
                    f"backward() of a tensor of shape {data.shape} needs gradient=, an array of that shape; or make it a "
                    "scalar first, for instance with .sum()"
                )
            return Tensor._of(_one(data.dtype) if data.ndim == 0 else np.ones(data.shape, data.dtype))
        if not isinstance(gradient, Tensor):
            check_unmasked(gradient)
            gradient = Tensor._of(np.asarray(gradient))
        if gradient.shape != data.shape:
            raise ValueError(f"gradient= has shape {gradient.shape}, the tensor has {data.shape}: they must agree")
        made: Tensor = conj_cotangent(gradient if gradient.dtype == data.dtype else gradient.astype(data.dtype))
        return made

    # -- item assignment -----------------------------------------------------------------------------------------

    def __setitem__(self, index: object, value: object) -> None:
        """`t[i] = v`: a new array and a new node behind this handle; earlier results keep the old values.

        On a leaf that needs a gradient it is an error, except under `tn.no_grad()`, where it writes in place, as it
        does for parameters and buffers.
        """
        if local.state.lifted is not None and self._alias is not None:
            path = aliasing.places(self, index)
            if not aliasing.is_at(value, self._alias.memory, path):
                self._write_shared(path, value, "item assignment")
            return
        if not self._writes_storage("item assignment", "assign to a copy: t = t.copy(); t[i] = v"):
            if not local.state.fast or not aliasing.is_alone(self):
                if local.state.fast:
                    aliasing.warn_of_views(self, value)
                before = self.__copy__()
            else:
                before = Tensor._of(self._data.view(Given), self._node)
                if self._node is None and type(value) in _PLAIN and type(index) in _PLAIN:
                    with suppress(Exception):  # the op says what is wrong
                        self._data[raw_index(index)] = value  # nothing is recorded
                        return
            self._become(ops.setitem(before, value, index), "item assignment")
            return
        tape = local.state.tape
        if tape is not None and tape.captures:
            self._write(ops.setitem(self.detach(), value, index), "item assignment")
            return
        if tape is not None:
            tape.writes(self, value, "item assignment")
        self._data[raw_index(index)] = value._data if isinstance(value, Tensor) else value
        mutation.wrote(self._data, "item assignment")

    # -- augmented assignment --------------------------------------------------------------------------------------

    def _augmented(self, op: Callable[..., object], other: object, by: str, hint: str = "") -> Tensor:
        """`t += v` and its kin: as `t[...] = t + v`, with NumPy's rules for what an array can take. `hint` is what to write
        in place of it.

        Raises:
            ValueError: the result has another shape than this tensor.
            TypeError: its dtype is of a kind that this tensor cannot hold.
        """
        lifted = local.state.lifted
        if lifted is not None and self._alias is None and not self._data.ndim and self._kind is None:
            return op(self, other)  # type: ignore[return-value]  # one of NumPy's numbers, which never change
        node = self._node
        # Most are inside of a graph.
        inside = lifted is None and node is not None and type(node) is not Leaf and local.state.tape is None
        storage = not inside and aliasing.root(self)._writes_storage(by, hint)
        new = op(self, other)
        if not isinstance(new, Tensor):
            raise TypeError(f"{by} with {type(other).__name__} gives {type(new).__name__}: {hint or _anew(by)}")
        before, data = self._data, new._data
        cast = data.dtype is not before.dtype and data.dtype != before.dtype
        if cast and not np.can_cast(data.dtype, before.dtype, "same_kind"):
            raise TypeError(
                f"{by} gives {data.dtype}, which a tensor of {before.dtype} cannot hold: {hint or _anew(by)} for another "
                "tensor, or cast this one first with .astype"
            )
        if data.shape != before.shape:
            raise ValueError(
                f"{by} would change the shape of a tensor from {before.shape} to {data.shape}, and it keeps its own: "
                f"{hint or _anew(by)} for another tensor"
            )
        if cast:
            new = ops.astype(new, before.dtype)
        if storage:
            self._write(new, by)
        else:
            self._become(new, by)
        return self


#: Values and indices that are no tensors, and hold none.
_PLAIN = frozenset({bool, int, float, complex, slice, np.ndarray, np.float64, np.float32, np.int64, np.bool_})


def _anew(by: str) -> str:
    """What to write in place of an augmented assignment."""
    return f"write t = t {by[:-1]} v"


class _Keep:
    """The hook behind `retain_grad`."""

    __slots__ = ("holder",)

    def __init__(self, tensor: Tensor) -> None:
        self.holder = weakref.ref(tensor)

    def __call__(self, g: Tensor) -> None:
        tensor = self.holder()
        if tensor is not None:
            tensor._grad = ops.copy(g) if tensor._grad is None else tensor._grad + g


def _ended(dtype: DType, op: Op | None) -> str:
    """What else is known of why no gradient flows to a tensor, in words."""
    words = "" if is_inexact(dtype) else f". It is of {dtype}: integers and booleans are constants to gradients"
    if op is not None:
        words += (
            f". The last op that was given a tensor with a gradient and whose result has none is {op.name!r}: if the loss is "
            "made of it, use a function with a derivative in its place (a cross entropy for a count of right answers)"
        )
    return words


def _unpickled(data: Packed, kind: str | None, needs: bool, grad: Packed | None) -> Tensor:
    """The tensor that was pickled as this."""
    made = Tensor._of(unpacked(data))
    made._kind = kind
    if needs:
        made._require()
    if grad is not None:
        made.grad = Tensor._of(unpacked(grad))
    return made


_ones: dict[DType, Array] = {}


def _one(dtype: DType) -> Array:
    """The number 1 as a read-only array, where every scalar loss begins its backward pass."""
    one = _ones.get(dtype)
    if one is None:
        one = _ones[dtype] = np.ones((), dtype)
        one.flags.writeable = False
    return one


def backward(
    root: Tensor,
    gradient: Tensor | ArrayLike | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """`root.backward(...)` as a function.

    >>> import tapenet as tn
    >>> x = tn.tensor(3.0, requires_grad=True)
    >>> tn.backward(x * x)
    >>> x.grad
    Tensor(6.)
    """
    root.backward(gradient, retain_graph, create_graph)
