"""What several ranks cost, as a page of the documentation and a plot: each table is said by what its columns are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tapenet.drawing.forms.curve import curves
from tests.benchmarks.parallel.model import (
    Network,
    Training,
    exchange,
    fit_copies,
    fit_network,
    fit_shares,
    gain,
    pays_to,
    step,
)

PAGE = Path(__file__).parents[3] / "docs" / "parallel-costs.md"
IMAGE = "images/parallel-costs.svg"
WORKLOADS = {
    "cnn": "a residual network of 1.2 million parameters, 32x32 images, batch 128, SGD",
    "transformer": "GPT, 4 layers, 192 wide, length 128, batch 8, 1.9 million parameters, Adam",
}
#: Networks that nobody measured here: seconds of an empty message, and of a byte.
NETWORKS = {
    "10 GbE": Network(25e-6, 1 / 1.15e9),
    "100 GbE": Network(2e-6, 1 / 11.5e9),
    "InfiniBand": Network(1e-6, 1 / 23e9),
}
#: How much hosts are taken to differ from step to step, over the mean.
SPREAD = 0.02
#: How many times as fast as the core that was measured a host is.
SPEEDS = (1, 32)
HOSTS = (2, 8, 64, 256, 1000)
Found = Mapping[str, Any]

TEXT = """# What several ranks cost

Training and derivatives by [`tn.parallel`](parallel.md): measured on one machine, and by a model on up to 1,000 hosts. One
command measures yours and writes this page anew:

```sh
pip install -e '.[bench,mpi]'
python -m tests.benchmarks.parallel
```

Each rank has one thread and is pinned to a core; 4 ranks share the cores where there are fewer. Medians of turns count.
{machine}

**In short**

{summary}

## All-reduce

Microseconds; in brackets tapenet's over mpi4py's.

{reduced}

## Training

{workloads}

"Solo" is a step by one rank while the others sleep, "alone" one by each that exchanges nothing, "together"
one that averages gradients: milliseconds. Efficiency is that of weak scaling: solo over together, times the ranks that share
a core; "of alone" leaves out that ranks take each other's memory bandwidth. Strong scaling has the same batch for all.
"Hidden" is the part of the sums, as mpi4py takes for them alone, by which together is not longer than alone.

{trained}

## Derivatives

The same derivative by one rank while the others sleep, and by all with `over=tn.parallel`, compiled: milliseconds.

{derived}

## The model

A message of n bytes takes latency + n / bandwidth. An all-reduce takes the least of three algorithms of MPI libraries:
recursive doubling, recursive halving and doubling, the ring. Gradients become ready evenly over the last two thirds of a step,
and are sent in buckets of 1 MB, one after the other; a network card moves them while the processor computes. (On one machine
the processor itself moves them, so nothing is hidden.) The optimizer's step waits for the last. Sharded (ZeRO, stage 1) the
sums are scattered, each host updates its part, and all gather the parameters, which hides behind nothing. Hosts are taken
to differ from step to step by {spread:.0%}, and all wait for the slowest.

Fitted to what was measured: latency {latency:.1f} µs and {bandwidth:.1f} GB/s of all-reduces by 2 ranks; {copies:.2f} ns for
each byte of gradients that is copied into buckets and out of them. The times by 4 ranks are none that it was fitted to:

{checked}

It is off by a factor of {off[2]:.2f} at 2 ranks and {off[4]:.2f} at 4, geometric means. (Ranks are launched anew
for each workload and number of ranks, and a virtual machine is not as fast at all times: compare within a line.)

## Up to 1,000 hosts

