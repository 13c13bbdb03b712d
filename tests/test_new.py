"""`python -m tapenet new`: what it writes installs, and passes its own tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tapenet import new
from tapenet.__main__ import main
from tapenet.names import home
from tests.test_docs import ROOT, blocks

#: What is made: kind, name, folder, and what tapenet has then.
MADE = [
    ("op", "soft_bell", "soft-bell", ["tn.soft_bell"]),
    ("layer", "RMSScale2", "rms-scale2", ["tn.nn.RMSScale2"]),
    ("optimizer", "lion-heart", "lion-heart", ["tn.optim.LionHeart"]),
    ("package", "acme_nets", "acme-nets", ["tn.soft_clip", "tn.nn.SoftClip", "tn.optim.SignMomentum"]),
]


@pytest.mark.parametrize(("kind", "name", "folder", "names"), MADE)
def test_it_writes_a_package(
    kind: str, name: str, folder: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["new", kind, name]) == 0
    said = capsys.readouterr().out
    module = folder.replace("-", "_")
    files = {str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file()}
    parts = new.KINDS[kind]
    assert files == {
        ".gitignore", "README.md", "pyproject.toml", f"src/{module}/__init__.py", f"src/{module}/py.typed",
        *(f"src/{module}/{part}.py" for part in parts), *(f"tests/test_{part}.py" for part in parts),
    }  # fmt: skip
    assert all(f"wrote {Path(folder) / file}" in said for file in files)
    text = "".join((Path(folder) / file).read_text(encoding="utf-8") for file in files)
    assert "$" not in text
    assert all(f"`{n}`" in text for n in names)
    before = {file: (Path(folder) / file).read_bytes() for file in files}
    assert main(["new", kind, name]) == 1
    assert f"{folder} is there already: give another folder with --out" in capsys.readouterr().err
    assert before == {file: (Path(folder) / file).read_bytes() for file in files}
    assert main(["new", kind, name, "--out", "elsewhere"]) == 0
    assert (Path("elsewhere") / "pyproject.toml").exists()


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("op", "relu", "tn.relu is tapenet's own, and would stay that: give another name"),
        ("layer", "linear", "tn.nn.Linear is tapenet's own"),
        ("optimizer", "Adam", "tn.optim.Adam is tapenet's own"),
        ("package", "numpy", "there is a package 'numpy' already"),
        ("op", "json", "there is a package 'json' already"),
        ("op", "2soft", "'2soft' is no name for a package"),
        ("op", "soft/clip", "'soft/clip' is no name"),
        ("op", "lambda", "'lambda' is no name"),
        ("op", "", "'' is no name"),
    ],
)
def test_names_that_cannot_be_used(
    kind: str, name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["new", kind, name]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_names_in_the_templates_are_not_tapenets_own() -> None:
    assert not [part.usual for part in new.PARTS.values() if home(part.space, part.usual)]


def test_the_page_on_packages_shows_what_is_written() -> None:
    page = list(blocks((ROOT / "docs" / "extending" / "packages.md").read_text(encoding="utf-8")))
    shown = next(block.text for block in page if block.info == "python")
    files = new.package("op", "soft_bell", "0.1.0")
    assert shown == files["src/soft_bell/ops.py"]
    assert next(block.text for block in page if block.info == "toml") in files["pyproject.toml"]


@pytest.mark.slow
def test_packages_install_in_a_new_environment_and_pass_their_tests(tmp_path: Path) -> None:
    """Without network: the environment has no packages of its own but sees those that are here."""
    pytest.importorskip("setuptools", "77")
    for kind, name, folder, _ in MADE:
        new.write(kind, name, tmp_path / folder)

    def run(*command: str, folder: str = ".") -> str:
        done = subprocess.run(
            command, cwd=tmp_path / folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    run(sys.executable, "-m", "venv", "--without-pip", "env")
    own = {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}
    packages = Path(sysconfig.get_path("purelib", "venv", own))
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    python = str(Path(sysconfig.get_path("scripts", "venv", own)) / "python")
    options = ["--no-build-isolation", "--no-deps", "--no-index", *(word for m in MADE for word in ("-e", m[2]))]
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", *options)
    for _, _, folder, _ in MADE:
        assert re.search(r"\d passed", run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=folder))
        page = blocks((tmp_path / folder / "README.md").read_text(encoding="utf-8"))
        run(python, "-c", "\n".join(block.text for block in page if block.info == "python"))
    names = [name for made in MADE for name in made[3]]
    run(python, "-c", f"import tapenet as tn; print({', '.join(names)})")
    listed = run(python, "-m", "tapenet", "info")
    assert all(re.search(rf"^plugin .* {n.rpartition('.')[2]}: .* 0\.1\.0$", listed, re.MULTILINE) for n in names)
    run(sys.executable, "-m", "ruff", "check", *(m[2] for m in MADE))
    run(sys.executable, "-m", "ruff", "format", "--check", *(m[2] for m in MADE))
