"""`tn.profile`: what each op and each module of a step costs."""

from __future__ import annotations

from time import perf_counter

from tapenet.autodiff.node import Scope, next_number
from tapenet.autodiff.observe import epoch
from tapenet.autodiff.observe.profile import END, Timing
from tapenet.autodiff.state import State, local
from tapenet.ops.op import Op
from tapenet.ops.stack_frames import user_line
from tapenet.profiling.history import History
from tapenet.profiling.places import Places
from tapenet.profiling.records import Record, Step, entries, read
from tapenet.profiling.rows import ModuleRow, OpRow, by_module, by_op, dearest
from tapenet.profiling.table import table
from tapenet.profiling.values import Stats, Values

_PLACE = 2  # of an op's scope in its entry


def profile(*, values: bool = False) -> Profile:
    """Measure what runs in a block: time, memory and multiply-adds of each op and each module, forward and backward.

    A block is a step. The same object may be entered again, for another step. To print it shows tables of the last one,
    the dearest first; `steps`, `nodes()`, `ops()`, `modules()` and `history()` give the same as data. Works with and
    without a `tn.Tape()`, in debug mode, and around functions made by `tn.compile`, whose calls have one row each. It
    is for the thread that entered it. Optimizers have rows; what else Python does counts as "other".

    Times are wall-clock times. A step takes about 4 µs longer than without, and each op 0.8 µs forward and 0.5 backward,
    of which the rows show next to nothing. Every step is kept, with some 200 bytes for each op, so measure some steps,
    not a whole training.

    Args:
        values: keep statistics of every activation and gradient too (mean, standard deviation, largest value, zeros,
            nan, infinity, norm), and where nan and infinity were born. Slower by far.

    Returns:
        a context manager, which `with tn.profile() as prof` gives a name.

    Raises:
        RuntimeError: on entering it, if a profile is on in this thread, or this one in another.

    >>> import tapenet as tn
    >>> from tapenet import nn
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> with tn.profile() as prof:
    ...     loss = (net(tn.tensor([[0, 1]], dtype="float32")) ** 2).mean()
    ...     loss.backward()
    >>> [(r.op, r.path, r.multiply_adds) for r in prof.steps[0].records]
    [('linear', '0', 6), ('tanh', '1', None), ('linear', '2', 3), ('power', '', None), ('mean', '', None)]
    >>> print(prof)  # doctest: +ELLIPSIS
    1 step of ...
    """
    return Profile(values)


