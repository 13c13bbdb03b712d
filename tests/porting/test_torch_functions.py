"""Functions that PyTorch has and NumPy has not, beside PyTorch's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.compat import torch_functions

torch = pytest.importorskip("torch")

R = np.random.default_rng(0)
X = R.normal(size=(4, 3, 5))
SQUARE = R.normal(size=(3, 3))

#: Calls with a library and a maker of tensors.
CALLS: dict[str, Any] = {
    "cat": lambda m, t: m.cat([t(X), t(X[:, :1])], dim=1),
    "cat, first axis": lambda m, t: m.cat((t(X), t(X))),
    "chunk": lambda m, t: m.chunk(t(X), 3, dim=2),
    "chunk, more than there are": lambda m, t: m.chunk(t(X), 7, dim=-1),
    "unbind": lambda m, t: m.unbind(t(X), dim=1),
    "unsqueeze": lambda m, t: m.unsqueeze(t(X), -2),
    "flatten": lambda m, t: m.flatten(t(X), 1),
    "flatten, all": lambda m, t: m.flatten(t(X)),
    "flatten, some": lambda m, t: m.flatten(t(X), start_dim=0, end_dim=1),
    "flatten, a number": lambda m, t: m.flatten(t(np.float64(3.0))),
    "permute": lambda m, t: m.permute(t(X), (2, 0, 1)),
    "repeat_interleave": lambda m, t: m.repeat_interleave(t(X), 2, dim=1),
    "repeat_interleave, flat": lambda m, t: m.repeat_interleave(t(X), 2),
    "repeat_interleave, each": lambda m, t: m.repeat_interleave(t(X), t(np.array([1, 0, 2])), dim=1),
    "masked_fill": lambda m, t: m.masked_fill(t(X), t(X > 0), float("-inf")),
    "index_select": lambda m, t: m.index_select(t(X), 2, t(np.array([4, 0, 4]))),
    "gather": lambda m, t: m.gather(t(X), 1, t(np.array([[[0, 1], [2, 2]], [[1, 1], [0, 2]]]))),
    "gather, last axis": lambda m, t: m.gather(t(X), -1, t(np.full((4, 3, 1), 2))),
    "topk": lambda m, t: tuple(m.topk(t(X), 2)),
    "topk, smallest": lambda m, t: tuple(m.topk(t(X), 3, dim=0, largest=False)),
    "clamp": lambda m, t: m.clamp(t(X), min=-0.5, max=0.5),
    "clamp, one side": lambda m, t: m.clamp(t(X), max=0.5),
    "rsqrt": lambda m, t: m.rsqrt(abs(t(X))),
    "movedim": lambda m, t: m.movedim(t(X), (0, 1), (2, 0)),
    "swapdims": lambda m, t: m.swapdims(t(X), 0, -1),
    "t": lambda m, t: m.t(t(SQUARE)),
    "lerp": lambda m, t: m.lerp(t(X), t(X[::-1].copy()), 0.3),
    "div": lambda m, t: m.div(t(X), 2.0),
    "div, trunc": lambda m, t: m.div(t(X * 9), 2.0, rounding_mode="trunc"),
    "div, floor": lambda m, t: m.div(t(X * 9), 2.0, rounding_mode="floor"),
    "mul": lambda m, t: m.mul(t(X), t(X[0])),
    "sub": lambda m, t: m.sub(t(X), t(X[0]), alpha=2),
    "neg": lambda m, t: m.neg(t(X)),
    "norm": lambda m, t: m.norm(t(X)),
    "norm, axes": lambda m, t: m.norm(t(X), dim=(0, 2), keepdim=True),
    "norm, other": lambda m, t: m.norm(t(X), p=1, dim=1),
    "norm, largest": lambda m, t: m.norm(t(X), float("inf"), 1),
    "addmm": lambda m, t: m.addmm(t(X[0, 0]), t(X[0]), t(np.eye(5)), beta=2, alpha=0.5),
    "baddbmm": lambda m, t: m.baddbmm(t(X), t(X), t(np.broadcast_to(np.eye(5), (4, 5, 5)).copy()), alpha=3),
    "is_floating_point": lambda m, t: (m.is_floating_point(t(X)), m.is_floating_point(t(np.arange(2)))),
    "mm": lambda m, t: m.mm(t(X[0]), t(X[1]).T),
    "bmm": lambda m, t: m.bmm(t(X), t(np.swapaxes(X, 1, 2).copy())),
    "numel": lambda m, t: m.numel(t(X)),
    "is_tensor": lambda m, t: (m.is_tensor(t(X)), m.is_tensor(X)),
    "from_numpy": lambda m, t: m.from_numpy(X),
    "zeros": lambda m, t: m.zeros(2, 3, dtype=m.float64, device="cpu"),
    "ones": lambda m, t: m.ones(2, 3, 4, dtype=m.long),
    "empty": lambda m, t: m.zeros_like(m.empty(2, 3, dtype=m.float32)),
    "bernoulli": lambda m, t: m.bernoulli(t((X > 0) * 1.0)),
}  # fmt: skip
#: Of those the differentiable ones, by their name before a comma.
SMOOTH = {
    "cat", "chunk", "unbind", "unsqueeze", "flatten", "permute", "repeat_interleave", "masked_fill", "index_select", "gather",
    "topk", "clamp", "rsqrt", "mm", "bmm", "movedim", "swapdims", "t", "lerp", "mul", "sub", "neg", "norm", "addmm", "baddbmm",
}  # fmt: skip


def leaves(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("name", CALLS)
def test_functions_are_those_of_torch(name: str) -> None:
    ours, theirs = leaves(CALLS[name](tn, tn.tensor)), leaves(CALLS[name](torch, torch.tensor))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-14)
        if isinstance(a, tn.Tensor):
            assert (a.shape, str(a.dtype)) == (tuple(b.shape), str(b.dtype).removeprefix("torch."))


@pytest.mark.parametrize("name", [name for name in CALLS if name.partition(",")[0] in SMOOTH])
def test_their_gradients_are_those_of_torch(name: str) -> None:
    found = []
    for library in (tn, torch):
        inputs: list[Any] = []

        def tensor(array: Any, library: Any = library, inputs: Any = inputs) -> Any:
            floats = array.dtype.kind == "f"
            made = library.tensor(array, **({"requires_grad": True} if floats else {}))
            inputs += [made] if floats else []
            return made

        outs = [out for out in leaves(CALLS[name](library, tensor)) if "float" in str(out.dtype)]
        outs = [library.where(library.isinf(out), 0.0, out) for out in outs]
        sum((out * out).sum() for out in outs).backward()
        found.append([np.zeros(1) if x.grad is None else np.asarray(x.grad) for x in inputs])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_arguments_have_the_names_of_torch() -> None:
    """PyTorch's positional ones come first, in its order; `generator` is `rng` here."""
    for name, function in inspect.getmembers(torch_functions, inspect.isfunction):
        if not name.startswith("_") and function.__module__ == torch_functions.__name__:
            assert hasattr(torch, name), name
            assert getattr(tn, name) is function
            assert name in tn.__all__


