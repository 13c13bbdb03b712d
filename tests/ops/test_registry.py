"""One test of every op in the registry: what its definition promises, holds."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops import SPACES
from tapenet.ops.op import registry
from tapenet.testing import check_op

OPS = {name: op for name, op in sorted(registry.items()) if name.startswith("tapenet.ops.")}


@pytest.mark.parametrize("name", OPS)
def test_op(name: str) -> None:
    check_op(OPS[name])


@pytest.mark.parametrize("name", OPS)
def test_example_in_the_documentation_runs(name: str) -> None:
    op = OPS[name]
    example = doctest.DocTestParser().get_doctest(op.__doc__ or "", {"np": np}, name, None, 0)
    assert example.examples, f"{name} has no example in its documentation"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    output: list[str] = []
    runner.run(example, out=output.append)
    assert not runner.failures, "".join(output)


def test_every_op_has_a_name_of_its_own_in_the_package() -> None:
    missing = [op.name for op in OPS.values() if getattr(home(op), op.name, None) is not op]
    assert not missing


def home(op: Any) -> Any:
    """The public namespace of an op."""
    topic = op.__module__.split(".")[2]
    return getattr(tn, topic) if topic in SPACES else tn
