"""What training on several ranks costs, as a page of the documentation and a plot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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

INTRODUCTION = """# What several ranks cost

Training by [`tn.parallel`](parallel.md): measured on one machine, and by a model on up to 1,000 hosts. One command measures
yours and writes this page anew:

```sh
pip install -e '.[bench,mpi]'
python -m tests.benchmarks.parallel
```

Each rank has one thread and is pinned to a core; 4 ranks share the cores where there are fewer. Medians of turns count.
{machine}

{summary}
"""
MODEL = """## The model

A message of n bytes takes latency + n / bandwidth. An all-reduce takes the least of three algorithms of MPI libraries:
recursive doubling, recursive halving and doubling, the ring. Gradients become ready evenly over the last two thirds of a step,
and are sent in buckets of 1 MB, one after the other; a network card moves them while the processor computes. (On one machine
the processor itself moves them, so nothing is hidden.) The optimizer's step waits for the last. Sharded (ZeRO, stage 1) the
sums are scattered, each host updates its part, and all gather the parameters, which hides behind nothing. Hosts are taken
to differ from step to step by {spread:.0%}, and all wait for the slowest.

Fitted to what was measured: latency {latency:.1f} µs and {bandwidth:.1f} GB/s of all-reduces by 2 ranks; {copies:.2f} ns for
each byte of gradients that is copied into buckets and out of them. The times by 4 ranks are none that it was fitted to:
"""
ASSUMED = """## Up to 1,000 hosts

