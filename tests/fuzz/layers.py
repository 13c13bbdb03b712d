"""Layers, functions, losses and optimizers with random options, sizes and memory layouts, in float64 beside PyTorch.

What there is, and what it is called with, is in the tables of the tests; which options it has, in PyTorch's signatures. Values,
gradients and second derivatives are compared, and the state, with kernels and without. Where PyTorch refuses there is nothing
to compare.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import reject
from hypothesis import strategies as st

import tapenet as tn
from tapenet import kernels, nn, optim
from tests.kernels.beside import lift

torch = pytest.importorskip("torch")

from tests.nn import (  # noqa: E402  they ask for torch
    test_activation_layers,
    test_convolution_layers,
    test_layers_against_torch,
    test_loss_layers,
    test_pooling,
    test_recurrent,
)
from tests.optim.test_rules import CONFIGURATIONS, WHOLE  # noqa: E402

FEW = 30
MANY = 200

_TABLES = (test_layers_against_torch, test_convolution_layers, test_pooling, test_activation_layers)
#: By name: how it is made, given a module and what makes its tensors; and the arrays, or shapes of such, that it takes.
ROWS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    name: (lambda m, t, make=make: make(m), (shape,))
    for table in _TABLES
    for name, (make, shape) in table.LAYERS.items()
    if not name.startswith(("Dropout", "AlphaDropout", "FeatureAlpha", "RReLU", "Fractional"))  # random
}
ROWS |= {name: (make, (x, y)) for name, (make, x, y) in test_layers_against_torch.LOSSES.items()}
ROWS |= {name: row for name, row in test_loss_layers.LOSSES.items() if "WithDistance" not in name}
ROWS |= {name: (lambda m, t, make=make: make(m), ((5, 2, 3),)) for name, make in test_recurrent.STACKS.items()}
ROWS |= {name: (lambda m, t, make=make: make(m), ((4, 3),)) for name, make in test_recurrent.CELLS.items()}


class _Function:
    """A function of one array that stands for a layer without state."""

    def __init__(self, module: Any, name: str, options: dict[str, Any]) -> None:
        self._run = lambda x: getattr(module.functional, name)(x, **options)

    def __call__(self, x: Any) -> Any:
        return self._run(x)

    def double(self) -> _Function:
        return self

    def astype(self, _: str) -> _Function:
        return self

    def train(self, _: bool) -> _Function:
        return self

    def parameters(self) -> list[Any]:
        return []

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, _: Any) -> None:
        pass


def _functions() -> list[str]:
    """Names of functions of one array and options that both sides have; not those that ask for an axis in PyTorch."""
    found = []
    for name, function in vars(torch.nn.functional).items():
        if (
            name[0] == "_"
            or "dropout" in name
            or name in ("rrelu", "gumbel_softmax")
            or not hasattr(nn.functional, name)
        ):
            continue
        if inspect.isfunction(function):
            first, *others = inspect.signature(function).parameters.values()
            chosen = all(p.default is not p.empty and not (p.name == "dim" and p.default is None) for p in others)
            if first.name == "input" and chosen:
                found.append(name)
    return found


FUNCTIONS = _functions()
RULES = sorted({name for name, _ in CONFIGURATIONS + WHOLE})

#: Options that are no part of the mathematics, or that one side does not have.
_LEFT_OUT = {"inplace", "device", "dtype", "size_average", "reduce", "return_indices", "foreach", "capturable", "fused",
             "differentiable", "sparse", "rng", "params"}  # fmt: skip
_WORDS = {
    "reduction": ["mean", "sum", "none"],
    "padding_mode": ["zeros", "reflect", "replicate", "circular"],
    "approximate": ["none", "tanh"],
}
#: Views of the same numbers, laid out otherwise.
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "a": lambda a: a,
    "np.asfortranarray(a)": np.asfortranarray,
    "np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0)": lambda a: np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0),
    "np.repeat(a, 2, -1)[..., ::2]": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "a[::-1].copy()[::-1]": lambda a: a[::-1].copy()[::-1],
}


class Case(NamedTuple):
    """One layer, loss or optimizer, as it is tried."""

    name: str
    options: dict[str, Any]
    layout: str
    count: int | None
    training: bool
    native: bool
    seed: int

    def __str__(self) -> str:
        text = f"{self.name!r} of tests.fuzz.layers, with {self.options}, kernels {'on' if self.native else 'off'}"
        return f"# {text}\nfrom tests.fuzz.layers import *\ncheck({self!r})"


class _Altered:
    """A module whose classes are made with other options."""

    def __init__(self, module: Any, options: dict[str, Any]) -> None:
        self._module = module
        self._options = options
        self.made: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        if not inspect.isclass(getattr(torch.nn, name)) or name in ("Module", "Sequential", "Parameter"):
            return getattr(self._module, name)

        def make(*args: Any, **kwargs: Any) -> Any:
            given = inspect.signature(getattr(nn, name)).bind(*args, **kwargs).arguments
            self.made.append((name, given))
            return getattr(self._module, name)(**given | self._options)

        return make


def _tensor(a: Any) -> Any:
    return torch.tensor(np.array(a, order="C"))


@st.composite
def _options(draw: Any, kind: str, given: dict[str, Any], theirs: Any, ours: Any) -> dict[str, Any]:
    """Some of the options that a class has on both sides, of the kinds that their defaults are of."""
    found: dict[str, Any] = {}
    known = inspect.signature(getattr(theirs, kind)).parameters
    for name, parameter in inspect.signature(getattr(ours, kind)).parameters.items():
        usual = given.get(name, parameter.default)
        if not known.keys() & {name, "kwargs"} or name in _LEFT_OUT or draw(st.integers(0, 3)) != 3:
            continue
        if isinstance(usual, bool):
            found[name] = draw(st.booleans())
        elif isinstance(usual, float):
            found[name] = usual * draw(st.sampled_from([0.5, 0.9, 1.5 if usual < 0.6 or usual >= 1 else 1.001]))
        elif name in _WORDS:
            found[name] = draw(st.sampled_from(_WORDS[name]))
        elif isinstance(usual, int) and name in ("stride", "padding", "dilation", "kernel_size", "p"):
            found[name] = draw(st.integers(1, 3))
    return found


@st.composite
def _cases(draw: Any) -> Case:
    name = draw(st.sampled_from([*ROWS, *FUNCTIONS, *RULES]))
    if name in RULES:
        options = draw(_options(name, {}, torch.optim, optim))
    elif name in FUNCTIONS:
        options = draw(_options(name, {}, torch.nn.functional, nn.functional))
    else:
        look = _Altered(torch.nn, {})
        ROWS[name][0](look, _tensor)
        ((kind, given), *_) = look.made or [("Identity", {})]
        options = draw(_options(kind, given, torch.nn, nn))
    layout, count = draw(st.sampled_from(list(LAYOUTS))), draw(st.sampled_from([None, None, 1, 2, 9]))
    if "no batch" in name:  # the first axis has the channels
        count = None
    return Case(name, options, layout, count, draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 9999)))


CASES = _cases()


def check(case: Case) -> None:
    """Compare one case with PyTorch."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), kernels.switched(case.native):
        warnings.simplefilter("ignore")
        lift(patch)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            (_check_rule if case.name in RULES else _check_layer)(case)
        finally:
            torch.set_default_dtype(before)