def test_random_numbers_are_of_the_kind() -> None:
    tn.manual_seed(0)
    first = tn.randn(3, 2)
    tn.manual_seed(0)
    np.testing.assert_array_equal(tn.randn((3, 2)).data, first.data)
    assert (first.dtype, tn.rand(2, dtype=tn.float64).dtype) == (np.float32, np.float64)
    assert tn.randn(2, requires_grad=True).requires_grad
    x = tn.tensor(np.zeros((2, 3), np.float32))
    assert (tn.randn_like(x).dtype, tn.rand_like(x).shape) == (np.float32, (2, 3))
    draws = tn.randint(2, 5, (1000,))
    assert set(draws.tolist()) == {2, 3, 4}
    assert set(tn.randint(3, (100,)).tolist()) == {0, 1, 2}
    assert sorted(tn.randperm(5).tolist()) == [0, 1, 2, 3, 4]
    assert 0 <= float(tn.rand(100).min()) <= float(tn.rand(100).max()) < 1
    for make in (tn.rand, tn.randn, tn.randperm):
        with pytest.raises(ValueError, match="device='cuda'"):
            make(2, device="cuda")


def test_multinomial_draws_by_weight() -> None:
    tn.manual_seed(0)
    weights = tn.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 0.0]])
    draws = tn.multinomial(weights, 4000, replacement=True).data
    share = np.stack([(draws == k).mean(axis=1) for k in range(3)], axis=1)
    # Four standard deviations of a share of 4000 draws.
    np.testing.assert_allclose(share, [[0.25, 0, 0.75], [0.5, 0.5, 0]], atol=4 * np.sqrt(0.25 / 4000))
    pairs = np.stack([tn.multinomial(weights[0], 2).data for _ in range(500)])
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} == {(0, 2)}
    assert abs((pairs[:, 0] == 2).mean() - 0.75) < 4 * np.sqrt(0.25 * 0.75 / 500)
    with pytest.raises(ValueError, match="num_samples=3 different ones of fewer weights"):
        tn.multinomial(weights, 3)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="bmm takes two arrays of 3 axes and of one batch"):
        tn.bmm(tn.ones((2, 3, 4)), tn.ones((1, 4, 3)))
    with pytest.raises(ValueError, match="topk: k=6 of an axis of length 5"):
        tn.topk(tn.tensor(X), 6)
    with pytest.raises(ValueError, match="start_dim=2 comes after end_dim=1"):
        tn.flatten(tn.tensor(X), 2, 1)
    with pytest.raises(TypeError):
        tn.zeros(2, "x")