Networks are assumed, not measured. 10 GbE: 25 µs and 1.15 GB/s, as MPI over TCP has it. 100 GbE: 2 µs, as Ethernet that goes
around the operating system has it, and 11.5 GB/s. InfiniBand HDR: 1 µs, 23 GB/s. (Latencies as published: [MPI over TCP and
over InfiniBand](https://gist.github.com/jfgrimm/3af692a5475bdd4ed836b5a18197a209), [Ethernet around the operating
system](https://news-blogs.cisco.com/performance/mpi-over-40gb-ethernet); bandwidths are 92 % of the line's.) No network here is
shared with others or slower between racks. A host is as fast as the core that was measured, or 32 times as fast.

The figures are efficiencies: how many times as fast as one host, over the number of hosts; data-parallel / sharded. Weak
scaling has a batch for each host, strong scaling one for all, so that 1,000 hosts would have less than a sample each. "Pays
to" is the number of hosts from which on twice as many are less than 1.5 times as fast; 1 means that two already are not.
"""


def table(rows: list[list[str]]) -> str:
    """Rows as Markdown, the first as head."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:]))


def network_of(found: Found, ranks: int) -> Network:
    """The machine's own, as so many ranks measured it."""
    times = {int(size): t["mpi4py"] / 1e6 for size, t in found["allreduce"][str(ranks)]["times"].items()}
    return fit_network(times, ranks)


def training(part: Found, copies: float = 0.0, spread: float = 0.0, speed: float = 1.0) -> Training:
    """What a step of one host takes, by what the first rank measured while others slept."""
    t = {name: value / 1e6 / speed for name, value in part["2"]["times"].items()}
    fixed, whole = fit_shares({1 / n: t[f"solo {n}"] - t["solo update"] for n in (1, 2, 4)})
    return Training(fixed, whole, t["solo update"], part["2"]["size"], copies / speed, spread)


def parts(found: Found) -> dict[str, Found]:
    """The workloads of tapenet."""
    return {name: part for name, part in found.items() if "/tapenet" in name}


def copies_of(found: Found) -> float:
    """Seconds for a byte that is put into buckets and taken out."""
    cases = []
    for part in parts(found).values():
        t = part["2"]["times"]
        cases.append(((t["weak"] - t["alone"] - t["exchange"]) / 1e6, part["2"]["size"]))
    return fit_copies(cases)


def predicted(found: Found, part: Found, ranks: int, strong: bool) -> float:
    """Microseconds of a step on this machine, where ranks may share cores. What two take from each other's memory is known from
    two that exchange nothing."""
    t = part["2"]["times"]
    slower = t["alone"] / t["solo 1"] * max(1, ranks / min(ranks, found["machine"]["cores"]))
    alone = slower * t[f"solo {ranks if strong else 1}"]
    return float(alone + (copies_of(found) * slower * part["2"]["size"]) * 1e6 + part[str(ranks)]["times"]["exchange"])


def page(found: Found) -> str:
    """The whole page."""
    m = found["machine"]
    machine = f"{m['cpu']}, {m['cores']} cores; NumPy {m['numpy']}, PyTorch {m['torch']}; {m['date'][:10]}."
    here, copies = network_of(found, 2), copies_of(found)
    return "\n\n".join(
        [
            INTRODUCTION.format(machine=machine, summary=summary(found)).rstrip(),
            "## All-reduce\n\nMicroseconds; in brackets tapenet's over mpi4py's.",
            reduced(found),
            "## Training\n\n" + "\n".join(f"- {name}: {title}" for name, title in WORKLOADS.items()),
            TRAINING,
            trained(found),
            MODEL.format(
                spread=SPREAD, latency=here.latency * 1e6, bandwidth=1e-9 / here.byte, copies=copies * 1e9
            ).rstrip(),
            checked(found),
            ASSUMED.rstrip(),
            f"![Times as fast as one host]({IMAGE})",
            *(f"### {name.partition('/')[0]}, compiled, host x {speed}\n\n{simulated(found, part, speed)}"
              for name, part in parts(found).items() if name.endswith("native") for speed in SPEEDS),
            sharding(found),
        ]
    ) + "\n"  # fmt: skip


TRAINING = """"Solo" is a step by one rank while the others sleep, "alone" one by each that exchanges nothing, "together"
one that averages gradients: milliseconds. Efficiency is that of weak scaling: solo over together, times the ranks that share
a core; "of alone" leaves out that ranks take each other's memory bandwidth. Strong scaling has the same batch for all.
"Hidden" is the part of the sums, as mpi4py takes for them alone, by which together is not longer than alone."""


def summary(found: Found) -> str:
    """What comes out, in a few words."""
    lines = []
    for name, part in parts(found).items():
        if name.endswith("native"):
            t = part["2"]["times"]
            model = training(part, copies_of(found), SPREAD)
            to = ", ".join(f"{pays_to(model, network, True):,} by {where}" for where, network in NETWORKS.items())
            most = ", ".join(
                f"{gain(model, 1000, network, False) / 1000:.0%} by {where}" for where, network in NETWORKS.items()
            )
            lines.append(
                f"- {name.partition('/')[0]}: 2 ranks here have an efficiency of {t['solo 1'] / t['weak']:.2f}. By the model,\n"
                f"  1,000 hosts with a batch each reach {most};\n  where all share one batch, hosts pay up to {to}."
            )
    return "**In short**\n\n" + "\n".join(lines)


def reduced(found: Found) -> str:
    """All-reduces by size."""
    rows = [["bytes", *(f"{n} ranks: {who}" for n in found["allreduce"] for who in ("mpi4py", "tapenet", "gloo"))]]
    for size in found["allreduce"]["2"]["times"]:
        row = [f"{int(size):,}"]
        for n in found["allreduce"].values():
            t = n["times"][size]
            row += [
                f"{t['mpi4py']:,.0f}",
                f"{t['tapenet']:,.0f} ({t['tapenet'] / t['mpi4py']:.2f})",
                f"{t['gloo']:,.0f}",
            ]
        rows.append(row)
    return table(rows)


def trained(found: Found) -> str:
    """Steps by ranks."""
    rows = [["workload", "ranks", "solo", "alone", "together", "efficiency", "of alone", "strong", "hidden"]]
    for name, part in found.items():
        for n, measured in part.items() if "/" in name else ():
            t = measured["times"]
            hidden = 1 - (t["weak"] - t["alone"]) / t["exchange"]
            cores = min(1.0, found["machine"]["cores"] / int(n))
            strong = t["solo 1"] / t["strong"] / int(n) / cores
            rows.append(
                [name, n, *(f"{t[k] / 1e3:.1f}" for k in ("solo 1", "alone", "weak")),
                 *(f"{x:.2f}" for x in (t["solo 1"] / t["weak"] / cores, t["alone"] / t["weak"], strong)),
                 f"{min(1.0, max(0.0, hidden)):.0%}"]
            )  # fmt: skip
    return table(rows)


def checked(found: Found) -> str:
    """What the model says beside what was measured."""
    rows = [["milliseconds, measured / model", "weak, 2 ranks", "strong, 2 ranks", "weak, 4 ranks", "strong, 4 ranks"]]
    logs: dict[int, list[float]] = {2: [], 4: []}
    for name, part in parts(found).items():
        row = [name]
        for n in (2, 4):
            for kind in ("weak", "strong"):
                if str(n) not in part:
                    row.append("-")
                    continue
                measured, said = part[str(n)]["times"][kind], predicted(found, part, n, kind == "strong")
                logs[n].append(abs(math.log(said / measured)))
                row.append(f"{measured / 1e3:.1f} / {said / 1e3:.1f}")
        rows.append(row)
    off = {n: math.exp(sum(each) / len(each)) for n, each in logs.items()}
    return (
        f"{table(rows)}\n\nIt is off by a factor of {off[2]:.2f} at 2 ranks and {off[4]:.2f} at 4, geometric means. "
        "(Ranks are launched anew\nfor each workload and number of ranks, and a virtual machine is not as fast at all "
        "times: compare within a line.)"
    )


def simulated(found: Found, part: Found, speed: float) -> str:
    """Efficiencies by network and hosts."""
    t = training(part, copies_of(found), SPREAD, speed)
    rows = [["network, scaling", *(f"{n:,} hosts" for n in HOSTS), "pays to"]]
    for name, network in NETWORKS.items():
        for strong in (False, True):
            cells = [
                " / ".join(f"{gain(t, n, network, strong, sharded) / n:.2f}" for sharded in (False, True))
                for n in HOSTS
            ]
            to = " / ".join(f"{pays_to(t, network, strong, sharded):,}" for sharded in (False, True))
            rows.append([f"{name}, {'strong' if strong else 'weak'}", *cells, to])
    return table(rows)


def sharding(found: Found) -> str:
    """Where a sharded optimizer is quicker, and what it saves."""
    lines = []
    for name, part in parts(found).items():
        if not name.endswith("native"):
            continue
        for network_name, network in NETWORKS.items():
            t = training(part, copies_of(found))
            quicker = [n for n in (2**i for i in range(1, 11)) if step(t, n, network, 1.0, True) < step(t, n, network)]
            u, g = t.update * 1e3, exchange(t.size, 64, network, 1) * 1e3
            says = f"from {quicker[0]} hosts on" if quicker else "nowhere"
            lines.append(
                f"- {name.partition('/')[0]}, {network_name}: quicker {says} (the update takes {u:.2f} ms, "
                f"gathering by 64 hosts {g:.2f} ms)"
            )
    return (
        "### When to shard the optimizer\n\nIt saves on each of p hosts (1 - 1/p) of the optimizer's memory: with Adam 8 bytes "
        "a\nparameter. In time it pays where an update takes longer than gathering the parameters:\n\n"
        + "\n".join(lines)
    )


def plot(found: Found) -> str:
    """An SVG: times as fast as one host by hosts; the transformer, on hosts 32 times as fast."""
    part = found["transformer/tapenet-native"]
    t = training(part, copies_of(found), SPREAD, SPEEDS[-1])
    left, right, top, bottom = 60, 560, 50, 430
    counts = [2**i for i in range(11)]

    def x(n: int) -> float:
        return left + (right - left) * math.log2(n) / 10

    def y(times: float) -> float:
        return bottom - (bottom - top) * math.log2(max(times, 0.5) / 0.5) / 11

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {bottom + 50}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="22" font-size="13">Times as fast as one host, by hosts: the transformer, hosts x {SPEEDS[-1]}</text>',
    ]
    for n in counts:
        out.append(f'<path d="M{x(n):.1f} {top}V{bottom}M{left} {y(n):.1f}H{right}" stroke="#ddd"/>')
        out.append(f'<text x="{x(n):.1f}" y="{bottom + 18}" text-anchor="middle">{n}</text>')
        out.append(f'<text x="{left - 8}" y="{y(n) + 4:.1f}" text-anchor="end">{n}</text>')
    free = float(top)
    ends = []
    for (name, network), colour in zip(NETWORKS.items(), ("#d6604d", "#4b1fa8", "#1b9e77"), strict=True):
        for strong, sharded in ((False, False), (False, True), (True, False), (True, True)):
            gains = [gain(t, n, network, strong, sharded) for n in counts]
            points = " ".join(f"{x(n):.1f},{y(g):.1f}" for n, g in zip(counts, gains, strict=True))
            dash = ' stroke-dasharray="5"' if sharded else ""
            out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>')
            if not sharded:
                ends.append((y(gains[-1]), colour, f"{name}, {'strong' if strong else 'weak'}"))
    for height, colour, text in sorted(ends):
        free = max(free, height)
        out.append(f'<text x="{right + 10}" y="{free + 4:.1f}" fill="{colour}">{text}</text>')
        free += 13
    out.append(f'<text x="{right + 10}" y="{bottom + 18}">dashed: sharded</text>')
    return "\n".join([*out, "</svg>", ""])
