"""Views that alias as NumPy's do, while a lifted function runs in a thread.

A tensor of which a view was taken belongs to a `Memory`, which has the value of the whole array. A view keeps the steps that
lead from there to it. A write through any of them makes a new whole value, by one item assignment; the others become stale,
which costs nothing: their slots are unset, and read anew from the whole value when somebody asks (`Tensor.__getattr__`).
All of it is made of ordinary ops, so that it is recorded, differentiated and compiled as they are.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.node import BaseTensor
from tapenet.autodiff.state import local
from tapenet.ops.indexing.items import Given
from tapenet.ops.stack_frames import warn_once
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import Shape

T = TypeVar("T", bound=BaseTensor)

#: The ops that give a view where NumPy does, and whether that can be written to.
VIEWS = {
    "getitem": True, "reshape": True, "transpose": True, "swapaxes": True, "moveaxis": True, "expand_dims": True,
    "squeeze": True, "flip": True, "real": True, "imag": True, "laid_out": True, "alias": True, "diagonal": False,
    "broadcast_to": False, "sliding_window_view": False, "real_if_close": False,
}  # fmt: skip


#: Indices that name one element, or a part along the other axes.
_NUMBERS = frozenset({int, np.int64})


class Lifted:
    """A run of a lifted function in a thread: the memories whose views alias in it, and what stands in it for a function that
    is called."""

    def __init__(
        self, replaced: Callable[[object], object] = lambda function: function, recompute: bool = False
    ) -> None:
        self.replaced = replaced
        #: Whether the derivatives of its loops run turns again, in place of keeping what they need of each.
        self.recompute = recompute
        #: The tape that is on as it begins, and what the bodies of loops that are recorded on it check.
        self.tape = local.state.tape
        self.checks: dict[object, object] = {}
        #: What it was given, from a higher layer.
        self.arguments: object = None
        self.memories: weakref.WeakSet[Memory] = weakref.WeakSet()
        #: Tensors that stand for arrays of the caller's; and those that may, or may not, as a branch or loop decides.
        self.callers: list[weakref.ref[BaseTensor]] = []
        self.either: list[weakref.ref[BaseTensor]] = []

    def settle(self) -> None:
        """Read all views that are stale anew: before the body of a loop is recorded, since it would count as its work."""
        for memory in self.memories:
            for view in memory.living():
                view._data  # noqa: B018

    def end(self) -> None:
        """Make all views tensors of their own."""
        self.settle()
        for memory in self.memories:
            for view in memory.living():
                view._alias = None


class Step(NamedTuple):
    """One step from an array to a view of it: an op, and what it is given beside the array."""

    op: Callable[..., BaseTensor]
    name: str
    args: tuple[object, ...]
    kwargs: dict[str, object]
    #: Of the array that it is taken of.
    shape: Shape

    def view(self, whole: BaseTensor) -> BaseTensor:
        """The view of an array."""
        return self.op(whole, *self.args, **self.kwargs)

    def written(self, whole: BaseTensor, part: object) -> BaseTensor:
        """An array where the view is `part`, which is broadcast to it."""
        if self.name == "getitem":
            return cast("BaseTensor", ops.setitem(whole, part, self.args[0]))
        if self.name in ("real", "imag") and whole._data.dtype.kind == "c":
            real, imag = (part, ops.imag(whole)) if self.name == "real" else (ops.real(whole), part)
            return cast("BaseTensor", ops.astype(ops.add(real, ops.multiply(1j, imag)), whole._data.dtype))
        # What only moves elements says where they are.
        places = np.asarray(self.op(np.arange(whole._data.size).reshape(whole._data.shape), *self.args, **self.kwargs))
        part = ops.broadcast_to(part, places.shape)
        order = np.ravel(places)
        if np.array_equal(order, np.arange(whole._data.size)):
            return cast("BaseTensor", ops.reshape(part, whole._data.shape))
        if self.name in ("transpose", "swapaxes", "moveaxis"):
            axes = np.argsort([-stride for stride in places.strides], kind="stable")
            if np.array_equal(np.transpose(places, axes).ravel(), np.arange(whole._data.size)):
                return cast("BaseTensor", ops.transpose(part, axes.tolist()))
        flat = ops.setitem(ops.reshape(whole, -1), ops.reshape(part, -1), order)
        return cast("BaseTensor", ops.reshape(flat, whole._data.shape))


class Memory:
    """What tensors that are views of one array share.

    Attributes:
        whole: the array's value now, a handle of nobody else's.
    """

    __slots__ = ("__weakref__", "_pruned", "_views", "whole")

    def __init__(self, owner: BaseTensor, writable: bool = True) -> None:
        self.whole = owner._of(owner._data, owner._node, owner._trace)
        self.whole._kind = owner._kind
        self._views: list[weakref.ref[BaseTensor]] = []
        self._pruned = 32
        self.add(owner, (), writable)

    def add(self, view: BaseTensor, path: tuple[Step, ...], writable: bool = True) -> None:
        """Take in a tensor that these steps lead to."""
        view._alias = Alias(self, path, writable)
        self._views.append(weakref.ref(view))
        if len(self._views) > self._pruned:
            self._views = [ref for ref in self._views if ref() is not None]
            self._pruned = 2 * len(self._views) + 32

    def living(self) -> list[BaseTensor]:
        """The tensors that share it."""
        found = [view for ref in self._views if (view := ref()) is not None]
        return [view for view in found if (alias := view._alias) is not None and alias.memory is self]

    def become(self, whole: BaseTensor) -> None:
        """Let the array have another value: every view of it is another from now on."""
        _same(self.whole, whole)
        self._views = [ref for ref in self._views if ref() is not None]
        for view in self.living():
            alias = view._alias
            if not alias.path:
                _same(view, whole)
            else:
                alias.leave(view)

    def value(self, path: Sequence[Step]) -> BaseTensor:
        """What steps lead to."""
        value = self.whole
        for step in path:
            value = step.view(value)
        return value


class Alias:
    """How a tensor is a view: of what, by which steps."""

    __slots__ = ("memory", "path", "stale", "writable")

    def __init__(self, memory: Memory, path: tuple[Step, ...], writable: bool) -> None:
        self.memory = memory
        self.path = path
        self.writable = writable
        self.stale = False

    def leave(self, view: BaseTensor) -> None:
        """Make its view stale: it is read anew when somebody asks."""
        if not self.stale:
            view._trace = None  # it may be unset
            del view._data, view._node, view._trace
            self.stale = True


def _same(handle: BaseTensor, new: BaseTensor) -> None:
    """Let a handle stand for what another one does."""
    handle._data, handle._node = new._data, new._node
    # To ask for what is unset takes longer than all the rest.
    handle._trace = None if local.state.tape is None else new._trace


def refresh(view: BaseTensor) -> None:
    """Read a stale view anew."""
    alias = view._alias
    memory = alias.memory
    with _unseen():
        _same(view, memory.value(alias.path))
    if local.state.fast:
        _part(view, memory.whole._data)
    alias.stale = False


class _unseen:
    """While views are read and written here, no views are noted; and gradients flow, whoever asks."""

    __slots__ = ("before",)

    def __enter__(self) -> None:
        state = local.state
        self.before = state.lifted, state.grad
        state.lifted, state.grad = None, True

    def __exit__(self, *exc: object) -> None:
        local.state.lifted, local.state.grad = self.before


def is_among(tensor: BaseTensor, refs: list[weakref.ref[BaseTensor]]) -> bool:
    """Whether a tensor shares memory with one of these."""
    whole = root(tensor)
    return any((other := ref()) is not None and root(other) is whole for ref in refs)


# -- noting views ------------------------------------------------------------------------------------------------


def viewed(
    op: Callable[..., BaseTensor], args: tuple[object, ...], kwargs: dict[str, object], result: object
) -> object:
    """Note that what an op gave is a view of what it was given, if NumPy's is."""
    name = getattr(op, "name", "")
    lifted = local.state.lifted
    if lifted is None or name not in VIEWS or not args:
        return result
    source, *others = args
    if not (isinstance(source, BaseTensor) and isinstance(result, BaseTensor)):
        return result
    if name == "getitem":
        if not result._data.ndim and (type(others[0]) in _NUMBERS or _is_element(others[0])):
            return result  # an element, as most are
        index = basic(others[0])
        if index is None or (not result._data.ndim and not any(part is Ellipsis for part in index)):
            return result
        others = [index]
    elif not np.may_share_memory(result._data, source._data) and result._data.size:
        return result
    step = Step(op, name, tuple(others), kwargs, source._data.shape)
    if name not in ("reshape", "laid_out") or _stays(source, step):
        _note(lifted, source, result, step)
    return result


