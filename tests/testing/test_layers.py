"""The check of layers finds what is wrong with one, and tapenet's own pass it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.testing import check_layer

R = np.random.default_rng(0)
X = R.normal(size=(4, 3)).astype(np.float32)
IMAGES = R.normal(size=(2, 4, 6, 6)).astype(np.float32)
ROWS = R.normal(size=(4, 2, 3)).astype(np.float32)
TOKENS = R.normal(size=(3, 2, 4)).astype(np.float32)
OWN: dict[str, tuple[Any, ...]] = {
    "Linear": (lambda: nn.Linear(3, 2), X),
    "Bilinear": (lambda: nn.Bilinear(3, 3, 2), X, X[::-1]),
    "LazyLinear": (lambda: nn.LazyLinear(3), X),
    "Conv2d": (lambda: nn.Conv2d(4, 3, 3), IMAGES),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 3, 3), IMAGES),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), IMAGES),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), IMAGES),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), X),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), IMAGES),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGES),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), IMAGES),
    "LayerNorm": (lambda: nn.LayerNorm(3), X),
    "RMSNorm": (lambda: nn.RMSNorm(3), X),
    "Dropout": (lambda: nn.Dropout(0.5), X),
    "ReLU": (nn.ReLU, X),
    "PReLU": (nn.PReLU, X),
    "RReLU": (nn.RReLU, X),
    "Softmax": (lambda: nn.Softmax(-1), X),
    "Embedding": (lambda: nn.Embedding(10, 3), np.array([1, 2, 2])),
    "RNN": (lambda: nn.RNN(3, 2), ROWS),
    "LSTM": (lambda: nn.LSTM(3, 2), ROWS),
    "GRU": (lambda: nn.GRU(3, 2), ROWS),
    "GRUCell": (lambda: nn.GRUCell(3, 2), X),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), TOKENS, TOKENS, TOKENS),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 8), TOKENS),
    "Sequential": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.3), nn.Linear(4, 2)), X),
    "Flatten": (nn.Flatten, IMAGES),
    "Identity": (nn.Identity, X),
}
#: Those that the default run tries.
SAMPLED = ("Linear", "BatchNorm1d", "Dropout")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in SAMPLED else pytest.mark.slow) for n in OWN])
def test_own_layers_pass(name: str) -> None:
    make, *inputs = OWN[name]
    layer = make()
    before = {name: value.copy() for name, value in layer.state_dict().items()} if name != "LazyLinear" else {}
    check_layer(layer, *inputs)
    for key, value in before.items():
        np.testing.assert_array_equal(layer.state_dict()[key], value)


@pytest.mark.slow
def test_layers_that_pytorch_has_pass() -> None:
    pytest.importorskip("torch")
    from tests.nn.test_layers_against_torch import LAYERS

    for name, (make, shape) in LAYERS.items():
        try:
            check_layer(make(nn), R.normal(size=shape).astype(np.float32))
        except AssertionError as error:
            error.add_note(name)
            raise


# -- wrong ones --------------------------------------------------------------------------------------------------


class Scale(nn.Module):
    """A right one, from which the wrong ones differ."""

    def __init__(self) -> None:
        self.scale = nn.Parameter(np.linspace(0.5, 1.5, 3, dtype=np.float32))

    def forward(self, x: Any) -> Any:
        return x * self.scale


class KeepsAnArray(Scale):
    def __init__(self) -> None:
        self.scale = np.ones(3, np.float32)


class KeepsAnArrayInAList(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.tables = {"sizes": [np.ones(3)]}


class KeepsATensor(Scale):
    def __init__(self) -> None:
        self.scale = tn.tensor(np.ones(3), requires_grad=True)


class KeepsTensorsInAList(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.more = [tn.tensor(np.ones(3), requires_grad=True)]

    def forward(self, x: Any) -> Any:
        return x * self.scale * self.more[0]


class KeepsAMask(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.mask = tn.tensor(np.ones(3))


class ComputesOnce(Scale):
    def __init__(self) -> None:
        self.raw = nn.Parameter(np.zeros(3))
        self.scale = np.exp(self.raw)  # type: ignore[assignment]


@dataclass
class Holder:
    value: Any


class HidesAParameter(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.holder = Holder(nn.Parameter(np.ones(3, np.float32)))

    def forward(self, x: Any) -> Any:
        return super().forward(x) * self.holder.value.astype(x.dtype)


class CutsOff(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(np.ones(3, np.float32))

    def forward(self, x: Any) -> Any:
        return super().forward(x) + self.shift.data


class CutsAllOff(Scale):
    def forward(self, x: Any) -> Any:
        return tn.tensor(x.data * self.scale.data)


class Unused(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(np.ones(3, np.float32))


class CountsInEval(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Buffer(np.zeros(3, np.float32))

    def forward(self, x: Any) -> Any:
        y = super().forward(x) - self.mean
        self.mean.data = 0.9 * self.mean.data + 0.1
        return y


class AlwaysDrops(Scale):
    def forward(self, x: Any) -> Any:
        return super().forward(x) * tn.random.bernoulli(0.5, x.shape)


class StateAside(Scale):
    """Keeps in a plain number what training changes."""

    level = 0.0

    def forward(self, x: Any) -> Any:
        if self.training:
            self.level = self.level + 1.0
        return super().forward(x) + self.level


class LoadsNothing(Scale):
    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        return None


class Widens(Scale):
    def forward(self, x: Any) -> Any:
        return super().forward(x) * np.linspace(0.5, 1.5, 3)


class MadeWide(Scale):
    def __init__(self) -> None:
        self.scale = nn.Parameter(np.ones(3))


class DrawsAside(Scale):
    """Draws from a generator of its own, which a program does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x: Any) -> Any:
        y = super().forward(x)
        return y * self.rng.uniform(size=y.shape).astype(y.dtype) if self.training else y


