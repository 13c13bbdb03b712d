"""What is public in `nn` is documented, and the examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

from tapenet import nn

MODULES = [importlib.import_module(f"tapenet.nn.{m.name}") for m in pkgutil.iter_modules(nn.__path__)]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_examples_run(module: ModuleType) -> None:
    output: list[str] = []
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder().find(module):
        runner.run(example, out=output.append)
    assert not runner.failures, "".join(output)


def test_everything_public_is_documented() -> None:
    bare = []
    for module in (nn, nn.functional, nn.init):
        for name in getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]:
            value = getattr(module, name)
            if callable(value) and not (value.__doc__ or "").strip():
                bare.append(name)
            if isinstance(value, type):
                methods = [m for m in vars(value) if not m.startswith("_") and m not in ("forward", "extra_repr")]
                bare += [
                    f"{name}.{m}"
                    for m in methods
                    if callable(getattr(value, m)) and not inspect.getdoc(getattr(value, m))
                ]
    assert not bare