def _is_element(index: object) -> bool:
    """Whether an index is made of integers alone."""
    return type(index) is tuple and all(type(part) in _NUMBERS for part in index)


def _stays(source: BaseTensor, step: Step) -> bool:
    """Whether NumPy gives a view where that depends on how the elements lie in memory: of a part that was copied, as they do in
    the whole."""
    alias = source._alias
    if alias is None or not alias.path or np.may_share_memory(source._data, alias.memory.whole._data):
        return True
    whole, view = _layout(alias.memory, (*alias.path, step))
    return np.may_share_memory(whole, view)


def _layout(memory: Memory, path: Sequence[Step]) -> tuple[Array, Array]:
    """An array that lies in memory as that of `memory` does, and where steps lead to in it."""
    whole = view = np.empty_like(memory.whole._data)
    for step in path:
        found = step.op(view, *step.args, **step.kwargs)
        view = found._data if isinstance(found, BaseTensor) else found
    return whole, view


def ravelled(result: object) -> None:
    """Let what `ravel` gave share memory with nothing, unless it is one run of elements: else NumPy copies."""
    alias = result._alias if isinstance(result, BaseTensor) else None
    if alias is not None and not _layout(alias.memory, alias.path)[1].flags.c_contiguous:
        separate(result)


def note(source: BaseTensor, result: BaseTensor, index: tuple[object, ...]) -> None:
    """Note that a part is a view though its index holds arrays: these stand for slices that begin at the index of a loop."""
    if local.state.lifted is not None:
        getitem = cast("Callable[..., BaseTensor]", ops.getitem)
        _note(local.state.lifted, source, result, Step(getitem, "getitem", (index,), {}, source._data.shape))


