"""Batches made by processes, given in order."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tapenet.data.fetch import Task
from tapenet.data.shared_memory import Channel

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

#: Seconds between checks that a silent worker is alive.
_LOOK = 1.0
#: With fewer unread results than this neither end of a pipe blocks the other.
_UNREAD = 16
#: Seconds to wait for a process to end.
_PATIENCE = 5.0


class Processes:
    """Processes that do `work` on tasks, each in turn: task k goes to process k modulo their number.

    They live until `close`, or until nobody holds this object; each has a copy of `work`, as it was at the start.
    """

    def __init__(self, work: Callable[[Task], object], *, workers: int, ahead: int, start_method: str | None) -> None:
        """`ahead` is how many tasks are sent before the result of the first is waited for.

        Raises:
            TypeError: `work` cannot be sent to a process.
        """
        import multiprocessing

        context = multiprocessing.get_context(start_method)
        if os.name == "posix":
            from multiprocessing import resource_tracker

            resource_tracker.ensure_running()  # the one of all, which frees what is left should this process be killed
        self._ahead = ahead
        self._workers: list[_Worker] = []
        #: Whether another loop can be run.
        self.usable = True
        #: Processes that are forked from this one must not end them.
        self.owner = os.getpid()
        self._free = weakref.finalize(self, _end, self._workers, self.owner)
        token = f"{os.getpid():x}-{os.urandom(2).hex()}"
        try:
            for number in range(workers):
                names = f"tn{token}a{number}", f"tn{token}b{number}"
                ours, theirs = context.Pipe()
                inherited = [worker.channel.connection for worker in self._workers] + [ours]
                process = context.Process(  # type: ignore[attr-defined]
                    target=_serve,
                    args=(theirs, names, work, inherited if context.get_start_method() == "fork" else []),
                    name=f"tapenet loader {number}",
                    daemon=True,
                )
                process.start()
                theirs.close()
                self._workers.append(_Worker(process, Channel(ours, *names), number))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            self.close()
            raise TypeError(
                f"the data set, or a function that the loader was given, cannot be sent to a worker process: {error}. Define "
                'it at the top of a module (no lambda, no function inside a function), or use kind="thread"'
            ) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes and free their memory; arrays that they made stay good."""
        self.usable = False
        self._free()

    def run(self, tasks: Iterator[tuple[Task, object]]) -> Generator[tuple[object, object], None, None]:
        """The results, each with what came with its task.

        Raises:
            RuntimeError: a process died.

        And what work on a task raised.
        """
        self.usable = False
        for worker in self._workers:
            worker.forget()
        sent: deque[tuple[_Worker, object]] = deque()
        try:
            failure: Exception | None = None
            for number in itertools.count():
                try:
                    task, after = next(tasks)
                except StopIteration:
                    break
                except Exception as error:
                    failure = error  # its turn comes after the batches before it
                    break
                worker = self._workers[number % len(self._workers)]
                worker.send(task)
                sent.append((worker, after))
                if len(sent) >= self._ahead:
                    yield self._next(sent)
            while sent:
                yield self._next(sent)
            if failure is not None:
                raise failure
        except GeneratorExit:
            self.usable = self._free.alive
            raise
        self.usable = True

    def _next(self, sent: deque[tuple[_Worker, object]]) -> tuple[object, object]:
        worker, after = sent.popleft()
        return worker.receive(), after


class _Worker:
    def __init__(self, process: BaseProcess, channel: Channel, number: int) -> None:
        self.process, self.channel, self._number = process, channel, number
        #: How many results are still to come through the pipe, and those that came before they were asked for.
        self._to_come = 0
        self._came: deque[object] = deque()

    def send(self, task: Task) -> None:
        try:
            # A pipe holds so much. Were both full, both ends would wait for each other.
            while self._to_come >= _UNREAD and self.channel.connection.poll():
                self._came.append(self._read())
            self.channel.send(task)
        except (EOFError, OSError) as error:
            raise self._explained(error) from None
        self._to_come += 1

    def receive(self) -> object:
        found = self._came.popleft() if self._came else self._read()
        if isinstance(found, _Failure):
            found.throw(f"worker {self._number} (process {self.process.pid})")
        return found

    def forget(self) -> None:
        """Take the results of a loop that was left out of the way."""
        while self._to_come:
            self._read()
        self._came.clear()

    def _read(self) -> object:
        try:
            while not self.channel.connection.poll(_LOOK):
                if not self.process.is_alive() and not self.channel.connection.poll():
                    raise self._died()
            found = self.channel.receive()
        except (EOFError, OSError) as error:
            raise self._explained(error) from None
        self._to_come -= 1
        return found

    def _explained(self, error: Exception) -> Exception:
        """Why the pipe failed."""
        if self.channel.connection.closed:
            return RuntimeError("the loader was closed in the middle of a loop; begin a new one")
        return self._died() if isinstance(error, (EOFError, ConnectionError)) else error

    def _died(self) -> RuntimeError:
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        how = f"exited with code {code}"
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
            if -code == getattr(signal, "SIGKILL", 0):
                how += " (the system does that when memory runs out)"
        elif code == 1:
            how += (
                "; its own message is above. A program that starts processes must not do so when it is imported: put its code "
                'under if __name__ == "__main__":'
            )
        return RuntimeError(f"worker {self._number} of the loader (process {self.process.pid}) {how}")


class _Failure(NamedTuple):
    """What was raised in a worker: the exception pickled, if it can be; its summary and its traceback as text."""

    error: bytes | None
    summary: str
    traceback: str

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        summary = "".join(traceback.format_exception_only(error)).strip()
        try:
            packed = pickle.dumps(error)
            pickle.loads(packed)
        except Exception:
            packed = None
        return cls(packed, summary, "".join(traceback.format_exception(error)))

    def throw(self, worker: str) -> None:
        error = RuntimeError(self.summary) if self.error is None else pickle.loads(self.error)
        error.add_note(f"tapenet.data: raised in {worker} of the loader:\n{self.traceback}")
        raise error


def _end(workers: list[_Worker], owner: int) -> None:
    """End processes; a fork of the process that owns them leaves them alone."""
    if os.getpid() != owner:
        return
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.channel.free()
        worker.process.close()


def _serve(
    connection: Connection[object, object],
    names: tuple[str, str],
    work: Callable[[Task], object],
    inherited: list[Connection[object, object]],
) -> None:
    """What a worker does: results for tasks, until the pipe is closed."""
    import random

    for other in inherited:  # else a pipe would stay open when its owner is gone
        other.close()
    # Ctrl-C is for the program, which ends its workers; handlers that it has are not for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    channel = Channel(connection, names[1], names[0])
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            task = channel.receive()
            # Who draws from a global generator gets other numbers in each batch, and in each worker the same for one batch.
            seeds = task.seed & 0xFFFFFFFF, task.seed >> 32, task.epoch, task.number
            random.seed(repr(seeds))
            np.random.seed(seeds)
            try:
                found = work(task)
            except Exception as error:
                found = _Failure.of(error)
            del task
            try:
                channel.send(found)
            except ConnectionError:
                return
            except Exception as error:
                channel.send(_Failure.of(error))
            del found
