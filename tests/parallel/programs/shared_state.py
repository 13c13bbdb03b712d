"""An optimizer whose state is shared out over ranks does what the same one does that has all of it.

Arguments: a checkpoint, which is written on several ranks, and read and gone on from on one; "all" for every optimizer.
"""

import copy
import pickle
import sys

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet import parallel as P
from tapenet.parallel.ranks import world

P.init(timeout=300)
LEFT_OUT = 2  # the step in which the head has no gradient


class Net(nn.Module):
    """Layers of sizes that do not divide, one F-ordered, and a parameter without elements."""

    def __init__(self, layers):
        super().__init__()
        self.body = nn.Sequential(*[nn.Linear(9 + i, 10 + i) for i in range(layers)])
        self.head = nn.Linear(9 + layers, 3)
        self.scale = nn.Parameter(np.array(1.5))
        self.none = nn.Parameter(np.zeros((0, 3)))
        self.wide = nn.Parameter(np.asfortranarray(np.random.default_rng(3).normal(size=(3, 5))))

    def forward(self, x, whole):
        x = nn.functional.tanh(self.body(x)) * self.scale
        return ((self.head(x) @ self.wide) ** 2).mean() if whole else (x**2).mean()


def made(kind, options, shared, low=False, layers=5):
    tn.random.seed(1)
    net = Net(layers).half() if low else Net(layers).double()
    groups = [
        {"params": [*net.body.named_parameters()], "lr": optim.cosine(0.02, 10)},
        {"params": [("scale", net.scale), ("none", net.none), ("wide", net.wide), *net.head.named_parameters()]},
    ]
    opt = optim.MasterWeights(kind, groups, **options) if low else kind(groups, **options)
    return net, P.optimizer(opt, net, shard_state=shared)


def trained(net, opt, compiled, steps):
    def step(x, whole):
        opt.zero_grad()
        loss = net(x, whole)
        loss.backward()
        opt.gather()
        optim.clip_grad_norm(opt.masters() if isinstance(opt, optim.MasterWeights) else net.parameters(), 0.05)
        opt.step()
        return loss

    run = tn.compile(step) if compiled else step
    for i in steps:
        x = np.random.default_rng(i).normal(size=(8, 9)).astype(net.scale.dtype)
        run(x[P.rank * 8 // P.size : (P.rank + 1) * 8 // P.size], i != LEFT_OUT)


def alike(one, other, exact=True):
    if isinstance(one, dict):
        assert one.keys() == other.keys(), (one.keys(), other.keys())
        for key in one:
            if key != "params":
                alike(one[key], other[key], exact)
    elif isinstance(one, (list, tuple)):
        for a, b in zip(one, other, strict=True):
            alike(a, b, exact)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=0 if exact else 1e-9, atol=0 if exact else 1e-12)
    else:
        assert one == other


def held(opt):
    return sum(t.nbytes for slot in opt.slots for t in slot.state.values())


file, *every = sys.argv[1:]
if P.size == 1:
    saved = tn.load(file)
    net, opt = made(optim.Adam, {"lr": 0.01}, shared=True)
    net.load_state_dict(saved["before"])
    opt.load_state_dict(saved["opt"])
    trained(net, opt, False, range(4, 6))
    alike(net.state_dict(), saved["net"], exact=False)
    sys.exit()

KINDS = [
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.Adam, {"lr": 0.01}),
    (optim.LAMB, {"lr": 0.01}),
]
if every:
    KINDS += [
        (optim.SGD, {"lr": 0.1}),
        (optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
        (optim.LARS, {"lr": 0.1, "momentum": 0.9}),
        (optim.Adafactor, {"lr": 0.01}),
    ]
for kind, options in KINDS:
    for compiled in (False, True) if every or kind is optim.Adam else (False,):
        runs = []
        for shared in (False, True):
            net, opt = made(kind, options, shared, layers=1 if compiled else 5)
            trained(net, opt, compiled, range(4 if every or not compiled else 2))
            assert P.equal(net)
            runs.append((net, opt))
        (plain, whole), (net, opt) = runs
        # The same bits: what is added up is added up by each parameter alone, and gradients are averaged in the same way.
        alike(plain.state_dict(), net.state_dict())
        alike(whole.state_dict(), opt.state_dict())
        assert held(whole) == sum(P.allgather(np.array([held(opt)])))
        if kind is optim.Adam and not compiled:
            assert abs(held(opt) / held(whole) - 1 / P.size) < 0.1, (held(opt), held(whole))
            assert {slot.step for slot in whole.slots} == {0, 3, 4}
        # Either takes the state of the other, and a copy goes on as the original does.
        whole.load_state_dict(opt.state_dict(keep_vars=True))
        opt.load_state_dict(whole.state_dict())
        alike(whole.state_dict(), opt.state_dict())

net, opt = made(optim.Adam, {"lr": 0.01}, shared=True)
trained(net, opt, False, range(4))
before, state = net.state_dict(), opt.state_dict()
trained(net, opt, False, range(4, 6))
if P.rank == 0:
    tn.save({"before": before, "opt": state, "net": net.state_dict()}, file)

for compiled in (False, True) if every else (False,):
    runs = [made(optim.Adam, {"lr": 0.01}, shared, low=True, layers=2) for shared in (False, True)]
    for net, opt in runs:
        trained(net, opt, compiled, range(4))
        assert P.equal(net)
    (plain, whole), (net, opt) = runs
    alike(plain.state_dict(), net.state_dict())
    alike(whole.state_dict(), opt.state_dict())

# One parameter for all ranks: most have none.
w = tn.tensor(np.arange(3.0), requires_grad=True)
opt = P.optimizer(optim.Adam([w], lr=0.1), shard_state=True)
for _ in range(2):
    opt.zero_grad()
    (w**2).sum().backward()
    opt.step()
assert P.equal({"w": w.numpy()})
assert w.numpy()[2] < 2
assert len(opt.state) == (P.rank == 0)

for wrong, error, words in (
    (lambda: pickle.dumps(opt), TypeError, "state_dict"),
    (lambda: opt.add_param_group({"params": [tn.tensor([1.0], requires_grad=True)]}), RuntimeError, "before"),
    (lambda: P.optimizer(optim.LBFGS([w]), shard_state=True), ValueError, "LBFGS has a step of its own"),
):
    with pytest.raises(error, match=words):
        wrong()
assert copy.deepcopy(opt).state_dict()["state"].keys() == {0}

# What is on its way when Ctrl-C comes has its memory until it is through.
net, opt = made(optim.Adam, {"lr": 0.01}, shared=True)
ranks, posted = world(), len(world()._posted)


def interrupted(what):
    raise KeyboardInterrupt


trained(net, opt, False, range(1))
ranks.waiting = interrupted
with pytest.raises(KeyboardInterrupt):
    opt.step()
del ranks.waiting
assert len(ranks._posted) > posted
assert P.allreduce(np.float64(1)) == P.size
