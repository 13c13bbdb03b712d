"""What a captured function must not do, the errors that say so, and that nothing is left of a capture that failed."""

from __future__ import annotations

import contextlib
import gc
import random
import re
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.autodiff.state import local
from tapenet.ops import random as draws
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
COUNT = 0
KEPT: Any = None
HISTORY: list[Any] = []
GENERATOR = np.random.default_rng(3)


@pytest.fixture(autouse=True, scope="module")
def _globals_are_seen() -> Iterator[None]:
    """`gc.get_referrers` does not see what is frozen, as the globals of tests are."""
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def only_what_is_new() -> Iterator[None]:
    """A search through all that lives takes a second: it leaves out what there is before the test, the globals too."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def line_of(function: Any, text: str) -> str:
    """file:line of the line of a function that contains a text."""
    import inspect

    lines, first = inspect.getsourcelines(function)
    (offset,) = (i for i, line in enumerate(lines) if text in line)
    return f"{__file__}:{first + offset}"


def refused(f: Any, *args: Any) -> str:
    """The text of the CaptureError that compiling and calling a function raises, twice."""
    g = tn.compile(f, backend="numpy")
    texts = []
    for _ in range(2):
        with pytest.raises(tn.CaptureError) as caught:
            g(*args)
        texts.append(re.sub("0x[0-9A-F]+", "", str(caught.value)))
    assert texts[0] == texts[1]
    assert g.variants == ()
    return texts[0]


# -- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda t: bool(t.sum() > 0), "bool"),
        (lambda t: float(t.sum()), "float"),
        (lambda t: int(t.sum()), "int"),
        (lambda t: t.sum().item(), "item"),
        (lambda t: t.numpy(), "numpy"),
        (lambda t: np.asarray(t), "ndarray"),
        (lambda t: t.data, "data"),
        (lambda t: t.tolist(), "tolist"),
        (lambda t: print(t), "text"),
        (lambda t: f"{t.sum():.3f}", "text"),
        (lambda t: 0.0 in t, "`in`"),
        (lambda t: [1, 2][t.argmax()], "index"),
    ],
)
def test_asking_for_a_value(use: Any, name: str) -> None:
    def f(x: Any) -> Any:
        return use(x)

    def g(x: Any) -> Any:
        return use(x * 2)

    for function in (f, g):
        text = refused(function, X)
        assert re.search(rf"{re.escape(__file__)}:\d+ asks for .*{name}", text), text
        assert "eturn" in text or "np.where" in text


def test_the_users_line_is_named() -> None:
    def branch(x: Any) -> Any:
        loss = x.sum()
        if loss > 0:  # here
            return loss
        return -loss

    assert refused(branch, X).startswith(line_of(branch, "# here"))


def test_an_error_of_the_function_is_its_own() -> None:
    f = tn.compile(lambda x: x @ x, backend="numpy")
    for _ in range(2):
        with pytest.raises(ValueError, match="matmul"):
            f(X)
    with pytest.raises(ZeroDivisionError):
        tn.compile(lambda x: 1 / 0, backend="numpy")(X)


def test_an_error_that_the_function_catches_fails_the_capture_in_the_end() -> None:
    w = nn.Buffer(1.0)

    def branch(x: Any) -> Any:
        w.data = w * 2
        try:
            return x * 2 if x.sum() > 0 else x * 3
        except Exception:
            return x

    def in_a_loop(x: Any) -> Any:
        def body(i: Any, h: Any) -> Any:
            with contextlib.suppress(Exception):
                float(h.sum())
            return h * 2

        return tn.fori(0, 3, body, x)

    for f in (branch, in_a_loop):
        text = refused(f, X)
        assert re.match(rf"{re.escape(__file__)}:\d+ asks for a (bool|float)", text), text
        assert f"{f.__name__} caught this error" in text
        assert w.item() == 1


# -- what is kept ------------------------------------------------------------------------------------------------


def test_a_tensor_in_a_list() -> None:
    def f(x: Any) -> Any:
        h = tn.tanh(x)  # here
        HISTORY.append(h)
        return h.sum()

    text = refused(f, X)
    assert f"the result of op 'tanh' (float32 (4, 3)), made at {line_of(f, '# here')}," in text
    assert "the list that is the global 'HISTORY'" in text
    assert "Return it" in text
    assert HISTORY == []


@pytest.mark.slow
def test_a_tensor_in_a_global() -> None:
    def f(x: Any) -> Any:
        global KEPT
        KEPT = x * 2

    assert "as 'KEPT'" in refused(f, X)
    assert KEPT is None


@pytest.mark.slow
@pytest.mark.usefixtures("only_what_is_new")
def test_a_tensor_in_other_places() -> None:
    held: Any = None
    deep: dict[str, list[Any]] = {"losses": []}

    class Holder:
        pass

    holder = Holder()

    def in_cell(x: Any) -> Any:
        nonlocal held
        held = x * 2

    def in_attribute(x: Any) -> Any:
        holder.kept = x * 2  # type: ignore[attr-defined]

    def in_depth(x: Any) -> Any:
        deep["losses"].append(x * 2)

    def in_function(x: Any) -> Any:
        in_function.kept = x * 2  # type: ignore[attr-defined]

    def argument(x: Any) -> Any:
        deep["losses"].append(x)

    def returned_otherwise(x: Any) -> Any:
        return iter([x * 2])

    places = {
        in_cell: "a closure variable",
        in_attribute: "a Holder, as 'kept'",
        in_depth: "the list that is inside the closure variable 'deep'",
        in_function: "a function, as 'kept'",
        argument: "keeps its argument x in the list",
        returned_otherwise: "",
    }
    for f, words in places.items():
        text = refused(f, X)
        assert words in text, text
        assert f.__name__ in text
    assert held is None
    assert not hasattr(holder, "kept")
    assert deep == {"losses": []}


def test_what_is_no_leak() -> None:
    def f(x: Any) -> Any:
        def power(t: Any, n: int) -> Any:  # refers to itself
            return t if n == 0 else t * power(t, n - 1)

        parts = [power(x, 2)]
        parts.append(parts)  # type: ignore[arg-type]  # a circle
        w = tn.tensor([1.0], requires_grad=True)
        (w * x.sum()).sum().backward()
        return parts[0] + w.grad

    g, whole = tn.compile(f, backend="numpy"), np.arange(12, dtype=np.float32).reshape(4, 3)
    gc.disable()
    try:
        for _ in range(2):
            np.testing.assert_array_equal(g(whole).data, whole**3 + whole.sum())
    finally:
        gc.enable()
    assert len(g.variants) == 1


def test_frames_that_another_thread_looks_at_are_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profilers keep the frames of other threads for a moment, and with them lists of tensors."""
    frames: list[Any] = []

    def f(x: Any) -> Any:
        parts = [x]
        frames.append(sys._getframe())
        return parts[0] * 2

    ended = threading.Event()
    sampler = threading.Thread(target=ended.wait)
    sampler.start()
    monkeypatch.setattr("tapenet.compiler.capture.time.sleep", lambda _: frames.clear())
    try:
        g = tn.compile(f, backend="numpy")
        np.testing.assert_array_equal(g(X).data, X * 2)
        assert len(g.variants) == 1
    finally:
        ended.set()
        sampler.join()


