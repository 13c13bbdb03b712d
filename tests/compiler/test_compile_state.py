"""Compiled functions follow state that changes between calls, and say what changes too often."""

from __future__ import annotations

import functools
import types
import warnings
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.autodiff.observe import epoch
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

R = np.random.default_rng(0)
X = R.normal(size=(4, 3)).astype(np.float32)
Y = R.normal(size=(4, 3)).astype(np.float32)

SCALE = 2.0
LIMITS = (1.0, 2.0)
TABLE = np.ones(3)


def scaled(x: Any) -> Any:
    return x * SCALE


class Config:
    factor = 3.0

    def __init__(self) -> None:
        self.shift = 1.0


CONFIG = Config()


def small(dropout: float = 0.0) -> nn.Module:
    tn.random.seed(1)
    return nn.Sequential(
        nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(dropout), nn.Linear(4, 3)
    )


class Run:
    """One model with its optimizer, trained by eager or compiled steps."""

    def __init__(self, compile_step: Any, make: Any = None, dropout: float = 0.0, dtype: Any = np.float32) -> None:
        self.net = small(dropout).astype(dtype)
        self.opt = (make or (lambda net: optim.SGD(net.parameters(), lr=0.1, momentum=0.9)))(self.net)
        net, opt = self.net, self.opt

        def step(x: Any, y: Any) -> Any:
            loss = F.mse_loss(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        self.step = compile_step(step)


def both(compiled: Compile, **options: Any) -> tuple[Run, Run]:
    return Run(lambda f: f, **options), Run(compiled, **options)


def follow(runs: tuple[Run, Run], n: int = 3, x: Any = X, y: Any = Y) -> None:
    """Both train alike."""
    for _ in range(n):
        expected, got = (run.step(x, y).item() for run in runs)
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    one, other = (run.net.state_dict() for run in runs)
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


# -- modules -----------------------------------------------------------------------------------------------------


@backends
def test_train_and_eval(compiled: Compile) -> None:
    net = small(dropout=0.5)
    f = compiled(lambda x: net(x))
    f(X)
    net.eval()
    expected = net(X)
    for _ in range(2):
        np.testing.assert_allclose(f(X).data, expected.data, rtol=1e-5)
    net.train()
    assert not np.allclose(f(X).data, f(X).data)
    net.eval()
    stats = net.state_dict()
    f(X)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, stats[name])
    assert len(f.variants) == 2


@backends
def test_a_replaced_layer_and_a_changed_attribute(compiled: Compile) -> None:
    runs = both(compiled)
    follow(runs)
    for run in runs:
        tn.random.seed(2)
        run.net[4] = nn.Linear(4, 3)
    with pytest.warns(RuntimeWarning, match=r"step leaves out 2 parameters .*: Sequential\.4 came after"):
        follow(runs)
    assert len(runs[1].step.variants) == 3  # no optimizer has the new layer: its gradients are kept, and added to
    for run in runs:
        run.net[1].momentum = 0.5
    follow(runs)
    assert len(runs[1].step.variants) == 4


@backends
def test_values_loaded_between_calls(compiled: Compile) -> None:
    runs = both(compiled)
    follow(runs)
    saved = [(run.net.state_dict(), run.opt.state_dict()) for run in runs]
    follow(runs, 2)
    for run, (net, opt) in zip(runs, saved, strict=True):
        run.net.load_state_dict(net)
        run.opt.load_state_dict(opt)
    follow(runs)
    for run in runs:
        with tn.no_grad():
            run.net[0].weight[0] = 0.5
            run.net[4].bias.data = run.net[4].bias * 2
    follow(runs)
    assert len(runs[1].step.variants) == 1


@backends
def test_parameters_that_are_given_other_storage(compiled: Compile) -> None:
    runs = both(compiled)
    follow(runs)
    for run in runs:
        run.net.astype(np.float64)
    follow(runs)
    assert [p.dtype for p in runs[1].net.parameters()] == [np.float64] * 5
    for run in runs:
        run.net.astype(np.float32)
    follow(runs)
    for run in runs:
        run.net[0].requires_grad_(False)
    before = runs[1].net[0].weight.data.copy()
    follow(runs)
    np.testing.assert_array_equal(runs[1].net[0].weight.data, before)
    for run in runs:
        run.net[0].requires_grad_(True)
    follow(runs)


