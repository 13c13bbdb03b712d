"""PNGs: the order of the renderers, their limits, and what happens when one fails."""

import importlib.metadata
import inspect
import io
import pickle
import re
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run

import pytest

import tapenet as tn
from tapenet.drawing.forms.render import MEMORY_LIMIT, RenderError, render, renderers
from tapenet.drawing.model import Drawing, Vertex
from tapenet.drawing.picture import Picture
from tests.drawing.graphs import GRAPHS
from tests.drawing.test_text import NASTY

#: A picture, with what a Graphviz is asked to paint in it.
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt" viewBox="0 0 72 36"><text y="20">é</text></svg>'
)
PNG = "\\211PNG\\r\\n\\032\\n"  #: One that is larger than a pipe.
LONG = SVG.replace("é", "é" * 1_000_000)

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in renderers are shell scripts")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of another process")


def png(text: str) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + text.encode()


def script(path: Path, body: str) -> Path:
    """A stand-in renderer: a shell script that first reads all its input."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\nINPUT=$(cat)\n{body}\n")
    path.chmod(0o755)
    return path


def answering(path: Path, text: str) -> Path:
    return script(path, f"printf '{PNG}{text}'")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any renderer; the folder returned is its PATH."""

    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delenv("TAPENET_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    return tmp_path / "bin"


def site(folder: Path, monkeypatch: pytest.MonkeyPatch, recorded: str) -> Path:
    """A site folder in which graphviz-pure is installed by its record, first on Python's path."""
    info = folder / "graphviz_pure-0.2.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: graphviz-pure\nVersion: 0.2.2\n")
    (info / "RECORD").write_text(f"{recorded},,\ngraphviz_pure-0.2.2.dist-info/RECORD,,\n")
    monkeypatch.setattr(importlib.metadata, "distribution", importlib.metadata.Distribution.from_name)
    monkeypatch.syspath_prepend(folder)
    return folder


# With graphviz-pure itself


@pytest.fixture
def pure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """graphviz-pure as installed, and no other renderer."""
    monkeypatch.delenv("TAPENET_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if not next(renderer for renderer in renderers() if renderer.name == "graphviz-pure").available:
        pytest.skip("graphviz-pure has no wheel for this platform")


@pytest.mark.usefixtures("pure")
@pytest.mark.parametrize("dpi", [96, 192])
def test_the_picture_is_as_large_as_asked_for(dpi: int) -> None:
    svg = tn.draw(GRAPHS["cnn"](), title="A title", backward=True).svg
    width, height = struct.unpack(">II", render(svg, dpi=dpi)[16:24])
    wanted = [float(size) * dpi / 72 for size in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]]
    assert abs(width - wanted[0]) <= 2
    assert abs(height - wanted[1]) <= 2


@pytest.mark.usefixtures("pure")
def test_colours_are_where_they_were_drawn() -> None:
    image = pytest.importorskip("PIL.Image")
    inside = (
        '<rect x="10" y="20" width="100" height="50" fill="#ffffff"/><rect x="20" y="30" width="20" height="10" rx="3" '
        'fill="#ff0000"/><path fill="none" stroke="#0000ff" stroke-width="2" d="M60 65H100"/>'
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="100pt" height="50pt" viewBox="10 20 100 50">{inside}</svg>'
    picture = image.open(io.BytesIO(render(svg, dpi=72))).convert("RGB")
    assert abs(picture.size[0] - 100) <= 1
    assert picture.getpixel((20, 15)) == (255, 0, 0)
    assert picture.getpixel((5, 5)) == (255, 255, 255)
    assert picture.getpixel((70, 45))[2] > 200 > picture.getpixel((70, 45))[0]


@pytest.mark.usefixtures("pure")
@pytest.mark.filterwarnings("ignore:.*boxes in the PNG")
@pytest.mark.parametrize("text", [*NASTY, "日本語 🙂"])
def test_any_text_is_painted(text: str) -> None:
    picture = Picture(Drawing([Vertex("op", text)], [], []), title=text)
    assert render(picture.svg).startswith(b"\x89PNG")


@pytest.mark.usefixtures("pure")
def test_the_same_picture_gives_the_same_bytes_in_any_thread() -> None:
    svg = tn.draw(GRAPHS["xor"]()).svg
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: render(svg), range(16)))) == 1


@pytest.mark.usefixtures("pure")
def test_what_cannot_be_painted_is_said() -> None:
    with pytest.raises(ValueError, match="an element <image>"):
        render(SVG.replace("</svg>", "<image/></svg>"))


# The order, and what each renderer is given


