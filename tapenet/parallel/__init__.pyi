# Made by `python -m tests.stubs`.
from numpy.typing import ArrayLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.parallel.averaging import equal as equal
from tapenet.parallel.averaging import optimizer as optimizer
from tapenet.parallel.collectives import recv as recv
from tapenet.parallel.mapping import map as map
from tapenet.parallel.ranks import init as init
from tapenet.parallel.ranks import rank as rank
from tapenet.parallel.ranks import size as size
from tapenet.parallel.sharding import Shard as Shard
from tapenet.parallel.sharding import shard as shard
from tapenet.parallel.statistics import synchronize_batch_norm as synchronize_batch_norm

def allgather(x: ArrayLike) -> Tensor:
    """All ranks' arrays behind each other along the first axis, on each of them. Its adjoint is `reduce_scatter`."""

def allreduce(x: ArrayLike, op: str = 'sum') -> Tensor:
    """The sum of all ranks' arrays, on each of them; or their mean, maximum or minimum, element by element."""

def broadcast(x: ArrayLike, root: int = 0) -> Tensor:
    """The array of one rank, on all of them. Its adjoint is `reduce`."""

def reduce(x: ArrayLike, root: int = 0) -> Tensor:
    """The sum of all ranks' arrays on one of them, and zeros on the others. Its adjoint is `broadcast`."""

def reduce_scatter(x: ArrayLike) -> Tensor:
    """The sum of all ranks' arrays, of which each rank gets its part along the first axis. Its adjoint is `allgather`."""

def send(x: ArrayLike, to: int) -> Tensor:
    """Send an array to another rank, where `recv` takes it. Several to the same rank arrive in their order."""
