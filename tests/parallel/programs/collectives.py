"""Values and derivatives of all exchanges, against the same computed from all ranks' inputs on each rank."""

import io
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet import parallel as P
from tapenet.parallel.compiled import summed
from tapenet.parallel.ranks import world

P.init(timeout=300)
rank, size = P.rank, P.size
rng = np.random.default_rng(0)
#: The inputs of all ranks, known to all.
every = rng.normal(size=(size, 2 * size, 3))
mine = every[rank]

# -- values
assert np.allclose(P.allreduce(mine), every.sum(0), rtol=1e-14)
assert np.allclose(P.allreduce(mine, "mean"), every.mean(0), rtol=1e-14)
assert np.array_equal(P.allreduce(mine, "max"), every.max(0))
assert np.array_equal(P.allreduce(mine, "min"), every.min(0))
assert np.array_equal(P.allgather(mine), every.reshape(-1, 3))
assert np.allclose(P.reduce_scatter(mine), every.sum(0)[2 * rank : 2 * rank + 2], rtol=1e-14)
# Bit for bit the same on all ranks, also where it matters which number comes first.
few = np.roll([np.nan, 1.0, -np.nan, 0.0, -0.0, 2.0], rank)
for x in (few, np.resize(few, 3001), np.resize(few, 140_000)):
    for how in ("sum", "mean", "max", "min"):
        for call in (P.allreduce, *[tn.compile(P.allreduce)] * 2):
            assert P.equal({how: call(x, how)}), (how, x.size)
# Few numbers, and more, which are halved, or sent whole by two ranks; that cannot be halved evenly; in memory of any order.
for count in (1023, 5001, 140_003):
    numbers = rng.integers(-50, 50, (size, 3, count))
    for dtype in (np.int32, np.float32, np.float64):
        for how, reduce in (("sum", np.add.reduce), ("max", np.maximum.reduce)):
            given = np.asarray(numbers[rank], dtype, order="F")
            found = P.allreduce(given, how)
            assert np.array_equal(found, reduce(numbers)), (count, dtype, how)
            assert np.array_equal(given, numbers[rank])
            assert np.array_equal(tn.compile(partial(P.allreduce, op=how))(given), found)
if size > 1:  # calls that differ, whatever bytes the others send
    for dtype in (np.float32, np.int64, np.int8):
        for how in ("max", "min", "sum"):
            with pytest.raises(RuntimeError, match="different calls"):
                P.allreduce(np.ones(3, float if rank else dtype), how)
    # Lengths and calls that differ, with few numbers, which go with the message that the ranks agree by, and with many.
    others = [
        lambda x: P.allreduce(x[:-1]),
        lambda x: P.allreduce(x.astype("f")),
        P.allgather,
        P.broadcast,
        P.reduce_scatter,
    ]
    for i, other in enumerate(others):
        for count in (1, 5000, 50_000):
            for given in ([P.allreduce, other], [other, P.allreduce]):
                calls = [given[bool(rank)]] + [tn.compile(given[bool(rank)])] * (count == 5000 and i in (0, 2))
                for call in calls:
                    with pytest.raises(RuntimeError, match=r"different calls.*rank 0: \w+ float.*; ranks? 1"):
                        call(np.ones(size * count))
# Compiled programs call MPI without the interpreter.
x = rng.normal(size=(size, 2 * size, 20_000))
for few in (3, 20_000):
    of = x[rank, :, :few].astype("f")
    every_sum = x[:, :, :few].astype("f").sum(0)
    for name, call, want in [
        ("sum", P.allreduce, every_sum),
        ("mean of a transpose", lambda x: P.allreduce(x.T, "mean"), every_sum.T / size),
        ("max", lambda x: P.allreduce(2 * x, "max"), 2 * x[:, :, :few].astype("f").max(0)),
        ("sum and scattered", lambda x: P.reduce_scatter(P.allreduce(x)), size * every_sum[2 * rank : 2 * rank + 2]),
        ("gathered", lambda x: P.allgather(x[:2]), x[:, :2, :few].reshape(-1, few)),
        ("scattered", P.reduce_scatter, every_sum[2 * rank : 2 * rank + 2]),
        ("broadcast", lambda x: x - P.broadcast(x, size - 1), (x[rank] - x[-1])[:, :few]),
    ]:
        compiled = tn.compile(call)
        for _ in range(2):
            assert np.allclose(compiled(of), want, rtol=1e-5, atol=1e-5), name
        told = str(compiled.explain())
        assert size == 1 or "backend native" not in told or "calls of Python: 0" in told, told
# Of more numbers than C counts in an int.
assert summed(world(), 1 << 31, np.dtype("f"), "gradients") is None
for root in range(size):
    assert np.array_equal(P.broadcast(mine, root), every[root])
    assert np.allclose(P.reduce(mine, root), every.sum(0) * (rank == root), rtol=1e-14)

