"""The architecture: which folder may import which, and what an import costs."""

from __future__ import annotations

import functools
import graphlib
import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tapenet
from tapenet.drawing.sources.imports import Import, imports_in, modules_in
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op

ROOT = Path(tapenet.__file__).parent
MODULES = modules_in(ROOT)

#: Folder -> the folders that its modules may import, beside `typing`. What is not listed may be imported by nobody.
KNOWS: dict[str, set[str]] = {
    "typing": set(),
    "plugins": set(),
    "locks": set(),
    "names": set(),
    "new": set(),
    "llvm": {"llvm"},
    "kernels": {"llvm", "kernels"},
    "program": {"llvm", "kernels", "program"},
    "ops": {"kernels", "program", "ops"},
    "emath": set(),
    "linalg": set(),
    "special": {"ops", "special"},
    "fft": set(),
    "implicit": set(),
    "random": {"program", "ops", "autodiff", "special", "scipy", "random"},
    "autodiff": {"program", "ops", "autodiff"},
    "parameters": {"program", "ops", "autodiff", "parameters"},
    "transforms": {"program", "ops", "autodiff", "compiler", "transforms"},
    "optimize": {"program", "ops", "autodiff", "compiler", "transforms", "tree", "optimize"},
    "scipy": {"program", "ops", "autodiff", "compiler", "transforms", "lifting", "tree", "special", "optimize", "scipy"},
    "autograd": {"autodiff", "transforms"},
    "lifting": {"special", "program", "ops", "autodiff", "compiler", "transforms", "lifting"},
    "tree": {"program", "ops", "autodiff"},
    "cuda": set(),
    "mypy_plugin": set(),
    "nn": {"program", "ops", "autodiff", "parameters", "profiling", "nn"},
    "optim": {"kernels", "program", "ops", "autodiff", "parameters", "optim"},
    "files": {"program", "ops", "autodiff", "files"},
    "data": {"files", "data"},
    "metrics": {"drawing", "metrics"},
    "drawing": {"program", "ops", "autodiff", "parameters", "compiler", "profiling", "files", "drawing"},
    "compiler": {"llvm", "kernels", "program", "ops", "autodiff", "compiler"},
    "profiling": {"program", "ops", "autodiff", "profiling"},
    "training": {
        "program", "ops", "autodiff", "parameters", "compiler", "nn", "optim", "files", "data", "metrics", "drawing",
        "profiling", "parallel", "training",
    },
    "compat": {"linalg", "fft", "program", "ops", "autodiff", "parameters", "nn", "optim", "transforms", "compat"},
    "interop": {"ops", "autodiff", "nn", "interop"},
    "parallel": {"llvm", "kernels", "program", "ops", "autodiff", "parameters", "nn", "optim", "files", "data", "parallel"},
    "testing": {
        "llvm", "program", "ops", "autodiff", "transforms", "compiler", "nn", "optim", "data", "drawing", "testing",
    },
}  # fmt: skip
for _known in KNOWS.values():
    _known |= {"typing", "locks", "names", "plugins"}
#: The public names and the command line stand above all folders.
ROOF = {"tapenet", "tapenet.__main__"}


@functools.cache
def all_imports() -> list[Import]:
    """Read by the first test that asks: every process that collects tests would wait for them, seconds each."""
    return imports_in(MODULES)


@functools.cache
def own_imports() -> list[Import]:
    return [i for i in all_imports() if i.of == "tapenet" or i.of.startswith("tapenet.")]


def folder_of(module: str) -> str:
    """The folder, or file, directly under tapenet/ that holds a module."""
    return module.split(".")[1] if "." in module else ""


def test_the_reader_of_imports_sees_them() -> None:
    """A check that finds no imports would pass whatever the architecture looks like."""
    edges = {(i.by, i.of) for i in own_imports()}
    assert ("tapenet.autodiff.generate", "tapenet.ops.op") in edges
    assert ("tapenet.autodiff.tensor", "tapenet.autodiff.observe.mutation") in edges
    assert ("tapenet.autodiff.tensor", "tapenet.ops") in edges
    assert any(i.for_types for i in own_imports())
    assert len(MODULES) > 30
    assert {folder_of(m) for m in MODULES} - {"", "__main__"} <= set(KNOWS)