Networks are assumed, not measured. 10 GbE: 25 µs and 1.15 GB/s, as MPI over TCP has it. 100 GbE: 2 µs, as Ethernet that goes
around the operating system has it, and 11.5 GB/s. InfiniBand HDR: 1 µs, 23 GB/s. (Latencies as published: [MPI over TCP and
over InfiniBand](https://gist.github.com/jfgrimm/3af692a5475bdd4ed836b5a18197a209), [Ethernet around the operating
system](https://news-blogs.cisco.com/performance/mpi-over-40gb-ethernet); bandwidths are 92 % of the line's.) No network here is
shared with others or slower between racks. A host is as fast as the core that was measured, or 32 times as fast.

The figures are efficiencies: how many times as fast as one host, over the number of hosts; data-parallel / sharded. Weak
scaling has a batch for each host, strong scaling one for all, so that 1,000 hosts would have less than a sample each. "Pays
to" is the number of hosts from which on twice as many are less than 1.5 times as fast; 1 means that two already are not.

![Efficiency by hosts]({image})

{simulated}

### When to shard the optimizer

It saves on each of p hosts (1 - 1/p) of the optimizer's memory: with Adam 8 bytes a parameter. In time it pays where an
update takes longer than gathering the parameters. Milliseconds, and from how many hosts on it is quicker:

{sharding}
"""


#: By the name of a column, what stands there, given the number of ranks, the times, and the cores for each rank.
Cells = Mapping[str, Callable[..., str]]
TRAINED: Cells = {
    "ranks": lambda n, t, cores: str(n),
    **{
        head: lambda n, t, cores, of=of: f"{t[of] / 1e3:.1f}"
        for head, of in (("solo", "solo 1"), ("alone", "alone"), ("together", "weak"))
    },
    "efficiency": lambda n, t, cores: f"{t['solo 1'] / t['weak'] / cores:.2f}",
    "of alone": lambda n, t, cores: f"{t['alone'] / t['weak']:.2f}",
    "strong": lambda n, t, cores: f"{t['solo 1'] / t['strong'] / n / cores:.2f}",
    "hidden": lambda n, t, cores: f"{min(1.0, max(0.0, 1 - (t['weak'] - t['alone']) / t['exchange'])):.0%}",
}
DERIVED: Cells = {
    "ranks": lambda n, name, t: str(n),
    "solo": lambda n, name, t: f"{t[f'solo {name}'] / 1e3:.2f}",
    "together": lambda n, name, t: f"{t[name] / 1e3:.2f}",
    "times as fast": lambda n, name, t: f"{t[f'solo {name}'] / t[name]:.2f}",
}


def table(head: str, columns: Cells, rows: Iterable[tuple[Any, ...]]) -> str:
    """Markdown: of each row its name, and what the columns make of the rest."""
    lines = [[head, *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *(cell(*of) for cell in columns.values())] for name, *of in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class Figures:
    """What was measured, and the model fitted to it."""

    def __init__(self, found: Found) -> None:
        self.found, self.cores = found, found["machine"]["cores"]
        self.ours = {name: part for name, part in found.items() if "/tapenet" in name}
        self.native = {n.partition("/")[0]: part for n, part in self.ours.items() if n.endswith("native")}
        times = found["allreduce"]["2"]["times"]
        self.here = fit_network({int(size): t["mpi4py"] / 1e6 for size, t in times.items()}, 2)
        each = [(part["2"]["times"], part["2"]["size"]) for part in self.ours.values()]
        #: Seconds for a byte that is put into buckets and taken out.
        self.copies = fit_copies(((t["weak"] - t["alone"] - t["exchange"]) / 1e6, size) for t, size in each)

    def training(self, part: Found, spread: float = SPREAD, speed: float = 1.0) -> Training:
        """What a step of one host takes, by what the first rank measured while others slept."""
        t = {name: value / 1e6 / speed for name, value in part["2"]["times"].items()}
        fixed, whole = fit_shares({1 / n: t[f"solo {n}"] - t["solo update"] for n in (1, 2, 4)})
        return Training(fixed, whole, t["solo update"], part["2"]["size"], self.copies / speed, spread)

    def predicted(self, part: Found, ranks: int, kind: str) -> float:
        """Microseconds of a step on this machine, where ranks may share cores. What two take from each other's memory is known
        from two that exchange nothing."""
        t = part["2"]["times"]
        slower = t["alone"] / t["solo 1"] * max(1, ranks / min(ranks, self.cores))
        alone = slower * t[f"solo {ranks if kind == 'strong' else 1}"]
        return float(alone + self.copies * slower * part["2"]["size"] * 1e6 + part[str(ranks)]["times"]["exchange"])

    # -- parts of the page ---------------------------------------------------------------------------------------------

    def summary(self) -> Iterator[str]:
        """What comes out, in a few words."""
        for name, part in self.native.items():
            t, model = part["2"]["times"], self.training(part)
            most = ", ".join(f"{gain(model, 1000, w, False) / 1000:.0%} by {n}" for n, w in NETWORKS.items())
            to = ", ".join(f"{pays_to(model, w, True):,} by {n}" for n, w in NETWORKS.items())
            yield (
                f"- {name}: 2 ranks here have an efficiency of {t['solo 1'] / t['weak']:.2f}. By the model,\n"
                f"  1,000 hosts with a batch each reach {most};\n  where all share one batch, hosts pay up to {to}."
            )

    def reduced(self) -> str:
        """All-reduces by size."""
        every = {n: part["times"] for n, part in self.found["allreduce"].items()}

        def cell(size: str, n: str, who: str) -> str:
            t = every[n][size]
            return f"{t[who]:,.0f}" + f" ({t[who] / t['mpi4py']:.2f})" * (who == "tapenet")

        heads = [(n, who) for n in every for who in ("mpi4py", "tapenet", "gloo")]
        columns = {f"{n} ranks: {who}": partial(cell, n=n, who=who) for n, who in heads}
        return table("bytes", columns, ((f"{int(size):,}", size) for size in every["2"]))

    def trained(self) -> str:
        """Steps by ranks."""
        steps = (
            (name, int(n), p["times"]) for name, part in self.found.items() if "/" in name for n, p in part.items()
        )
        return table("workload", TRAINED, ((name, n, t, min(1.0, self.cores / n)) for name, n, t in steps))

    def derived(self) -> str:
        """Derivatives by ranks."""
        every = ((int(n), part["times"]) for n, part in self.found.get("derivatives", {}).items())
        return table("derivative", DERIVED, ((k, n, k, t) for n, t in every for k in t if not k.startswith("solo")))

    def checked(self) -> tuple[str, dict[int, float]]:
        """What the model says beside what was measured; and by which factor it is off, by the number of ranks."""
        logs: dict[int, list[float]] = {2: [], 4: []}

        def cell(part: Found, n: int, kind: str) -> str:
            if str(n) not in part:
                return "-"
            measured, said = part[str(n)]["times"][kind], self.predicted(part, n, kind)
            logs[n].append(abs(math.log(said / measured)))
            return f"{measured / 1e3:.1f} / {said / 1e3:.1f}"

        columns = {f"{kind}, {n} ranks": partial(cell, n=n, kind=kind) for n in logs for kind in ("weak", "strong")}
        text = table("milliseconds, measured / model", columns, self.ours.items())
        return text, {n: math.exp(sum(each) / len(each)) for n, each in logs.items()}

    def simulated(self, part: Found, speed: float) -> str:
        """Efficiencies by network and hosts."""
        t = self.training(part, speed=speed)

        def both(of: Callable[..., float], form: str, *how: Any) -> str:
            return " / ".join(format(of(t, *how, sharded), form) for sharded in (False, True))

        def efficiency(t: Training, n: int, network: Network, strong: bool, sharded: bool) -> float:
            return gain(t, n, network, strong, sharded) / n

        columns: dict[str, Callable[..., str]] = {f"{n:,} hosts": partial(both, efficiency, ".2f", n) for n in HOSTS}
        columns["pays to"] = partial(both, pays_to, ",")
        kinds = ((name, w, strong) for name, w in NETWORKS.items() for strong in (False, True))
        rows = ((f"{name}, {'strong' if strong else 'weak'}", w, strong) for name, w, strong in kinds)
        return table("network, scaling", columns, rows)

    def sharding(self) -> str:
        """Where a sharded optimizer is quicker."""

        def quicker(t: Training, w: Network) -> str:
            found = [n for n in (2**i for i in range(1, 11)) if step(t, n, w, 1.0, True) < step(t, n, w)]
            return f"from {found[0]} on" if found else "nowhere"

        columns: Cells = {
            "update": lambda t, w: f"{t.update * 1e3:.2f}",
            "gathering by 64 hosts": lambda t, w: f"{exchange(t.size, 64, w, 1) * 1e3:.2f}",
            "quicker": quicker,
        }
        models = {name: self.training(part, 0.0) for name, part in self.native.items()}
        rows = ((f"{name}, {where}", t, w) for name, t in models.items() for where, w in NETWORKS.items())
        return table("workload, network", columns, rows)


def page(found: Found) -> str:
    """The whole page."""
    figures, m = Figures(found), found["machine"]
    checked, off = figures.checked()
    simulated = [
        f"### {name}, compiled, host x {speed}\n\n{figures.simulated(part, speed)}"
        for name, part in figures.native.items()
        for speed in SPEEDS
    ]
    return TEXT.format(
        machine=f"{m['cpu']}, {m['cores']} cores; NumPy {m['numpy']}, PyTorch {m['torch']}; {m['date'][:10]}.",
        summary="\n".join(figures.summary()),
        reduced=figures.reduced(),
        workloads="\n".join(f"- {name}: {title}" for name, title in WORKLOADS.items()),
        trained=figures.trained(),
        derived=figures.derived(),
        spread=SPREAD,
        latency=figures.here.latency * 1e6,
        bandwidth=1e-9 / figures.here.byte,
        copies=figures.copies * 1e9,
        checked=checked,
        off=off,
        image=IMAGE,
        simulated="\n\n".join(simulated),
        sharding=figures.sharding(),
    )


def plot(found: Found) -> str:
    """An SVG: efficiency by hosts; the transformer, on hosts 32 times as fast."""
    figures = Figures(found)
    t = figures.training(figures.native["transformer"], speed=SPEEDS[-1])
    hosts = [2**i for i in range(11)]
    panels = [
        (
            {name: [gain(t, n, w, strong) / n for n in hosts] for name, w in NETWORKS.items()},
            f"efficiency, {kind} scaling",
        )
        for kind, strong in (("weak", False), ("strong", True))
    ]
    return curves(panels, f"The transformer, hosts x {SPEEDS[-1]}", "hosts", x=hosts, log_x=True) + "\n"