def _note(lifted: Lifted, source: BaseTensor, result: BaseTensor, step: Step) -> None:
    if source._alias is None:
        lifted.memories.add(Memory(source))
    alias = source._alias
    _part(result, source._data)
    alias.memory.add(result, _longer(alias.path, step), VIEWS[step.name] and alias.writable)


def _part(view: BaseTensor, whole: Array) -> None:
    """Copy a small part of an array: whoever saves a view holds the whole, which is copied then at the next write."""
    if 2 * view._data.size < whole.size:
        view._data = view._data.copy()


def separate(result: object) -> None:
    """Let what an op gave share memory with nothing, as NumPy's copies do. Nothing is copied: what is written elsewhere does
    not change its value."""
    if isinstance(result, BaseTensor) and result._alias is not None:
        result._data  # noqa: B018  # that of a stale view is read now
        result._alias = None


def let_write(result: object) -> None:
    """Let a view be written to that is made of one which cannot: the diagonal that `np.einsum` gives."""
    if isinstance(result, BaseTensor) and result._alias is not None:
        result._alias.writable = True


def take(handle: BaseTensor, view: BaseTensor) -> None:
    """Let a handle be what a view of it is, as `a.shape = shape` does it."""
    _same(handle, view)
    if view._alias is not None:
        view._alias.memory.add(handle, view._alias.path, view._alias.writable)


