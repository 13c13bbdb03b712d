"""What a layer promises: `check_layer`."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeGuard

import numpy as np

from tapenet.autodiff.node import Leaf, Node
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import compile as compiled
from tapenet.drawing import draw
from tapenet.nn.module import Module
from tapenet.nn.strays import plain_values
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.testing.findings import (
    Findings,
    arrays,
    attempt,
    backends,
    derivative,
    difference,
    floats,
    has_home,
    has_kink,
    seeded,
)
from tapenet.typing import Array

#: How far sums may differ that are added in another order.
_ROUNDING = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 2e-5}


def check_layer(layer: Module, *inputs: object, gradients: bool = True, **kwargs: object) -> None:
    """Check a layer, or any module, on inputs.

    All that it learns is found by `parameters()`, each of which gets a right gradient, and so do the inputs; what training
    changes is in its state dict, which another one can load; in eval mode it neither changes nor is random; inputs are only
    read; float32 gives float32; compiled it does what it does eagerly, with both backends, in training and in eval mode, also
    on other inputs than it was captured on; deep copies and pickles compute the same; it can be drawn. The layer itself is
    left as it is: copies are tried.

    Args:
        layer: the layer, with small sizes: each of its tensors is moved a few times.
        *inputs: what it is called on. Floating-point arrays, also those in lists, tuples and dicts, are differentiated by.
        gradients: False leaves out the comparison with finite differences, for layers that are not meant to pass it.
        **kwargs: options of the call.

    Raises:
        AssertionError: says what is wrong.

    >>> import tapenet as tn
    >>> tn.testing.check_layer(tn.nn.Linear(3, 2), np.ones((4, 3)))
    >>> class Scale(tn.nn.Module):
    ...     def __init__(self):
    ...         self.scale = np.ones(3)
    ...     def forward(self, x):
    ...         return x * self.scale
    >>> tn.testing.check_layer(Scale(), np.ones((4, 3)))
    Traceback (most recent call last):
    AssertionError: check_layer(Scale): Scale.scale is an array, which neither parameters() nor state_dict() finds ...
    """
    findings = Findings("check_layer", type(layer))
    if not isinstance(layer, Module):
        what = f"the class; make one: {layer.__name__}(...)" if isinstance(layer, type) else type(layer).__name__
        raise TypeError(f"check_layer checks a module, an nn.Module, not {what}")
    _check_attributes(findings, layer)
    _check_switches(findings, layer)
    with seeded():
        trial = _Trial(findings, copy.deepcopy(layer), inputs, kwargs)
        _check_call(findings, trial)
        _check_registered(findings, trial)
        _check_state(findings, trial)
        _check_float32(findings, trial)
        if gradients:
            for training in (True, False):
                _check_gradients(findings, trial, training)
        _check_copies(findings, trial)
        for backend in backends():
            for training in (True, False):
                _check_compiled(findings, trial, training, backend)
        _check_shown(findings, trial)


class _Seen(NamedTuple):
    """What a training step gives: the outputs, and the gradients by parameters and inputs."""

    outputs: list[Array]
    gradients: list[Array]


class _Trial:
    """A layer in float64, with inputs and options, of which copies are called."""

    def __init__(self, findings: Findings, layer: Module, inputs: Sequence[object], kwargs: dict[str, object]) -> None:
        self.findings, self.kwargs = findings, kwargs
        self._inputs = tuple(inputs)
        #: What is in the inputs, which may be lists, tuples and dicts.
        self.inputs = [_as(value, np.float64) for value in tree_leaves(self._inputs)]
        self._look(layer, [_as(value) for value in tree_leaves(self._inputs)])
        self.layer = copy.deepcopy(layer).astype(np.float64)

    def _look(self, layer: Module, given: Sequence[object]) -> None:
        """Call the layer as it was made, on arrays as they were given. A lazy layer gets its sizes."""
        outputs = arrays(self._call(layer, given, 0))
        narrow = all(value.dtype == np.float32 for value in given if _is_float(value))
        if narrow and any(_is_float(value) for value in given) and any(a.dtype == np.float64 for a in outputs):
            held = (*layer.named_parameters(), *layer.named_buffers())
            if wide := [name for name, tensor in held if tensor.dtype == np.float64]:
                self.findings.fail(
                    f"on inputs of float32 it returns float64, since {' and '.join(wide)} {'is' if len(wide) == 1 else 'are'} "
                    "float64, as NumPy makes arrays: nn.Parameter(array, dtype=np.float32), or a dtype of the layer's own"
                )

    def copy(self, training: bool) -> Module:
        """A new copy of the layer, in a mode."""
        return copy.deepcopy(self.layer).train(training)

    def call(self, layer: Module, inputs: Sequence[object], seed: int = 0) -> object:
        """What a layer gives, always with the same random numbers."""
        given = [Tensor._of(np.asarray(value)) if _is_float(value) else value for value in inputs]
        return self._call(layer, given, seed)

    def arranged(self, leaves: Sequence[object]) -> tuple[object, ...]:
        """Values in the places of those in the inputs."""
        stream = iter(leaves)
        return tuple(tree_map(lambda _: next(stream), value) for value in self._inputs)

    def _call(self, layer: Module, given: Sequence[object], seed: int) -> object:
        try:
            with seeded(seed):
                return layer(*self.arranged(given), **self.kwargs)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            self.findings.fail("it writes into its input: compute a new array", error)

    def shifted(self) -> list[object]:
        """Inputs of the same shapes with other values."""
        return [_as(value * 0.9 + 0.01, np.float64) if _is_float(value) else value for value in self.inputs]


def _is_float(value: object) -> TypeGuard[Array]:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _as(value: object, dtype: type[np.float64 | np.float32] | None = None) -> object:
    """An array that cannot be written into, of this dtype if it holds floats and one is given."""
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        value = value.astype(dtype) if dtype and value.dtype.kind == "f" else value.copy()
        value.flags.writeable = False
    return value


def _check_switches(findings: Findings, layer: Module) -> None:
    tried = attempt(findings, "a deep copy of it cannot be made", lambda: copy.deepcopy(layer))
    assert isinstance(tried, Module)
    if any(p is q for p in tried.parameters() for q in layer.parameters()):
        findings.fail("a deep copy of it shares parameters with it")
    for method, mode in (("eval", False), ("train", True)):
        if getattr(tried, method)() is not tried:
            findings.fail(f"{method}() does not return the layer")
        for name, module in tried.named_modules():
            if module.training is not mode:
                findings.fail(f"{method}() leaves {name or 'the layer'} with training={module.training}")


def _check_attributes(findings: Findings, layer: Module) -> None:
    """Looks for what is neither parameter nor buffer and should be."""
    for module in layer.modules():
        for name, value in plain_values(module):
            title = f"{type(module).__name__}.{name}"
            if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
                findings.fail(
                    f"{title} is an array, which neither parameters() nor state_dict() finds and astype() leaves as "
                    "it is: make it nn.Parameter(...) if it is learned, else nn.Buffer(...), with persistent=False if "
                    "it can be computed again"
                )
            if type(value) is Tensor and value._kind is None:
                if value.node is not None and not value.is_leaf:
                    findings.fail(
                        f"{title} is a result (of {value.node.name!r}) that was computed once: compute it in forward, from "
                        "parameters"
                    )
                kind = (
                    "nn.Parameter(...)"
                    if value.requires_grad
                    else "nn.Buffer(...), or nn.Parameter(...) if it is learned"
                )
                findings.fail(
                    f"{title} is a plain tensor, which neither parameters() nor state_dict() finds: make it {kind}"
                )


def _check_call(findings: Findings, trial: _Trial) -> None:
    for training in (True, False):
        layer = trial.copy(training)
        mode = "training" if training else "eval"
        found = trial.call(layer, trial.inputs)
        if not arrays(found):
            findings.fail(
                f"in {mode} mode it returns {'None' if found is None else type(found).__name__}: return a tensor"
            )
        learned = any(p.requires_grad for p in layer.parameters())
        if learned and floats(found) and not any(t.requires_grad for t in floats(found)):
            findings.fail(
                f"in {mode} mode no gradient reaches its parameters: .data, .numpy(), np.asarray(), float() and "
                "no_grad cut it off"
            )
        if not training:
            before = arrays(found)
            again = arrays(trial.call(layer, trial.inputs, seed=1))
            if wrong := difference(again, before):
                findings.fail(
                    f"in eval mode two calls differ ({wrong}): it is random or changes its state; do so only if self.training"
                )


def _check_registered(findings: Findings, trial: _Trial) -> None:
    """Every leaf that the outputs depend on is a parameter; every parameter that changes them gets a gradient."""
    layer = trial.copy(True)
    outputs = floats(trial.call(layer, trial.inputs))
    own = {id(p._node) for p in layer.parameters()}
    for leaf in _leaves(outputs):
        if id(leaf) not in own:
            findings.fail(
                f"its output depends on a tensor of shape {leaf.shape} that needs a gradient and that parameters() "
                "does not find: keep it as an nn.Parameter in an attribute of the module, or in a list, tuple or dict there"
            )
    _backward(outputs)
    with no_grad():
        expected = arrays(trial.call(layer, trial.inputs))
    for name, p in layer.named_parameters():
        if not p.requires_grad or p.grad is not None or not outputs:
            continue
        moved = trial.copy(True)
        target = moved.get_parameter(name)
        target.data = target.numpy() + 0.1
        with no_grad():
            found = arrays(trial.call(moved, trial.inputs))
        if difference(found, expected):
            findings.fail(
                f"its output depends on the parameter {name!r}, but no gradient reaches it: .data, .numpy(), "
                "np.asarray() and float() cut it off"
            )
        findings.fail(f"the parameter {name!r} is not used: it gets no gradient, and another value changes nothing")


def _leaves(outputs: Sequence[Tensor]) -> list[Leaf]:
    found, seen = [], set()
    stack: list[Node] = [t.node for t in outputs if t.node is not None]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Leaf):
            found.append(node)
        stack += node.parents
    return found


def _weights(outputs: Sequence[Tensor]) -> list[Array]:
    """What outputs are weighted with, so that a loss depends on each of their elements in another way."""
    rng = np.random.default_rng(0)
    return [np.asarray(rng.uniform(0.5, 1.5, t.shape), t.dtype) for t in outputs]


def _backward(outputs: Sequence[Tensor]) -> None:
    for t, weight in zip(outputs, _weights(outputs), strict=True):
        if t.requires_grad:
            t.backward(weight, retain_graph=True)


def _step(trial: _Trial, layer: Module, inputs: Sequence[object], call: Callable[..., object] | None = None) -> _Seen:
    """Outputs and gradients of a call, eager or by a compiled function."""
    tensors = [Tensor._of(np.array(v)).requires_grad_() if _is_float(v) else v for v in inputs]
    layer.zero_grad()
    with seeded():
        found = (call or _stepping(trial, layer))(*tensors)
    by = [p for p in layer.parameters() if p.requires_grad] + [t for t in tensors if isinstance(t, Tensor)]
    return _Seen(arrays(found), [np.zeros(p.shape) if p.grad is None else p.grad.numpy().copy() for p in by])


def _stepping(trial: _Trial, layer: Module) -> Callable[..., object]:
    def step(*tensors: object) -> object:
        found = layer(*trial.arranged(tensors), **trial.kwargs)
        _backward(floats(found))
        return [t.detach() for t in tree_leaves(found) if isinstance(t, Tensor)]

    return step


def _state(layer: Module) -> dict[str, Array]:
    """All that a layer holds: its state dict, and buffers that are not in it."""
    return {**layer.state_dict(), **{name: np.array(b.data) for name, b in layer.named_buffers()}}


def _check_state(findings: Findings, trial: _Trial) -> None:
    used = trial.copy(True)
    rng = np.random.default_rng(0)
    for _ in range(2):
        trial.call(used, trial.shifted())
    for p in used.parameters():
        p.data = p.numpy() + rng.uniform(0, 0.1, p.shape)
    used.eval()
    before = _state(used)
    plain = _plain(used)
    with no_grad():
        expected = arrays(trial.call(used, trial.inputs))
    for name, value in _state(used).items():
        if difference([value], [before[name]]):
            findings.fail(f"a call in eval mode changes {name!r}: change state only if self.training")
    for name, value in _plain(used).items():
        if name not in plain or difference([value], [plain[name]]):
            findings.fail(
                f"a call in eval mode changes the attribute {name}: change state only if self.training, in an nn.Buffer"
            )
    other = trial.copy(False)
    state = used.state_dict()
    attempt(findings, "load_state_dict() refuses what state_dict() gave", lambda: other.load_state_dict(state))
    with no_grad():
        found = arrays(trial.call(other, trial.inputs))
    if wrong := difference(found, expected):
        fresh = _plain(trial.layer)
        changed = [n for n, v in plain.items() if n not in fresh or difference([v], [fresh[n]])]
        what = f"{' and '.join(changed)}, changed by training, " if changed else "something that training changes "
        findings.fail(
            f"another one that loads its state_dict() gives other results ({wrong}): {what}is not in it; keep it in "
            "an nn.Buffer"
        )


def _plain(layer: Module) -> dict[str, Array]:
    """Numbers and arrays that a module keeps as they are."""
    return {
        f"{type(module).__name__}.{name}": np.array(value)
        for module in layer.modules()
        for name, value in plain_values(module)
        if isinstance(value, (int, float, np.ndarray, np.generic)) and name != "training"
    }


def _check_float32(findings: Findings, trial: _Trial) -> None:
    layer = trial.copy(True).astype(np.float32)
    inputs = [_as(value, np.float32) for value in trial.inputs]
    outputs = arrays(trial.call(layer, inputs))
    for value in outputs:
        if value.dtype in (np.float64, np.complex128):
            findings.fail(
                f"with parameters and inputs of float32 it returns {value.dtype}: does it make or draw arrays of "
                "float64, or multiply by NumPy's float64 numbers? Python's own numbers keep the dtype; else .astype(x.dtype)"
            )


def _check_gradients(findings: Findings, trial: _Trial, training: bool) -> None:
    """By derivatives along random directions, one tensor at a time."""
    layer = trial.copy(training)
    seen = _step(trial, layer, trial.inputs)
    rng = np.random.default_rng(1)
    names: list[tuple[str, int | None]] = [(n, None) for n, p in layer.named_parameters() if p.requires_grad]
    names += [(f"input {i}", i) for i, value in enumerate(trial.inputs) if _is_float(value)]
    for (name, place), gradient in zip(names, seen.gradients, strict=True):
        for _ in range(2):
            direction = np.asarray(rng.normal(size=gradient.shape))
            moved = _along(trial, training, name, place, direction)
            expected = derivative(moved)
            got = float((gradient * direction).sum())
            if abs(got - expected) <= 1e-5 * max(1.0, abs(expected)):
                continue
            ratio = f" ({got / expected:.4g} times)" if expected else ""
            what = f"by {name}" if place is not None else f"by the parameter {name!r}"
            mode = "training" if training else "eval"
            if has_kink(moved):
                findings.fail(
                    f"in {mode} mode its output has a kink {what} at these inputs: check it on others, random ones"
                )
            findings.fail(
                f"in {mode} mode the gradient {what} is wrong: along some direction {got:.6g}{ratio}, by finite differences "
                f"{expected:.6g}; an op with a wrong rule (check_op finds it), or a part that .data, .numpy() or no_grad cut "
                "off? Where tn.stop_gradient is meant to, give gradients=False"
            )


def _along(trial: _Trial, training: bool, name: str, place: int | None, direction: Array) -> Callable[[float], float]:
    """The weighted outputs as a function of how far a parameter or input is moved in a direction."""

    def value(step: float) -> float:
        layer, inputs = trial.copy(training), list(trial.inputs)
        if place is None:
            p = layer.get_parameter(name)
            p.data = p.numpy() + step * direction
        else:
            inputs[place] = np.asarray(inputs[place]) + step * direction
        with no_grad():
            outputs = floats(trial.call(layer, inputs))
        return float(sum((t.data * w).sum().real for t, w in zip(outputs, _weights(outputs), strict=True)))

    return value


def _check_copies(findings: Findings, trial: _Trial) -> None:
    layer = trial.copy(False)
    with no_grad():
        expected = arrays(trial.call(layer, trial.inputs))
    ways: dict[str, Callable[[], object]] = {"a deep copy": lambda: copy.deepcopy(layer)}
    if all(has_home(type(module)) for module in layer.modules()):
        ways["a pickle"] = lambda: pickle.loads(pickle.dumps(layer))
    for what, how in ways.items():
        made = attempt(findings, f"{what} of it cannot be made", how)
        assert isinstance(made, Module)
        with no_grad():
            if wrong := difference(arrays(trial.call(made, trial.inputs)), expected):
                findings.fail(f"{what} of it gives another result ({wrong})")


def _check_compiled(findings: Findings, trial: _Trial, training: bool, backend: str) -> None:
    eager, other = trial.copy(training), trial.copy(training)
    call = compiled(_stepping(trial, other), backend=backend)
    mode = "training" if training else "eval"
    for inputs in (trial.inputs, trial.shifted()):
        expected = _step(trial, eager, inputs)
        found = attempt(
            findings,
            f"in {mode} mode it cannot be compiled with backend={backend!r}",
            lambda inputs=inputs: _step(trial, other, inputs, call),  # type: ignore[misc]
        )
        assert isinstance(found, _Seen)
        rounding = _ROUNDING[np.dtype(np.float64)]
        for what, a, b in (
            ("another result", found.outputs, expected.outputs),
            ("other gradients", found.gradients, expected.gradients),
            ("other buffers", list(_state(other).values()), list(_state(eager).values())),
        ):
            if wrong := difference(a, b, rounding):
                where, why = "", ""
                if inputs is not trial.inputs:
                    where = " on other inputs than it was captured on"
                    why = (
                        ": what NumPy draws or computes of .data is a constant of the program; draw by tn.random.draw(f, rng), "
                        "compute with tensors"
                    )
                findings.fail(
                    f"in {mode} mode compiled with backend={backend!r} it gives {what}{where} than eagerly ({wrong}){why}"
                )


def _check_shown(findings: Findings, trial: _Trial) -> None:
    layer = trial.copy(False)
    text = attempt(findings, "repr() of it fails", lambda: repr(layer))
    if not re.match(re.escape(type(layer).__name__), str(text)):
        findings.fail(f"its repr() does not begin with the name of its class: {str(text)[:60]!r}")
    outputs = floats(trial.call(layer, trial.inputs))
    if outputs and outputs[0].node is not None:
        attempt(findings, "it cannot be drawn", lambda: draw(outputs[0]).dot)
