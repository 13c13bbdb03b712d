"""Every function of np, np.linalg, np.fft and np.emath, and every method of a ufunc, has its place: differentiable, without a
derivative, a question, refused with what to write instead, or one that takes no tensors; and the table in docs/numpy.md
says what is true.

After a change that is meant, write the table anew and look at what git shows of it:

    TAPENET_OVERWRITE=1 python -m pytest tests/ops/test_coverage.py
"""

from __future__ import annotations

import os
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import Question, Refused, Sample, numpy_functions
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.testing import check_grads
from tests.compiler.test_equality import arrays_of, lowered_by
from tests.ops.test_ufunc_methods import METHODS, methods_table

PAGE = Path(__file__).parents[2] / "docs" / "numpy.md"
SPACES: dict[str, ModuleType] = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft, "np.emath": np.emath}
#: Functions that NumPy does not hand to other types, by why a graph has no use for them.
OUTSIDE: dict[str, str] = {
    "make arrays from numbers (`tn.kaiser` takes tensors)": "hamming hanning bartlett blackman kaiser indices "
    "diag_indices mask_indices tril_indices triu_indices",
    "make arrays of other things; with a tensor that needs a gradient they raise and name tn.array": "asarray_chkfinite "
    "asmatrix bmat",
    "make ufuncs of Python functions, which have no derivative": "frompyfunc",
    "read": "from_dlpack fromregex load",
    "are about dtypes": "isdtype issubdtype mintypecode promote_types typename datetime_data",
    "are about shapes, memory and kinds of objects": "broadcast_shapes isfortran isscalar iterable nested_iters",
    "print": "base_repr binary_repr format_float_positional format_float_scientific get_printoptions printoptions "
    "set_printoptions info",
    "set NumPy up": "get_include getbufsize geterr geterrcall setbufsize seterr seterrcall show_config show_runtime test",
}
_OUTSIDE = {name for names in OUTSIDE.values() for name in names.split()}
#: Those whose result has a gradient by what the function that they are given uses; tests/ops/test_peers.py shows it.
BY_CLOSURE = {"fromfunction"}
#: Not handed to other types as a whole, but made of functions that are: they work.
_WORK = {"row_stack", "fft.fftfreq", "fft.rfftfreq"}
#: Deprecated, and gone in NumPy 2.4: `np.isin` and `np.trapezoid` are for them.
_GONE = {"in1d", "trapz"}


def functions(space: str) -> Iterator[tuple[str, Any]]:
    """The functions of a namespace of NumPy, by name."""
    for name in sorted(SPACES[space].__all__):
        found = getattr(SPACES[space], name)
        if callable(found) and not isinstance(found, type):
            yield name, found


def inner(space: str, name: str) -> str:
    """The name of a function inside `np`."""
    return f"{space.removeprefix('np')}.{name}".strip(".")


def entry(space: str, name: str, function: Any) -> Any:
    """What stands for a function; None for one that takes no tensors."""
    found = numpy_functions.get(function)
    assert found is not None or inner(space, name) in _OUTSIDE | _WORK | _GONE, (
        f"{space}.{name} has no place: see OUTSIDE"
    )
    return found


@pytest.mark.parametrize("space", SPACES)
def test_every_function_has_its_place(space: str) -> None:
    for name, function in functions(space):
        found = entry(space, name, function)
        if isinstance(found, Refused):
            assert len(found.hint) > 20
        elif isinstance(found, (Op, Derived)):
            home = tn if space == "np" else getattr(tn, space.removeprefix("np."))
            assert getattr(home, name, None) is found, f"tn.{name} is not what stands for {space}.{name}"


def test_how_many_functions_work() -> None:
    """With a derivative, with those that have none, and refused; and the methods of ufuncs. The page has the numbers."""
    found = [entry(space, name, f) for space in SPACES for name, f in functions(space)]
    assert sum(map(differentiable, found)) >= 295
    assert sum(isinstance(f, (Op, Derived)) for f in found) >= 360
    assert sum(isinstance(f, Refused) for f in found) <= 20
    methods = Counter(kind for kinds in methods_table().values() for kind in kinds.values())
    assert methods["yes"] >= 130
    assert methods["no derivative"] >= 90


def differentiable(found: Any) -> bool:
    return isinstance(found, (Op, Derived)) and bool(found.differentiable)


# -- the table ---------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What holds for a function, as it is written into the table."""

    value: str = ""
    first: str = ""
    second: str = ""
    float32: str = ""
    complex: str = ""
    compiled: str = ""


