"""Parametrised weights beside PyTorch's: the state's names, values and gradients, removal; parameters as a vector; batch
normalisation folded into the layer before it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.nn.utils import parametrizations, parametrize
from tests.nn.oracle import R, arrays, pair, same_state

torch = pytest.importorskip("torch")


def _utils(m: Any) -> Any:
    return parametrizations if m is nn else torch.nn.utils.parametrizations


def _weight(layer: str, *sizes: int, **options: Any) -> Callable[[Any], Any]:
    return lambda m: _utils(m).weight_norm(getattr(m, layer)(*sizes), **options)


def _spectral(layer: str, *sizes: int, **options: Any) -> Callable[[Any], Any]:
    return lambda m: _utils(m).spectral_norm(getattr(m, layer)(*sizes), **options)


CASES: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "weight": (_weight("Linear", 3, 4), (5, 3)),
    "weight of columns": (_weight("Linear", 3, 4, dim=1), (5, 3)),
    "weight in all": (_weight("Linear", 3, 4, dim=None), (5, 3)),
    "weight of a bias": (_weight("Linear", 3, 4, name="bias"), (5, 3)),
    "weight of a convolution": (_weight("Conv2d", 2, 3, 3), (2, 2, 5, 4)),
    "spectral": (_spectral("Linear", 3, 4), (5, 3)),
    "spectral, more turns": (_spectral("Linear", 3, 4, n_power_iterations=3, dim=1), (5, 3)),
    "spectral of a convolution": (_spectral("Conv2d", 2, 3, 3), (2, 2, 5, 4)),
    "spectral of a transposed convolution": (_spectral("ConvTranspose2d", 2, 3, 3), (2, 2, 5, 4)),
    "spectral of a vector": (_spectral("LayerNorm", 4), (2, 4)),
    "weight of recurrence": (_weight("LSTMCell", 3, 4, name="weight_hh"), (5, 3)),
    "both": (lambda m: _utils(m).spectral_norm(_weight("Linear", 3, 4)(m)), (5, 3)),
    "two": (lambda m: _utils(m).spectral_norm(_weight("Linear", 3, 4)(m), name="bias"), (5, 3)),
    "inside a model": (lambda m: m.Sequential(m.Linear(3, 4), m.Tanh(), _weight("Linear", 4, 2)(m)), (5, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_as_in_torch(name: str) -> None:
    make, shape = CASES[name]
    mine, theirs = pair(make)
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for training in (True, True, False, True):
        mine.train(training)
        theirs.train(training)
        mine.zero_grad()
        theirs.zero_grad()
        data = R.normal(size=shape)
        x, tx = tn.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
        out, expected = mine(x), theirs(tx)
        if isinstance(out, tuple):
            out, expected = out[0], expected[0]
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
        g = R.normal(size=out.shape)
        out.backward(g)
        expected.backward(torch.tensor(g))
        np.testing.assert_allclose(x.grad.data, tx.grad.numpy(), rtol=1e-8, atol=1e-10)
        theirs_by_name = dict(theirs.named_parameters())
        for n, p in mine.named_parameters():
            np.testing.assert_allclose(p.grad.data, theirs_by_name[n].grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=n)
    for n, value in arrays(theirs).items():
        np.testing.assert_allclose(mine.state_dict()[n], value, rtol=1e-9, atol=1e-11, err_msg=n)


@pytest.mark.parametrize("make", [_weight("Linear", 3, 4), _spectral("Linear", 3, 4)])
def test_the_weight_is_kept_at_first_and_when_removed(make: Any) -> None:
    layer = make(nn)
    x = R.normal(size=(2, 3)).astype(np.float32)
    layer.eval()
    before = layer(x).data
    assert parametrize.is_parametrized(layer)
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    assert type(layer).__name__ == "ParametrizedLinear"
    assert isinstance(layer, nn.Linear)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear
    assert not parametrize.is_parametrized(layer)
    assert {n for n, _ in layer.named_parameters()} == {"weight", "bias"}
    np.testing.assert_allclose(layer(x).data, before, rtol=1e-6)


def test_weight_norm_begins_with_the_weight() -> None:
    layer = nn.Linear(3, 4)
    weight = layer.weight.data.copy()
    parametrizations.weight_norm(layer)
    np.testing.assert_allclose(layer.weight.data, weight, rtol=1e-6)


def test_spectral_norm_begins_near_one() -> None:
    layer = parametrizations.spectral_norm(nn.Linear(30, 20, rng=0), n_power_iterations=30, rng=0)
    assert np.linalg.norm(layer.weight.data, 2) == pytest.approx(1, rel=1e-2)


def test_removal_with_the_original() -> None:
    layer = nn.Linear(3, 4)
    weight = layer.weight
    parametrizations.spectral_norm(layer)
    assert layer.parametrizations.weight.original is weight
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight is weight
    with pytest.raises(ValueError, match="'weight' of this Linear is not parametrised"):
        parametrize.remove_parametrizations(layer, "weight")
    parametrizations.weight_norm(layer)
    with pytest.raises(ValueError, match="has 2 originals, none of which it could become"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def test_removal_of_one_of_two() -> None:
    layer = parametrizations.weight_norm(parametrizations.weight_norm(nn.Linear(3, 4)), name="bias")
    parametrize.remove_parametrizations(layer, "weight")
    assert not parametrize.is_parametrized(layer, "weight")
    assert parametrize.is_parametrized(layer, "bias")
    parametrize.remove_parametrizations(layer, "bias")
    assert type(layer) is nn.Linear


def test_assignment_goes_to_the_originals() -> None:
    layer = parametrizations.weight_norm(nn.Linear(2, 2))
    layer.weight = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32)
    np.testing.assert_allclose(layer.parametrizations.weight.original0.data, [[5.0], [2.0]])
    np.testing.assert_allclose(layer.weight.data, [[3.0, 4.0], [0.0, 2.0]], rtol=1e-6)

    class Positive(nn.Module):
        def forward(self, x: Any) -> Any:
            return np.exp(x)

    parametrize.register_parametrization(layer, "bias", Positive())
    assert (layer.bias.data > 0).all()
    with pytest.raises(RuntimeError, match="Positive has no right_inverse"):
        layer.bias = np.ones(2, np.float32)


def test_copies_stand_alone() -> None:
    layer = parametrizations.spectral_norm(nn.Linear(3, 4))
    other = copy.deepcopy(layer)
    other.parametrizations.weight.original.data = np.eye(4, 3)
    assert not np.allclose(layer.weight.data, other.weight.data)
    parametrize.remove_parametrizations(other, "weight")
    assert parametrize.is_parametrized(layer)


def test_two_forwards_before_a_gradient() -> None:
    """A later call changes the singular vectors, but not those that an earlier one used."""
    layer = parametrizations.spectral_norm(nn.Linear(3, 4))
    x = R.normal(size=(2, 3))
    (layer(x).sum() - layer(2 * x).sum()).backward()
    layer.eval()
    early = layer(x).sum()
    layer.train()
    layer(x)
    early.backward()


@pytest.mark.parametrize("make", [_weight("Linear", 3, 4), _spectral("Linear", 3, 4)])
def test_a_compiled_step_is_the_same(make: Any) -> None:
    eager = make(nn).astype("float64")
    other = copy.deepcopy(eager)
    data = R.normal(size=(4, 5, 3))

    def training(net: Any) -> Any:
        opt = optim.SGD(net.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            loss = (net(x) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        return step

    plain, compiled = training(eager), tn.compile(training(other))
    for x in data:
        assert plain(x).item() == pytest.approx(compiled(x).item(), rel=1e-9)
    for name, value in other.state_dict().items():
        np.testing.assert_allclose(value, eager.state_dict()[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: parametrizations.weight_norm(nn.Linear(2, 1), "wait"),
            "Linear has no parameter or buffer 'wait' of its",
        ),
        (lambda: parametrizations.weight_norm(nn.Linear(2, 1, bias=False), "bias"), "no parameter or buffer 'bias'"),
        (lambda: parametrizations.spectral_norm(nn.Tanh()), "this Tanh has no parameter 'weight'"),
        (lambda: parametrizations.spectral_norm(nn.Linear(2, 1), dim=2), r"of shape \(1, 2\) has no axis dim=2"),
        (lambda: parametrizations.spectral_norm(nn.Linear(2, 1), n_power_iterations=0), "must be at least 1"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


# -- vectors -----------------------------------------------------------------------------------------------------


def test_parameters_as_a_vector() -> None:
    mine, theirs = nn.Linear(3, 2).astype("float64"), torch.nn.Linear(3, 2).double()
    mine.load_state_dict(arrays(theirs))
    vector = nn.utils.parameters_to_vector(mine.parameters())
    np.testing.assert_array_equal(
        vector.data, torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy()
    )
    (vector**2).sum().backward()
    np.testing.assert_allclose(mine.weight.grad.data, 2 * mine.weight.data)
    values = R.normal(size=8)
    nn.utils.vector_to_parameters(values, mine.parameters())
    torch.nn.utils.vector_to_parameters(torch.tensor(values), theirs.parameters())
    same_state(mine, theirs)
    with pytest.raises(ValueError, match=r"have 8 elements together; the vector has shape \(7,\)"):
        nn.utils.vector_to_parameters(values[1:], mine.parameters())
    same_state(mine, theirs)
    with pytest.raises(ValueError, match="there are no parameters"):
        nn.utils.parameters_to_vector([])


# -- folding -----------------------------------------------------------------------------------------------------


def _trained(bn: Any) -> Any:
    for t in bn.state_dict():
        value = getattr(bn, t)
        if value.dtype.kind == "f":
            value.data = R.uniform(0.5, 2, value.shape)
    return bn.eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_folded_layer_is_both(bias: bool, affine: bool) -> None:
    conv = nn.Conv2d(4, 6, 3, groups=2, bias=bias).astype("float64").eval()
    bn = _trained(nn.BatchNorm2d(6, affine=affine).astype("float64"))
    x = R.normal(size=(2, 4, 5, 5))
    np.testing.assert_allclose(nn.utils.fuse_conv_bn_eval(conv, bn)(x).data, bn(conv(x)).data, rtol=1e-9, atol=1e-12)
    transposed = nn.ConvTranspose2d(4, 6, 3, groups=2, bias=bias).astype("float64").eval()
    fused = nn.utils.fuse_conv_bn_eval(transposed, bn, transpose=True)
    np.testing.assert_allclose(fused(x).data, bn(transposed(x)).data, rtol=1e-9, atol=1e-12)
    linear, norm = nn.Linear(3, 6, bias=bias).astype("float64").eval(), nn.BatchNorm1d(6, affine=affine)
    norm = _trained(norm.astype("float64"))
    x = R.normal(size=(2, 3))
    np.testing.assert_allclose(nn.utils.fuse_linear_bn_eval(linear, norm)(x).data, norm(linear(x)).data, rtol=1e-9)


def test_folding_needs_evaluation() -> None:
    conv, bn = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
    with pytest.raises(ValueError, match="fuse_conv_bn_eval: both layers must be in eval mode"):
        nn.utils.fuse_conv_bn_eval(conv.eval(), bn)
    with pytest.raises(ValueError, match="has no running statistics"):
        nn.utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(2, track_running_stats=False).eval())
    with pytest.raises(ValueError, match="the layer has 2 outputs, the batch normalisation 3 features"):
        nn.utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3).eval())


# -- orthogonal weights, and cached ones ---------------------------------------------------------------------------

SHAPES = [(4, 4), (5, 3), (3, 5), (2, 4, 3)]


@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder", None])
@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_weights_are_those_of_torch(shape: tuple[int, ...], kind: str | None, trivial: bool) -> None:
    r = np.random.default_rng(0)
    weight, target, moved = r.normal(size=shape), r.normal(size=shape), r.normal(size=shape) * 3
    mine, theirs = type("Holder", (nn.Module,), {})(), torch.nn.Module()
    mine.weight = nn.Parameter(weight)
    theirs.weight = torch.nn.Parameter(torch.tensor(weight))
    for m, holder in ((nn, mine), (torch.nn, theirs)):
        m.utils.parametrizations.orthogonal(holder, "weight", kind, use_trivialization=trivial)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    if trivial:  # what completes a matrix is drawn
        mine.load_state_dict({n: v.numpy() for n, v in theirs.state_dict().items()})
    for step in range(3):
        np.testing.assert_allclose(mine.weight.numpy(), theirs.weight.detach().numpy(), atol=1e-12)
        for holder, value in ((mine, target), (theirs, torch.tensor(target))):
            holder.zero_grad()
            ((holder.weight - value) ** 2).sum().backward()
        own, other = mine.parametrizations.weight.original, theirs.parametrizations.weight.original
        np.testing.assert_allclose(own.grad.numpy(), other.grad.numpy(), atol=1e-11)
        signs = np.tril(moved, -1) + np.where(np.abs(own.numpy()) == 1, own.numpy(), 0) if step else own.numpy() + 0.0
        own.data = signs
        other.data = torch.tensor(signs)
    q = mine.weight.numpy()
    tall = q if q.shape[-2] >= q.shape[-1] else np.swapaxes(q, -1, -2)
    np.testing.assert_allclose(np.swapaxes(tall, -1, -2) @ tall, np.broadcast_to(np.eye(tall.shape[-1]), (
        *tall.shape[:-2], tall.shape[-1], tall.shape[-1])), atol=1e-12)  # fmt: skip


def test_an_orthogonal_weight_stays_so_through_training_and_compiled() -> None:
    weights = []
    for compiled in (False, True):
        layer = nn.utils.parametrizations.orthogonal(nn.Linear(4, 4, dtype="float64", rng=0))
        opt = optim.SGD(layer, lr=0.5)

        def step(x: Any, layer: Any = layer, opt: Any = opt) -> None:
            opt.zero_grad()
            ((layer(x) - 1.0) ** 2).mean().backward()
            opt.step()

        run = tn.compile(step) if compiled else step
        x = np.random.default_rng(1).normal(size=(8, 4))
        for _ in range(10):
            run(x)
        q = layer.weight.numpy()
        np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-13)
        weights.append(q)
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-12)


def test_an_orthogonal_weight_can_be_assigned() -> None:
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3, dtype="float64", rng=0))
    given = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    layer.weight = given
    np.testing.assert_allclose(layer.weight.numpy(), given, atol=1e-14)
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3), orthogonal_map="cayley", use_trivialization=False)
    with pytest.raises(NotImplementedError, match="it has no inverse"):
        layer.weight = given
    with pytest.raises(ValueError, match="orthogonal_map='qr' must be 'matrix_exp', 'cayley', 'householder' or None"):
        nn.utils.parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="qr")
    with pytest.raises(ValueError, match=r"a weight of shape \(2,\) is no matrix"):
        nn.utils.parametrizations.orthogonal(nn.Linear(2, 2), "bias")


def test_cached_attributes_are_computed_once() -> None:
    calls = []

    class Counting(nn.Module):
        def forward(self, x: Any) -> Any:
            calls.append(1)
            return x * 2

    layer = nn.Linear(2, 2)
    nn.utils.parametrize.register_parametrization(layer, "weight", Counting(), unsafe=True)
    x = np.ones((1, 2), np.float32)
    layer(x)
    layer(x)
    assert len(calls) == 2
    with nn.utils.parametrize.cached():
        first = layer.weight
        with nn.utils.parametrize.cached():
            layer(x)
        assert layer.weight is first
        assert len(calls) == 3
    assert layer.weight is not first
    assert nn.utils.parametrize.type_before_parametrizations(layer) is nn.Linear
    assert nn.utils.parametrize.type_before_parametrizations(nn.Linear(2, 1)) is nn.Linear


#: Public names of torch.nn.utils and of its modules that are left out, by the reason.
ABSENT_UTILS = {
    "modules of PyTorch's": "clip_grad convert_parameters fusion init memory_format stateless",
    "deprecated in PyTorch": "clip_grad_norm remove_spectral_norm remove_weight_norm spectral_norm weight_norm",
    "orders of elements in memory, which say nothing about results here": "convert_conv2d_weight_memory_format "
    "convert_conv3d_weight_memory_format",
    "parts of fuse_conv_bn_eval and fuse_linear_bn_eval": "fuse_conv_bn_weights fuse_linear_bn_weights",
    "devices without storage": "skip_init",
}


def test_every_utility_of_torch_has_its_place() -> None:
    public = {n for n in dir(torch.nn.utils) if not n.startswith("_")}
    assert public - set(dir(nn.utils)) == set(" ".join(ABSENT_UTILS.values()).split())
    theirs, ours = torch.nn.utils.parametrize, nn.utils.parametrize
    public = {
        n for n, v in vars(theirs).items() if getattr(v, "__module__", "") == theirs.__name__ and not n.startswith("_")
    }
    assert public - set(dir(ours)) == {"transfer_parametrizations_and_params"}  # copy.deepcopy takes them along
    assert set(torch.nn.utils.parametrizations.__all__) == set(nn.utils.parametrizations.__all__)
