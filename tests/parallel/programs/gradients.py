"""The gradients that ranks have after averaging: of 16 bits, and added up over several passes."""

import contextlib
import importlib
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet import parallel as P
from tapenet.parallel import averaging
from tapenet.parallel.averaging import BUCKET

P.init(timeout=300)
own = 30000.0 + 4096 * P.rank
mean = 30000.0 + 2048 * (P.size - 1)

dtypes = ["float16", "float32", "float64"]
try:
    import ml_dtypes
except ImportError:
    pass
else:
    dtypes.append(ml_dtypes.bfloat16)
for dtype in dtypes:
    w = tn.tensor(np.full(3, 1 + P.rank, dtype), requires_grad=True)
    low = np.dtype(dtype).itemsize == 2
    opt = P.optimizer(optim.MasterWeights(optim.SGD, [w], lr=0.1) if low else optim.SGD([w], lr=0.1))
    (w * np.asarray(own, dtype)).sum().backward()
    values = np.float64([np.asarray(30000.0 + 4096 * r, dtype) for r in range(P.size)])
    want = np.float32(values.mean()).astype(dtype)  # rounded once; a sum of two is too large for float16
    assert w.grad.dtype == dtype
    assert np.array_equal(w.grad.numpy(), [want] * 3), (dtype, w.grad, want)
    opt.step()
    assert P.equal({"w": w.numpy()})
    del opt

# Two passes add up, in a step that is compiled too.
w = tn.tensor(np.ones(3), requires_grad=True)
opt = P.optimizer(optim.SGD([w], lr=1e-6))


def step(x):
    opt.zero_grad()
    for part in range(2):
        (w * x[part]).sum().backward()
    opt.step()
    return w.grad


native = tn.compile(step)
for run in (step, native):
    for _ in range(2):
        assert np.allclose(run(np.array([own, 1.0])).numpy(), mean + 1, rtol=1e-15)
if P.size > 1 and "backend native" in (told := str(native.explain())):
    assert "native calls each time: 1, calls of Python: 0" in told  # MPI is called by address
    assert "called as they are" not in told
    assert "C functions of their own: send gradients" in told

del opt, w


# What a part counts is counted once, however many optimizers there are, and not in what no optimizer averages.
def ones(count=2):
    return tn.tensor(np.ones(count), requires_grad=True)


w, v, apart = ones(), ones(), ones()
opts = [P.optimizer(optim.SGD([each], lr=0.1)) for each in (w, v)]
opts.append(P.optimizer(opts[0]))
length = 2 * P.size - 1
for x in P.shard([np.arange(1.0, length + 1)]):
    for _ in P.shard([np.ones(P.size + 1)]):  # what another loop says ends with it
        pass
    ((w * x.mean()).sum() + (v * x.mean()).sum()).backward()
    (apart * x.mean()).sum().backward()
    assert np.allclose(apart.grad.numpy(), x.mean())
for each in (w, v):
    assert np.allclose(each.grad.numpy(), (length + 1) / 2), each.grad
for _ in zip(P.shard([np.ones(length)]), P.shard([np.ones(P.size + 1)] * 2), strict=False):
    pass
w.grad = None
(w * 2.0).sum().backward()
assert np.array_equal(w.grad.numpy(), [2, 2])
del opts

# Parameters that needed no gradient for a while, or have another dtype, are averaged all the same; new ones say so.
net = nn.Linear(2, 1)
opt = P.optimizer(optim.SGD(net, lr=0.1), net)
net.weight.requires_grad_(False)
net.weight.requires_grad_(True)
net.double()
(net(np.ones((1, 2))) * (1.0 + P.rank)).sum().backward()
assert np.allclose(net.weight.grad.numpy(), (P.size + 1) / 2)
opt.add_param_group({"params": [v]})
if P.size > 1:
    with pytest.raises(RuntimeError, match="had 2 parameters, and has 3 now"):
        v.sum().backward()
v.grad = None
opt = P.optimizer(opt, net)
(v * (1.0 + P.rank)).sum().backward()
assert np.allclose(v.grad.numpy(), (P.size + 1) / 2)

