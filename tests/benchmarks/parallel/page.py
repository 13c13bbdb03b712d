"""What the page of benchmarks says of ranks behind the tables of times: what they gain, and a model on up to 1,000 hosts."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping

from tapenet.drawing.forms.curve import curves
from tests.benchmarks.parallel import model
from tests.benchmarks.parallel.model import Network, Training, gain, pays_to, step
from tests.benchmarks.parallel.workloads import CANDIDATES, NETWORKS, OURS, RANKS, SIZES, WORKLOADS
from tests.benchmarks.side_by_side.measure import Result
from tests.benchmarks.side_by_side.report import table

#: Networks that nobody measured here: seconds of an empty message, and of a byte.
LINES = {
    "10 GbE": Network(25e-6, 1 / 1.15e9),
    "100 GbE": Network(2e-6, 1 / 11.5e9),
    "InfiniBand": Network(1e-6, 1 / 23e9),
}
#: How much hosts are taken to differ from step to step, over the mean.
SPREAD = 0.02
#: How many times as fast as the core that was measured a host is.
SPEEDS = (1, 32)
HOSTS = (2, 8, 64, 256, 1000)

TEXT = """Each rank is pinned to a core; 4 share the cores where there are fewer. Milliseconds: "solo" is by one rank while the
others sleep, "alone" by each, exchanging nothing, "together" with gradients averaged, or the derivative split. Efficiency is
how many times as fast all are, over the cores that they have: of training steps on a batch each (weak scaling), or on one for
all ("strong"). "Of alone" leaves out that ranks take each other's memory bandwidth. "Hidden" is the part of the sums, as mpi4py
takes for them alone, by which together is not longer than alone.

{gained}

### Many hosts, by a model

{summary}

A message of n bytes takes latency + n / bandwidth. An all-reduce takes the least of three algorithms of MPI libraries:
recursive doubling, recursive halving and doubling, the ring. Gradients become ready evenly over the last two thirds of a step,
and are sent in buckets of 1 MB, one after the other; a network card moves them while the processor computes. (On one machine
the processor itself moves them, so nothing is hidden.) The optimizer's step waits for the last. Sharded (ZeRO, stage 1) the
sums are scattered, each host updates its part, and all gather the parameters, which hides behind nothing. Hosts are taken
to differ from step to step by {spread:.0%}, and all wait for the slowest.

Fitted to what was measured: latency {latency:.1f} µs and {bandwidth:.1f} GB/s of all-reduces by 2 ranks; {copies:.2f} ns for
each byte of gradients that is copied into buckets and out of them. The times by 4 ranks are none that it was fitted to:

{checked}

It is off by a factor of {off[2]:.2f} at 2 ranks and {off[4]:.2f} at 4, geometric means. (Ranks are launched anew for each
number of ranks, and a virtual machine is not as fast at all times: compare within a line.)

