"""Data-parallel training: each rank computes the gradients of its part of a batch, and all update by their mean."""

from __future__ import annotations

import math
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from tapenet import kernels, ops
from tapenet.autodiff.node import Leaf, Node, hooked_nodes
from tapenet.autodiff.observe import layer
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.layer import Layer, PullStep
from tapenet.autodiff.state import is_grad_enabled, no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.llvm.addresses import LINE
from tapenet.nn.module import Module
from tapenet.ops.op import Op, op
from tapenet.optim.master_weights import MasterWeights
from tapenet.optim.optimizer import Optimizer
from tapenet.parallel import compiled
from tapenet.parallel.collectives import allreduce
from tapenet.parallel.ranks import World, listed, world
from tapenet.parallel.shared_state import SharedState
from tapenet.program import symbols
from tapenet.typing import Array

Opt = TypeVar("Opt", bound=Optimizer | MasterWeights)
#: Bytes of gradients that are sent at once.
BUCKET = 1 << 20


def optimizer(opt: Opt, model: Module | None = None, *, shard_state: bool = False) -> Opt:
    """Average the gradients of an optimizer's parameters over all ranks, in each backward pass from now on. Each rank
    computes the loss of its part of a batch, as `shard` cuts it; the update is that of the whole batch if the loss is a mean.

    Gradients are sent in buckets, while the pass is still on its way to further ones. First, parameters and buffers of rank 0
    are given to all ranks.

    Args:
        opt: the optimizer, or `optim.MasterWeights`. It has its parameters, or is given those of `model`. Gradients of 16
            bits are added up in float32.
        model: whose parameters and buffers all ranks begin with.
        shard_state: share out the state of the optimizer, such as Adam's moments, as stage 1 of ZeRO does: each rank keeps
            that of a part of the parameters (each whole, about equal bytes on all ranks), updates these, and sends them to
            the others. Gradients stay whole on each rank, and so do master weights. The updates are the same, and
            `state_dict()`, which all ranks must call, gives the whole state: any number of ranks loads it, with this option
            or without.

    Returns:
        `opt`. After `add_param_group` give it once more.

    Raises:
        ValueError: the optimizer has no parameters, and no model is given; or its state cannot be shared out (`LBFGS`).
        RuntimeError: on all ranks, where they have other parameters.

    >>> import tapenet as tn
    >>> net = tn.nn.Linear(2, 3)
    >>> opt = tn.parallel.optimizer(tn.optim.SGD(net, lr=0.1), net)

    With the state shared out:

    >>> adam = tn.parallel.optimizer(tn.optim.Adam(lr=1e-3), net, shard_state=True)
    >>> len(adam.state) == 2 or tn.parallel.size > 1
    True
    """
    if isinstance(opt, Optimizer) and not opt.bound:
        if model is None:
            raise ValueError("parallel.optimizer: the optimizer has no parameters yet; give the model too")
        opt.bind(model)
    inner = opt.optimizer if isinstance(opt, MasterWeights) else opt
    if shard_state and type(inner).step is not Optimizer.step:
        raise ValueError(
            f"parallel.optimizer: {type(inner).__name__} has a step of its own, which may need the state of all parameters: "
            "leave shard_state out"
        )
    ranks = world()
    if ranks.size > 1:
        params = {str(slot.name): slot.param for slot in opt.slots}
        given = params
        if isinstance(opt, MasterWeights):  # its slots are the copies, and backward passes come to the parameters
            of = {id(master): param for param, master in zip(opt.parameters(), opt.masters(), strict=True)}
            params = {name: of[id(master)] for name, master in given.items()}
            given = params | {f"{name} in {t.dtype}": t for name, t in given.items()}
        state: dict[str, Any] = dict(model.state_dict(keep_vars=True)) if model is not None else {}
        known = {id(t) for t in state.values()}
        state |= {
            f"{name} of the optimizer" if name in state else name: t for name, t in given.items() if id(t) not in known
        }
        begin_alike(state)
        if shard_state:
            inner.share(SharedState(ranks, inner.slots))
        opt.together = True
        averaging = _Averaging(ranks, opt, params)
        for old in _averagings():
            if old.covered(averaging):  # as of an optimizer that is no longer used, but not yet collected
                averaging.optimizers += old.optimizers
                layer.of_backward.remove(old)
        layer.of_backward.append(averaging)
        weakref.finalize(opt, _forget)
    return opt


