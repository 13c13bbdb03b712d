"""Losses: PyTorch's values and gradients in every mode, extremes, orders of derivative, errors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.layers.losses.classes import beside_zeros
from tapenet.program.ir import Builder, Input
from tapenet.program.symbols import Symbol
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close, replays

torch = pytest.importorskip("torch")
F = torch.nn.functional
R = np.random.default_rng(0)
REDUCTIONS = ["mean", "sum", "none"]
T = torch.tensor


def _probabilities(*shape: int, axis: int = -1) -> Any:
    return tn.softmax(R.normal(size=shape), axis)


# -- of two arrays of one shape ----------------------------------------------------------------------------------

DISTANCES: dict[str, tuple[Any, Any]] = {
    "mse": (tn.mse_loss, F.mse_loss),
    "l1": (tn.l1_loss, F.l1_loss),
    "huber": (tn.huber_loss, F.huber_loss),
    "huber delta": (
        lambda *a, **k: tn.huber_loss(*a, delta=0.3, **k),
        lambda *a, **k: F.huber_loss(*a, delta=0.3, **k),
    ),
    "smooth l1": (tn.smooth_l1_loss, F.smooth_l1_loss),
    "smooth l1 beta": (
        lambda *a, **k: tn.smooth_l1_loss(*a, beta=2.5, **k),
        lambda *a, **k: F.smooth_l1_loss(*a, beta=2.5, **k),
    ),
    "smooth l1 beta 0": (
        lambda *a, **k: tn.smooth_l1_loss(*a, beta=0, **k),
        lambda *a, **k: F.smooth_l1_loss(*a, beta=0, **k),
    ),
    "bce with logits": (tn.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits),
}
ALL = [*DISTANCES, "bce", "kl", "kl log"]


def _loss(name: str) -> Any:
    special = {
        "bce": tn.binary_cross_entropy,
        "kl": tn.kl_div,
        "kl log": lambda *a, **k: tn.kl_div(*a, log_target=True, **k),
    }
    return special.get(name) or DISTANCES[name][0]


@pytest.mark.parametrize("shape", [(4, 3), (5,), (), (2, 3, 2, 2)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", DISTANCES)
def test_values_and_gradients_are_those_of_torch(name: str, reduction: str, shape: Any) -> None:
    ours, theirs = DISTANCES[name]
    agrees_with_torch(
        lambda *a: ours(*a, reduction=reduction),
        lambda *a: theirs(*a, reduction=reduction),
        2 * R.normal(size=shape),
        2 * R.normal(size=shape),
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse", "l1", "huber", "huber delta"])
def test_weights_of_distances_are_those_of_torch(name: str, reduction: str) -> None:
    ours, theirs = DISTANCES[name]
    x, t, w = R.normal(size=(4, 3)), R.normal(size=(4, 3)), R.uniform(0.5, 2, (4, 3))
    agrees_with_torch(
        lambda *a: ours(*a, reduction=reduction, weight=w),
        lambda *a: theirs(*a, reduction=reduction, weight=T(w)), x, t, dtypes=[np.float64],
    )  # fmt: skip
    assert ours(tn.tensor(x, dtype="float32"), t.astype("float32"), reduction=reduction, weight=w).dtype == np.float32
    with pytest.raises(ValueError, match=r"weight has shape \(3,\); it must have that of the input, \(4, 3\)"):
        ours(x, t, weight=w[0])


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_is_that_of_torch(reduction: str) -> None:
    p, t, w = R.uniform(0.05, 0.95, (4, 3)), R.uniform(0.05, 0.95, (4, 3)), R.uniform(size=3)
    agrees_with_torch(
        lambda *a: tn.binary_cross_entropy(*a, reduction=reduction),
        lambda *a: F.binary_cross_entropy(*a, reduction=reduction), p, t,
    )  # fmt: skip
    agrees_with_torch(
        lambda *a: tn.binary_cross_entropy(*a, w, reduction=reduction),
        lambda *a: F.binary_cross_entropy(*a, T(w), reduction=reduction), p, t, dtypes=[np.float64],
    )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_weights_of_binary_cross_entropy_with_logits_are_those_of_torch(reduction: str) -> None:
    x, t, w, pos = R.normal(size=(4, 3)), R.uniform(size=(4, 3)), R.uniform(size=(4, 1)), R.uniform(0.5, 3, 3)
    for weight, pos_weight in ((w, None), (None, pos), (w, pos)):
        agrees_with_torch(
            lambda *a: tn.binary_cross_entropy_with_logits(*a, weight, pos_weight, reduction),  # noqa: B023
            lambda *a: F.binary_cross_entropy_with_logits(
                *a, None if weight is None else T(weight), reduction=reduction,  # noqa: B023
                pos_weight=None if pos_weight is None else T(pos_weight),  # noqa: B023
            ),
            x, t, dtypes=[np.float64],
        )  # fmt: skip


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
def test_kl_div_is_that_of_torch(reduction: str, log_target: bool) -> None:
    x, t = np.log(_probabilities(4, 3)), _probabilities(4, 3)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction: 'mean' divides")
        agrees_with_torch(
            lambda *a: tn.kl_div(*a, reduction, log_target),
            lambda *a: F.kl_div(*a, reduction=reduction, log_target=log_target),
            x, np.log(t) if log_target else t,
        )  # fmt: skip


def test_kl_div_of_a_target_of_zero() -> None:
    x, t = tn.tensor([[-1.0, -0.5]], requires_grad=True), tn.tensor([[1.0, 0.0]], requires_grad=True)
    loss = tn.kl_div(x, t, "batchmean")
    loss.backward()
    assert loss.item() == 1.0
    np.testing.assert_array_equal(x.grad.data, [[-1, 0]])
    np.testing.assert_array_equal(t.grad.data, [[2, 1.5]])


@pytest.mark.parametrize("name", ALL)
def test_integer_and_wider_targets_keep_the_dtype_of_the_input(name: str) -> None:
    x = tn.tensor(R.uniform(0.1, 0.9, (4, 3)).astype(np.float32), requires_grad=True)
    kinds = [np.int64, np.uint8, np.bool_] + ([np.float64] if name in ("bce", "kl", "bce with logits") else [])
    for kind in kinds:
        target = R.integers(0, 2, (4, 3)).astype(kind)
        x.grad = None
        loss = _loss(name)(x, target)
        loss.backward()
        assert loss.dtype == x.grad.dtype == np.float32
        same = tn.tensor(x.data, requires_grad=True)
        _loss(name)(same, target.astype(np.float32)).backward()
        close(x.grad.data, same.grad.data)


@pytest.mark.parametrize("name", ALL)
def test_extremes_stay_finite_without_warnings(name: str) -> None:
    edge = [0.0, 1.0] if name == "bce" else [-1e3, -90.0, 0.0, 90.0, 1e3]
    targets = [0.0, 1.0] if "bce" in name or name == "kl" else [-50.0, 0.0] if name == "kl log" else edge
    grid = np.array([[x, t] for x in edge for t in targets], np.float32)
    x, t = (tn.tensor(grid[:, i], requires_grad=True) for i in (0, 1))
    loss = _loss(name)(x, t)
    loss.backward()
    for a in (loss, x.grad, t.grad):
        assert np.isfinite(a.data).all()
        assert a.dtype == np.float32


@pytest.mark.parametrize("name", ALL)
def test_an_empty_batch_has_no_mean(name: str) -> None:
    x = tn.tensor(np.zeros((0, 3)), requires_grad=True)
    with pytest.warns(RuntimeWarning, match=r"mean over an empty batch. Skip .* or give reduction='sum'") as caught:
        losses = [_loss(name)(x, np.zeros((0, 3))) for _ in range(2)]
    assert [w.filename for w in caught] == [__file__]
    loss = losses[1]
    assert np.isnan(loss.item())
    loss.backward()
    assert x.grad.shape == (0, 3)
    assert _loss(name)(x, np.zeros((0, 3)), reduction="sum").item() == 0


@pytest.mark.parametrize("name", ALL)
def test_higher_orders_and_replay(name: str) -> None:
    r = np.random.default_rng(3)
    x, t = r.uniform(0.1, 0.9, (2, 3)), r.uniform(0.1, 0.9, (2, 3))
    check_grads(lambda x, t: _loss(name)(x, t) ** 2, [x, t], order=3, rtol=1e-5)
    target = tn.tensor(t)
    replays(lambda x: _loss(name)(x, target) ** 2, x, 1 - x)


@pytest.mark.parametrize("name", ALL)
def test_different_shapes_are_an_error_with_the_fix(name: str) -> None:
    x = tn.tensor(np.full((4, 1), 0.5), requires_grad=True)
    with pytest.raises(ValueError, match=r"input \(4, 1\) and target \(4,\) must .* target.reshape\(4, 1\)"):
        _loss(name)(x, np.zeros(4))
    with pytest.raises(ValueError, match=r"input \(4, 1\) and target \(4, 3\).* np.broadcast_to\(target"):
        _loss(name)(x, np.zeros((4, 3)))
    with pytest.raises(TypeError, match="input and target are arrays or tensors of one shape"):
        _loss(name)(x, 0.0)
    with pytest.raises(ValueError, match="reduction='average': it is 'mean', 'sum' or 'none'"):
        _loss(name)(x, np.zeros((4, 1)), reduction="average")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tn.mse_loss(tn.tensor(np.zeros((4, 3))), np.zeros(4, int)), "for class indices use cross_entropy"),
        (lambda: tn.huber_loss(tn.tensor([1.0]), np.zeros(1), delta=0), "delta=0 must be positive"),
        (lambda: tn.smooth_l1_loss(tn.tensor([1.0]), np.zeros(1), beta=-1), "beta=-1 must be positive"),
        (
            lambda: tn.binary_cross_entropy(tn.tensor([-0.5, 3.0]), np.zeros(2)),
            "input runs from -0.5 to 3, but probabilities lie in .*use binary_cross_entropy_with_logits",
        ),
        (
            lambda: tn.binary_cross_entropy(tn.tensor([0.5]), np.zeros(1), np.ones(3)),
            r"weight of shape \(3,\) does not broadcast to the input's \(1,\)",
        ),
        (
            lambda: tn.binary_cross_entropy_with_logits(tn.tensor([0.5]), np.zeros(1), None, np.ones(3)),
            r"pos_weight of shape \(3,\) does not broadcast",
        ),
    ],
)
def test_errors_of_distances_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


# -- of classes --------------------------------------------------------------------------------------------------

SHAPES = [((6, 4), (6,)), ((4,), ()), ((3, 4, 5), (3, 5)), ((2, 4, 3, 2), (2, 3, 2)), ((1, 4), (1,))]


def _indices(shape: Any) -> Any:
    return np.asarray(R.integers(0, 4, shape))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("shape", "positions"), SHAPES)
@pytest.mark.parametrize("options", [{}, {"weight": True}, {"ignore_index": 2}, {"weight": True, "ignore_index": 2},
                                     {"label_smoothing": 0.2}, {"label_smoothing": 1.0},
                                     {"weight": True, "label_smoothing": 0.2, "ignore_index": 2}])  # fmt: skip
def test_cross_entropy_of_indices_is_that_of_torch(options: Any, shape: Any, positions: Any, reduction: str) -> None:
    x, target = 2 * R.normal(size=shape), _indices(positions)
    if target.size > 1:
        target.flat[0], target.flat[1] = 2, 0  # never all ignored
    else:
        target = np.full(positions, 1)
    weight = R.uniform(0.5, 2, 4)
    for dtype in (np.float64, np.float32):
        plain = {k: v for k, v in options.items() if k != "weight"} | {"reduction": reduction}
        ours = plain | ({"weight": weight.astype(dtype)} if "weight" in options else {})
        theirs = plain | ({"weight": T(weight.astype(dtype))} if "weight" in options else {})
        agrees_with_torch(
            lambda x: tn.cross_entropy(x, target, **ours),  # noqa: B023
            lambda x: F.cross_entropy(x, T(target), **theirs),  # noqa: B023
            x, dtypes=[dtype],
        )  # fmt: skip


def test_classes_are_compared_in_32_bits() -> None:
    """As many as floats are in a vector: the gradient of a cross entropy of 1,000 x 100 takes a third of the time so."""
    builder = Builder()
    values, classes = Input((5, 1), np.dtype(np.float32)), Input((5,), np.dtype(np.int64))
    beside_zeros(*(Symbol(builder, i, shared=True) for i in (values, classes)), (5, 7))
    (equal,) = (i for i in builder.body if i.name == "equal")
    assert {a.dtype for a in equal.args} == {np.dtype(np.int32)}


@pytest.mark.parametrize("ignored", [2**32 + 1, -(2**32)])
def test_what_is_ignored_may_be_any_number(ignored: int) -> None:
    x, target = R.normal(size=(300, 50)), R.integers(0, 50, 300)
    gradients = []
    for index in (-100, ignored):
        target[::3] = index
        mean = lambda x, index=index: tn.cross_entropy(x, target, ignore_index=index)
        gradients += [tn.grad(mean)(x), tn.compile(tn.grad(mean))(x)]
    for found in gradients[1:]:
        np.testing.assert_allclose(found, gradients[0], rtol=1e-12)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [s for s, _ in SHAPES])
@pytest.mark.parametrize(
    "options", [{}, {"weight": True}, {"label_smoothing": 0.2}, {"weight": True, "label_smoothing": 0.2}]
)
def test_cross_entropy_of_probabilities_is_that_of_torch(options: Any, shape: Any, reduction: str) -> None:
    x, target = 2 * R.normal(size=shape), _probabilities(*shape, axis=min(1, len(shape) - 1))
    weight = R.uniform(0.5, 2, 4)
    for dtype in (np.float64, np.float32):
        plain = {k: v for k, v in options.items() if k != "weight"} | {"reduction": reduction}
        ours = plain | ({"weight": weight.astype(dtype)} if "weight" in options else {})
        theirs = plain | ({"weight": T(weight.astype(dtype))} if "weight" in options else {})
        agrees_with_torch(
            lambda *a: tn.cross_entropy(*a, **ours),  # noqa: B023
            lambda *a: F.cross_entropy(*a, **theirs),  # noqa: B023
            x, target, dtypes=[dtype],
        )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("shape", "positions"), SHAPES)
@pytest.mark.parametrize("options", [{}, {"weight": True}, {"ignore_index": 2}, {"weight": True, "ignore_index": 2}])
def test_nll_loss_is_that_of_torch(options: Any, shape: Any, positions: Any, reduction: str) -> None:
    x, target = R.normal(size=shape), np.full(positions, 1) if np.prod(positions) < 2 else _indices(positions)
    target.flat[-1] = 1
    weight = R.uniform(0.5, 2, 4)
    plain = {k: v for k, v in options.items() if k != "weight"} | {"reduction": reduction}
    agrees_with_torch(
        lambda x: tn.nll_loss(x, target, **plain, **({"weight": weight} if "weight" in options else {})),
        lambda x: F.nll_loss(x, T(target), **plain, **({"weight": T(weight)} if "weight" in options else {})),
        x, dtypes=[np.float64],
    )  # fmt: skip
    agrees_with_torch(
        lambda x: tn.nll_loss(x, target, **plain), lambda x: F.nll_loss(x, T(target), **plain), x, dtypes=[np.float32]
    )


CLASSES = {"cross_entropy": (tn.cross_entropy, F.cross_entropy), "nll_loss": (tn.nll_loss, F.nll_loss)}


@pytest.mark.parametrize(
    ("name", "smoothing"),
    [("nll_loss", {}), ("cross_entropy", {}), ("cross_entropy", {"label_smoothing": 0.1})],
)
def test_with_every_target_ignored_the_mean_is_nan_and_its_gradient_zero(name: str, smoothing: Any) -> None:
    ours, theirs = CLASSES[name]
    target = np.array([-100, -100])
    x = tn.tensor(R.normal(size=(2, 3)), requires_grad=True)
    loss = ours(x, target, **smoothing)
    assert np.isnan(loss.item())
    loss.backward()
    np.testing.assert_array_equal(x.grad.data, 0)
    assert np.isnan(theirs(T(x.data), T(target), **smoothing).item())
    assert ours(x, target, reduction="sum", **smoothing).item() == 0


@pytest.mark.parametrize("name", CLASSES)
def test_ignored_positions_may_hold_anything(name: str) -> None:
    x = tn.tensor(np.float32([[1, 2, 3], [-np.inf, np.inf, -np.inf], [0, -np.inf, 1]]), requires_grad=True)
    if name == "cross_entropy":  # an infinite score has no softmax
        x.data = np.nan_to_num(x.data, posinf=1e3, neginf=-np.inf)
    loss = CLASSES[name][0](x, np.array([2, -100, 0]))
    loss.backward()
    assert np.isfinite(loss.item())
    np.testing.assert_array_equal(x.grad.data[1], 0)
    assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, np.int64])
@pytest.mark.parametrize("name", CLASSES)
def test_every_kind_of_integer_names_classes(name: str, kind: Any) -> None:
    x, target = R.normal(size=(5, 300)), R.integers(0, 3, 5)  # more classes than small integers have values
    t, u = tn.tensor(x, requires_grad=True), tn.tensor(x, requires_grad=True)
    loss, expected = CLASSES[name][0](t, tn.tensor(target.astype(kind))), CLASSES[name][0](u, target)
    close(loss.data, expected.data)
    loss.backward()
    expected.backward()
    close(t.grad.data, u.grad.data)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_targets_that_all_count_alike_are_those_of_weight_one(order: Any, reduction: str) -> None:
    x, target = np.asarray(R.normal(size=(5, 4)), order=order), R.integers(0, 4, 5)
    t, u = tn.tensor(x, requires_grad=True), tn.tensor(x, requires_grad=True)
    loss, expected = (tn.cross_entropy(a, target, w, -100, reduction) for a, w in ((t, None), (u, np.ones(4))))
    close(loss.data, expected.data)
    loss.sum().backward()
    expected.sum().backward()
    close(t.grad.data, u.grad.data)


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_large_scores_are_no_problem(scale: float) -> None:
    x = tn.tensor(np.float32([[scale, -scale, 0], [0, scale, -scale]]), requires_grad=True)
    loss = tn.cross_entropy(x, np.array([0, 0]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), scale / 2, rtol=1e-6)
    np.testing.assert_allclose(x.grad.data, [[0, 0, 0], [-0.5, 0.5, 0]], atol=1e-30)


def test_masked_classes_and_masked_rows_have_finite_gradients() -> None:
    rows = np.float32([[-np.inf, 0, 0], [-np.inf] * 3])
    x = tn.tensor(rows, requires_grad=True)
    loss = tn.cross_entropy(x, np.array([1, 1]), reduction="none")
    np.testing.assert_allclose(loss.data, [np.log(2), np.inf], rtol=1e-6)
    loss.backward(np.float32([1, 1]))
    np.testing.assert_allclose(x.grad.data, [[0, -0.5, 0.5], [0, -1, 0]])


def test_cross_entropy_is_nll_of_log_softmax() -> None:
    x, target, weight = R.normal(size=(6, 4)), R.integers(0, 4, 6), R.uniform(size=4)
    close(tn.cross_entropy(x, target, weight), tn.nll_loss(tn.log_softmax(x), target, weight))


@pytest.mark.parametrize("options", [{}, {"weight": np.array([1.0, 2.0, 0.5])}, {"ignore_index": 1},
                                     {"label_smoothing": 0.3}, {"reduction": "none"}])  # fmt: skip
@pytest.mark.parametrize("shape", [((4, 3), (4,)), ((2, 3, 2), (2, 2)), ((3,), ())])
def test_higher_orders_of_cross_entropy(options: Any, shape: Any) -> None:
    r = np.random.default_rng(2)
    target = np.where(np.arange(np.prod(shape[1], dtype=int)) % 2, 1, 2).reshape(shape[1])
    check_grads(lambda x: tn.cross_entropy(x, target, **options) ** 2, [r.normal(size=shape[0])], order=3, rtol=1e-5)


def test_higher_orders_of_cross_entropy_of_probabilities() -> None:
    r = np.random.default_rng(2)
    x, target = r.normal(size=(2, 3)), r.uniform(0.1, 0.5, (2, 3))
    check_grads(lambda *a: tn.cross_entropy(*a, label_smoothing=0.1) ** 2, [x, target], order=3, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"weight": np.array([1.0, 2.0, 0.5])}, {"ignore_index": 1},
                                     {"label_smoothing": 0.3}])  # fmt: skip
def test_rules_follow_the_scores_and_the_targets_of_a_replay(options: Any) -> None:
    from tapenet.autodiff.observe.capture import Capture
    from tests.replay import Replay

    x = tn.tensor(R.normal(size=(4, 3)), requires_grad=True)
    targets = [np.array([0, 1, 2, 1]), np.array([2, 1, 1, 0])]
    t = tn.tensor(targets[0])
    with Capture() as tape:
        tn.cross_entropy(x, t, **options).backward()
        gradient = x.grad
        assert gradient is not None
    new = R.normal(size=(4, 3))
    fresh = tn.tensor(new, requires_grad=True)
    tn.cross_entropy(fresh, targets[1], **options).backward()
    close(Replay(tape, [x, t], gradient)(new, targets[1]), fresh.grad.data)


def test_targets_and_weights_may_be_tensors_but_weights_get_no_gradient() -> None:
    x = tn.tensor(R.normal(size=(4, 3)), requires_grad=True)
    weight = tn.tensor(np.ones(3), requires_grad=True)
    tn.cross_entropy(x, tn.tensor([0, 1, 2, 1]), weight).backward()
    assert weight.grad is None


@pytest.mark.parametrize("name", CLASSES)
def test_classes_in_the_last_axis_are_told_from_other_mistakes(name: str) -> None:
    """As a language model gives them: (batch, time, classes)."""
    loss = CLASSES[name][0]
    logits, target = tn.tensor(np.zeros((2, 4, 3))), np.zeros((2, 4), int)
    words = r"must have \(2, 3\), since the classes lie in axis 1.*input.reshape\(-1, 3\) and target.reshape\(-1\)"
    with pytest.raises(ValueError, match=words):
        loss(logits, target)
    assert loss(logits.reshape(-1, 3), target.reshape(-1)).shape == ()


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    ("target", "kind", "text"),
    [
        (np.array([0, 3]), IndexError, "target holds class 3, but input has 3 classes, 0 to 2"),
        (np.array([0, -1]), IndexError, "target holds class -1, but .*ignore_index=-100"),
        (np.array([0, 1, 2]), ValueError, r"target has shape \(3,\).*input of shape \(2, 3\) it must have \(2,\)"),
        (np.array([[0], [1]]), ValueError, r"it must have \(2,\): target.reshape\(2\)"),
        (np.array([[0, 1, 0], [1, 0, 0]]), ValueError, r"one-hot rows are turned into indices by target.argmax\(1\)"),
        (np.array([True, False]), TypeError, r"target holds bool; class indices are integers"),
    ],
)
def test_errors_of_targets_say_what_to_do(name: str, target: Any, kind: Any, text: str) -> None:
    for options in ({}, {"weight": np.ones(3)}):
        with pytest.raises(kind, match=text):
            CLASSES[name][0](tn.tensor(np.zeros((2, 3))), target, **options)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda x: tn.cross_entropy(x, np.array([0.0, 1.0])),
            r"target has shape \(2,\); as probabilities .* float64\).*Class indices are integers: target.astype",
        ),
        (lambda x: tn.cross_entropy(x, np.array([0, 1]), np.ones(2)), r"weight has shape \(2,\); it must be \(3,\)"),
        (lambda x: tn.cross_entropy(x, np.array([0, 1]), label_smoothing=2), "label_smoothing=2: give a number"),
        (lambda x: tn.cross_entropy(x, np.array([0, 1]), reduction="avg"), "reduction='avg'"),
        (lambda x: tn.nll_loss(x, np.array([0, 1]), reduction="avg"), "reduction='avg'"),
        (lambda x: tn.cross_entropy(x.sum(), np.array(0)), r"input is a single number; its shape must be \(N, C\)"),
    ],
)
def test_errors_of_classes_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(tn.tensor(np.zeros((2, 3))))


@pytest.mark.parametrize("name", CLASSES)
def test_lists_and_numbers_say_what_to_do(name: str) -> None:
    x = tn.tensor(np.zeros((2, 3)))
    with pytest.raises(TypeError, match=r"target has type int; give an array or a tensor: np.asarray\(target\)"):
        CLASSES[name][0](x[0], 1)
    with pytest.raises(TypeError, match=r"weight has type list; give an array or a tensor: np.asarray\(weight\)"):
        CLASSES[name][0](x, np.array([0, 1]), [1.0, 1.0, 1.0])


def test_nll_loss_of_floats_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"class indices are integers: target.astype\(np.int64\)"):
        tn.nll_loss(tn.tensor(np.zeros((2, 3))), np.zeros(2))


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("positive", [None, 2.0])
def test_infinite_scores(positive: Any, reduction: str) -> None:
    """The limit: no loss where the target is certain of what the score is, else an infinite one; the gradient is finite."""
    weight = {} if positive is None else {"pos_weight": np.array([positive])}
    p = positive or 1.0
    for x, target, loss, slope in (
        (np.inf, 1.0, 0.0, 0.0),
        (np.inf, 0.3, np.inf, 0.7),
        (np.inf, 0.0, np.inf, 1.0),
        (-np.inf, 0.0, 0.0, 0.0),
        (-np.inf, 0.3, np.inf, -0.3 * p),
        (-np.inf, 1.0, np.inf, -p),
    ):
        for dtype in (np.float64, np.float32):
            t = tn.tensor(np.array([x], dtype), requires_grad=True)
            out = tn.binary_cross_entropy_with_logits(t, np.array([target], dtype), reduction=reduction, **weight)
            out.sum().backward()
            assert out.sum().item() == loss
            np.testing.assert_allclose(t.grad.data, slope, rtol=1e-6)
    assert np.isnan(
        tn.binary_cross_entropy_with_logits(tn.tensor([np.nan]), np.ones(1), reduction=reduction).sum().item()
    )


@pytest.mark.parametrize(("x", "target", "loss"), [(np.inf, 1.0, 0.0), (-np.inf, 0.0, 0.0), (np.inf, 0.0, np.inf)])
def test_infinite_scores_of_other_losses(x: float, target: float, loss: float) -> None:
    for f in (
        lambda x, t: tn.sigmoid_focal_loss(x, t, -1),
        lambda x, t: tn.multilabel_soft_margin_loss(x[None], t[None]),
        lambda x, t: tn.soft_margin_loss(x, 2 * t - 1),
    ):
        assert f(tn.tensor([x]), np.array([target])).sum().item() == loss


def test_no_classes() -> None:
    x = tn.tensor(np.zeros((2, 0)), requires_grad=True)
    assert tn.cross_entropy(x, np.zeros((2, 0)), reduction="none").tolist() == [0, 0]
    with pytest.raises(IndexError, match="target holds class 0"):
        tn.cross_entropy(x, np.zeros(2, int))
    assert tn.multi_margin_loss(np.zeros((0, 0)), np.zeros(0, int), reduction="sum").item() == 0