def _close(found: Any, expected: Any, what: str) -> None:
    """Equal but for rounding (in PyTorch's hardsigmoid that of a float32 constant); no gradient is one of zeros."""
    if found is None or expected is None:
        assert not np.any(0 if expected is None else expected.numpy(force=True)), f"no {what}"
        return
    found, expected = found.numpy(), expected.numpy(force=True)
    assert found.shape == expected.shape, what
    finite = abs(expected[np.isfinite(expected)]).max(initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10 * finite, err_msg=what)


def _arrays(case: Case, r: np.random.Generator) -> list[Any]:
    """What the layer takes: random numbers of a shape, or the arrays of the table; and of these the first few, or more."""
    made = []
    for a in ((2, 3, 4),) if case.name in FUNCTIONS else ROWS[case.name][1]:
        a = r.normal(size=a) if isinstance(a, tuple) else np.asarray(a)
        if case.count is not None and a.ndim:
            a = np.resize(a, (case.count, *a.shape[1:]))
        made.append(LAYOUTS[case.layout](a) if a.ndim else a)
    return made


def _made(case: Case, module: Any, tensor: Callable[[Any], Any]) -> Any:
    if case.name in FUNCTIONS:
        return _Function(module, case.name, case.options)
    return ROWS[case.name][0](_Altered(module, case.options), tensor)


