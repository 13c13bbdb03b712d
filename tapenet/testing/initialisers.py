"""What an initialiser promises: `check_initialiser`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.parameter import Parameter
from tapenet.ops import random
from tapenet.ops.signatures import parameters
from tapenet.testing.findings import Findings, difference, place_of_numpys, seeded
from tapenet.typing import Array, Shape

Initialiser = Callable[..., object]


def check_initialiser(
    initialiser: Initialiser,
    shapes: Sequence[Shape] = ((48, 32), (8, 4, 3, 3)),
    *,
    mean: float | Callable[[Shape], float] | None = None,
    std: float | Callable[[Shape], float] | None = None,
) -> None:
    """Check an initialiser: a function that writes values into a tensor and returns it, as those of `tn.nn.init`.

    It fills the tensor in place with finite numbers, keeps its dtype, and gives the same numbers whatever the dtype and
    the memory order. One that is random takes `rng=`, draws from it alone, and without it from the generator that
    `tn.random.seed` seeds.

    Args:
        initialiser: the function; bind options with `functools.partial`.
        shapes: of the tensors that it is tried on.
        mean, std: of the numbers that it draws, if they are to be checked: to within five standard errors.

    Raises:
        AssertionError: says what is wrong.

    >>> import tapenet as tn
    >>> tn.testing.check_initialiser(tn.nn.init.xavier_normal_, [(48, 32)], mean=0.0, std=(2 / (48 + 32)) ** 0.5)
    >>> def mine_(tensor):
    ...     return tensor * 0 + 0.1
    >>> tn.testing.check_initialiser(mine_)
    Traceback (most recent call last):
    AssertionError: check_initialiser(mine_): it left the tensor as it was: write tensor.data = values
    """
    findings = Findings("check_initialiser", initialiser)
    known = parameters(initialiser)
    takes_rng = known is None or any(p.name == "rng" or p.kind is inspect.Parameter.VAR_KEYWORD for p in known)
    for shape in shapes:
        wide = _filled(findings, initialiser, shape, seed=1)
        is_random = bool(difference([_filled(findings, initialiser, shape, seed=2)], [wide]))
        if difference([_filled(findings, initialiser, shape, seed=1)], [wide]):
            findings.fail(
                "the same seed gives other numbers: it draws from a generator of its own; draw from tn.random.generator(rng)"
            )
        if is_random and not takes_rng:
            findings.fail(
                "it draws random numbers and takes no rng=: add `rng=None`, and draw from tn.random.generator(rng)"
            )
        if is_random:
            _check_rng(findings, initialiser, shape)
        _check_storage(findings, initialiser, shape, wide)
        _check_moments(findings, wide, shape, mean, std)


def _filled(findings: Findings, initialiser: Initialiser, shape: Shape, seed: int, rng: object = None) -> Array:
    """What a float64 tensor has afterwards; before it has what no initialiser gives."""
    tensor = Parameter(np.full(shape, np.nan))
    with seeded(seed):
        before = place_of_numpys()
        _call(findings, initialiser, tensor, rng)
        after = place_of_numpys()
    if before != after:
        findings.fail("it draws from NumPy's global generator: draw from tn.random.generator(rng)")
    values = np.array(tensor.data)
    if np.isnan(values).all():
        findings.fail("it left the tensor as it was: write tensor.data = values")
    if not np.isfinite(values).all():
        findings.fail(f"of shape {shape} it left {int((~np.isfinite(values)).sum())} elements that are not finite")
    return values


def _call(findings: Findings, initialiser: Initialiser, tensor: Tensor, rng: object) -> None:
    options = {} if rng is None else {"rng": rng}
    dtype, node = tensor.dtype, tensor.node
    try:
        result = initialiser(tensor, **options)
    except Exception as error:
        findings.fail(f"on a {dtype} tensor of shape {tensor.shape} it raises {type(error).__name__}: {error}", error)
    if tensor.dtype != dtype or not tensor.requires_grad or tensor.node is not node:
        findings.fail(
            f"it changed what the tensor is ({dtype}, needs a gradient, a leaf): write tensor.data = values alone"
        )
    if result is not tensor and not np.isnan(tensor.data).all():
        shown = "None" if result is None else "something else than the tensor"
        findings.fail(f"it returns {shown}: return the tensor, as all of tn.nn.init do")


def _check_rng(findings: Findings, initialiser: Initialiser, shape: Shape) -> None:
    by_seed = [_filled(findings, initialiser, shape, seed, rng=7) for seed in (1, 2)]
    if difference(by_seed[:1], by_seed[1:]):
        findings.fail("it does not draw from the rng that it is given: draw from tn.random.generator(rng)")
    generator = np.random.default_rng(7)
    first, second = (_filled(findings, initialiser, shape, 1, generator) for _ in range(2))
    if difference([first], by_seed[:1]):
        findings.fail("rng=np.random.default_rng(7) and rng=7 give different numbers: use tn.random.generator(rng)")
    if not difference([first], [second]):
        findings.fail("the same generator gives the same numbers twice: it is to be drawn from, not copied")
    tensor = Parameter(np.full(shape, np.nan))
    with seeded(1):
        before = str(random.get_state())
        _call(findings, initialiser, tensor, 7)
        if str(random.get_state()) != before:
            findings.fail("it draws from the process's generator although it was given an rng")


def _check_storage(findings: Findings, initialiser: Initialiser, shape: Shape, wide: Array) -> None:
    for order in "CF":
        tensor = Parameter(np.full(shape, np.nan, np.float32, order))  # type: ignore[call-overload]
        with seeded(1):
            _call(findings, initialiser, tensor, None)
        found = difference([tensor.data], [wide.astype(np.float32)], 1e-6)
        if found:
            what = "a float32 tensor" if order == "C" else "a tensor in Fortran order"
            findings.fail(f"{what} gets other numbers than a float64 one in C order by the same seed: {found}")


def _check_moments(
    findings: Findings,
    values: Array,
    shape: Shape,
    mean: float | Callable[[Shape], float] | None,
    std: float | Callable[[Shape], float] | None,
) -> None:
    spread = float(values.std())
    for name, wanted, found in (("mean", mean, float(values.mean())), ("standard deviation", std, spread)):
        if wanted is None:
            continue
        expected = wanted(shape) if callable(wanted) else wanted
        # The error of a deviation is that of normal numbers, which of flatter ones is smaller.
        allowed = 5 * spread / np.sqrt(values.size * (1 if name == "mean" else 2))
        if abs(found - expected) > allowed:
            findings.fail(
                f"of shape {shape} the {name} is {found:.4g}, and {expected:.4g} was expected (to within {allowed:.2g})"
            )
