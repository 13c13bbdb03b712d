"""Batches made by threads of this process, given in order."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from tapenet.locks import lock

Task = TypeVar("Task")
Out = TypeVar("Out")
#: Result, what came with the task, and an error in place of both.
Result = tuple[Out | None, object, BaseException | None]

#: How long to wait, in seconds, for a thread that is making a batch which is no longer needed.
_PATIENCE = 5.0


class Threads(Generic[Task, Out]):
    """Does `work` on each of `tasks` in some threads, and gives the results in the order of the tasks.

    Tasks are taken from their iterator by one thread at a time. So many of them are begun before their turn as `ahead` says.

    >>> [result for result, _ in Threads(lambda task: 10 * task, zip([1, 2, 3], "abc"), workers=2, ahead=4).run()]
    [10, 20, 30]
    """

    def __init__(
        self, work: Callable[[Task], Out], tasks: Iterator[tuple[Task, object]], *, workers: int, ahead: int
    ) -> None:
        self._work, self._tasks, self._workers, self._ahead = work, tasks, workers, ahead
        self._reading = lock()
        self._changed = threading.Condition(lock())
        #: By the number of the task.
        self._results: dict[int, Result[Out]] = {}
        self._begun = self._given = 0
        #: The number of the first task that is not there, once that is known.
        self._end: int | None = None
        self._stopped = False

    def run(self) -> Generator[tuple[Out, object], None, None]:
        """The results, each with what came with its task. Leaving the loop stops the threads."""
        threads = [
            threading.Thread(target=self._serve, name=f"tapenet loader {number}", daemon=True)
            for number in range(self._workers)
        ]
        try:
            for thread in threads:
                thread.start()
            for number in itertools.count():
                with self._changed:
                    self._changed.wait_for(lambda: number in self._results or self._end == number or self._stopped)  # noqa: B023
                    if self._end == number:
                        return
                    if number not in self._results:
                        raise RuntimeError("the loader was closed in the middle of a loop; begin a new one")
                    result, after, error = self._results.pop(number)
                    self._given = number + 1
                    self._changed.notify_all()
                if error is not None:
                    try:
                        raise error
                    finally:
                        del error  # it knows this frame
                yield result, after  # type: ignore[misc]
        finally:
            self.close()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(_PATIENCE)

    def close(self) -> None:
        """Let the threads end after what they are doing."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _serve(self) -> None:
        while True:
            with self._reading:
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped or self._begun < self._given + self._ahead)
                    if self._stopped or self._end is not None:
                        return
                    number = self._begun
                    self._begun += 1
                try:
                    task, after = next(self._tasks)
                except StopIteration:
                    self._put(number)
                    return
                except BaseException as error:
                    self._put(number + 1, number, (None, None, error))
                    return
            try:
                found = self._work(task), after, None
            except BaseException as error:
                self._put(None, number, (None, None, error))
            else:
                self._put(None, number, found)
                del found  # the batch is the user's alone

    def _put(self, end: int | None, number: int | None = None, result: Result[Out] | None = None) -> None:
        with self._changed:
            if end is not None:
                self._end = end
            if number is not None and result is not None:
                self._results[number] = result
            self._changed.notify_all()