# -- what is changed ---------------------------------------------------------------------------------------------


def test_changing_globals_cells_and_attributes() -> None:
    global COUNT
    n = 5
    counts = {"calls": 0}
    names = {"a"}
    trace = ["begin"]

    class Trainer:
        steps = 7

    trainer = Trainer()

    def changes_global(x: Any) -> Any:
        global COUNT
        COUNT += 1
        return x

    def changes_cell(x: Any) -> Any:
        nonlocal n
        n += 1
        return x

    def changes_dict(x: Any) -> Any:
        counts["calls"] += 1
        return x

    def changes_set(x: Any) -> Any:
        names.add("b")
        return x

    def changes_list(x: Any) -> Any:
        trace.append("call")
        return x

    def changes_object(x: Any) -> Any:
        trainer.steps += 1
        return x

    def changes_class(x: Any) -> Any:
        Trainer.steps += 1
        return x

    def through_another(x: Any) -> Any:
        return changes_cell(x)

    words = {
        changes_global: r"changed the global 'COUNT' from 0 to 1",
        changes_cell: r"changed the closure variable 'n' from 5 to 6",
        changes_dict: r"changed the dict that is the closure variable 'counts' \(an entry was replaced\)",
        changes_set: r"changed the set that is the closure variable 'names' \(1 entries before, 2 after\)",
        changes_list: r"changed the list that is the closure variable 'trace' \(1 entries before, 2 after\)",
        changes_object: r"changed .*Trainer.steps from nothing to 8",
        changes_class: r"changed .*Trainer.steps from 7 to 8",
        through_another: r"changed the closure variable 'n' from 5 to 6",
    }
    for f, pattern in words.items():
        text = refused(f, X)
        assert re.search(rf"^{f.__name__} {pattern}", text), text
        assert "a replay would not do it again" in text
    assert (COUNT, n, counts, names, trace) == (0, 5, {"calls": 0}, {"a"}, ["begin"])
    assert "steps" not in vars(trainer)
    assert Trainer.steps == 7