Networks are assumed, not measured. 10 GbE: 25 µs and 1.15 GB/s, as MPI over TCP has it. 100 GbE: 2 µs, as Ethernet that goes
around the operating system has it, and 11.5 GB/s. InfiniBand HDR: 1 µs, 23 GB/s. (Latencies as published: [MPI over TCP and
over InfiniBand](https://gist.github.com/jfgrimm/3af692a5475bdd4ed836b5a18197a209), [Ethernet around the operating
system](https://news-blogs.cisco.com/performance/mpi-over-40gb-ethernet); bandwidths are 92 % of the line's.) No network here is
shared with others or slower between racks. A host is as fast as the core that was measured, or 32 times as fast.

The figures are efficiencies: how many times as fast as one host, over the number of hosts; data-parallel / sharded. Weak
scaling has a batch for each host, strong scaling one for all, so that 1,000 hosts would have less than a sample each. "Pays
to" is the number of hosts from which on twice as many are less than 1.5 times as fast; 1 means that two already are not.

![Efficiency by hosts](images/parallel.svg)

{simulated}

A sharded optimizer saves on each of p hosts (1 - 1/p) of its memory: with Adam 8 bytes a parameter. In time it pays where an
update takes longer than gathering the parameters. Milliseconds, and from how many hosts on it is quicker:

{sharding}"""

Times = Mapping[str, float]
#: By the name of a column, what stands there, given milliseconds, the number of ranks, and of the cores that they have.
GAINED: dict[str, Callable[[Times, int, int], str]] = {
    "solo": lambda t, n, cores: f"{t['solo 1']:.2f}",
    "alone": lambda t, n, cores: f"{t['alone']:.2f}",
    "together": lambda t, n, cores: f"{t['']:.2f}",
    "times as fast": lambda t, n, cores: f"{t['solo 1'] / t[''] * (n if 'alone' in t else 1):.2f}",
    "efficiency": lambda t, n, cores: f"{t['solo 1'] / t[''] * (n if 'alone' in t else 1) / cores:.2f}",
    "of alone": lambda t, n, cores: f"{t['alone'] / t['']:.2f}",
    "strong": lambda t, n, cores: f"{t['solo 1'] / t['strong'] / cores:.2f}",
    "hidden": lambda t, n, cores: f"{min(1.0, max(0.0, 1 - (t[''] - t['alone']) / t['exchange'])):.0%}",
}
#: What derivatives have too.
ALL = ("solo", "together", "times as fast", "efficiency")


class Figures:
    """What was measured, and the model fitted to it."""

    def __init__(self, results: Result, machine: Result) -> None:
        self.cores: int = machine["cores"]
        #: Milliseconds by workload and candidate, of its step and of what is beside it.
        self.times: dict[tuple[str, str], dict[str, float]] = {
            (name, c): {
                k.removeprefix(c).strip(): t["median"] / 1e3 for k, t in r["times"].items() if k.partition(" ")[0] == c
            }
            for name, r in results.items()
            for c in CANDIDATES
        }
        sums = {size: self.times[f"allreduce-2-{size}", "mpi4py"][""] / 1e3 for size in SIZES}
        ours = [(size_of(net), self.times[f"{net}-2", c]) for net in NETWORKS for c in OURS]
        self.here = model.fit_network(sums)
        #: Seconds for a byte that is put into buckets and taken out.
        self.copies = model.fit_copies([(size, (t[""] - t["alone"] - t["exchange"]) / 1e3) for size, t in ours])

    def training(self, net: str, spread: float = SPREAD, speed: float = 1.0) -> Training:
        """What a compiled step of one host takes, by what the first rank measured while others slept."""
        t = {name: value / 1e3 / speed for name, value in self.times[f"{net}-2", "tapenet-native"].items()}
        fixed, whole = model.fit_shares({1 / n: t[f"solo {n}"] - t["solo update"] for n in (1, 2, 4)})
        return Training(fixed, whole, t["solo update"], size_of(net), self.copies / speed, spread)

    def predicted(self, net: str, candidate: str, ranks: int, kind: str) -> float:
        """Milliseconds of a step on this machine, where ranks may share cores. What two take from each other's memory is known
        from two that exchange nothing."""
        t = self.times[f"{net}-2", candidate]
        slower = t["alone"] / t["solo 1"] * max(1, ranks / min(ranks, self.cores))
        alone = slower * t[f"solo {ranks if kind else 1}"]
        exchanged = self.times[f"{net}-{ranks}", candidate]["exchange"]
        return alone + self.copies * slower * size_of(net) * 1e3 + exchanged

    # -- parts of the text ---------------------------------------------------------------------------------------------

    def gained(self) -> str:
        """Steps and derivatives by ranks."""
        rows = [["ms", "candidate", *GAINED]]
        for (name, c), t in self.times.items():
            if "solo 1" in t:
                n = WORKLOADS[name].task.ranks
                cells = (f(t, n, min(n, self.cores)) if "alone" in t or k in ALL else "-" for k, f in GAINED.items())
                rows.append([WORKLOADS[name].title, c, *cells])
        return table(rows)

    def summary(self) -> Iterator[str]:
        """What comes out, in a few words."""
        for net in NETWORKS:
            t, one = self.times[f"{net}-2", "tapenet-native"], self.training(net)
            most = ", ".join(f"{gain(one, 1000, w, False) / 1000:.0%} by {n}" for n, w in LINES.items())
            to = ", ".join(f"{pays_to(one, w, True):,} by {n}" for n, w in LINES.items())
            yield (
                f"- {net}: 2 ranks here have an efficiency of {t['solo 1'] / t['']:.2f}. By the model,\n"
                f"  1,000 hosts with a batch each reach {most};\n  where all share one batch, hosts pay up to {to}."
            )

    def checked(self) -> tuple[str, dict[int, float]]:
        """What the model says beside what was measured; and by which factor it is off, by the number of ranks."""
        off: dict[int, list[float]] = {n: [] for n in RANKS}
        rows = [["ms, measured / model", *(f"{kind}, {n} ranks" for n in RANKS for kind in ("weak", "strong"))]]
        for net in NETWORKS:
            for c in OURS:
                rows.append([f"{net}, {c}"])
                for n in RANKS:
                    for kind in ("", "strong"):
                        measured = self.times.get((f"{net}-{n}", c), {}).get(kind)
                        if measured:
                            said = self.predicted(net, c, n, kind)
                            off[n].append(abs(math.log(said / measured)))
                        rows[-1].append(f"{measured:.1f} / {said:.1f}" if measured else "-")
        return table(rows), {n: math.exp(sum(each) / max(1, len(each))) for n, each in off.items()}

    def simulated(self) -> str:
        """Efficiencies by network and hosts."""
        parts = []
        for net in NETWORKS:
            for speed in SPEEDS:
                t = self.training(net, speed=speed)
                rows = [[f"{net}, host x {speed}", *(f"{n:,} hosts" for n in HOSTS), "pays to"]]
                for name, w in LINES.items():
                    for strong in (False, True):
                        both = [[f"{gain(t, n, w, strong, s) / n:.2f}" for n in HOSTS] for s in (False, True)]
                        to = [f"{pays_to(t, w, strong, s):,}" for s in (False, True)]
                        cells = map(" / ".join, zip(*both, strict=True))
                        rows.append([f"{name}, {'strong' if strong else 'weak'}", *cells, " / ".join(to)])
                parts.append(table(rows))
        return "\n\n".join(parts)

    def sharding(self) -> str:
        """Where a sharded optimizer is quicker."""
        rows = [["workload, network", "update", "gathering by 64 hosts", "quicker"]]
        for net in NETWORKS:
            t = self.training(net, 0.0)
            for name, w in LINES.items():
                found = (n for n in (2**i for i in range(1, 11)) if step(t, n, w, 1.0, True) < step(t, n, w))
                quicker = next((f"from {n} on" for n in found), "nowhere")
                gathering = model.exchange(t.size, 64, w, 1)
                rows.append([f"{net}, {name}", f"{t.update * 1e3:.2f}", f"{gathering * 1e3:.2f}", quicker])
        return table(rows)


@functools.cache
def size_of(net: str) -> int:
    """Bytes of a network's gradients."""
    return sum(p.nbytes for p in NETWORKS[net][1].parameters())


def made(results: Result, machine: Result) -> tuple[str, str]:
    """The text, and an SVG of efficiency by hosts, 32 times as fast, for the transformer; nothing, if figures are missing."""
    try:
        f = Figures(results, machine)
    except KeyError:
        return "", ""
    checked, off = f.checked()
    text = TEXT.format(
        gained=f.gained(), summary="\n".join(f.summary()), spread=SPREAD, latency=f.here.latency * 1e6,
        bandwidth=1e-9 / f.here.byte, copies=f.copies * 1e9, checked=checked, off=off, simulated=f.simulated(),
        sharding=f.sharding(),
    )  # fmt: skip
    t, hosts = f.training("transformer", speed=SPEEDS[-1]), [2**i for i in range(11)]
    panels = [
        ({name: [gain(t, n, w, strong) / n for n in hosts] for name, w in LINES.items()}, f"efficiency, {kind} scaling")
        for kind, strong in (("weak", False), ("strong", True))
    ]
    return text, curves(panels, f"The transformer, hosts x {SPEEDS[-1]}", "hosts", x=hosts, log_x=True) + "\n"
