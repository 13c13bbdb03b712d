"""The summary of a model: its numbers, counted another way, and that making it changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.autodiff.observe.capture import Capture


class Net(nn.Module):
    def __init__(self) -> None:
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
        self.heads = [nn.Linear(4 * 6 * 6, 10, rng=0), nn.Linear(4 * 6 * 6, 10, rng=0)]
        self.heads[1].weight = self.heads[0].weight
        self.unused = nn.Linear(2, 2, rng=0)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        self.last = self.body(x)
        h = self.last.reshape(len(self.last), -1)
        return self.heads[0](h), {"second": self.heads[1](h)}


def rows(found: nn.Summary) -> dict[str, Any]:
    return {row.name: row for row in found.rows}


def test_numbers_of_a_small_net_by_hand() -> None:
    net = Net()
    net.body[0].requires_grad_(False)
    found = nn.summary(net, (2, 1, 8, 8))
    by = rows(found)
    assert list(by) == [
        "", "body", "body.0", "body.1", "body.2", "body.3", "heads.0", "heads.1", "unused",
    ]  # fmt: skip
    assert [row.depth for row in found.rows] == [0, 1, 2, 2, 2, 2, 1, 1, 1]
    assert by["body.0"].type == "Conv2d"
    assert by["body.0"].inputs == ((2, 1, 8, 8),)
    assert by["body.0"].outputs == ((2, 4, 6, 6),)
    assert by[""].outputs == ((2, 10), (2, 10))
    assert (by["body.0"].parameters, by["body.0"].trainable, by["body.0"].frozen) == (40, 0, 40)
    assert by["body.1"].parameters == 8
    assert by["body.1"].buffer_bytes == 4 * 4 * 2 + 8
    assert by["heads.0"].parameters == by["heads.1"].parameters == 1450
    assert (by["heads.0"].shared, by["heads.1"].shared) == (0, 1440)
    assert by["unused"].calls == 0
    assert by["unused"].outputs == ()
    assert found.total.parameters == net.num_parameters() == 40 + 8 + 1450 + 10 + 6
    assert found.total.parameter_bytes == 4 * found.total.parameters
    assert by["body.0"].multiply_adds == 2 * 4 * 6 * 6 * 9
    assert by["heads.0"].multiply_adds == 2 * 144 * 10
    assert found.total.multiply_adds == 2 * 4 * 36 * 9 + 2 * 2 * 1440
    assert by["body.0"].output_bytes == 4 * 2 * 4 * 36
    assert by["body.0"].kept_bytes == 0  # frozen, and its input needs no gradient
    assert by["heads.0"].kept_bytes == by["heads.1"].kept_bytes == 4 * 2 * 144  # its input; the weight is a parameter
    assert by[""].kept_bytes < sum(row.kept_bytes for row in found.rows if row.depth == 1)  # which both heads keep


def test_what_is_kept_and_multiplied_is_what_a_profile_counts() -> None:
    net = nn.Sequential(nn.Linear(6, 8, rng=0), nn.Tanh(), nn.Linear(8, 3, rng=0), nn.Softmax(-1))
    x = tn.tensor(np.ones((5, 6), np.float32), requires_grad=True)
    found = nn.summary(net, x)
    with tn.profile() as profile:
        net(x)
    (step,) = profile.steps
    assert found.total.multiply_adds == sum(r.multiply_adds or 0 for r in step.records)
    # The profile counts arrays that were there before only if they need no gradient; x is one that does.
    assert found.total.kept_bytes == step.saved + x.nbytes
    by_module = {row.path: row.multiply_adds for row in profile.modules()}
    assert all(row.multiply_adds == by_module[row.name] for row in found.rows)


def test_a_module_called_twice_counts_its_parameters_once_and_its_products_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(3, 3, rng=0)

        def forward(self, x: Any) -> Any:
            return self.layer(self.layer(x))

    found = nn.summary(Twice(), (2, 3))
    row = rows(found)["layer"]
    assert row.calls == 2
    assert row.parameters == 12
    assert row.multiply_adds == 2 * 2 * 9
    assert "Linear (2 times)" in str(found)


def test_nothing_changes() -> None:
    net = Net()
    seen: list[Any] = []
    net.body[2].register_forward_hook(lambda m, args, out: seen.append(m.training))
    net.body.eval()
    net.body[1].train()
    modes = [m.training for m in net.modules()]
    attributes = {n: dict(vars(m)) for n, m in net.named_modules()}
    state = net.state_dict()
    arrays = [t.data for t in (*net.parameters(), *net.buffers())]
    tn.random.seed(7)
    expected = tn.random.normal(size=3)
    tn.random.seed(7)
    # A pass that still needs the running statistics as they are.
    net.body[1].eval()
    pending = net(np.ones((2, 1, 8, 8), np.float32))[0].sum()
    net.body[1].train()
    with tn.no_grad(), tn.Tape() as tape:
        nn.summary(net, (2, 1, 8, 8))
    assert not len(tape)
    pending.backward()
    assert seen == [False, False]
    assert [m.training for m in net.modules()] == modes
    for name, module in net.named_modules():
        changed = {"last", "calls"} if name == "" else set()
        assert {n for n in vars(module) if vars(module)[n] is not attributes[name].get(n)} <= changed
    assert net.calls == 1
    assert all(np.array_equal(state[n], v) for n, v in net.state_dict().items())
    assert all(t.data is a for t, a in zip((*net.parameters(), *net.buffers()), arrays, strict=True))
    np.testing.assert_array_equal(tn.random.normal(size=3), expected)


def test_dropout_with_a_generator_of_its_own_draws_the_same_afterwards() -> None:
    a, b = nn.Dropout(0.5), nn.Dropout(0.5)
    a.rng, b.rng = np.random.default_rng(3), np.random.default_rng(3)
    nn.summary(a, (50,))
    x = np.ones(50, np.float32)
    np.testing.assert_array_equal(a(x), b(x))
    assert a.rng.random() == b.rng.random()


def test_a_failing_model_is_put_back_too() -> None:
    net = Net()
    before = net.body[1].running_mean.data
    with pytest.raises(ValueError, match="The layer takes 144 features"):
        nn.summary(net, (2, 1, 9, 9))
    assert net.body[1].running_mean.data is before
    assert net.calls == 0
    assert not net._hooks
    assert not hasattr(net, "last")


def test_inside_a_profile_and_after_a_compiled_step() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2, rng=0))
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    f = tn.compile(lambda x: net(x), backend="numpy")
    for _ in range(3):
        f(x)
    mean = net[0].running_mean.data.copy()
    with tn.profile() as profile:
        nn.summary(net, (4, 3))
    assert not profile.steps[0].records
    np.testing.assert_array_equal(net[0].running_mean.data, mean)
    f(x)
    assert (net[0].running_mean.data != mean).any()  # the program still writes the same buffer


def test_depth_and_text() -> None:
    net = Net()
    text = str(nn.summary(net, (2, 1, 8, 8), depth=1))
    lines = text.splitlines()
    assert lines[0].split() == [
        "module",
        "class",
        "input",
        "output",
        "parameters",
        "multiply-adds",
        "kept",
        "output",
        "size",
    ]
    assert [line.split()[0] for line in lines[1:6]] == ["Net", "body", "0", "1", "unused"]
    assert "1,450 (1,440 shared)" in text
    assert "not called" in lines[5]
    assert "1,514 parameters (1,514 trainable): 6.06 kB; buffers: 40 B" in text
    assert repr(nn.summary(net, (2, 1, 8, 8), depth=0)).splitlines()[2] == ""
    assert nn.summary(net, (2, 1, 8, 8), depth=0).total == nn.summary(net, (2, 1, 8, 8)).total


def test_low_types_are_seen_in_autocast_and_in_the_dtype_of_the_model() -> None:
    net = nn.Sequential(nn.Linear(8, 16, rng=0), nn.Tanh(), nn.Linear(16, 4, rng=0))
    full = nn.summary(net, (32, 8)).total
    with tn.autocast("float16"):
        mixed = nn.summary(net, (32, 8)).total
    assert mixed.parameter_bytes == full.parameter_bytes
    assert mixed.output_bytes == full.output_bytes // 2
    assert mixed.kept_bytes < full.kept_bytes
    low = nn.summary(net.half(), (32, 8)).total
    assert low.parameter_bytes == full.parameter_bytes // 2
    assert low.kept_bytes == full.kept_bytes // 2
    assert low.multiply_adds == full.multiply_adds == mixed.multiply_adds


def test_several_inputs_and_integers() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            self.table = nn.Embedding(5, 3, rng=0)

        def forward(self, i: Any, x: Any) -> Any:
            return F.relu(self.table(i) * x)

    found = nn.summary(Both(), np.array([0, 4]), (2, 3))
    assert found.total.inputs == ((2,), (2, 3))
    assert found.total.outputs == ((2, 3),)


def test_what_it_refuses() -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="give its inputs, or their shapes"):
        nn.summary(net)
    with pytest.raises(ValueError, match="depth=-1"):
        nn.summary(net, (1, 2), depth=-1)
    with pytest.raises(TypeError, match="takes a module, not function"):
        nn.summary(lambda x: x, (1, 2))  # type: ignore[arg-type]
    with Capture(), pytest.raises(tn.CaptureError, match=r"calls nn\.summary while a step is being captured"):
        nn.summary(net, (1, 2))