def _averagings() -> list[_Averaging]:
    return [each for each in layer.of_backward if isinstance(each, _Averaging)]


def _forget() -> None:
    """An optimizer is gone: what was averaged for it alone is no longer."""
    for each in _averagings():
        if all(of() is None for of in each.optimizers):
            layer.of_backward.remove(each)


def begin_alike(tensors: Mapping[str, Any]) -> None:
    """Give the values of rank 0 to all ranks.

    Raises:
        RuntimeError: on all ranks, where they have other names, shapes or dtypes, or others need gradients.
    """
    ranks = world()
    with ranks.waiting("the comparison of parameters"):
        every = ranks.comm.allgather([_described(name, t) for name, t in tensors.items()])
    if any(each != every[0] for each in every):
        first = next(i for i, of in enumerate(zip(*_padded(every), strict=True)) if len(set(of)) > 1)
        words = listed({rank: each[first] for rank, each in enumerate(_padded(every))})
        raise RuntimeError(
            f"the ranks have other parameters: at position {first}, {words}. Make the same model on all ranks"
        )
    for t in tensors.values():
        if not isinstance(t, Tensor):
            continue
        values = np.array(t.numpy(), order="C")
        with ranks.waiting("the broadcast of parameters"):
            ranks.comm.Bcast(values.reshape(-1).view(np.uint8), 0)
        if ranks.rank:
            with no_grad():
                t.data = values


def _described(name: str, t: Any) -> str:
    text = f"{name} {t.dtype} {t.shape}"
    return text if getattr(t, "requires_grad", False) else f"{text}, without gradient"


def equal(model: Module | Mapping[str, Array]) -> bool:
    """Whether all ranks have the same parameters and buffers, bit for bit, by comparing a hash of them.

    Args:
        model: a module, or a state by name.

    Returns:
        the same on all ranks.

    >>> import tapenet as tn
    >>> tn.parallel.equal(tn.nn.Linear(2, 3)) or tn.parallel.size > 1
    True
    """
    state = model.state_dict() if isinstance(model, Module) else model
    code = 0
    for name, values in state.items():
        array = np.asarray(values, order="C")
        code = zlib.crc32(
            array.reshape(-1).view(np.uint8).data, zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), code)
        )
    ranks = world()
    if ranks.size == 1:
        return True
    with ranks.waiting("the comparison of parameters"):
        return len(set(ranks.comm.allgather(code))) == 1


def _padded(every: Sequence[Sequence[str]]) -> list[list[str]]:
    longest = max(map(len, every))
    return [[*each, *["nothing"] * (longest - len(each))] for each in every]