# -- every dtype that can be added, any strides, no axes, nothing
for dtype in ["float16", "float32", "float64", "complex64", "complex128", "int8", "uint8", "int32", "int64", "uint64"]:
    x = (10 * (abs(every) if dtype.startswith("u") else every)).astype(dtype)
    total = P.allreduce(x[rank].T)
    assert (total.dtype, total.shape) == (dtype, (3, 2 * size))
    assert np.allclose(total, x.sum(0, dtype=dtype).T, rtol=1e-2, atol=1e-1), dtype
    assert np.array_equal(P.allgather(x[rank][::2]), x[:, ::2].reshape(-1, 3)), dtype
try:
    import ml_dtypes
except ImportError:
    pass
else:
    ones = np.ones((size, 2), ml_dtypes.bfloat16)
    for exchange in (P.allreduce, P.allgather, P.broadcast, P.reduce, P.reduce_scatter):
        assert exchange(ones).dtype == ones.dtype, exchange
    assert np.array_equal(P.allreduce(ones), size * ones)
assert P.allreduce(np.float64(rank)).shape == ()
assert float(P.allreduce(np.float64(rank))) == sum(range(size))
assert P.allreduce(np.zeros((0, 3))).shape == (0, 3)
assert np.array_equal(P.allgather(np.array([rank % 2 == 0])), np.arange(size) % 2 == 0)
assert np.array_equal(P.broadcast(np.array([rank == 0])), [True])

# -- derivatives: of the sum of all ranks' losses
weights = rng.normal(size=(size, 2 * size, 3))


def losses(kind, x):
    """The sum of all ranks' losses, from all ranks' inputs: a function of one process."""
    if kind == "allreduce":
        outs = [sum(x) for _ in range(size)]
    elif kind == "mean":
        outs = [sum(x) / size for _ in range(size)]
    elif kind == "allgather":
        return sum(((tn.concatenate(list(x)) ** 3) * np.tile(w, (size, 1))).sum() for w in weights)
    elif kind == "reduce_scatter":
        total = sum(x)
        return sum((total[2 * r : 2 * r + 2] ** 3 * weights[r][:2]).sum() for r in range(size))
    elif kind == "broadcast":
        outs = [x[size - 1] + 0 * sum(x) for _ in range(size)]
    elif kind == "reduce":
        outs = [sum(x) if r == size - 1 else 0 * x[0] for r in range(size)]
    return sum((out**3 * w).sum() for out, w in zip(outs, weights, strict=True))


def loss(kind, x):
    """The loss of this rank."""
    own = weights[rank]
    if kind == "allgather":
        return (P.allgather(x) ** 3 * np.tile(own, (size, 1))).sum()
    if kind == "reduce_scatter":
        return (P.reduce_scatter(x) ** 3 * own[:2]).sum()
    options = {"mean": ("mean",), "broadcast": (size - 1,), "reduce": (size - 1,)}.get(kind, ())
    return (getattr(P, "allreduce" if kind == "mean" else kind)(x, *options) ** 3 * own).sum()


for kind in ("allreduce", "mean", "allgather", "reduce_scatter", "broadcast", "reduce"):
    whole = [tn.tensor(x, requires_grad=True) for x in every]
    losses(kind, whole).backward()
    want = whole[rank].grad.numpy()

    def gradient(x, kind=kind):
        x = tn.tensor(x, requires_grad=True)
        loss(kind, x).backward()
        return x.grad

    for found in (gradient(mine), tn.compile(gradient)(mine), tn.compile(gradient)(mine)):
        assert np.allclose(found.numpy(), want, rtol=1e-12, atol=1e-13), kind

    # To second order: the gradient of the square of all gradients.
    whole = [tn.tensor(x, requires_grad=True) for x in every]
    losses(kind, whole).backward(create_graph=True)
    sum((x.grad**2).sum() for x in whole if x.grad is not None).backward()
    want = whole[rank].grad
    x = tn.tensor(mine, requires_grad=True)
    loss(kind, x).backward(create_graph=True)
    first = x.grad
    x.grad = None
    (first**2).sum().backward()
    # `want` has the first gradient in it too.
    assert np.allclose(x.grad.numpy() + first.numpy(), want.numpy(), rtol=1e-10, atol=1e-11), kind

