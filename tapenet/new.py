"""What `python -m tapenet new` writes: a small package with an op, a layer or an optimizer, its tests and its settings."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from string import Template
from typing import NamedTuple

from tapenet.names import home

TEMPLATES = Path(__file__).parent / "templates"


class _Part(NamedTuple):
    """A module of a package that is written, which holds one object."""

    word: str  #: for the object's name in templates
    usual: str  #: its name where none is given
    meaning: str
    space: str  #: the namespace that has it once the package is installed
    usage: str


#: Module -> what it holds. Its group of entry points is "tapenet." and the module.
PARTS = {
    "ops": _Part(
        "op", "soft_clip", "an op", "tapenet",
        "import numpy as np\nfrom $package import $op\n\ny = $op(np.linspace(-3, 3, 7), limit=2.0)",
    ),
    "layers": _Part(
        "Layer", "SoftClip", "a layer", "tapenet.nn",
        "from tapenet import nn\nfrom $package import $Layer\n\nnet = nn.Sequential(nn.Linear(2, 3), $Layer(3))",
    ),
    "optimizers": _Part(
        "Optimizer", "SignMomentum", "an optimizer", "tapenet.optim",
        "from tapenet import nn\nfrom $package import $Optimizer\n\nopt = $Optimizer(nn.Linear(2, 3), lr=1e-3)",
    ),
}  # fmt: skip
#: What may be made -> the modules that it has.
KINDS = {"op": ("ops",), "layer": ("layers",), "optimizer": ("optimizers",), "package": tuple(PARTS)}


#: Names of packages that what is written needs.
_TAKEN = {"tapenet", "numpy", "scipy", "pytest", "mypy", "pyright", "ruff", "setuptools", "test", "tests", "src"}


class NewError(RuntimeError):
    """A package that cannot be written."""


def write(kind: str, name: str, folder: Path | None = None, version: str = "0.1.0") -> Path:
    """Write a package, in a new folder.

    Args:
        kind: one of `KINDS`.
        name: of the op, layer, optimizer or package: soft_clip, soft-clip or SoftClip.
        folder: where (default: a folder here that is named after it).
        version: of tapenet, which it needs at least.

    Returns:
        the folder.

    Raises:
        NewError: the name is no name or is taken, or there are files in the folder.
    """
    files = package(kind, name, version)
    folder = folder or Path("-".join(_words(name)))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NewError(f"{folder} is there already: give another folder with --out")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def package(kind: str, name: str, version: str) -> dict[str, str]:
    """The files of a package, by path.

    Raises:
        NewError: the name is no name, or is taken.
    """
    words = _words(name)
    module = "_".join(words)
    if not words or not module.isidentifier() or keyword.iskeyword(module):
        raise NewError(f"{name!r} is no name for a package: give words of letters, such as soft_clip or SoftClip")
    if module in sys.stdlib_module_names or module in _TAKEN:
        raise NewError(f"there is a package {module!r} already: give another name")
    parts = {at: PARTS[at] for at in KINDS[kind]}
    objects = {at: part.usual for at, part in parts.items()}
    if kind != "package":
        (at,) = parts
        objects[at] = module if kind == "op" else name if name[0].isupper() else "".join(w.capitalize() for w in words)
        if home(parts[at].space, objects[at]) is not None:
            called = f"{parts[at].space}.{objects[at]}".replace("tapenet", "tn", 1)
            raise NewError(f"{called} is tapenet's own, and would stay that: give another name")
    what = _listed([part.meaning for part in parts.values()])
    fields = {part.word: objects[at] for at, part in parts.items()} | {
        "package": module,
        "project": "-".join(words),
        "version": version,
        "description": f"{what[0].upper()}{what[1:]} for tapenet.",
        "entry_points": "\n\n".join(
            f'[project.entry-points."tapenet.{at}"]\n{found} = "{module}.{at}:{found}"' for at, found in objects.items()
        ),
        "found": _listed([f"`{parts[at].space}.{found}`".replace("tapenet", "tn", 1) for at, found in objects.items()]),
        "imports": "\n".join(f"from {module}.{at} import {found}" for at, found in sorted(objects.items())),
        "names": ", ".join(f'"{found}"' for found in sorted(objects.values())),
    }
    fields["usage"] = "\n```\n\n```python\n".join(Template(part.usage).substitute(fields) for part in parts.values())
    files = {"pyproject.toml": "pyproject.toml", "README.md": "README.md", ".gitignore": "gitignore"}
    files |= {f"src/{module}/__init__.py": "__init__.py"}
    for at in parts:
        files |= {f"src/{module}/{at}.py": f"{at}.py", f"tests/test_{at}.py": f"test_{at}.py"}
    made = {
        path: Template((TEMPLATES / f"{file}.txt").read_text(encoding="utf-8")).substitute(fields)
        for path, file in files.items()
    }
    return made | {f"src/{module}/py.typed": ""}


def _words(name: str) -> list[str]:
    """The words of a name, in small letters.

    >>> _words("SoftClip"), _words("soft-clip_2"), _words("RMSScale")
    (['soft', 'clip'], ['soft', 'clip', '2'], ['rms', 'scale'])
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*", name):
        return []
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+", name)]


def _listed(words: list[str]) -> str:
    """Words in a sentence.

    >>> _listed(["an op", "a layer", "an optimizer"])
    'an op, a layer and an optimizer'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
