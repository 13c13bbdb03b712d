"""The table of public names: what it says is so, everything that is public comes from it, and nothing is loaded before it
is used."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import pkgutil
import pydoc
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.names import HIDDEN, NAMES, home, homes
from tests import NUMPY
from tests.stubs import SPACES, path, stub


@pytest.mark.parametrize("space", NAMES)
def test_each_name_is_defined_where_the_table_says(space: str) -> None:
    module = importlib.import_module(space)
    for name, where in homes(space).items():
        found = getattr(module, name)
        if where == space:
            assert isinstance(found, ModuleType)
            assert found.__name__ == f"{space}.{name}"
        else:
            assert found is getattr(importlib.import_module(where), name)


def test_hidden_names_are_found_but_not_shown() -> None:
    for module, names in HIDDEN.items():
        for name in names.split():
            if name != "bfloat16" or importlib.util.find_spec("ml_dtypes"):
                assert hasattr(tn, name)
            assert home("tapenet", name) == homes("tapenet").get(name, module)
            if name not in homes("tapenet"):
                assert name not in dir(tn)


@pytest.mark.parametrize("space", NAMES)
def test_what_a_namespace_lists(space: str) -> None:
    module = importlib.import_module(space)
    assert dir(module) == module.__all__ == sorted(homes(space))
    scope: dict[str, object] = {}
    exec(f"from {space} import *", scope)
    assert set(scope) - {"__builtins__"} == set(module.__all__)
    with pytest.raises(AttributeError, match=f"module '{space}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("space", NAMES)
def test_a_namespace_has_no_names_but_those(space: str) -> None:
    """And its submodules, which Python enters when they are imported. None of them has the name of something else."""
    module = importlib.import_module(space)
    submodules = {m.name for m in pkgutil.iter_modules(getattr(module, "__path__", []))}
    also = {n for names in HIDDEN.values() for n in names.split()} if space in ("tapenet", "tapenet.ops") else set()
    assert {n for n in vars(module) if not n.startswith("_")} <= set(homes(space)) | submodules | also
    assert not [n for n, where in homes(space).items() if n in submodules and where != space]


def test_a_mistyped_name_is_told_the_nearest() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import tapenet as tn; tn.nn.Linaer"], capture_output=True, text=True, check=False
    )
    assert "Did you mean: 'Linear'?" in done.stderr


def test_users_names_only() -> None:
    assert not {"assign", "plane_places", "avg_pool_grad", "setitem", "batch_norm_train", "ops", "names"} & set(dir(tn))
    assert {"exp", "hardswish", "nn", "Tensor", "random", "compile", "cat"} <= set(dir(tn))


@pytest.mark.parametrize("module", [tn, nn, nn.functional, tn.optim, tn.data], ids=lambda m: m.__name__)
def test_help_fits_some_screens(module: ModuleType) -> None:
    text = pydoc.plain(pydoc.render_doc(module))
    listed = " ".join(text.split())
    assert all(name in listed for name in dir(module))
    assert len(text.splitlines()) < 200


def test_the_documentation_begins_as_it_is_written() -> None:
    assert (inspect.getdoc(nn) or "").startswith("Models: modules, layers, their functions, and initial values.")


LOADED = """
import json, sys
import tapenet as tn, numpy as np
before = {m for m in sys.modules if m.startswith("tapenet")}
x = tn.tensor([1.0, 2.0], requires_grad=True)
%s
print(json.dumps(sorted({m for m in sys.modules if m.startswith("tapenet")} - before)))
"""


@pytest.mark.parametrize(
    ("program", "module"),
    [
        ("tn.nn.functional.hardswish(x)", home("tapenet", "hardswish")),
        ("np.sinc(x)", home("tapenet", "sinc")),
        ("np.linalg.inv(np.stack([x, x * 2.1]) + np.eye(2))", home("tapenet.linalg", "inv")),
        ("np.fft.fft2(np.stack([x, x]))", home("tapenet.fft", "fft2")),
    ],
)
def test_a_name_loads_its_own_module_and_few_others(program: str, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED % program], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    loaded = json.loads(done.stdout)
    assert module in loaded
    assert not [
        m for m in loaded if m.startswith(("tapenet.ops.layers.losses", "tapenet.ops.calculus", "tapenet.optim"))
    ]


def test_a_numpy_function_whose_op_has_another_name_is_found() -> None:
    program = "print(np.trapezoid(x), np.shape(x), np.emath.sqrt(x * -1))"
    done = subprocess.run([sys.executable, "-c", LOADED % program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Tensor(1.5, op=")
    assert np.shape(tn.tensor([1.0, 2.0])) == (2,)


@pytest.mark.skipif(NUMPY < "2.4.0", reason="some of NumPy's functions had fewer options before")
@pytest.mark.parametrize("space", SPACES)
def test_stubs_are_those_of_the_table(space: str) -> None:
    assert path(space).read_text(encoding="utf-8") == stub(space), "python -m tests.stubs"
