"""Random numbers that loops draw in their turn: NumPy's, without Python, and with the generator free for others meanwhile."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet.program.native import entry
from tapenet.program.native.draws import Lending, Place
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

RNG = np.random.default_rng(0)
DRAWS: dict[str, Callable[[], Any]] = {
    "normal": lambda: tn.random.normal(size=3),
    "whole": lambda: tn.random.integers(-5, 9, 3),
    "whole, from 0": lambda: tn.random.integers(7),
    "whole, all": lambda: tn.random.integers(-(2**63), 2**63, (2, 1)),
    "whole, 32 bits": lambda: tn.random.integers(2**31 - 1, size=3, dtype=np.int32),
    "whole, 16 bits": lambda: tn.random.integers(3, 60_000, 3, np.uint16),
    "whole, 8 bits": lambda: tn.random.integers(-100, 101, 13, np.int8),
    "one number": lambda: tn.random.integers(4, 5, 3),
    "dropout": lambda: F.dropout(np.ones((3, 5)), 0.3),
    "dropout of a half": lambda: F.dropout(np.ones(17, np.float32), 0.5),
    "dropout of all": lambda: F.dropout(np.ones(4), 1.0),
    "alpha dropout": lambda: F.alpha_dropout(np.ones((4, 4)), 0.25),
    "channels": lambda: F.dropout2d(np.ones((2, 5, 2, 2)), 0.4),
    "bernoulli": lambda: tn.random.bernoulli(0.3, (2, 300)),
    "bernoulli of many": lambda: tn.random.bernoulli(np.array([0.1, 0.9, 0.5])),
    "a generator": lambda: tn.random.normal(size=2, rng=RNG) + tn.random.uniform(size=2),
    "a generator's": lambda: tn.random.integers(9, size=2, rng=RNG),
}


def turns(kind: str, draw: Callable[[], Any]) -> Callable[[Any], Any]:
    if kind == "scan":
        return lambda x: tn.scan(lambda c, x: (c + x + draw().sum() * 1.0, draw()), np.float64(0), x)
    return lambda x: tn.while_loop(
        lambda c: c[0] < len(x), lambda c: (c[0] + 1, c[1] * 0.5 + draw().sum() * 1.0), (np.int64(0), x.sum())
    )


@pytest.mark.parametrize("kind", ["scan", "while"])
@pytest.mark.parametrize("name", DRAWS)
@backends
def test_they_are_numpys_without_python(compiled: Compile, name: str, kind: str) -> None:
    f, x = turns(kind, DRAWS[name]), np.arange(4.0)
    step = compiled(f)
    begin = RNG.bit_generator.state
    for seed in range(3):
        results = []
        for run in (f, step):
            tn.random.seed(seed)
            RNG.bit_generator.state = begin
            found = run(x)
            results.append([*(np.asarray(v) for v in found), tn.random.integers(2**40), RNG.integers(2**40)])
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12)
    assert not entry.usable() or not calls_python(step)


def is_free() -> bool:
    """Whether another thread may draw from the generator of the process."""
    lock = tn.random.generator().bit_generator.lock
    found: list[bool] = []
    other = threading.Thread(target=lambda: found.append(lock.acquire(blocking=False)))
    other.start()
    other.join()
    return found == [True]


def test_the_generator_is_free_while_python_is_called_back() -> None:
    """An op waits for a thread that draws: with the generator locked both would wait for ever."""
    pytest.importorskip("llvmlite")
    threads = []

    def waits(x: Any) -> Any:
        thread = threading.Thread(target=lambda: tn.random.generator().random(), daemon=True)
        if waiting:
            thread.start()
            thread.join(timeout=20)
            threads.append(thread.is_alive())
        return np.array(x) + 1

    op = tn.op(waits, nondiff=True, opaque="it waits")
    waiting = False

    def f(x: Any) -> Any:
        looped = tn.while_loop(
            lambda c: c[0] < 3, lambda c: (c[0] + 1, op(c[1]) + tn.random.normal()), (np.int64(0), x)
        )[1]
        return op(looped)

    step = tn.compile(f, backend="native")
    for _ in range(2):
        step(np.float64(1))
    waiting = True
    step(np.float64(1))
    assert threads == [False] * 4
    assert is_free()


def test_an_error_while_python_is_called_back_leaves_the_generator_free() -> None:
    pytest.importorskip("llvmlite")

    def refuses(x: Any) -> Any:
        if x > 10:
            raise ArithmeticError("too large")
        return np.array(x) + 1

    op = tn.op(refuses, nondiff=True, opaque="it looks at values")
    step = tn.compile(
        lambda x: tn.while_loop(
            lambda c: c[0] < 3, lambda c: (c[0] + 1, op(c[1]) + tn.random.uniform()), (np.int64(0), x)
        ),
        backend="native",
    )
    for _ in range(2):
        step(np.float64(1))
    with pytest.raises(ArithmeticError, match="too large"):
        step(np.float64(9.5))
    assert is_free()


def test_an_interrupt_leaves_generators_free() -> None:
    """Wherever it comes while they are lent or given back: a profiler raises it beside each call of a C function."""
    places = [Place(np.zeros(1, np.int64), lambda rng=rng: rng) for rng in map(np.random.default_rng, range(2))]
    lending, left = Lending(places), [0]

    def interrupt(frame: object, event: str, argument: object) -> None:
        if event.startswith("c_") and argument is not sys.setprofile:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt

    def use() -> None:
        with lending:
            lending.outside(lambda: None)()

    def is_free(lock: Any) -> bool:
        free = lock.acquire(blocking=False)
        if free:
            lock.release()
        return bool(free)

    for at in range(1000):
        left[0] = at
        sys.setprofile(interrupt)
        try:
            use()
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        with ThreadPoolExecutor(1) as other:
            for place in places:
                assert other.submit(is_free, place.generator().bit_generator.lock).result(20), at
    assert at > 5


@pytest.mark.parametrize("draw", [lambda v: F.dropout(v, 0.4), lambda v: v * tn.random.integers(0, 9, 3, np.int8)])
def test_lanes_and_derivatives_of_scans_that_draw(draw: Any) -> None:
    """There they are drawn ahead."""

    def f(x: Any) -> Any:
        return tn.scan(lambda c, _: (draw(c) + x, None), x, np.arange(3))[0]

    x = tn.tensor(np.arange(1.0, 7).reshape(2, 3))
    assert not np.allclose(*tn.vmap(f, randomness="different")(x * 0 + 1).numpy())
    np.testing.assert_array_equal(*tn.vmap(f, randomness="same")(x * 0 + 1).numpy())
    tn.random.seed(0)
    slopes = tn.jacrev(f)(x[0]).numpy()
    tn.random.seed(0)
    np.testing.assert_allclose(slopes @ x[0].numpy(), f(x[0]).numpy())


@backends
def test_limits_and_chances_that_are_arrays(compiled: Compile) -> None:
    def f(x: Any) -> Any:
        def turn(c: Any, _: Any) -> Any:
            drawn = tn.random.integers(np.array([3, 500]), size=np.array([2, 2]))
            return c + drawn.sum() + F.dropout(x, np.array(0.3)).sum(), None

        return tn.scan(turn, np.float64(0), x)[0]

    step, x = compiled(f), np.arange(3.0)
    for seed in range(3):
        tn.random.seed(seed)
        right = f(x)
        tn.random.seed(seed)
        np.testing.assert_allclose(step(x), right)


@backends
def test_a_power_that_is_refused_leaves_what_is_written_after_it(compiled: Compile) -> None:
    class Net(tn.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = tn.nn.Buffer(np.zeros(4))

        def forward(self, x: Any, y: Any) -> Any:
            found = x**y
            self.count += 1.0
            return found

    net, x = Net(), np.array([2, 3])
    step = compiled(net)
    for _ in range(2):
        step(x, np.array([1, 2]))
    with pytest.raises(ValueError, match="negative integer powers"):
        step(x, np.array([1, -2]))
    np.testing.assert_array_equal(net.count.numpy(), np.full(4, 2.0))


@backends
def test_an_epoch_draws_in_its_turn_and_asks_for_its_rates_ahead(compiled: Compile) -> None:
    xs = np.random.default_rng(1).normal(size=(5, 4, 6))

    def run(compile: Callable[..., Any]) -> tuple[list[Any], Any]:
        tn.random.seed(3)
        w = tn.tensor(np.linspace(-1, 1, 18).reshape(6, 3), requires_grad=True)
        opt = tn.optim.Adam([w], lr=lambda step: 0.1 / (1 + step))

        def turn(carry: Any, x: Any) -> Any:
            loss = (F.dropout(x @ w, 0.3) ** 2).sum() + (tn.random.normal(size=3) * w).sum()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return carry, loss

        step = compile(lambda xs: tn.scan(turn, None, xs)[1])
        found = [step(xs).numpy() for _ in range(3)]
        return [*found, w.numpy().copy(), opt.state_dict()["step"], tn.random.integers(2**40)], step

    expected, _ = run(lambda f: f)
    found, step = run(compiled)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
    runner = step.variants[0].runner
    if hasattr(runner, "module") and entry.usable():
        assert not runner.module.called_back


@pytest.mark.parametrize("trains", [False, True])
@backends
def test_loops_in_loops_draw_behind_what_the_turn_has_drawn(compiled: Compile, trains: bool) -> None:
    xs = np.random.default_rng(1).normal(size=(3, 4, 6))

    def run(compile: Callable[..., Any]) -> list[Any]:
        tn.random.seed(3)
        w = tn.tensor(np.linspace(-1, 1, 18).reshape(6, 3), requires_grad=True)
        opt = tn.optim.Adam([w], lr=0.1)

        def turn(carry: Any, x: Any) -> Any:
            rows = F.dropout(x @ w, 0.3)
            noise = tn.scan(lambda c, row: (c + (row * tn.random.normal(size=3)).sum(), None), np.zeros(()), rows)[0]
            loss = (rows**2).sum() + noise
            if trains:
                opt.zero_grad()
                loss.backward()
                opt.step()
            return carry + tn.random.normal(), loss

        step = compile(lambda xs: tn.scan(turn, np.zeros(()), xs))
        return [v.numpy() for _ in range(3) for v in step(xs)] + [tn.random.integers(2**40)]

    for a, b in zip(run(compiled), run(lambda f: f), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
