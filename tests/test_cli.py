"""The command line, as a user calls it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tapenet.__main__ import main
from tapenet.drawing.forms.curve import curve

x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the level is of x86-64")


def run(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tapenet", *args], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def test_demo_learns_digits_and_saves_its_pictures(tmp_path: Path) -> None:
    done = run("demo", "--epochs", "8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    train, test = (float(a) for a in re.findall(r"([\d.]+)% on", done.stdout))
    assert train > 90
    assert test > 85
    assert "100%" in done.stderr  # the progress bar
    for name in ("model.svg", "curve.svg"):
        assert name in done.stdout
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")
    assert "conv1" in (tmp_path / "model.svg").read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for folder in ("a", "b"):
        assert main(["demo", "--epochs", "1", "--seed", "3", "--out", str(tmp_path / folder)]) == 0
        files.append([(tmp_path / folder / name).read_bytes() for name in ("model.svg", "curve.svg")])
    assert files[0] == files[1]
    assert main(["demo", "--epochs", "1", "--seed", "4", "--out", str(tmp_path / "c")]) == 0
    assert (tmp_path / "c" / "curve.svg").read_bytes() != files[0][1]


def test_info_says_what_a_bug_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    for word in ("tapenet", "python", "numpy", "BLAS", "threads", "renderer"):
        assert re.search(rf"^{word}", printed, re.MULTILINE), word


@pytest.mark.parametrize(
    ("named", "found"),
    [
        pytest.param("x86-64-v2", r"native, .* for x86-64-v2: vectors of 128 bits", marks=x86),
        ("nonesuch", "none: TAPENET_CPU=nonesuch is no"),
    ],
)
def test_info_tells_the_processor_that_code_is_made_for(named: str, found: str) -> None:
    pytest.importorskip("llvmlite")
    printed = subprocess.run(
        [sys.executable, "-m", "tapenet", "info"],
        env={**os.environ, "TAPENET_CPU": named},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.search(rf"^compiler +{found}", printed, re.MULTILINE), printed


MODELS = """
import numpy as np
import helper
import tapenet as tn
from tapenet import nn


