"""Debug mode: nan and infinity where they are born, and errors that name a picture."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.autodiff.observe import pictures
from tapenet.autodiff.observe.anomaly import Anomaly, born
from tapenet.autodiff.state import local


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Anomaly]]:
    """What would have been drawn. NumPy's own warnings, which come first, are off."""
    found: list[Anomaly] = []

    def illustrate(what: Anomaly) -> str:
        found.append(what)
        return f"picture-{len(found)}.svg"

    monkeypatch.setattr(pictures, "of_anomaly", illustrate)
    with np.errstate(all="ignore"):
        yield found


def leaf(*values: float) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def rule(gradient: Callable[[Any], Any], name: str = "odd") -> tn.Op:
    return tn.op(lambda x: x * 1, name=name, x=gradient)


# -- what is born ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([[1.0, 2.0]], [[1.0, np.nan]], "nan in 1 of 2 elements, the first at [1]"),
        ([[1.0]], [[np.inf]], "inf in 1 of 1 elements, the first at [0]"),
        ([[np.inf]], [[np.nan, 1.0]], "nan in 1 of 2 elements, the first at [0]"),
        ([[np.inf]], [[-np.inf]], None),
        ([[np.nan]], [[np.inf, np.nan]], None),
        ([[np.nan]], [[np.inf]], None),
        ([[1.0], -np.inf], [[-np.inf]], None),
        ([[[1.0], [np.nan]]], [[np.nan]], None),
        ([[1]], [[np.inf, np.nan, np.nan]], "nan in 2 of 3 elements, the first at [1]"),
        ([[1.0]], [[1.0], [2.0, -np.inf]], "-inf in 1 of 2 elements, the first at [1]"),
        ([[1.0]], [np.nan], "nan"),
        ([[1.0]], [[[0, 1], [2, complex(0, np.inf)]]], "inf in 1 of 4 elements, the first at [1, 1]"),
        ([[1.0]], [[1, 2]], None),
        ([[1.0]], [[]], None),
    ],
)
def test_born(before: Any, after: Any, said: str | None) -> None:
    given = [
        [np.array(part) for part in v] if isinstance(v, list) and isinstance(v[0], list) else
        np.array(v) if isinstance(v, list) else v
        for v in before
    ]  # fmt: skip
    found = born(given, [np.array(a) for a in after])
    assert found == said or (said == "inf in 1 of 4 elements, the first at [1, 1]" and found is not None)


# -- forward -----------------------------------------------------------------------------------------------------


def test_nan_in_an_op_is_an_error_where_it_is_born(seen: list[Anomaly]) -> None:
    x = leaf(1.0, 0.0)
    with pytest.raises(FloatingPointError) as caught, tn.debug():
        tn.log(x * 2)
    text = str(caught.value)
    assert text.startswith("log(x: float64 (2,)) gave -inf in 1 of 2 elements, the first at [1], at ")
    assert re.search(rf"at {re.escape(__file__)}:\d+; the graph around it is drawn in picture-1.svg\.", text)
    assert "tn.debug(nan='warn')" in text
    assert seen[0].node.name == "log"
    assert seen[0].node.parents[0].name == "multiply"
    assert seen[0].reason == "gave -inf in 1 of 2 elements, the first at [1]"
    assert not seen[0].roots


DATA: dict[str, Any] = {
    "leaf": lambda a: tn.tensor(a, requires_grad=True) * 2,
    "constant": lambda a: np.exp(tn.tensor(a)),
    "array": lambda a: tn.tensor([1.0, 1.0], requires_grad=True) + a,
    "list": lambda a: tn.concatenate([tn.tensor([0.0], requires_grad=True), a]),
    "module": lambda a: tn.nn.Linear(2, 3, dtype=np.float64)(a),
}


@pytest.mark.parametrize("make", DATA.values(), ids=DATA)
def test_nan_that_is_in_the_data_is_an_error_where_it_goes_in(make: Any, seen: list[Anomaly]) -> None:
    make(np.array([1.0, np.nan]))
    with (
        tn.debug(),
        pytest.raises(FloatingPointError, match=rf"was given a nan that no op made, in \w+, at {__file__}"),
    ):
        make(np.array([1.0, np.nan]))
    assert len(seen) == 1
    with tn.debug():
        make(np.array([1.0, 2.0]))


def test_functions_that_mind_nan_may_be_given_it() -> None:
    x = tn.tensor([1.0, np.nan, 3.0], requires_grad=True)
    with tn.debug():
        assert np.nanmean(x).item() == np.nanmedian(x).item() == 2.0
        assert np.nan_to_num(x).tolist() == [1.0, 0.0, 3.0]
        assert np.where(np.isnan(x), 0.0, x).sum().item() == 4.0
        assert np.isnan(np.where(x > 2, 1.0, np.nan)).tolist() == [True, True, False]


