"""The scope that warns where something silently differs from PyTorch, and the table that it reads."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.compat.differences import DIFFERENCES, OF_VIEWS, Difference
from tests.torch_calls import same

ALL = (*DIFFERENCES, OF_VIEWS)
SAMPLES = {
    "x": np.array([[3.0, 1.0, 2.0, 5.0], [4.0, 0.5, 6.0, 7.0]]),
    "v": np.array([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]),
    "w": np.arange(2.0),
    "i": np.array([0, 3, 1]),
    "s": np.arange(9.0).reshape(3, 3),
    "cube": np.arange(24.0).reshape(2, 3, 4),
}


def run(code: str, **names: Any) -> Any:
    """Run statements as a user's module; the value of the last."""
    *statements, last = code.split("; ")
    scope = {"__name__": "users", "np": np, **names}
    for line in statements:
        exec(compile(line, "users.py", "exec"), scope)
    return eval(compile(last, "users.py", "eval"), scope)


def here(code: str) -> Any:
    return run(code, tn=tn, F=F, **{name: tn.tensor(data) for name, data in SAMPLES.items()})


def warned(code: str) -> list[str]:
    """What code is warned of, as texts."""
    with warnings.catch_warnings(record=True) as seen, tn.testing.porting():
        warnings.simplefilter("always")
        here(code)
    assert all(s.category is tn.testing.PortingWarning and s.filename == "users.py" for s in seen)
    return [str(s.message) for s in seen]


@pytest.mark.parametrize("difference", ALL, ids=lambda d: d.example)
def test_each_difference_is_warned_of_and_what_to_write_is_not(difference: Difference) -> None:
    assert any(difference.here in text and difference.instead in text for text in warned(difference.example))
    assert not warned(difference.instead)


@pytest.mark.parametrize("difference", ALL, ids=lambda d: d.example)
@pytest.mark.filterwarnings("ignore")  # PyTorch's own
def test_each_difference_is_one_and_what_to_write_gives_what_torch_gives(difference: Difference) -> None:
    torch = pytest.importorskip("torch")
    samples = {name: torch.from_numpy(data.copy()) for name, data in SAMPLES.items()}
    theirs = run(difference.example, tn=torch, F=torch.nn.functional, **samples)
    assert not same(here(difference.example), theirs)
    if difference.methods != "put":  # the code there gives None
        assert same(here(difference.instead), theirs)


@pytest.mark.parametrize("code", [
    "np.sqrt(2.0) * i", "np.float64(1.0) - i", "tn.where(x > 2, 1.0, 0.0)", "tn.stack((i, i * 1.5))", "tn.mul(i, 2.5)",
    "tn.sub(i, 0.5)", "tn.div(i, 2)", "tn.rsqrt(i + 1)", "tn.clamp(i, min=0.5)", "tn.cat((i, i.astype(np.float32)))",
])  # fmt: skip
def test_whole_numbers_that_become_float64_are_warned_of(code: str) -> None:
    """Also beside a number of NumPy's, and in functions with PyTorch's names, which stand for others."""
    assert here(code).dtype == np.float64
    assert any("gives float64" in text for text in warned(code))


QUIET = [
    "np.std(x, axis=0)",
    "tn.max(x, axis=1)",
    "x.max(axis=1)",
    "x.max()",
    "x.sum(dim=1, keepdim=True)",
    "x.std(ddof=0)",
    "np.exp(i)",
    "np.multiply(np.sqrt(2.0), i)",
    "np.sqrt(2.0) * x",
    "x.std(unbiased=False)",
    "tn.sort(x, axis=-1)",
    "x.transpose(1, 0)",
    "x.transpose((0, 1))",
    "v.repeat(2, axis=0)",
    "x * 2 + x / 3",
    "i * 2",
    "cube[:, 0, [0, 1]]",
    "cube[0, [0, 1]]",
    "cube[..., [0, 1], 1]",
    "y = x.copy(); y[0] += 1",
    "y = x[[0, 1]]; y += 1",
    "tn.tensor(np.ones(3))",
    "tn.tensor([1, 2])",
    "F.softmax(cube, 1)",
    "F.softmax(x)",
    "F.layer_norm(x, (4,))",
]


@pytest.mark.parametrize("code", QUIET)
def test_what_gives_the_same_or_is_numpys_by_its_name_is_quiet(code: str) -> None:
    *statements, last = code.split("; ")
    final = last if "=" not in last.split("(")[0] else f"{last}; 0"
    assert not warned("; ".join([*statements, final]))


def test_amax_is_not_max() -> None:
    """They are one function here, and PyTorch's amax gives the values alone, too."""
    assert tn.amax is tn.max
    assert not warned("tn.amax(x, dim=1) + tn.amin(x, dim=1)")
    assert len(warned("tn.amax(x, dim=1) + tn.max(x, dim=1)")) == 1


def test_layers_compute_as_ever() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 2), nn.Softmax(-1))
    x = tn.tensor(np.ones((3, 4), np.float32))

    @tn.compile
    def step(x: Any) -> Any:
        return net(x).sum()

    with warnings.catch_warnings(), tn.testing.porting() as found:
        warnings.simplefilter("error", tn.testing.PortingWarning)
        net(x).sum().backward()
        step(x)
        step(x)
    assert found == []


def test_a_line_warns_once() -> None:
    x = tn.tensor(np.ones((2, 2)))
    with warnings.catch_warnings(record=True) as seen, tn.testing.porting() as found:
        warnings.simplefilter("always")
        for _ in range(3):
            x.std()
        x.std()
    assert len(seen) == len(found) == 2


def test_nothing_is_left_behind() -> None:
    tn.std(np.ones(2))
    before = type(tn.std).__call__, type(tn.split).__call__, dict(vars(tn.Tensor)), tn.autodiff.creation._array
    with tn.testing.porting(), tn.testing.porting():
        assert type(tn.std).__call__ is not before[0]
    after = type(tn.std).__call__, type(tn.split).__call__, dict(vars(tn.Tensor)), tn.autodiff.creation._array
    assert after == before
    with pytest.raises(ZeroDivisionError), tn.testing.porting():
        1 / 0  # noqa: B018
    assert type(tn.std).__call__ is before[0]


def test_other_threads_do_not_warn() -> None:
    x = tn.tensor(np.ones((2, 2)))
    seen: list[Any] = []

    def other() -> None:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            x.std()
        seen.extend(found)

    with tn.testing.porting() as found:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == []
    assert found == []


def test_a_decorated_function() -> None:
    @tn.testing.porting()
    def f(x: Any) -> Any:
        return x.std()

    with pytest.warns(tn.testing.PortingWarning, match="divides by n - 1"):
        f(tn.tensor(np.ones(2)))
