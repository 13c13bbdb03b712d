"""Goes wrong on one rank, or on all. Arguments: how, on which rank, after how many exchanges or steps."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet import parallel as P
from tapenet.parallel import ranks

how, where, after, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore Ctrl-C
# Before it is known which rank this is, the launcher's word for it.
number = int(os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0")))
if number == where and how in ("before", "exits before"):
    sys.exit(5 if how == "before" else 0)
PATIENCE = 6  # seconds that ranks wait where one is late
ranks._PATIENCE, ranks._AGAIN = 2.0, 0.5  # until they tell each other; MPI takes the processor meanwhile
late = how in ("long item", "stopped", "sleeps", "stopped step", "endless STOP", "sums STOP")
if how.startswith(("endless", "sums", "unborn")):
    (folder / "new").with_suffix(f".{number}").write_text(str(os.getpid()))
    (folder / "new").with_suffix(f".{number}").rename(folder / f"rank {number}")
    how = how.partition(" ")[0]
P.init(timeout=PATIENCE if how == "unborn" else 300)
if late:
    P.init(timeout=PATIENCE)  # from here on: to begin may take longer
if P.rank == 0:
    (folder / "shared memory").write_text("\n".join(ranks._shared_memory()))
x = np.ones(3)
for _ in range(after):
    P.allreduce(x)
here = P.rank == where
ENDS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    "stopped": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "exit": lambda: sys.exit(3),
    "exit text": lambda: sys.exit("what went wrong"),
    "leaves": lambda: sys.exit(0),
    "leaves at once": lambda: os._exit(0),
    "exit at once": lambda: os._exit(4),
    "sleeps": lambda: time.sleep(1000),
}


def fails(*arguments: object) -> None:
    raise ValueError("what went wrong")


if how == "late":  # nothing is wrong: they end at different times
    time.sleep(2 * here)
    sys.exit(0)
if how == "long item":  # nor here: one computes longer than others wait for one that does nothing
    P.map(lambda i: time.sleep(1.5 * PATIENCE * (i == where)), range(P.size))
    sys.exit(0)
if here:
    ENDS.get(how, lambda: None)()
if how == "interrupted wait":  # Ctrl-C comes in MPI's call, and the others do not
    if not here:
        time.sleep(1000)

    def again() -> None:
        while True:
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=again, daemon=True).start()
    P.allreduce(x)
if how == "exception" and here:
    fails()
if how == "shape" and here:
    x = np.ones(4)
if how == "dtype" and here:
    x = x.astype(np.float32)
if how == "call" and here:
    P.allgather(x)
if how == "model":
    P.optimizer(optim.SGD(nn.Linear(2, 3 + here), lr=0.1))
if how == "layers":
    P.optimizer(optim.SGD(nn.Sequential(*[nn.Linear(2, 2)] * 1, *[nn.ReLU()] * here, nn.Linear(2, 2)), lr=0.1))
if how == "recv" and here:
    P.recv(x, (P.rank + 1) % P.size)
if how == "receive each other":
    P.recv(x, (P.rank + 1) % P.size)
if how == "unreceived" and here:
    P.send(x, (P.rank + 1) % P.size)
if how == "other array":
    if here:
        P.send(np.ones(5), (P.rank + 1) % P.size)
    elif P.rank == (where + 1) % P.size:
        P.recv(x, where)

# -- in training --------------------------------------------------------------------------------------------------
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
data = np.ones((24, 4), np.float32), np.zeros(24, np.int64)


class Bad(nn.Module):
    """Fails in backward, at the given call."""

    calls = 0

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        Bad.calls += 1
        return failing(x) if here and Bad.calls > after else x


failing = tn.op(lambda x: x.copy(), name="failing", x=lambda g: fails())


class Data:
    """Samples of which one cannot be read."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, i: int) -> tuple:
        if here and i == 3 * after:
            fails()
        return data[0][i], data[1][i]


def callback(state: object) -> None:
    if here and state.epoch > after:
        {"killed in fit": ENDS["kill"], "stops in fit": ENDS["leaves"], "diverges": diverge}.get(how, fails)()


def diverge() -> None:
    net[0].weight.data = np.full((8, 4), np.nan, np.float32)


def freeze() -> None:
    net[0].weight.requires_grad_(False)


STEPS = "steps", "killed step", "stopped step", "compiled", "killed compiled", "ends in steps", "backward"
if how in (*STEPS, "bucket", "bucket compiled", "buckets"):
    opt = P.optimizer(optim.SGD(net, lr=0.1), net)
    model = nn.Sequential(net, Bad()) if how == "backward" else net

    def step(x):
        opt.zero_grad()
        loss = model(x).sum()
        loss.backward()
        opt.step()
        return loss

    run = tn.compile(step) if "compiled" in how else step
    for i in range(6 + (here and how in ("steps", "compiled"))):
        if i == after and here:
            {"killed step": ENDS["kill"], "killed compiled": ENDS["kill"], "stopped step": ENDS["stopped"],
             "ends in steps": ENDS["leaves"], "bucket": freeze, "bucket compiled": freeze, "buckets": freeze,
             }.get(how, lambda: None)()  # fmt: skip
        elif i == after and how == "buckets":  # something else
            net[2].weight.requires_grad_(False)
        run(data[0])
if how in ("left out step", "own state"):
    opt = P.optimizer(optim.Adam(net, lr=0.1), net, shard_state=True)
    for i in range(4):
        opt.zero_grad()
        net(data[0]).sum().backward()
        wrong = here and i == after % 3
        if wrong and how == "own state":
            opt.state_dict()
        if not wrong or how == "own state":
            opt.step()
if how == "sums":  # most of the time ranks are amid an exchange of halves
    (folder / f"rank {P.rank} begins").touch()
    large = np.ones(1 << 21)
    while True:
        P.allreduce(large)
if how in ("endless", "unborn"):
    opt = P.optimizer(optim.SGD(net, lr=0.1), net)
    (folder / f"rank {P.rank} begins").touch()
    for batch in range(10**9):
        opt.zero_grad()
        F.cross_entropy(net(tn.tensor(data[0])), data[1]).backward()
        opt.step()
        if batch % 10 == 0:
            P.equal(net)
            P.allreduce(x)
if how in ("loader", "workers", "callback", "killed in fit", "stops in fit", "diverges", "checkpoint"):
    opt = P.optimizer(optim.SGD(net, lr=0.1), net)
    source, options = data, {"batch_size": 6, "seed": 1}
    if how in ("loader", "workers"):
        source = tn.data.DataLoader(Data(), 6, shuffle=True, seed=1, workers=2 if how == "workers" else 0)
        options = {}
    if how == "checkpoint":
        (folder / "no folder").touch()
        options["checkpoint"] = tn.training.Checkpoint(folder / "no folder")
    if how in ("callback", "killed in fit", "stops in fit", "diverges"):
        options["callbacks"] = callback
    tn.training.fit(net, F.cross_entropy, opt, source, epochs=after + 2, verbose=0, **options)
if how == "data":
    for _ in P.shard(tn.data.batches(np.ones(8), batch_size=4, shuffle=True, seed=int(here))):
        pass
P.allreduce(x)
