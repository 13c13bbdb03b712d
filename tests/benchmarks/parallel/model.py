"""The model: the time of a training step on many hosts, by what computes and what a network costs.

A message of n bytes takes latency + n / bandwidth (Hockney). An all-reduce on p hosts is the best of three algorithms of MPI
libraries: recursive doubling, recursive halving and doubling (Rabenseifner), and the ring. Gradients become ready evenly over
the backward pass, and are sent in buckets, one after the other; what of that ends after the backward pass is waited for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

#: Bytes of a bucket, and the part of a step's gradients and loss that is before the first of them is ready.
BUCKET = 1 << 20
FORWARD = 1 / 3


class Network(NamedTuple):
    """What moves messages: seconds of an empty one, and of a byte; whether the processor is free meanwhile."""

    latency: float
    byte: float
    free: bool = True


class Training(NamedTuple):
    """A training step of one host.

    Attributes:
        fixed, whole: seconds of loss and gradients: those that do not shrink with the batch, and those of the whole batch.
        update: seconds of the optimizer's step.
        size: bytes of gradients.
        copies: seconds in which a byte of gradients is put into a bucket, scaled and taken out.
        spread: standard deviation of a host's time over its mean.
    """

    fixed: float
    whole: float
    update: float
    size: int
    copies: float = 0.0
    spread: float = 0.0


def exchange(size: float, hosts: int, network: Network, halves: int = 2) -> float:
    """Seconds of an all-reduce of so many bytes; with `halves` 1, of half of it, a reduce-scatter or an all-gather."""
    if hosts == 1:
        return 0.0
    latency, byte, _ = network
    rounds = math.ceil(math.log2(hosts))
    part = (hosts - 1) / hosts * size * byte
    # Where hosts are no power of two, some first give what they have to others, and get the result at last.
    extra = 0.0 if hosts & (hosts - 1) == 0 else latency + size * byte
    ways = [halves * (rounds * latency + part + extra), halves * ((hosts - 1) * latency + part)]
    if halves == 2:
        ways.append(rounds * (latency + size * byte))
    return min(ways)


def step(t: Training, hosts: int, network: Network, share: float = 1.0, sharded: bool = False) -> float:
    """Seconds of a step on so many hosts, each with this share of the batch that `t` is of; `sharded`: each host updates its
    part of the parameters, which all then gather (ZeRO, stage 1)."""
    compute = t.fixed + t.whole * share
    # Who waits for all waits for the slowest: the mean of the largest of p normal numbers.
    compute *= 1 + t.spread * math.sqrt(2 * math.log(hosts))
    if hosts == 1:
        return compute + t.update
    count = math.ceil(t.size / BUCKET)
    each = exchange(t.size / count, hosts, network, 1 if sharded else 2)
    end = 0.0
    for i in range(count):
        ready = compute * (FORWARD + (1 - FORWARD) * (i + 1) / count) if network.free else 0.0
        end = max(end, ready) + each
    end = end if network.free else compute + end
    if sharded:
        return end + t.copies * t.size + t.update / hosts + exchange(t.size, hosts, network, 1)
    return end + t.copies * t.size + t.update


def gain(t: Training, hosts: int, network: Network, strong: bool, sharded: bool = False) -> float:
    """How many times as many samples a second as one host: of a batch that all share, or with one for each."""
    done = 1.0 if strong else float(hosts)
    return done * step(t, 1, network) / step(t, hosts, network, 1 / hosts if strong else 1.0, sharded)


def pays_to(t: Training, network: Network, strong: bool, sharded: bool = False, most: int = 1024) -> int:
    """The number of hosts from which on twice as many are less than 1.5 times as fast."""
    hosts = 1
    while hosts < most and gain(t, 2 * hosts, network, strong, sharded) >= 1.5 * gain(
        t, hosts, network, strong, sharded
    ):
        hosts *= 2
    return hosts


def fit_network(times: Mapping[int, float]) -> Network:
    """Of this machine, whose processor moves the bytes itself, from seconds of all-reduces by two ranks, by bytes: least
    squares of relative errors."""
    sizes, seconds = np.array(list(times)), np.array(list(times.values()))
    latency, byte = np.linalg.lstsq(np.stack([1 / seconds, sizes / seconds], 1), np.ones(len(sizes)))[0]
    return Network(float(latency), float(byte), free=False)


def fit_copies(lost: Sequence[tuple[int, float]]) -> float:
    """Seconds for a byte of gradients, from what steps took more than the model says without, by bytes: least squares."""
    return max(0.0, sum(size * seconds for size, seconds in lost) / sum(size**2 for size, _ in lost))


def fit_shares(times: Mapping[float, float]) -> tuple[float, float]:
    """Fixed seconds, and those of the whole batch, from seconds by the share of the batch."""
    slope, fixed = np.polyfit(list(times), list(times.values()), 1, w=1 / np.array(list(times.values())))
    return (float(fixed), float(slope)) if fixed > 0 else (0.0, times[1.0])