def test_changing_an_attribute_of_a_module() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            self.calls = 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return x

    net = Counting()
    text = refused(net, X)
    assert "attribute 'calls'" in text
    assert "nn.Buffer" in text
    assert net.calls == 0


def test_reading_outside_state_is_fine() -> None:
    numbers = list(range(100_000))
    f = tn.compile(lambda x: x * numbers[3] + len(HISTORY) + COUNT + GENERATOR.bit_generator.state["has_uint32"] * 0)
    for _ in range(2):
        np.testing.assert_allclose(f(X).data, 3 * X, rtol=1e-6)


def test_changing_an_array_and_what_a_bound_method_changes() -> None:
    table = np.ones(3)
    seen: list[int] = []
    note = seen.append

    def changes_array(x: Any) -> Any:
        table[1] += 1
        return x

    def calls_append(x: Any) -> Any:
        note(1)
        return x

    assert "changed the array that is the closure variable 'table'" in refused(changes_array, X)
    assert "changed the list that is bound to the closure variable 'note'" in refused(calls_append, X)
    np.testing.assert_array_equal(table, 1)
    assert seen == []


# -- random numbers ----------------------------------------------------------------------------------------------


class Noisy(nn.Module):
    def __init__(self) -> None:
        self.rng = np.random.default_rng(5)

    def forward(self, x: Any) -> Any:
        return x + self.rng.normal(size=3)


def test_drawing_past_the_recorder() -> None:
    rng = np.random.default_rng(4)
    legacy = np.random.Generator(np.random.MT19937(4))

    class Plain:
        def __init__(self) -> None:
            self.rng = np.random.default_rng(6)

        def __call__(self, x: Any) -> Any:
            return x * self.rng.random()

    plain, noisy = Plain(), Noisy()
    draws: dict[Any, str] = {
        lambda x: x * random.random(): "Python's random",
        lambda x: x * np.random.rand(): "np.random",
        lambda x: x * rng.normal(): "Generator(PCG64)",
        lambda x: x * legacy.normal(): "Generator(MT19937)",
        lambda x: x * GENERATOR.normal(): "Generator(PCG64)",
        lambda x: x * tn.random.generator().normal(): "Generator(PCG64)",
        lambda x: plain(x): "Generator(PCG64)",
        plain: "Generator(PCG64)",
        lambda x: noisy(x): "Generator(PCG64)",
        noisy: "Generator(PCG64)",
    }
    generators = [rng, legacy, GENERATOR, tn.random.generator(), plain.rng, noisy.rng]

    def states() -> Any:
        return random.getstate(), np.random.get_state()[1:3], [str(g.bit_generator.state) for g in generators]

    before = states()
    for f, words in draws.items():
        text = refused(f, X)
        assert words in text
        assert "tn.random.uniform" in text
    assert refused(lambda x, g: x * g.normal(), X, rng).count("rng= this generator") == 1
    after = states()
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1][0], after[1][0])
    assert before[1][1] == after[1][1]
    assert before[2] == after[2]