class _Bucket:
    """Parameters of one dtype whose gradients are sent together, each with a number that says how many ranks have one."""

    def __init__(self, ranks: World, dtype: np.dtype) -> None:
        self.ranks = ranks
        self.dtype = dtype
        #: What is added up: numbers of 16 bits in float32, which neither overflows nor rounds once for each rank.
        self.sent = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
        self.names: list[str] = []
        self.leaves: list[Leaf] = []
        #: Where each begins and ends among the numbers that are sent.
        self.places: list[slice] = []
        self._on_way: tuple[Any, Array] | None = None

    @property
    def what(self) -> str:
        """What is waited for."""
        return f"the gradients of {self.names[0]} and others"

    def add(self, name: str, leaf: Leaf) -> None:
        self.names.append(name)
        self.leaves.append(leaf)
        begin = self.places[-1].stop if self.places else 0
        begin += -begin % (LINE // self.sent.itemsize)  # so that vectors do not lie across two lines
        self.places.append(slice(begin, begin + math.prod(leaf.shape)))

    @property
    def size(self) -> int:
        """Numbers that are sent."""
        return int(self.places[-1].stop) + len(self.leaves)

    def begin(self, gradients: Sequence[Array | None]) -> None:
        """Begin to send these gradients, one for each parameter or None."""
        flat = kernels.aligned((self.size,), self.sent)
        end = 0
        for g, place in zip(gradients, self.places, strict=True):
            flat[end : place.start] = 0
            end = place.stop
            if g is None:
                flat[place] = 0
            else:
                flat[place].reshape(g.shape)[...] = g
        flat[end:] = [g is not None for g in gradients]
        self._begin(flat)

    def _begin(self, flat: Array) -> None:
        self.give_up()  # what a compiled step began that ended by an error
        self._on_way = self.ranks.gradients.Iallreduce(self.ranks.MPI.IN_PLACE, flat, self.ranks.MPI.SUM), flat

    def end(self) -> list[Array | None]:
        """Wait for the gradients of all ranks.

        Returns:
            for each parameter the mean; None where no rank has a gradient.
        """
        flat = self._end()
        counts = flat[self.places[-1].stop :]
        flat *= 1 / self.ranks.size
        return [
            flat[place].reshape(leaf.shape).astype(self.dtype, copy=False) if count else None
            for count, place, leaf in zip(counts, self.places, self.leaves, strict=True)
        ]

    def _end(self) -> Array:
        assert self._on_way is not None
        request, flat = self._on_way
        self._on_way = None
        with self.ranks.waiting(self.what):
            request.Wait()
        return flat

    def give_up(self) -> None:
        """Nobody asks for what is on its way; MPI needs the memory until it is there."""
        if self._on_way is not None:
            self.ranks.keep(*self._on_way)
            self._on_way = None

    def begin_recorded(self, gradients: Sequence[Tensor | None]) -> Callable[[], list[Tensor | None]]:
        """The same as ops on a tape that captures, or for another derivative: what ends it."""
        if is_grad_enabled():
            return lambda: self._exchanged(gradients)
        ranks = self.ranks.size
        present = np.array([g is not None for g in gradients], self.sent)
        parts: list[Tensor | Array] = []
        end = 0
        for g, place in zip(gradients, self.places, strict=True):
            first = place.stop if g is None else place.start
            if first > end:
                parts.append(np.zeros(first - end, self.sent))
            if g is not None:
                parts.append(_as(g, self.sent).reshape(-1))
            end = place.stop
        begins, ends = self._ops
        begun = begins(ops.concatenate([*parts, present]))

        def ended() -> list[Tensor | None]:
            total = ends(begun)
            factor = _factor(total[end:], ranks * present, 1 / ranks, tuple(self.names))
            return [
                None if g is None else _as(total[place].reshape(g.shape) * factor, self.dtype)
                for g, place in zip(gradients, self.places, strict=True)
            ]

        return ended

    @cached_property
    def _ops(self) -> tuple[Op, Op]:
        """What begins to exchange an array, and what ends it, as ops: in compiled programs C functions, if they are found."""

        def begins(flat: Array) -> Array:
            sent = flat.copy()
            self._begin(sent)
            return sent

        def ends(begun: Array) -> Array:
            return self._end()

        found = compiled.summed(self.ranks, self.size, self.sent, self.what)
        if found is not None:
            vars(begins)["c_effect"], vars(ends)["c_effect"] = found
        named: dict[str, Any] = {"ordered": np.zeros_like, "nondiff": True}
        return op(begins, name="send gradients", **named), op(ends, name="add up gradients", **named)

    def _exchanged(self, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The means by an exchange that has derivatives itself, in which all ranks have to have the same gradients."""
        present = [g for g in gradients if g is not None]
        if not present:
            return list(gradients)
        mean = allreduce(ops.concatenate([g.reshape(-1) for g in present]), "mean")
        parts = iter(ops.split(mean, np.cumsum([g.size for g in present])[:-1].tolist()))
        return [None if g is None else next(parts).reshape(g.shape) for g in gradients]


def _as(x: Tensor, dtype: np.dtype) -> Tensor:
    return x if x.dtype == dtype else x.astype(dtype)


_SOME = (
    "parallel.optimizer: a parameter has a gradient on some ranks only, which a compiled step cannot know beforehand: give "
    "every parameter a gradient on all ranks, or leave the step uncompiled"
)


def _lower_factor(counts: Array, wanted: Array, factor: float, names: tuple[str, ...]) -> object:
    return symbols.provided(np.asarray(factor, counts.dtype), counts != wanted, RuntimeError, _SOME)


@op(nondiff=("counts", "wanted"), lower=_lower_factor)
def _factor(counts: Array, wanted: Array, factor: float = 1.0, names: tuple[str, ...] = ()) -> Array:
    """A factor, provided that as many ranks have a gradient of each parameter as is wanted."""
    wrong = [name for name, differs in zip(names, counts != wanted, strict=True) if differs]
    if wrong:
        raise RuntimeError(_SOME.replace("a parameter", wrong[0]))
    return np.asarray(factor, counts.dtype)


class _Averaging(Layer):
    """In each backward pass that comes to these parameters: their gradients are the mean of all ranks'."""

    __slots__ = ("bucket_of", "buckets", "known", "layout", "nodes", "optimizers", "params", "passes", "ranks")
    rank = 9
    looks = True  # at whole gradients

    def __init__(self, ranks: World, opt: Optimizer | MasterWeights, params: Mapping[str, Tensor]) -> None:
        self.ranks = ranks
        self.optimizers: list[Any] = [weakref.ref(opt)]
        self.params = dict(params)
        self.nodes: list[Node | None] = []
        self.buckets: list[_Bucket] = []
        self.bucket_of: dict[Node, int] = {}
        #: The passes that are on their way, the innermost last.
        self.passes: list[_Pass] = []
        #: What is in the buckets, in words, and the words that all ranks have agreed on.
        self.layout = self.known = ""
        self.fill()
        self.known = self.layout

    def fill(self) -> None:
        """Put the parameters into buckets. Their nodes are others where they needed no gradient for a while, or have another
        dtype.

        Raises:
            RuntimeError: the optimizer has others too.
        """
        opt = self.optimizers[0]()
        if opt is not None and len(opt.slots) != len(self.params):
            raise RuntimeError(
                f"parallel.optimizer: the optimizer had {len(self.params)} parameters, and has {len(opt.slots)} now: call "
                "parallel.optimizer(opt) again after add_param_group"
            )
        nodes: list[Node | None] = [param._node for param in self.params.values()]
        if nodes == self.nodes:
            return
        self.nodes, self.buckets, self.bucket_of = nodes, [], {}
        open_: dict[np.dtype, int] = {}
        # The last parameters of a model have their gradients first.
        for name, leaf in reversed(list(zip(self.params, nodes, strict=True))):
            if not isinstance(leaf, Leaf):
                continue
            at = open_.get(leaf.dtype)
            if at is None or self.buckets[at].size * self.buckets[at].sent.itemsize > BUCKET:
                at = open_[leaf.dtype] = len(self.buckets)
                self.buckets.append(_Bucket(self.ranks, leaf.dtype))
            self.buckets[at].add(name, leaf)
            self.bucket_of[leaf] = at
        without = [name for name, leaf in zip(self.params, nodes, strict=True) if not isinstance(leaf, Leaf)]
        every = [f"{name} {leaf.dtype}" for b in self.buckets for name, leaf in zip(b.names, b.leaves, strict=True)]
        self.layout = f"gradients of {len(every)} parameters ({zlib.crc32(repr(every).encode()):08x})"
        self.layout += f", without {', '.join(without)}" if without else ""

    def agree(self) -> None:
        """Check that all ranks send the same, if it is something else than before: what fits by chance would be added up too.

        Raises:
            RuntimeError: on all ranks that send something else than before, where they do not send the same.
        """
        if self.known != self.layout:
            self.ranks.agree(self.layout)
            self.known = self.layout

    def covered(self, other: _Averaging) -> bool:
        """Whether another one has all of its parameters."""
        theirs = {id(param) for param in other.params.values()}
        return all(id(param) in theirs for param in self.params.values())

    def pull(self, step: PullStep) -> PullStep:
        self.fill()
        on = _Pass(self)
        self.passes.append(on)

        def pull(node: Node, g: Array, grads: Any) -> None:
            if on.waiting is None:
                on.count(grads.roots)
                if on.waiting:
                    self.agree()
                    if self.ranks.weighted is not grads:  # once, for however many optimizers
                        self.ranks.weighted = grads
                        g = self.weighted(g, grads)
            step(node, g, grads)
            on.pulled(node, grads)

        return pull

    def weighted(self, g: Any, grads: Any) -> Any:
        """The gradients that the pass begins with, times what this rank's part counts. (Not those that it comes to: what flows
        to other ranks counts as much.)"""
        if grads.on_tensors:
            weight = ops.host(lambda: self.ranks.weight, g.dtype)
        else:
            weight = np.asarray(self.ranks.weight, g.dtype)
        for root in list(grads):
            grads[root] = grads[root] * weight
        return g * weight

    def leaves(self, gradients: list[tuple[Node, Array]]) -> None:
        self.ranks.weighted = None
        self.passes.pop().finish(gradients)

    def failed(self, node: Node, error: Exception, roots: tuple[Node, ...]) -> None:
        self.ranks.weighted = None
        # Where its end failed, for this optimizer or another one, it is no longer here.
        if self.passes and self.passes[-1].roots in ((), roots):
            self.passes.pop()
        for bucket in self.buckets:
            bucket.give_up()


class _Pass:
    """One backward pass: which gradients are complete, and which buckets are on their way."""

    def __init__(self, averaging: _Averaging) -> None:
        self.averaging = averaging
        #: What it began with, once it has come to a first node.
        self.roots: tuple[Node, ...] = ()
        #: Of each parameter, how many nodes have yet to add to its gradient.
        self.waiting: dict[Node, int] | None = None
        self.missing = [len(bucket.leaves) for bucket in averaging.buckets]
        self.ready: dict[Node, Any] = {}
        #: What ends each bucket that was begun.
        self.sent: list[Callable[[], Sequence[Any]]] = []

    def count(self, roots: tuple[Node, ...]) -> None:
        """Count the nodes that use each parameter."""
        self.roots = roots
        waiting: dict[Node, int] = {}
        seen = set(roots)
        stack = list(seen)
        ours = self.averaging.bucket_of
        for node in stack:  # grows while it is walked over
            for parent in node.parents:
                if parent in ours:
                    waiting[parent] = waiting.get(parent, 0) + 1
                elif parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
        self.waiting = waiting

    def pulled(self, node: Node, grads: Any) -> None:
        """A node has added to the gradients of what it was computed from."""
        assert self.waiting is not None
        ours = self.averaging.bucket_of
        for parent in node.parents:
            if parent in ours:
                self.waiting[parent] -= 1
                if not self.waiting[parent] and parent in grads and parent not in hooked_nodes:  # its hooks come later
                    self.ready[parent] = grads.as_tensor(grads[parent])
                    self.missing[ours[parent]] -= 1
                    self.send(grads.on_tensors)

    def send(self, on_tensors: bool, every: bool = False) -> None:
        """Send the buckets that are complete, or all of them, in their order, which is the same on all ranks."""
        buckets = self.averaging.buckets
        while len(self.sent) < len(buckets) and (every or not self.missing[len(self.sent)]):
            bucket = buckets[len(self.sent)]
            gradients = [self.ready.get(leaf) for leaf in bucket.leaves]
            if on_tensors:
                self.sent.append(bucket.begin_recorded(gradients))
            else:
                bucket.begin([g._data if type(g) is Tensor else g for g in gradients])
                self.sent.append(bucket.end)

    def finish(self, gradients: list[tuple[Node, Array]]) -> None:
        """Put the means in the place of the gradients."""
        ours = self.averaging.bucket_of
        found = {node: g for node, g in gradients if node in ours}
        if not found and not self.waiting:
            return
        self.ready.update(found)
        capture = capturing()
        self.send(capture is not None, every=True)
        gradients[:] = [(node, g) for node, g in gradients if node not in ours]
        for bucket, end in zip(self.averaging.buckets, self.sent, strict=True):
            gradients += [(leaf, g) for leaf, g in zip(bucket.leaves, end(), strict=True) if g is not None]