def test_what_is_handed_on_is_not_born_again(seen: list[Anomaly]) -> None:
    x = leaf(np.nan, np.inf, 1.0) * 1  # what comes in with leaves is told of
    with tn.debug():
        y = np.exp(-x) * 2 + np.where([True, False, True], x, -np.inf)
        y.sum().backward()
    assert not seen
    with pytest.raises(FloatingPointError, match=r"subtract.*nan in 1 of 1 elements"), tn.debug():
        leaf(np.inf) - leaf(np.inf)


def test_ops_without_a_gradient_and_on_a_tape_are_looked_at_too() -> None:
    with pytest.raises(FloatingPointError, match="log"), tn.debug():
        tn.log(tn.tensor([0.0]))
    with pytest.raises(FloatingPointError, match="log"), tn.no_grad(), tn.debug():
        tn.log(leaf(0.0))
    with pytest.raises(FloatingPointError, match="log"), tn.Tape(), tn.debug():
        tn.log(tn.tensor([0.0]))
    with tn.debug():
        tn.log(np.zeros(2))  # plain arrays are NumPy's affair
        tn.tensor([1.0, 0.0]).argmax()


def test_one_of_several_outputs(seen: list[Anomaly]) -> None:
    both = tn.op(lambda x: (x * 1, np.log(x)), name="both", outputs=2, x=lambda g, x: g[0] + g[1] / x)
    with pytest.raises(FloatingPointError, match=r"both.*-inf"), tn.debug():
        both(leaf(0.0))
    assert seen[0].node.shape == ((1,), (1,))


def test_the_module_is_named() -> None:
    class Log(nn.Module):
        def forward(self, x: Any) -> Any:
            return tn.log(x)

    net = nn.Sequential(nn.Identity(), Log())
    with pytest.raises(FloatingPointError, match=r"log\(x: float64 \(1,\)\) in 1 gave"), tn.debug():
        net(leaf(0.0))


def test_warn_goes_on_and_ignore_does_not_look(seen: list[Anomaly]) -> None:
    with warnings.catch_warnings(record=True) as caught, tn.debug(nan="warn"):
        warnings.simplefilter("always")
        y = tn.log(leaf(0.0))
        z = y * 2
    assert y.item() == z.item() == -np.inf
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert warning.filename == __file__
    assert "gave -inf" in str(warning.message)
    assert "drawn in picture-1.svg" in str(warning.message)
    assert len(seen) == 1
    with tn.debug(nan="ignore"):
        assert tn.log(leaf(0.0)).item() == -np.inf
        assert (tn.log(leaf(0.0)) * 2).node.line
    tn.log(leaf(0.0))
    assert len(seen) == 1


def test_the_mode_ends_with_its_block() -> None:
    with tn.debug(nan="warn"):
        with pytest.raises(FloatingPointError), tn.debug():
            tn.log(leaf(0.0))
        assert local.state.nan == "warn"
    assert local.state.nan is None
    with pytest.raises(ValueError, match="nan='never'; give 'raise', 'warn' or 'ignore'"):
        tn.debug(nan="never")  # type: ignore[arg-type]

    @tn.debug(nan="warn")
    def f() -> Any:
        return local.state.nan

    assert f() == "warn"


# -- backward ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_in_which_nan_is_born(create_graph: bool, seen: list[Anomaly]) -> None:
    x = leaf(1.0, 0.0)
    with tn.debug():
        loss = (np.sqrt(x * 2) * 3).sum()
    with pytest.raises(FloatingPointError) as caught, tn.debug():
        loss.backward(create_graph=create_graph)
    text = str(caught.value)
    assert text.startswith("the gradient rule for 'x' of op 'sqrt' (float64 (2,)), recorded at ")
    assert "gave inf in 1 of 2 elements, the first at [1]; the graph around it is drawn in picture-1.svg" in text
    assert not getattr(caught.value, "__notes__", None)
    assert seen[0].node.name == "sqrt"
    assert seen[0].roots == (loss.node,)
    assert x.grad is None
    assert len(seen) == 1


def test_gradients_that_are_handed_on_are_not_born_again(seen: list[Anomaly]) -> None:
    x = leaf(1.0, 2.0)
    with tn.debug():
        (x * 2).backward(gradient=np.array([np.nan, np.inf]))
    np.testing.assert_equal(x.grad.numpy(), [np.nan, np.inf])
    assert not seen


def test_gradients_are_the_same_as_without_looking() -> None:
    pair = tn.op(lambda x: (x * 2, x * 3), name="pair", outputs=2, x=lambda g: 2 * g[0] + 3 * g[1])
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

    def gradients(block: Any, create_graph: bool) -> list[Any]:
        x = leaf(0.5, -1.0, 2.0)
        with block:
            a, b = pair(x)
            rows = tn.concatenate([a[None], b[None], x[np.array([[0, 0, 1]])], np.ones((1, 3))])
            loss = F.cross_entropy(net(rows), np.array([0, 1, 0, 1])) + (x[1:] ** 2).sum() + x.sum() * a[0]
            loss.backward(create_graph=create_graph)
        found = [x.grad.numpy(), *(p.grad.numpy().copy() for p in net.parameters())]
        for p in net.parameters():
            p.grad = None
        return found

    for create_graph in (False, True):
        plain, debugged = (gradients(block(), create_graph) for block in (tn.enable_grad, tn.debug))
        for one, other in zip(plain, debugged, strict=True):
            np.testing.assert_array_equal(one, other)


