"""What a user does between the calls of a compiled step: the same acts on a model that is trained by the plain function, and
on one that is trained by the compiled one, give the same losses, parameters and state."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import tapenet as tn
from tests.fuzz.harness import BACKENDS

FEW, MANY = 8, 20

BEGIN = """\
import threading
import numpy as np, tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

class Holder:
    rate = 1.0
    def __init__(self): self.shift = 0.1
    def shifted(self, x): return x + self.shift * self.rate

class Net(nn.Module):
    def __init__(self):
        self.one, self.norm, self.two = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)
        self.drop = nn.Dropout(0.3)
        self.scale, self.options, self.layers = 1.0, {"act": {"slope": 0.1}}, [nn.Tanh()]
        self.holder = Holder()
        self.shifted = self.holder.shifted
    def forward(self, x):
        h = self.layers[0](self.norm(self.one(x))) * self.scale
        h = F.leaky_relu(self.drop(h), self.options["act"]["slope"])
        return self.shifted(self.two(h))

tn.random.seed(0)
net = Net().astype("float64")
opt = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
factor, numbers, sizes = 1.0, [1.0, 0.5], {"a": 1.0}
table, data, offset = np.full(2, 0.5), np.full(2, 0.25), tn.tensor(np.zeros(2))
weighted = tn.op(lambda x: x * np.exp(table) * numbers[1], name="weighted", x=lambda g: g * np.exp(table) * numbers[1])
x, y = np.sin(np.arange(12.0)).reshape(4, 3), np.cos(np.arange(8.0)).reshape(4, 2)

def plain(x, y):
    out = weighted(net(x)) * factor * sizes["a"] + data - offset + np.log1p(table)
    loss = ((out - y) ** 2).mean() * sum(numbers)
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss

def look(y):
    return np.tanh(y) * factor + data

step, looked = compiled(plain), compiled(look)

def at_once():
    found = [None] * 3
    def work(i): found[i] = looked(tn.tensor(y * i)).numpy()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads: t.start()
    for t in threads: t.join()
    return np.sum(found)
