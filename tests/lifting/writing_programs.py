"""Random NumPy programs that write in place, through views and with every function of NumPy's that writes."""

from __future__ import annotations

import linecache
import random
from collections.abc import Callable

import numpy as np

#: What gives an array of another.
TAKEN = (
    "{a}[1:]", "{a}[:-1]", "{a}[::2]", "{a}[::-1]", "{a}[0]", "{a}[-1]", "{a}[...]", "{a}[None]", "{a}.T", "{a}.reshape(-1)",
    "{a}.ravel()", "np.transpose({a})", "np.flip({a})", "{a}.swapaxes(0, -1)", "np.squeeze({a})", "np.expand_dims({a}, 0)",
    "np.moveaxis({a}, 0, -1)", "np.diagonal({a})", "{a}.flatten()", "{a}.copy()", "{a}[[0, -1]]", "np.atleast_2d({a})",
    "np.split({a}, [1])[0]", "np.array_split({a}, 2)[1]", "np.asarray({a})", "np.ascontiguousarray({a})", "np.array({a})",
    "np.array({a}, copy=False)", "{a}.astype(float)", "{a}.astype(float, copy=False)", "{a}.real", "np.real({a})",
    "{a}.view()", "np.broadcast_to({a}, (2,) + {a}.shape)", "np.rot90(np.atleast_2d({a}))", "{a}[..., 0]", "{a}[..., None]",
    "{a}[1:][::-1]", "{a}.squeeze()", "np.fliplr(np.atleast_2d({a}))", "{a}.reshape(-1, 1)", "np.ravel({a}, order='F')",
    "np.tile({a}, 1)", "{a}.reshape({a}.shape[::-1])", "np.roll({a}, 1)", "np.concatenate([{a}])", "np.stack([{a}, {a}])",
    "np.take({a}, [0], axis=0)", "np.nan_to_num({a})", "+{a}", "np.positive({a})", "{a} * 1", "np.atleast_2d({a}).mT",
    "np.vstack([{a}])", "np.clip({a}, -9, 9)", "np.triu(np.atleast_2d({a}))", "np.repeat({a}, 1)", "np.append({a}, {a})",
    "np.delete({a}, 0, axis=0)", "np.require({a})", "np.resize({a}, {a}.shape)", "list({a})[0]", "np.round({a}, 3)",
    "np.where(True, {a}, {a})", "np.pad({a}, 0)", "np.sort({a})", "np.compress([True], {a}, axis=0)", "np.copy({a})",
    "np.reshape({a}, -1, order='F')", "np.permute_dims({a})", "np.lib.stride_tricks.sliding_window_view({a}, 1, axis=0)",
    "np.einsum('i...->i...', {a})", "{a}.transpose()", "{a}.imag", "np.imag({a})", "np.conj({a})", "{a}.astype(int)",
    "{a}.astype(complex)", "{a} > 0", "np.abs({a})", "np.einsum('ii->i', {a})",
)  # fmt: skip
#: What writes to one.
WRITTEN = (
    "{a}[0] = {s}", "{a}[-1] = {b}.sum()", "{a}[...] = {s}", "{a}[:] = {a}[::-1]", "{a}[1:] = {a}[:-1]", "{a} += {s}",
    "{a} *= {s}", "{a} -= {a}.mean()", "{a}[0] += {s}", "{a}[1:] += {a}[:-1]", "{a}[{a} > 0.3] = {s}",
    "{a}[{a} > 0.3] *= {s}", "{a}[[0, -1]] = {s}", "{a}[[0, -1]] += {s}", "np.add({a}, {s}, out={a})",
    "np.multiply({a}, {a}, out={a})", "np.copyto({a}, {s})", "np.copyto({a}, {s}, where={a} > 0.2)",
    "np.put({a}, [0, 1], [{s}, {s} * 2])", "np.place({a}, {a} > 0.4, [{s}])", "np.putmask({a}, {a} < 0.1, {s})",
    "np.add.at({a}, [0, 0], {s}) if {a}.dtype.kind in 'fc' else None",
    "np.subtract.at({a}, 0, {s}) if {a}.dtype.kind in 'fc' else None", "{a}[0], {a}[-1] = {a}[-1].copy(), {a}[0].copy()",
    "{a}[0], {a}[-1] = {a}[-1], {a}[0]", "{a}.fill({s})", "{a}.sort()", "{a}[::2] = {s}", "{a}[..., 0] = {s}",
    "{a}[..., -1] -= {s}", "np.fill_diagonal({a}, {s})", "{a}.T[...] = {a}.T * {s}", "{a}.reshape(-1)[0] = {s}",
    "{a}.ravel()[1:] = {s}", "{a}[np.array([0])] = {s}", "np.sin({a}, out={a})", "{a}[1:][0] = {s}", "{a}[::-1][0] = {s}",
    "{a}[1:][::-1][...] += {s}", "{a} /= 2", "{a} **= 2", "np.cumsum({a}, axis=0, out={a})",
    "np.clip({a}, -0.5, 0.5, out={a})", "{a}.flat[0] = {s}", "{a}.put(0, {s})", "np.negative({a}, {a})",
    "np.put_along_axis({a}, np.zeros((1,) * {a}.ndim, int), {s}, axis=0)", "{a}[0] = {a}[-1]",
    "np.maximum({a}, {s}, out={a})", "np.diagonal({a})[...] = {s}", "{a}[np.int64(1)] = {s}", "{a}[np.int64(1):] += {s}",
    "{a}[np.arange({a}.shape[0]) < 1] = {s}", "{a}.shape = {a}.size", "{a}.real[...] = {s}", "{a}.real = {s}",
    "{a}.imag = {s}", "np.imag({a})[0] = {s}", "{a} //= 2", "{a} |= True", "{a} ^= 1", "{a}[...] = {a} * 1j", "{a}[0] = 2.7",
    "np.einsum('ii->i', {a})[...] = {s}", "np.logical_not({a}, out={a})", "{a} %= 2", "{a}[0] = True",
)  # fmt: skip
#: What makes one.
MADE = (
    "np.zeros((3, 3))", "np.zeros(4)", "np.ones((2, 3))", "np.empty((2, 2)) * 0", "np.full((3, 2), 0.5)", "np.arange(4.0)",
    "np.eye(3)", "np.zeros_like({a})", "np.outer(x, x)", "x * 2", "x.copy()", "np.linspace(0, 1, 4)", "np.zeros((2, 3, 2))",
    "np.array([x.sum(), 1.0, 0.25])", "np.tri(3)", "np.identity(2)", "np.fromfunction(lambda i, j: i + j * 0.5, (2, 3))",
    "np.indices((2, 2))[0] * 1.0", "np.array([[1.0, 2.0], [0.5, 0.25]], order='F')", "np.zeros((2, 2), order='F')",
    "np.arange(4)", "np.zeros((2, 2), int)", "np.array([True, False, True])", "x * (1 + 0.5j)", "np.zeros((2, 2), complex)",
    "np.arange(6).reshape(2, 3)", "x > 0.2", "np.meshgrid(np.arange(2.0), np.arange(3.0))[0]", "np.diag(x)",
    "np.asarray([0.1, 0.2, 0.3])",
)  # fmt: skip
NUMBERS = ("x[0]", "x.sum()", "0.7", "(x[0] * x[1])", "{b}.sum() * 0.1", "{b}.max()")


