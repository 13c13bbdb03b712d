"""The command line, as a user calls it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tapenet.__main__ import main
from tapenet.drawing.curve import curve


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


@pytest.mark.parametrize("args", [["--help"], ["demo", "--help"], ["info", "--help"]])
def test_help_everywhere(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 0
    assert "usage: python -m tapenet" in capsys.readouterr().out


@pytest.mark.parametrize("args", [[], ["nothing"], ["demo", "--epochs", "0"], ["demo", "--epochs", "many"]])
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
    lines = root.findall("{*}polyline")
    assert [len(line.get("points", "").split()) for line in lines] == [2, 2, 5]
    words = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a<b" in words
    assert "x & y" in words


def test_a_curve_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no finite value"):
        curve({"loss": [float("inf")]})
