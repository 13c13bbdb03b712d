"""The ranks of a run: how many there are, which this one is, and that all of them end where one fails."""

from __future__ import annotations

import atexit
import faulthandler
import hashlib
import importlib
import itertools
import math
import os
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tapenet import kernels
from tapenet.llvm.addresses import LINE, address
from tapenet.parallel import launched
from tapenet.parallel.agreement import Meeting
from tapenet.parallel.killed import Notice
from tapenet.program.called_ops import ALONE

INSTALL = 'pip install "tapenet[mpi]" brings mpi4py and an MPI library'
#: Seconds between two looks at what other ranks tell.
_LOOK = 0.2
#: Seconds that a rank waits for others before it tells them what for.
_PATIENCE = 5.0
#: Seconds until it tells them again, and how often each has to say the same before they are believed to wait for each other:
#: what was said may be long past where processes are stopped, or have little of a processor.
_AGAIN = 1.0
_BELIEVED = 3
#: Seconds that the end of all ranks by MPI may take.
_ABORT = 3
#: What is in front of a sent array is a multiple of so many bytes, so that its numbers are aligned.
_ALIGNED = 64
#: What a rank tells that does something by itself, and is not to be waited for less long than that takes.
_AT_WORK = "at work"
#: Bytes of an array whose memory is kept: glibc gives larger ones than the least back to the system (`kernels.keep_memory`).
_KEPT = range(1 << 25, 1 << 28)


class Waiting(NamedTuple):
    """What a rank waits for.

    Attributes:
        number: counts what this rank has waited for.
        what: in words.
        together: whether all ranks have to come to it.
    """

    number: int
    what: str
    together: bool


@dataclass(eq=False)
class Label:
    """What native code waits for.

    Attributes:
        what: in words.
        number: says which it is, as long as the label is kept.
        inside: of which native code adds 1 to the first number as it begins to wait, and sets the second, to 0 at the end.
    """

    what: str
    number: int
    inside: np.ndarray

    @property
    def words(self) -> tuple[int, int]:
        """What native code is told: where the numbers are, and the label's own."""
        return self.inside.ctypes.data, self.number


