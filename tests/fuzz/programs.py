"""Random programs: eager against the NumPy backend against native code, over several calls.

A program is written statement by statement. Each is run at once, eagerly, so that the writer knows which shapes and dtypes
there are to go on with; one that raises is dropped. What is compared in the end are the results, the gradients (also those of
a second derivative), the parameters and the state of the optimizer.

Exact programs compute with small integers and halves, which come out the same in any order of summation, and must agree to
the last bit. The others may differ by rounding: by so much as they themselves change where all that enters is shaken by a few
units in the last place, and a little more.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.ops.registry import registry
from tests.fuzz import compared

FEW = 25
MANY = 60

#: Elements of a value at most.
SIZE = 120
#: Calls of every op that has no effect, as name and number.
OPS = [
    (name, i)
    for name, op in sorted(registry.items())
    if name.startswith("tapenet.ops.") and not (isinstance(op, Op) and op.effect)
    for i in range(len(list(op.samples(np.random.default_rng(0)))))
]


#: Statements as templates. `x` is a value, `y` one that broadcasts with it, `b` a truth, `i` integers that index its first
#: axis, `j` its last, `axis` an axis, `shape` another shape of as many elements, `wide` one that it broadcasts to.
EXACT = {
    "elementwise": [
        "-{x}", "{x} + {y}", "{x} - {y}", "small({x} * {y})", "np.abs({x})", "small(np.square({x}))", "np.sign({x})",
        "np.floor({x} / 2)", "tn.relu({x})", "np.maximum({x}, {y})", "np.minimum({x}, {y})", "np.clip({x}, -1, 2)",
        "{x} > {y}", "{x} == {y}", "np.where({b}, {x}, {y})", "np.where({x} > {y}, {x}, 0)", "{x}.astype({dtype})",
        "{x} * 0.5", "{x} // 2", "{x} % 3", "small({x} ** 2)", "np.logical_not({b})", "np.logical_and({b}, {x} > 0)",
        "{x}.detach()", "{x}.copy()", "1 - {x}", "increased({x}, {y})", "tn.stop_gradient({x}) + {y}", "np.zeros_like({x})",
        "np.ones_like({x}) * {y}", "{x} != {y}", "np.invert({b})", "tn.leaky_relu({x}, 0.5)", "np.heaviside({x}, 0)",
        "np.trunc({x} / 2)", "np.negative({x})", "np.positive({x})",
    ],
    "views": [
        "{x}.T", "{x}.reshape(-1)", "{x}.reshape({shape})", "np.expand_dims({x}, {axis})", "{x}[None]", "{x}[..., None]",
        "np.squeeze({x})", "np.broadcast_to({x}, {wide})", "{x}[::-1]", "{x}[..., ::2]", "{x}[1:]", "{x}[:0]", "{x}[0]",
        "{x}[-1:]", "np.swapaxes({x}, 0, -1)", "np.moveaxis({x}, 0, -1)", "np.flip({x})", "np.split({x}, [1])[1]",
        "np.diagonal({x})", "np.roll({x}, 1)", "np.roll({x}, -1, {axis})", "np.tile({x}, 2)", "np.repeat({x}, 2, {axis})",
        "np.pad({x}, 1)", "np.tril({x})", "np.rot90({x})", 'np.ravel({x}, "F")', "np.triu({x}, 1)",
        "np.meshgrid({x}[0], {y}[0])[0]", "{x}[..., ::-2]",
    ],
    "indexing": [
        "{x}[{i}]", "{x}[..., {j}]", "np.take({x}, {i}, 0)", "{x}[{i}, ..., {j}]", "{x}[{i}[..., None], ..., {j}]",
        "np.take_along_axis({x}, np.argsort({x}, -1), -1)", "written({x}, {i}, {y})", "added({x}, {i}, 1)",
        "{x}[..., None, {j}]", "F.embedding({i}, {x})", "written({x}, (..., {j}), 2)", "F.one_hot({i}, 4)",
        "np.sort({x}, {axis})", "np.argsort({x}, {axis})", "np.broadcast_to({i}, (2, *{i}.shape))",
        "written({x}, slice(1, None), 0)", "{x}[np.broadcast_to({i}, (2, *{i}.shape))]",
        "{x}[{x} > 0]", "np.nonzero({x})[0]",
    ],
    "reductions": [
        "{x}.sum()", "{x}.sum({axis})", "{x}.sum({axis}, keepdims=True)", "{x}.max()", "{x}.max({axis})",
        "np.min({x}, {axis}, keepdims=True)", "small({x}.prod({axis}))", "small(np.cumsum({x}, {axis}))",
        "np.argmax({x}, {axis})", "np.any({x} > 0, {axis})", "np.all({b})", "np.count_nonzero({x}, {axis})",
        "np.ptp({x}, {axis})", "np.diff({x})", "np.trace({x})", "np.median({x}, {axis})", "np.nansum({x}, {axis})",
    ],
    "products": [
        "small({x} @ {y})", "small({x} @ {x}.T)", "small(np.dot({x}, {y}))", "small(np.outer({x}, {y}))",
        'small(np.einsum("...i,...i->...", {x}, {y}))', "small(np.tensordot({x}, {y}, 1))",
        'small(np.einsum("ij,kj->ik", {x}, {x}))', "small(F.linear({x}, {y}))", "small(np.inner({x}, {y}))",
        "small(np.kron({x}, {y}))", "small(np.vdot({x}, {y}))",
    ],
    "joins": [
        "np.concatenate([{x}, {x}])", "np.concatenate([{x}, {y}], {axis})", "np.stack([{x}, -{x}])",
        "np.hstack([{x}, {x}])", "np.stack([{x}, {x}], -1)", "np.vstack([{x}, {y}])", "np.append({x}, {y})",
        "np.concatenate([{x}[1:], {x}[:1]])",
    ],
}  # fmt: skip
SMOOTH = {
    "smooth": [
        "np.tanh({x})", "np.exp(-np.abs({x}))", "np.sqrt(1 + np.square({x}))", "{x} / (2 + np.abs({y}))",
        "tn.softmax({x}, -1)", "np.sin({x}) * {y}", "{x}.mean({axis})", "np.var({x}, {axis})", "np.log1p(np.square({x}))",
        "tn.sigmoid({x})", "np.std({x} + {y})", "tn.logsumexp({x}, {axis})", "F.gelu({x})", "F.silu({x})",
        "F.layer_norm({x}, {x}.shape[-1:])", "np.linalg.norm({x} + 0.5)", "F.softplus({x})",
        "np.arctan2({x}, 4 + np.abs({y}))", "{x}.astype(np.float64) ** 3", "np.hypot({x}, 1)", "np.cbrt({x} + 9)",
        "F.dropout({x}, 0.5)", "{x} + tn.random.normal(size=(2, 1))", "{x} * tn.random.bernoulli(0.5, size={x}.shape)",
        "np.abs(np.fft.fft({x}))", "F.log_softmax({x}, 0)", "np.real(({x} + 1j * {y}) ** 2)", "{x} * 1j", "np.conj({x})",
        "F.mish({x})",
    ],
    "ops": ["called({op}, near({x}))"],
}  # fmt: skip
SHAPES = [(2, 3), (3,), (), (3, 3), (1, 3), (2, 1, 3), (3, 2), (4,), (0, 3), (2, 2, 3), (1,)]
#: Layers by the shape of what they take.
LAYERS = {
    (4, 3): [
        "nn.Linear(3, 2)", "nn.BatchNorm1d(3)", "nn.LayerNorm(3)", "nn.RMSNorm(3)", "nn.Dropout(0.5)", "nn.GLU(0)",
        "nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))", "nn.PReLU()", "nn.Softmax(-1)",
    ],
    (2, 4, 6): [
        "nn.Conv1d(4, 2, 3)", "nn.GroupNorm(2, 4)", "nn.BatchNorm1d(4)", "nn.AvgPool1d(2)", "nn.MaxPool1d(3, 2)",
        "nn.ConvTranspose1d(4, 2, 3, stride=2)", "nn.InstanceNorm1d(4, affine=True)", "nn.Dropout1d(0.5)",
    ],
    (2, 2, 5, 4): [
        "nn.Conv2d(2, 3, 3, padding=1)", "nn.BatchNorm2d(2)", "nn.MaxPool2d(2)", "nn.AvgPool2d(2, 1)", "nn.Flatten()",
        "nn.Conv2d(2, 2, (3, 1), stride=2, groups=2)", "nn.AdaptiveAvgPool2d(2)", "nn.Upsample(scale_factor=2)",
    ],
    (2, 3, 4): ["nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)", "nn.Bilinear(4, 4, 2)"],
}  # fmt: skip
#: Optimizers, by whether they are exact: their options.
OPTIMIZERS = {
    True: ["SGD lr=0.5", "SGD lr=0.5, momentum=0.5", "SGD lr=optim.step_decay(1.0, 2, 0.5)"],
    False: [
        "SGD lr=0.1, momentum=0.9, nesterov=True", "Adam lr=0.1, eps=0.5", "AdamW lr=0.1, eps=0.5", "Adadelta eps=0.5",
        "RMSprop lr=0.1, eps=0.5, momentum=0.5", "Adagrad lr=0.1, eps=0.5", "NAdam lr=0.1, eps=0.5", "Adamax lr=0.1, eps=0.5",
        "RAdam lr=0.1, eps=0.5", "LARS lr=0.1, eps=0.5", "Adafactor lr=0.1",
    ],
}  # fmt: skip


class Unfit(Exception):
    """There is nothing to fill in here."""


class Fields(dict[str, str]):
    """What a template is filled in with, drawn as it is asked for."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __missing__(self, key: str) -> str:
        made: str = getattr(self, key)()
        self[key] = made
        return made

    @property
    def shape_of_x(self) -> tuple[int, ...]:
        return self.scope.shape(self["x"])

    def x(self) -> str:
        return self.scope.pick()

    def y(self) -> str:
        def fits(name: str) -> bool:
            try:
                return math.prod(np.broadcast_shapes(self.shape_of_x, self.scope.shape(name))) <= SIZE
            except ValueError:
                return False

        return self.scope.pick(fits)

    def b(self) -> str:
        return self.scope.pick(lambda name: self.scope.names[name].dtype == bool)

    def i(self) -> str:
        return self._index(0)

    def j(self) -> str:
        return self._index(-1)

    def _index(self, axis: int) -> str:
        if not self.shape_of_x or not self.shape_of_x[axis]:
            raise Unfit
        index = self.scope.pick(lambda name: self.scope.names[name].dtype.kind == "i")
        return f"({index} % {self.shape_of_x[axis]})"

    def axis(self) -> str:
        if not self.shape_of_x:
            raise Unfit
        return str(self.scope.draw(st.integers(0, len(self.shape_of_x) - 1)))

    def shape(self) -> str:
        size = int(np.prod(self.shape_of_x))
        return repr(
            self.scope.draw(st.sampled_from([(size, 1), (1, size), *((n, size // n) for n in (2, 3) if size % n == 0)]))
        )

    def wide(self) -> str:
        return repr((2, *(3 if n == 1 else n for n in self.shape_of_x)))

    def dtype(self) -> str:
        return repr(self.scope.draw(st.sampled_from(["float64", "float32", "int64", "int32", "bool", "float16"])))

    def op(self) -> str:
        name, number = self.scope.draw(st.sampled_from(OPS))
        return f"{name!r}, {number}"


class Scope:
    """Statements of a function, each of which is run as it is added."""

    def __init__(self, writer: Writer, names: dict[str, Any], values: list[str], indent: str) -> None:
        self.writer = writer
        self.draw = writer.draw
        self.names = names
        self.values = values
        self.indent = indent
        self.lines: list[str] = []

    def shape(self, name: str) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.names[name].shape
        return shape

    def pick(self, fits: Callable[[str], bool] = lambda name: True) -> str:
        """A value, rather a late one."""
        fitting = [name for name in self.values if fits(name)]
        if not fitting:
            raise Unfit
        late = fitting[:-5:-1] if self.draw(st.booleans()) else fitting[::-1]
        return str(self.draw(st.sampled_from(late)))

    def like(self, name: str) -> str:
        """A value of the same shape and dtype."""
        x = self.names[name]
        return self.pick(lambda other: (self.shape(other), self.names[other].dtype) == (x.shape, x.dtype))

    def run(self, lines: Iterable[str], *made: str) -> None:
        """Add lines that make values of these names, if they can be run."""
        lines = list(lines)
        try:
            exec("\n".join(lines), self.names)
            found = [self.names[name] for name in made]
        except Exception:
            raise Unfit from None
        if not all(isinstance(v, tn.Tensor) and v.size <= SIZE and v.dtype.kind in "biufc" for v in found):
            raise Unfit
        if not all(abs(v.data[np.isfinite(v.data)]).max(initial=0) < compared.LARGE for v in found):
            raise Unfit
        self.lines += [self.indent + line for line in lines]
        self.values += made
        self.writer.dtypes |= {v.dtype.name for v in found}

    #: Expressions with one of these words are not written.
    left_out: tuple[str, ...] = ()

    def kinds(self) -> list[str]:
        """The kinds of statements that there are."""
        expressions = EXACT if self.writer.exact else [*EXACT, *SMOOTH, *SMOOTH, *SMOOTH]
        return [*expressions, "layer", "scan", "fori", "while_loop", "cond", "write", "train"]

    def statement(self, depth: int) -> None:
        """Add some statement, or none."""
        kind = self.draw(st.sampled_from(self.kinds()))
        try:
            if kind in EXACT or kind in SMOOTH:
                template = self.draw(st.sampled_from((EXACT | SMOOTH)[kind]))
                if any(word in template for word in self.left_out):
                    raise Unfit
                name = self.writer.name("v")
                self.run([f"{name} = " + template.format_map(Fields(self))], name)
            elif kind == "layer":
                self.layer()
            elif kind in ("write", "train"):
                getattr(self, kind)()
            elif depth:
                getattr(self, kind)(depth - 1)
        except Unfit:
            pass

    def inner(self, depth: int, **given: str) -> Scope:
        """The body of a function whose arguments are these, seen from outside."""
        names = self.names | {name: eval(text, self.names) for name, text in given.items()}
        scope = type(self)(self.writer, names, [*self.values, *given], "    ")
        for _ in range(self.draw(st.integers(1, 3))):
            scope.statement(depth)
        return scope

    def function(self, name: str, scope: Scope, arguments: str, result: str) -> list[str]:
        return [f"def {name}({arguments}):", *scope.lines, f"    return {result}"]

    # -- the statements that are no expressions --------------------------------------------------------------------

    def scan(self, depth: int) -> None:
        c, xs = self.pick(), self.pick(lambda name: bool(self.shape(name)) and self.shape(name)[0] > 0)
        f, carry, x, last, ys = map(self.writer.name, "fcxvv")
        scope = self.inner(depth, **{carry: c, x: f"{xs}[0]"})
        body = self.function(f, scope, f"{carry}, {x}", f"{scope.like(carry)}, {scope.pick()}")
        reverse = self.draw(st.sampled_from(["", ", reverse=True"]))
        self.run([*body, f"{last}, {ys} = tn.scan({f}, {c}, {xs}{reverse})"], last, ys)

    def fori(self, depth: int) -> None:
        c = self.pick()
        f, carry, last = map(self.writer.name, "fcv")
        scope = self.inner(depth, **{carry: c})
        body = self.function(f, scope, f"_, {carry}", scope.like(carry))
        self.run([*body, f"{last} = tn.fori(0, {self.draw(st.integers(0, 3))}, {f}, {c})"], last)

    def while_loop(self, depth: int) -> None:
        c = self.pick()
        f, carry, count, last = map(self.writer.name, "fcvv")
        scope = self.inner(depth, **{carry: c})
        body = self.function(f, scope, carry, scope.like(carry))
        early = self.draw(st.sampled_from(["", " & (c[1].sum().real > 0)"]))
        cond = f"lambda c: (c[0] < {self.draw(st.integers(0, 3))}){early}"
        turn = f"lambda c: (c[0] + 1, {f}(c[1]))"
        self.run([*body, f"{count}, {last} = tn.while_loop({cond}, {turn}, (0, {c}), max_turns=4)"], last)

    def cond(self, depth: int) -> None:
        x = self.pick()
        t, f, u, w, made = map(self.writer.name, "ffuuv")
        true, false = self.inner(depth, **{u: x}), self.inner(depth, **{w: x})
        lines = self.function(t, true, u, true.like(u)) + self.function(f, false, w, false.like(w))
        self.run([*lines, f"{made} = tn.cond({self.pick()}.sum().real > 0, {t}, {f}, {x})"], made)

    def layer(self) -> None:
        if self.writer.exact:
            raise Unfit
        shape = self.draw(st.sampled_from(list(LAYERS)))
        name, made = self.writer.name("n"), self.writer.name("v")
        layer = self.draw(st.sampled_from(LAYERS[shape]))
        dtype = self.draw(st.sampled_from(["float32", "float64"]))
        a = self.writer.argument(shape, dtype)
        self.writer.owner(name, f"{layer}.astype(np.{dtype})")
        self.run([f"{made} = {name}(*[{a} * near({self.pick()})] * {2 if 'Bilinear' in layer else 1})"], made)

    def write(self) -> None:
        """Assign to a parameter."""
        p = self.draw(st.sampled_from(self.writer.parameters))
        x = self.pick(lambda name: self.shape(name) == self.shape(p) and self.names[name].dtype == self.names[p].dtype)
        self.run(["with tn.no_grad():", f"    {p}.data = {x}.detach()"])

    def train(self) -> None:
        """Update the parameters so that some values fall."""
        losses = [self.pick(lambda name: self.names[name].requires_grad) for _ in range(self.draw(st.integers(1, 2)))]
        loss = " + ".join([*(f"{name}.real.sum()" for name in losses), f"none({', '.join(self.writer.parameters)})"])
        self.run([f"{self.writer.optimizer}.zero_grad()", f"({loss}).backward()", f"{self.writer.optimizer}.step()"])


class Writer:
    """A whole program."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.exact = draw(st.booleans())
        self.counts: dict[str, int] = {}
        self.dtypes: set[str] = set()
        self.made: list[str] = []
        self.arguments: list[tuple[str, str]] = []
        self.parameters: list[str] = []
        self.owners: list[str] = []
        self.scope = Scope(self, {name: getattr(compared, name) for name in compared.__all__}, [], "        ")

    def name(self, letter: str) -> str:
        number = self.counts[letter] = self.counts.get(letter, -1) + 1
        return f"{letter}{number}"

    def owner(self, name: str, text: str) -> None:
        """A line in front of the step."""
        exec(f"{name} = {text}", self.scope.names)
        self.made.append(f"    {name} = {text}")
        self.owners.append(name)

    def argument(self, shape: tuple[int, ...], dtype: str) -> str:
        """A further argument of the step."""
        name, layout = self.name("a"), self.draw(st.sampled_from(["C", "C", "F", "strided", "reversed"]))
        kind = self.draw(st.sampled_from(["tensor", "leaf"])) if dtype[0] in "fc" else "tensor"
        text = f"{kind}({{}}, {shape}, {dtype!r}, {layout!r})"
        self.arguments.append((name, text.format(f"n + {10 * len(self.arguments)}")))
        exec(f"{name} = {text.format(10 * len(self.arguments))}", self.scope.names)
        self.scope.values.append(name)
        self.dtypes.add(dtype)
        return name

    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.draw(st.sampled_from(SHAPES))
        return shape

    def program(self) -> str:
        floats = ["float64", "float32", *([] if self.exact else ["complex128", "float16"])]
        for _ in range(self.draw(st.integers(1, 3))):
            self.argument(self.shape(), self.draw(st.sampled_from([*floats, "int64", "bool"])))
        self.argument(self.draw(st.sampled_from([(3,), (2, 2), ()])), "int64")
        for _ in range(self.draw(st.integers(1, 2))):
            name = self.name("p")
            layout = self.draw(st.sampled_from(["C", "F"]))
            self.owner(
                name, f"leaf({len(self.made)}, {self.shape()}, {self.draw(st.sampled_from(floats[:2]))!r}, {layout!r})"
            )
            self.parameters.append(name)
            self.dtypes.add(self.scope.names[name].dtype.name)
            self.scope.values.append(name)
        self.optimizer = self.name("opt")
        rule, options = self.draw(st.sampled_from(OPTIMIZERS[self.exact])).split(" ", 1)
        self.owner(self.optimizer, f"optim.{rule}([{', '.join(self.parameters)}], {options})")
        for _ in range(self.draw(st.integers(1, 8))):
            self.scope.statement(2)
        results = [self.scope.pick() for _ in range(self.draw(st.integers(1, 4)))]
        results += self.gradients()
        step = ", ".join(name for name, _ in self.arguments)
        eps = max((np.finfo(d).eps for d in map(np.dtype, self.dtypes) if d.kind in "fc"), default=2.0**-52)
        arguments = ", ".join(text for _, text in self.arguments)
        return "\n".join([
            "from tests.fuzz.compared import *", "", "def make(compiled):", *self.made, f"    def step({step}):",
            *self.scope.lines, f"        return [{', '.join(results)}]",
            f"    return compiled(step), [{', '.join(self.owners)}]", "",
            f"compare(make, lambda n: [{arguments}], {0.0 if self.exact else float(eps)})", "",
        ])  # fmt: skip

    def gradients(self) -> list[str]:
        """A backward pass at the end, perhaps a second one through the first."""
        scope = self.scope
        leaves = [*self.parameters, *(name for name, text in self.arguments if text.startswith("leaf"))]
        order = self.draw(st.integers(0, 2))
        try:
            losses = [scope.pick(lambda name: scope.names[name].requires_grad) for _ in range(min(order, 1) and 2)]
            terms = [f"(small({name}.real) ** 2).sum()" for name in dict.fromkeys(losses)]
            loss = " + ".join([*terms, f"none({', '.join(leaves)})"])
            clear = f"for t in [{', '.join(leaves)}]: t.grad = None"
            if order:
                scope.run([clear, f"({loss}).backward(create_graph={order == 2})"])
            found = [f"{name}.grad" for name in leaves if order and scope.names[name].grad is not None]
            if order == 2 and found:
                scope.run([f"gs = [{', '.join(found)}]", clear, "sum((g * g).real.sum() for g in gs).backward()"])
                found = ["*gs", *(f"{name}.grad" for name in leaves if scope.names[name].grad is not None)]
        except Unfit:
            return []
        return found


class Case:
    """A program as text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


@st.composite
def programs(draw: Any) -> Case:
    """A random program."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return Case(Writer(draw).program())


CASES = programs()


def check(case: Case) -> None:
    """Run a program, and compare."""
    exec(case.text, {"__name__": "program"})
