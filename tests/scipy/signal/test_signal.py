"""`tn.scipy.signal` against SciPy and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import scipy.signal

import tapenet as tn
from tapenet.scipy import signal
from tapenet.scipy.signal import filtering, resampling, separable
from tests.scipy.followed import check_promises, check_values, ops

OPS = ops("signal") | {f"windows.{name}": op for name, op in ops("signal.windows").items()}
#: Those that take images which are too large for a difference by each number. For float32 SciPy sums less exactly.
LARGE = ("cspline2d", "qspline2d", "spline_filter", "symiirorder2")
#: What public functions of more than one op are made of.
PARTS = {
    op.name: op
    for op in (resampling.resampled, filtering.lfilter_only, filtering.lfilter_on, separable.separable)
}  # fmt: skip


@pytest.mark.parametrize("name", OPS)
def test_values_are_scipys(name: str) -> None:
    check_values("signal.windows" if name.startswith("windows.") else "signal", OPS[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted({*OPS, *PARTS} - {"freqz_sos", "sosfreqz", *LARGE})
)  # a0 is 1: see test_cascades
def test_promises(name: str) -> None:
    check_promises(OPS.get(name) or PARTS[name])


SECTIONS = np.array([[1.0, 0.5, 0.2, -0.3, 0.2], [0.7, 0.1, 0.4, 0.4, 0.1]])  # without a0, which is 1


def _cascade(c: tn.Tensor) -> tn.Tensor:
    return np.concatenate([c[:, :3], np.ones((2, 1)), c[:, 3:]], 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "f",
    [
        lambda c, x, zi: signal.sosfilt(_cascade(c), x),
        lambda c, x, zi: np.concatenate([part.ravel() for part in signal.sosfilt(_cascade(c), x, zi=zi)]),
        lambda c, x, zi: signal.sosfiltfilt(_cascade(c), x, padlen=3),
        lambda c, x, zi: abs(signal.freqz_sos(_cascade(c), abs(x) + 0.1)[1]),
    ],
)
def test_cascades(f: Callable[..., tn.Tensor]) -> None:
    given = [SECTIONS, np.cos(np.arange(6.0)), np.array([[0.3, -0.2], [0.1, 0.4]])]
    tn.testing.check_grads(f, given, order=2)
    gradient = tn.grad(lambda *args: (f(*args) ** 2).sum(), argnums=(0, 1))
    for compiled, eager in zip(tn.compile(gradient)(*given), gradient(*given), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-12)


@pytest.mark.parametrize("output", ["zpk", "ba", "sos"])
@pytest.mark.parametrize(
    ("band", "edges"), [("low", 0.3), ("high", 0.3), ("band", [0.2, 0.5]), ("bandstop", [0.2, 0.5])]
)
def test_designed_filters(band: str, edges: float | list[float], output: Literal["zpk", "ba", "sos"]) -> None:
    kinds = {"butter": (4,), "cheby1": (3, 1.0), "cheby2": (4, 30.0), "ellip": (3, 1.0, 30.0), "bessel": (3,)}
    for name, given in kinds.items():
        for analog in (False, True):
            parts, theirs = (
                getattr(module, name)(*given, edge, band, analog, output)
                for module, edge in ((signal, tn.tensor(edges)), (scipy.signal, edges))
            )
            for part, expected in zip(*([v] if output == "sos" else v for v in (parts, theirs)), strict=True):
                ours = np.atleast_1d(np.asarray(part))
                if output == "zpk":  # conjugates may be the other way around
                    ours, expected = (np.sort_complex(np.atleast_1d(v).round(10)) for v in (ours, expected))
                np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("output", ["ba", "sos"])
@pytest.mark.parametrize("band", ["low", "high", "band", "bandstop"])
def test_gradients_by_edges(band: str, output: Literal["ba", "sos"]) -> None:
    def response(edges: tn.Tensor) -> tn.Tensor:
        found = signal.butter(3, edges, band, output=output)
        return signal.freqz_sos(found, [0.3, 1.0])[1] if output == "sos" else signal.freqz(*found, [0.3, 1.0])[1]

    tn.testing.check_grads(response, [np.array(0.3 if band in ("low", "high") else [0.2, 0.5])], order=1)


def test_sections_need_known_roots() -> None:
    with pytest.raises(ValueError, match="take output='zpk' or 'ba'"):
        tn.compile(lambda w: signal.butter(3, w, output="sos"))(np.array(0.3))


def test_the_delay_of_groups() -> None:
    b, a = np.array([1.0, 0.5, 0.2]), np.array([1.0, -0.3])
    np.testing.assert_allclose(
        signal.group_delay((tn.tensor(b), a), 5)[1], scipy.signal.group_delay((b, a), 5)[1], rtol=1e-12
    )
    tn.testing.check_grads(lambda b, a: signal.group_delay((b, a), 5)[1], [b, a])


def test_lfilter_goes_on_from_states() -> None:
    b, a, x = np.array([1.0, 0.5]), np.array([2.0, -0.3, 0.2]), np.cos(np.arange(7.0))
    whole = signal.lfilter(b, a, tn.tensor(x))
    first, state = signal.lfilter(b, a, x[:3], zi=tn.tensor(np.zeros(2)))
    rest, last = signal.lfilter(b, a, x[3:], zi=state)
    np.testing.assert_allclose(np.concatenate([first, rest]), whole, rtol=1e-14)
    expected = scipy.signal.lfilter(b, a, x, zi=np.zeros(2))
    np.testing.assert_array_equal(whole.numpy(), scipy.signal.lfilter(b, a, x))
    np.testing.assert_allclose(last, expected[1], rtol=1e-14)


def test_resampled_times_and_quotients() -> None:
    x, t = np.cos(np.arange(6.0)), np.arange(6.0) / 2
    found, times = signal.resample(tn.tensor(x), 4, t)
    expected, theirs = scipy.signal.resample(x, 4, t)
    np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(times, theirs)
    divisor = np.array([2.0, 0.5, 1.0])
    for ours, value in zip(signal.deconvolve(tn.tensor(x), divisor), scipy.signal.deconvolve(x, divisor), strict=True):
        np.testing.assert_allclose(ours, value, rtol=1e-13, atol=1e-14)
    tn.testing.check_grads(lambda x, d: signal.deconvolve(x, d)[0], [x, divisor])


def test_the_error_of_scipys_own_name_says_which_function_to_take() -> None:
    with pytest.raises(TypeError, match=r"tn\.scipy\.signal\.lfilter"):
        scipy.signal.lfilter([1.0], [1.0, -0.5], tn.tensor([1.0, 2.0], requires_grad=True))


def test_gust_has_values_alone() -> None:
    x = np.cos(np.arange(20.0))
    found = signal.filtfilt([0.5, 0.5], [1.0], tn.tensor(x), method="gust")
    np.testing.assert_array_equal(found.numpy(), scipy.signal.filtfilt([0.5, 0.5], [1.0], x, method="gust"))
    with pytest.raises(TypeError, match="method='pad'"):
        tn.grad(lambda t: signal.filtfilt([0.5, 0.5], [1.0], t, method="gust").sum())(x)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_splines_of_images(name: str) -> None:
    op = OPS[name]
    r = np.random.default_rng(3)
    assert op.samples is not None
    for each in op.samples(r):
        image, *options = each.args
        directions = r.normal(size=(2, *image.shape))

        def f(
            c: tn.Tensor, image: np.ndarray = image, d: np.ndarray = directions, options: list[object] = options
        ) -> tn.Tensor:
            return (op(image + c[0] * d[0] + c[1] * d[1], *options) ** 2).mean()

        tn.testing.check_grads(f, [np.array([0.3, -0.2])])
        slope = tn.grad(f)
        np.testing.assert_allclose(tn.compile(slope)(np.ones(2)), slope(np.ones(2)), rtol=1e-10)
        narrow = tn.tensor(image.astype(np.float32), requires_grad=True)
        op(narrow, *options).sum().backward()
        assert narrow.grad.dtype == np.float32


def test_filters_are_those_of_scipy_beyond_single_real_ones() -> None:
    roots = np.array([0.3 + 0.2j, 0.5 - 0.1j])
    for zeros in (roots, np.array([[1.0, 2.0], [3.0, 4.0]])):
        found = signal.zpk2tf(tn.tensor(zeros), [0.5], 2)[0]
        np.testing.assert_allclose(np.asarray(found), scipy.signal.zpk2tf(zeros, [0.5], 2)[0])
    with pytest.raises(ValueError, match="Wn"):
        signal.iirfilter(1, [0.5, 1.5], btype="band")
    with pytest.raises(ValueError, match="fs"):
        signal.bilinear_zpk([], [-1.0], 1.0, np.array([1.0, 2.0]))  # type: ignore[arg-type]


def test_frequencies_of_analog_filters_are_chosen_as_scipy_does() -> None:
    for found, expected in zip(
        signal.freqs([1.0], tn.tensor([1.0, 1.0]), 5), scipy.signal.freqs([1.0], [1.0, 1.0], 5), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(found), expected)


def test_a_delay_at_a_zero_is_0() -> None:
    with pytest.warns(UserWarning, match="a zero or pole at the frequencies"):
        delay = signal.group_delay((tn.tensor([1.0, -1.0]), [1.0]), [0.0, 1.0])[1]
    np.testing.assert_allclose(delay.numpy(), [0.0, 0.5])


@pytest.mark.parametrize("kind", [np.float32, np.complex64, np.float64, np.int32])
def test_lists_are_filters_of_the_precision_of_the_image(kind: type) -> None:
    image, filters = np.arange(20).reshape(4, 5).astype(kind), ([0.25, 0.5, 0.25], (1.0, 0.3, -1.0))
    found = signal.sepfir2d(tn.tensor(image), *filters)
    np.testing.assert_array_equal(found.numpy(), scipy.signal.sepfir2d(image, *filters), strict=True)


def test_windows_of_one_sample_and_of_no_width_are_constant() -> None:
    for name in ("gaussian", "kaiser", "general_hamming", "tukey", "exponential", "general_cosine"):
        window = getattr(signal.windows, name)
        options = {"center": None} if name == "exponential" else {}
        by = {"exponential": "tau", "general_cosine": "a", "gaussian": "std", "kaiser": "beta"}.get(name, "alpha")
        given = np.array([0.5, 0.5] if by == "a" else 0.6)
        for sym in (True, False):
            slope = tn.grad(lambda v, w=window, o=options, by=by, sym=sym: w(1, sym=sym, **o, **{by: v}).sum())(given)
            assert not slope.numpy().any()
    for alpha, expected in ((-0.5, 0.0), (0.0, 0.0), (1.5, 0.0)):
        assert tn.grad(lambda v: signal.windows.tukey(5, v)[1])(alpha).item() == expected
        np.testing.assert_array_equal(
            tn.compile(lambda v: signal.windows.tukey(5, v), backend="numpy")(np.array(alpha)).numpy().round(12),
            scipy.signal.windows.tukey(5, alpha).round(12),
        )


@pytest.mark.parametrize("band", [(0, 2), (-2, 0), (-2, -1), (-3, 2), (1, 3)])
@pytest.mark.parametrize("residual", ["lowpass", "all"])
def test_envelopes_of_bands_around_and_below_0(band: tuple[int, int], residual: Literal["lowpass", "all"]) -> None:
    x = np.random.default_rng(5).normal(size=6)
    for given in (x, x + 1j * x[::-1] ** 2):
        tn.testing.check_grads(lambda t: signal.envelope(t, band, squared=True, residual=residual), [given])
