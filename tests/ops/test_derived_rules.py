"""Gradient rules that are stated beside those that are derived from the same op's formula."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops import variants
from tapenet.ops.formula import Derived
from tapenet.ops.op import FLAT, Op, Scatter
from tapenet.ops.registry import registry
from tapenet.ops.signatures import bind
from tapenet.testing import check_grads

tn.ops.everything()
R = np.random.default_rng(0)
STATED = {
    name: op
    for name, op in sorted(registry.items())
    if isinstance(op, Op) and op.__module__.startswith("tapenet.ops.") and op.outputs == 1 and not (op.random or op.residuals)
    and any(not isinstance(rule, Derived) for rule in op.rules.values())
}  # fmt: skip


def calls(op: Op) -> list[dict[str, Any]]:
    """The calls among an op's samples whose arguments are single arrays of floats and plain values."""
    found = []
    for call in op.samples(np.random.default_rng(0)) if op.samples else ():
        try:
            args = bind(op, call.args, call.kwargs)
        except TypeError:
            continue  # an option that the op's further forms take
        if all(isinstance(args[n], np.ndarray) and args[n].dtype.kind == "f" for n in op.rules):
            found.append(args)
    return found


def summed(d: Any, shape: tuple[int, ...]) -> Any:
    """A gradient in the shape of its argument."""
    d = np.asarray(d)
    d = np.broadcast_to(d, np.broadcast_shapes(d.shape, shape))
    lead = d.ndim - len(shape)
    axes = tuple(i for i in range(d.ndim) if i < lead or shape[i - lead] == 1)
    return d.sum(axis=axes).reshape(shape)


def compared(op: Op, args: dict[str, Any]) -> bool:
    """Hold the stated rules of an op to those derived, on one call; whether its formula can be read."""
    names = [a.name for a in op.arguments]
    with np.errstate(all="ignore"):
        out = np.asarray(op.run(args))
        if out.dtype.kind != "f":
            return False
        g = np.asarray(R.normal(size=out.shape))
        known = {"g": g, "out": out, **args}
        for n in op.inputs:
            if isinstance(args[n], (np.ndarray, float, int)):
                known |= {f"{n}_shape": np.shape(args[n]), f"{n}_dtype": np.asarray(args[n]).dtype}
        for n, rule in op.rules.items():
            if isinstance(rule, Derived):
                continue
            try:
                values = [args[m] for m in names]
                derived = variants.pull(op, names, {n}, g, values, False, True)(g, *values)
            except TypeError:  # its formula cannot be read
                return False
            found = rule(*(known[need] for need in op.needs[n]))
            if isinstance(found, Scatter):
                dense = np.zeros(args[n].shape)
                found.add_to(dense)
                found = dense
            found = np.zeros(args[n].shape) if found is FLAT else summed(found, args[n].shape)
            if np.isrealobj(args[n]):  # of whose gradient the real part counts
                found = np.real(found)
            np.testing.assert_allclose(found, derived, rtol=1e-9, atol=1e-12, err_msg=f"{op.name}, {n}")
    return True


@pytest.mark.parametrize("name", STATED)
def test_stated_rules_agree_with_derived_ones(name: str) -> None:
    for args in calls(STATED[name]):
        compared(STATED[name], args)


def test_most_formulas_can_be_read() -> None:
    read = [name for name, op in STATED.items() if any(compared(op, args) for args in calls(op)[:1])]
    assert len(read) > 100


# -- ops of the user's without rules -----------------------------------------------------------------------------


def test_an_op_without_rules_has_all_orders() -> None:
    softplus = tn.op(lambda x: np.logaddexp(0, x), name="softplus")
    check_grads(softplus, [R.normal(size=(2, 3))], order=3)
    blend = tn.op(lambda x, y, w: w * np.sin(x) + (1 - w) * y[:1] ** 2, name="blend")
    check_grads(blend, [R.normal(size=(2, 3)), R.normal(size=(4, 3)), R.uniform(size=3)], order=2)
    x = tn.tensor(R.normal(size=3), requires_grad=True)
    y = softplus(x)
    assert y.node.name == "softplus" if hasattr(y, "node") else True


