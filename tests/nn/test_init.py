"""Initial values: their distributions, their fans, and that they leave storage where it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import tapenet as tn
from tapenet import nn
from tapenet.nn import init


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


LINEAR, CONV = (120, 80), (60, 8, 3, 4)
#: fan_in and fan_out of the two
FANS = {LINEAR: (80, 120), CONV: (96, 720)}


def _uniform(bound: float) -> Any:
    return stats.uniform(-bound, 2 * bound)


def _gain(a: float) -> float:
    return math.sqrt(2 / (1 + a * a))


@pytest.mark.parametrize("shape", [LINEAR, CONV], ids=["linear", "conv"])
@pytest.mark.parametrize(
    ("initialise", "expected"),
    [
        (lambda t: init.uniform_(t, -1, 3, _rng()), lambda i, o: stats.uniform(-1, 4)),
        (lambda t: init.normal_(t, 2, 0.5, _rng()), lambda i, o: stats.norm(2, 0.5)),
        (
            lambda t: init.trunc_normal_(t, 1, 2, -1, 1.5, _rng()),
            lambda i, o: stats.truncnorm(-1, 0.25, 1, 2),
        ),
        (lambda t: init.trunc_normal_(t, 0, 1, 8, 9, _rng()), lambda i, o: stats.truncnorm(8, 9)),
        (lambda t: init.trunc_normal_(t, 0, 1, -9, -8, _rng()), lambda i, o: stats.truncnorm(-9, -8)),
        (lambda t: init.xavier_uniform_(t, rng=_rng()), lambda i, o: _uniform(math.sqrt(6 / (i + o)))),
        (
            lambda t: init.xavier_normal_(t, 2.0, _rng()),
            lambda i, o: stats.norm(0, 2 * math.sqrt(2 / (i + o))),
        ),
        (lambda t: init.kaiming_uniform_(t, rng=_rng()), lambda i, o: _uniform(math.sqrt(6 / i))),
        (
            lambda t: init.kaiming_uniform_(t, 0.2, "fan_out", rng=_rng()),
            lambda i, o: _uniform(_gain(0.2) * math.sqrt(3 / o)),
        ),
        (lambda t: init.kaiming_normal_(t, rng=_rng()), lambda i, o: stats.norm(0, math.sqrt(2 / i))),
        (
            lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="tanh", rng=_rng()),
            lambda i, o: stats.norm(0, 5 / 3 / math.sqrt(o)),
        ),
    ],
)
def test_distribution(initialise: Any, expected: Any, shape: tuple[int, ...]) -> None:
    tensor = nn.Parameter(np.zeros(shape))
    assert initialise(tensor) is tensor
    distribution = expected(*FANS[shape])
    # The probability of a true hypothesis being refused here is one in ten thousand; the seed is fixed.
    assert stats.kstest(tensor.data.ravel(), distribution.cdf).pvalue > 1e-4
    low, high = distribution.support()
    assert low <= tensor.data.min()
    assert tensor.data.max() <= high


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "initialise",
    [
        lambda t: init.uniform_(t, rng=_rng()), lambda t: init.trunc_normal_(t, rng=_rng()), init.eye_,
        lambda t: init.orthogonal_(t, rng=_rng()), lambda t: init.kaiming_normal_(t, rng=_rng()), init.ones_,
        init.zeros_, lambda t: init.constant_(t, 0.3),
    ],
)  # fmt: skip
def test_storage_and_memory_order_stay_and_values_do_not_depend_on_them(
    initialise: Any, order: Any, dtype: Any
) -> None:
    tensor = nn.Parameter(np.full((4, 6), 7.0, dtype, order))
    plain = nn.Parameter(np.full((4, 6), 7.0))
    storage, flags = tensor.data, tensor.data.flags.f_contiguous
    initialise(tensor)
    initialise(plain)
    assert tensor.data is storage
    assert tensor.data.flags.f_contiguous is flags
    assert tensor.dtype == dtype
    assert tensor.requires_grad
    assert tensor.is_leaf
    np.testing.assert_array_equal(tensor.data, plain.data.astype(dtype))


def test_constants() -> None:
    t = nn.Parameter(np.zeros((2, 3)))
    np.testing.assert_array_equal(init.constant_(t, 0.25).data, np.full((2, 3), 0.25))
    np.testing.assert_array_equal(init.eye_(t).data, np.eye(2, 3))
    np.testing.assert_array_equal(init.ones_(t).data, np.ones((2, 3)))
    np.testing.assert_array_equal(init.zeros_(t).data, np.zeros((2, 3)))
    assert init.ones_(nn.Buffer(0)).item() == 1


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (3, 2, 3, 3), (20, 2, 3, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = init.orthogonal_(nn.Parameter(np.zeros(shape)), gain=2.0, rng=_rng()).data.reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_is_uniform_over_rotations() -> None:
    rng = _rng()
    t = nn.Parameter(np.zeros((2, 2)))
    angles = [math.atan2(*init.orthogonal_(t, rng=rng).data[:, 0]) for _ in range(2000)]
    assert stats.kstest(angles, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [("linear", None, 1), ("conv2d", None, 1), ("sigmoid", None, 1), ("tanh", None, 5 / 3), ("relu", None, 2**0.5),
     ("leaky_relu", None, math.sqrt(2 / 1.0001)), ("leaky_relu", 0.5, math.sqrt(1.6)), ("selu", None, 0.75)],
)  # fmt: skip
def test_gain(name: str, param: Any, gain: float) -> None:
    assert init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-12)


def test_gains_and_fans_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-12)
    for shape in ((3, 4), (8, 2, 3, 5), (6, 1, 3)):
        expected = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
        assert init.fans(nn.Parameter(np.zeros(shape))) == expected


def test_the_global_seed_and_a_generator_of_ones_own() -> None:
    t = nn.Parameter(np.zeros(5))
    tn.random.seed(3)
    first = init.normal_(t).data.copy()
    second = init.normal_(t).data.copy()
    tn.random.seed(3)
    np.testing.assert_array_equal(init.normal_(t).data, first)
    assert (first != second).all()
    np.testing.assert_array_equal(init.normal_(t, rng=_rng()).data, _rng().normal(size=5))
    tn.random.seed(3)
    init.normal_(t, rng=_rng())
    np.testing.assert_array_equal(init.normal_(t).data, first)  # the global one was not touched


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: init.xavier_normal_(t), "at least two axes .* not shape"),
        (lambda t: init.orthogonal_(t), "at least two axes"),
        (lambda t: init.eye_(t), "needs a matrix"),
        (lambda t: init.trunc_normal_(t, a=1, b=1), "must be below"),
        (lambda t: init.trunc_normal_(t, a=60, b=61), "next to nothing between"),
        (lambda t: init.calculate_gain("gelu"), "no gain is known for 'gelu'; known are linear"),
        (lambda t: init.kaiming_normal_(nn.Parameter(np.zeros((2, 2))), mode="in"), "neither"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(nn.Parameter(np.zeros(3)))


def test_pending_backward_notices_a_new_initialisation() -> None:
    w = nn.Parameter(np.ones((2, 2)))
    loss = (w * w).sum()
    init.zeros_(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 5, 4), 1), ((6, 2, 3), 3), ((4, 2, 3, 3), 2), ((4, 6, 2, 3, 3), 1), ((4, 1, 2, 2), 2)]
)
def test_dirac_is_pytorchs_and_passes_its_input(shape: tuple[int, ...], groups: int) -> None:
    torch = pytest.importorskip("torch")
    kernel = nn.Parameter(np.full(shape, 7.0, np.float32))
    assert init.dirac_(kernel, groups) is kernel
    expected = torch.nn.init.dirac_(torch.empty(shape), groups)
    np.testing.assert_array_equal(kernel.data, expected.numpy())
    if shape == (4, 2, 3, 3):
        x = _rng().normal(size=(1, 4, 5, 5)).astype(np.float32)
        out = tn.conv2d(x, kernel.data, padding=1, groups=groups)
        np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.55, 1.0])
def test_sparse_has_so_many_zeros_in_each_column_at_random_rows(sparsity: float) -> None:
    weight = nn.Parameter(np.full((20, 200), 7.0))
    assert init.sparse_(weight, sparsity, std=0.5, rng=_rng()) is weight
    zeros = weight.data == 0
    assert (zeros.sum(axis=0) == math.ceil(sparsity * 20)).all()
    if sparsity == 0.55:
        assert stats.kstest(weight.data[~zeros], stats.norm(0, 0.5).cdf).pvalue > 1e-4
        # Each row is as likely as another: 200 draws with probability 11 / 20.
        assert (np.abs(zeros.sum(axis=1) - 110) < 4 * math.sqrt(200 * 0.55 * 0.45)).all()


def test_gains_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    names = [
        "linear",
        "sigmoid",
        "tanh",
        "relu",
        "selu",
        *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)),
    ]
    for name in names:
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    for slope in (None, 0.2):
        assert init.calculate_gain("leaky_relu", slope) == torch.nn.init.calculate_gain("leaky_relu", slope)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: init.dirac_(nn.Parameter(np.zeros((2, 2)))), "three axes behind the channels, not \\(2, 2\\)"),
        (lambda: init.dirac_(nn.Parameter(np.zeros((3, 2, 1))), 2), "3 output channels do not divide into groups=2"),
        (lambda: init.sparse_(nn.Parameter(np.zeros(3)), 0.5), "needs a matrix, not shape \\(3,\\)"),
        (lambda: init.sparse_(nn.Parameter(np.zeros((3, 1))), 1.5), "sparsity=1.5 must be in"),
    ],
)
def test_what_does_not_fit_kernels_and_matrices(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
