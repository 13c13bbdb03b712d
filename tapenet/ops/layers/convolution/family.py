"""The families of convolutions over one, two and three spatial axes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tapenet.ops.layers.convolution import documentation, lanes
from tapenet.ops.layers.convolution.geometry import AXES
from tapenet.ops.layers.convolution.spatial import forwards
from tapenet.ops.op import Op, op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array


def batch_last(axes: int) -> tuple[int, ...]:
    """The order in memory of batches of results over so many spatial axes."""
    return (*range(1, axes + 2), 0)


def _family(axes: int, samples: Samples) -> tuple[Op, Op, Op]:
    """The three ops over so many spatial axes: with T(x, weight, y) = Σ y · conv(x, weight), its derivatives by y, by x
    and by weight."""
    name, made = f"conv{axes}d", forwards(axes)

    def gradients(r: np.random.Generator) -> Iterator[tuple[Array, Array, Array, tuple[object, ...]]]:
        """Of some samples x and the weight, a gradient by their convolution, and the options."""
        for call in list(samples(r))[:3]:
            x, weight, _, *options = call.args
            yield x, weight, np.asarray(r.normal(size=made[0](*call.args).shape)), tuple(options)

    options, spatial, offsets = documentation.options(axes), documentation.spatial(axes), documentation.offsets(axes)
    ones = (1,) * (axes - 1)
    over_lanes = lanes.rules(axes, lambda: (conv, by_input, by_weight))
    conv: Op = op(
        made[0],
        name=name,
        memory=batch_last(axes),
        multiply_adds=lambda weight_shape, out_shape: math.prod(out_shape) * math.prod(weight_shape[1:]),
        label=lambda weight_shape, stride, padding, dilation, groups: documentation.label(
            "conv", weight_shape[2:], weight_shape[0], stride, padding, dilation, groups
        ),
        x=lambda g, weight, x_shape, stride, padding, dilation, groups: by_input(
            g, weight, x_shape, stride, padding, dilation, groups
        ),
        weight=lambda g, x, weight_shape, stride, padding, dilation, groups: by_weight(
            x, g, weight_shape, stride, padding, dilation, groups
        ),
        bias=lambda g: bias_grad(g, axes),
        formula="Σ weight · x over each window, + bias",
        doc=f"""The cross-correlation of {WHAT[axes]} with kernels, plus a bias.

    out[n, o, {documentation.places(axes)}] = bias[o] + Σ weight[o, c, {offsets}] · x[n, c, {documentation.sources(axes)}],
    the sum running over the input channels c and the kernel's elements {offsets}.

    Args:
        x: (batch, channels, {spatial}), or without the batch.
        weight: (out, channels / groups, {documentation.spatial(axes, "kernel ")}).
        bias: (out,), or None.
        {options}

    Returns:
        (batch, out, {documentation.spatial(axes, after="'")}) with {AXES[axes][0]}' = ({AXES[axes][0]} + padding - dilation
        (kernel - 1) - 1) // stride + 1, padding counting both sides. In memory the batch is the innermost axis.

    Raises:
        ValueError: channels, groups, kernel, bias or number of axes do not fit each other.

    >>> import numpy as np, tapenet as tn
    >>> tn.{name}(tn.tensor(np.arange(3.0).reshape({(1, 1, *ones, 3)})), np.ones({(1, 1, *ones, 2)})).tolist()
    {nested([1.0, 3.0], axes + 1)}
    """,
        vmap=over_lanes[0],
        samples=samples,
    )
    by_input: Op = op(
        made[1],
        name=f"{name}_input_grad",
        label="conv input gradient",
        memory=batch_last(axes),
        multiply_adds=lambda y_shape, weight_shape: math.prod(y_shape) * math.prod(weight_shape[1:]),
        y=lambda g, weight, stride, padding, dilation, groups: conv(g, weight, None, stride, padding, dilation, groups),
        weight=lambda g, y, weight_shape, stride, padding, dilation, groups: by_weight(
            g, y, weight_shape, stride, padding, dilation, groups
        ),
        formula="y correlated with the flipped weight",
        doc=f"""The gradient of {name} by its input: the transposed convolution of `y` with the kernels.

    Args:
        y: the gradient by {name}'s result, of that shape.
        weight: {name}'s kernels, (out, channels / groups, {documentation.spatial(axes, "kernel ")}).
        shape: of {name}'s input, which is the shape of the result.
        {options}

    Raises:
        ValueError: the shapes do not fit each other.

    >>> import numpy as np, tapenet as tn
    >>> y, weight = tn.tensor(np.reshape([1.0, 10.0], {(1, 1, *ones, 2)})), np.ones({(1, 1, *ones, 2)})
    >>> tn.{name}_input_grad(y, weight, {(1, 1, *ones, 3)}).tolist()
    {nested([1.0, 11.0, 10.0], axes + 1)}
    """,
        vmap=over_lanes[1],
        samples=lambda r: [sample(y, w, x.shape, *options) for x, w, y, options in gradients(r)],
    )
    by_weight: Op = op(
        made[2],
        name=f"{name}_weight_grad",
        label="conv weight gradient",
        multiply_adds=lambda y_shape, shape: math.prod(y_shape) * math.prod(shape[1:]),
        x=lambda g, y, x_shape, stride, padding, dilation, groups: by_input(
            y, g, x_shape, stride, padding, dilation, groups
        ),
        y=lambda g, x, stride, padding, dilation, groups: conv(x, g, None, stride, padding, dilation, groups),
        formula="x correlated with y",
        doc=f"""The gradient of {name} by its kernels: the correlation of its input with `y`.

    Args:
        x: {name}'s input.
        y: the gradient by {name}'s result, of that shape.
        shape: of {name}'s kernels, which is the shape of the result.
        {options}

    Raises:
        ValueError: the shapes do not fit each other.

    >>> import numpy as np, tapenet as tn
    >>> x, y = tn.tensor(np.reshape([1.0, 2.0, 3.0], {(1, 1, *ones, 3)})), np.ones({(1, 1, *ones, 2)})
    >>> tn.{name}_weight_grad(x, y, {(1, 1, *ones, 2)}).tolist()
    {nested([3.0, 5.0], axes + 1)}
    """,
        vmap=over_lanes[2],
        samples=lambda r: [sample(x, y, w.shape, *options) for x, w, y, options in gradients(r)],
    )
    return conv, by_input, by_weight


WHAT = {1: "sequences", 2: "images", 3: "volumes"}


def nested(values: list[float], depth: int) -> str:
    """A list inside so many others, as Python prints it."""
    return "[" * depth + str(values) + "]" * depth


def bias_grad(g: Array, axes: int) -> Array:
    """The gradient by a bias per channel: the sum over all other axes."""
    return _sum(g, (0, *range(2, axes + 2)) if len(g.shape) == axes + 2 else tuple(range(1, axes + 1)))


# -- samples -----------------------------------------------------------------------------------------------------


def _samples2d(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=(2, 2, 4, 3)), r.normal(size=(3, 2, 2, 2)), r.normal(size=3)),
        sample(r.normal(size=(2, 1, 5, 4)), r.normal(size=(2, 1, 2, 3)), r.normal(size=2), 2, (1, 2)),
        sample(r.normal(size=(1, 2, 4, 4)), r.normal(size=(2, 1, 2, 2)), None, (2, 1), 1, 2, 2),
        sample(r.normal(size=(2, 3, 4)), r.normal(size=(4, 2, 1, 1)), r.normal(size=4)),
        sample(r.normal(size=(1, 1, 3, 3)), r.normal(size=(1, 1, 2, 2)), padding="same"),
        sample(r.normal(size=(1, 1, 3, 3)), r.normal(size=(1, 1, 2, 2)), padding=((1, 0), (0, 2))),
    ]


def _samples1d(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=(2, 2, 4)), r.normal(size=(3, 2, 2)), r.normal(size=3)),
        sample(r.normal(size=(2, 5)), r.normal(size=(2, 1, 2)), None, 2, ((2, 1),), 2, 2),
    ]


def _samples3d(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=(2, 1, 2, 3, 2)), r.normal(size=(1, 1, 2, 2, 1)), r.normal(size=1)),
        sample(r.normal(size=(2, 3, 2, 2)), r.normal(size=(2, 1, 2, 1, 2)), None, (1, 2, 1), (0, 0, 1), (2, 1, 2), 2),
    ]


conv1d, conv1d_input_grad, conv1d_weight_grad = _family(1, _samples1d)
conv2d, conv2d_input_grad, conv2d_weight_grad = _family(2, _samples2d)
conv3d, conv3d_input_grad, conv3d_weight_grad = _family(3, _samples3d)
