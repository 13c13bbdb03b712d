"""The pictures that errors name in debug mode."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.autodiff.observe.anomaly import Anomaly
from tapenet.drawing import illustrate
from tapenet.drawing.illustrate import MOST, scene
from tapenet.drawing.model import Vertex
from tapenet.drawing.passes.neighbourhood import STUB


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TAPENET_DEBUG_DIR", str(tmp_path / "made"))
    monkeypatch.setattr(illustrate, "_numbers", itertools.count(1))
    return tmp_path / "made"


def leaf(*values: float) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def fails(g: Any) -> Any:
    raise KeyError("lost")


def error(function: Any) -> Exception:
    with pytest.raises(Exception) as caught, np.errstate(all="ignore"), tn.debug():  # noqa: PT011
        function()
    return caught.value


def named(error: Exception) -> Path:
    """The file that an error names."""
    text = " ".join([str(error), *getattr(error, "__notes__", [])])
    found = re.findall(r"the graph around it is drawn in (\S+?\.(?:svg|dot))", text)
    assert len(found) == 1
    return Path(found[0])


def texts(path: Path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def marked(trouble: Anomaly) -> Vertex:
    (vertex,) = (v for v in scene(trouble).vertices if v.sign == "trouble")
    return vertex


class Net(nn.Module):
    def __init__(self) -> None:
        self.first = nn.Linear(4, 8)
        self.rest = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x: Any) -> Any:
        return self.rest(F.relu(self.first(x)))


def test_a_wrong_shape_in_a_module(folder: Path) -> None:
    net = Net()
    images = tn.tensor(np.ones((2, 9), np.float32))
    path = named(error(lambda: net(images)))
    assert path == folder / "tapenet-debug-1-linear.svg"
    shown = texts(path)
    assert "first · Linear" in shown
    assert {"weight", "bias", "2×9 f32"} <= set(shown)
    assert any("not aligned" in text for text in shown)
    assert f"{Path(__file__).name}:" in path.read_text(encoding="utf-8")  # lines of user code, in tooltips


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_that_fails(create_graph: bool) -> None:
    bad = tn.op(lambda x: x * 1, name='bad <op>"', x=fails)

    def run() -> None:
        y = bad(np.exp(leaf(1.0, 2.0)))
        for _ in range(30):
            y = np.tanh(y)
        y.sum().backward(create_graph=create_graph)

    path = named(error(run))
    assert path.name == "tapenet-debug-1-bad-op.svg"
    shown = texts(path)
    assert 'bad <op>"' in shown
    assert "exp" in shown
    assert 3 < shown.count("tanh") < 12
    assert shown.count(STUB) == 1
    assert any("lost" in text for text in shown)
    assert "sum" not in shown


def test_gradients_and_values_that_are_born() -> None:
    loss = None

    def backward() -> None:
        nonlocal loss
        loss = np.sqrt(leaf(0.0) * 2).sum()
        loss.backward()

    shown = texts(named(error(backward)))
    assert any(text.startswith("gradient for x: inf in 1 of 1") for text in shown)
    assert "loss" in shown  # what the pass began from
    shown = texts(named(error(lambda: tn.log(leaf(0.0) * 2))))
    assert any(text.startswith("gave -inf") for text in shown)
    assert "output" not in shown


def test_on_a_tape_without_gradients() -> None:
    def run() -> None:
        x = tn.tensor([1.0, 2.0])
        with tn.Tape():
            np.exp(x) @ (tn.tensor([1.0, 2.0, 3.0]) * 2)

    shown = texts(named(error(run)))
    assert {"exp", "× 2"} <= set(shown)


def test_one_of_several_outputs() -> None:
    pair = tn.op(lambda x: (x * 2, np.log(x)), name="pair", outputs=2, x=lambda g, x: g[0] + g[1] / x)
    shown = texts(named(error(lambda: pair(leaf(0.0) * 2))))
    assert any("pair" in text for text in shown)

    def run() -> None:
        a, b = tn.op(lambda x: (x * 2, x * 3), name="two", outputs=2, x=fails)(leaf(1.0) * 2)
        (a * b).sum().backward()

    assert {"two", "× 2", "×"} <= set(texts(named(error(run))))


def test_the_op_is_marked_and_says_why() -> None:
    x = leaf(1.0)
    y = np.exp(x) * 2
    vertex = marked(Anomaly(y.node, "a reason\nof two lines", (y.sum().node,)))
    assert vertex.op == "multiply"
    assert vertex.title == "× 2\na reason of two lines"
    assert vertex.details[0] == "a reason\nof two lines"
    assert marked(Anomaly(x.node, "a hook", (y.node,))).kind == "parameter"


def test_of_a_large_graph_the_neighbourhood() -> None:
    y = x = leaf(1.0)
    middle = None
    for i in range(20_000):
        y = np.tanh(y) if i % 2 else y * 2
        middle = y if i == 10_000 else middle
    part = scene(Anomaly(middle.node, "here", (y.sum().node,)))
    assert len(part.vertices) == 14
    place = next(i for i, v in enumerate(part.vertices) if v.sign)
    assert 3 < place < 10
    del x


def test_no_file_is_overwritten_and_the_number_of_files_is_limited(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (folder / "tapenet-debug-1-log.svg").write_text("mine")
    (folder / "tapenet-debug-2-log.svg").symlink_to(tmp_path / "elsewhere")
    for _ in range(MOST):
        named(error(lambda: tn.log(leaf(0.0))))
    assert (folder / "tapenet-debug-1-log.svg").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    assert len(list(folder.iterdir())) == MOST + 2
    last = error(lambda: tn.log(leaf(0.0)))
    assert "drawn" not in str(last)
    assert len(list(folder.iterdir())) == MOST + 2


def test_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TAPENET_DEBUG_DIR")
    monkeypatch.chdir(tmp_path)
    assert named(error(lambda: tn.log(leaf(0.0)))) == Path("tapenet-debug-1-log.svg")
    assert (tmp_path / "tapenet-debug-1-log.svg").exists()
    monkeypatch.setattr(os, "access", lambda *args: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert named(error(lambda: tn.log(leaf(0.0)))).parent == tmp_path / "temporary"


def test_a_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAPENET_DEBUG_DIR", str(tmp_path / "file" / "sub"))
    failed = error(lambda: leaf(1.0, 2.0) + leaf(1.0, 2.0, 3.0))
    assert isinstance(failed, ValueError)
    assert "could not be drawn: NotADirectoryError" in failed.__notes__[0]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x1bb\n\u2028", "x" * 10_000, "日本語", "CON:*?<>|"])
def test_any_name_of_an_op_makes_a_file_name(name: str, folder: Path) -> None:
    bad = tn.op(lambda x: x * 1, name=name, x=fails)
    path = named(error(lambda: bad(leaf(1.0)).sum().backward()))
    assert path.parent == folder
    assert re.fullmatch(r"tapenet-debug-1-[A-Za-z0-9_-]{1,40}\.svg", path.name)


def test_in_threads(folder: Path) -> None:
    paths = []

    def work() -> None:
        with np.errstate(all="ignore"), tn.debug():
            try:
                tn.log(leaf(0.0))
            except FloatingPointError as failed:
                paths.append(named(failed))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 6
    assert all(texts(path) for path in paths)
