"""The page for those who come from JAX: its programs give the same, and what it says of JAX is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "coming_from_jax.md").read_text(encoding="utf-8")
THEIRS = re.findall(r"^```python no-run\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]
OURS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]


def test_both_programs_give_the_same() -> None:
    pytest.importorskip("jax")
    there: dict[str, Any] = {}
    here: dict[str, Any] = {}
    exec(THEIRS, there)
    exec(OURS, here)
    params = {name: p.numpy().astype(np.float32) for name, p in here["params"].items()}
    x, y = (here[name].numpy().astype(np.float32) for name in "xy")
    value, after = there["step"](params, x, y)
    ours, mine = here["step"](tn.tree.map(tn.tensor, params), tn.tensor(x), tn.tensor(y))
    np.testing.assert_allclose(ours.numpy(), value, rtol=1e-5)
    slopes, own = there["per_sample"](params, x, y), here["per_sample"](params, x, y)
    for name in params:
        np.testing.assert_allclose(mine[name].numpy(), after[name], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(own[name].numpy(), slopes[name], rtol=1e-4, atol=1e-6)


def test_silent_differences_are_so() -> None:
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    assert jnp.asarray([0.1]).dtype == np.float32
    assert (jnp.arange(3) / 2).dtype == np.float32
    assert (tn.arange(3) / 2).dtype == np.float64
    assert jax.grad(lambda z: jnp.abs(z) ** 2)(1.0 + 2.0j) == 2 - 4j
    assert jnp.arange(4)[5] == 3
    assert np.isnan(jax.grad(lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0))(0.0))


def test_random_numbers_of_a_compiled_function_are_others_at_each_call() -> None:
    draw = tn.compile(lambda x: x * tn.random.normal(size=3))
    first, second = (draw(tn.ones(3)).numpy() for _ in range(2))
    assert not np.array_equal(first, second)


def test_printing_a_value_in_a_compiled_function_raises() -> None:
    with pytest.raises(tn.CaptureError, match="return it from the captured function and print it there"):
        tn.compile(lambda x: (print(x), x * 2)[1])(tn.tensor([1.0, 2.0]))
