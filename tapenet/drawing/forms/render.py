"""An SVG that tapenet wrote to a PNG, by the first renderer that can.

The renderers, in order: the program that ``$TAPENET_DOT`` names; those that were added; graphviz-pure, a static
Graphviz that comes with tapenet; ``dot`` on PATH. A Graphviz gets the picture as a background to paint, see `xdot`; it lays
out nothing. It runs as a process of its own, with a limit on time and on memory, and what it wrote is checked: a renderer
that fails in any way gives way to the next.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from tapenet import plugins
from tapenet.drawing.late import use
from tapenet.drawing.text import clean

#: Pixels to the inch: enough for print at the size of the SVG.
DPI = 192

# A picture of 10,000 x 10,000 pixels takes 400 MB.
MEMORY_LIMIT = 4 << 30

_INSTALL = (
    "`pip install graphviz-pure`, or Graphviz from graphviz.org or your system's packages; or set TAPENET_DOT to the path of a "
    "`dot` program. SVG, PDF and HTML need none of these: .save with that suffix"
)


class RenderError(RuntimeError):
    """No renderer drew the picture. ``tries`` holds the name of each renderer tried and the outcome, in order."""

    def __init__(self, message: str, tries: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.tries = tries


#: What draws in place of a program: given an SVG, the pixels to the inch and a limit in seconds, the PNG.
Draw = Callable[[str, int, float], bytes]


class Renderer(NamedTuple):
    """One way to make a PNG, as `renderers` lists them: ``where`` is its path, or why it is not available; ``command`` is a
    Graphviz, ``draw`` a function in place of one."""

    name: str
    where: str
    command: tuple[str, ...] = ()
    draw: Draw | None = None

    @property
    def available(self) -> bool:
        return bool(self.command) or self.draw is not None


def render(svg: str, *, dpi: int = DPI, timeout: float = 60.0, by: Renderer | None = None) -> bytes:
    """The PNG of an SVG, as a picture or a chart of tapenet has it in `.svg`: in light, as on paper.

    The same picture gives the same bytes from the same renderer. Letters that need a font
    which is not installed are boxes, with a warning.

    Args:
        svg: the picture.
        dpi: pixels to the inch.
        timeout: in seconds, for each renderer tried.
        by: the only one to try.

    Raises:
        ValueError: the SVG holds something that tapenet does not write.
        RenderError: no renderer is there, or each one failed; the message has what each said, and what to do.

    Example:
        >>> import tapenet as tn
        >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
        >>> render(tn.draw(x * x).svg)[:4]
        b'\\x89PNG'
    """
    tries: list[tuple[str, str]] = []
    for renderer in _all() if by is None else (by,):
        if not renderer.available:
            outcome = renderer.where
        else:
            try:
                return _checked(_drawn(renderer, svg, dpi, timeout))
            except _Failure as failure:
                outcome = f"{renderer.where} failed: {failure}"
        tries.append((renderer.name, outcome))
    listed = "".join(f"\n  {name}: {outcome}" for name, outcome in tries)
    raise RenderError(f"no renderer could draw this as png:{listed}\nInstall one: {_INSTALL}.", tuple(tries))


def renderers() -> list[Renderer]:
    """Every renderer, in the order they are tried, available or not.

    Example:
        >>> [renderer.name for renderer in renderers()]
        ['$TAPENET_DOT', 'graphviz-pure', 'dot']
    """
    return list(_all())


def add_renderer(name: str, draw: Draw) -> None:
    """Have a function make PNGs, before the renderers that tapenet knows; the last one added is tried first.

    If it raises, or what it gives is no PNG, the next renderer is tried. An installed package adds one by an entry point
    of the group `tapenet.renderers`: a `Renderer` with `draw`.

    Args:
        name: what it is called in `renderers()` and in errors. One that is there already is replaced.
        draw: given an SVG, the pixels to the inch and a limit in seconds, it returns the PNG as bytes.

    >>> add_renderer("nobody", lambda svg, dpi, timeout: b"")
    >>> renderers()[1].name
    'nobody'
    >>> remove_renderer("nobody")
    """
    _added[name] = Renderer(name, "added", draw=draw)


def remove_renderer(name: str) -> None:
    """Take back what `add_renderer` did.

    Raises:
        KeyError: there is none of that name.
    """
    del _added[name]


# Finding


def _from_environment() -> Renderer:
    value = os.environ.get("TAPENET_DOT", "")
    program = shutil.which(os.path.expanduser(value)) if value else None
    if program:
        return Renderer("$TAPENET_DOT", program, (program,))
    return Renderer("$TAPENET_DOT", f"no program at {value}" if value else "not set")


def _pure() -> Renderer:
    from importlib.metadata import PackageNotFoundError, distribution
    from pathlib import Path

    name = "graphviz-pure"
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return Renderer(name, "not installed")
    programs = {name, f"{name}.exe"}
    paths = [Path(str(file.locate())) for file in found.files or () if file.name in programs]
    # After `pip install --target` the record points outside the folder; pip put the program in one of these.
    site = Path(str(found.locate_file("")))
    paths += [site / folder / program for folder in ("bin", "Scripts") for program in sorted(programs)]
    for path in paths:
        if os.access(path, os.X_OK):
            program = str(path.resolve())
            return Renderer(name, program, (program,))
    return Renderer(name, "installed, but without its program; reinstall it")


def _on_path() -> Renderer:
    program = shutil.which("dot")
    return Renderer("dot", program or "not on PATH", (program,) if program else ())


#: What was added, by name.
_added: dict[str, Renderer] = {}


def _all() -> Iterator[Renderer]:
    """Every renderer, each looked for when its turn comes."""
    yield _from_environment()
    yield from reversed(list(_added.values()))
    for name, renderer in plugins.found("tapenet.renderers").items():
        if isinstance(renderer, Renderer):
            yield renderer._replace(name=name)
        else:
            yield Renderer(name, f"its entry point gives {renderer!r}, no tn.drawing.Renderer")
    yield _pure()
    yield _on_path()


# Running and checking


class _Failure(Exception):
    """What went wrong with one renderer; `render` goes on to the next."""


def _drawn(renderer: Renderer, svg: str, dpi: int, timeout: float) -> bytes:
    """What a renderer gives."""
    if renderer.draw is None:
        dot: str = use("forms.xdot").to_xdot(use("forms.spelled").spelled(use("forms.shapes").read(svg), "PNG"), dpi)
        return _run(renderer, dot, timeout)
    try:
        found = renderer.draw(svg, dpi, timeout)
    except Exception as error:
        raise _Failure(f"{type(error).__name__}: {clean(str(error), 300)}") from error
    if not isinstance(found, bytes):
        raise _Failure(f"it returned a {type(found).__name__}, not bytes")
    return found


def _run(renderer: Renderer, dot: str, timeout: float) -> bytes:
    """What the renderer wrote to its standard output, within the limits."""
    import subprocess

    try:
        with subprocess.Popen(
            [*renderer.command, "-Tpng"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that what it starts in turn can be stopped with it
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ) as process:
            try:
                _limit(process.pid, timeout)
                # A lone surrogate has no bytes; a question mark in a label beats no picture.
                picture, said = process.communicate(dot.encode("utf-8", "replace"), timeout)
            except BaseException:
                _kill(process.pid)
                raise
    except OSError as error:
        raise _Failure(f"could not be started: {error}") from None
    except subprocess.TimeoutExpired:
        raise _Failure(f"stopped after {timeout:g} s without a result") from None
    if code := process.returncode:
        words = " ".join(said.decode("utf-8", "replace").split())[-300:]
        ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise _Failure(f"{ended}, {clean(words, 300) or 'without a word'}")
    return picture


def _limit(pid: int, seconds: float) -> None:
    """Bound the processor time of a started process, so that it ends even if this one is killed, and its address space.

    Set from outside, as code between fork and exec is unsafe in a program with threads; and in time, as the
    renderer is still waiting for its input. Only Linux can do this.
    """
    if sys.platform == "linux":
        import resource

        limits = [(resource.RLIMIT_CPU, 2 * int(seconds) + 2), (resource.RLIMIT_AS, MEMORY_LIMIT)]
        for kind, limit in limits:
            soft, hard = resource.getrlimit(kind)
            with suppress(OSError):  # a program of another user's, or one already gone
                resource.prlimit(pid, kind, (limit if soft == resource.RLIM_INFINITY else min(soft, limit), hard))


def _kill(pid: int) -> None:
    import signal

    with suppress(OSError):  # already gone
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)


def _checked(picture: bytes) -> bytes:
    if not picture.startswith(b"\x89PNG\r\n\x1a\n"):
        raise _Failure(f"wrote no png: it begins with {picture[:20]!r}" if picture.strip() else "wrote nothing")
    return picture
