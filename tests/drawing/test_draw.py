"""`tn.draw` of modules and functions: what they are called with, what things are called, and that nothing changes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tests import NUMPY
from tests.drawing.graphs import array, leaf

GLOBAL = np.full((2, 2), 3.0)


def titles(picture: Any, *kinds: str) -> list[str]:
    return [v.title for v in picture.source.vertices if not kinds or v.kind in kinds]


class Net(nn.Module):
    def __init__(self) -> None:
        self.fc = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5, rng=0)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Any, scale: float = 1.0) -> Any:
        return self.out(self.drop(self.norm(self.fc(x)))) * scale


# -- what things are called ------------------------------------------------------------------------------------------


def power(a: Any, b: Any = 2.0, *rest: Any, scale: float = 1.0, **others: Any) -> Any:
    return a**b * scale + sum(rest)


class Model:
    """No module: a plain object with tensors."""

    def __init__(self) -> None:
        self.weight = leaf(2)
        self.layers = [leaf(2), leaf(2)]

    def loss(self, given: Any) -> Any:
        return (self.weight * given + self.layers[1]).sum()

    def __call__(self, given: Any) -> Any:
        return self.loss(given)


@pytest.mark.parametrize(
    ("function", "inputs", "named"),
    [
        (power, [array(2)], ["a"]),
        (power, [array(2), array(2)], ["a", "b"]),
        (power, [array(2), array(2), array(2), array(2)], ["a", "b", "rest[0]", "rest[1]"]),
        (lambda u, /, v: u @ v, [array(2), array(2)], ["u", "v"]),
        (lambda pair: pair[0] * pair[1], [(array(2), array(2))], ["pair[0]", "pair[1]"]),
        (lambda parts: parts["p"] * parts["q"][0], [{"p": array(2), "q": [array(2)]}], ["parts['p']", "parts['q'][0]"]),
        (lambda rows: rows.sum(), [[[1.0, 2.0], [3.0, 4.0]]], ["rows"]),
        (functools.partial(power, scale=3.0), [array(2)], ["a"]),
        (functools.partial(lambda w, x: np.exp(x) * w, 3.0), [array(2)], ["x"]),
        (np.exp, [array(2)], ["x"] if NUMPY >= "2.4.0" else ["argument 0"]),  # older ones do not say
        (np.matmul, [array(2, 2), array(2, 2)], ["x1", "x2"] if NUMPY >= "2.4.0" else ["argument 0", "argument 1"]),
        (np.sum, [array(2)], ["a"]),
        (tn.tanh, [array(2)], ["x"] if NUMPY >= "2.4.0" else ["argument 0"]),
        (Model().loss, [array(2)], ["given", "weight", "layers[1]"]),
        (Model(), [array(2)], ["given", "weight", "layers[1]"]),
        (lambda x: x @ GLOBAL, [array(2)], ["x", "GLOBAL"]),
    ],
)
def test_arguments_have_the_names_that_the_function_gives_them(function: Any, inputs: Any, named: list[str]) -> None:
    assert sorted(titles(tn.draw(function, *inputs), "input", "parameter")) == sorted(named)


def test_parameters_of_modules_have_their_paths_and_inputs_their_arguments() -> None:
    picture = tn.draw(Net(), array(5, 3))
    paths = [v.details[0] for v in picture.source.vertices if v.kind == "parameter"]
    assert paths == ["fc.weight", "fc.bias", "norm.weight", "norm.bias", "out.weight", "out.bias"]
    assert titles(picture, "input") == ["x"]
    # A function around it knows them as well.
    wrapped = tn.draw(lambda images: Net()(images).sum(), array(5, 3))
    assert titles(wrapped, "input") == ["images"]


def test_a_function_s_own_names_come_before_those_of_its_callers_and_of_its_module() -> None:
    x = leaf(2)

    def draws(y: Any) -> Any:
        x = leaf(2)
        return tn.draw(x * y * GLOBAL[0])

    assert titles(draws(x), "parameter") == ["x", "y"]


def test_closures_lists_and_dicts_have_names() -> None:
    hidden = leaf(2)
    several = [leaf(2), leaf(2)]
    table = {"key": leaf(2), 7: leaf(2), ("no", "name"): leaf(2)}

    def inside() -> Any:
        return tn.draw(hidden * several[1] * table["key"] * table[7] * table["no", "name"])

    assert titles(inside(), "parameter") == ["hidden", "several[1]", "table['key']", "table[7]", "tensor"]
    assert titles([tn.draw(each * 2) for each in several][1], "parameter") == ["each"]


def test_results_are_called_by_their_variable_or_key_or_place() -> None:
    w = leaf(2)
    loss = (w * 2).sum()
    extra = loss * 2
    assert titles(tn.draw(loss), "output") == ["loss"]
    assert titles(tn.draw(loss * 3), "output") == ["output"]
    assert titles(tn.draw([loss * 3, extra]), "output") == ["output 0", "extra"]
    assert titles(tn.draw({"first": loss, "second": extra}), "output") == ["first", "second"]
    with tn.Tape() as tape:
        told = (w * 2).sum()
    assert titles(tn.draw(tape), "output") == ["told"]
    assert told.size == 1


def test_names_that_tools_made_are_not_shown() -> None:
    # pytest's asserts keep values under names such as `@py_assert1`.
    assert titles(tn.draw((leaf(2) * 2).sum()), "output") == ["output"]


def test_results_in_containers_are_drawn_each() -> None:
    def several(x: Any) -> Any:
        return {"a": x * 2, "b": [x * 3, (x * 4, {"c": x + 1})], "other": (None, 3, np.ones(2))}

    assert titles(tn.draw(several, array(2)), "output") == ["a", "b[0]", "b[1][0]", "b[1][1]['c']"]
    assert titles(tn.draw(lambda x: (x, x * 2), array(2)), "output") == ["output 1"]  # x was there before


def test_integers_and_functions_without_arguments() -> None:
    w = leaf(2)
    assert titles(tn.draw(lambda i: i * 2, np.arange(3))) == ["i", "× 2", "output"]
    assert titles(tn.draw(lambda: w * 2)) == ["w", "× 2", "output"]
    embedded = tn.draw(nn.Embedding(5, 3), np.array([0, 2, 2]))
    assert titles(embedded) == ["indices", "weight", "embedding 3", "output"]


def test_what_an_argument_came_from_is_not_drawn() -> None:
    h = np.exp(leaf(2))
    assert titles(tn.draw(lambda x: x * 2, h)) == ["x", "× 2", "output"]


# -- nothing is changed ----------------------------------------------------------------------------------------------


def state(net: Any) -> dict[str, Any]:
    found: dict[str, Any] = {name: value.copy() for name, value in net.state_dict().items()}
    found |= {f"{name} grad": None if p.grad is None else p.grad.numpy().copy() for name, p in net.named_parameters()}
    found |= {f"{name} needs": p.requires_grad for name, p in net.named_parameters()}
    found |= {f"{name} training": m.training for name, m in net.named_modules()}
    found["own"] = net.drop.rng.bit_generator.state
    found["rng"] = tn.random.generator().bit_generator.state
    return found


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(
        np.array_equal(a[k], b[k]) if isinstance(a[k], np.ndarray) else a[k] == b[k] for k in a
    )


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize("options", [{}, {"backward": True}, {"color_by": "time"}, {"color_by": "grad_norm"}])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("wrapped", [False, True])
def test_drawing_changes_nothing(options: dict[str, Any], training: bool, wrapped: bool) -> None:
    net = Net().train(training)
    if wrapped:
        net.drop.p = 0.0  # a generator of its own is known of modules only
    x = tn.tensor(array(5, 3), requires_grad=True)
    net(x).sum().backward()
    pending = (net(x) ** 2).mean()
    before = state(net), x.grad.numpy().copy(), len(list(tn.tape()))  # type: ignore[union-attr]
    tn.draw((lambda x: net(x)) if wrapped else net, x, **options)
    after = state(net), x.grad.numpy().copy(), len(list(tn.tape()))  # type: ignore[union-attr]
    assert same(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]
    pending.backward()  # nothing was released


def test_gradients_of_what_a_function_closes_over_stay() -> None:
    w = leaf(2)
    h = w * 3  # recorded before
    x = array(2)
    tn.draw(lambda x: h * x, x, backward=True)
    assert w.grad is None
    h.sum().backward()
    assert w.grad is not None


def test_an_outer_tape_sees_none_of_it() -> None:
    with tn.Tape() as tape:
        y = np.exp(tn.tensor([1.0]))
        tn.draw(lambda x: x * 2, array(2), backward=True)
    assert [node.name for node in tape] == ["exp"]
    assert y.size == 1


def test_no_grad_around_it_stays_on() -> None:
    with tn.no_grad():
        tn.draw(Net(), array(5, 3), backward=True)
        assert not tn.is_grad_enabled()
    assert tn.is_grad_enabled()


@pytest.mark.parametrize("options", [{}, {"backward": True}, {"color_by": "time"}])
def test_an_error_in_the_function_leaves_all_as_it_was(options: dict[str, Any]) -> None:
    class Fails(Net):
        def forward(self, x: Any, scale: float = 1.0) -> Any:
            super().forward(x)
            self.norm.running_mean.data = np.ones(4)  # type: ignore[union-attr]
            raise ZeroDivisionError("of the function's own")

    net = Fails()
    before = state(net)
    with pytest.raises(ZeroDivisionError, match="of the function's own"):
        tn.draw(net, array(5, 3), **options)
    assert same(before, state(net))
    assert tn.tape() is not None
    assert leaf(2)._node is not None
    assert (leaf(2) * 2).node.line is None  # no debug mode left on


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.1, momentum=0.9), optim.Adam])
@pytest.mark.parametrize("options", [{}, {"backward": True}, {"color_by": "time"}, {"color_by": "grad_norm"}])
@pytest.mark.parametrize("cleared", [True, False])
def test_a_step_of_training_is_drawn_and_trains_nothing(make: Any, options: dict[str, Any], cleared: bool) -> None:
    net = nn.Linear(3, 2)
    optimizer = make(net.parameters())

    def step(x: Any) -> Any:
        loss = (net(x) ** 2).mean()
        if cleared:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step(array(5, 3))
    gradient = net.weight.grad

    def state() -> str:
        assert net.weight.grad is gradient
        return str([net.weight.data.tolist(), net.bias.grad, gradient.data.tolist(), optimizer.state_dict()])

    before = state()
    picture = tn.draw(step, array(5, 3), **options)
    assert {"linear 2", "^ 2", "mean"} <= set(titles(picture))
    assert state() == before
    assert not any(v.sign for v in picture.source.vertices)
    step(array(5, 3))
    assert str(optimizer.state_dict()) not in before
    loss = (net(array(5, 3)) ** 2).mean()
    loss.backward()
    with pytest.raises(RuntimeError, match="a second time"):  # afterwards, graphs are released as ever
        loss.backward()


def test_a_gradient_rule_that_fails_leaves_all_as_it_was() -> None:
    def rule(g: Any) -> Any:
        raise ZeroDivisionError("of the rule")

    bad = tn.op(lambda x: x + 1, name="bad", x=rule)
    w = leaf(2)
    with pytest.raises(ZeroDivisionError, match="of the rule"):
        tn.draw(lambda x: bad(x) * w, leaf(2), backward=True)
    assert w.grad is None
    assert tn.is_grad_enabled()
    tn.draw(lambda x: bad(x) * w, array(2))  # without gradients it can be drawn


def test_modes_are_drawn_as_they_are() -> None:
    net = Net()
    assert "dropout 0.5" in titles(tn.draw(net, array(5, 3)))
    assert "batch norm" in titles(tn.draw(net, array(5, 3)))
    evaluated = tn.draw(net.eval(), array(5, 3))
    assert {"running_mean", "running_var"} <= set(titles(evaluated, "input"))
    assert [v.parameters for v in evaluated.source.vertices if v.title == "running_mean"] == [0]


# -- what cannot be drawn --------------------------------------------------------------------------------------------


def keyword_only(*, k: Any) -> Any:
    return k * 2


def needs_option(x: Any, *, axis: int) -> Any:
    return x.sum(axis=axis)


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: tn.draw(Net(), backward=True), TypeError, r"Net takes x, scale; 0 given\..*tn\.draw\(net, x\)"),
        (lambda: tn.draw(Net(), 1, 2, 3), TypeError, r"Net takes x, scale; 3 given"),
        (lambda: tn.draw(power), TypeError, r"power takes a, b, \*rest; 0 given\..*tn\.draw\(power, a\)"),
        (lambda: tn.draw(lambda: leaf(2) * 2, 1), TypeError, r"<lambda> takes no arguments; 1 given.*tn\.draw\(f\)"),
        (lambda: tn.draw(keyword_only), TypeError, r"needs k by name.*tn\.draw\(lambda: keyword_only\(k=\.\.\.\)\)"),
        (
            lambda: tn.draw(needs_option, array(2)),
            TypeError,
            r"tn\.draw\(lambda x: needs_option\(x, axis=\.\.\.\), x\)",
        ),
        (
            lambda: tn.draw(nn.Linear, 3, 4),
            TypeError,
            r"Linear is a class; give an object.*tn\.draw\(Linear\(\.\.\.\), x\)",
        ),
        (lambda: tn.draw(lambda: 3), TypeError, r"<lambda> returned int, which holds no tensor\..*np\.array\(3\.0\)"),
        (lambda: tn.draw(np.exp, 3.0), TypeError, r"exp returned float64, which holds no tensor"),
        (lambda: tn.draw(lambda x: x, array(2)), ValueError, r"<lambda> applies no op: it returns what it was given"),
        (lambda: tn.draw(3), TypeError, r"is of type int; give a tensor.*or function with its arguments"),
        (lambda: tn.draw("net"), ValueError, r"'net' is no package; of a package, such as 'tapenet'"),
        (lambda: tn.draw(functools), ValueError, r"'functools' is a single module, with no parts"),
        (lambda: tn.draw("tapenet", 3), TypeError, r"a package is drawn by itself, without arguments"),
        (lambda: tn.draw(optim.SGD, backward=True), ValueError, r"an optimizer's rule is drawn by itself"),
        (lambda: tn.draw(optim.LBFGS), TypeError, r"LBFGS states no rule for one parameter"),
        (lambda: tn.draw(GLOBAL), TypeError, r"GLOBAL is of type ndarray; give a tensor"),
        (lambda: tn.draw([power, power]), TypeError, r"x\[0\] is of type function"),
        (lambda: tn.draw(None), TypeError, r"is of type NoneType; give a tensor"),
        (lambda: tn.draw(array(2)), TypeError, r"is of type ndarray; give a tensor"),
        (lambda: tn.draw([]), ValueError, r"nothing in the list"),
        (lambda: tn.draw([leaf(2) * 2, 3]), TypeError, r"x\[1\] is of type int"),
        (lambda: tn.draw(tn.tensor(1.0)), ValueError, r"has no graph: nothing was recorded that leads to it"),
        (lambda: tn.draw(leaf(2)), ValueError, r"has no graph: it was made by no op"),
        (lambda: tn.draw(leaf(2) * 2, 3), TypeError, r"a Tensor takes no arguments here; 1 given.*by name"),
        (lambda: tn.draw(tn.Tape()), ValueError, r"holds no nodes; compute something"),
    ],
)
def test_errors_say_what_to_do(draw: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        draw()
    assert str(caught.value).startswith("draw: ")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"depth": -1}, ValueError, r"depth=-1; give the number of module levels to open \(0, 1, \.\.\.\), or None"),
        ({"depth": True}, ValueError, r"depth=True"),
        ({"budget": 0}, ValueError, r"budget=0; give the number of boxes to draw \(1, 2, \.\.\.\), or None"),
        ({"budget": 2.5}, ValueError, r"budget=2\.5"),
        ({"direction": "down"}, ValueError, r"direction='down'; the directions are TB, LR, BT, RL"),
        ({"direction": ["TB"]}, ValueError, r"the directions are TB, LR, BT, RL"),
        (
            {"color_by": "cost"},
            ValueError,
            r"color_by='cost'; boxes are painted by time, memory, grad_norm, activation",
        ),
        ({"stage": "fused"}, ValueError, r"stage='fused' is of compiled functions; this is a Net"),
        ({"optimizer": 3}, TypeError, r"optimizer= takes an optimizer such as optim\.SGD\(\.\.\.\), not int"),
        ({"profile": 3}, TypeError, r"profile= takes a tn\.profile\(\), not int"),
        ({"title": 3}, TypeError, r"title=3; give a text, not int"),
        ({"caption": ["x"]}, TypeError, r"give a text, not list"),
    ],
)
def test_options_are_checked_before_anything_runs(options: dict[str, Any], error: type[Exception], words: str) -> None:
    class Counted(Net):
        calls = 0

        def forward(self, x: Any, scale: float = 1.0) -> Any:
            type(self).calls += 1
            return super().forward(x)

    Counted.__name__ = "Net"
    with pytest.raises(error, match=words) as caught:
        tn.draw(Counted(), array(5, 3), **options)
    assert str(caught.value).startswith("draw: ")
    assert Counted.calls == (1 if "optimizer" in options else 0)


def test_a_compiled_function_takes_no_arguments_and_no_measure() -> None:
    compiled = tn.compile(lambda x: np.exp(x).sum())
    compiled(array(2))
    profile = tn.profile()
    with profile:
        compiled(array(2))
    for arguments, options in (((array(2),), {}), ((), {"color_by": "time"}), ((), {"profile": profile})):
        with pytest.raises((TypeError, ValueError), match=r"drawn as its program.* tn\.draw\(step\.__wrapped__, \*arg"):
            tn.draw(compiled, *arguments, **options)
    assert tn.draw(compiled.__wrapped__, array(2), color_by="time").dot


def test_numbers_of_numpy_will_do_as_options() -> None:
    assert tn.draw(Net(), array(5, 3), depth=np.int64(0), budget=np.int32(30)).dot


def test_an_optimizer_is_drawn_with_the_gradients_that_it_uses() -> None:
    net = Net()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    picture = tn.draw(net, array(5, 3), optimizer=optimizer, parameters=True)
    assert "update" in {v.kind for v in picture.drawing.vertices}
    assert {"gradient", "update"} <= {e.flow for e in picture.drawing.edges}


def test_errors_name_things_as_the_caller_does() -> None:
    network, values = Net(), [3, 4]
    slope = tn.grad(power)
    for wrong, words in (
        (lambda: tn.draw(network, 1, 2, 3), r"network \(Net\) takes x, scale; 3 given\..*tn\.draw\(network, x\)"),
        (lambda: tn.draw(values), r"values\[0\] is of type int"),
        (lambda: tn.draw(network, depht=1), r"tn\.draw\(\) got an unexpected keyword argument 'depht'"),  # type: ignore[call-arg]
        (lambda: tn.draw(slope), r"slope \(power\) takes a, b.*tn\.draw\(slope, a\)"),
    ):
        with pytest.raises(TypeError, match=words):
            wrong()
