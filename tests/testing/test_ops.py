"""`check_op` finds each promise that an op breaks, and names it."""

from __future__ import annotations

import ctypes
import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.gradients import Gradients
from tapenet.ops.registry import everything, registry
from tapenet.testing import GradientMismatch, Sample, check_grads, check_op, ops, runs

everything()
OWN = sorted(name for name in registry if name.startswith("tapenet.ops."))

R = np.random.default_rng(0)


# -- check_op ----------------------------------------------------------------------------------------------------


def samples(*arrays: Any) -> Any:
    return lambda r: [Sample(tuple(arrays), {})]


def test_a_good_op_passes() -> None:
    good = tn.op(lambda x, k=2.0: k * np.sin(x), name="good", doc="Good.", samples=samples(R.normal(size=3)),
                 x=lambda g, x, k: g * (k * np.cos(x)))  # fmt: skip
    check_op(good)
    check_op(good, [Sample((R.normal(size=(2, 3)),), {"k": 3.0})], order=3)


BAD: dict[str, tuple[Any, str]] = {
    "no documentation": (lambda s: tn.op(lambda x: x * 1, name="f", samples=s, x=lambda g: g), "has no documentation"),
    "no samples": (lambda s: tn.op(lambda x: x * 1, name="f", doc="F.", x=lambda g: g), "has no samples"),
    "empty samples": (
        lambda s: tn.op(lambda x: x * 1, name="f", doc="F.", samples=lambda r: [], x=lambda g: g),
        "has no samples",
    ),
    "a wrong rule": (
        lambda s: tn.op(lambda x: x * 2, name="f", doc="F.", samples=s, x=lambda g: g),
        "gradient of order 1",
    ),
    "a rule wrong at second order": (
        lambda s: tn.op(
            lambda x: x**3, name="f", doc="F.", samples=s, x=lambda g, x: g * 3 * getattr(x, "_data", x) ** 2
        ),
        "gradient of order 2",
    ),
    "a wide value": (
        lambda s: tn.op(lambda x: x * np.float64(2), name="f", doc="F.", samples=s, x=lambda g: g * 2),
        "float32 in, but float64 out",
    ),
    "a wide gradient": (
        lambda s: tn.op(lambda x: x * 2, name="f", doc="F.", samples=s, x=lambda g: g * np.float64(2)),
        "the rule for 'x' of 'f' returned float64 for a float32 input",
    ),
    "a wide sparse gradient": (
        lambda s: tn.op(
            lambda x: x[1:], name="f", doc="F.", samples=s, x=lambda g: tn.Scatter(slice(1, None), g * np.float64(1))
        ),
        "the rule for 'x' of 'f' returned float64 for a float32 input",
    ),
    "a write into its input": (
        lambda s: tn.op(lambda x: np.multiply(x, 1, out=x), name="f", doc="F.", samples=s, x=lambda g: g),
        "read-only",
    ),
    "a gradient of the wrong shape": (
        lambda s: tn.op(lambda x: x * 1, name="f", doc="F.", samples=s, x=lambda g: g[None]),
        r"returned shape \(1, 3\)",
    ),
    "a declared derivative that is cut": (
        lambda s: tn.op(lambda x: x * 1, name="f", doc="F.", samples=s, x=lambda g: np.zeros_like(g)),
        "a forgotten input: its part is missing",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_op_fails(name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(Exception, match=message) as caught:
        check_op(make(samples(R.uniform(0.5, 1, 3))))
    if "samples" not in name and "documentation" not in name:
        assert any(note.startswith("in check_op of <op f(x)> on float64(3,)") for note in caught.value.__notes__)


def test_an_op_that_disagrees_with_its_numpy_function() -> None:
    with pytest.warns(UserWarning, match="takes the place of"):
        off = tn.op(
            lambda x: np.deg2rad(x) * 1.001,
            name="off",
            doc="Off.",
            numpy=np.deg2rad,
            samples=samples(R.normal(size=3)),
            x=lambda g: np.deg2rad(g) * 1.001,
        )
    with pytest.raises(AssertionError, match="deg2rad on arrays against the op: values differ"):
        check_op(off)


@pytest.mark.parametrize(
    ("lower", "words"),
    [
        (lambda x, k: x * k + 1e-6, r"0\.\d+ against 0\.\d+ at element \d of shape \(3,\)"),
        (lambda x, k: (x * k)[:2], r"float64 of shape \(2,\) against float64 of shape \(3,\)"),
        (lambda x, k: (x * k).astype(np.float32), r"float32 of shape \(3,\) against float64"),
    ],
)
def test_what_a_compiler_reads_is_held_against_the_forward(lower: Any, words: str) -> None:
    def made(lower: Any) -> Any:
        return tn.op(lambda x, k=0.5: x * k, name="f", doc="F.", samples=samples(R.uniform(0.5, 1, 3)), lower=lower,
                     x=lambda g, k: g * k)  # fmt: skip

    with pytest.raises(AssertionError, match=rf"lower= gives another result than the forward: {words}"):
        check_op(made(lower))
    check_op(made(lambda x, k: k * x))
    with pytest.raises(AssertionError, match="lower= gives another"):
        check_op(tn.op(lambda x, y: x * y, name="f", doc="F.", samples=samples(np.ones(2), np.ones(2)), lower="hypot",
                       broadcasts=True, x=lambda g, y: g * y, y=lambda g, x: g * x))  # fmt: skip


def test_rules_of_inputs_by_keyword_are_checked() -> None:
    def made(factor: float, *calls: Sample) -> Any:
        return tn.op(lambda x, *, w=None: x if w is None else x * w, name="f", doc="F.", samples=lambda r: list(calls),
                     broadcasts=True, x=lambda g, w: g if w is None else g * w, w=lambda g, x: factor * g * x)  # fmt: skip

    x, w = R.normal(size=3), R.normal(size=3)
    check_op(made(1.0, Sample((x,), {"w": w})))
    with pytest.raises(GradientMismatch, match=r"f: gradient of order 1 by 'w' .* a constant factor of 2: divide by 2"):
        check_op(made(2.0, Sample((x,), {"w": w})))
    with pytest.raises(AssertionError, match=r"no sample of <op f\(x, w\)> has an array for \['w'\], so that the rule"):
        check_op(made(1.0, Sample((x,), {})))


def test_an_op_whose_results_differ_between_calls() -> None:
    state = []
    drifting = tn.op(lambda x: x * (1 + len(state.append(1) or state)), name="drifting", doc="Drifts.",
                     samples=samples(R.normal(size=3)), x=lambda g: g)  # fmt: skip
    with pytest.raises(
        AssertionError, match=r"a second one .* declare random=True: values differ, \d.\d+ against \d.\d+ at"
    ):
        check_op(drifting)


def test_ops_without_derivative_are_checked_too() -> None:
    steps = tn.op(lambda x: np.floor(x), name="steps", doc="Steps.", nondiff=True, samples=samples(R.normal(size=3)))
    check_op(steps)
    wide = tn.op(
        lambda x: np.floor(x).astype(np.float64),
        name="steps",
        doc="Steps.",
        nondiff=True,
        samples=samples(R.normal(size=3)),
    )
    with pytest.raises(AssertionError, match="float32 in, but float64 out"):
        check_op(wide)


def test_a_derivative_of_zero_is_checked_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_op(tn.floor)
        check_grads(lambda x: np.round(x), [np.array([0.3, 1.2])])


def test_the_driver_is_as_before_after_a_check() -> None:
    put = Gradients.put
    check_op(tn.exp)
    bad = tn.op(lambda x: x * 1, name="bad", doc="Bad.", samples=samples(np.ones(2)), x=lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        check_op(bad)
    assert Gradients.put is put


# -- what a forward and a rule must not do -------------------------------------------------------------------------


def named(message: str, forward: Any, call: Sample, **options: Any) -> None:
    """An op fails with a message."""
    with pytest.raises(AssertionError, match=message):
        check_op(tn.op(forward, name="f", doc="F.", **options), [call], skip=("compile",))


ONE = tn.sample(R.uniform(0.5, 1, (2, 3)))
TWO = tn.sample(R.uniform(0.5, 1, (2, 3)), R.uniform(1, 2, (2, 3)))


def poke(a: Any) -> Any:
    """Write as compiled code does, which does not ask whether it may."""
    ctypes.memset(a.ctypes.data, 0, 8)
    return a


def in_place(a: Any) -> Any:
    a *= 2
    return a


@pytest.mark.parametrize("write", [poke, in_place], ids=["compiled", "NumPy"])
def test_writes_are_named(write: Any) -> None:
    def joint(g: Any, x: Any, y: Any) -> Any:
        write(y)
        return {"x": g * y, "y": g * x}

    named("the forward writes into its argument 'x', which", lambda x: (2 * x, write(x))[0], ONE, x=lambda g: 2 * g)
    named(
        "the gradient rule for 'x' writes into 'g', the gradient",
        lambda x: 2 * x,
        ONE,
        x=lambda g: (2 * g, write(g))[0],
    )
    named("writes into 'x', an array that the call has saved", lambda x: x * x, ONE, x=lambda g, x: 2 * g * write(x))
    named("for 'x' writes into 'out'", lambda x: np.exp(x), ONE, x=lambda g, out: g * write(out))
    named("for 'x' writes into 'y'", lambda x, y: x * y, TWO, joint=joint, broadcasts=True)
    named(
        "for 'x' writes into 's'", lambda x: (x * x, x + 0), ONE, residuals=("s",), x=lambda g, s: 2 * g * write(s),
        reference=lambda x: x * x,
    )  # fmt: skip


def needs_writeable(a: Any) -> Any:
    if not a.flags.writeable:
        raise ValueError("buffer source array is read-only")
    return a


def test_what_only_takes_arrays_that_can_be_written_to() -> None:
    """As Cython does without `const`."""
    named("the forward fails on arrays that are read-only", lambda x: 2 * needs_writeable(x), ONE, x=lambda g: 2 * g)
    named(
        "the gradient rule for 'x' fails on arrays that are read-only, as g may be", lambda x: 2 * x, ONE,
        x=lambda g: 2 * needs_writeable(g),
    )  # fmt: skip


def test_inputs_that_broadcast_need_a_sum() -> None:
    named(
        "returned shape .* a missing sum over broadcast axes, here 0: define the op with broadcasts=True",
        lambda x, y: x * y, TWO, x=lambda g, y: g * y, y=lambda g, x: g * x,
    )  # fmt: skip
    right = {"x": lambda g, y: g * y, "y": lambda g, x: g * x}
    check_op(tn.op(lambda x, y: x * y, name="f", doc="F.", broadcasts=True, **right), [TWO], skip=("compile",))

    def equal(x: Any, y: Any) -> None:
        if x.shape != y.shape:
            raise ValueError("shapes differ")

    check_op(tn.op(lambda x, y: x * y, name="f", doc="F.", check=equal, **right), [TWO], skip=("compile",))


def test_joint_rules_give_a_dict() -> None:
    for rule, message in (
        (lambda g, x, y: (g * y, g * x), "the joint rule returned a tuple of 2.* it returns a dict"),
        (lambda g, x, y: {"x": g * y}, "the joint rule gave no gradient for 'y'.* a forgotten input"),
        (lambda g, x, y: {"x": g * y, "y": None}, "the gradient rule for 'y' returned None"),
        (lambda g, x, y: None, "the gradient rule for 'x' returned None"),
        (lambda g, x, y: {"x": g * x, "y": g * y}, "swapped inputs: it is the gradient by 'y'"),
    ):
        named(message, lambda x, y: x * y, TWO, joint=rule, broadcasts=True)


def test_parts_of_a_sequence_and_a_dict_are_named() -> None:
    pair = tn.sample([*TWO.args])
    named(
        "returned a tuple of 1.* an input that holds 2 arrays",
        lambda xs: xs[0] * xs[1],
        pair,
        xs=lambda g, xs: (g * xs[1],),
    )
    named(
        r"by 'xs\[0\]' is wrong .* parts of 'xs' are in another order", lambda xs: xs[0] * xs[1], pair,
        xs=lambda g, xs: (g * xs[0], g * xs[1]),
    )  # fmt: skip
    named(
        r"""by "p\['b'\]" is wrong .* the sign""", lambda p: p["a"] * p["b"],
        tn.sample(dict(zip("ab", TWO.args, strict=True))), p=lambda g, p: {"a": g * p["b"], "b": -g * p["a"]},
    )  # fmt: skip
    named(
        r"by 'xs\[1\]' is wrong .* the sign", lambda *xs: xs[0] * xs[1], TWO, xs=lambda g, xs: (g * xs[1], -g * xs[0])
    )


# -- the ways to run it ------------------------------------------------------------------------------------------


def test_a_derivative_in_a_direction_is_checked_beside_the_rules() -> None:
    named(
        r"f: jvp= gives a wrong derivative along a direction: .* a constant factor of 0.5: multiply by 2",
        lambda x: x * x, ONE, jvp=lambda x, x_dot: x * x_dot, x=lambda g, x: 2 * g * x,
    )  # fmt: skip


def test_lanes_are_checked() -> None:
    def largest(x: Any) -> Any:
        return np.asarray(x) - np.asarray(x).max()

    named("tn.vmap against a loop: values differ", largest, ONE, nondiff=True, vmap="leading", opaque="test")
    check_op(tn.op(largest, name="f", doc="F.", nondiff=True, opaque="test"), [ONE], skip=("compile",))


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled_calls_are_checked(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    monkeypatch.setattr(runs, "BACKENDS", {backend: runs.BACKENDS[backend]})
    monkeypatch.setattr(runs, "compile", lambda step, backend: lambda *arrays: [2 * t for t in step(*arrays)])
    with pytest.raises(AssertionError, match=f"compiled by the {backend} backend against eager: values differ"):
        check_op(tn.exp, [ONE])


def test_state_that_threads_share_is_found() -> None:
    rooms = {np.dtype(t): np.empty((2, 3), t) for t in (np.float64, np.float32)}

    def forward(x: Any) -> Any:
        room = rooms[x.dtype]
        np.multiply(x, 2, out=room)
        return room.copy()

    def rule(g: Any) -> Any:
        room = rooms[g.dtype]
        np.multiply(g, 2, out=room)
        return room.copy()

    for options in ({"x": lambda g: 2 * g}, {"x": rule}):
        made = forward if options["x"] is not rule else lambda x: 2 * x
        with pytest.raises(AssertionError, match="4 threads at once against one: values differ") as caught:
            check_op(tn.op(made, name="f", doc="F.", opaque="test", **options), [ONE], order=1, skip=("compile",))
        assert any("keeps arrays or other state between calls" in note for note in caught.value.__notes__)


def noisy(rng: Any) -> Any:
    return lambda x: x + rng().normal(size=x.shape).astype(x.dtype)


def test_random_ops_are_checked_by_seeding_anew() -> None:
    tn.random.seed(5)
    expected = tn.random.uniform(size=2)
    tn.random.seed(5)
    check_op(tn.op(noisy(tn.random.generator), name="f", doc="F.", random=True, x=lambda g: g), [ONE])
    np.testing.assert_array_equal(tn.random.uniform(size=2), expected)  # as if nothing had been drawn
    named("draw from tn.random.generator", noisy(np.random.default_rng), ONE, random=True, x=lambda g: g)
    named("declare random=True", noisy(np.random.default_rng), ONE, x=lambda g: g)
    named(
        "by 'x' is wrong .* a constant factor of 2", lambda x: (x * (m := tn.random.generator().uniform(size=x.shape)), m),
        ONE, random=True, residuals=("m",), x=lambda g, m: 2 * g * m, reference=lambda x: x,
    )  # fmt: skip


# -- what is said of it --------------------------------------------------------------------------------------------


def test_labels_are_on_the_drawing() -> None:
    rule = {"x": lambda g: 2 * g}
    check_op(tn.op(lambda x: 2 * x, name="f", doc="F.", label="2 × <·>", **rule), [ONE], skip=("compile",))
    named("label= gives no text", lambda x: 2 * x, ONE, label=lambda x_shape: " ", **rule)


def test_a_reference_that_is_another_function() -> None:
    named(
        "reference= gives another result than the forward.* a constant factor of 2: divide by 2",
        lambda x: (np.exp(x), np.exp(x)), ONE, residuals=("e",), x=lambda g, e: g * e, reference=lambda x: 2 * np.exp(x),
    )  # fmt: skip


def test_rules_that_are_no_derivative_on_purpose() -> None:
    through = tn.op(lambda x: np.round(x), name="f", doc="F.", x=lambda g: g)
    check_op(through, [ONE], gradient_of=lambda x: x, skip=("compile",))
    with pytest.raises(GradientMismatch):
        check_op(through, [ONE], gradient_of=lambda x: 2 * x)
    with pytest.raises(GradientMismatch):
        check_op(through, [ONE])


def test_orders_and_parts() -> None:
    once = tn.op(lambda x: x * x, name="f", doc="F.", once=True, x=lambda g, x: 2 * g * x)
    check_op(once, [ONE], skip=("compile",))
    check_op(tn.op(lambda x: x * 1, name="f", x=lambda g: -g), [ONE], skip=(*ops._PARTS, "documentation"))
    with pytest.raises(ValueError, match="skip='speed' is none of 'documentation', 'values', 'rules'"):
        check_op(tn.exp, skip=["speed"])


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN[5::24])
def test_whole(name: str) -> None:
    """Each way to run some of tapenet's ops. Where the shape of a result depends on values there is no forward mode."""
    sized = registry[name].name in ("polydiv", "trim_zeros", "union1d", "unique")
    check_op(registry[name], skip=("jvp",) if sized else ())
