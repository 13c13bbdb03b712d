"""What users write passes type checkers, and is known by them: the programs of README, and the calls below, each with the
type that it has. Nothing of the package is looked at but its annotations."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tapenet import new
from tests.test_docs import ROOT, blocks

CALLS = """
import numpy as np
import tapenet as tn
import tapenet.nn.functional as F
from tapenet import Tensor, nn, optim
from typing import Any, assert_type

w = tn.tensor([1.0, 2.0], requires_grad=True)
assert_type(w * 2, Tensor)
assert_type(2 / w, Tensor)
assert_type(w[0] @ w.T, Tensor)
assert_type(w == w, Tensor)
assert_type([row for row in w], list[Tensor])
assert_type(w.sum(axis=0, keepdims=True).reshape(2, -1), Tensor)
assert_type(w.grad, Tensor | None)
assert_type(w.shape, tuple[int, ...])
w += 1
assert_type(w, Tensor)

# Ops, with their options; of NumPy's functions too, out= and dtype=.
assert_type(tn.exp(w, dtype=np.float32).sum().backward(), None)
assert_type(tn.stack([w, w]), Tensor)
assert_type(tn.where(w > 0, w, 0.0).mean(axis=(0,)), Tensor)
assert_type(tn.unique(w), Tensor)
assert_type(tn.unique(w, return_counts=True), tuple[Tensor, Tensor])
assert_type(tn.split(w, 2), list[Tensor])
assert_type(tn.linalg.svd(w).S, Tensor)
assert_type(F.softmax(w, axis=1), Tensor)
assert_type(F.cross_entropy(w, np.ones(2), reduction="sum", label_smoothing=0.1), Tensor)
assert_type(F.max_pool2d(w, 2), Tensor)
assert_type(F.relu(F.log_softmax(w, dim=-1, dtype=np.float32), inplace=True), Tensor)
assert_type(F.max_pool2d(input=w, kernel_size=2, return_indices=True), tuple[Tensor, Tensor])
assert_type(tn.fft.rfft(w), Tensor)

# The array API standard.
assert_type(tn.astype(tn.linspace(0, 1, 3), tn.bool), Tensor)
np.from_dlpack(w)
assert_type(tn.from_dlpack(np.zeros(2)), Tensor)
assert_type(tn.from_dlpack(w), Tensor)
assert_type(tn.sort(w, descending=True), Tensor)
assert_type(tn.finfo(tn.float32).eps, float)
assert_type(tn.__array_namespace_info__().devices(), tuple[str, ...])

# Modules: a call returns what forward does.
net = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
assert_type(nn.Linear(2, 3)(w), Tensor)
assert_type(nn.Conv2d(1, 2, 3)(np.ones((1, 1, 4, 4))), Tensor)


class Net(nn.Module):
    def __init__(self) -> None:
        self.fc = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.fc(x))


loss = F.mse_loss(Net()(w), np.ones(3))
assert_type(loss, Tensor)
opt = optim.AdamW(net.parameters(), lr=1e-3)
opt.zero_grad()
opt.step()


# Transformations and compiled functions keep signatures.
def power(x: Tensor, n: int = 2) -> Tensor:
    return (x**n).sum()


def square(x: Tensor) -> Tensor:
    return (x * x).sum()


assert_type(tn.grad(square)(w), Tensor)
assert_type(tn.grad(tn.grad(lambda t: t**3))(2.0), Tensor)
assert_type(tn.value_and_grad(power)(w, n=3)[0], Tensor)
assert_type(tn.vjp(square, w)[0], Tensor)
assert_type(tn.elementwise_grad(square)(w), Tensor)
assert_type(tn.tree.leaves({"w": w}), list[Any])
assert_type(tn.tree.ravel([w, 1.0])[0], Tensor)
assert_type(tn.gradients(square(w), w), Tensor)
tn.functional_call(net, tn.tree.map(np.zeros_like, net), w)


def task(net: nn.Linear, x: Tensor) -> Tensor:
    return net(x).sum()


by_net, by_x = tn.grad(task, argnums=(0, 1))(nn.Linear(2, 3), w)
assert_type(tn.compile(power)(w, n=3), Tensor)


@tn.compile(keep_grads=True)
def step(x: Tensor, y: Tensor) -> tuple[Tensor, int]:
    return x * y, 1


assert_type(step(w, y=w), tuple[Tensor, int])
step.explain()


