"""A page that repaints while training goes on, from a server that nobody else can reach."""

from __future__ import annotations

import json
import math
import secrets
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

from tapenet.autodiff.state import local
from tapenet.drawing.forms.page import Series, number
from tapenet.drawing.model import Drawing
from tapenet.drawing.passes.measures import Measure

#: The most numbers that a curve, and measurements that a page, keeps. Beyond these every second one goes.
POINTS, SAMPLES = 512, 64
#: How long after its last question a page counts as looked at, and how long to wait between measurements, in seconds.
_LOOKS, _PAUSE = 3.0, 0.5
#: The part of the time that may be spent on measuring.
_SHARE = 0.05
#: The most requests that are answered at once. A page has one at a time.
_AT_ONCE = 32


class Shown(Protocol):
    """What is asked of a picture."""

    source: Drawing
    color_by: str
    again: Callable[[], tuple[Drawing, Sequence[Measure]]] | None

    @property
    def explored(self) -> Drawing: ...
    def page(self, **options: object) -> str: ...
    def _repr_mimebundle_(self) -> dict[str, object]: ...
    def _display_(self) -> object: ...


class Sample(NamedTuple):
    """What was measured once.

    Attributes:
        number: how many were measured before.
        step: after how many steps.
        series: its quantities by name, each with one number for a box.
    """

    number: int
    step: int
    series: dict[str, Series]


class Watch:
    """A page on this machine that repaints while training goes on. Made by `Picture.watch`.

    Attributes:
        url: where it is. Whoever knows it can look, and it cannot be guessed.
    """

    def __init__(self, picture: Shown) -> None:
        if picture.again is None:
            raise ValueError(
                "watch: this is not a picture of a function or module with its arguments, which alone can be measured again: "
                "tn.draw(step, x, y).watch(). Of a compiled function draw step.__wrapped__"
            )
        self._picture = picture
        self._again = picture.again
        self._kinds = _kinds(picture.source)
        self._drawing = picture.explored
        self._lock = threading.Lock()
        self._samples: list[Sample] = []
        self._curves: dict[str, Curve] = {}
        self._count = 0
        self._began = time.perf_counter()
        #: Until when somebody looks, and when the next measurement is due.
        self._looked = self._due = -math.inf
        #: The widget that shows the page that this is of.
        self._shown: object = None
        self._stopped = False
        self._measure()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/{self._server.token}/"
        serve = partial(self._server.serve_forever, poll_interval=0.1)
        threading.Thread(target=serve, name="tapenet watch", daemon=True).start()

    def update(self, loss: object = None, /, **numbers: object) -> None:
        """Say that a step is done, in the thread that trains.

        Args:
            loss: a number to draw as a curve, called "loss"; a tensor of one element too.
            **numbers: others, by name.

        >>> import tapenet as tn
        >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
        >>> with tn.draw(lambda x: (x * x).sum(), x).watch() as watch:
        ...     watch.update(0.5, accuracy=0.9)
        """
        if self._stopped:
            return
        self._count += 1
        if loss is not None:
            self._note("loss", loss)
        for name, value in numbers.items():
            self._note(name, value)
        now = time.monotonic()
        if now >= self._due and (now < self._looked or "widget" in vars(self._picture)):
            state = local.state
            if state.grad and state.tape is None and state.profile is None:  # else it would be part of what is recorded
                self._measure()
                self._tell()
                after = time.monotonic()
                self._due = max(self._due, after + max(_PAUSE, (after - now) / _SHARE))

    def stop(self) -> None:
        """End it. The page stays as it is in browsers that show it; it may be called again."""
        if not self._stopped:
            self._stopped = True
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        bundle = self._picture._repr_mimebundle_()
        self._tell()
        return {**bundle, "text/plain": repr(self)}

    def _display_(self) -> object:  # marimo
        shown = self._picture._display_()
        self._tell()
        return shown

    def __repr__(self) -> str:
        return f"<Watch {'that was stopped' if self._stopped else f'at {self.url}'}>"

    # -- what the training does ------------------------------------------------------------------------------------

    def _note(self, name: str, value: object) -> None:
        curve = self._curves.get(name)
        if curve is None:
            curve = Curve()
            self._curves = {**self._curves, name: curve}  # another thread may be reading them
        curve.add(value)

    def _measure(self) -> None:
        """Compute once more what was drawn."""
        try:
            drawing, measures = self._again()
        except Exception as error:
            self._due = math.inf
            warnings.warn(f"watch: what was drawn cannot be computed any more: {error!r}", stacklevel=3)
            return
        if _kinds(drawing) != self._kinds:  # such as another branch; what was measured before stays
            return
        series = {measure.name: Series.of(measure, self._drawing) for measure in measures}
        with self._lock:
            last = self._samples[-1].number if self._samples else -1
            self._samples.append(Sample(last + 1, self._count, series))
            if len(self._samples) > SAMPLES:
                del self._samples[-2::-2]

    def _tell(self) -> None:
        """Repaint the picture's widget, if a notebook shows it."""
        widget: Any = vars(self._picture).get("widget")
        if widget is None:
            return
        if widget is not self._shown:
            self._shown = widget
            widget.page = self._page("notebook")
        widget.numbers = self._numbers(-1)

    # -- what a page asks ------------------------------------------------------------------------------------------

    def _page(self, live: str) -> str:
        with self._lock:
            samples = [*self._samples]
        series = [_joined(name, samples) for name in samples[-1].series] if samples else []
        names = [one.name for one in series]
        painted = self._picture.color_by or ("grad_norm" if "grad_norm" in names else "")
        steps = [sample.step for sample in samples]
        after = samples[-1].number if samples else -1
        return self._picture.page(series=series, color_by=painted, steps=steps, live=live, after=after)

    def _numbers(self, after: int) -> dict[str, object]:
        """What is new since a measurement, as it can be JSON."""
        with self._lock:
            latest = self._samples[-1] if self._samples else None
        said: dict[str, object] = {
            "count": self._count,
            "seconds": time.perf_counter() - self._began,
            "curves": {name: [number(x) for x in curve.numbers()] for name, curve in self._curves.items()},
        }
        if latest is not None and latest.number > after:
            found = {name: {v: number(x[0]) for v, x in one.values.items()} for name, one in latest.series.items()}
            said |= {"number": latest.number, "step": latest.step, "series": found}
        return said


