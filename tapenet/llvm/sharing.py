"""Code that does a part of a range, and how the parts are dealt out to threads (`workers`).

How a range is cut depends on its length and on what it costs where each part has sums of its own, so that results are the
same for any number of threads; else on the number of threads too, since a cut has a price: what all parts read is read anew.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from tapenet.llvm import rehearsal, toolchain, workers
from tapenet.llvm.addresses import LINE, address

if TYPE_CHECKING:
    from tapenet.llvm.toolchain import Library, Piece

#: Multiply-adds of a part at least, of which a processor does so many in a cycle; and of work that wakes nobody.
PART, AWAKE = 32 * workers.PART, 32 * workers.AWAKE
#: Multiply-adds from which work wakes threads.
WAKES = 2 * PART
#: Parts for each thread at most, where their number is free: who is held up does fewer.
ROUNDS = 4
#: Multiply-adds for each number that a part has of its own: it is cleared, and added to that of the others. Winograd's gradient
#: by the weights of 64 by 64 channels takes 1.1 ms in one part, 3 % more in two.
OWN = 300

#: Multiply-adds in the time that a thread takes to get a byte that another core has written: a product of (64, 784, 100) takes
#: as long on two threads as on one.
BYTE = 6

#: What a parameter of code is: memory, or an integer, the same for all parts; memory that a part has of its own; memory that
#: a thread has while it does a part; the beginning and the end of the part.
POINTER, INTEGER, EACH, SCRATCH, BEGIN, END = "pointer", "integer", "each", "scratch", "begin", "end"
#: Words of a context before the arguments: the range's length, how many parts it is cut into, memory of the threads, and
#: how many bytes each has.
_HEAD = 4


def text(name: str, parameters: Sequence[str], grain: int = 1) -> str:
    """IR of `NAME_part(context, item, thread)`, which calls @NAME for a part of its range. Parts begin at multiples of
    `grain`. LLVM makes nothing better of it: that takes 4 ms of 20 to 50, and a part takes 10 µs or more."""
    lines = [f"define void @{name}_part(ptr %context, i64 %item, i64 %thread) optnone noinline #0 {{"]

    def word(register: str, type: str, at: int) -> None:
        lines.append(f"  %at_{register} = getelementptr i64, ptr %context, i64 {at}")
        lines.append(f"  %{register} = load {type}, ptr %at_{register}")

    for at, (register, type) in enumerate((("length", "i64"), ("parts", "i64"), ("memory", "ptr"), ("room", "i64"))):
        word(register, type, at)
    lines += [
        f"  %over = add i64 %length, {grain - 1}",
        f"  %units = udiv i64 %over, {grain}",
        "  %later = add i64 %item, 1",
        "  %offset = mul i64 %thread, %room",
        "  %own = getelementptr i8, ptr %memory, i64 %offset",
    ]
    for which, item in (("begin", "%item"), ("end", "%later")):
        lines += [
            f"  %{which}0 = mul i64 %units, {item}",
            f"  %{which}1 = udiv i64 %{which}0, %parts",
            f"  %{which}2 = mul i64 %{which}1, {grain}",
            f"  %{which}3 = icmp ult i64 %{which}2, %length",
            f"  %{which} = select i1 %{which}3, i64 %{which}2, i64 %length",
        ]
    arguments, at = [], _HEAD
    for i, kind in enumerate(parameters):
        if kind in (BEGIN, END):
            arguments.append(f"i64 %{kind}")
            continue
        pointer = kind in (POINTER, EACH)
        word(f"w{i}", "ptr" if pointer else "i64", at)
        at += 1
        if kind == EACH:
            word(f"s{i}", "i64", at)
            at += 1
            lines.append(f"  %o{i} = mul i64 %item, %s{i}")
            lines.append(f"  %p{i} = getelementptr i8, ptr %w{i}, i64 %o{i}")
        elif kind == SCRATCH:
            lines.append(f"  %p{i} = getelementptr i8, ptr %own, i64 %w{i}")
        arguments.append(f"i64 %w{i}" if kind == INTEGER else f"ptr %{'w' if kind == POINTER else 'p'}{i}")
    call = f"  call void @{name}({', '.join(arguments)}) noinline"
    return "\n".join([*lines, call, "  ret void", "}", ""])


def parts(length: int, cost: int, own: int = 0, grain: int = 1) -> int:
    """How many parts, which begin at multiples of a grain, a range of this length is worth that takes so many multiply-adds. If
    each has so many numbers of its own there is an even number, so that two threads have as much to do."""
    most = max(1, min(-(-length // grain), cost // (PART + OWN * own), workers.PARTS))
    return most - most % 2 if own and most > 1 else most


class Shared:
    """Code for a range, by the name under which `text` defined it: `run(length, cost, *arguments)`. `library` gives the code
    when it is there; other code calls it by the `symbol`.

    Arguments are those of the code but for the part's beginning and end: arrays and integers; for memory that each part has
    an array (parts, ...), as many as `parts` says; for memory that a thread needs how many bytes. The interpreter's lock is
    released meanwhile.
    """

    def __init__(
        self, library: Callable[[], Library], name: str, parameters: Sequence[str], grain: int = 1, rounds: int = ROUNDS,
        symbol: str = "",
    ) -> None:  # fmt: skip
        self.begun, self._name, self._symbol = library, name, symbol
        #: What it is made of besides the code.
        self.form = name, [*parameters], grain, rounds, symbol
        #: Is told of the code when that is there.
        self.loaded: Callable[[Library], None] | None = None
        if symbol:
            _named[self._symbol] = self
        self._library: Library | None = None
        self._function = 0
        #: What its arguments are.
        self.kinds = [kind for kind in parameters if kind not in (BEGIN, END)]
        self._plain = not {EACH, SCRATCH} & set(self.kinds)
        self._grain = grain
        #: Parts for each thread at most; None where the range is cut by its cost alone.
        self.rounds = None if EACH in self.kinds else rounds

    def _load(self) -> Library:
        """The code, for which the first call waits."""
        library = self.begun()
        if self.loaded is not None:
            self.loaded(library)
        self._function = library.address(f"{self._name}_part")
        self._run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 2)(self._function)
        self._library = library
        return library

    def parts(self, length: int, cost: int, own: int = 0) -> int:
        """How many parts a range of this length has that takes so many multiply-adds, where each has so many numbers of its
        own."""
        threads = workers.threads()
        if threads < 2 and self.rounds is not None:
            return 1
        most = self.most(length, cost, own)
        if most < 2 or self.rounds is None:
            return most
        return min(most - most % threads or most, threads * self.rounds)  # so that threads have as much to do

    def most(self, length: int, cost: int, own: int = 0) -> int:
        """The same for any number of threads, at most."""
        return parts(length, cost, own, self._grain)

    def few(self, length: int, cost: int) -> int:
        """The same in a program, where each thread has one part and threads are awake. In eager mode NumPy's functions may come
        next, which would read the half of it from another core."""
        return min(-(-length // self._grain), cost // AWAKE)

    def symbol(self) -> str:
        """What other code calls its function for a part by, which stays from now on; "" if there is no such name."""
        if self._symbol and self._symbol not in _lasting:
            _lasting[self._symbol] = self._library or self._load()
            toolchain.symbols[self._symbol] = self._function
        return self._symbol

    def __call__(
        self, length: int, cost: int, *arguments: np.ndarray | int, parts: int | None = None, blocks: int = 0
    ) -> None:
        """Do the range, on several threads where it pays; in so many parts, or, where it is quickest in one piece, in so many
        blocks at most."""
        if rehearsal.state.on:
            if rehearsal.state.record is not None:
                fixed = parts if parts or self.rounds is not None else self.parts(length, cost)
                most = (blocks, blocks) if blocks else (self.most(length, cost), self.few(length, cost))
                rehearsal.state.record.launch(self, length, fixed, most, cost, arguments)
            return
        if self._library is None:
            self._load()
        count = parts or (workers.blocks(blocks) if blocks else self.parts(length, cost))
        threads = 1 if count == 1 else min(count, workers.threads())
        memory = None
        if self._plain:
            words = [a if isinstance(a, int) else address(a) for a in arguments]
            words = [length, count, 0, 0, *words]
        else:
            room, found = 0, []
            for kind, a in zip(self.kinds, arguments, strict=True):
                if kind == SCRATCH:
                    found.append(room)
                    room += -(-int(a) // LINE) * LINE
                elif isinstance(a, int):
                    found.append(a)
                else:
                    found += [address(a), a.strides[0]] if kind == EACH else [address(a)]
            memory = np.empty(threads * room + LINE, np.int8)
            words = [length, count, -(-address(memory) // LINE) * LINE, room, *found]
        context = array("q", words)
        at = context.buffer_info()[0]
        if count == 1:
            self._run(at, 0, 0)
        else:
            workers.share(self._function, at, count, threads)


def named(symbol: str, pieces: Sequence[Piece] = ()) -> bool:
    """Whether other code may call code by this name from now on: there is such code in this process, or the cache has these
    pieces of it."""
    found = _named.get(symbol)
    if found is not None:
        found.symbol()
    elif symbol not in _lasting and pieces and (library := toolchain.load(pieces)) is not None:
        _lasting[symbol] = library
        toolchain.symbols[symbol] = library.address(f"{symbol.rpartition('_')[0]}_part")
    return symbol in _lasting


def pieces(symbol: str) -> Sequence[Piece]:
    """What such code is made of."""
    return _lasting[symbol].pieces


#: Code that other code may call, by its name there; and what of it is called.
_named: WeakValueDictionary[str, Shared] = WeakValueDictionary()
_lasting: dict[str, Library] = {}
