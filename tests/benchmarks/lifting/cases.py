"""NumPy programs with their arguments: the thirty of `tests/lifting/programs`, and the 54 of NPBench.

NPBench (https://github.com/spcl/npbench) is not on the package index: `TAPENET_NPBENCH` names a checkout of it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from tests.lifting import programs

#: Parameters for small tests where the rule (no integer above 7) gives what a program does not take.
SMALL: dict[str, dict[str, float]] = {
    "azimint_hist": {"N": 40, "npt": 4}, "azimint_naive": {"N": 40, "npt": 4}, "conv2d_bias": {"C_out": 3},
    "crc16": {"N": 4}, "lenet": {"H": 16, "W": 16, "N": 2}, "scattering_self_energies": {"NE": 2, "NA": 2, "Nw": 1, "Nqz": 1},
    "spmv": {"M": 8, "N": 8, "nnz": 20}, "stockham_fft": {"R": 2, "K": 3}, "vadv": {"I": 3, "J": 3, "K": 5},
    "nbody": {"N": 4, "tEnd": 0.2}, "channel_flow": {"ny": 7, "nx": 7, "nu": 10.0},
    "cavity_flow": {"ny": 11, "nx": 11, "nt": 4}, "softmax": {"N": 2, "H": 2, "SM": 5},
}  # fmt: skip


class Case(NamedTuple):
    """A program."""

    name: str
    function: Callable[..., Any]
    #: Fresh arguments at each call.
    arguments: Callable[[], list[Any]]
    #: The arguments to differentiate by, and those that it writes its results into.
    by: tuple[int, ...]
    written: tuple[int, ...] = ()
    #: Makes the version of JAX.
    jax: Callable[[], Callable[..., Any]] | None = None
    #: Arguments that are part of what JAX compiles (where its version does not say so itself).
    static: tuple[int, ...] = ()


def results(case: Case, arguments: Sequence[Any], returned: Any) -> list[Any]:
    """What a program gives: what it returns, and what it has written."""
    if returned is None:
        returned = ()
    found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    return found + [arguments[i] for i in case.written]


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """Fixed numbers around 1, by which results are summed up to one number that can be differentiated."""
    return 1 + 0.5 * np.cos(1.7 * np.arange(int(np.prod(shape)))).reshape(shape)


def copies(arguments: Sequence[Any]) -> list[Any]:
    """The same arguments, of which arrays may be written to."""
    return [part.copy() if isinstance(part, np.ndarray) else part for part in arguments]


def kind(part: Any) -> str:
    """The kind of a result's dtype: "f", "c", "i", "b"."""
    return str(np.dtype(part.dtype if hasattr(part, "dtype") else type(part)).kind)


def total(found: Sequence[Any]) -> Any:
    """One number of all results that are not whole numbers."""
    whole: Any = 0.0
    for part in found:
        if kind(part) == "c":
            whole = whole + (weights(part.shape) * part.real).sum() - (weights(part.shape) * part.imag).sum()
        elif kind(part) == "f":
            whole = whole + (weights(np.shape(part)) * part).sum()
    return whole


