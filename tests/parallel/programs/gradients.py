"""The gradients that ranks have after averaging: of 16 bits, and added up over several passes."""

import numpy as np

import tapenet as tn
from tapenet import nn, optim
from tapenet import parallel as P

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


for run in (step, tn.compile(step)):
    for _ in range(2):
        assert np.allclose(run(np.array([own, 1.0])).numpy(), mean + 1, rtol=1e-15)

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
