"""All passes together."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.lowering import lower
from tapenet.ops.registry import Sample, registry
from tapenet.program import passes
from tapenet.program.ir import Instruction, Program, ProgramError, check
from tapenet.program.passes import Step, simplify
from tapenet.program.trees import tree_leaves, tree_map
from tests.program.evaluate import assert_equal, evaluate
from tests.program.passes.programs import (
    Build,
    Pass,
    Random,
    assert_kept,
    assert_property,
    assert_same,
    constant,
    names,
)

OPS = {name: op for name, op in sorted(registry.items()) if name.startswith("tapenet.ops.")}


def test_what_is_simple_stays() -> None:
    b = Build()
    assert_kept(simplify, b.program(b.emit("exp", b.input(3))))


def test_one_pass_leads_to_the_next() -> None:
    b = Build()
    x = b.input(2, 3)
    one = b.emit("divide", constant(2), constant(2))
    made = b.emit("multiply", b.emit("reshape", x, shape=(6,)), b.emit("broadcast", one, shape=(6,)))
    changed = assert_same(simplify, b.program(b.emit("reshape", made, shape=(2, 3))))
    assert changed.outputs == (x,)
    assert names(changed) == []


def test_steps_tell_what_each_pass_did() -> None:
    b = Build()
    x = b.input(3)
    b.emit("sin", x)
    steps: list[Step] = []
    simplify(b.program(b.emit("exp", x), b.emit("exp", x)), steps)
    assert steps == [("duplicates", 3, 2), ("dead", 2, 1)]


def test_a_pass_does_not_run_again_on_what_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, Program]] = []

    def noted(name: str, run: Pass) -> Pass:
        def noting(program: Program) -> Program:
            given.append((name, program))
            return run(program)

        return noting

    monkeypatch.setattr(passes, "PASSES", {name: noted(name, run) for name, run in passes.PASSES.items()})
    b = Build()
    x = b.input(3)
    simplify(b.program(b.emit("add", b.emit("exp", x), b.emit("exp", x))))
    assert len({program for _, program in given}) == 2
    assert len(set(given)) == len(given)


def test_a_pass_that_breaks_a_program_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def reverse(program: Program) -> Program:
        return Program(program.inputs, program.hosts, program.body[::-1], program.outputs, program.writes)

    b = Build()
    program = b.program(b.emit("exp", b.emit("sin", b.input(3))))
    monkeypatch.setitem(passes.PASSES, "reverse", reverse)
    with pytest.raises(ProgramError, match="before it is there"):
        simplify(program)


def test_random_programs() -> None:
    assert_property(simplify, floats=True, acts=0.9)
    assert_property(simplify, floats=False, acts=0.9)


# -- every op, with its gradients --------------------------------------------------------------------------------


def captured(op: Any, sample: Sample) -> Program:
    """A call of an op and its gradients by all its float arguments."""

    def tensor(value: Any) -> Any:
        return tn.tensor(value, requires_grad=value.dtype.kind == "f") if isinstance(value, np.ndarray) else value

    args = [a if _indexes(a) else tree_map(tensor, a) for a in sample.args]
    kwargs = {name: tree_map(tensor, value) for name, value in sample.kwargs.items()}
    leaves = [t for t in tree_leaves([args, kwargs]) if isinstance(t, Tensor) and t.requires_grad]
    with Capture() as tape:
        outs = [t for t in tree_leaves(op.returning(*args, **kwargs)) if isinstance(t, Tensor)]
        losses = [(t * t + t).sum().real for t in outs if t.requires_grad]
        if losses:
            sum(losses[1:], losses[0]).backward()
        return check(lower(tape, [], [*outs, *(t.grad for t in leaves if t.grad is not None)]).program)


def _indexes(value: Any) -> bool:
    """Whether an argument is an index of several parts, which stay arrays."""
    return isinstance(value, tuple) and any(v is None or isinstance(v, slice) for v in value)


@pytest.mark.parametrize("name", OPS)
def test_every_op_and_its_gradients(name: str) -> None:
    op = OPS[name]
    assert op.samples is not None
    for sample in op.samples(np.random.default_rng(0)):
        program = captured(op, sample)
        changed = simplify(program)
        assert len(changed.body) <= len(program.body)
        drawn = [h.evaluate() for h in program.hosts]
        results = []
        for p in (program, changed):
            tn.random.seed(0)  # for what draws inside the program
            results.append(evaluate(p, [], drawn))
        assert_equal(results[1], results[0], rtol=1e-5 if _single(results[0].outputs) else 1e-10)


def _single(arrays: list[Any]) -> bool:
    return any(a.dtype == np.float32 for a in arrays)


# -- whole steps -------------------------------------------------------------------------------------------------


def step(net: nn.Module, x: Any, y: Any, optimizer: Callable[..., Any] = optim.SGD) -> Program:
    """A step of training."""
    opt = optimizer(net.parameters(), lr=0.1)
    inputs, targets = tn.tensor(np.asarray(x, np.float32)), tn.tensor(np.asarray(y, np.float32))
    with Capture() as tape:
        loss = F.mse_loss(net(inputs), targets)
        opt.zero_grad()
        loss.backward()
        opt.step()
        program = lower(tape, [], [loss]).program
        tape.rollback()
        return program


def dense(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("lead", [(1,), (6,), (2, 3)])
@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_a_step_of_training(lead: tuple[int, ...], optimizer: Any) -> None:
    rng = np.random.default_rng(0)
    tn.random.seed(0)
    program = step(dense(4, 5, 3), rng.normal(size=(*lead, 4)), rng.normal(size=(*lead, 3)), optimizer)
    changed = simplify(program)
    assert len(changed.body) < len(program.body)
    drawn = [h.evaluate() for h in program.hosts]
    assert_equal(evaluate(changed, [], drawn), evaluate(program, [], drawn), rtol=1e-4)


def test_the_loss_is_summed_where_its_terms_are() -> None:
    """`mse_loss` computes d.ravel().dot(d.ravel())."""
    changed = simplify(step(dense(4, 5, 3), np.ones((6, 4)), np.zeros((6, 3))))
    (total,) = (i for i in changed.body if i.name == "reduce_add" and not i.results[0].shape)
    (squared,) = total.args
    assert squared.shape == (6, 3)
    assert made(squared).name == "multiply"
    assert made(made(squared).args[0]).name == "subtract"


def test_products_take_their_operands_as_they_lie() -> None:
    changed = simplify(step(dense(4, 5, 3), np.ones((6, 4)), np.zeros((6, 3))))
    dots = [i for i in changed.body if i.name == "dot"]
    assert len(dots) == 5
    assert all(made(a).kind != "view" for i in dots for a in i.args if hasattr(a, "instruction"))


def test_the_gradient_of_a_single_example_is_never_a_product() -> None:
    changed = simplify(step(dense(4, 5, 3), np.ones((1, 4)), np.zeros((1, 3))))
    assert len([i for i in changed.body if i.name == "dot"]) == 3  # two forward, one backward
    assert "transpose" not in names(changed)


def made(value: Any) -> Instruction:
    instruction: Instruction = value.instruction
    return instruction


# -- growth ------------------------------------------------------------------------------------------------------


def calls(function: Callable[[], object]) -> int:
    """How many calls, of Python and of C, a function makes."""
    count = 0

    def profile(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def deep(layers: int) -> Program:
    net = dense(*[3] * (layers + 1))
    return step(net, np.ones((2, 3)), np.zeros((2, 3)))


@pytest.mark.parametrize("name", passes.PASSES)
def test_each_pass_is_linear(name: str) -> None:
    small, large = (deep(n) for n in (20, 80))
    run = passes.PASSES[name]
    ratio = len(large.body) / len(small.body)
    assert calls(lambda: run(large)) <= 1.1 * ratio * calls(lambda: run(small))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deep", "floats", "integers"])
def test_ten_thousand_instructions_take_well_under_a_second_each(kind: str) -> None:
    program = deep(640) if kind == "deep" else Random(0, kind == "floats").program(10_000)
    assert len(program.body) > 9000
    for name, run in passes.PASSES.items():
        assert min(seconds(run, program) for _ in range(3)) < 0.5, name


def seconds(run: Callable[[Program], Program], program: Program) -> float:
    begin = time.process_time()
    run(program)
    return time.process_time() - begin