@backends
def test_recorded_draws_are_the_stream_of_eager(compiled: Compile) -> None:
    rng = np.random.default_rng(7)
    layer = nn.Dropout(0.5, rng=8)

    def f(x: Any) -> Any:
        a = tn.random.normal(size=(3,), dtype="float32") + tn.random.uniform(size=3, dtype="float32", rng=rng)
        return layer(x) + F.dropout(x, 0.3) + a + tn.random.permutation(3) + tn.random.uniform(rng=1, dtype="float32")

    g = compiled(f)
    tn.random.seed(0)
    start = rng.bit_generator.state, layer.rng.bit_generator.state
    expected = [f(X).data for _ in range(4)]
    tn.random.seed(0)
    rng.bit_generator.state, layer.rng.bit_generator.state = start
    for e in expected:
        np.testing.assert_allclose(g(X).data, e, rtol=1e-6)
    assert len(g.variants) == 1


def test_an_op_of_the_users_may_draw_where_it_likes() -> None:
    noise = tn.op(lambda x: x + np.random.rand(*x.shape), name="noise", x=lambda g: g, random=True)
    f = tn.compile(lambda x: noise(x), backend="numpy")
    np.random.seed(0)
    expected = [X + np.random.rand(4, 3) for _ in range(3)]
    np.random.seed(0)
    for e in expected:
        np.testing.assert_allclose(f(X).data, e, rtol=1e-6)


# -- threads -----------------------------------------------------------------------------------------------------


class _Another(nn.Module):
    """Another thread: each call of the module lets it do what it was told by `does`, once, and waits for that."""

    def __init__(self) -> None:
        self.acts = SimpleQueue[Any]()
        self.begin, self.done = SimpleQueue[Any](), SimpleQueue[Any]()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def does(self, act: Any) -> None:
        self.acts.put(act)

    def _work(self) -> None:
        while self.begin.get():
            self.acts.get()()
            self.done.put(None)

    def forward(self, x: Any) -> Any:
        if not self.acts.empty():
            self.begin.put(True)
            self.done.get()
        return x


@pytest.fixture
def another() -> Iterator[_Another]:
    made = _Another()
    yield made
    made.begin.put(False)
    made.thread.join()


@backends
def test_another_threads_layers_and_random_numbers_fail_no_capture(compiled: Compile, another: _Another) -> None:
    for act in (lambda: nn.Linear(3, 3), lambda: tn.random.uniform(size=3), lambda: F.dropout(X)):
        another.does(act)
        f = compiled(lambda x: another(x) * 2)
        np.testing.assert_allclose(f(X).data, 2 * X)
        np.testing.assert_allclose(f(X).data, 2 * X)
        assert len(f.variants) == 1


@backends
def test_what_may_be_another_threads_doing_gives_no_program_and_no_error(compiled: Compile, another: _Another) -> None:
    numbers, generator = [2.0], np.random.default_rng(0)
    acts: list[Any] = [lambda: numbers.append(1.0), lambda: np.random.rand(), lambda: generator.normal()]
    for act in acts:
        another.does(act)
        f = compiled(lambda x: another(x) * numbers[0] + 0 * generator.bit_generator.state["has_uint32"])
        np.testing.assert_allclose(f(X).data, 2 * X)
        assert len(f.variants) == 0
        for _ in range(2):
            np.testing.assert_allclose(f(X).data, 2 * X)
        assert len(f.variants) == 1
    assert numbers == [2.0, 1.0]