def test_knowledge_runs_in_one_direction() -> None:
    wrong = [
        f"{i.by}:{i.line} imports {i.of}"
        for i in own_imports()
        if i.by not in ROOF and not i.for_types and folder_of(i.of) not in KNOWS[folder_of(i.by)]
    ]
    assert not wrong


def test_types_too_are_known_from_above_or_beside_only() -> None:
    """An annotation may name a neighbour in the same folder that imports this one, but nothing further up."""
    wrong = [
        f"{i.by}:{i.line} names {i.of}"
        for i in own_imports()
        if i.for_types and i.by not in ROOF and folder_of(i.of) not in KNOWS[folder_of(i.by)]
    ]
    assert not wrong


def test_no_module_is_in_a_circle() -> None:
    """Neither at import nor at call nor for a type checker."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for i in own_imports():
        if i.by not in ROOF and i.of != i.by:
            graph[i.by].add(i.of)
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert set(order) >= set(MODULES)


def test_own_modules_are_imported_at_the_top() -> None:
    """Later only where a public function starts a part of the package that most programs never use."""
    late = {i.by for i in own_imports() if i.inside_function and not i.for_types}
    assert late <= {"tapenet.drawing", "tapenet.drawing.draw_call", "tapenet.__main__"}


HEAVY = {
    "scipy", "graphviz", "tqdm", "safetensors", "ml_dtypes", "urllib.request", "http.client", "gzip", "subprocess", "asyncio",
    "unittest", "numpy.random", "numba", "jax", "torch", "matplotlib", "IPython", "pandas",
    "pyarrow", "sklearn", "PIL", "tensorboardX", "mpi4py",
}  # fmt: skip


def test_heavy_packages_are_never_imported_at_the_top() -> None:
    wrong = [
        f"{i.by}:{i.line} imports {i.of}"
        for i in all_imports()
        if not (i.inside_function or i.for_types) and any(i.of == h or i.of.startswith(h + ".") for h in HEAVY)
    ]
    allowed = {"tapenet.__main__", "tapenet.data.build_digits"}  # programs, not libraries
    assert not [w for w in wrong if w.partition(":")[0] not in allowed]


def _fresh(code: str) -> str:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME")
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, numpy; before = set(sys.modules); import tapenet as tn; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    new = json.loads(_fresh(code))
    assert "tapenet.autodiff.generate" in new
    late = tuple(
        f"tapenet.{name}" for name in ("scipy", "special", "optimize", "random")
    )  # loaded at the first use of a name
    assert not [m for m in new if m.startswith(late)]
    heavy = [
        m for m in new if any(m == h or m.startswith(h + ".") for h in {*HEAVY, "urllib", "http", "ssl", "logging"})
    ]
    assert not heavy


def test_running_a_program_loads_nothing_that_makes_one() -> None:
    """One that is found in the cache runs without."""
    reached = ["tapenet.program.native.runner"]
    for module in reached:  # grows while it is walked over
        new = {i.of for i in own_imports() if i.by == module and not (i.inside_function or i.for_types)}
        reached += sorted(new.difference(reached))
    assert "tapenet.program.native.kept" in reached
    assert not {"tapenet.program.native.making", "tapenet.program.native.module", "tapenet.program.fusion"} & {*reached}


def test_the_core_works_without_the_optional_packages() -> None:
    """A training step with everything else out of reach."""
    blocked = sorted(h for h in HEAVY if "." not in h and h not in ("subprocess", "unittest", "asyncio", "gzip"))
    code = f"""
import sys
for name in {blocked!r}:
    sys.modules[name] = None