# -- the same by functions of functions: forward mode goes in all ranks' directions together, lanes exchange at once
for kind in ("allreduce", "mean", "allgather", "reduce_scatter", "broadcast", "reduce"):
    alone = partial(loss, kind)
    second = tn.hessian(lambda x, kind=kind: losses(kind, [x[r] for r in range(size)]))
    whole, third = (t.numpy() for t in tn.jvp(second, (every,), (weights,)))
    want, pushed = (sum(t[rank, :, :, r] for r in range(size)) for t in (whole, third))
    every_way = [tn.hessian(alone), *([tn.compile(tn.hessian(alone))] if kind in ("mean", "allgather") else [])]
    for hessian in every_way:
        assert np.allclose(hessian(mine).numpy(), want, rtol=1e-10, atol=1e-11), kind
    found = tn.jvp(tn.hessian(alone), (mine,), (weights[rank],))[1].numpy()  # to third order
    assert np.allclose(found, pushed, rtol=1e-10, atol=1e-11), kind
    first = tn.grad(alone)(mine)
    slope = P.allreduce(np.asarray(tn.jvp(alone, (mine,), (mine,))[1]))
    assert np.allclose(slope, P.allreduce(np.vdot(first, mine)), rtol=1e-10), kind
    lanes = np.stack([mine, 2 * mine])
    assert np.allclose(tn.vmap(tn.grad(alone))(lanes)[0], first, rtol=1e-12, atol=1e-13), kind
for kind in ("max", "min"):
    slope = tn.jvp(lambda x, kind=kind: P.allreduce(x, kind), (mine,), (weights[rank],))[1]
    hit = every == getattr(every, kind)(0)
    assert np.allclose(slope, (weights * hit).sum(0), rtol=1e-12), kind

# Exchanges stay in order, and none is left out, where derivatives run the function again.
turns = tn.grad(lambda x: tn.scan(lambda c, _: (P.allreduce(c, "mean") ** 2, None), x, length=2)[0].sum())
apart = tn.tensor(every, requires_grad=True)
((apart.mean(axis=0) ** 2) ** 2).sum().backward()
assert np.allclose(turns(mine), size * apart.grad.numpy()[rank], rtol=1e-12)

for kind in ("max", "min"):
    x = tn.tensor(mine, requires_grad=True)
    (P.allreduce(x, kind) * weights[rank]).sum().backward()
    hit = mine == getattr(every, kind)(0)
    assert np.allclose(x.grad.numpy(), weights.sum(0) * hit, rtol=1e-12)

# -- from rank to rank: a pipeline that goes around, its gradient the other way
if size > 1:
    x = tn.tensor(mine, requires_grad=True)

    def pipeline(x):
        if rank == 0:
            receipt = P.send(x * 2, 1)
            return (P.recv(x, size - 1) ** 3).sum() + receipt
        y = P.recv(x, rank - 1) * (rank + 1) + x
        return P.send(y, (rank + 1) % size)

    pipeline(x).backward()
    whole = [tn.tensor(e, requires_grad=True) for e in every]
    y = whole[0] * 2
    for r in range(1, size):
        y = y * (r + 1) + whole[r]
    (y**3).sum().backward()
    assert np.allclose(x.grad.numpy(), whole[rank].grad.numpy(), rtol=1e-12)

    @tn.compile
    def compiled(x):
        x = tn.tensor(x, requires_grad=True)
        pipeline(x).backward()
        return x.grad

    # In functions of functions, where other ranks' inputs may vary though this one's do not; to second order both ways.
    def together(x):
        y = x[0] * 2
        for r in range(1, size):
            y = y * (r + 1) + x[r]
        return (y**3).sum()

    def constant(x):
        other = np.zeros(x.shape)
        if rank == 0:
            return P.send(other + 1.0, 1)
        return (P.recv(other, 0) * x**2).sum() if rank == 1 else x.sum()

    first, second = whole[rank].grad.numpy(), tn.hessian(together)(every).numpy()
    slope = P.allreduce(np.asarray(tn.jvp(pipeline, (mine,), (weights[rank],))[1]))
    assert np.allclose(slope, np.vdot(tn.grad(together)(every), weights), rtol=1e-12)
    for found in (tn.grad(pipeline)(mine), tn.jacrev(pipeline)(mine), tn.compile(tn.grad(pipeline))(mine)):
        assert np.allclose(found.numpy(), first, rtol=1e-12)
    assert np.allclose(tn.vmap(tn.grad(pipeline))(np.stack([mine, 2 * mine]))[1], 4 * first, rtol=1e-12)
    pushed = tn.jvp(tn.grad(pipeline), (mine,), (weights[rank],))[1].numpy()
    pulled = tn.grad(lambda x: (tn.grad(pipeline)(x) * weights[rank]).sum())(mine).numpy()
    want = np.tensordot(second, weights, 3)[rank]
    assert np.allclose(pushed, want, rtol=1e-10, atol=1e-11)
    assert np.allclose(pulled, want, rtol=1e-10, atol=1e-11)
    want = sum(second[rank, :, :, r] for r in range(size))
    for hessian in (tn.hessian(pipeline), tn.compile(tn.hessian(pipeline))):
        assert np.allclose(hessian(mine).numpy(), want, rtol=1e-10, atol=1e-11)
    tangent = [0.0, (2 * mine * weights[rank]).sum(), weights[rank].sum()][min(rank, 2)]
    assert np.allclose(tn.jvp(constant, (mine,), (weights[rank],))[1], tangent)
    assert np.allclose(tn.grad(constant)(mine).numpy(), [0 * mine, 2 * mine, 1 + 0 * mine][min(rank, 2)])

    if rank < 2:  # the shape is a long text
        many = np.ones((1,) * 40)
        P.send(many, 1 - rank)
        assert P.recv(0 * many, 1 - rank).sum() == 1
    for _ in range(3):
        assert np.allclose(compiled(mine).numpy(), whole[rank].grad.numpy(), rtol=1e-12)