@backends
def test_a_second_optimizer_made_between_calls(compiled: Compile) -> None:
    runs = both(compiled)
    follow(runs)
    for run in runs:
        other = optim.Adam(run.net.parameters(), lr=0.01)
        other.zero_grad()
        F.mse_loss(run.net(X), Y).backward()
        other.step()
        other.zero_grad()
    follow(runs)


def test_eager_and_compiled_steps_mix() -> None:
    runs = both(lambda f: tn.compile(f, backend="numpy"))
    for k in range(6):
        runs[0].step(X, Y)
        (runs[1].step if k % 2 else runs[1].step.__wrapped__)(X, Y)
    follow(runs)


# -- optimizers --------------------------------------------------------------------------------------------------


@backends
def test_learning_rates_are_read_at_each_call(compiled: Compile) -> None:
    runs = both(compiled)
    follow(runs)
    for run in runs:
        run.opt.lr = 0.01
    follow(runs)
    for run in runs:
        run.opt.groups[0]["lr"] = 0.05
        run.opt.groups[0]["momentum"] = 0.5
    follow(runs)
    assert len(runs[1].step.variants) == 1
    for run in runs:
        run.opt.lr = optim.cosine(0.1, 10)
    follow(runs)
    assert runs[1].opt.state_dict()["step"] == 12


@backends
def test_options_set_to_0_and_from_0(compiled: Compile) -> None:
    runs = both(compiled)
    follow(runs)
    for value in (0.1, 0.0, 0.2):
        for run in runs:
            run.opt.groups[0]["weight_decay"] = value
        follow(runs)
    for run in runs:
        run.opt.groups[0]["momentum"] = 0.0
    follow(runs)


@backends
def test_two_optimizers_that_were_updated_differently(compiled: Compile) -> None:
    def make(net: Any) -> Any:
        return Two(optim.Adam(net[:2].parameters(), lr=0.01), optim.Adam(net[4].parameters(), lr=0.01))

    runs = both(compiled, make=make)
    follow(runs)
    for run in runs:  # of one parameter alone
        run.opt.zero_grad()
        run.net[0].weight.grad = np.ones((4, 3))
        run.opt.first.step()
        run.opt.zero_grad()
    follow(runs)
    for run in runs:
        run.opt.second.groups[0]["weight_decay"] = 0.1
    follow(runs)
    for run in runs:
        assert [entry["step"] for entry in run.opt.first.state_dict()["state"].values()] == [10, 9, 9]


class Two:
    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    def zero_grad(self) -> None:
        self.first.zero_grad()
        self.second.zero_grad()

    def step(self) -> None:
        self.first.step()
        self.second.step()


# -- names -------------------------------------------------------------------------------------------------------


