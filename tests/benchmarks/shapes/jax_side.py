"""JAX, jitted."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.benchmarks.shapes.convolutions import Convolution
from tests.benchmarks.shapes.grid import Call, Row
from tests.benchmarks.shapes.layers import Layer, pulled

jax.config.update("jax_cpu_enable_async_dispatch", False)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def calls(row: Row) -> Iterator[tuple[str, list[Call]]]:
    """The one way to do it."""
    runs = convolution(row) if isinstance(row, Convolution) else layer(row)
    yield "jax", [lambda run=run: jax.block_until_ready(run()) for run in runs]  # type: ignore[misc]


def convolution(row: Convolution) -> list[Call]:
    """With channels last."""
    x, w, g = row.data()
    places = "HW"[: row.axes]
    x, g = (jnp.asarray(np.moveaxis(a, 1, -1).copy()) for a in (x, g))
    w = jnp.asarray(np.moveaxis(w, (0, 1), (-1, -2)).copy())

    def conv(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(
            x, w, (row.stride,) * row.axes, [(row.padding,) * 2] * row.axes,
            rhs_dilation=(row.dilation,) * row.axes, feature_group_count=row.groups,
            dimension_numbers=(f"N{places}C", f"{places}IO", f"N{places}C"),
        )  # fmt: skip

    return [
        functools.partial(jax.jit(conv), x, w),
        functools.partial(jax.jit(lambda x, w, g: jax.vjp(lambda x: conv(x, w), x)[1](g)), x, w, g),
        functools.partial(jax.jit(lambda x, w, g: jax.vjp(lambda w: conv(x, w), w)[1](g)), x, w, g),
    ]


def layer(row: Layer) -> list[Call]:
    """What the layer gives, and it with the gradients."""
    arrays, labels = row.data()
    inputs, others = ([jnp.asarray(a) for a in given] for given in (arrays, labels))

    @jax.jit
    def both(g: Any, inputs: Any, others: Any) -> Any:
        out, pull = jax.vjp(lambda *inputs: row.jax(*inputs, *others), *inputs)
        return out, pull(g)

    forward = jax.jit(row.jax)
    g = jnp.asarray(pulled(forward(*inputs, *others).shape))
    return [functools.partial(forward, *inputs, *others), functools.partial(both, g, inputs, others)]