# -- several between the same ranks: the first that is sent comes first, whatever is done with it
if size > 1:

    def chain(x):
        if rank == 0:
            first = P.send(x, 1)
            return first + P.send(2 * x, 1)
        if rank == 1:
            first = P.recv(x, 0)
            second = P.recv(x, 0)
            return (second**2 * first).sum()
        return 0 * x.sum()

    want = [12 * mine**2, 0 * mine][min(rank, 1)]  # of (2 x) ** 2 * x
    for found in (tn.grad(chain)(mine), *map(tn.compile(tn.grad(chain)), [mine, mine])):
        assert np.allclose(found.numpy(), want, rtol=1e-12)

# -- an exchange of a user's own, made with the public interface: arrays move on by one rank, gradients back
if size > 1:
    comm = world().MPI.COMM_WORLD.Dup()

    @tn.op(
        ordered=lambda x, by: np.zeros(x.shape, x.dtype),
        vmap="leading",
        jvp=lambda x_dot, by: moved(x_dot, by),
        x=lambda g, by: moved(g, -by),
        label=lambda by: f"moved by {by}",
    )
    def moved(x, by=1):
        given = np.ascontiguousarray(x)
        out = np.empty_like(given)
        comm.Sendrecv(given, (rank + by) % size, recvbuf=out, source=(rank - by) % size)
        return out

    def bent(x):
        return (moved(x, 1) ** 3 * weights[rank]).sum()

    ahead = weights[(rank + 1) % size]  # of who has this rank's numbers
    assert np.array_equal(moved(mine), every[rank - 1])
    first, second = tn.grad(bent), tn.grad(lambda x: (tn.grad(bent)(x) * ahead).sum())
    for call, want in ((moved, every[rank - 1]), (first, 3 * mine**2 * ahead), (second, 6 * mine * ahead**2)):
        compiled = tn.compile(call)
        for found in (call(mine), compiled(mine), compiled(mine)):
            assert np.allclose(np.asarray(found), want, rtol=1e-12)
    slope = P.allreduce(np.asarray(tn.jvp(bent, (mine,), (weights[rank],))[1]))
    assert np.allclose(slope, P.allreduce((3 * mine**2 * ahead * weights[rank]).sum()), rtol=1e-12)
    assert np.allclose(tn.vmap(tn.grad(bent))(np.stack([mine, 2 * mine]))[1], 12 * mine**2 * ahead, rtol=1e-12)
    boxes = [v.title for v in tn.draw(bent, mine, over=P).drawing.vertices]
    assert boxes.count("moved by 1") == size, boxes

# -- batch norm of the batch on all ranks: in float16 too, where there are more numbers in a channel than float16 has
x = rng.normal(size=(4 * size, 2, 128, 128)).astype(np.float16)
whole, ours = nn.BatchNorm2d(2).half(), P.synchronize_batch_norm(nn.BatchNorm2d(2).half())
want, found = whole(tn.tensor(x)).numpy(), ours(tn.tensor(x[4 * rank : 4 * rank + 4]))
assert found.dtype == ours.running_var.dtype == np.float16
assert np.allclose(found.numpy(), want[4 * rank : 4 * rank + 4], atol=1e-2)
assert np.allclose(ours.running_var.numpy(), whole.running_var.numpy(), rtol=1e-2)

# -- a process that is forked from a rank ends alone, and a program that a rank starts is none
if hasattr(os, "fork"):
    for status in (1, 3):
        child = os.fork()
        if not child and status == 1:
            sys.stderr = io.StringIO()
            raise ValueError("in the child")
        if not child:
            sys.exit(status)
        assert os.waitpid(child, 0)[1] == status << 8
asks = [sys.executable, "-c", "import tapenet as tn; print(tn.parallel.rank, tn.parallel.size)"]
answer = subprocess.run(asks, capture_output=True, text=True)
assert answer.stdout.split() == ["0", "1"], answer.stderr
P.allreduce(mine)