# What is in the optimizer alone begins alike too; hooks are called; and means have derivatives.
w = tn.tensor(np.full(2, 1.0 + P.rank), requires_grad=True)
opt = P.optimizer(optim.SGD([*net.parameters(), w], lr=0.1), net)
w.register_hook(lambda g: 10 * g)
(w * (1.0 + P.rank)).sum().backward()
assert np.allclose(w.grad.numpy(), 5 * (P.size + 1))
w = ones()
opt = P.optimizer(optim.SGD([w], lr=0.1))


def penalty():
    (w**3 * (1.0 + P.rank)).sum().backward(create_graph=True)
    slope = w.grad
    w.grad = None
    (slope**2).sum().backward()
    return w.grad


for run in (penalty, tn.compile(penalty)):
    w.grad = None
    assert np.allclose(run().numpy(), 9 * (P.size + 1) ** 2)

# `fit` knows of ranks by way of master weights too.
tn.random.seed(P.rank)
net = nn.Linear(2, 1).half()
opt = P.optimizer(optim.MasterWeights(optim.SGD, net, lr=0.1), net)
x = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float16)
tn.training.fit(net, nn.functional.mse_loss, opt, (x, x[:, :1]), epochs=1, batch_size=4, seed=0, verbose=0)
assert P.equal(net)

# Where the gradient of one rank is not finite, that of all is not: all skip the step, and scale less.
w = tn.tensor(np.ones(3), requires_grad=True)
opt, scaler = P.optimizer(optim.SGD([w], lr=1.0)), optim.GradScaler(init_scale=4.0)
for round_, (factor, scale, value) in enumerate([(np.inf, 2.0, 1.0), (1.0, 2.0, 0.0)]):
    opt.zero_grad()
    scaler.scale((w * (factor if P.rank == P.size - 1 else 1.0)).sum()).backward()
    scaler.step(opt)
    scaler.update()
    assert scaler.get_scale() == scale, (round_, scaler.get_scale())
    assert np.array_equal(w.numpy(), np.full(3, value)), (round_, w)

# Several batches make an update, of which the last has uneven parts, clipped by the norm of the whole, in low precision too;
# there are ranks without a sample; and all ranks validate alike, though their running statistics differ.
x = np.random.default_rng(0).normal(size=(16 * P.size + 1, 2))


def small(output, target):
    return 1e-3 * nn.functional.mse_loss(output, target)  # float16's scale is not too large for it


nets = []
for together, precision in ((True, None), (False, None), (True, "float16"), (False, "float16")):
    tn.random.seed(0)
    nets.append(nn.Linear(2, 1) if precision else nn.Linear(2, 1).double())
    begun = nets[-1].weight.numpy().copy()
    opt = optim.SGD(nets[-1], lr=100.0)
    opt = P.optimizer(opt, nets[-1]) if together else opt
    for length in (len(x), 1):
        history = tn.training.fit(
            nets[-1], small, opt, (x[:length], x[:length, :1]), batch_size=16 * P.size, accumulate=2,
            shuffle=False, metrics="mae", clip_norm=1e-5, precision=precision, compile=False, verbose=0,
        )  # fmt: skip
    assert np.isfinite(history["loss"][0])
    assert 0 < np.linalg.norm(nets[-1].weight.numpy() - begun) < 0.004  # it was clipped
for one, other, off in ((*nets[:2], 1e-12), (*nets[2:], 1e-4)):
    assert P.equal(one)
    assert np.allclose(one.weight.numpy(), other.weight.numpy(), rtol=off), (one.weight, other.weight)
net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)).double()
opt = P.optimizer(optim.SGD(net, lr=0.1), net)
history = tn.training.fit(
    net, nn.functional.mse_loss, opt, (x[:-1], x[:-1, :1]), batch_size=8 * P.size, validation=(x, x[:, :1]), compile=False,
    verbose=0,
)  # fmt: skip
assert P.equal({"loss": np.array(history["val_loss"])})

# Where samples come in their own order, no seed is needed.
assert sum(len(part) for part in P.shard(tn.data.DataLoader(np.ones(4 * P.size), 2 * P.size))) == 4

