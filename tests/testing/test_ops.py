"""`check_op` finds each promise that an op breaks, and names it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.gradients import Gradients
from tapenet.testing import GradientMismatch, Sample, check_grads, check_op

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
        AssertionError, match=r"a second one .* declare random=True: values differ, 0\.\d+ against 0\.\d+ at"
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