def tensors(tree: Any) -> Any:
    return tree_map(
        lambda v: Tensor._of(v).requires_grad_(v.dtype.kind in "fc") if isinstance(v, np.ndarray) else v, tree
    )


def cast(tree: Any, change: Any) -> Any:
    return tree_map(lambda v: change(v) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v, tree)


def samples(op: Any) -> list[Sample]:
    """The calls of an op that have an array of floats, or all."""
    calls = list(op.samples(np.random.default_rng(0)))
    floats = [c for c in calls if any(a.dtype.kind in "fc" for a in arrays_of(c))]
    if floats or not op.differentiable:
        return floats or calls
    # Whose result jumps, so that its samples are whole numbers.
    return [
        Sample(tree_map(lambda v: v.astype(float) if isinstance(v, np.ndarray) else v, c.args), c.kwargs) for c in calls
    ]


def outputs(op: Any, call: Sample) -> list[Any]:
    return [t for t in tree_leaves(op.returning(*tensors(call.args), **call.kwargs)) if isinstance(t, Tensor)]


def derivatives(op: Any, call: Sample) -> tuple[bool, bool]:
    """Whether a call has a gradient, and that one too. (That both are right the test of the registry shows.)"""
    given = tensors(call.args)
    outs = [t for t in tree_leaves(op.returning(*given, **call.kwargs)) if isinstance(t, Tensor) and t.requires_grad]
    if not outs:
        return False, False
    sum(((o * o.data.conj()).real.sum() for o in outs[1:]), (outs[0] * outs[0].data.conj()).real.sum()).backward(
        create_graph=True
    )
    gradients = [t.grad for t in tree_leaves(list(given)) if isinstance(t, Tensor) and t.grad is not None]
    for g in gradients:
        if g.requires_grad:
            (g * g.data.conj()).real.sum().backward(retain_graph=True)
    return True, True


def narrowed(value: Any) -> Any:
    kinds = {"f": np.float32, "c": np.complex64}
    return value.astype(kinds.get(value.dtype.kind, value.dtype)) if isinstance(value, np.ndarray) else value


def turned(a: Any) -> Any:
    return a + 0.3j * np.flip(np.where(np.isfinite(a), a, 0))


def for_complex(op: Any, call: Sample) -> str:
    """ "yes": value and gradient are right with complex numbers in place of floats; "–" where NumPy has no such."""
    if any(a.dtype.kind == "c" for a in arrays_of(call)):
        return "yes"  # the registry's test has looked at it
    given = cast(call.args, turned)
    function = op.numpy[0] if op.numpy and not (isinstance(op, Derived) and op.inplace) else op.returning
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            expected = function(*given, **call.kwargs)
    except (TypeError, ValueError, np.exceptions.ComplexWarning):
        return "–"
    found = op.returning(*given, **call.kwargs)
    for f, e in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-12)
    if op.differentiable and any(np.asarray(f).dtype.kind in "fc" for f in tree_leaves(found)):
        try:
            check_grads(op.returning, list(given), kwargs=call.kwargs)
        except np.linalg.LinAlgError as error:
            if "phases" not in str(error):
                raise
            return "but for phases"
    return "yes"


def row(op: Any) -> Row:
    calls = samples(op)
    narrow = [Sample(tree_map(narrowed, c.args), c.kwargs) for c in calls]
    wide = [t.dtype for c in narrow[:3] for t in outputs(op, c) if t.dtype in (np.float64, np.complex128)]
    lowered = [lowered_by(_forward(op, c), arrays_of(c)).called for c in calls[:6]]
    compiled = "lowered" if not any(lowered) else "called" if all(lowered) else "lowered or called"
    numbers = for_complex(op, calls[0]) if any(a.dtype.kind in "fc" for a in arrays_of(calls[0])) else ""
    if not op.differentiable:
        return Row("yes", "no derivative", "", "", numbers, compiled)
    orders = [derivatives(op, c) for c in calls]
    first, second = any(o[0] for o in orders), any(o[1] for o in orders)
    kept = "wider, as NumPy" if op.name in ("float_power", "sort_complex") else "yes" if not wide else "no"
    kept = "–" if op.name in ("astype", "fromiter") else kept
    return Row("yes", "yes" if first else "no", "yes" if second else "no", kept, numbers, compiled)