def basic(index: object) -> tuple[object, ...] | None:
    """A basic index as a tuple; None for one that gives a copy."""
    parts = index if isinstance(index, tuple) else (index,)
    found: list[object] = []
    for part in parts:
        if type(part) is int or type(part) is slice:  # as most are
            found.append(part)
        elif isinstance(part, BaseTensor):
            if part._data.ndim or part._data.dtype.kind not in "iu":
                return None
            tape = local.state.tape
            found.append(int(part._data) if tape is None or not tape.captures or tape.is_constant(part) else part)
        elif part is None or part is Ellipsis:
            found.append(part)
        elif isinstance(part, (bool, np.bool_)) or not hasattr(part, "__index__") or np.ndim(part):
            return None
        else:
            found.append(operator.index(part))
    return tuple(found)


def _longer(path: tuple[Step, ...], step: Step) -> tuple[Step, ...]:
    """A path and one more step; two basic indices after each other are one."""
    if path and step.name == path[-1].name == "getitem":
        one = composed(path[-1].args[0], step.args[0], path[-1].shape)
        if one is not None:
            return (*path[:-1], path[-1]._replace(args=(one,)))
    return (*path, step)


def composed(first: object, second: object, shape: Shape) -> tuple[object, ...] | None:
    """The index that does what two basic ones do, one after the other, to an array of a shape; None where there is none, or an
    index is not known yet."""
    inner = _whole(first, len(shape))
    if inner is None or any(part is None for part in inner):
        return None
    found = [range(n)[cast("slice", part)] for n, part in zip(shape, inner, strict=True)]
    given = _whole(second, sum(isinstance(part, range) for part in found))
    if given is None:
        return None
    made: list[object] = []
    rest = iter(given)
    for part in found:
        if isinstance(part, range):
            while (outer_part := next(rest)) is None:
                made.append(None)
            part = part[outer_part]  # type: ignore[call-overload]
        made.append(_slice(part) if isinstance(part, range) else part)
    return (*made, *rest)  # what is left are new axes


def _whole(index: object, ndim: int) -> tuple[object, ...] | None:
    """A basic index with a part for each axis; None where a part is not known yet."""
    parts = list(index) if isinstance(index, tuple) else [index]
    missing = ndim - sum(part is not None and part is not Ellipsis for part in parts)
    if any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts[at : at + 1] = [slice(None)] * missing
    else:
        parts += [slice(None)] * missing
    known = (part is None or isinstance(part, int) or (isinstance(part, slice) and _is_known(part)) for part in parts)
    return tuple(parts) if all(known) else None


def _is_known(part: slice) -> bool:
    return all(end is None or isinstance(end, int) for end in (part.start, part.stop, part.step))


def _slice(part: range) -> slice:
    stop: int | None = part.stop
    if not len(part):
        return slice(0, 0)
    return slice(part.start, None if part.stop < 0 else stop, part.step)


# -- writing -----------------------------------------------------------------------------------------------------


def root(handle: T) -> T:
    """What has the value of a tensor: itself, or the whole array that it is a view of."""
    alias = handle._alias
    found: T = handle if alias is None else alias.memory.whole
    return found


def become(root: BaseTensor, new: BaseTensor) -> None:
    """Let what `root` gives have another value, without recording that."""
    for memory in () if local.state.lifted is None else local.state.lifted.memories:
        if memory.whole is root:
            memory.become(new)
            return
    _same(root, new)


def places(view: BaseTensor, index: object) -> tuple[Step, ...]:
    """The steps that lead to a part of a view."""
    part = basic(index)
    shape = view._data.shape
    step = Step(
        cast("Callable[..., BaseTensor]", ops.getitem), "getitem", (index if part is None else part,), {}, shape
    )
    path: tuple[Step, ...] = view._alias.path
    return (*path, step) if part is None else _longer(path, step)