def test_rules_that_ops_inside_of_a_formula_state() -> None:
    """Also of ops that give what they are given, of sequences, of several outputs, and joint ones."""
    reversal = tn.op(lambda x: x, name="reversal", x=lambda g: -g)
    total = tn.op(lambda *xs: sum(xs), name="total", xs=lambda g, xs: tuple(7 * g for _ in xs))
    twice = tn.op(lambda x: (x, 2 * x), name="twice", outputs=2, x=lambda g: 7 * g[0] + 5 * g[1])
    both = tn.op(lambda x, y: x + y, name="both", joint=lambda g: {"x": 7 * g, "y": 5 * g})
    kept = tn.op(lambda x: (x * x, x), name="kept", residuals=("k",), x=lambda g, k: 3 * g * k)
    for inner, expected in (
        (reversal, -1),
        (lambda x: reversal(2 * x) + 2 * x, 0),
        (lambda x: total(x, 2.0, x), 14),
        (lambda x: twice(x)[0] + twice(x)[1], 12),
        (lambda x: both(x, x), 12),
        (lambda x: kept(x * 2), 12),
    ):
        outer = tn.op(lambda x, inner=inner: inner(x) * 1.0, name="outer")
        assert tn.grad(outer)(1.0).item() == expected
        assert tn.jvp(outer, (1.0,), (1.0,))[1].item() == expected
        assert tn.vmap(tn.grad(outer))(np.ones(2)).tolist() == [expected] * 2