# The numbers of an epoch are those of all samples, though some are no means; what one rank stops ends after that update.
y = (x[:, 0] + np.sin(9 * x[:, 1]) > 0).astype(int)
found = []
for together in (True, False):
    tn.random.seed(0)
    net = nn.Linear(2, 2).double()
    opt = optim.SGD(net, lr=0.1)
    opt = P.optimizer(opt, net) if together else opt

    @tn.training.every_batch
    def enough(state, last=P.size - 1 if together else P.rank):
        if state.step == 3 and P.rank == last:
            state.stop = "enough"

    found.append(tn.training.fit(
        net, nn.functional.cross_entropy, opt, (x, y), batch_size=4 * P.size, shuffle=False, metrics=["f1", "auc"], epochs=3,
        callbacks=enough, compile=False, verbose=0,
    ))  # fmt: skip
one, other = found
assert one.stopped == other.stopped == "enough, after epoch 1 of 3"
for name in ("loss", "f1", "auc"):
    assert np.allclose(one[name], other[name], rtol=1e-12), name
    assert len(one[name]) == 1


class Largest(tn.metrics.Metric):
    name = "largest"
    reset = update = compute = lambda *_: 0.0


if P.size > 1:
    opt = P.optimizer(optim.SGD(net, lr=0.1), net)
    with pytest.raises(TypeError, match=r"a Largest must say adds = True, .* or have a method merge"):
        tn.training.fit(net, nn.functional.cross_entropy, opt, (x, y), metrics=Largest(), verbose=0)

# A run that ends within an epoch goes on with another number of ranks: each rank by itself, and what one did together.


def begun(state):
    if state.step == 3:
        raise KeyError("an error")


def trained(together, *callbacks, **options):
    tn.random.seed(0)
    net = nn.Linear(2, 2).double()
    opt = optim.SGD(net, lr=0.1)
    opt = P.optimizer(opt, net) if together else opt
    return tn.training.fit(
        net, nn.functional.cross_entropy, opt, (x, y), batch_size=4 * P.size, shuffle=False, metrics=["f1", "auc"], epochs=2,
        callbacks=[tn.training.every_batch(f) for f in callbacks], compile=False, verbose=0, **options,
    )  # fmt: skip


whole = trained(False)
for together in (True, False):
    with tempfile.TemporaryDirectory() as here:
        saved = f"{P.map(lambda _: here, range(P.size))[0] if together else here}/saved"
        with pytest.raises(KeyError):
            trained(together, begun, checkpoint=tn.training.Checkpoint(saved, steps=1))
        copied = shutil.copytree(saved, f"{here}/copied")
        resumed = trained(not together, lambda state: None, checkpoint=tn.training.Checkpoint(copied))
        P.map(abs, [0])  # until all have read it
    for name in ("loss", "f1", "auc"):
        assert np.allclose(resumed[name], whole[name], rtol=1e-12), (together, name, resumed[name], whole[name])