def is_at(value: object, memory: Memory, path: tuple[Step, ...]) -> bool:
    """Whether a value is that view of a memory which a path of one basic index leads to: `a[i] += x` ends in writing it to
    where it is."""
    alias = value._alias if isinstance(value, BaseTensor) else None
    if alias is None or alias.memory is not memory or len(path) != 1 or len(alias.path) != 1:
        return False
    one, other = ((step.name, step.args[0] if step.args else None) for step in (*path, *alias.path))
    if (
        one[0] != other[0]
        or not isinstance(one[1], tuple)
        or not isinstance(other[1], tuple)
        or len(one[1]) != len(other[1])
    ):
        return False
    pairs = zip(one[1], other[1], strict=True)
    same = (a is b or (isinstance(a, (int, slice)) and type(a) is type(b) and a == b) for a, b in pairs)
    return one[0] == "getitem" and all(same)


def written(view: BaseTensor, path: Sequence[Step], value: object, by: str) -> BaseTensor:
    """The whole value of a view's memory, with a value where steps lead to.

    Raises:
        ValueError: NumPy's view is read-only.
    """
    alias = view._alias
    if not alias.writable:
        raise ValueError(f"{by} to a view that is read-only, as NumPy's is: write to a copy, or to the array itself")
    with _unseen():
        return _put(_lent(alias.memory, path, value), path, value)


def _lent(memory: Memory, path: Sequence[Step], value: object) -> BaseTensor:
    """The array of a memory, which a write may change in place if only its own tensors hold it; else its value as it is."""
    whole, owners = memory.whole, 1
    if len(path) != 1 or path[0].name != "getitem" or not local.state.fast:
        return whole
    for view in memory.living():
        if not view._alias.path:
            owners += 1
        elif view is not value:
            view._alias.leave(view)
    return whole._of(whole._data.view(Given), whole._node) if is_alone(whole, owners) else whole


def is_alone(tensor: BaseTensor, owners: int = 1) -> bool:
    """Whether the array of a tensor is held by it alone, or by so many tensors: then nobody else can see a write, as no node
    has saved the array or a view of it, and none was given to the user."""
    if _references(tensor) != _ALONE + owners:
        return False
    flags = tensor._data.flags
    return flags.owndata and flags.writeable


#: How often tensors are still looked for that share memory: it takes as long as some ops do.
_looks = 50


def warn_of_views(tensor: BaseTensor, value: object) -> None:
    """Warn once where a tensor is assigned to outside of lifted code, and NumPy would change another that is there too: a view
    of it, or what it is a view of. Young ones alone are found."""
    global _looks
    data = tensor._data
    if not _looks or local.state.lifted is not None:
        return
    _looks -= 1
    import gc

    for other in gc.get_objects(0):
        if isinstance(other, BaseTensor) and other is not tensor and other is not value:
            array = getattr(other, "_data", None)
            if array is not None and array is not data and (array.base is data or data.base is array):
                _looks = 0
                warn_once(
                    "views",
                    f"item assignment to a tensor of shape {data.shape} changes this tensor alone: another one of shape "
                    f"{array.shape}, which is a view of it or of which it is a view, keeps its values. NumPy's would change "
                    "too: so they do in a function for tn.lift. Otherwise take a .copy(), or assign to the whole tensor",
                )
                return


def _references(tensor: BaseTensor) -> int:
    return getrefcount(tensor._data)


#: How many references there are to an array that no tensor holds, but for those of asking.
_ALONE = _references(BaseTensor._of(np.zeros(()))) - 1


def _put(whole: BaseTensor, path: Sequence[Step], value: object) -> BaseTensor:
    if not path:
        return cast("BaseTensor", value)
    first, *rest = path
    return first.written(whole, _put(first.view(whole), rest, value) if rest else value)