# Ops of users.
@tn.op(x=lambda g, limit: g / limit)
def scaled(x: Any, limit: float = 1.0) -> Any:
    return x / limit


@tn.op
def cubed(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return x**3


def calls(r: np.random.Generator) -> list[tn.Sample]:
    return [tn.sample(r.normal(size=3))]


@tn.derived(samples=calls)
def rms(x: Tensor) -> Tensor:
    return tn.sqrt((tn.array_like(x) ** 2).mean())


@tn.op(x=lambda g, w: tn.safe_mul(g, w), w=tn.derive)
def product(x: Any, w: Any) -> Any:
    return x * w


@tn.op(jvp=lambda x_dot: 2 * x_dot, once=True)
def doubled(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(2 * x)


@tn.op(arrays=lambda g, arrays, scale: tuple(scale * g for _ in arrays))
def total(*arrays: np.ndarray[Any, Any], scale: float = 1.0) -> np.ndarray[Any, Any]:
    return np.asarray(sum(arrays[1:], arrays[0]) * scale)


@tn.op(x=lambda g, params: g * params["w"], params=lambda g, x: {"w": (g * x).sum()})
def dense(x: np.ndarray[Any, Any], params: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    return np.asarray(x * params["w"])


class Logged(tn.Operand):
    def __init__(self, value: Tensor) -> None:
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __tapenet_op__(self, op: tn.Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        return NotImplemented


assert_type(rms(np.ones(2)), Tensor)
assert_type(Logged(w) + 1, Logged)
scaled(w, limit=2.0).backward()
cubed(w).backward()
doubled(w).backward()
total(w, w, scale=2.0).backward()
total(np.ones(2), np.ones(2)).sum()
dense(w, {"w": w}).backward()
dense(np.ones(2), {"w": np.ones(2)}).sum()
assert_type(cubed(np.ones(2)), np.ndarray[Any, Any])
tn.testing.check_op(tn.exp)
tn.testing.check_grads(scaled, [np.ones(3)], order=2)

# NumPy's functions take tensors. NumPy says that most return arrays, and of sums and means that they return anything.
np.stack([w, w])
np.concatenate([w, np.ones(2)], axis=0).sum().backward()
((np.ones((2, 2)) @ w - np.ones(2)) ** 2).mean().backward()
"""

#: What mypy says with the plugin.
NUMPY = """
import numpy as np
import tapenet as tn
from tapenet import Tensor
from typing import assert_type

w = tn.tensor([1.0, 2.0], requires_grad=True)
a = np.ones(2)
assert_type(np.stack([w, w]), Tensor)
np.stack([w, w]).backward()
assert_type(np.concatenate((a, w)), Tensor)
assert_type(np.sin(w), Tensor)
assert_type(np.mean((a * w - a) ** 2), Tensor)
assert_type(np.ones((2, 2)) @ w, Tensor)
assert_type(np.split(w, 2), list[Tensor])
assert_type(np.linalg.svd(w)[1], Tensor)
assert_type(np.shape(w), tuple[int, ...])
np.asarray(w).flags
(a + a).flags
"""

#: What users define beside ops, and the checks of it.
DEFINED = """
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import tapenet as tn
import tapenet.nn.functional as F
from tapenet import Tensor, nn, optim
from tapenet.typing import Array

class Centred(nn.Module):
    def __init__(self, size: int, rng: np.random.Generator | int | None = None) -> None:
        self.scale = nn.init.normal_(nn.Parameter(np.empty(size, np.float32)), 1.0, 0.1, rng)
        self.mean = nn.Buffer(np.zeros(size, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        y = (x - self.mean) * self.scale
        if self.training:
            self.mean.data = self.mean + 0.1 * (x.mean(axis=0) - self.mean)
        return y

def charbonnier(output: Tensor, target: Tensor, eps: float = 1e-3, reduction: str = "mean") -> Tensor:
    return F.reduced(tn.sqrt((output - target) ** 2 + eps**2), reduction)

class SignSGD(optim.Optimizer):
    def __init__(self, params: Any = None, lr: float | optim.Schedule = 1e-3, momentum: float = 0.9) -> None:
        super().__init__(params, lr=lr, momentum=momentum)

    def states(self, options: dict[str, Any]) -> dict[str, float]:
        return {"mean": 0.0}

    @staticmethod
    def rule(p: Array, g: Array, state: dict[str, Array], s: dict[str, Any]) -> tuple[Array, dict[str, Array]]:
        return p - s["lr"] * np.sign(g), {"mean": state["mean"]}

def trapezoid(lr: float, steps: int) -> optim.Schedule:
    def schedule(step: int) -> float:
        return lr * min(1.0, max(steps - step, 0) / 10)

    return schedule

def laplace_(tensor: Tensor, gain: float = 1.0, rng: np.random.Generator | int | None = None) -> Tensor:
    tensor.data = tn.random.draw(lambda r: r.laplace(0, gain, tensor.shape), rng)
    return tensor

class Chirps(tn.data.Dataset[tuple[Array, float]]):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Array, float]:
        return np.sin(np.arange(4.0) * index), float(index)

def walks(rng: np.random.Generator) -> Iterator[Array]:
    while True:
        yield rng.normal(size=16).cumsum()

x = np.random.default_rng(0).normal(size=(5, 3))
tn.testing.check_layer(Centred(3), x)
tn.testing.check_loss(charbonnier, x, x + 1)
tn.testing.check_loss(nn.MSELoss, x, x + 1)
tn.testing.check_loss(nn.MSELoss(), x, x + 1)
tn.testing.check_loss(tn.mse_loss, x, x + 1)
tn.testing.check_optimizer(SignSGD, lr=0.01)
tn.testing.check_schedule(trapezoid(0.1, 100), 100, values={0: 0.1})
tn.testing.check_initialiser(laplace_, [(48, 32)])
tn.testing.check_initialiser(partial(laplace_, gain=2.0))
tn.testing.check_data(Chirps())
tn.testing.check_data(walks)
"""

#: Each has one mistake, which is found.
MISTAKES = [
    "tn.exp(tn.tensor([1.0]), axes=0)",
    'tn.tensor([1.0]).sum(axis="x")',
    "F.softmax(tn.tensor([1.0]), -1, 2)",
    'nn.Linear(2, "3")',
    "tn.expp(1.0)",
    "nn.Linaer(2, 3)",
    "nn.init.zeroes_(tn.tensor([1.0]))",
    "step(1)",
    "x: int = nn.Linear(2, 3)(tn.tensor([1.0]))",
]
START = """
import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
@tn.compile
def step(x: float, y: float) -> float: return x
"""


def readme() -> str:
    """The programs of README, one after the other."""
    return "\n\n".join(b.text for b in blocks((ROOT / "README.md").read_text(encoding="utf-8")) if b.info == "python")


def written(folder: Path) -> list[str]:
    """The names of the programs, which are written into a folder, and of what `python -m tapenet new` writes."""
    new.write("package", "acme_nets", folder / "acme")
    programs = {"readme": readme(), "calls": CALLS, "defined": DEFINED}
    programs |= {f"mistake_{i}": START + text for i, text in enumerate(MISTAKES)}
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return [*(f"{name}.py" for name in programs), "acme/src/acme_nets", "acme/tests"]


def mypy(folder: Path, *programs: str, plugin: str = "") -> str:
    """What `mypy --strict` says of programs."""
    pytest.importorskip("mypy")
    settings = f"[mypy]\nmypy_path = {ROOT}:acme/src\nfollow_imports = silent\nplugins = {plugin}\n"
    (folder / "mypy.ini").write_text(settings, encoding="utf-8")
    # README goes on with other values under the same names.
    options = ["--strict", "--allow-redefinition-new", "--local-partial-types"]
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(folder), *options, *programs]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.mark.slow
def test_programs_pass_mypy_and_mistakes_do_not(tmp_path: Path) -> None:
    said = mypy(tmp_path, *written(tmp_path))
    found = set(re.findall(r"(\w+)\.py:\d+: error", said))
    assert found == {f"mistake_{i}" for i in range(len(MISTAKES))}, said


@pytest.mark.slow
def test_numpys_functions_return_tensors_by_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(NUMPY, encoding="utf-8")
    said = mypy(tmp_path, "program.py", plugin="tapenet.mypy_plugin")
    assert said.startswith("Success"), said


@pytest.mark.slow
def test_programs_pass_pyright_and_mistakes_do_not(tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    written(tmp_path)
    # README reads after a loop what the loop made.
    settings = {
        "extraPaths": [str(ROOT), "acme/src"],
        "typeCheckingMode": "standard",
        "reportPossiblyUnboundVariable": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson"]
    said = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout)
    found = {Path(d["file"]).stem: d["message"] for d in said["generalDiagnostics"] if d["severity"] == "error"}
    assert found.keys() == {f"mistake_{i}" for i in range(len(MISTAKES))}, found