def loss(case: Case, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of all arguments that gives one number. What it is given stays as it is: the program gets copies to write."""

    def run(*given: Any) -> Any:
        arguments = [part + 0 if i in case.written else part for i, part in enumerate(given)]
        return total(results(case, arguments, function(*arguments)))

    return run


def differentiable(case: Case) -> list[Any]:
    """Arguments whose floats are of 64 bits, so that differences can be taken."""
    found = case.arguments()
    for i in range(len(found)):
        part = np.asarray(found[i])
        if i in case.by or (part.ndim and part.dtype.kind in "fc"):
            found[i] = part.astype(np.complex128 if part.dtype.kind == "c" else np.float64)
    return found


def slopes(case: Case, arguments: list[Any]) -> tuple[list[Any], float, float]:
    """A direction for each argument that is differentiated by, the slope of the loss along it, and how far that is known."""
    r = np.random.default_rng(3)
    along = []
    for i in case.by:
        part = arguments[i]
        way = r.normal(size=part.shape) + (1j * r.normal(size=part.shape) if part.dtype.kind == "c" else 0)
        if part.any():
            way = np.where(part == 0, 0, way)  # zeros may stand for what is not there
        along.append(way * max(np.abs(part).max(initial=0), 1e-3))
    run = loss(case, case.function)
    outs = results(case, arguments, case.function(*copies(arguments)))
    step = 3e-3 if any(np.asarray(part).dtype == np.float32 for part in outs) else 1e-6

    def at(h: float) -> float:
        moved = list(arguments)
        for i, way in zip(case.by, along, strict=True):
            moved[i] = moved[i] + h * way
        return float(run(*moved))

    fine, coarse = ((at(h) - at(-h)) / (2 * h) for h in (0.3 * step, step))
    return along, fine, 4 * abs(fine - coarse)


def along_gradient(gradients: Sequence[Any], along: Sequence[Any]) -> float:
    """The slope that gradients tell."""
    return float(sum((np.conj(way) * np.asarray(g)).real.sum() for g, way in zip(gradients, along, strict=True)))


def own(name: str, large: bool) -> Case:
    """One of the thirty programs."""
    module = programs.load(name)

    def jax() -> Callable[..., Any]:
        from tests.benchmarks.lifting import jax_side

        return jax_side.compiled(name)

    return Case(name, module.PROGRAM, lambda: list(module.inputs(large)), module.BY, (), jax)


def npbench_folder() -> Path | None:
    """Where NPBench is, if it is."""
    given = os.environ.get("TAPENET_NPBENCH")
    return Path(given) if given else None


def npbench_names() -> list[str]:
    """The programs of NPBench."""
    folder = npbench_folder()
    return [] if folder is None else sorted(p.stem for p in (folder / "bench_info").glob("*.json"))


def module(path: Path) -> ModuleType:
    """A module by its file."""
    name = "npbench_" + path.stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def npbench(name: str, large: bool) -> Case:
    """A program of NPBench, with its size S or smaller."""
    folder = npbench_folder()
    assert folder is not None
    info = json.loads((folder / "bench_info" / f"{name}.json").read_text(encoding="utf-8"))["benchmark"]
    path = folder / "npbench" / "benchmarks" / info["relative_path"] / info["module_name"]
    parameters = dict(info["parameters"]["S"])
    if not large:
        parameters = {k: min(v, 7) if isinstance(v, int) else v for k, v in parameters.items()}
        parameters |= SMALL.get(name, {})

    def values() -> dict[str, Any]:
        found = dict(parameters)
        if info.get("init"):
            start = getattr(module(path.with_suffix(".py")), info["init"]["func_name"])
            given = start(*(found[k] for k in info["init"]["input_args"]))
            keys = info["init"]["output_args"]
            found |= zip(keys, given if len(keys) > 1 else (given,), strict=True)
        return found

    names = info["input_args"]
    made = values()
    first = [made[k] for k in names]
    by = tuple(i for i, v in enumerate(first) if isinstance(v, np.ndarray) and v.dtype.kind in "fc" and v.size)
    function = getattr(module(path.with_name(path.name + "_numpy.py")), info["func_name"])
    # What NPBench calls output leaves out some of what is written.
    after = copies(first)
    with np.errstate(all="ignore"):
        function(*after)
    written = {i for i, v in enumerate(first) if isinstance(v, np.ndarray) and not np.array_equal(v, after[i])}
    written |= {names.index(k) for k in info["output_args"]}
    beside = path.with_name(path.name + "_jax.py")
    static = tuple(i for i, v in enumerate(first) if isinstance(v, int))
    return Case(
        name,
        function,
        lambda: copies(first),
        by or tuple(i for i, v in enumerate(first) if isinstance(v, float)),
        tuple(sorted(written)),
        (lambda: getattr(module(beside), info["func_name"])) if beside.exists() else None,
        static,
    )


def case(name: str, large: bool) -> Case:
    """The program of that name, `npbench:lu` or `lu`."""
    suite, _, rest = name.rpartition(":")
    return npbench(rest, large) if suite == "npbench" else own(rest, large)