import numpy as np, tapenet as tn
from tapenet import nn, optim
import tapenet.nn.functional as F
net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
opt = optim.SGD(net.parameters(), lr=0.1)
x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
losses = []
for _ in range(20):
    loss = F.mse_loss(net(tn.tensor(x)), tn.tensor(y))
    opt.zero_grad(); loss.backward(); opt.step()
    losses.append(loss.item())
assert losses[-1] < losses[0], losses
tn.testing.check_grads(tn.exp, [np.ones(2)], order=2)
print("done")
"""
    assert _fresh(code).strip() == "done"


def test_importing_does_little_beside_numpy() -> None:
    """Counted, not timed, so that it holds on a busy machine: modules, bytes of bytecode and calls, beside those of
    `import numpy`. `python -m tests.benchmarks.importing` takes the times."""
    code = """
import inspect, json, os, sys  # NumPy 2.4 imports inspect, 2.3 leaves it to dataclasses: it counts for nobody
def cost(name):
    before, calls = set(sys.modules), 0
    def count(frame, event, argument):
        nonlocal calls
        calls += event.endswith("call")
    sys.setprofile(count)
    __import__(name)
    sys.setprofile(None)
    files = [getattr(sys.modules[m], "__cached__", None) for m in set(sys.modules) - before]
    return len(files), sum(os.path.getsize(f) for f in files if f), calls
print(json.dumps([cost("numpy"), cost("tapenet")]))
"""
    _fresh(code)  # writes the bytecode
    numpys, ours = json.loads(_fresh(code))
    modules, size, calls = (mine / its for mine, its in zip(ours, numpys, strict=True))
    assert modules <= 0.75, (numpys, ours)
    assert size <= 0.42, (numpys, ours)
    assert calls <= 0.33, (numpys, ours)


# -- what is public ----------------------------------------------------------------------------------------------


def test_public_names_are_there_and_documented() -> None:
    missing = [name for name in tapenet.__all__ if not hasattr(tapenet, name)]
    assert not missing
    assert len(set(tapenet.__all__)) == len(tapenet.__all__)
    bare = []
    for name in tapenet.__all__:
        value = getattr(tapenet, name)
        if value is not None and not (inspect.getdoc(value) or "").strip():  # but for tn.newaxis
            bare.append(name)
    assert not bare


def test_names_fixed_by_the_design_are_there() -> None:
    names = [
        "tensor",
        "asarray",
        "Tensor",
        "tape",
        "Tape",
        "no_grad",
        "enable_grad",
        "debug",
        "backward",
        "grad",
        "value_and_grad",
        "vjp",
        "hvp",
        "op",
        "draw",
        "testing",
        "nn",
        "optim",
        "data",
        "random",
    ]
    assert not [n for n in names if not hasattr(tapenet, n)]
    assert set(names) <= set(dir(tapenet))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        tapenet.nothing  # noqa: B018


def test_every_module_and_public_definition_is_documented() -> None:
    bare = []
    # Programs, and what needs mypy.
    for name in set(MODULES) - {"tapenet.__main__", "tapenet.data.build_digits", "tapenet.mypy_plugin"}:
        module = importlib.import_module(name)
        if not (module.__doc__ or "").strip():
            bare.append(name)
        for attribute, value in vars(module).items():
            own = getattr(value, "__module__", None) == name and not attribute.startswith("_")
            if own and (inspect.isfunction(value) or inspect.isclass(value) or isinstance(value, (Op, Derived))):
                bare += [f"{name}.{attribute}"] if not (inspect.getdoc(value) or "").strip() else []
    assert not bare


def test_no_module_shadows_a_public_function() -> None:
    """`tn.op`, `tn.tape` and `tn.tensor` are functions: no module of that name may lie directly under the package."""
    direct = {m.name for m in pkgutil.iter_modules([str(ROOT)])}
    assert direct & {"op", "tape", "tensor", "draw", "grad"} == set()
    assert all(callable(getattr(tapenet, n)) for n in ("op", "tape", "tensor", "draw", "grad", "backward"))


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "py.typed").exists()