@backends
def test_globals_and_closures_that_stand_for_something_else(compiled: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    module = __import__(__name__, fromlist=["SCALE"])
    shift = 1.0
    layer: Any = nn.Linear(3, 3)

    def f(x: Any) -> Any:
        return (scaled(x) + shift) * LIMITS[0] + layer(x) * 0 + TABLE * 0  # noqa: F821  it is deleted below

    g = compiled(f)
    np.testing.assert_allclose(g(X).data, 2 * X + 1, rtol=1e-6)
    np.testing.assert_allclose(g(X).data, 2 * X + 1, rtol=1e-6)
    shift = 2.0
    np.testing.assert_allclose(g(X).data, 2 * X + 2, rtol=1e-6)
    shift = float("2.0")  # another object, the same value
    g(X)
    monkeypatch.setattr(module, "SCALE", 3.0)  # in a function that it calls
    np.testing.assert_allclose(g(X).data, 3 * X + 2, rtol=1e-6)
    monkeypatch.setattr(module, "LIMITS", (2.0, 2.0))
    np.testing.assert_allclose(g(X).data, 6 * X + 4, rtol=1e-6)
    assert len(g.variants) == 4
    monkeypatch.setattr(module, "LIMITS", (float("2.0"), 2.0))
    g(X)
    assert len(g.variants) == 4
    monkeypatch.setattr(module, "scaled", lambda x: x * 10)
    np.testing.assert_allclose(g(X).data, 20 * X + 4, rtol=1e-6)
    layer = nn.Linear(3, 3)
    monkeypatch.setattr(module, "TABLE", np.zeros(3))
    np.testing.assert_allclose(g(X).data, 20 * X + 4, rtol=1e-6)
    del shift
    with pytest.raises(NameError, match="shift"):
        g(X)


@backends
def test_globals_of_a_function_that_exec_makes(compiled: Compile) -> None:
    """Its names may have no `__name__`."""
    names: dict[str, Any] = {"scale": 2.0}
    exec("def f(x): return x * scale", names)
    g = compiled(names["f"])
    for factor in (2.0, 2.0, 3.0):
        names["scale"] = factor
        np.testing.assert_allclose(g(X).data, factor * X)


def test_attributes_of_plain_objects() -> None:
    class Trainer:
        rate = 0.5

        def __init__(self) -> None:
            self.net = nn.Linear(3, 3)
            self.factor = 2.0

        @tn.compile(backend="numpy")
        def predict(self, x: Any) -> Any:
            return self.net(x) * self.factor * self.rate + CONFIG.shift * CONFIG.factor

    trainer = Trainer()

    def expected() -> Any:
        weight, bias = trainer.net.weight.data, trainer.net.bias.data
        return (X @ weight.T + bias) * trainer.factor * trainer.rate + CONFIG.shift * CONFIG.factor

    def check() -> None:
        for _ in range(2):
            np.testing.assert_allclose(trainer.predict(X).data, expected(), rtol=1e-5, atol=1e-6)

    check()
    trainer.factor = 3.0
    check()
    trainer.rate = 0.25  # hides the class's
    check()
    trainer.net = nn.Linear(3, 3)
    check()
    CONFIG.shift = 5.0
    check()
    Config.factor = 7.0
    check()
    assert len(trainer.predict.variants) == 6


class Helper:
    def __init__(self) -> None:
        self.rate = 2.0

    def scale(self, x: Any) -> Any:
        return x * self.rate

    def __getitem__(self, key: str) -> Any:
        return self.rate


class Slotted:
    __slots__ = ("rate",)

    def __init__(self) -> None:
        self.rate = 2.0


class Holding(nn.Module):
    def __init__(self) -> None:
        self.options = {"a": {"b": [2.0]}}
        self.helper = Helper()
        self.scale = self.helper.scale
        self.get = {"a": 2.0}.get
        self.table = np.full(3, 2.0, np.float32)

    def forward(self, x: Any) -> Any:
        return self.scale(x) * self.options["a"]["b"][0] * self.get("a") * np.exp(self.table)


def _table_op() -> Any:
    table = np.full(3, 2.0, np.float32)
    numbers = [2.0]
    made = tn.op(
        lambda x: x * np.exp(table) * numbers[0], name="by_a_table", x=lambda g: g * np.exp(table) * numbers[0]
    )
    return made, table, numbers


def _with_default(x: Any, options: Any = {"rate": 2.0}) -> Any:  # noqa: B006
    return x * options["rate"]


@backends
def test_what_is_in_lists_dicts_objects_and_small_arrays(compiled: Compile) -> None:
    numbers, options, many = [2.0], {"a": {"b": [2.0]}}, [2.0] * 5000
    queue, space = deque([2.0]), types.SimpleNamespace(rate=2.0)
    table = np.full(3, 2.0, np.float32)
    helper, slotted, net = Helper(), Slotted(), Holding()
    method, get = helper.scale, options.get
    op, op_table, op_numbers = _table_op()
    inside = nn.Sequential(net)

    class Measured:
        rate = 2.0

        @property
        def twice(self) -> float:
            return 2 * self.rate

    measured = Measured()

    def gradient(x: Any) -> Any:
        w = tn.tensor(np.ones(3, np.float32), requires_grad=True)
        (op(w) * x).sum().backward()
        return w.grad

    def raised(holder: Any, key: Any) -> Any:
        return lambda: holder.__setitem__(key, holder[key] + 1)

    def faster(thing: Any) -> Any:
        return lambda: setattr(thing, "rate", thing.rate + 1)

    cases: list[tuple[Any, Any]] = [
        (lambda x: x * numbers[0], raised(numbers, 0)),
        (lambda x: x * options["a"]["b"][0], raised(options["a"]["b"], 0)),
        (lambda x: x * get("a")["b"][0], raised(options["a"]["b"], 0)),
        (lambda x: x * many[4000], raised(many, 4000)),
        (lambda x: x * queue[0], raised(queue, 0)),
        (lambda x: x * space.rate, faster(space)),
        (lambda x: x * getattr(space, "rate"), faster(space)),  # noqa: B009
        (lambda x: x * slotted.rate, faster(slotted)),
        (lambda x: x * helper["any"], faster(helper)),
        (lambda x: method(x), faster(helper)),
        (lambda x: x * measured.twice, faster(measured)),
        (functools.partial(lambda x, given: x * given[0], given=numbers), raised(numbers, 0)),
        (_with_default, raised(_with_default.__defaults__[0], "rate")),  # type: ignore[index]
        (lambda x: x * np.exp(table), raised(table, 0)),
        (lambda x: x * float(table[0]), raised(table, 0)),
        (lambda x: op(x), raised(op_table, 0)),
        (lambda x: op(x), raised(op_numbers, 0)),
        (gradient, raised(op_table, 0)),
        (gradient, raised(op_numbers, 0)),
        (net, raised(net.options["a"]["b"], 0)),
        (net, faster(net.helper)),
        (net, raised(net.get.__self__, "a")),
        (net, raised(net.table, 0)),
        (lambda x: inside(x), raised(net.options["a"]["b"], 0)),
    ]
    for i, (f, change) in enumerate(cases):
        g = compiled(f)
        for _ in range(2):
            for _ in range(3):
                np.testing.assert_allclose(g(X).data, f(tn.tensor(X)).data, rtol=1e-6, err_msg=str(i))
            change()
        np.testing.assert_allclose(g(X).data, f(tn.tensor(X)).data, rtol=1e-6, err_msg=str(i))
        assert len(g.variants) == 3, i


RATE = 2.0


class Special:
    """Its special methods read a global."""

    def __setitem__(self, key: Any, value: Any) -> None:
        key["value"] = value * RATE

    def __mod__(self, x: Any) -> Any:
        return x * RATE

    def __lt__(self, other: Any) -> bool:
        return other < RATE

    def __eq__(self, other: object) -> bool:
        return other == RATE

    def __hash__(self) -> int:
        return int(RATE)

    def __class_getitem__(cls, x: Any) -> Any:
        return x * RATE


class Made:
    """So do the methods that make it."""

    def __init__(self, x: Any) -> None:
        self.value = x * RATE


class New:
    value: Any

    def __new__(cls, x: Any) -> New:
        made = super().__new__(cls)
        made.value = x * RATE
        return made


@dataclass
class Completed:
    value: Any

    def __post_init__(self) -> None:
        self.value = self.value * RATE


class Inheriting(Completed):
    pass


def _set_item(x: Any) -> Any:
    found: dict[str, Any] = {}
    SPECIAL[found] = x
    return found["value"]


SPECIAL: Any = Special()
BY_NAME: Any = {"made": Made}


@backends
@pytest.mark.parametrize(
    "f",
    [
        _set_item,
        lambda x: SPECIAL % x,
        lambda x: x * (1 if SPECIAL < 2.5 else 2),
        lambda x: x * (1 if SPECIAL == 2 else 2),
        lambda x: x * hash(SPECIAL),
        lambda x: Special[x],  # type: ignore[misc]
        lambda x: Made(x).value,
        lambda x: BY_NAME["made"](x).value,
        functools.partial(lambda x, made: made(x).value, made=Made),
        lambda x: New(x).value,
        lambda x: Completed(x).value,
        lambda x: Inheriting(x).value,
    ],
)
def test_what_special_methods_and_constructors_read(compiled: Compile, monkeypatch: pytest.MonkeyPatch, f: Any) -> None:
    g = compiled(f)
    for rate in (2.0, 3.0):
        monkeypatch.setitem(globals(), "RATE", rate)
        for _ in range(2):
            np.testing.assert_array_equal(g(X).data, f(tn.tensor(X)).data)
    assert len(g.variants) == 2


def test_the_constructor_of_a_class_that_is_not_named_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made(1.0)
    f = tn.compile(lambda x: x * made.value, backend="numpy")
    for rate in (2.0, 3.0):
        monkeypatch.setitem(globals(), "RATE", rate)
        f(X)
    assert len(f.variants) == 1


def test_private_slots_are_watched() -> None:
    class Private:
        __slots__ = ("__rate",)

        def __init__(self) -> None:
            self.faster(2.0)

        def faster(self, rate: float) -> None:
            self.__rate = rate

        def scale(self, x: Any) -> Any:
            return x * self.__rate

    private = Private()
    f = tn.compile(lambda x: private.scale(x), backend="numpy")
    for rate in (2.0, 3.0):
        private.faster(rate)
        np.testing.assert_array_equal(f(X).data, rate * X)
    assert len(f.variants) == 2


def test_the_warning_of_an_array_is_an_error_before_anything_is_done() -> None:
    table, steps = np.ones(20_000), nn.Buffer(0.0)

    def f(x: Any) -> Any:
        steps.data = steps + 1
        return x * np.exp(table).mean()

    g = tn.compile(f, backend="numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(tn.CompileWarning, match="gives it to no op"):
                g(X)
    assert steps.item() == 0
    assert g.variants == ()
    with pytest.warns(tn.CompileWarning):
        g(X)
    assert steps.item() == len(g.variants) == 1


def test_a_large_array_that_no_op_is_given_is_told_of() -> None:
    table, frozen = np.ones(20_000), np.ones(20_000)
    frozen.flags.writeable = False
    f = tn.compile(lambda x: x * np.exp(table).mean() * np.exp(frozen).mean(), backend="numpy")
    with pytest.warns(
        tn.CompileWarning, match=r"the closure variable 'table' \(float64 \(20000,\)\), and gives it to no op"
    ):
        f(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(X[:2])
        tn.compile(lambda x: x * table[:3], backend="numpy")(X)


@backends
def test_an_op_that_reads_a_large_array_reads_it_at_each_call(compiled: Compile) -> None:
    table = np.ones(20_000)
    op = tn.op(lambda x: x * np.exp(table).max(), name="by_a_large_table", x=lambda g: g)
    f = compiled(lambda x: op(x) + 0 * tn.asarray(table).sum())
    for value in (1.0, 2.0, 3.0):
        table[...] = value
        np.testing.assert_allclose(f(X).data, X * np.exp(value), rtol=1e-6)
    assert len(f.variants) == 1
    assert "it reads an array of float64 (20000,) beside its arguments: give it" in str(f.explain())


def test_equal_contents_capture_nothing_anew() -> None:
    numbers, names = [1000.5, (1, 2.5)], {"a", "b"}
    f = tn.compile(lambda x: x * numbers[0] * len(names), backend="numpy")
    f(X)
    numbers[:] = [float("1000.5"), (1, float("2.5"))]
    names.remove("a")
    names.add("a")
    f(X)
    assert len(f.variants) == 1
    numbers[1] = (True, 2.5)
    f(X)
    assert len(f.variants) == 2


def test_zeros_of_either_sign_are_told_apart() -> None:
    class Signed(nn.Module):
        def __init__(self) -> None:
            self.zero = 0.0

        def forward(self, x: Any) -> Any:
            return np.copysign(x, self.zero)

    net = Signed()
    f = tn.compile(net, backend="numpy")
    np.testing.assert_array_equal(f(X).data, np.abs(X))
    net.zero = -0.0
    np.testing.assert_array_equal(f(X).data, -np.abs(X))


class Weighted(nn.Module):
    def __init__(self) -> None:
        self.w = nn.Parameter(np.ones(3, np.float32))


@backends
def test_parameters_of_modules_that_are_not_called(compiled: Compile) -> None:
    net, nets = Weighted(), [Weighted()]
    f = compiled(lambda x: x * net.w * nets[0].w)
    for value in (2.0, 3.0):
        for _ in range(2):
            np.testing.assert_allclose(f(X).data, X * net.w.data * nets[0].w.data, rtol=1e-6)
        net.w = nn.Parameter(np.full(3, value, np.float32))
        np.testing.assert_allclose(f(X).data, X * value * nets[0].w.data, rtol=1e-6)
        nets[0].w = nn.Parameter(np.full(3, value, np.float32))
        np.testing.assert_allclose(f(X).data, X * value * value, rtol=1e-6)
    assert len(f.variants) == 5


def test_a_module_of_the_users_own() -> None:
    settings = types.ModuleType("settings_of_a_user")
    settings.gain = 2.0  # type: ignore[attr-defined]

    @tn.compile(backend="numpy")
    def f(x: Any) -> Any:
        return x * settings.gain

    assert (f(X).data == 2 * X).all()
    settings.gain = 3.0  # type: ignore[attr-defined]
    np.testing.assert_allclose(f(X).data, 3 * X, rtol=1e-6)


@backends
def test_a_hook_on_a_gradient(compiled: Compile) -> None:
    w = nn.Parameter(np.ones(3, np.float32))
    f = compiled(lambda x: (w * x).sum().backward())

    def gradient() -> Any:
        w.grad = None
        f(X[0])
        return w.grad.data

    np.testing.assert_array_equal(gradient(), X[0])
    handle = w.register_hook(lambda g: g * 10)
    epoch.bump()
    for _ in range(2):
        np.testing.assert_allclose(gradient(), 10 * X[0], rtol=1e-6)
    handle.remove()
    epoch.bump()
    np.testing.assert_array_equal(gradient(), X[0])


@backends
def test_a_hook_that_changes_its_gradient(compiled: Compile) -> None:
    v, w = nn.Parameter(np.ones(3, np.float32)), nn.Parameter(np.ones(3, np.float32))

    def double(g: tn.Tensor) -> None:
        g *= 2

    w.register_hook(double)
    f = compiled(lambda: (v + w).sum().backward())
    for _ in range(3):
        v.grad = w.grad = None
        f()
        assert v.grad.tolist() == [1.0] * 3
        assert w.grad.tolist() == [2.0] * 3


@backends
def test_a_gradient_from_outside_is_set_anew(compiled: Compile) -> None:
    w = nn.Parameter(np.ones(2, np.float32))
    w.grad = [8.0, 16.0]

    def in_place() -> None:
        w.grad *= 0.5

    with pytest.raises(tn.CaptureError, match=r"changes a gradient from outside by \*=.*w\.grad = w\.grad \* v"):
        compiled(in_place)()

    def anew() -> None:
        w.grad = w.grad * 0.5

    f = compiled(anew)
    for _ in range(3):
        f()
    assert w.grad.tolist() == [1.0, 2.0]


@backends
def test_a_pending_backward_that_needs_what_a_program_wrote(compiled: Compile) -> None:
    run = Run(compiled)
    for _ in range(4):
        loss = F.mse_loss(run.net(X), Y)
        run.step(X, Y)
        with pytest.raises(RuntimeError, match=r"changed in place by (SGD.step|the compiled step)"):
            loss.backward()
    w = nn.Parameter(X)
    f = compiled(lambda t: setattr(t, "data", t * 2))
    for k in range(3):
        loss = (w**2).sum()
        f(w)
        with pytest.raises(RuntimeError, match=r"changed in place by"):
            loss.backward()
        np.testing.assert_allclose(w.data, X * 2 ** (k + 1), rtol=1e-6)


# -- the epoch ---------------------------------------------------------------------------------------------------


def test_what_concerns_other_models_captures_nothing_anew() -> None:
    run = Run(lambda f: tn.compile(f, backend="numpy"))
    for _ in range(3):
        run.step(X, Y)
        before = epoch.current
        other = nn.Linear(2, 2)
        other.eval()
        assert epoch.current > before
    assert len(run.step.variants) == 1


def test_a_call_that_fits_does_not_look_at_state(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(lambda f: tn.compile(f, backend="numpy"))
    for _ in range(3):
        run.step(X, Y)
    monkeypatch.setattr(type(run.step), "_general", lambda *args: pytest.fail("the slow path"))
    run.step(X, Y)
    run.step(tn.tensor(X), tn.tensor(Y))
    run.step(x=X, y=Y)


def test_calls_that_take_turns_do_not_look_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    f = tn.compile(lambda x, n: x * n, backend="numpy")
    calls: list[tuple[Any, int]] = [(X, 1), (X[:2], 1), (X, 2), (Y[:3], 1)]
    for _ in range(2):
        for x, n in calls:
            f(x, n)
    monkeypatch.setattr(type(f._parameters), "call", lambda *args: pytest.fail("a close look"))
    for x, n in calls * 2:
        np.testing.assert_array_equal(f(x, n).data, x * n)


# -- how many programs -------------------------------------------------------------------------------------------


@backends
def test_a_smaller_last_batch(compiled: Compile) -> None:
    # In float64: of two samples that are normalised the gradient is close to 0, and in float32 mostly rounding.
    runs = both(compiled, dtype=np.float64)
    x, y = X.astype(np.float64), Y.astype(np.float64)
    for _ in range(3):
        follow(runs, 2, x, y)
        follow(runs, 1, x[:2], y[:2])
    assert len(runs[1].step.variants) == 2


def test_too_many_shapes_warn_once_and_run_uncompiled() -> None:
    net = nn.Linear(3, 2)
    step = tn.compile(lambda batch: net(batch["x"]), max_variants=3, backend="numpy")
    step.__wrapped__.__name__ = "step"
    for n in (1, 2, 3):
        step({"x": X[:n]})
    with pytest.warns(tn.CompileWarning) as caught:
        results = [step({"x": X[:n]}) for n in (4, 1, 2, 3, 4)]
    for n, result in zip((4, 1, 2, 3, 4), results, strict=True):
        np.testing.assert_allclose(result.data, net(X[:n]).data, rtol=1e-6)
        assert not result.requires_grad
    (warning,) = caught
    text = str(warning.message)
    assert "was captured 3 times" in text
    assert "the shape of batch['x'] ((1, 3), (2, 3), (3, 3))" in text
    assert "drop_last" in text
    assert warning.filename == __file__
    assert len(step.variants) == 3


@pytest.mark.parametrize(
    ("calls", "words", "advice"),
    [
        (lambda f: [f(X, lr) for lr in (0.1, 0.09, 0.08, 0.07, 0.06)], "the value of lr (0.1, 0.09, 0.08, ...)",
         "np.float32(lr)"),
        (lambda f: [f(X.astype(t), 1) for t in "fdei?"], "the dtype of x (float32, float64, float16, ...)",
         "Convert arrays to one dtype"),
        (lambda f: [f(X, name) for name in "abcde"], "the value of lr ('a', 'b', 'c', ...)", "raise max_variants"),
        (lambda f: [f(X, [0] * n) for n in range(5)], "the value of lr (a list of 0, a list of 1, a list of 2, ...)",
         "raise max_variants"),
        (lambda f: [f(X, lambda: 0) for n in range(5)], "the value of lr", "raise max_variants"),
    ],
)  # fmt: skip
def test_the_warning_says_what_keeps_changing(calls: Any, words: str, advice: str) -> None:
    def f(x: Any, lr: Any) -> Any:
        return x

    with pytest.warns(tn.CompileWarning) as caught:
        calls(tn.compile(f, max_variants=4, backend="numpy"))
    (warning,) = caught
    assert words in str(warning.message)
    assert advice in str(warning.message)


def test_the_warning_names_memory_orders() -> None:
    pytest.importorskip("llvmlite")
    f = tn.compile(lambda x: x + 1, max_variants=2, backend="native")
    x = np.zeros((2, 3, 4), np.float32)
    f(x)
    f(x.T.copy().T)
    with pytest.warns(tn.CompileWarning, match=r"the memory order of x \(row-major, \(2, 1, 0\)\).*one memory order"):
        f(x.swapaxes(0, 1).copy().swapaxes(0, 1))


def test_the_warning_names_state_too() -> None:
    net = nn.Dropout(0.5)
    gain = 1.0
    f = tn.compile(lambda x: net(x) * gain, max_variants=3, backend="numpy")
    f(X)
    net.eval()
    f(X)
    net.p = 0.25
    f(X)
    gain = 2.0
    with pytest.warns(tn.CompileWarning) as caught:
        result = f(X)
    np.testing.assert_allclose(result.data, 2 * X, rtol=1e-6)
    text = str(caught[0].message)
    assert "Dropout.training (True, False)" in text
    assert "Dropout.p (0.5, 0.25)" in text
    net, k = nn.Identity(), 0
    f = tn.compile(lambda x: net(x) + k, max_variants=2, backend="numpy")
    f(X)
    k = 1
    f(X)
    k = 2
    with pytest.warns(tn.CompileWarning, match=r"the closure variable 'k' \(0, 1\)"):
        f(X)


def test_the_warning_is_at_the_users_line() -> None:
    class Net(nn.Module):
        @tn.compile(max_variants=1, backend="numpy")
        def forward(self, x: Any) -> Any:
            return x

    net = Net()
    net(X)
    with pytest.warns(tn.CompileWarning) as caught:
        net(X[:1])
    assert caught[0].filename == __file__


def test_a_failed_capture_does_not_count() -> None:
    def f(x: Any, fails: bool) -> Any:
        return float(x.sum()) if fails else x

    g = tn.compile(f, max_variants=1, backend="numpy")
    for _ in range(3):
        with pytest.raises(tn.CaptureError, match="float"):
            g(X, True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g(X, False)
        g(X, False)
    assert len(g.variants) == 1


# -- everything mixed --------------------------------------------------------------------------------------------


def _act(run: Run, action: str, number: float) -> None:
    """Change something of a run between calls."""
    net, opt = run.net, run.opt
    if action == "mode":
        net.train(number < 0.7)
    elif action == "lr":
        opt.lr = 0.01 + number / 10
    elif action == "schedule":
        opt.lr = optim.exponential(0.1, 0.9 + number / 20)
    elif action == "weight decay":
        opt.groups[0]["weight_decay"] = 0.0 if number < 0.5 else 0.01
    elif action == "freeze":
        net[4].requires_grad_(number < 0.5)
    elif action == "momentum of the statistics":
        net[1].momentum = 0.1 if number < 0.5 else 0.2
    elif action == "reload":
        net.load_state_dict({name: v * 0.9 if v.dtype.kind == "f" else v for name, v in net.state_dict().items()})
        opt.load_state_dict(opt.state_dict())
    elif action == "write":
        with tn.no_grad():
            net[0].weight[0, 0] = number
    elif action == "eager step":
        getattr(run.step, "__wrapped__", run.step)(X, Y)
    elif action == "another optimizer":
        opt.zero_grad()
        (net(X) ** 2).mean().backward()
        optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.01).step()
        opt.zero_grad()


ACTIONS = [
    "mode", "lr", "schedule", "weight decay", "freeze", "momentum of the statistics", "reload", "write", "eager step",
    "another optimizer", "nothing", "nothing", "nothing",
]  # fmt: skip


@backends
@pytest.mark.parametrize("seed", range(3))
def test_a_run_of_changes(compiled: Compile, seed: int) -> None:
    def make(net: Any) -> Any:
        return optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

    runs = both(lambda f: compiled(f, max_variants=100), make=make, dropout=0.3, dtype=np.float64)
    x, y = X.astype(np.float64), Y.astype(np.float64)
    r = np.random.default_rng(seed)
    done = []
    for _ in range(25):
        action, number, size = ACTIONS[r.integers(len(ACTIONS))], r.random(), int(r.integers(2, 5))
        done.append((action, number))
        results = []
        for run in runs:
            tn.random.seed(int(number * 1e6))
            _act(run, action, number)
            results.append([run.step(x[:size], y[:size]).item() for _ in range(2)])
        np.testing.assert_allclose(results[1], results[0], rtol=1e-9, err_msg=str(done))
        for (name, p), q in zip(runs[0].net.named_parameters(), runs[1].net.parameters(), strict=True):
            np.testing.assert_allclose(q.data, p.data, rtol=1e-8, atol=1e-11, err_msg=f"{name} {done}")
    assert len(runs[1].step.variants) < 60
