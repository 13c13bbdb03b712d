"""What a notebook shows of a module: its drawing, with the modules in it as boxes, and its summary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.nn.notebook_display import inputs_like_before


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 10))


def images(count: int = 5) -> np.ndarray[Any, Any]:
    return np.zeros((count, 1, 8, 8), np.float32)


def test_a_module_that_was_not_called_is_text() -> None:
    model = net()
    assert model._repr_mimebundle_() == {"text/plain": repr(model)}


def test_a_module_that_was_called_is_its_drawing_and_its_summary() -> None:
    model = net()
    model(images())
    page = model._repr_mimebundle_()["text/html"]
    picture, _, table = page.partition("<pre>")
    assert picture.startswith("<svg")
    assert picture.endswith("</svg>\n")
    assert "→ 10 · " in picture
    assert "5×1×8×8" in picture
    assert table == f"{nn.summary(model, (5, 1, 8, 8))}</pre>"


def test_showing_changes_nothing() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model(np.ones((4, 3), np.float32))
    before = model.state_dict()
    tn.random.seed(3)
    expected = tn.random.normal(size=3)
    tn.random.seed(3)
    assert "text/html" in model._repr_mimebundle_()
    np.testing.assert_array_equal(tn.random.normal(size=3), expected)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert model.training


def test_the_input_is_known_from_calls_that_are_compiled_too() -> None:
    model = net()
    tn.compile(lambda x: model(x).sum())(images(2))
    (x,) = inputs_like_before(model) or ()
    assert (x.shape, x.dtype) == ((2, 1, 8, 8), np.float32)
    (x,) = inputs_like_before(model[3]) or ()
    assert x.shape == (2, 144)


def test_indices_stay_indices() -> None:
    model = nn.Sequential(nn.Embedding(7, 3), nn.Linear(3, 2))
    model(np.array([[1, 6]]))
    (x,) = inputs_like_before(model) or ()
    assert x.dtype.kind == "i"
    assert "text/html" in model._repr_mimebundle_()


def test_what_cannot_be_called_again_is_text_with_the_reason() -> None:
    class Once(nn.Module):
        def __init__(self) -> None:
            self.used = False

        def forward(self, x: Any) -> Any:
            if self.used:
                raise ValueError("used already")
            self.used = True
            return tn.exp(x)

    model = Once()
    model(np.ones(2))
    (kind,) = (found := model._repr_mimebundle_())
    assert kind == "text/plain"
    assert "used already" in found[kind]


@pytest.mark.parametrize("call", [lambda m: m(x=np.ones((2, 3), np.float32)), lambda m: m([[1.0, 2.0, 3.0]])])
def test_calls_by_keyword_and_on_lists_are_not_noted(call: Any) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(3, 1)

        def forward(self, x: Any) -> Any:
            return self.layer(tn.asarray(x, np.float32))

    model = Named()
    call(model)
    assert inputs_like_before(model) is None
    assert inputs_like_before(model.layer) is not None