def _first(out: Any) -> Any:
    """The first of several results."""
    return _first(out[0]) if isinstance(out, tuple) else out


def _check_layer(case: Case) -> None:
    r = np.random.default_rng(case.seed)
    arrays = _arrays(case, r)
    theirs = [_tensor(a).requires_grad_(a.dtype.kind == "f") for a in arrays]
    try:
        other = _made(case, torch.nn, _tensor).double().train(case.training)
        for p in other.parameters():
            p.data = _tensor(r.normal(size=p.shape))
        state = {name: a.numpy().copy() for name, a in other.state_dict().items()}
        expected = _first(other(*theirs))
        g = np.asarray(r.normal(size=expected.shape))
        expected.backward(_tensor(g), create_graph=True)
    except (RuntimeError, ValueError, IndexError, NotImplementedError, TypeError, AssertionError):
        reject()  # what PyTorch does not do
    if not torch.isfinite(expected).all():
        reject()
    layer = _made(case, nn, lambda a: a).astype("float64").train(case.training)
    layer.load_state_dict(state)
    ours = [tn.tensor(a, requires_grad=t.grad is not None) for a, t in zip(arrays, theirs, strict=True)]
    out = _first(layer(*ours))
    _close(out, expected, "value")
    out.backward(g, create_graph=True)
    mine, others = [*ours, *layer.parameters()], [*theirs, *other.parameters()]
    first = [(a.grad, b.grad) for a, b in zip(mine, others, strict=True)]
    for i, (a, b) in enumerate(first):
        _close(a, b, f"gradient {i}")
    for name, value in layer.state_dict().items():
        np.testing.assert_allclose(value, other.state_dict()[name].numpy(), rtol=1e-9, atol=1e-11, err_msg=name)
    _second(mine, others, first, r)


def _second(mine: Any, others: Any, first: Any, r: np.random.Generator) -> None:
    """The gradient of the gradients, each times random numbers."""
    kept = [(a, b) for a, b in first if a is not None and b is not None]
    factors = [r.normal(size=a.shape) for a, _ in kept]
    if not kept or not any(b.requires_grad for _, b in kept):
        return
    for a, b in zip(mine, others, strict=True):
        a.grad = b.grad = None
    try:
        sum((b * _tensor(f)).sum() for (_, b), f in zip(kept, factors, strict=True)).backward()
    except RuntimeError:
        return  # a derivative that PyTorch does not have
    total = sum((a * f).sum() for (a, _), f in zip(kept, factors, strict=True))
    if total.requires_grad:
        total.backward()
    for i, (a, b) in enumerate(zip(mine, others, strict=True)):
        _close(a.grad, b.grad, f"second derivative {i}")


def _check_rule(case: Case) -> None:
    r = np.random.default_rng(case.seed)
    arrays = [r.normal(size=shape) for shape in ((3, 4), (5,), (2, 3, 2))]
    ours = [tn.tensor(LAYOUTS[case.layout](a), requires_grad=True) for a in arrays]
    theirs = [_tensor(a).requires_grad_() for a in arrays]
    try:
        other = getattr(torch.optim, case.name)(theirs, **case.options)
    except (RuntimeError, ValueError):
        return
    made = getattr(optim, case.name)(ours, **case.options)
    for step in range(5):
        for p, q in zip(ours, theirs, strict=True):
            given = r.normal(size=p.shape)
            p.grad, q.grad = tn.tensor(LAYOUTS[case.layout](given)), _tensor(given)
        made.step()
        other.step()
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            _close(p, q, f"parameter {i} after step {step}")
