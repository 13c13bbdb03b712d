"""Optimizers' rules as graphs: read from the code that states them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim


def shown(x: Any) -> tuple[list[str], list[tuple[str, str]]]:
    drawing = tn.draw(x).drawing
    titles = [vertex.title for vertex in drawing.vertices]
    return titles, [(titles[edge.tail], titles[edge.head]) for edge in drawing.edges]


def test_adam_is_drawn_with_the_names_of_its_states_and_numbers() -> None:
    titles, edges = shown(optim.Adam)
    assert {"p", "g", "grad_sum", "square_sum", "beta1 ×", "beta2 ×", "+ eps", "lr ×", "^ 2"} <= set(titles)
    assert {"← p", "← grad_sum", "← square_sum"} <= set(titles)
    assert {("grad_sum", "beta1 ×"), ("sqrt", "+ eps"), ("−", "← p"), ("p", "−")} <= set(edges)
    picture = tn.draw(optim.Adam)
    assert picture.caption.startswith("Adam: m ← β₁m")
    assert "f64" not in picture.svg


def test_an_optimizer_is_drawn_with_the_options_that_it_has() -> None:
    plain, _ = shown(optim.SGD(lr=0.1))
    assert plain == ["g", "lr ×", "p", "−", "← p"]
    opt = optim.SGD(nn.Linear(2, 2).parameters(), lr=lambda step: 0.1, momentum=0.9, nesterov=True)
    titles, _ = shown(opt)
    assert "momentum_buffer" in titles
    assert titles.count("momentum ×") == 2


@pytest.mark.parametrize("name", ["LAMB", "Muon", "Adafactor", "SparseAdam", "Rprop"])
def test_rules_of_whole_parameters_are_drawn(name: str) -> None:
    titles, _ = shown(getattr(optim, name))
    assert {"p", "g", "← p"} <= set(titles)


class Halves(optim.Optimizer):
    """Halves it."""

    def __init__(self, params: Any = None, lr: float = 0.1) -> None:
        super().__init__(params, lr=lr)

    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        return np.sign(p) * s["half"], {}

    def scalars(self, options: Any, lr: float, step: int) -> dict[str, float]:
        return {"lr": lr, "half": 0.5} if lr < 1 else {}


def test_an_optimizer_of_ones_own_is_drawn_or_the_error_names_what_is_missing() -> None:
    assert shown(Halves)[0] == ["p", "sign", "× half", "← p"]
    assert tn.draw(Halves).caption == "Halves it."
    with pytest.raises(TypeError, match=r"draw: Halves\.rule asks for 'half'"):
        tn.draw(Halves(lr=2.0))


def test_rules_are_compared() -> None:
    difference = tn.draw.diff(optim.Adam, optim.AdamW)
    assert [text for text in difference.added if "shrink ×" in text]
    assert not difference.removed