@dataclass(eq=False)
class World:
    """All ranks, as one of them sees them. Without MPI there is one.

    Attributes:
        comm: for collectives and messages of the user's.
        gradients: for gradients that are sent while a backward pass runs, and for messages in which ranks agree.
        control: for what ranks tell each other about themselves.
        rank, size: which one this is, of how many.
        collectives: how many calls that all ranks make together this one has begun to wait for.
    """

    MPI: Any
    comm: Any
    gradients: Any
    control: Any
    rank: int
    size: int
    timeout: float

    def __post_init__(self) -> None:
        self._collectives = 0
        #: Of what native code waits for: how often it has, and the number of the label that it waits for now, 0 for none.
        self.inside = np.zeros(2, np.int64)
        self._labels: weakref.WeakValueDictionary[int, Label] = weakref.WeakValueDictionary()
        self._numbers = itertools.count(1)
        #: Of each loop over batches that is on its way, the samples of this rank and of all in its batch; the latest last.
        self.batches: dict[object, tuple[int, int]] = {}
        #: The backward pass that began with gradients times that.
        self.weighted: object = None
        self._count = 0
        #: Arrays on their way to others, which have to stay until they are taken.
        self._posted: list[tuple[Any, np.ndarray]] = []
        #: What others were told, until they know.
        self._sent: list[Any] = []
        #: The memory of the last large array that was combined.
        self._last: np.ndarray | None = None
        self._left = False
        self._waiting: tuple[int, str, bool] | None = None
        self._seen = 0
        self._since = 0.0
        self._told: Waiting | None = None
        #: Of each rank that has ended, how many collectives it took part in; of each that waits, for what.
        self._ended: dict[int, int] = {}
        self._others: dict[int, Waiting | None] = {}
        #: How often each has said that, since this one began to tell the others itself; and when this one told them last.
        self._said: dict[int, int] = {}
        self._told_at = 0.0
        #: Whether this one does something that may take any time; when it told so, and when another one did.
        self._at_work = False
        self._told_of_work = self._heard_of_work = 0.0
        #: What tells of signals while the interpreter waits in a call of MPI; when Ctrl-C came since this
        #: rank waits; and when that was looked for last.
        self._signals: int | None = None
        self._interrupts: list[float] = []
        self._heard = 0.0
        self._looking = threading.Lock()
        self._pid = os.getpid()
        #: Tells of a sudden end.
        self.notice: Notice | None = None

    @property
    def batch(self) -> tuple[int, int] | None:
        """The samples of this rank in a batch, and of all; None outside of loops over parts."""
        return next(reversed(self.batches.values()), None)

    @property
    def weight(self) -> float:
        """What the gradients of this rank count in the mean of all: the share of its samples in a batch times the ranks."""
        own, every = self.batch or (1, self.size)
        return own * self.size / every

    @property
    def collectives(self) -> int:
        return self._collectives + int(self.inside[0])

    @cached_property
    def meeting(self) -> Meeting | None:
        """How ranks agree; None where not all have native code. Asked for by several ranks alone, and by all of them."""
        return Meeting.of(self)

    # -- waiting -------------------------------------------------------------------------------------------------

    def waiting(self, what: str, together: bool = True) -> AbstractContextManager[None]:
        """Around a call that waits for other ranks."""
        return _Wait(self, what, together)

    def label(self, what: str) -> Label:
        """By what native code says what it waits for, as long as it is kept."""
        label = Label(what, next(self._numbers), self.inside)
        self._labels[label.number] = label
        return label

    def allreduce(self, what: str, x: np.ndarray, dtype: np.dtype, how: str = "SUM") -> np.ndarray:
        """The arrays of all ranks, combined in a new one, if the ranks agree that they make the same call.

        Args:
            what: the call, in words that are the same on all ranks if they make the same, shape and dtype included.
            x: the array of this rank.
            dtype: what it is sent as.
            how: MPI's name of the operation.

        Raises:
            RuntimeError: on all ranks, if they make different calls.
        """
        return self.combining(what, x.shape, dtype, how)(np.asarray(x, dtype))

    def combining(
        self, what: str, shape: tuple[int, ...], dtype: np.dtype, how: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        """What makes such a call, made beforehand."""
        if self.meeting is not None:
            call = self.meeting.call(what, dtype, shape, how)
            if call.combines:
                return call.combine
        return partial(self._combined, what, how)

    def _combined(self, what: str, how: str, x: np.ndarray) -> np.ndarray:
        self.agree(what)
        given = np.asarray(x, order="C")
        out = self.new(given.shape, given.dtype)
        with _Wait(self, what, True):
            self.comm.Allreduce(given, out, getattr(self.MPI, how))
        return out

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Around what a rank does by itself, for as long as that takes: while it lives, others wait for it."""
        self._at_work = True
        try:
            yield
        finally:
            self._at_work = False

    def agree(self, what: str) -> None:
        """Check that all ranks are about to make the same call; it costs an exchange.

        Raises:
            RuntimeError: on all ranks, if they are not.
        """
        if self.size == 1:
            return
        if self.meeting is not None:
            self.meeting.call(what, _NOTHING.dtype, _NOTHING.shape, "SUM").combine(_NOTHING)
            return
        # Without native code: of one length, since MPICH ends a process that gets a longer message than it asked for.
        seal = np.frombuffer(hashlib.sha512(what.encode()).digest(), np.uint8).astype(np.int64)
        total = np.empty_like(seal)
        with _Wait(self, what, True):
            self.comm.Allreduce(seal, total, self.MPI.SUM)
        if not np.array_equal(total, self.size * seal):
            self.differ(what)

    def differ(self, what: str) -> NoReturn:
        """Raise an error that says what each rank calls."""
        with self.waiting(what):
            every = self.comm.allgather(what)
        raise RuntimeError(
            f"the ranks make different calls, where all must make the same: {listed(dict(enumerate(every)))}"
        )

    def new(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """A new array; a large one in the memory of the last where nobody has that any more. The C library would fetch it from
        the system page by page: a sum of 64 MB takes 1.7 times as long."""
        count = math.prod(shape) * dtype.itemsize
        if count not in _KEPT:
            return np.empty(shape, dtype)
        base, size = self._last, count + LINE
        if base is None or base.size != size or sys.getrefcount(base) > ALONE + 1:
            base = self._last = np.empty(size, np.uint8)
        begin = -address(base) % LINE
        return base[begin : begin + count].view(dtype).reshape(shape)

    # -- from one rank to another --------------------------------------------------------------------------------

    def post(self, x: np.ndarray, to: int) -> None:
        """Send an array without waiting for the other rank; it may be changed afterwards."""
        whole = np.concatenate([np.frombuffer(_head(x.shape, x.dtype), np.uint8), x.reshape(-1).view(np.uint8)])
        self.keep(self.comm.Isend(whole, to), whole)

    def keep(self, request: Any, x: np.ndarray) -> None:
        """Keep the memory of an exchange until it is through."""
        self._posted = [(sent, kept) for sent, kept in self._posted if not sent.Test()]
        self._posted.append((request, x))

    def fetch(self, shape: tuple[int, ...], dtype: np.dtype, source: int) -> np.ndarray:
        """Wait for an array of another rank.

        Raises:
            RuntimeError: it is another one.
        """
        status = self.MPI.Status()
        with self.waiting(f"recv of rank {self.rank} from rank {source}", together=False):
            self.comm.Probe(source, status=status)
            whole = np.empty(status.Get_count(), np.uint8)
            self.comm.Recv(whole, source)
        head = _head(shape, dtype)
        if bytes(whole[: len(head)]) != head:
            came = bytes(whole[:4096]).partition(b"\n")[0].decode()
            raise RuntimeError(f"recv: rank {source} sent {came}, where rank {self.rank} wants {dtype} {shape}")
        return whole[len(head) :].view(dtype).reshape(shape)

    # -- telling others ------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Look from time to time whether other ranks ended, or wait for something that cannot come. In a thread of its own."""
        while True:
            time.sleep(_LOOK)
            with self._looking:
                if self._left or self._pid != os.getpid() or self.MPI.Is_finalized():
                    return
                self._look()

    def hear(self) -> None:
        """Let the thread that watches know of Ctrl-C, of which the interpreter hears when a call of MPI is through."""
        if os.name != "posix" or threading.current_thread() is not threading.main_thread():
            return
        others = signal.set_wakeup_fd(-1)
        if others >= 0:  # the program's own
            signal.set_wakeup_fd(others)
            return
        self._signals, writes = os.pipe()
        for end in (self._signals, writes):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))

    def _interrupted(self) -> bool:
        """Whether Ctrl-C came while this rank waits, and that goes on. Where the program does something about it by itself, as
        `fit` does, it has to come twice."""
        if self._signals is None:
            return False
        before, self._heard = self._heard, time.monotonic()
        now = self._heard
        try:
            came = os.read(self._signals, 1000).count(signal.SIGINT)
        except BlockingIOError:
            came = 0
        if self._since >= before:  # it may have come before this rank waits, and the program has heard of it
            came = 0
        self._interrupts = [at for at in self._interrupts if at > self._since] + came * [now]
        wanted = 1 if signal.getsignal(signal.SIGINT) is signal.default_int_handler else 2
        return len(self._interrupts) >= wanted and now - self._interrupts[wanted - 1] > _PATIENCE

    def _now(self) -> Waiting | None:
        """What this rank waits for, in Python or in a compiled program."""
        number, label = map(int, self.inside)
        if self._waiting is not None:
            return Waiting(*self._waiting)
        found = self._labels.get(label)
        if found is None:
            return None
        if self._seen != number:
            self._seen, self._since = number, time.monotonic()
        return Waiting(-number, found.what, True)  # others are counted upwards

    def _look(self) -> None:
        self._take()
        waiting = self._now()
        patient = waiting is None or time.monotonic() - self._since < min(_PATIENCE, self.timeout / 2)
        if self._at_work and time.monotonic() - self._told_of_work > self.timeout / 4:
            self._tell(_AT_WORK)
            self._told_of_work = time.monotonic()
        if waiting is not None and time.monotonic() - max(self._since, self._heard_of_work) > self.timeout:
            absent = [str(r) for r in range(self.size) if r != self.rank and self._others.get(r) is None]
            which = f", and rank{'s' * (len(absent) > 1)} {', '.join(absent)} {'do' if len(absent) > 1 else 'does'} not wait"
            self.abort(f"it has waited {self.timeout:g} s for other ranks{which if absent else ''}, in {waiting.what}")
        if self._interrupted() and waiting is not None:
            self.abort(f"Ctrl-C came while it waits for other ranks, in {waiting.what}")
        if self._told is not None and self._told != waiting:
            self._tell(None)
            self._told = None
        if not patient and self._told != waiting:
            self._said.clear()
        if not patient and (self._told != waiting or time.monotonic() - self._told_at > _AGAIN):
            self._tell(waiting)
            self._told = waiting
            self._told_at = time.monotonic()
        if waiting is None or waiting != self._now():
            return
        for rank, count in self._ended.items():
            if waiting.together and self.collectives > count:
                self.abort(
                    f"rank {rank} has ended after {count} calls that all ranks make together, and this one is in number "
                    f"{self.collectives}, {waiting.what}: all ranks must make the same calls"
                )
        known = {rank: other for rank, other in self._others.items() if other is not None}
        believed = all(self._said.get(rank, 0) >= _BELIEVED for rank in known)
        if self._told == waiting and believed and len(known) == self.size - 1 - len(self._ended):
            known[self.rank] = waiting
            if len({other.what for other in known.values()}) > 1 or not waiting.together:
                ended = dict.fromkeys(self._ended, "ended")
                words = listed({rank: other.what for rank, other in known.items()} | ended)
                self.abort(f"all ranks wait for each other, each for something else: {words}")

    def _tell(self, what: object) -> None:
        """Also to ranks that have ended: they wait for the others."""
        self._sent = [sent for sent in self._sent if not sent.Test()]
        self._sent += [self.control.isend(what, other) for other in range(self.size) if other != self.rank]

    def _take(self) -> None:
        status = self.MPI.Status()
        while self.control.iprobe(status=status):
            source = status.Get_source()
            found = self.control.recv(source=source)
            if isinstance(found, int):
                self._ended[source] = found
                self._others.pop(source, None)
            elif found == _AT_WORK:
                self._heard_of_work = time.monotonic()
            else:
                self._said[source] = self._said.get(source, 0) + 1 if found == self._others.get(source) else 1
                self._others[source] = found

    def leave(self) -> None:
        """Tell the others that this rank ends, and wait for them."""
        if self._pid != os.getpid():
            return
        if self.MPI.Is_finalized():  # by the program itself
            if self.notice is not None:
                self.notice.ends()
            return
        with self._looking:
            self._left = True
            self._tell(self.collectives)
        begun = time.monotonic()
        while True:
            self._take()
            # MPI's own end would not bring on their way what is still to be sent.
            self._sent = [sent for sent in self._sent if not sent.Test()]
            if len(self._ended) == self.size - 1 and not self._sent:
                break
            if time.monotonic() - begun > self.timeout:
                self.abort(f"it has ended, and waited {self.timeout:g} s for other ranks to end")
            time.sleep(0.002)
        if any(count != self.collectives for count in self._ended.values()):
            counts = self._ended | {self.rank: self.collectives}
            words = listed({rank: f"after {count}" for rank, count in counts.items()})
            self.abort(f"the ranks ended after different numbers of calls that all make together: {words}")
        status = self.MPI.Status()
        if self.comm.Iprobe(status=status):
            self.abort(
                f"rank {status.Get_source()} sent it an array that it never received. (Where that is a gradient: add the "
                "receipt that send returns to the loss, which asks for it)"
            )
        if self.notice is not None:
            self.notice.ends()

    def abort(self, why: str) -> NoReturn:
        """End all ranks, and say why."""
        sys.stderr.write(f"tapenet.parallel: rank {self.rank} of {self.size} ends all: {why}\n")
        sys.stderr.flush()
        if self.notice is not None:
            self.notice.failed()
        # MPI_Abort may wait for a rank that is stopped, and keeps the interpreter's lock. This needs neither.
        faulthandler.dump_traceback_later(_ABORT, exit=True, file=open(os.devnull, "w"))  # noqa: SIM115
        self.comm.Abort(1)
        raise SystemExit(1)

    def raised(self, kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        """In place of `sys.excepthook`: an exception ends all ranks."""
        if (
            self._pid != os.getpid()
        ):  # a process forked from a rank ends alone, without MPI's end, which would wait for ever
            sys.__excepthook__(kind, error, where)
            sys.stderr.flush()
            os._exit(1)
        text = "".join(traceback.format_exception(kind, error, where))
        sys.stderr.write(text)
        self.abort(f"{kind.__name__}: {error}")


def _head(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """What is sent in front of an array."""
    text = f"{dtype} {shape}\n"
    return text.ljust(-(-len(text) // _ALIGNED) * _ALIGNED).encode()


class _Wait:
    """Says while a call waits for other ranks what it waits for."""

    __slots__ = ("ranks", "together", "what")

    def __init__(self, ranks: World, what: str, together: bool) -> None:
        self.ranks = ranks
        self.what = what
        self.together = together

    def __enter__(self) -> None:
        ranks = self.ranks
        ranks._count += 1
        ranks._collectives += self.together
        ranks._since = time.monotonic()
        ranks._waiting = (ranks._count, self.what, self.together)  # a plain one is made in a quarter of the time

    def __exit__(self, *_: object) -> None:
        self.ranks._waiting = None


#: Numbers of ranks that only agree.
_NOTHING = np.zeros(0, np.int64)


def listed(every: Mapping[int, str]) -> str:
    """What each rank says, ranks that say the same together."""
    by_text: dict[str, list[int]] = {}
    for rank, text in sorted(every.items()):
        by_text.setdefault(text, []).append(rank)
    return "; ".join(f"rank{'s' * (len(r) > 1)} {', '.join(map(str, r))}: {text}" for text, r in by_text.items())


#: This rank, and how many there are.
rank: int
size: int


def __getattr__(name: str) -> int:
    if name in ("rank", "size"):
        return int(getattr(world(), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def init(*, timeout: float = 1800.0) -> None:
    """Find out which rank this is and how many there are, and see to it that all end where one fails. What needs the ranks
    does so by itself; call it first to end all ranks also where one fails before that, or to set the time.

    From then on an exception that nobody catches ends all ranks, with its traceback and a non-zero exit status; so do a rank
    that ends while others wait for it, and ranks that wait for each other in different calls. Where a process is killed,
    `mpiexec` ends the others; which rank it was is said on standard error.

    Launchers are known by the variables that they set. Under one that sets none of the usual ones import `mpi4py.MPI` first.

    Args:
        timeout: seconds that a rank waits for others before it ends all. While MPI starts, no rank can end another: each ends
            after that time by itself, where one never comes. (Of one that ends before, the others of its machine know within
            seconds, under MPICH's launcher.)

    Raises:
        ImportError: several processes were launched, and there is no MPI library to join them: says what to install.

    >>> import tapenet as tn
    >>> tn.parallel.init()
    >>> tn.parallel.rank < tn.parallel.size
    True
    """
    global _timeout
    _timeout = timeout
    world().timeout = timeout


#: Seconds that a rank waits for others, from the start of MPI on.
_timeout = 1800.0


@cache
def world() -> World:
    """The ranks, found out at the first call."""
    count = launched.launched()
    if count < 2:
        return _started(count, _timeout)
    # Where a rank never comes, the others would be in MPI_Init for ever, each with Python's lock. This needs none.
    faulthandler.dump_traceback_later(_timeout, exit=True, file=sys.__stderr__ or 2)
    try:
        with launched.together():
            return _started(count, _timeout)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _started(count: int, timeout: float) -> World:
    alone = World(None, None, None, None, 0, 1, timeout)
    if not count and "mpi4py.MPI" not in sys.modules:
        return alone
    try:
        MPI = _mpi()
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py finds no MPI library
        if count > 1:
            text = f"tapenet.parallel: this is one of {count} ranks, and there is no mpi4py: {INSTALL}"
            raise ImportError(text) from error
        return alone
    launched.mark()
    comm = MPI.COMM_WORLD
    if comm.size == 1 and count > 1:
        library = MPI.Get_library_version().splitlines()[0]
        raise RuntimeError(
            f"tapenet.parallel: {count} processes were launched, of which each sees itself alone: they were started by the "
            f"mpiexec of another MPI library than mpi4py's. Start them by the one that belongs to it, {library}"
        )
    found = World(MPI, comm.Dup(), comm.Dup(), comm.Dup(), comm.rank, comm.size, timeout)
    if found.size > 1:
        kernels.keep_memory()  # into fresh pages an all-reduce of 4 MB takes 3.5 ms, into kept ones 1.2
        run = found.control.bcast(f"{os.getpid()}-{time.time_ns()}", 0)
        faulthandler.cancel_dump_traceback_later()  # all ranks are there
        text = f"tapenet.parallel: rank {found.rank} of {found.size} was killed (process {os.getpid()})"
        found.notice = Notice(run, text, _shared_memory(), launched.hydra())
        sys.excepthook = found.raised
        atexit.register(found.leave)
        if MPI.Query_thread() == MPI.THREAD_MULTIPLE:
            found.hear()
            threading.Thread(target=found.watch, name="tapenet-ranks", daemon=True).start()
    return found


def _shared_memory() -> list[str]:
    """The files through which the ranks of this machine exchange. MPI takes them away, but not where ranks are killed."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    return sorted({line.split()[-1] for line in lines if "/dev/shm/mpich" in line})


def _mpi() -> Any:
    """MPI, started. This module ends it, and not mpi4py, which would do so in a process forked from a rank too, and wait there
    for ever."""
    if "mpi4py.MPI" not in sys.modules:
        importlib.import_module("mpi4py").rc.finalize = False
        atexit.register(_finalize, os.getpid())
    return importlib.import_module("mpi4py.MPI")


def _finalize(pid: int) -> None:
    MPI = sys.modules.get("mpi4py.MPI")
    if MPI is not None and os.getpid() == pid and not MPI.Is_finalized():
        MPI.Finalize()
