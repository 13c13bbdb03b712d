"""What ranks compute, drawn in one picture: the same on all, and saved by one. The argument is a folder."""

import sys
from pathlib import Path

import numpy as np

import tapenet as tn
from tapenet import optim
from tapenet import parallel as P

rank, size = P.rank, P.size
folder = Path(sys.argv[1])
x = np.ones((4, 3))
w = tn.tensor(np.ones((3, 3)), requires_grad=True)


def between(drawing):
    """How many arrows go from rank to rank, by what they carry."""
    outer = [min(drawing.enclosing([v.cluster])) for v in drawing.vertices]
    found = [e.flow for e in drawing.edges if outer[e.tail] != outer[e.head]]
    return {flow: found.count(flow) for flow in found}


# A pipeline whose gradient comes back, of a tensor.
h = np.tanh((tn.tensor(x) if rank == 0 else P.recv(tn.zeros((4, 3)), rank - 1)) @ w)
loss = (h**2).sum() if rank == size - 1 else P.send(h, rank + 1)
picture = tn.draw({"loss": loss}, over=P, backward=True)
assert between(picture.drawing) == {"value": size - 1, "gradient": size - 1}, between(picture.drawing)
loss.backward()

# A function with its arguments: run, differentiated and measured on all ranks.
picture = tn.draw(lambda w: P.allreduce(x @ w * (rank + 1)).sum(), w, over=P, color_by="grad_norm")
assert between(picture.drawing) == {"exchange": size - 1}
picture.save(folder / f"{rank}.svg")

# A compiled step, with the gradients that it averages.
opt = P.optimizer(optim.SGD([w], lr=0.1))


def step(x):
    opt.zero_grad()
    (x @ w).sum().backward()
    opt.step()


compiled = tn.compile(step)
compiled(x)
assert between(tn.draw(compiled, over=P).drawing) == {"exchange": 2 * (size - 1)}

# All kinds of collectives, on a tape.
with tn.Tape() as tape:
    y = P.allgather(w)
    y = P.reduce_scatter(y)
    y = P.reduce(P.broadcast(y, size - 1), 0)
    P.allreduce(y, "max")
picture = tn.draw(tape, over=P)
assert between(picture.drawing) == {"exchange": 5 * (size - 1)}
every = P.map(lambda _: picture.svg, range(size))
assert len(set(every)) == 1
if rank == 0:
    titles = [v.title for v in picture.drawing.vertices if v.kind == "op"][:5]
    assert titles == [
        "allgather",
        "reduce_scatter",
        f"broadcast of rank {size - 1}",
        "reduce to rank 0",
        "allreduce max",
    ], titles
