"""Modules under transformations that trace: per-sample gradients, ensembles, tangents, and what their buffers become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

R = np.random.default_rng(0)
BATCH = R.normal(size=(5, 2)).astype(np.float32)


def mlp(library: Any) -> Any:
    nn = library.nn
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))


def normed(library: Any) -> Any:
    nn = library.nn
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 1))


def state(module: nn.Module, copies: int = 0) -> tuple[Any, Any]:
    """Copies of its parameters and buffers: stacked ones that differ, if there are to be several."""

    def copied(t: tn.Tensor) -> np.ndarray:
        if not copies:
            return t.numpy().copy()
        return np.stack([t.numpy() * (i + 1) if t.dtype.kind == "f" else t.numpy() for i in range(copies)])

    params, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    return tn.tree.map(copied, params), {name: tn.tensor(copied(b)) for name, b in buffers.items()}


def agree(found: Any, expected: Any) -> None:
    assert tn.tree.structure(found) == tn.tree.structure(expected)
    for ours, theirs in zip(tn.tree.leaves(found), tn.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_gradients_by_a_module_for_each_sample() -> None:
    net = mlp(tn)

    def loss(net: nn.Module, x: Any) -> Any:
        return (net(x) ** 2).sum()

    found = tn.vmap(tn.grad(loss), in_axes=(None, 0))(net, BATCH)
    for i, x in enumerate(BATCH):
        agree(tn.tree.map(lambda g, i=i: g[i], found), tn.grad(loss)(net, x))
    compiled = tn.compile(tn.vmap(tn.grad(loss), in_axes=(None, 0)))
    for _ in range(2):
        agree(compiled(net, BATCH), found)


@pytest.mark.parametrize("compiled", [False, True])
def test_running_statistics_of_an_ensemble_are_given_back(compiled: bool) -> None:
    """By each member its own, though the module writes to its buffers."""
    net = normed(tn)
    own = {name: b.numpy().copy() for name, b in net.named_buffers()}

    def member(params: Any, buffers: Any, x: Any) -> Any:
        return tn.functional_call(net, (params, buffers), x), buffers

    ensemble = tn.vmap(member, in_axes=(0, 0, None))
    params, buffers = state(net, 3)
    outs, after = (tn.compile(ensemble) if compiled else ensemble)(params, buffers, BATCH)
    for i in range(3):
        alone = (
            tn.tree.map(lambda t, i=i: t[i], params),
            {n: tn.tensor(b.numpy()[i].copy()) for n, b in buffers.items()},
        )
        out, known = member(*alone, BATCH)
        agree((outs[i], tn.tree.map(lambda b, i=i: b[i], after)), (out, known))
    assert after["1.num_batches_tracked"].tolist() == [1, 1, 1]
    assert buffers["1.num_batches_tracked"].tolist() == [0, 0, 0]  # what is given to vmap is not written
    assert all(np.array_equal(b.numpy(), own[name]) for name, b in net.named_buffers())


def test_tangents_of_running_statistics_are_zero() -> None:
    net = normed(tn)
    params, buffers = state(net)

    def f(x: Any) -> Any:
        given = {name: tn.asarray(b) * 1 for name, b in buffers.items()}
        return tn.functional_call(net, (params, given), x), given

    (out, _), (slope, moved) = tn.jvp(f, (BATCH,), (BATCH,))
    assert slope.shape == out.shape
    assert slope.numpy().any()
    assert not moved["1.running_mean"].numpy().any()
    step = 1e-2
    difference = (f(BATCH * (1 + step))[0] - f(BATCH * (1 - step))[0]).detach().numpy() / (2 * step)
    np.testing.assert_allclose(slope.numpy(), difference, rtol=2e-2, atol=2e-3)


def test_buffers_of_the_module_itself_are_not_written_by_a_traced_function() -> None:
    net = normed(tn)
    for call in (lambda: tn.vmap(net)(np.stack([BATCH, BATCH])), lambda: tn.jvp(net, (BATCH,), (BATCH,))):
        with pytest.raises(Exception, match=r"has effects \(assign\).*tn\.functional_call"):
            call()
    assert net[1].num_batches_tracked.item() == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_modules_agree_with_torch_func() -> None:
    torch = pytest.importorskip("torch")
    for make in (mlp, normed):
        theirs, ours = make(torch), make(tn)
        ours.load_state_dict({name: v.numpy() for name, v in theirs.state_dict().items()})
        params, buffers = state(ours)
        their_params = {name: p.detach() for name, p in theirs.named_parameters()}
        x = torch.tensor(BATCH)

        def out(params: Any, theirs: Any = theirs, x: Any = x) -> Any:
            copies = {name: b.clone() for name, b in theirs.named_buffers()}
            return torch.func.functional_call(theirs, (params, copies), (x,))

        def own(params: Any, ours: Any = ours, buffers: Any = buffers) -> Any:
            copies = {name: b * 1 for name, b in buffers.items()}
            return tn.functional_call(ours, (params, copies), BATCH)

        tangent = {name: p * 0.5 for name, p in params.items()}
        their_tangent = {name: p * 0.5 for name, p in their_params.items()}
        agree(tn.jvp(own, (params,), (tangent,)), torch.func.jvp(out, (their_params,), (their_tangent,)))
        agree(tn.jacrev(own)(params), torch.func.jacrev(out)(their_params))
        agree(tn.jacfwd(own)(params), torch.func.jacrev(out)(their_params))
        hvp = tn.hvp(lambda p, own=own: (own(p) ** 2).sum())(params, tangent)
        expected = torch.func.jvp(
            torch.func.grad(lambda p, out=out: (out(p) ** 2).sum()), (their_params,), (their_tangent,)
        )
        agree(hvp, expected[1])