def test_the_warning_tells_of_captures_that_gave_no_program(another: _Another) -> None:
    numbers = [2.0]
    f = tn.compile(lambda x: another(x) * numbers[0], backend="numpy", max_variants=2)
    for _ in range(2):
        another.does(lambda: numbers.append(1.0))
        f(X)
    words = r"the list that is the closure variable 'numbers' \(2 entries before, 3 after"
    with pytest.warns(tn.CompileWarning, match=words):
        np.testing.assert_allclose(f(X).data, 2 * X)
    assert f.variants == ()


def test_nothing_is_noted_of_draws_once_a_capture_has_ended(another: _Another) -> None:
    numbers = [2.0]
    for act in (lambda: None, lambda: numbers.append(1.0)):
        another.does(act)
        f = tn.compile(lambda x: another(x) * numbers[0], backend="numpy")
        f(X)
        assert draws.asked is None
    assert f.variants == ()


def test_a_watch_of_draws_may_end_while_another_thread_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each line of what asks, in turn."""
    code, before = draws.generator.__code__, sys.gettrace()
    reached = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal reached
        if frame.f_code is code:
            if event == "line":
                reached += 1
                if reached == at:
                    draws.asked = None
            return trace
        return None

    at = 0
    while reached == at:
        at, reached = at + 1, 0
        monkeypatch.setattr(draws, "asked", set())
        sys.settrace(trace)
        try:
            draws.generator()
        finally:
            sys.settrace(before)
        reached = min(reached, at)
    assert at > 3


def test_a_failed_capture_takes_back_nothing_of_another_thread(another: _Another) -> None:
    items: list[Any] = ["before"]
    found: dict[str, Any] = {"old": 1}
    drawn: list[Any] = []

    def act() -> None:
        items.append("theirs")
        found["theirs"] = 2
        drawn.append(tn.random.uniform(size=2))

    another.does(act)

    def f(x: Any) -> Any:
        y = F.dropout(x * 2)
        items.append(y)
        found["ours"] = found["old"] = y
        return float((another(y) + F.dropout(x)).sum())

    with pytest.raises(tn.CaptureError, match="float"):
        tn.compile(f, backend="numpy")(X)
    assert items == ["before", "theirs"]
    assert found == {"old": 1, "theirs": 2}
    assert not np.array_equal(tn.random.uniform(size=2), drawn[0])


def test_draws_are_put_back_though_another_thread_runs(another: _Another) -> None:
    def f(x: Any) -> Any:
        return float((another(F.dropout(x)) + F.dropout(x)).sum())

    another.does(lambda: sum(range(1000)))
    before = tn.random.generator().bit_generator.state
    with pytest.raises(tn.CaptureError, match="float"):
        tn.compile(f, backend="numpy")(X)
    assert tn.random.generator().bit_generator.state == before


# -- put back ----------------------------------------------------------------------------------------------------


def test_a_failed_capture_leaves_everything_as_it_was() -> None:
    tn.random.seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5, rng=2), nn.Linear(4, 3))
    opt = optim.Adam(net.parameters(), lr=optim.exponential(0.1, 0.9))
    fails: Any = None

    def step(x: Any, where: int) -> Any:
        loss = (F.dropout(net(x), 0.2) ** 2).mean()
        if where == 0:
            raise KeyError("fails")
        opt.zero_grad()
        loss.backward()
        if where == 1:
            float(loss)
        opt.step()
        loss2 = (net(x) ** 2).mean()
        loss2.backward()
        opt.step()
        if where == 2:
            HISTORY.append(loss)
        if where == 3:
            raise KeyboardInterrupt
        return loss

    g = tn.compile(step, backend="numpy")

    def state() -> Any:
        saved = opt.state_dict()
        moments = [dict(entry) for entry in saved.pop("state").values()]
        grads = [None if p.grad is None else (id(p.grad), p.grad.data.copy()) for p in net.parameters()]
        rngs = [str(tn.random.generator().bit_generator.state), str(net[2].rng.bit_generator.state)]
        return net.state_dict(), saved, moments, grads, rngs

    (net(X) ** 2).sum().backward()  # there are gradients
    for fails in (KeyError, tn.CaptureError, tn.CaptureError, KeyboardInterrupt):
        where = [KeyError, tn.CaptureError, None, KeyboardInterrupt].index(fails)
        for position in (where, 2) if fails is tn.CaptureError else (where,):
            before = state()
            with pytest.raises(fails):
                g(X, position)
            np.testing.assert_equal(state(), before)
    assert g.variants == ()
    g(X, 4)
    assert len(g.variants) == 1


def test_what_a_read_only_view_shows_is_put_back_where_it_is() -> None:
    numbers = np.zeros(4)
    a_view = numbers[:2]  # which is met first
    a_view.flags.writeable = False
    kept: list[int] = []

    def f(x: Any) -> Any:
        numbers[0] = 5
        kept.append(1)
        raise KeyError(a_view[0])

    for _ in range(2):
        with pytest.raises(KeyError, match="5"):
            tn.compile(f, backend="numpy")(X)
        assert a_view[0] == numbers[0] == len(kept) == 0


def test_a_failed_build_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    b = nn.Buffer(0.0)

    def f(x: Any) -> Any:
        b.data = b + 1
        return x

    g = tn.compile(f, backend="numpy")
    monkeypatch.setattr(type(g), "_build", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        g(X)
    assert b.item() == 0


class _Stop(BaseException):
    """Like an interrupt."""


@pytest.mark.slow
@pytest.mark.usefixtures("only_what_is_new")
def test_an_interrupt_at_any_point_of_a_capture_is_put_back() -> None:
    """An exception at many of the instructions of what records and puts back: the call was not made at all, or done."""
    files = tuple(
        f"{tn.__path__[0]}/{name}.py"
        for name in ("autodiff/observe/tape", "autodiff/observe/capture", "compiler/capture")
    )

    def fresh() -> Any:
        tn.random.seed(0)
        net = nn.Linear(3, 1)
        net.count = nn.Buffer(0.0)
        opt = optim.SGD(net.parameters(), lr=optim.exponential(0.1, 0.9))

        def step(x: Any) -> Any:
            net.count.data = net.count + 1
            loss = (F.dropout(net(x)) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        return net, opt, tn.compile(step, backend="numpy")

    def state(net: Any, opt: Any) -> Any:
        traces = [t._trace for t in (*net.parameters(), *net.buffers())]
        switches = local.state.now()[1] | {"scope": None, "last": None}
        return net.state_dict(), opt.state_dict(), tn.random.generator().bit_generator.state, traces, switches

    def run(step: Any, at: int) -> int:
        """Call a step, and interrupt it at one of these instructions. Returns how many it came to."""
        count = 0

        def inside(frame: Any, event: str, arg: Any) -> Any:
            nonlocal count
            if event == "opcode":
                count += 1
                if count == at:
                    raise _Stop
            return inside

        def trace(frame: Any, event: str, arg: Any) -> Any:
            if frame.f_code.co_filename not in files:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            return inside

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            step(X)
        except _Stop:
            pass
        finally:
            sys.settrace(before)
        return count

    run(fresh()[2], -1)  # what is made once
    net, opt, step = fresh()
    begin = state(net, opt)
    count = run(step, -1)
    done = state(net, opt)
    for at in range(1, count, 101):
        net, opt, step = fresh()
        run(step, at)
        if net.count.item() == 0:
            np.testing.assert_equal(state(net, opt), begin, err_msg=str(at))
            step(X)
        np.testing.assert_equal(state(net, opt), done, err_msg=str(at))
