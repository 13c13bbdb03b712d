"""Progress of training: a bar in a terminal or notebook, elsewhere a line per epoch."""

from __future__ import annotations

import os
import sys
from html import escape
from time import perf_counter

import numpy as np

from tapenet.training.history import Logs

#: Seconds between two pictures of a bar.
_EVERY = 0.1


class Progress:
    """Shows the progress of epochs.

    Args:
        verbose: 0 shows nothing, 1 a bar that grows (a line per epoch where there is neither a terminal nor a notebook), 2 a
            line per epoch.
        epochs: how many there are to be.
        batches: how many batches an epoch has, if that is known.

    Attributes:
        due: when the next picture is to be made, on the clock of `perf_counter`; never (infinity) without a bar.
    """

    def __init__(self, verbose: int, epochs: int, batches: int | None) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(f"verbose={verbose!r} must be 0 (nothing), 1 (a bar) or 2 (a line per epoch)")
        self._verbose = verbose
        self._epochs = epochs
        self._batches = batches
        self._bar: _TerminalBar | _NotebookBar | None = None
        self._make: type[_TerminalBar] | type[_NotebookBar] | None = None
        if verbose == 1:
            self._make = _NotebookBar if _in_notebook() else _TerminalBar if sys.stderr.isatty() else None
        self.due = float("inf")
        self._start = 0.0
        self._samples_before = 0

    def begin(self, epoch: int, samples: int) -> None:
        """An epoch begins, counted from 1; `samples` of it were done before, where a run is resumed."""
        self._start = perf_counter()
        self._samples_before = samples
        if self._make is not None:
            self._bar = self._make(self._title(epoch), self._batches)
            self.due = self._start + _EVERY

    def show(self, batch: int, samples: int, logs: Logs) -> None:
        """Bring the bar up to date."""
        if self._bar is not None:
            self._bar.show(batch, f"{self._rate(samples)}  {numbers(logs)}")
            self.due = perf_counter() + _EVERY

    def end(self, epoch: int, batch: int, samples: int, seconds: float, logs: Logs) -> None:
        """An epoch is over."""
        if self._bar is not None:
            self._bar.show(batch, f"{self._rate(samples)}  {numbers(logs)}")
            self.close()
        elif self._verbose:
            print(
                f"{self._title(epoch)}  {_time(seconds)}  {self._rate(samples, seconds)}  {numbers(logs)}", flush=True
            )

    def _title(self, epoch: int) -> str:
        return f"epoch {epoch:>{len(str(self._epochs))}}/{self._epochs}"

    def _rate(self, samples: int, seconds: float | None = None) -> str:
        elapsed = perf_counter() - self._start if seconds is None else seconds
        return f"{(samples - self._samples_before) / max(elapsed, 1e-9):,.0f} samples/s"

    def tell(self, text: str) -> None:
        """Say something, above the bar."""
        if self._bar is not None:
            self._bar.tell(text)
        elif self._verbose:
            print(text, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self.due = float("inf")


class _TerminalBar:
    """A bar by tqdm, on standard error."""

    def __init__(self, title: str, batches: int | None) -> None:
        from tqdm import tqdm

        known = "{l_bar}{bar:12}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{postfix}"
        form = known if batches is not None else "{desc}: {n_fmt} batches [{elapsed}]{postfix}"
        self._tqdm = tqdm(desc=title, total=batches, bar_format=form, dynamic_ncols=True, ncols=_width())
        self._tqdm.refresh()

    def show(self, batch: int, text: str) -> None:
        self._tqdm.n = batch
        self._tqdm.set_postfix_str(text, refresh=False)
        self._tqdm.refresh()

    def tell(self, text: str) -> None:
        self._tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        self._tqdm.close()


def _width() -> int | None:
    """How wide a bar is where the terminal does not tell its width; else None, since it may change."""
    try:
        return None if os.get_terminal_size(sys.stderr.fileno()).columns else 100
    except (OSError, ValueError):  # it has no file
        return 100


class _NotebookBar:
    """A bar in the output of a notebook's cell: plain HTML, with nothing to install beside."""

    def __init__(self, title: str, batches: int | None) -> None:
        from IPython.display import HTML, display

        self._title = title
        self._batches = batches
        self._html = HTML
        self._start = perf_counter()
        self._handle = display(HTML(self._page(0, "")), display_id=True)

    def _page(self, batch: int, text: str) -> str:
        return bar_html(self._title, batch, self._batches, perf_counter() - self._start, text)

    def show(self, batch: int, text: str) -> None:
        if self._handle is not None:
            self._handle.update(self._html(self._page(batch, text)))

    def tell(self, text: str) -> None:
        print(text, flush=True)

    def close(self) -> None:
        pass


def bar_html(title: str, batch: int, batches: int | None, seconds: float, text: str) -> str:
    """A bar as HTML.

    >>> bar_html("epoch 1/3", 5, 10, 2.0, "loss 0.5")  # doctest: +ELLIPSIS
    '<div style="..."><progress value="5" max="10"></progress> epoch 1/3  5/10 [0:02 &lt; 0:02]  loss 0.5</div>'
    """
    if batches:
        left = f" < {_time(seconds / batch * (batches - batch), whole=True)}" if batch else ""
        bar, count = f'<progress value="{batch}" max="{batches}"></progress>', f"{batch}/{batches}"
    else:
        bar, count, left = "<progress></progress>", f"{batch} batches", ""
    words = f"{title}  {count} [{_time(seconds, whole=True)}{left}]  {text}"
    return f'<div style="font-family: monospace; white-space: pre-wrap">{bar} {escape(words)}</div>'


def numbers(logs: Logs) -> str:
    """Numbers as text; other values, such as a confusion matrix, are left out.

    >>> numbers({"loss": 0.12345678, "accuracy": 1.0, "lr": 1e-05})
    'loss 0.1235  accuracy 1  lr 1e-05'
    """
    return "  ".join(f"{name} {value:.4g}" for name, value in logs.items() if np.ndim(value) == 0)


def _time(seconds: float, whole: bool = False) -> str:
    """Seconds as text.

    >>> _time(3.21), _time(75.0), _time(3700, whole=True)
    ('3.2 s', '1:15', '1:01:40')
    """
    if seconds < 60 and not whole:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _in_notebook() -> bool:
    """Whether this runs in a notebook's kernel; asks nothing that was not loaded already."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "zmqshell" in type(shell).__module__