def text(seed: int) -> str:
    """A program of `x`, an array of three numbers, that returns all that it makes."""
    rng = random.Random(seed)
    names, lines = ["x"], ["def f(x):", "    s = 0.0"]
    for _ in range(rng.randint(3, 9)):
        kind, last = rng.random(), names[1:] or names
        number = rng.choice(NUMBERS).format(b=rng.choice(last))
        if len(names) == 1 or kind < 0.5:
            given = rng.choice(MADE if len(names) == 1 or kind < 0.15 else TAKEN)
            lines.append(f"    a{len(names)} = {given.format(a=rng.choice(last))}")
            names.append(f"a{len(names)}")
        elif kind < 0.55:
            lines.append(f"    s += {number}")
        else:
            lines.append("    " + rng.choice(WRITTEN).format(a=rng.choice(last), b=rng.choice(last), s=number))
            if rng.random() < 0.3:
                lines.append(f"    s = s + {rng.choice(last)}.sum()")
    return "\n".join([*lines, f"    return s, {', '.join(names[1:])},", ""])


def defined(source: str, name: str) -> Callable[[object], tuple[object, ...]]:
    """The function that a text defines; errors show its lines."""
    file = f"<{name}>"
    linecache.cache[file] = len(source), None, source.splitlines(True), file
    names: dict[str, object] = {"np": np, "__name__": name}
    exec(compile(source, file, "exec"), names)
    return names["f"]  # type: ignore[return-value]


def total(values: tuple[object, ...]) -> object:
    """A number that depends on each element in its own way."""
    found: object = 0.0
    for place, value in enumerate(values):
        count = int(np.prod(np.shape(value)))  # type: ignore[arg-type]
        weighted = (value * (np.arange(1.0, 1 + count).reshape(np.shape(value)) * 0.1 + 0.3 + place)).sum()  # type: ignore
        found += np.real(weighted) + 0.7 * np.imag(weighted)
    return found