class Profile:
    """What `tn.profile()` gives: the steps that were measured.

    Attributes:
        values: whether statistics of activations and gradients are kept.
    """

    __slots__ = (
        "_epoch",
        "_held",
        "_history",
        "_named",
        "_places",
        "_seen",
        "_start",
        "_state",
        "_steps",
        "_timing",
        "_watch",
    )

    def __init__(self, values: bool = False) -> None:
        self._watch = Values() if values else None
        self._timing = Timing()
        #: The state of the thread that has entered it.
        self._state: State | None = None
        self._start = 0.0
        self._places = Places()
        #: How many items of the timing have their scopes replaced by places.
        self._named = 0
        #: The modules of others, by scope; how many items were looked at for these, and `epoch.current` as it was then.
        self._held: dict[Scope, object] = {}
        self._seen = 0
        self._epoch = -1
        self._steps: list[Step] = []
        self._history = History()

    @property
    def values(self) -> bool:
        """Whether statistics of activations and gradients are kept."""
        return self._watch is not None

    def __enter__(self) -> Profile:
        state = local.state
        if state.profile is not None or self._state is not None:
            self._refuse()
        timing = self._timing
        timing.first = next_number()
        if self._watch is not None:
            self._watch.begin()
        self._state = state
        try:
            layers = [timing] if self._watch is None else [self._watch, timing]
            state.begin(self, profile=timing, layers=state.layered(Timing, *layers))
            self._start = perf_counter()
        except BaseException:  # an interrupt: the block is not entered
            state.end(self)
            self._state = None
            raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        timing = self._timing
        state = self._state
        assert state is not None
        try:
            timing += (END, self._start, perf_counter())
            state.end(self)
        except BaseException:  # an interrupt
            state.end(self)
            raise
        finally:
            self._state = None
        if timing.bound:
            self._name()
        elif epoch.current != self._epoch:  # else there is no new module
            self._hold()

    def _refuse(self) -> None:
        where = "in another thread" if local.state.profile is None else "in this thread"
        raise RuntimeError(
            f"{user_line()} enters a tn.profile() while one is on {where}: use one profile around both blocks, or enter "
            "them one after the other"
        )

    def _hold(self) -> None:
        """Keep the modules that ran until somebody asks for their names. Scopes hold them weakly."""
        scopes = {item for item in self._timing[self._seen :] if type(item) is Scope}
        while scopes:
            scope = scopes.pop()
            if scope not in self._held:
                self._held[scope] = None if scope.owner is None else scope.owner()
                if scope.parent is not None:
                    scopes.add(scope.parent)
        self._seen, self._epoch = len(self._timing), epoch.current

    def _name(self) -> None:
        """Replace scopes by places."""
        timing = self._timing
        found = [i + _PLACE for i in entries(timing, self._named) if isinstance(timing[i], Op)]
        places = self._places.resolve(timing[i] for i in found)
        for i in found:
            timing[i] = places[timing[i]]
        self._named = self._seen = len(timing)
        timing.bound = False
        self._held.clear()
        self._epoch = -1  # a module may be gone before the next block

    # -- data ----------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> list[Step]:
        """The steps that have ended, in order."""
        self._read()
        return self._steps

    def _read(self) -> None:
        """Make steps of what was noted since this was last done. A block that is open stays."""
        timing, watch = self._timing, self._watch
        if not timing:
            return
        self._name()
        blocks = list(read(timing))
        for i, block in enumerate(blocks):
            step = block.step(None if watch is None else watch.blocks[i])
            self._steps.append(step)
            self._history.add(step)
        ends = [i for i in entries(timing) if timing[i] == END]
        del timing[: ends[-1] + 3 if ends else 0]
        self._named = self._seen = len(timing)
        if watch is not None:
            del watch.blocks[: len(blocks)]

    def _step(self, step: int) -> Step:
        steps = self.steps
        if not -len(steps) <= step < len(steps):
            raise IndexError(
                f"there is no step {step}: "
                + ("no block has ended" if not steps else f"{len(steps)} were measured, counted from 0")
            )
        return steps[step]

    def nodes(self, step: int = -1) -> list[Record]:
        """The ops of a step, the dearest first.

        Raises:
            IndexError: there is no such step.
        """
        return dearest(self._step(step).records)

    def ops(self, step: int = -1) -> list[OpRow]:
        """The ops of a step by name, the dearest first.

        Raises:
            IndexError: there is no such step.
        """
        return by_op(self._step(step).records)

    def modules(self, step: int = -1) -> list[ModuleRow]:
        """The modules of a step with all that ran inside each: each followed by those within, the dearest first. What
        ran outside modules has a row with an empty `root`.

        Raises:
            IndexError: there is no such step.
        """
        return by_module(self._step(step).records)

    def history(self, number: int) -> list[Record | None]:
        """What became of one op over the steps: a record for each step, None where it did not run.

        The same op in another step is the one at the same place, if that step ran the same ops in the same modules; else
        the n-th of its name in its module, if it was the n-th.

        Args:
            number: of the op's node in any of the steps, `t.node.number`. For one that no step knows all are None.
        """
        self._read()
        return self._history.of(number)

    def leaf_history(self, number: int) -> list[Stats | None]:
        """The statistics of a leaf's gradient in each step, with `values=True`; None where no gradient came to it.

        Args:
            number: of the leaf's node, `p.node.number`.
        """
        return [step.leaves.get(number) for step in self.steps]

    # -- text ----------------------------------------------------------------------------------------------------

    def table(self, step: int = -1, rows: int = 20) -> str:
        """A step in words: a summary, then its modules, its ops by name, and its ops one by one.

        Args:
            step: which one.
            rows: the most rows of each table. Of the modules, the outer ones come first.

        Raises:
            IndexError: there is no such step.
        """
        return table(self._step(step), rows)

    def __str__(self) -> str:
        count = len(self.steps)
        if not count:
            return "a profile of no steps"
        return f"{count} step{'s, the last' if count > 1 else ''} of {self.table()}"

    __repr__ = __str__