# Gradients are on their way before the pass has come to others: two buckets, and what is between them in the pass.
v, wide = ones(), ones(BUCKET // 8 + 1)
opt = P.optimizer(optim.SGD([v, wide], lr=0.0))
order = []


@tn.op(effect=True, nondiff=True)
def passes_by(g):
    order.append("further")
    return g.copy()


@tn.op(x=lambda g: passes_by(g))
def early(x):
    return x.copy()


def step(x):
    opt.zero_grad()
    (early(v * x).sum() + (wide * x[0]).sum()).backward()
    return v.grad


begin = averaging._Bucket._begin
averaging._Bucket._begin = lambda bucket, flat: (order.append("sent"), begin(bucket, flat))
for run in (step, tn.compile(step, backend="numpy")):
    for _ in range(2):
        order.clear()
        assert np.array_equal(run(np.ones(2)).numpy(), [1, 1])
    assert order == ["sent", "further", "sent"] if P.size > 1 else ["further"], order
averaging._Bucket._begin = begin

# Parts of a batch do not overlap, and are the batch together: cut from arrays, of numbered samples, of a stream, of anything.
samples = np.arange(9 * P.size)
for made in (
    lambda: tn.data.batches(samples, batch_size=4 * P.size, shuffle=True, seed=1),
    lambda: tn.data.DataLoader(samples, 4 * P.size, shuffle=True, seed=1),
    lambda: tn.data.DataLoader(lambda: iter(samples), 4 * P.size),
    lambda: [samples[: P.size + 1], samples[P.size + 1 :]],
):
    own = [np.asarray(part) for part in P.shard(made())]
    every = P.map(lambda _, own=own: own, range(P.size))
    for batch, *parts in zip(made(), *every, strict=True):
        assert np.array_equal(np.concatenate(parts), batch), (parts, batch)

# What is evaluated in parts has the numbers of the whole, and what is predicted so is whole, where a rank has no sample too.
for length in (len(x), 4 * P.size + 1):
    data = tn.data.batches(x[:length], y[:length], batch_size=2 * P.size)
    one, other = (
        tn.training.evaluate(net, nn.functional.cross_entropy, each, metrics=["f1", "auc"], compile=False)
        for each in (P.shard(data), data)
    )
    assert one.keys() == other.keys()
    assert all(np.allclose(one[name], other[name], rtol=1e-12) for name in one), (one, other)
    one, whole = (tn.training.predict(net, each, compile=False) for each in (P.shard(data), data))
    assert one.shape == (length, *whole.shape[1:])
    assert np.allclose(one, whole, rtol=1e-12)
history = tn.training.fit(
    net, nn.functional.cross_entropy, P.optimizer(optim.SGD(net, lr=0.0), net), (x, y), validation=P.shard(data),
    metrics="f1", compile=False, verbose=0,
)  # fmt: skip
assert np.allclose([history["val_loss"][0], history["val_f1"][0]], [other["loss"], other["f1"]], rtol=1e-12)

# One rank tells, and writes.
with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as told:
    net = nn.Linear(2, 2).double()
    tn.training.fit(
        net, nn.functional.cross_entropy, P.optimizer(optim.SGD(net, lr=0.1), net), (x, y), verbose=2, compile=False,
        callbacks=tn.training.CSVLogger(f"{folder}/log.csv"), checkpoint=tn.training.Checkpoint(f"{folder}/saved"),
    )  # fmt: skip
    tn.draw(net, over=P).save(f"{folder}/net.svg")
    written = [file.name for file in Path(folder).glob("**/*") if file.is_file()]
    assert {"log.csv", "net.svg"} < set(written) if P.rank == 0 else not written, written
assert bool(told.getvalue()) == (P.rank == 0), told.getvalue()

# A gradient on some ranks only: a compiled step says so on each.
v, w = ones(), ones()
opt = P.optimizer(optim.SGD([v, w], lr=0.0))


@tn.compile
def step(x, both):
    opt.zero_grad()
    ((v * x).sum() + (w.sum() if both else 0)).backward()


for _ in range(2 * (P.size > 1)):
    with pytest.raises(RuntimeError, match="has a gradient on some ranks only"):
        step(np.ones(2), P.rank == 0)

# A call that one rank makes in a callback is found out, though others ask whether to stop meanwhile.
if P.size > 1:

    @tn.training.every_batch
    def alone(state):
        if P.rank == 0:
            P.allreduce(np.ones(3))

    with pytest.raises(RuntimeError, match=r"rank 0: allreduce float64 \(3,\) sum; rank.* 1.*: whether to stop"):
        trained(True, alone)

# An error, or Ctrl-C, while gradients are on their way: what MPI writes to stays until it is through.
w, v = ones(200_000), ones(200_000)
opt = P.optimizer(optim.SGD([w, v], lr=0.0))
turn = 0


@tn.op(effect=True, nondiff=True)
def fails(g):
    global turn
    turn += 1
    if turn in (3, 5):
        raise KeyError if turn == 3 else KeyboardInterrupt
    return g.copy()


@tn.op(x=lambda g: fails(g))
def late(x):
    return x.copy()


def step(x):
    opt.zero_grad()
    (late(w * x) + 0 * w + v * x).sum().backward()
    return w.grad.sum() + 0, v.grad.sum() + 0


for backend in (None, "numpy"):
    turn, run = 0, tn.compile(step, backend=backend)
    for i in range(8):
        if turn in (2, 4):
            with pytest.raises((KeyError, KeyboardInterrupt)):
                run(np.full(200_000, float(i)))
        else:
            assert [a.item() for a in run(np.full(200_000, float(i)))] == [200_000.0 * i] * 2, (backend, i)

if P.size > 1:  # a program may end MPI itself
    importlib.import_module("mpi4py.MPI").Finalize()