def test_inputs_without_a_derivative_and_options() -> None:
    f = tn.op(
        lambda x, mask, base=2.0: np.where(mask, np.log(x) / np.log(base), 0.0), name="masked_log", nondiff=("mask",)
    )
    mask = np.array([True, False, True])
    check_grads(lambda x: f(x, mask, base=3.0), [R.uniform(0.5, 1.5, 3)], order=2)
    x = tn.tensor([1.0, 0.0, 2.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        f(x, mask, base=np.e).sum().backward()
    np.testing.assert_allclose(x.grad.data, [1, 0, 0.5])  # finite where the branch is not taken


def test_compiled_steps_use_it_too() -> None:
    f = tn.op(lambda x: x * np.tanh(x), name="f")
    x = tn.tensor(R.normal(size=5), requires_grad=True)

    @tn.compile
    def step(x: tn.Tensor) -> tn.Tensor:
        loss = f(x * 2).sum()
        loss.backward()
        return loss

    step(x)
    z = 2 * x.data
    np.testing.assert_allclose(x.grad.data, 2 * (np.tanh(z) + z * (1 - np.tanh(z) ** 2)))


def test_numbers_that_a_formula_reads_may_change() -> None:
    factor = 2.0
    f = tn.op(lambda x: x * x * factor, name="f")
    table = {"factor": 1.0}
    h = tn.op(lambda x: x * x * table["factor"], name="h")
    x = tn.tensor(np.ones(9000), requires_grad=True)
    for value in (2.0, 5.0):
        factor = table["factor"] = value
        for op in (f, h):
            x.grad = None
            y = op(x)
            y.sum().backward()
            assert y.data[0] == value
            assert x.grad.data[0] == 2 * value


def test_a_formula_that_cannot_be_read_says_what_to_write() -> None:
    f = tn.op(lambda x: x if x.sum() > 0 else -x, name="f")
    with pytest.raises(TypeError, match=r"op 'f' gives no gradient rule for 'x'.*branches on a value.*np.where"):
        f(tn.tensor([1.0], requires_grad=True)).sum().backward()


def test_sequences_have_a_gradient_for_each() -> None:
    f = tn.op(lambda parts: parts[0] * parts[1] + parts[2], name="fma")
    a, b, c = (tn.tensor(R.normal(size=3), requires_grad=True) for _ in range(3))
    f([a, b, c]).sum().backward()
    np.testing.assert_allclose(a.grad.data, b.data)
    np.testing.assert_allclose(b.grad.data, a.data)
    np.testing.assert_allclose(c.grad.data, 1)


def test_several_results() -> None:
    f = tn.op(lambda x: (np.sin(x), x * x), name="f", outputs=2)
    x = tn.tensor(R.normal(size=3), requires_grad=True)
    s, q = f(x)
    (s * q).sum().backward()
    z = x.data
    np.testing.assert_allclose(x.grad.data, np.cos(z) * z * z + np.sin(z) * 2 * z)
    check_grads(lambda x: f(x)[0] * f(x)[1], [R.normal(size=3)], order=2)


def test_a_formula_may_call_ops_that_cannot_be_read() -> None:
    """Its gradient goes by their rules, of which one may be called."""
    sine = tn.op(lambda x: np.array([*map(math.sin, x)]), name="listed_sine", x=lambda g, x: g * cosine(x))
    cosine = tn.op(
        lambda x: np.array([*map(math.cos, x)]), name="listed_cosine", x=lambda g, x: -g * [*map(math.sin, x)]
    )
    wave = tn.op(lambda x, y: 2 * sine(x) * tn.sigmoid(y) * (1 + np.exp(-y)) * y, name="wave")
    both = tn.op(lambda x: (sine(x), x * sine(2 * x)), name="both", outputs=2)
    x, y = np.array([0.3, -1.0]), np.array([2.0, 0.5])
    check_grads(wave, [x, y], order=2)
    check_grads(lambda x: both(x)[1], [x], order=2)
    gradient = tn.grad(lambda x, y: wave(x, y).sum(), argnums=(0, 1))
    for run in (lambda f: f, tn.compile):
        by_x, by_y = run(gradient)(x, y)
        np.testing.assert_allclose(by_x.numpy(), 2 * np.cos(x) * y)
        np.testing.assert_allclose(by_y.numpy(), 2 * np.sin(x))
    lanes = tn.vmap(gradient)(np.stack([x, y]), np.stack([y, x]))
    np.testing.assert_allclose(lanes[0].numpy(), 2 * np.cos([x, y]) * [y, x])
    with pytest.raises(TypeError, match="gradient rule for 'x' of op 'listed_cosine' is called as it stands"):
        tn.jacrev(tn.jacrev(tn.grad(lambda x: wave(x, y).sum())))(x)
    blind = tn.op(lambda x: np.array([*map(math.sin, x)]), name="blind", nondiff=True)
    half = tn.grad(lambda x: tn.op(lambda x: x * blind(x), name="half")(x).sum())(x)
    np.testing.assert_array_equal(half.numpy(), np.sin(x))  # as outside of a formula: it says that no gradient flows
    unknown = tn.op(lambda x: np.array([*map(math.sin, x)]), name="unknown")
    with pytest.raises(TypeError, match="its formula cannot be read"):
        tn.grad(lambda x: tn.op(lambda x: x * unknown(x), name="lost")(x).sum())(x)


def test_arrays_among_options_whose_elements_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    @tn.op(name="chosen_sum")
    def chosen_sum(x: Any, kept: Any = None, weights: Any = None) -> Any:
        places = [i for i in range(len(kept)) if kept[i]]  # a branch on values
        return np.stack([x[i] * weights[i] for i in places]).sum()

    def gradient(*kept: int) -> list[float]:
        x = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
        chosen_sum(x, np.array(kept), np.array([1.0, 10.0, 100.0])).backward()
        found: list[float] = x.grad.tolist()
        return found

    for _ in range(2):  # each content has its own variant
        assert gradient(1, 0, 1) == [1.0, 0.0, 100.0]
        assert gradient(0, 1, 1) == [0.0, 10.0, 100.0]
    with monkeypatch.context() as patched:
        patched.setattr(variants, "_pulled", None)
        assert gradient(1, 0, 1) == [1.0, 0.0, 100.0]  # by what was made before
    with pytest.raises(RuntimeError) as caught:
        tn.compile(tn.grad(lambda x, kept: chosen_sum(x, kept, np.ones(3))))(np.ones(3), np.ones(3, int))
    assert any("kept=" in note for note in caught.value.__notes__)


def test_formulas_that_read_an_array_at_an_index_that_a_program_computes() -> None:
    @tn.op(name="by_table", nondiff=("table", "i"))
    def by_table(x: Any, table: Any, i: Any) -> Any:
        return x * table[i] * np.take(table, i)

    x, i, table = np.array([0.5, 1.5]), np.array([2, 1]), np.array([1.0, 4.0, 9.0])
    for gradient in (tn.compile(tn.grad(lambda x, i: by_table(x, table, i).sum())),
                     tn.vmap(tn.grad(lambda x, i: by_table(x, table, i)))):  # fmt: skip
        np.testing.assert_allclose(gradient(x, i), [81.0, 16.0])
