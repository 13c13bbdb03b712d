"""One test of every op in the registry: what its definition promises, holds."""

from __future__ import annotations

import doctest
import sys

import numpy as np
import pytest

import tapenet as tn
import tapenet.ops
from tapenet.names import homes
from tapenet.ops.registry import Question, numpy_functions, registry
from tapenet.testing import check_op

OPS = {name: op for name, op in sorted(registry.items()) if name.startswith("tapenet.ops.")}


@pytest.mark.parametrize("name", OPS)
def test_op(name: str) -> None:
    """The ways to run it have tests of their own, in tests/compiler and tests/transforms; `test_whole` runs all here."""
    check_op(OPS[name], skip=("jvp", "vmap", "compile", "threads", "drawing"))


@pytest.mark.parametrize("name", OPS)
def test_example_in_the_documentation_runs(name: str) -> None:
    op = OPS[name]
    example = doctest.DocTestParser().get_doctest(op.__doc__ or "", {"np": np}, name, None, 0)
    assert example.examples, f"{name} has no example in its documentation"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    output: list[str] = []
    runner.run(example, out=output.append)
    assert not runner.failures, "".join(output)


def test_every_op_is_found_by_its_name() -> None:
    """In its module; what stands for a function of NumPy also where that is, which the test of coverage looks at."""
    assert not [name for name, op in OPS.items() if getattr(sys.modules[op.__module__], op.name, None) is not op]


def test_public_names_are_those_of_ops_and_their_second_names() -> None:
    names = list(homes("tapenet.ops"))
    # Questions have plain answers, and no op.
    answers = [f for f in numpy_functions if isinstance(numpy_functions[f], Question)]
    others = [n for n in names if getattr(tn, n) not in OPS.values()]
    assert set(others) <= {f.__name__ for f in answers} | {"r_", "c_"}  # joined by brackets
    for space in ("linalg", "fft", "emath"):
        module = getattr(tn, space)
        assert not [n for n in module.__all__ if getattr(module, n) not in OPS.values()]