class Curve:
    """Numbers of a training, of which so many are kept: all of them, then every second one, every fourth and so on."""

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._last = math.nan
        self._seen = 0
        self._each = 1

    def add(self, value: Any) -> None:
        self._last = float(value)
        if self._seen % self._each == 0:
            if len(self._kept) == POINTS:
                self._kept = self._kept[::2]
                self._each *= 2
            self._kept.append(self._last)
        self._seen += 1

    def numbers(self) -> list[float]:
        """Those that are kept, and the last."""
        kept = [*self._kept]
        return kept if self._each == 1 else [*kept, self._last]


def _joined(name: str, samples: Sequence[Sample]) -> Series:
    """A quantity of several samples."""
    last = samples[-1].series[name]
    found = [sample.series[name].values if name in sample.series else {} for sample in samples]
    return last._replace(values={v: [one.get(v, (None,))[0] for one in found] for v in last.values})


def _kinds(drawing: Drawing) -> list[tuple[str, str]]:
    """What tells whether measurements of one are measurements of the other."""
    return [(vertex.kind, vertex.op) for vertex in drawing.vertices]


# -- the server ------------------------------------------------------------------------------------------------------


class _Server(ThreadingTCPServer):
    """Answers who knows the token, on this machine."""

    daemon_threads = True

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.token = secrets.token_urlsafe(32)
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader went away; that is nothing to print in the middle of a training."""


class _Handler(BaseHTTPRequestHandler):
    #: In seconds, for who connects and says nothing, as browsers do beforehand.
    timeout = 10

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        asked = urlsplit(self.path)
        token, _, rest = asked.path.removeprefix("/").partition("/")
        # A page of somebody else's whose name was made to mean this machine says that name.
        own = self.headers.get("Host") in {f"{name}:{server.server_address[1]}" for name in ("127.0.0.1", "localhost")}
        if not secrets.compare_digest(token.encode("utf-8", "replace"), server.token.encode()) or not own:
            self._answer(403, b"", "text/plain")
        elif rest == "":
            self._answer(200, server.watch._page("server").encode(), "text/html; charset=utf-8")
        elif rest == "numbers":
            after = parse_qs(asked.query).get("after", ["-1"])[0]
            server.watch._looked = time.monotonic() + _LOOKS
            numbers = server.watch._numbers(int(after) if after.isdecimal() else -1)
            self._answer(200, json.dumps(numbers).encode(), "application/json")
        else:
            self._answer(404, b"", "text/plain")

    def _answer(self, code: int, content: bytes, kind: str) -> None:
        self.send_response(code)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        return "tapenet"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed in the middle of a training."""


_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