class Writes(Scale):
    def forward(self, x: Any) -> Any:
        x = x.data if isinstance(x, tn.Tensor) else x
        x[x < 0] = 0
        return x * self.scale


class ReturnsNothing(Scale):
    def forward(self, x: Any) -> Any:
        super().forward(x)


_wrong = tn.op(np.sin, name="wrong", x=lambda g, x: g * 2 * np.cos(x))


class WrongGradient(Scale):
    def forward(self, x: Any) -> Any:
        return _wrong(x * self.scale)


class HalfCutOff(Scale):
    def forward(self, x: Any) -> Any:
        return x * self.scale * self.scale.detach()


class Branches(Scale):
    def forward(self, x: Any) -> Any:
        return x * self.scale if x.sum().item() > 0 else 2 * x * self.scale


class Forgets(Scale):
    """Does not reach its children."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True) -> Any:
        self.training = mode
        return self


class Silent(Scale):
    def eval(self) -> Any:
        super().eval()


class WithALambda(Scale):
    def __init__(self) -> None:
        super().__init__()
        self.act = lambda x: x * 2

    def forward(self, x: Any) -> Any:
        return self.act(super().forward(x))


class Shares(Scale):
    def __deepcopy__(self, memo: Any) -> Any:
        made = type(self)()
        made.scale = self.scale
        return made


class Unshown(Scale):
    def __repr__(self) -> str:
        raise RuntimeError("not ready")


def test_a_right_one_passes() -> None:
    check_layer(Scale(), X)


@pytest.mark.filterwarnings("ignore:.*needs a gradient, and no parameter", "ignore:.*forward returned None")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            KeepsAnArray,
            r"check_layer\(KeepsAnArray\): KeepsAnArray.scale is an array, which neither parameters\(\) nor state_dict",
        ),
        (KeepsAnArrayInAList, r"KeepsAnArrayInAList.tables.sizes.0 is an array"),
        (KeepsATensor, r"KeepsATensor.scale is a plain tensor, .*: make it nn.Parameter"),
        (KeepsTensorsInAList, r"KeepsTensorsInAList.more.0 is a plain tensor, .*: make it nn.Parameter"),
        (KeepsAMask, r"KeepsAMask.mask is a plain tensor, .*: make it nn.Buffer"),
        (ComputesOnce, r"ComputesOnce.scale is a result \(of 'exp'\) that was computed once: compute it in forward"),
        (
            HidesAParameter,
            r"depends on a tensor of shape \(3,\) that needs a gradient and that parameters\(\) does not find",
        ),
        (CutsOff, r"depends on the parameter 'shift', but no gradient reaches it: .data"),
        (CutsAllOff, r"in training mode no gradient reaches its parameters"),
        (Unused, r"the parameter 'shift' is not used"),
        (CountsInEval, r"in eval mode two calls differ|a call in eval mode changes 'mean'"),
        (
            AlwaysDrops,
            r"in eval mode two calls differ .*: it is random or changes its state; do so only if self.training",
        ),
        (
            StateAside,
            r"loads its state_dict\(\) gives other results .*StateAside.level, changed by training, is not in it",
        ),
        (LoadsNothing, r"another one that loads its state_dict\(\) gives other results"),
        (Widens, r"with parameters and inputs of float32 it returns float64"),
        (
            MadeWide,
            r"on inputs of float32 it returns float64, since scale is float64, .* nn.Parameter\(array, dtype=np.float32",
        ),
        (
            DrawsAside,
            r"compiled with .* on other inputs than it was captured on .*: what NumPy draws .* tn.random.draw",
        ),
        (Writes, r"it writes into its input: compute a new array"),
        (ReturnsNothing, r"in training mode it returns None: return a tensor"),
        (
            WrongGradient,
            r"in training mode the gradient by the parameter 'scale' is wrong: .* \(2 times\), by finite differences",
        ),
        (HalfCutOff, r"the gradient by the parameter 'scale' is wrong: .* \(0.5 times\)"),
        (Branches, r"in training mode it cannot be compiled with backend='\w+': CaptureError"),
        (Forgets, r"eval\(\) leaves drop with training=True"),
        (Silent, r"eval\(\) does not return the layer"),
        (WithALambda, r"a pickle of it cannot be made: .*lambda"),
        (Shares, r"a deep copy of it shares parameters with it"),
        (Unshown, r"repr\(\) of it fails: RuntimeError: not ready"),
    ],
)
def test_wrong_layers_are_named(kind: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_layer(kind(), X)


def test_gradients_that_are_not_meant_to_be_derivatives() -> None:
    check_layer(HalfCutOff(), X, gradients=False)


class Shifted(Scale):
    """Takes its inputs in a tuple and a dict."""

    def forward(self, pair: Any, more: Any) -> Any:
        return pair[0] * self.scale + pair[1] * more["by"] + more["times"]


def test_inputs_in_tuples_and_dicts_are_differentiated_by() -> None:
    check_layer(Shifted(), (X, X[::-1]), {"by": X**2, "times": 2})

    class Wrong(Shifted):
        def forward(self, pair: Any, more: Any) -> Any:
            return super().forward((pair[0], _wrong(pair[1])), more)

    with pytest.raises(AssertionError, match=r"the gradient by input 1 is wrong: .* \(2 times\)"):
        check_layer(Wrong(), (X, X[::-1]), {"by": X**2, "times": 2})


def test_a_kink_is_called_one() -> None:
    class Rectified(Scale):
        def forward(self, x: Any) -> Any:
            return tn.relu(super().forward(x))

    with pytest.raises(AssertionError, match=r"its output has a kink by .* at these inputs: check it on others"):
        check_layer(Rectified(), np.zeros((2, 3)))


def test_it_is_for_modules() -> None:
    with pytest.raises(TypeError, match=r"not the class; make one: Scale\(...\)"):
        check_layer(Scale, X)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"check_layer checks a module, an nn.Module, not function"):
        check_layer(lambda x: x, X)  # type: ignore[arg-type]