def test_without_any_renderer_the_error_says_what_to_install(alone: Path) -> None:
    with pytest.raises(RenderError) as error:
        render(SVG)
    assert error.value.tries == (
        ("$TAPENET_DOT", "not set"),
        ("graphviz-pure", "not installed"),
        ("dot", "not on PATH"),
    )
    for said in [": ".join(entry) for entry in error.value.tries]:
        assert f"\n  {said}\n" in str(error.value)
    assert "`pip install graphviz-pure`" in str(error.value)
    assert "SVG, PDF and HTML need none of these" in str(error.value)
    assert isinstance(error.value, RuntimeError)


def test_the_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(RenderError("words", (("dot", "not on PATH"),))))
    assert (str(error), error.tries) == ("words", (("dot", "not on PATH"),))


@posix
def test_the_order_of_the_renderers(alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answering(alone / "dot", "path")
    assert render(SVG) == png("path")
    folder = site(tmp_path / "lib" / "site", monkeypatch, "../../pure/graphviz-pure")
    answering(tmp_path / "pure" / "graphviz-pure", "pure")
    assert render(SVG) == png("pure")
    monkeypatch.setenv("TAPENET_DOT", str(answering(tmp_path / "mine", "mine")))
    assert render(SVG) == png("mine")

    found = renderers()
    assert [(renderer.name, renderer.where, renderer.available) for renderer in found] == [
        ("$TAPENET_DOT", str(tmp_path / "mine"), True),
        ("graphviz-pure", str((folder / "../../pure/graphviz-pure").resolve()), True),
        ("dot", str(alone / "dot"), True),
    ]


def test_renderers_that_are_not_there(alone: Path) -> None:
    assert [(renderer.where, renderer.available) for renderer in renderers()] == [
        ("not set", False),
        ("not installed", False),
        ("not on PATH", False),
    ]


@posix
def test_a_renderer_is_given_the_flags_and_the_text(alone: Path, tmp_path: Path) -> None:
    script(alone / "dot", f'echo "$@" > {tmp_path}/flags; echo "$INPUT" > {tmp_path}/input; printf \'{PNG}\'')
    assert render(SVG, dpi=96) == png("")
    assert (tmp_path / "flags").read_text() == "-Tpng\n"
    text = (tmp_path / "input").read_text("utf-8")
    assert text.startswith('digraph { graph [layout=nop2 bb="0,0,72,36" dpi=96 ')
    assert " 2 -é " in text


# Finding graphviz-pure


@posix
@pytest.mark.parametrize("program", ["bin/graphviz-pure", "Scripts/graphviz-pure.exe"])
def test_pip_install_target(program: str, alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # pip --target records the program two folders above where it puts it.
    folder = site(tmp_path / "a" / "target", monkeypatch, f"../../{program}")
    answering(folder / program, "target")
    assert not (folder / "../.." / program).exists()
    assert render(SVG) == png("target")


@posix
@pytest.mark.parametrize("left", [True, False])
def test_graphviz_pure_without_its_program(
    left: bool, alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = site(tmp_path / "site", monkeypatch, "bin/graphviz-pure")
    if left:  # there, but not a program
        answering(folder / "bin" / "graphviz-pure", "x").chmod(0o644)
    with pytest.raises(RenderError, match="graphviz-pure: installed, but without its program; reinstall it"):
        render(SVG)


# TAPENET_DOT


@posix
def test_tapenet_dot_may_be_a_name_or_start_at_home(
    alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answering(alone / "mydot", "mine")
    monkeypatch.setenv("TAPENET_DOT", "mydot")
    assert render(SVG) == png("mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("TAPENET_DOT", "~/bin/mydot")
    assert render(SVG) == png("mine")


@posix
def test_a_tapenet_dot_that_is_no_program_gives_way(
    alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAPENET_DOT", str(tmp_path / "nowhere"))
    with pytest.raises(RenderError, match=r"TAPENET_DOT: no program at .*nowhere"):
        render(SVG)
    (tmp_path / "nowhere").write_text("#!/no/such/interpreter\n")
    (tmp_path / "nowhere").chmod(0o755)
    with pytest.raises(RenderError, match=r"nowhere failed: could not be started"):
        render(SVG)
    answering(alone / "dot", "path")
    assert render(SVG) == png("path")


# Failures


FAILURES = {
    "exit code": ("echo sorry >&2; exit 3", "exit code 3, sorry"),
    "exit code after a picture": (f"printf '{PNG}'; exit 1", "exit code 1, without a word"),
    "signal": ("kill -9 $$", "killed by signal 9"),
    "nothing": ("", "wrote nothing"),
    "blank": ("echo", "wrote nothing"),
    "no PNG": ("echo PNG", "wrote no png: it begins with b'PNG"),
}


@posix
@pytest.mark.parametrize("case", FAILURES)
def test_a_failing_renderer_gives_way_to_the_next(
    case: str, alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body, said = FAILURES[case]
    monkeypatch.setenv("TAPENET_DOT", str(script(tmp_path / "bad", body)))
    with pytest.raises(RenderError) as error:
        render(SVG)
    assert error.value.tries[0][0] == "$TAPENET_DOT"
    assert f"bad failed: {said}" in error.value.tries[0][1]
    answering(alone / "dot", "next")
    assert render(SVG) == png("next")


@posix
def test_what_a_renderer_said_is_bounded_and_printable(alone: Path) -> None:
    script(alone / "dot", "printf 'start %9999s\\nthe \\033end' middle >&2; exit 2")
    with pytest.raises(RenderError) as error:
        render(SVG)
    said = error.value.tries[2][1]
    assert said.endswith("exit code 2, start middle the \\x1bend")
    script(alone / "dot", "head -c 99999 /dev/zero | tr '\\0' x >&2; exit 2")
    with pytest.raises(RenderError) as error:
        render(SVG)
    assert error.value.tries[2][1].count("xx") == 150


@posix
def test_a_renderer_need_not_read_its_input(alone: Path) -> None:
    answering(alone / "dot", "deaf")
    text = (alone / "dot").read_text().replace("INPUT=$(cat)\n", "")
    (alone / "dot").write_text(text)
    assert render(LONG) == png("deaf")


@posix
def test_a_renderer_that_hangs_is_stopped_with_all_it_started(
    alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    body = f"#!/bin/sh\nPATH=/usr/bin:/bin\n(sleep 2; touch {late}) &\nsleep 30\n"
    (tmp_path / "slow").write_text(body)
    (tmp_path / "slow").chmod(0o755)
    monkeypatch.setenv("TAPENET_DOT", str(tmp_path / "slow"))
    answering(alone / "dot", "next")
    start = time.monotonic()
    # The text is larger than a pipe, and nobody reads it.
    assert render(LONG, timeout=1) == png("next")
    assert 1 <= time.monotonic() - start < 10
    time.sleep(max(0, start + 3 - time.monotonic()))
    assert not late.exists()

    (alone / "dot").unlink()
    with pytest.raises(RenderError, match=r"slow failed: stopped after 0.2 s without a result"):
        render(SVG, timeout=0.2)


# Memory


@linux
def test_a_renderer_that_eats_memory_gives_way(alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert MEMORY_LIMIT == 4 * 1024**3
    eater = tmp_path / "eater"

    def eat(size: int) -> None:
        eater.write_text(
            f"#!{sys.executable} -S\nimport mmap, sys\nsys.stdin.read()\n"
            f"mmap.mmap(-1, {size})\nsys.stdout.buffer.write({png('eater')!r})\n"
        )
        eater.chmod(0o755)

    monkeypatch.setenv("TAPENET_DOT", str(eater))
    answering(alone / "dot", "next")
    eat(MEMORY_LIMIT // 16)
    assert render(SVG) == png("eater")
    eat(MEMORY_LIMIT)
    assert render(SVG) == png("next")
    (alone / "dot").unlink()
    with pytest.raises(RenderError, match=r"eater failed: exit code 1, .*Cannot allocate memory"):
        render(SVG)


@linux
def test_the_limit_is_the_renderers_own(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    script(alone / "dot", f"printf '{PNG}'; ulimit -v")
    own = before[0] if before[0] != resource.RLIM_INFINITY else 1 << 60
    assert render(SVG) == png(f"{min(MEMORY_LIMIT, own) // 1024}\n")
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    # A tighter limit that the user set is kept.
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, before[1]))
    assert render(SVG) == png("1048576\n")


@linux
def test_a_renderer_ends_by_itself_if_nobody_is_there_to_stop_it(alone: Path) -> None:
    """A Python that is killed stops nothing: the system ends what would run for ever."""
    script(alone / "dot", f"printf '{PNG}'; ulimit -t")
    assert render(SVG, timeout=10) == png("22\n")


# The rest


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    program = (
        "import sys, numpy; before = set(sys.modules)\n"
        "import tapenet.drawing.forms.render, tapenet.drawing.text\n"
        "heavy = {'graphviz', 'subprocess', 'xml.etree', 'importlib.metadata', 'resource'}\n"
        "print(sorted((set(sys.modules) - before) & heavy))"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_time_limit_is_a_minute_unless_given() -> None:
    assert inspect.signature(render).parameters["timeout"].default == 60
