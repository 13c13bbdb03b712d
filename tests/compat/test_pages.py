"""The pages for those who come from elsewhere: what they say is so, beside the framework that they speak of."""

from __future__ import annotations

import inspect
import re
import types
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.compat.differences import DIFFERENCES, OF_VIEWS, Difference

DOCS = Path(__file__).resolve().parents[2] / "docs"
PYTORCH = (DOCS / "coming_from_pytorch.md").read_text(encoding="utf-8")
IMPORTS, PROGRAM = re.findall(r"^```python\n(.*?)^```", PYTORCH, re.MULTILINE | re.DOTALL)[:2]


def row(difference: Difference) -> str:
    return f"| `{difference.example}` | {difference.there} | {difference.here} | `{difference.instead}` |"


def test_the_page_has_the_whole_table() -> None:
    head = ["| code | PyTorch | here | what gives PyTorch's result |", "|---|---|---|---|"]
    assert "\n".join([*head, *map(row, (*DIFFERENCES, OF_VIEWS))]) in PYTORCH


def run(imports: str) -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": "program"}
    exec(compile(imports, "imports.py", "exec"), scope)
    exec(compile(PROGRAM, "program.py", "exec"), scope)
    return scope


def test_the_program_runs_as_it_is_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = run("import numpy as np, torch, torch.nn.functional as F\nfrom torch import nn, optim\n")
    ours = run(IMPORTS)
    assert isinstance(ours["net"], tn.nn.Module)
    assert isinstance(theirs["net"], torch.nn.Module)
    assert theirs["accuracy"] > 0.5
    assert ours["accuracy"] > 0.5
    ours["net"].load_state_dict(theirs["net"].state_dict())
    with tn.no_grad(), torch.no_grad():
        found, expected = ours["net"](ours["images"]).numpy(), theirs["net"](theirs["images"]).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_program_meets_no_silent_difference() -> None:
    module = types.ModuleType("program")
    exec(compile(IMPORTS, "imports.py", "exec"), vars(module))
    with tn.testing.porting() as found:
        exec(compile(PROGRAM, "program.py", "exec"), vars(module))
    assert found == []


def test_the_counts_on_the_page() -> None:
    pytest.importorskip("torch")
    from tests.compat import test_torch_walk as walk

    found = Counter(walk.takes(p.ours, n) for p in walk.PAIRS for n in walk.named(p))
    pattern = r"More than (\d+) functions .*? more than (\d+) names .*? All but (\d+) .*? (\d+) in 100"
    functions, arguments, unknown, taken = map(int, re.search(pattern, " ".join(PYTORCH.split())).groups())  # type: ignore[union-attr]
    assert len(walk.PAIRS) > functions - 10  # PyTorch's versions differ in what they document
    assert sum(found.values()) > arguments - 50
    assert found["no"] == unknown
    assert round(100 * found["yes"] / sum(found.values())) in (taken - 1, taken, taken + 1)


# -- Keras -------------------------------------------------------------------------------------------------------

KERAS = (DOCS / "coming_from_keras.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras on JAX; importing it takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "jax")
        return pytest.importorskip("keras")


@pytest.mark.slow
def test_the_defaults_are_those_of_keras_and_ours(keras: Any) -> None:
    optimizers, layers = keras.optimizers, keras.layers

    def there(function: Any, name: str) -> Any:
        return inspect.signature(function).parameters[name].default

    def both(theirs: Any, name: str, ours: Any, own: str) -> tuple[float, float]:
        return there(theirs, name), there(ours, own)

    expected = {
        "`SGD` rate": both(optimizers.SGD, "learning_rate", tn.optim.SGD, "lr"),
        "`Adam` epsilon": both(optimizers.Adam, "epsilon", tn.optim.Adam, "eps"),
        "`AdamW` weight decay": both(optimizers.AdamW, "weight_decay", tn.optim.AdamW, "weight_decay"),
        "`RMSprop` rate": both(optimizers.RMSprop, "learning_rate", tn.optim.RMSprop, "lr"),
        "`RMSprop` decay (`rho`, `alpha`)": both(optimizers.RMSprop, "rho", tn.optim.RMSprop, "alpha"),
        "`Adagrad` rate": both(optimizers.Adagrad, "learning_rate", tn.optim.Adagrad, "lr"),
        "`Adagrad` initial accumulator": both(
            optimizers.Adagrad, "initial_accumulator_value", tn.optim.Adagrad, "initial_accumulator_value"
        ),
        "`BatchNormalization` epsilon": both(layers.BatchNormalization, "epsilon", nn.BatchNorm2d, "eps"),
        "`LayerNormalization` epsilon": both(layers.LayerNormalization, "epsilon", nn.LayerNorm, "eps"),
        "`LeakyReLU` slope": both(layers.LeakyReLU, "negative_slope", nn.LeakyReLU, "negative_slope"),
    }
    table = KERAS[KERAS.index("| setting |") :].partition("\n\n")[0].splitlines()[2:]
    rows = {
        name: (float(theirs), float(ours)) for name, theirs, ours in (line.strip("| ").split(" | ") for line in table)
    }
    assert rows == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's own
def test_weights_of_keras_compute_the_same_here(keras: Any) -> None:
    scope: dict[str, Any] = {"np": np}
    (code,) = [b for b in re.findall(r"^```python\n(.*?)^```", KERAS, re.MULTILINE | re.DOTALL) if "def state_of" in b]
    exec(code, scope)
    layers, rng = keras.layers, np.random.default_rng(0)
    images = rng.normal(size=(2, 6, 6, 3)).astype(np.float32)
    steps = rng.normal(size=(2, 5, 3)).astype(np.float32)
    first = np.moveaxis(images, -1, 1)
    cases: list[tuple[Any, Any, Any, Any]] = [
        (layers.Dense(4), nn.Linear(3, 4), steps, steps),
        (layers.Conv2D(4, 3), nn.Conv2d(3, 4, 3), images, first),
        (layers.BatchNormalization(), nn.BatchNorm2d(3, momentum=0.01, eps=1e-3), images, first),
        (layers.LayerNormalization(), nn.LayerNorm(3, eps=1e-3), steps, steps),
        (layers.Embedding(7, 4), nn.Embedding(7, 4), np.array([[1, 6]]), np.array([[1, 6]])),
        (layers.LSTM(4, return_sequences=True), nn.LSTM(3, 4, batch_first=True), steps, steps),
        (layers.GRU(4, return_sequences=True), nn.GRU(3, 4, batch_first=True), steps, steps),
    ]
    for theirs, ours, given, same_here in cases:
        theirs(given)
        theirs.set_weights([rng.uniform(0.1, 1, size=w.shape) for w in theirs.get_weights()])
        expected = np.asarray(theirs(given))
        ours.load_state_dict(scope["state_of"](type(theirs).__name__, theirs.get_weights()))
        found = ours.eval()(same_here)
        found = (found[0] if isinstance(found, tuple) else found).numpy()
        found = np.moveaxis(found, 1, -1) if given is images else found
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5, err_msg=type(theirs).__name__)
    dense = rng.normal(size=(108, 2)).astype(np.float32)
    np.testing.assert_allclose(
        first.reshape(2, -1) @ scope["behind_flatten"](dense, 6, 6, 3), images.reshape(2, -1) @ dense, rtol=1e-4
    )
