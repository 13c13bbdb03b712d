"""Low types and mixed precision: tensors of 16 bits, autocast, and training with them."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.autodiff.state import local

ml_dtypes = pytest.importorskip("ml_dtypes")
BF16 = np.dtype(ml_dtypes.bfloat16)
LOW = {"float16": np.dtype(np.float16), "bfloat16": BF16}
#: Half the distance of 1 to its neighbour.
UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
lows = pytest.mark.parametrize("low", LOW)
R = np.random.default_rng(0)
X = R.normal(size=(8, 6)).astype(np.float32)
LABELS = R.integers(0, 4, 8)


def make(*, bias: bool = True) -> Any:
    tn.random.seed(0)
    return nn.Sequential(nn.Linear(6, 16, bias=bias), nn.Tanh(), nn.LayerNorm(16), nn.Linear(16, 4, bias=bias))


def wide(t: Any) -> Any:
    return np.asarray(t.data if isinstance(t, tn.Tensor) else t, np.float32)


# -- tensors of 16 bits ------------------------------------------------------------------------------------------


@lows
@pytest.mark.parametrize(
    ("other", "dtype"),
    [
        (2, None), (2.5, None), (True, None), (np.float32(2), "float32"), (np.ones(3, np.float32), "float32"),
        (np.ones(3), "float64"), (np.arange(3, dtype=np.int64), "float64"), (np.array([True, False, True]), None),
        (np.arange(3, dtype=np.uint8), None),
    ],
)  # fmt: skip
def test_promotion(low: str, other: Any, dtype: str | None) -> None:
    """Python numbers and narrow integers change nothing; wider types win."""
    x = tn.tensor([1.0, 2.0, 3.0], low, requires_grad=True)
    for y in (x + other, other * x, tn.maximum(x, other), tn.where(np.array([True, False, True]), x, other)):
        assert y.dtype == (LOW[low] if dtype is None else np.dtype(dtype))
        y.sum().backward()
        assert x.grad.dtype == LOW[low]


def test_the_two_low_types_meet_in_float32() -> None:
    a, b = tn.tensor([1.0, 2.0], "float16"), tn.tensor([1.0, 2.0], "bfloat16")
    assert (a + b).dtype == (a @ b).dtype == np.float32


@lows
def test_long_sums_and_products_accumulate_in_float32(low: str) -> None:
    n = 3000  # in bfloat16 a running sum of ones stays at 256
    ones = tn.tensor(np.ones((2, n)), low, requires_grad=True)
    exact = np.float32(n).astype(LOW[low])
    for y in (ones.sum(axis=1), (ones @ ones.T)[0], F.linear(ones, ones)[0], ones.cumsum(axis=1)[:, -1]):
        assert (y.data == exact).all()
    assert (ones.mean().data == 1).all()
    b = tn.tensor(np.zeros(2), low, requires_grad=True)
    (np.ones((n, 1), LOW[low]) * b).sum().backward()
    assert (b.grad.data == exact).all()
    table = tn.tensor(np.zeros((2, 1)), low, requires_grad=True)
    F.embedding(np.zeros(n, int), table).sum().backward()
    assert table.grad.data[0, 0] == exact


@lows
def test_words_and_numbers(low: str) -> None:
    x = tn.tensor([1.5, -2.0], low, requires_grad=True)
    text = {"float16": "[ 1.5, -2. ]", "bfloat16": "[1.5, -2]"}[low]
    assert repr(x) == f"Tensor({text}, dtype={low}, requires_grad=True)"
    assert type(x[0].item()) is float
    assert x.tolist() == [1.5, -2.0]
    assert float(x.detach()[1]) == -2.0
    assert f"{x[0]:.2f}" == "1.50"
    assert x.astype("float32").dtype == np.float32
    assert tn.asarray(np.ones(2, LOW[low])).dtype == LOW[low]
    assert nn.Parameter([1.0], dtype=LOW[low]).dtype == LOW[low]
    assert x.nbytes == 4


def test_overflow_is_infinite() -> None:
    x = tn.tensor([300.0], "float16")
    assert np.isposinf((x * x).data).all()
    assert np.isfinite((tn.tensor([300.0], "bfloat16") ** 2).data.astype(float)).all()


@lows
def test_gradients_of_gradients(low: str) -> None:
    x = tn.tensor([0.5, -1.0], low, requires_grad=True)
    y = (tn.tanh(x) * x).sum()
    y.backward(create_graph=True)
    first, x.grad = x.grad, None
    first.sum().backward()
    v = wide(x)
    t = np.tanh(v)
    np.testing.assert_allclose(wide(first), t + v * (1 - t**2), rtol=4 * UNIT[low])
    np.testing.assert_allclose(wide(x.grad), 2 * (1 - t**2) - 2 * v * t * (1 - t**2), rtol=16 * UNIT[low])
    assert x.grad.dtype == first.dtype == LOW[low]


@lows
def test_what_is_kept_is_low_and_is_used_again(low: str) -> None:
    x = tn.tensor(X, low, requires_grad=True)
    y = tn.exp(x) * x
    saved = [getattr(n, s) for n in (y.node, *y.node.parents) for s in n.saved_slots if hasattr(n, s)]
    assert {a.dtype for a in saved} == {LOW[low]}
    y.sum().backward(retain_graph=True)
    first = x.grad.data.copy()
    assert {getattr(y.node, s).dtype for s in y.node.saved_slots} == {LOW[low]}
    x.grad = None
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, first)


@lows
def test_items_are_written(low: str) -> None:
    x = tn.tensor(np.zeros(3), low)
    x[1] = 2.5
    x[2:] = np.float32(7)
    assert x.dtype == LOW[low]
    assert x.tolist() == [0.0, 2.5, 7.0]
    p = nn.Parameter(np.zeros(2, LOW[low]))
    p.data = np.ones(2, np.float32)
    with tn.no_grad():
        p[0] = 3.0
    assert p.tolist() == [3.0, 1.0]


@lows
def test_scopes_see_low_tensors_too(low: str) -> None:
    x = tn.tensor(X, low, requires_grad=True)
    with tn.Tape() as tape:
        tn.tanh(x).sum()
    assert [(n.name, n.dtype) for n in tape] == [("tanh", LOW[low]), ("sum", LOW[low])]
    with tn.debug(), np.errstate(divide="ignore"), pytest.raises(FloatingPointError, match=r"log.* gave"):
        tn.log(x * 0)
    with tn.profile() as profile:
        tn.tanh(x).sum().backward()
    assert profile.steps[0].records[0].saved == X.size * 2
    with tn.no_grad():
        assert tn.tanh(x).dtype == LOW[low]


@lows
def test_ops_defined_before_and_after(low: str) -> None:
    """The check for low types is generated anew for every op when the first is met, also for those of users."""
    double = tn.op(lambda x: np.matmul(x, x), name="square_matrix", x=lambda g, x: g @ x.T + x.T @ g)
    assert double(tn.tensor(np.eye(2))).dtype == np.float64
    assert double(tn.tensor(np.eye(2), low)).dtype == LOW[low]


# -- modules and their state -------------------------------------------------------------------------------------


@lows
def test_a_model_stored_low_computes_as_its_float32_twin(low: str) -> None:
    net = make()
    twin = copy.deepcopy(net)
    net.to(low)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert p.dtype == LOW[low]
        q.data = p.data
    out, expected = net(X), twin(X)
    assert out.dtype == LOW[low]
    np.testing.assert_allclose(wide(out), wide(expected), rtol=8 * UNIT[low], atol=8 * UNIT[low])
    F.cross_entropy(out, LABELS).backward()
    F.cross_entropy(expected, LABELS).backward()
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert p.grad.dtype == LOW[low]
        np.testing.assert_allclose(
            wide(p.grad), wide(q.grad), rtol=0.05, atol=40 * UNIT[low] * np.abs(q.grad.data).max()
        )


@lows
def test_state_passes_through_numpy_s_files_and_between_types(low: str, tmp_path: Any) -> None:
    net, other = make().to(low), make().to(low)
    for p in other.parameters():
        p.data = 0 * p.data
    state = net.state_dict()
    assert {a.dtype for a in state.values()} == {LOW[low]}
    np.savez(tmp_path / "state.npz", **state)
    with np.load(tmp_path / "state.npz") as stored:
        other.load_state_dict(dict(stored))  # NumPy's files keep bfloat16 as bytes without a type
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
    full = make()
    full.load_state_dict(state)
    np.testing.assert_array_equal(full[0].weight.data, wide(net[0].weight))
    other.load_state_dict(full.state_dict())
    np.testing.assert_array_equal(other[0].weight.data, net[0].weight.data)


def test_bfloat16_without_its_package() -> None:
    code = (
        "import sys; sys.modules['ml_dtypes'] = None\n"
        "import numpy as np, tapenet as tn\nfrom tapenet import nn\n"
        "net = nn.Linear(2, 2).half()\nnet(np.ones(2)).sum().backward()\n"
        "for call in (tn.autocast, net.bfloat16, lambda: tn.tensor([1.0], 'bfloat16'), lambda: tn.ones(2).astype('float16')"
        " if 0 else tn.asarray(np.ones(2)).astype('bfloat16')):\n"
        "    try: call()\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all("pip install 'tapenet[lowp]'" in line for line in lines)


# -- autocast ----------------------------------------------------------------------------------------------------


@lows
def test_autocast_gives_each_op_its_type(low: str) -> None:
    x, w = tn.tensor(X, requires_grad=True), tn.tensor(np.ones((3, 6), np.float32), requires_grad=True)
    image, kernel = np.ones((1, 2, 4, 4), np.float32), np.ones((3, 2, 3, 3), np.float32)
    with tn.autocast(low):
        h = tn.linear(x, w)
        for product in (h, x @ w.T, tn.einsum("ij,kj->ik", x, w), tn.conv2d(tn.asarray(image), kernel)):
            assert product.dtype == LOW[low]
        assert F.relu(h).dtype == (h * 2).dtype == h[0].dtype == LOW[low]
        for full in (
            h.sum(), h.mean(axis=0), F.softmax(h, axis=-1), F.log_softmax(h, axis=1), F.layer_norm(h, (3,)), h.var(),
            F.cross_entropy(h, np.zeros(8, int)), F.mse_loss(h, h * 0), tn.linalg.norm(h), tn.logsumexp(h, axis=1),
        ):  # fmt: skip
            assert full.dtype == np.float32
        assert (h + x[:, :3]).dtype == np.float32
        assert tn.linear(x.astype(np.float64), w.astype(np.float64)).dtype == np.float64
        with tn.autocast(enabled=False):
            assert tn.linear(x, w).dtype == np.float32
        loss = F.cross_entropy(h, np.zeros(8, int))
    assert tn.linear(x, w).dtype == np.float32
    loss.backward()
    assert x.grad.dtype == w.grad.dtype == np.float32
    assert local.state.autocast is None


@lows
def test_products_are_those_of_rounded_inputs_in_float32_rounded(low: str) -> None:
    dtype = LOW[low]
    layer = nn.Linear(6, 3, rng=0)
    x = tn.tensor(X, requires_grad=True)
    with tn.autocast(low):
        y = layer(x)
    a, w, b = (wide(v.astype(dtype)) for v in (X, layer.weight.data, layer.bias.data))
    np.testing.assert_array_equal(y.data, (a @ w.T + b).astype(dtype))
    g = R.normal(size=(8, 3)).astype(np.float32)
    y.backward(gradient=g)
    g = wide(g.astype(dtype))
    np.testing.assert_array_equal(layer.weight.grad.data, wide((g.T @ a).astype(dtype)))
    np.testing.assert_array_equal(x.grad.data, wide((g @ w).astype(dtype)))


@lows
def test_a_backward_pass_is_the_same_inside_and_outside(low: str) -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4, rng=1), nn.LayerNorm(4))
    x = R.normal(size=(2, 1, 4, 4)).astype(np.float32)
    grads = []
    for inside in (True, False):
        net.zero_grad()
        with tn.autocast(low):
            loss = F.cross_entropy(net(x), np.array([0, 3]))
            if inside:
                loss.backward()
        if not inside:
            loss.backward()
        grads.append([p.grad.data for p in net.parameters()])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_array_equal(a, b)


def test_autocast_beside_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    net = make()
    peer = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.LayerNorm(16), torch.nn.Linear(16, 4))
    peer.load_state_dict({n: torch.tensor(np.ascontiguousarray(a)) for n, a in net.state_dict().items()})
    with tn.autocast("bfloat16"):
        out = net(X)
        loss = F.cross_entropy(out, LABELS)
    loss.backward()
    with torch.autocast("cpu", torch.bfloat16):
        there = peer(torch.tensor(X))
        loss_there = torch.nn.functional.cross_entropy(there, torch.tensor(LABELS))
    loss_there.backward()
    assert str(there.dtype) == "torch.bfloat16"
    assert out.dtype == BF16
    unit = UNIT["bfloat16"]
    np.testing.assert_allclose(wide(out), there.float().detach().numpy(), rtol=4 * unit, atol=4 * unit)
    np.testing.assert_allclose(loss.item(), loss_there.item(), rtol=4 * unit)
    for ours, theirs in zip(net.parameters(), peer.parameters(), strict=True):
        grad = theirs.grad.numpy()
        np.testing.assert_allclose(ours.grad.data, grad, rtol=0.05, atol=8 * unit * np.abs(grad).max())


def test_autocast_keeps_half_of_the_bytes_of_wide_layers() -> None:
    net = nn.Sequential(
        nn.Linear(64, 256, rng=0), nn.ReLU(), nn.Linear(256, 256, rng=1), nn.ReLU(), nn.Linear(256, 8, rng=2)
    )
    full = nn.summary(net, (512, 64)).total.kept_bytes
    with tn.autocast("float16"):
        low = nn.summary(net, (512, 64)).total.kept_bytes
    weights = 2 * (256 * 256 + 256 * 8)  # the rounded copies that gradients by the layers' inputs need
    assert low == full // 2 + weights


def test_autocast_belongs_to_its_thread_and_ends_with_its_block() -> None:
    seen = []

    def other() -> None:
        seen.append(tn.linear(tn.tensor(X), tn.tensor(X)).dtype)

    with tn.autocast("float16"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    with pytest.raises(ZeroDivisionError), tn.autocast("float16"):
        _ = 1 / 0
    assert seen == [np.float32]
    assert tn.linear(tn.tensor(X), tn.tensor(X)).dtype == np.float32

    @tn.autocast("float16")
    def low(x: Any) -> Any:
        return tn.linear(x, x)

    assert low(tn.tensor(X)).dtype == np.float16


def test_autocast_refuses_wide_types() -> None:
    with pytest.raises(TypeError, match='dtype=float32 is no low type; give "bfloat16" or "float16"'):
        tn.autocast("float32")


@lows
@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled_steps_know_autocast_and_low_models(low: str, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    net, stored = make(), make().to(low)

    def step(x: Any) -> Any:
        net.zero_grad()
        loss = F.cross_entropy(net(x), LABELS)
        loss.backward()
        return loss

    def within(x: Any) -> Any:
        with tn.autocast(low):
            return step(x)

    def plain(x: Any) -> Any:
        return stored(x)

    f, g, h = (tn.compile(fn, backend=backend, keep_grads=True) for fn in (step, within, plain))
    for scope, compiled, eager in (
        (True, f, step),
        (False, f, step),
        (False, g, within),
        (False, h, plain),
        (True, f, step),
    ):
        with tn.autocast(low) if scope else nullcontext():
            expected = eager(X)
            grad = None if net[0].weight.grad is None else net[0].weight.grad.data.copy()
            for _ in range(3):
                out = compiled(X)
        assert out.dtype == expected.dtype
        tolerance = UNIT[low] if scope or compiled is not f else 1e-6
        np.testing.assert_allclose(wide(out), wide(expected), rtol=4 * tolerance, atol=4 * tolerance)
        if grad is not None:
            np.testing.assert_allclose(net[0].weight.grad.data, grad, rtol=4 * tolerance, atol=4 * tolerance)
    assert f"tn.autocast({low!r})" in str(f.explain())


# -- training ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> Any:
    """Losses and accuracies of a small net on real digits, by how it was trained."""
    images, labels, test_images, test_labels = tn.data.digits()

    def run(low: str | None, stored: bool) -> tuple[float, float]:
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 32, rng=0), nn.ReLU(), nn.Linear(32, 10, rng=1))
        if stored:
            net.to(low)
            opt: Any = optim.MasterWeights(optim.Adam, net, lr=3e-3)
        else:
            opt = optim.Adam(net.parameters(), lr=3e-3)
        scaler = optim.GradScaler(init_scale=2.0**12, enabled=low == "float16")
        for epoch in range(3):
            for x, y in tn.data.batches(images, labels, batch_size=50, shuffle=True, seed=epoch):
                with nullcontext() if stored or low is None else tn.autocast(low):
                    loss = F.cross_entropy(net(x), y)
                opt.zero_grad()
                scaler.scale(loss).backward()
                scaler.step(opt)
                scaler.update()
        net.float()
        out = net(test_images)
        return F.cross_entropy(net(images), labels).item(), float((out.data.argmax(axis=1) == test_labels).mean())

    return {(low, stored): run(low, stored) for low in (None, *LOW) for stored in (False, True) if low or not stored}


@lows
@pytest.mark.parametrize("stored", [False, True], ids=["autocast", "stored"])
def test_training_converges_as_in_float32(trained: Any, low: str, stored: bool) -> None:
    loss, accuracy = trained[None, False]
    low_loss, low_accuracy = trained[low, stored]
    assert loss < 0.5
    assert accuracy > 0.82
    assert abs(low_loss - loss) < 0.03
    assert abs(low_accuracy - accuracy) < 0.015