def _forward(op: Any, call: Sample) -> Any:
    def step(*given: Tensor) -> list[Any]:
        stream = iter(given)
        args = tree_map(lambda v: next(stream) if isinstance(v, np.ndarray) else v, call.args)
        return [t for t in tree_leaves(op.returning(*args, **call.kwargs)) if isinstance(t, Tensor)]

    return step


def methods() -> str:
    """The table of ufuncs that have a method with a derivative. tests/ops/test_ufunc_methods.py shows that these are right, to
    second order, in float32 too, and that all others are as NumPy's."""
    lines = ["### Methods of ufuncs", "", f"| ufunc | {' | '.join(METHODS)} |", "|---|" + "---|" * len(METHODS)]
    for name, kinds in methods_table().items():
        if "yes" in kinds.values():
            lines.append(f"| `{name}` | {' | '.join(kinds[m] for m in METHODS)} |")
    return "\n".join(lines)


def tables() -> str:
    """The counts, and a table for each namespace."""
    rows: dict[int, Row] = {}
    counts: dict[str, Counter[str]] = {}
    parts = []
    for space in SPACES:
        counts[space] = Counter()
        lines = [
            f"### {space}",
            "",
            "| function | value | first order | second order | float32 kept | complex | compiled |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, function in functions(space):
            found = entry(space, name, function)
            if found is None:
                works = inner(space, name) in _WORK
                counts[space]["differentiable" if works else "takes no tensors"] += 1
                if works:
                    lines.append(f"| `{name}` | as the functions that it is made of | | | | | |")
                continue
            if isinstance(found, Refused):
                counts[space]["refused"] += 1
                lines.append(f"| `{name}` | refused: {found.hint} | | | | | |")
                continue
            if isinstance(found, Question):
                counts[space]["plain answer"] += 1
                lines.append(f"| `{name}` | a plain answer | | | | | |")
                continue
            if id(found) not in rows:
                try:
                    rows[id(found)] = row(found)
                except Exception as error:
                    error.add_note(f"in the row of {space}.{name}")
                    raise
            made = rows[id(found)]
            if name in BY_CLOSURE:
                made = made._replace(first="of what f uses", second="of what f uses")
            counts[space]["differentiable" if made.second not in ("", "no") else "without derivative"] += 1
            lines.append(f"| `{name}` | {' | '.join(made)} |")
        parts.append("\n".join(lines))
    parts.append(methods())
    kinds = ("differentiable", "without derivative", "plain answer", "refused", "takes no tensors")
    summary = ["| | " + " | ".join(kinds) + " |", "|---|" + "---|" * len(kinds)]
    summary += [f"| {space} | " + " | ".join(str(counts[space][k]) for k in kinds) + " |" for space in SPACES]
    everything = [str(sum(counts[space][k] for space in SPACES)) for k in kinds]
    summary.append("| all functions | " + " | ".join(everything) + " |")
    of_ufuncs = Counter(kind for kinds in methods_table().values() for kind in kinds.values())
    summary.append(f"| methods of ufuncs | {of_ufuncs['yes']} | {of_ufuncs['no derivative']} | 0 | 0 | 0 |")
    left_out = [
        textwrap.fill(
            f"- Functions that {why}: {', '.join(f'`{n}`' for n in sorted(names.split()))}.",
            120,
            subsequent_indent="  ",
        )
        for why, names in OUTSIDE.items()
    ]
    head = f"NumPy {'.'.join(np.__version__.split('.')[:2])}\n\n"
    return head + "\n".join(summary) + "\n\n" + "\n\n".join(parts) + "\n\n### Take no tensors\n\n" + "\n".join(left_out)


def test_the_table_in_the_documentation() -> None:
    begin, end = "<!-- coverage -->\n", "\n<!-- /coverage -->"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    found, _, after = rest.partition(end)
    assert after, f"{PAGE.name} has no {begin}"
    made = tables()
    assert " no |" not in made
    if os.environ.get("TAPENET_OVERWRITE"):
        found = made
        PAGE.write_text(before + begin + found + end + after, encoding="utf-8", newline="\n")
    # Another NumPy has other functions; what is above, and below for this one, holds for each.
    if found.partition("\n")[0] == made.partition("\n")[0]:
        assert found == made
        functions, methods = (
            re.search(rf"\| {kind} \| (\d+) \|", made) for kind in ("all functions", "methods of ufuncs")
        )
        assert functions is not None
        assert methods is not None
        readme = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
        assert f"all {functions[1]} of `np`" in readme
        assert f"{methods[1]} methods of" in readme