"""

_numbers = st.sampled_from([0.5, 1, 1.0, True, 0.25, -0.5, 0.0, -0.0])
_positive = st.sampled_from([0.01, 0.05, 0.1])
_flags = st.booleans()
_layers = st.sampled_from(["one", "norm", "two"])


def _act(text: str, *drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.tuples(*drawn).map(lambda values: text.format(*values))


ACTS = st.one_of(
    # freeze, replace, load
    _act("net.{}.requires_grad_({})", _layers, _flags),
    _act("net.one.weight.requires_grad_({})", _flags),
    _act("net.two = nn.Linear(4, 2, rng={}).astype('float64')", st.integers(0, 3)),
    _act("net.one.weight = nn.Parameter(np.full((4, 3), {}))", _positive),
    _act("net.one.weight = net.two.weight; net.one.weight = nn.Parameter(np.eye(4, 3))"),
    _act("net.norm = nn.Identity()"),
    _act("net.one.bias = None"),
    _act("net.astype('float32').astype('float64')"),
    _act("net.layers[0] = nn.{}()", st.sampled_from(["Tanh", "Sigmoid", "Identity"])),
    _act("net.load_state_dict({{n: v * {} if v.ndim else v for n, v in net.state_dict().items()}})", st.sampled_from([1, 0.9])),
    _act("opt.load_state_dict(opt.state_dict())"),
    # numbers, lists, arrays, dicts, objects
    _act("net.scale = {}", _numbers),
    _act("factor = {}", _numbers),
    _act("numbers[{}] = {}", st.integers(0, 1), _numbers),
    _act("numbers.append({})", _numbers),
    _act("numbers = [1.0, {}]", _numbers),
    _act("sizes['a'] = {}", _numbers),
    _act("net.options['act']['slope'] = {}", _positive),
    _act("net.holder.shift = {}", _numbers),
    _act("Holder.rate = {}", _numbers),
    _act("table[{}] = {}", st.integers(0, 1), _positive),
    _act("table = np.full(2, {})", _positive),
    _act("data[{}] = {}", st.integers(0, 1), _numbers),
    _act("data = np.full(2, {})", _numbers),
    _act("offset = tn.tensor(np.full(2, {}))", _positive),
    _act("offset[0] = {}", _numbers),
    _act("offset.data = np.full(2, {})", _positive),
    _act("net.holder = Holder(); net.holder.shift = {}; net.shifted = net.holder.shifted", _numbers),
    _act("weighted = tn.op(lambda x: x * {}, name='weighted', x=lambda g: g * {})", _positive, _positive),
    _act("Net.forward = lambda self, x: self.two(self.layers[0](self.one(x))) * {}", _numbers),
    # parameters and gradients
    _act("net.one.weight.data = net.one.weight.numpy() * {}", _numbers),
    _act("net.one.weight.data[0] = {}", _numbers),
    _act("with tn.no_grad(): net.two.bias[0] = {}", _numbers),
    _act("net.one.weight.grad = None"),
    _act("((net(x) ** 2).mean() * {}).backward()", _numbers),
    _act("net.two.weight.register_hook(lambda g: g * {})", _positive),
    # modes and options
    _act("net.train({})", _flags),
    _act("net.drop.p = {}", _positive),
    _act("net.norm.momentum = {}", _positive),
    _act("opt.lr = {}", _positive),
    _act("opt.lr = optim.exponential({}, 0.9)", _positive),
    _act("opt.groups[0]['{}'] = {}", st.sampled_from(["weight_decay", "momentum"]), st.sampled_from([0.0, 0.01, 0.9])),
    # A large eps: of a gradient that is rounding alone, as by a bias before a normalisation, they would make full steps.
    _act("opt = optim.{}, lr={})", st.sampled_from(
        ["SGD(net.parameters()", "Adam(net.parameters(), eps=1e-3", "RMSprop(net.parameters(), eps=1e-3"]), _positive),
    _act("opt = optim.SGD([{{'params': [*net.one.parameters()], 'lr': {}}}, {{'params': [*net.two.parameters()]}}], lr=0.1)",
         _positive),
    _act("tn.random.seed({})", st.integers(0, 3)),
    # calls
    _act("seen.append(plain(x, y).item())"),
    _act("seen.append(step(x[:{0}], y[:{0}]).item())", st.integers(2, 4)),
    _act("seen.append(step(tn.tensor(x), y=y).item())"),
    _act("seen.append(at_once())"),
)  # fmt: skip


class Case(NamedTuple):
    """Acts, after each of which the step is called twice: a program that was right once may be wrong the next time."""

    backend: str
    acts: list[str]

    def __str__(self) -> str:
        lines = [
            BEGIN.replace(
                "\nstep, looked", f"\ncompiled = lambda f: tn.compile(f, backend={self.backend!r})\nstep, looked"
            )
        ]
        lines.append("seen = []")
        for act in ["", *self.acts]:
            lines += [act] * bool(act) + ["seen += [step(x, y).item(), step(x, y).item()]"]
        return "\n".join([*lines, "print(seen)"])


CASES = st.builds(Case, st.sampled_from(BACKENDS), st.lists(ACTS, min_size=1, max_size=6))


def check(case: Case) -> None:
    """Raise if the plain and the compiled step do not train alike."""
    plain = _run(case.acts, lambda f: f)
    compiled = _run(case.acts, lambda f: tn.compile(f, backend=case.backend, max_variants=100))
    assert compiled.pop("mistake") == plain.pop("mistake")
    for name, value in plain.items():
        np.testing.assert_allclose(compiled[name], value, rtol=1e-8, atol=1e-11, err_msg=name)


def _run(acts: list[str], compiled: Any) -> dict[str, Any]:
    """Everything that can be seen of a run: losses, and what is left in the end. An act that is refused, such as a hook on
    a frozen parameter, ends it."""
    names: dict[str, Any] = {"compiled": compiled, "seen": [], "__name__": "state"}
    mistake = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(BEGIN, names)
        for act in ["", *acts]:
            try:
                exec(act, names)
            except Exception as error:
                mistake = repr(error)
                break
            exec("seen += [step(x, y).item(), step(x, y).item()]", names)
    found: dict[str, Any] = {"losses": names["seen"], "mistake": mistake, **names["net"].state_dict()}
    return {**found, "a draw": tn.random.uniform()}
