"""Sums by module and by op, and the text of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.profiling.records import Record, Step
from tapenet.profiling.rows import by_module, by_op, dearest
from tapenet.profiling.table import seconds, size, table

F32 = np.dtype(np.float32)


def record(number: int, op: str, path: str, forward: float, backward: float, adds: int | None = None) -> Record:
    root = "" if path == "-" else "Net"
    return Record(
        number, op, root, "" if path == "-" else path, (2,), F32, forward, backward, 100, adds, adds and 2 * adds
    )


RECORDS = [
    record(1, "conv2d", "features.0", 1.0, 2.0, 10),
    record(2, "relu", "features.1", 0.5, 0.5),
    record(3, "conv2d", "features.2", 3.0, 4.0, 20),
    record(4, "reshape", "", 0.25, 0.0),
    record(5, "linear", "head", 8.0, 8.0, 5),
    record(6, "mean", "-", 0.125, 0.125),
]


def test_modules_have_sums_of_what_is_inside_the_dearest_first() -> None:
    rows = by_module(RECORDS)
    assert [(r.root, r.path, r.depth, r.calls) for r in rows] == [
        ("Net", "", 0, 5),
        ("Net", "head", 1, 1),
        ("Net", "features", 1, 3),
        ("Net", "features.2", 2, 1),
        ("Net", "features.0", 2, 1),
        ("Net", "features.1", 2, 1),
        ("", "", 0, 1),
    ]
    net, head, features, *_ = rows
    assert (net.forward, net.backward, net.seconds, net.saved) == (12.75, 14.5, 27.25, 500)
    assert (net.multiply_adds, net.backward_multiply_adds) == (35, 70)
    assert (features.forward, features.backward, features.multiply_adds) == (4.5, 6.5, 30)
    assert head.seconds == 16.0


def test_ops_have_sums_the_dearest_first() -> None:
    rows = by_op(RECORDS)
    assert [(r.op, r.calls, r.seconds, r.multiply_adds) for r in rows] == [
        ("linear", 1, 16.0, 5),
        ("conv2d", 2, 10.0, 30),
        ("relu", 1, 1.0, None),
        ("reshape", 1, 0.25, None),
        ("mean", 1, 0.25, None),
    ]
    assert [r.number for r in dearest(RECORDS)] == [5, 3, 1, 2, 4, 6]


def test_the_table() -> None:
    step = Step(RECORDS, 40.0, {"SGD.step": 2.0}, 512, {})
    assert (
        table(step, 20).splitlines()
        == """\
40 s: forward 12.9 s, backward 14.6 s, SGD.step 2 s, other 10.5 s; 512 B saved

module             ops  forward  backward  share  saved  multiply-adds
Net                  5   12.8 s    14.5 s  68.1%  500 B            105
  head               1      8 s       8 s  40.0%  100 B             15
  features           3    4.5 s     6.5 s  27.5%  300 B             90
    2                1      3 s       4 s  17.5%  100 B             60
    0                1      1 s       2 s   7.5%  100 B             30
    1                1   500 ms    500 ms   2.5%  100 B              0
(outside modules)    1   125 ms    125 ms   0.6%  100 B              0

op       calls  forward  backward  share  saved  multiply-adds
linear       1      8 s       8 s  40.0%  100 B             15
conv2d       2      4 s       6 s  25.0%  200 B             90
relu         1   500 ms    500 ms   2.5%  100 B
reshape      1   250 ms      0 µs   0.6%  100 B
mean         1   125 ms    125 ms   0.6%  100 B

node  op       in              output        forward  backward  share  saved  multiply-adds
  #5  linear   Net.head        float32 (2,)      8 s       8 s  40.0%  100 B             15
  #3  conv2d   Net.features.2  float32 (2,)      3 s       4 s  17.5%  100 B             60
  #1  conv2d   Net.features.0  float32 (2,)      1 s       2 s   7.5%  100 B             30
  #2  relu     Net.features.1  float32 (2,)   500 ms    500 ms   2.5%  100 B
  #4  reshape  Net             float32 (2,)   250 ms      0 µs   0.6%  100 B
  #6  mean                     float32 (2,)   125 ms    125 ms   0.6%  100 B""".splitlines()
    )


def test_a_table_has_a_limit() -> None:
    text = table(Step(RECORDS, 40.0, {}, 512, {}), 4)
    modules, ops, nodes = text.split("\n\n")[1:]
    assert [line.split()[0] for line in modules.splitlines()[1:]] == ["Net", "head", "features", "(outside", "(3"]
    assert ops.splitlines()[-1] == "(1 more)"
    assert nodes.splitlines()[-1] == "(2 more)"


class Deep(nn.Module):
    def __init__(self, width: int) -> None:
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(30)])

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return x


def test_modules_that_are_never_called_have_rows_too() -> None:
    """A list of modules is in the path of what it holds."""
    net = Deep(3)
    with tn.profile() as prof:
        net(np.zeros((2, 3), np.float32)).sum().backward()
    rows = {r.path: r for r in prof.modules() if r.root == "Deep"}
    assert rows["blocks"].calls == 60
    assert rows["blocks.29"].calls == 2
    assert rows["blocks"].multiply_adds == rows[""].multiply_adds == 30 * 18
    assert rows["blocks"].backward_multiply_adds == 59 * 18  # the input needs no gradient
    text = str(prof).split("\n\n")[1].splitlines()
    title, *rows_shown, more = (line.split()[0] for line in text)  # by time: what is dearest comes first
    assert (title, sorted(rows_shown), more) == ("module", ["(outside", "Deep", "blocks"], "(90")
    assert len(prof.table(rows=1000).split("\n\n")[1].splitlines()) == 1 + 2 + 30 + 60 + 1


def test_a_profile_of_nothing() -> None:
    prof = tn.profile()
    assert str(prof) == repr(prof) == "a profile of no steps"
    with prof:
        pass
    assert str(prof).startswith("1 step of ")
    assert len(str(prof).splitlines()) == 1
    with prof:
        tn.exp(tn.tensor(1.0))
    assert str(prof).startswith("2 steps, the last of ")
    assert "module" not in str(prof)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 µs"), (2.5e-7, "0.25 µs"), (1e-6, "1 µs"), (1.234e-5, "12.3 µs"), (9.996e-4, "1 ms"),
        (0.25, "250 ms"), (1.0, "1 s"), (59.96, "60 s"), (1234.5, "1234 s"),
    ],
)  # fmt: skip
def test_times_in_words(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234567, "1.23 MB"), (5 * 10**15, "5000 TB")]
)
def test_sizes_in_words(value: int, text: str) -> None:
    assert size(value) == text