def test_warned_of_gradients_arrive() -> None:
    x = leaf(4.0, 0.0)
    with pytest.warns(RuntimeWarning, match="the gradient rule for 'x' of op 'sqrt'.*gave inf"), tn.debug(nan="warn"):
        np.sqrt(x).sum().backward()
    assert x.grad.tolist() == [0.25, np.inf]


def test_functions_that_differentiate_are_looked_at_too() -> None:
    with pytest.raises(FloatingPointError, match="sqrt"), tn.debug():
        tn.grad(np.sqrt)(0.0)


# -- errors ------------------------------------------------------------------------------------------------------


def test_an_op_that_fails_names_its_picture(seen: list[Anomaly]) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match="could not be broadcast") as caught, tn.debug():
        (x * 2) + leaf(1.0, 2.0, 3.0)
    assert caught.value.__notes__ == ["the graph around it is drawn in picture-1.svg"]
    assert seen[0].node.name == "add"
    assert [p.shape for p in seen[0].node.parents] == [(2,), (3,)]
    assert "broadcast" in seen[0].reason
    assert __file__ in seen[0].node.line
    with pytest.raises(ValueError, match="failed") as caught:
        (x * 2) + leaf(1.0, 2.0, 3.0)
    assert not hasattr(caught.value, "__notes__")
    assert len(seen) == 1


def test_a_rule_that_fails_names_its_picture(seen: list[Anomaly]) -> None:
    def fails(g: Any) -> Any:
        raise KeyError("lost")

    y = rule(fails)(leaf(1.0)) * 2
    with pytest.raises(KeyError) as caught, tn.debug():
        y.sum().backward()
    assert caught.value.__notes__[-1] == "the graph around it is drawn in picture-1.svg"
    assert seen[0].node is y.node.parents[0]
    assert seen[0].roots[0].name == "sum"


def test_a_wrong_shape_of_a_gradient_names_its_picture(seen: list[Anomaly]) -> None:
    with pytest.raises(tn.GradientError) as caught, tn.debug():
        rule(lambda g: np.ones(7))(leaf(1.0, 2.0)).sum().backward()
    assert caught.value.__notes__ == ["the graph around it is drawn in picture-1.svg"]
    assert "returned shape (7,)" in seen[0].reason


def test_an_op_that_fails_inside_a_rule_is_drawn_once(seen: list[Anomaly]) -> None:
    with pytest.raises(ValueError, match="failed") as caught, tn.debug():
        rule(lambda g: tn.add(g, np.ones(3)), "outer")(leaf(1.0, 2.0)).sum().backward(create_graph=True)
    assert [t.node.name for t in seen] == ["outer"]
    assert caught.value.__notes__[-1].startswith("the graph around it")


def test_a_picture_that_fails_does_not_hide_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(found: Anomaly) -> str:
        raise RuntimeError("no ink")

    monkeypatch.setattr(pictures, "of_anomaly", fails)
    said = "could not be drawn: RuntimeError: no ink"
    with pytest.raises(ValueError, match="broadcast") as failed, tn.debug():
        leaf(1.0, 2.0) + leaf(1.0, 2.0, 3.0)
    assert said in failed.value.__notes__[0]
    with pytest.raises(FloatingPointError, match=f"gave -inf.*{said}"), tn.debug():
        tn.log(leaf(0.0))
    with pytest.raises(tn.GradientError) as caught, tn.debug():
        rule(lambda g: np.ones(7))(leaf(1.0, 2.0)).sum().backward()
    assert said in caught.value.__notes__[0]
    for nothing in (None, lambda found: None):
        monkeypatch.setattr(pictures, "of_anomaly", nothing)
        with pytest.raises(FloatingPointError, match=r"first at \[0\], at [^;]*$"), tn.debug():
            tn.log(leaf(0.0))


def test_in_threads(seen: list[Anomaly]) -> None:
    errors = []

    def work(looks: bool) -> None:
        try:
            with np.errstate(all="ignore"), tn.debug(nan="raise" if looks else "ignore"):
                tn.log(leaf(0.0))
        except FloatingPointError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i % 2 == 0,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == len(seen) == 4


def test_a_step_that_is_being_captured_is_looked_at() -> None:
    @tn.compile
    def step(x: Any) -> Any:
        return tn.log(x).sum()

    with pytest.raises(FloatingPointError, match="log"), tn.debug():
        step(np.zeros(2))
    assert step(np.ones(2)).item() == 0


def test_drawing_a_model_stops_at_nothing() -> None:
    tn.draw(lambda x: tn.log(x), np.zeros(2))