class Net(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(4 * 26 * 26, 10)

    def forward(self, x):
        return self.fc(tn.tanh(self.conv(x)).reshape(len(x), -1))


class Words(nn.Module):
    def __init__(self, size=50):
        self.table = nn.Embedding(size, 8)

    def forward(self, words, scale):
        return self.table(words) * scale


class Needs(nn.Module):
    def __init__(self, size):
        self.size = size


class Inside:
    net = Net()


def make(classes=3):
    return nn.Sequential(nn.Linear(5, classes), nn.ReLU())


def product(left, right):
    return np.exp(left) @ right


def loss():
    return (tn.tensor([1.0, 2.0], requires_grad=True) ** 2).sum()


def text(x):
    return "no tensor"


def broken(x):
    raise KeyError("lost\\nand gone")


with tn.Tape() as tape:
    tn.exp(tn.tensor([1.0]))
step = tn.compile(product)
number = 3
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with models in it, which is the current one."""
    (tmp_path / "models.py").write_text(MODELS, encoding="utf-8")
    (tmp_path / "helper.py").write_text("", encoding="utf-8")
    (tmp_path / "bad.py").write_text("x = 1\ny = x / 0\n", encoding="utf-8")
    (tmp_path / "worse.py").write_text("def (:\n", encoding="utf-8")
    (tmp_path / "stops.py").write_text("raise SystemExit('stopped')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name in ("models", "helper", "bad", "worse", "stops", "__drawn__"):
            del sys.modules[name]


def drawn(path: Path) -> list[str]:
    """The texts of a picture."""
    return [t.text or "" for t in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_draw_as_a_user_calls_it(models: Path) -> None:
    done = run("draw", "models:Net", "--input", "2,1,28,28", "-o", "net.svg", cwd=models)
    assert (done.returncode, done.stdout, done.stderr) == (0, "saved net.svg\n", "")
    shown = drawn(models / "net.svg")
    assert {"conv · Conv2d", "2×1×28×28 f32", "x", "3×3"} <= set(shown)


@pytest.mark.parametrize(
    ("name", "inputs", "words"),
    [
        ("models.py:Net", ["2,1,28,28"], ["conv · Conv2d"]),
        ("models.py:Net", [], ["Net", "conv · Conv2d"]),
        ("tapenet:optim.Adam", [], ["grad_sum"]),
        ("models:Inside.net", ["2,1,28,28"], ["conv · Conv2d"]),
        ("models:make", ["4,5"], ["0 · Linear", "4×5 f32"]),
        ("models:Words", ["int64:2,7", "()"], ["words", "2×7 i64", "table · Embedding"]),
        ("models:product", ["float64:2,3", "float64:3,4"], ["left", "2×3 f64", "exp", "@"]),
        ("models:loss", [], ["sum"]),
        ("models:step", ["float64:2,3", "float64:3,4"], ["left", "2×3 f64", "exp", "@"]),
        ("models:tape", [], ["exp"]),
        ("tapenet.nn:Identity", ["3"], []),
    ],
)
def test_draw_takes_many_things(models: Path, name: str, inputs: list[str], words: list[str]) -> None:
    given = [part for text in inputs for part in ("--input", text)]
    if name.endswith("Identity"):  # records nothing: said in one line
        assert main(["draw", name, *given]) == 1
        return
    assert main(["draw", name, *given, "-o", "picture.svg"]) == 0
    assert set(words) <= set(drawn(models / "picture.svg"))


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        ("svg", b"<svg "), ("html", b"<!"), ("png", b"\x89PNG"), ("pdf", b"%PDF-"), ("dot", b"digraph"),
        ("mmd", b"flowchart LR"), ("json", b"{"),
    ],
)  # fmt: skip
def test_draw_writes_what_the_suffix_says(models: Path, suffix: str, start: bytes) -> None:
    path = models / f"net.{suffix}"
    assert main(["draw", "models:Net", "--input", "2,1,28,28", "--direction", "LR", "-o", str(path)]) == 0
    first = path.read_bytes()
    assert first.startswith(start)
    assert main(["draw", "models:Net", "--input", "2,1,28,28", "--direction", "LR", "-o", str(path)]) == 0
    if suffix not in ("html", "json"):  # they tell the numbers of the nodes, which go on
        assert path.read_bytes() == first


def test_draw_options(models: Path) -> None:
    net = ["draw", "models:Net", "--input", "2,1,28,28", "-o", "net.dot"]
    text = {}
    for options in ((), ("--depth", "0"), ("--backward",), ("--title", 'A "title"'), ("--budget", "1")):
        assert main([*net, *options]) == 0
        text[options[:1]] = (models / "net.dot").read_text(encoding="utf-8")
    assert text["--depth",].count("\n") < text[()].count("\n")
    assert "#b24700" in text["--backward",]
    assert "#b24700" not in text[()]
    assert 'A \\"title\\"' in text["--title",]
    assert text["--budget",] != text[()]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["models:Nothing"], "models has no 'Nothing'; it has Inside, Needs, Net"),
        (["models:Net.x.y"], "models has no 'Net.x.y'"),
        (["nowhere:x"], "there is no module nowhere; a file is named with its suffix .py"),
        (["nowhere.py:x"], "there is no file nowhere.py"),
        (["models"], "'models' names no object: write MODULE:OBJECT"),
        (["models:"], "names no object"),
        (["bad:x"], "bad could not be imported: ZeroDivisionError: division by zero ("),
        (["bad.py:x"], "bad.py:2)"),
        (["worse:x"], "worse could not be imported: SyntaxError: invalid syntax"),
        (["stops:x"], "stops could not be imported: SystemExit: stopped"),
        (["models:Needs"], "missing 1 required positional argument: 'size'"),
        (
            ["models:product"],
            "draw: product takes left, right; 0 given. Pass its arguments after it: tn.draw(product, left, right)",
        ),
        (["models:product", "--input", "2"], "right"),
        (["models:Net", "--input", "2,1,28,5"], "failed in fc"),
        (["models:broken", "--input", "2"], "lost"),
        (["models:text", "--input", "2"], "holds no tensor"),
        (["models:number"], "int"),
        (["models:loss", "--input", "2"], "takes no arguments"),
        (["models:loss", "-o", "net.gif"], "the suffix must be one of .svg"),
        (
            ["models:loss", "-o", "nowhere/net.svg"],
            "tapenet draw: cannot save a picture as nowhere/net.svg: make the folder",
        ),
        (["models:loss", "-o", "n" * 300 + ".svg"], "the name is too long"),
        (["models.py:broken", "--input", "2"], "(models.py:"),
        (["models:np", "--input", "2"], "a package is drawn by itself"),
    ],
)
def test_draw_says_in_one_line_what_failed(
    models: Path, args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["draw", *args]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("tapenet draw: ")
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert "__main__.py" not in printed.err
    assert not printed.out


@pytest.mark.parametrize("args", [["--help"], ["demo", "--help"], ["info", "--help"], ["draw", "--help"]])
def test_help_everywhere(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 0
    assert "usage: python -m tapenet" in capsys.readouterr().out


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["nothing"],
        ["demo", "--epochs", "0"],
        ["demo", "--epochs", "many"],
        ["draw"],
        ["draw", "m:x", "--input", "a,b"],
        ["draw", "m:x", "--input", "nothing:2"],
        ["draw", "m:x", "--input", "str:2"],
        ["draw", "m:x", "--input", "-2"],
        ["draw", "m:x", "--input", ""],
        ["draw", "m:x", "--depth", "-1"],
        ["draw", "m:x", "--direction", "up"],
    ],
)
def test_wrong_usage_exits_with_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--out", str(tmp_path / "file" / "sub")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_curve_leaves_gaps_and_escapes_text() -> None:
    text = curve({"a<b": [1.0, 2.0, float("nan"), 3.0, 2.0], "c": [0.0] * 5}, title="x & y")
    root = ElementTree.fromstring(text)
    lines = root.findall(".//{*}polyline")
    assert [len(line.get("points", "").split()) for line in lines] == [2, 2, 5]
    words = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a<b" in words
    assert "x & y" in words


def test_a_curve_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no finite value"):
        curve({"loss": [float("inf")]})