def test_switches() -> None:
    with tn.set_grad_enabled(False):
        assert not tn.is_grad_enabled()
        with tn.set_grad_enabled(True):
            assert tn.is_grad_enabled()
    with pytest.warns(RuntimeWarning, match="alone does nothing: write `with"):
        tn.set_grad_enabled(False)
    assert tn.is_grad_enabled()
    with tn.inference_mode():
        assert not tn.is_grad_enabled()

    @tn.inference_mode()
    def f() -> bool:
        return tn.is_grad_enabled()

    assert not f()


def test_code_that_picks_a_device_runs() -> None:
    device = tn.device("cuda:0" if tn.cuda.is_available() else "cpu")
    assert (device, device.type, device.index, tn.cuda.device_count()) == ("cpu", "cpu", None, 0)
    net = tn.nn.Linear(2, 1, device=device).to(device)
    assert tn.zeros(2, 3, device=device).shape == tn.randn(2, 3, device=device).shape == (2, 3)
    assert tn.tensor([1.0], device=device).device == device
    assert net.weight.dtype == np.float32
    with pytest.raises(ValueError, match="device='cuda'"):
        tn.device("cuda")


def test_types_of_numbers_have_the_names_of_torch() -> None:
    for name in ("float32", "float", "float64", "double", "float16", "half", "int64", "long", "int32", "int", "int16", "short",
                 "int8", "uint8", "bool", "complex64", "complex128"):  # fmt: skip
        theirs = str(getattr(torch, name)).removeprefix("torch.")
        assert getattr(tn, name) == np.dtype(theirs)
    pytest.importorskip("ml_dtypes")
    assert tn.bfloat16.name == "bfloat16"
    assert "float" not in tn.__all__  # which would hide Python's


# -- gradients ---------------------------------------------------------------------------------------------------


def test_gradients_of_what_was_recorded_are_those_of_torch() -> None:
    found = []
    for library, grad in ((tn, tn.autograd.grad), (torch, torch.autograd.grad)):
        x = library.tensor(SQUARE, requires_grad=True)
        w = library.tensor(SQUARE + 1, requires_grad=True)
        h = library.tanh(x @ w)
        y = (h**2).sum()
        first = grad(y, [x, h, w], create_graph=True)
        penalty = sum((g**2).sum() for g in first)
        second = grad(penalty, (x, w), retain_graph=True)
        seeded = grad([h, y], x, [library.tensor(SQUARE), None], retain_graph=True)
        penalty.backward()
        found.append([*first, *second, *seeded, x.grad, w.grad])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(np.asarray(a.detach()), np.asarray(b.detach()), rtol=1e-12)


def test_gradients_add_to_nothing_and_say_what_is_wrong() -> None:
    x, z = (tn.tensor([1.0, 2.0], requires_grad=True) for _ in "xz")
    y = (x**2).sum()
    assert tn.gradients(y, x, retain_graph=True).tolist() == [2.0, 4.0]
    assert x.grad is None
    assert tn.autograd.grad(y, [z], allow_unused=True, retain_graph=True) == (None,)
    assert tn.autograd.grad(y, [z], materialize_grads=True, retain_graph=True)[0].tolist() == [0.0, 0.0]
    with pytest.raises(RuntimeError, match="no output depends on inputs, of shape"):
        tn.gradients(y, z, retain_graph=True)
    with pytest.raises(RuntimeError, match=r"no gradient flows to inputs\[1\]"):
        tn.gradients(y, [x, tn.tensor([1.0])])
    with pytest.raises(ValueError, match="needs gradient="):
        tn.gradients(x**2, x)
    with pytest.raises(ValueError, match="2 gradients for 1 outputs"):
        tn.gradients(y, x, [1.0, 1.0])
    with pytest.raises(ValueError, match="unused='never'"):
        tn.gradients(y, x, unused="never")
    with pytest.raises(ValueError, match="is_grads_batched"):
        tn.autograd.grad(y, x, is_grads_batched=True)
    tn.gradients(y, x)
    with pytest.raises(RuntimeError):
        tn.gradients(y, x)  # released


def test_a_penalty_on_gradients_can_be_compiled() -> None:
    w = tn.tensor(SQUARE, requires_grad=True)

    def penalty(x: Any) -> Any:
        x = x * 1.0
        x = x.detach().requires_grad_()
        (g,) = tn.autograd.grad(tn.tanh(x @ w).sum(), x, create_graph=True)
        loss = ((g**2).sum(axis=1) - 1).mean() ** 2
        loss.backward()
        return loss

    x = tn.tensor(X[:, :, 0])
    expected = penalty(x).item(), w.grad.numpy().copy()
    w.grad = None
    step = tn.compile(penalty, keep_grads=True)
    for _ in range(2):
        w.grad = None
        assert abs(step(x).item() - expected[0]) < 1e-12
        np.testing.assert_allclose(w.grad.data, expected[1], rtol=1e-10)
